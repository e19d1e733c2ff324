"""Files that are whole or not there: models, tables and pictures."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the place of `path` at the end.

    When the block raises, `path` is as it was before and the temporary file is gone. The
    temporary name has the same endings, since many writers go by them.

    Parameters
    ----------
    path : str or Path
        The file to write or replace; its folder has to exist.

    Yields
    ------
    Path

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime._atomic import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "note.txt")
    ...     with replacing(path) as new:
    ...         _ = new.write_text("done")
    ...     path.read_text()
    'done'
    """
    path = Path(path).resolve()
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; expected the name of a file to write.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; create it first.")
    new = path.with_name(f".{token_hex(4)}-{path.name}")
    try:
        yield new
        with new.open("rb") as file:
            os.fsync(file.fileno())
        if path.exists():
            new.chmod(path.stat().st_mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
