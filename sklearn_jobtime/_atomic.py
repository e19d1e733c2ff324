"""Files that are whole or not there, also when the writer is killed: models, tables, pictures."""

import errno
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: an open file cannot be removed there, and nothing is locked
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked", "replacing"]

PATIENCE = 60.0  # seconds to wait for another process; updates take a few
_TEMPORARY = re.compile(r"\.jobtime-[0-9a-f]{16}(\.|$)")
_LONGEST_ENDINGS = 32
# What this thread has locked: a second lock of the same file would wait for the first for ever.
_mine = threading.local()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the place of `path` at the end.

    When the block raises, `path` is as it was before and the temporary file is gone. The
    temporary name has the same endings, since many writers go by them. What a killed process
    left in the folder is removed: a temporary file is locked for as long as its writer lives.

    Parameters
    ----------
    path : str or Path
        The file to write or replace; its folder has to exist. Behind a link, the file that the
        link leads to is replaced.

    Yields
    ------
    Path

    Raises
    ------
    OSError
        Where the file cannot be written (a folder, a device, no such folder, no permission, a
        full disk); the message names `path`.

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
    target = _target(Path(path))
    _remove_litter(target.parent)
    try:
        new, lock = _new_file(target)
    except OSError as error:
        raise _about(target, error) from error
    try:
        yield new
        with new.open("rb") as file:
            os.fsync(file.fileno())
        if target.exists():
            new.chmod(target.stat().st_mode)
        new.replace(target)
    except OSError as error:
        if error.filename in (None, str(new)):
            raise _about(target, error) from error
        raise
    finally:
        new.unlink(missing_ok=True)
        lock.close()


@contextmanager
def locked(path: str | Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a file from reading it to replacing it, so that no other change in between is lost.

    Everyone who changes the file has to ask for it in this way; readers need not. The lock ends
    with the process, however that ends, and leaves no file behind. Where the file system has no
    locks, and on Windows, nothing is held.

    Parameters
    ----------
    path : str or Path
        The file. When it is not there, there is nothing to hold.
    patience : float, default=60.0
        Seconds to wait for another process that holds the file.

    Raises
    ------
    OSError
        When the file is held by another process for longer than `patience`.
    """
    name = str(Path(path).resolve())
    held: set[str] = _mine.__dict__.setdefault("held", set())
    if fcntl is None or name in held:
        yield
        return
    lock = _lock_current(Path(name), patience)
    held.add(name)
    try:
        yield
    finally:
        held.discard(name)
        if lock is not None:
            lock.close()


def _lock_current(path: Path, patience: float) -> IO[bytes] | None:
    """Lock the file that stands under `path`, also if it is replaced while one waits for it."""
    end = time.monotonic() + patience
    while True:
        try:
            lock = path.open("rb")
        except OSError:
            return None  # the reader or writer that follows says what is wrong
        if _lock(lock) and _is(path, lock):
            return lock
        lock.close()
        if time.monotonic() > end:
            waited = f" for more than {patience:g} s" if patience else ""
            raise OSError(
                f"{path}: is being changed by another process{waited}; run again when that has "
                "ended."
            )
        time.sleep(0.05)


def _lock(file: IO[bytes]) -> bool:
    """Lock the file if nobody else has; True also where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
    return True


def _is(path: Path, file: IO[bytes]) -> bool:
    """Whether the open file still stands under this name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _target(path: Path) -> Path:
    """Return the file that is to be replaced, or say why it cannot be."""
    try:
        target = path.resolve()
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead to each other
        raise OSError(f"{path}: cannot be written ({error}); choose another name.") from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path}: is a folder; expected the name of a file to write.")
    if not stat.S_ISREG(mode):
        raise OSError(f"{path}: is a device or a pipe; expected the name of a file to write.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {target.parent}; create it first.")
    return target


def _new_file(target: Path) -> tuple[Path, IO[bytes]]:
    """Create a temporary file beside `target`, and lock it."""
    endings = "".join(target.suffixes[-2:])
    endings = endings if len(endings) <= _LONGEST_ENDINGS else ""
    while True:
        new = target.with_name(f".jobtime-{token_hex(8)}{endings}")
        file = new.open("xb")
        # Between its creation and its lock, another process may take it for litter.
        if fcntl is None or (_lock(file) and _is(new, file)):
            return new, file
        file.close()


def _remove_litter(folder: Path) -> None:
    """Remove the temporary files of processes that were killed."""
    if fcntl is None:
        return
    with suppress(OSError):
        for name in os.listdir(folder):
            if _TEMPORARY.match(name):
                with suppress(OSError), (folder / name).open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    (folder / name).unlink()


def _about(target: Path, error: OSError) -> OSError:
    """Speak of the file that the user has named, not of the temporary one."""
    reason = error.strerror or str(error)
    return type(error)(f"{target}: cannot be written ({reason}); nothing was changed.")
