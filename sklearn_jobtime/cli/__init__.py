"""The command line ``jobtime``."""

from sklearn_jobtime.cli.app import main

__all__ = ["main"]
