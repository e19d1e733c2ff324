"""``python -m sklearn_jobtime`` is ``jobtime``."""

from sklearn_jobtime.cli import main

if __name__ == "__main__":
    main()
