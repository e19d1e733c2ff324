"""Open a history's file, plain or gzip, so that whatever is wrong with it is named with its place.

Every loader of files reads through :func:`open_bytes` or :func:`open_text`.
"""

import codecs
import gzip
import io
import zlib
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from sklearn_jobtime.exceptions import SourceError

__all__ = ["MAX_BYTES", "find_files", "open_bytes", "open_text"]


MAX_BYTES = 2 * 1024**3
_GZIP_MAGIC = b"\x1f\x8b"


class _CheckedBytes(io.RawIOBase):
    """Bytes of a file as they are read: counted, and checked to be UTF-8 when they are text."""

    def __init__(self, stream: BinaryIO, path: Path, max_bytes: int, *, text: bool) -> None:
        self._stream = stream
        self._path = path
        self._max_bytes = max_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None
        self._position = 0
        self._newlines = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        chunk = self._read(len(buffer))
        if self._decoder is not None:
            self._check_text(chunk)
        self._position += len(chunk)
        if self._position > self._max_bytes:
            raise SourceError(
                f"{self._path}: holds more than max_bytes={self._max_bytes} bytes uncompressed; "
                "if the file is to be trusted, raise max_bytes."
            )
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(
                f"{self._path}: the gzip data is cut off or damaged after {self._position} "
                f"uncompressed bytes ({error}); fetch the file again."
            ) from error

    def _check_text(self, chunk: bytes) -> None:
        assert self._decoder is not None
        held = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            place = error.start - held
            line = self._newlines + chunk[: max(place, 0)].count(b"\n") + 1
            raise SourceError(
                f"{self._path}, line {line}, byte {self._position + place}: "
                f"0x{error.object[error.start]:02x} is not UTF-8; convert the file, for example "
                "with iconv -f LATIN1 -t UTF-8."
            ) from error
        self._newlines += chunk.count(b"\n")


def _open_checked(path: str | Path, max_bytes: int, *, text: bool) -> BinaryIO:
    path = Path(path)
    try:
        raw = path.open("rb")
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be opened ({error.strerror}); check the path and your permissions."
        ) from error
    stream: BinaryIO = raw
    if raw.peek(2)[:2] == _GZIP_MAGIC:
        raw.close()
        stream = cast(BinaryIO, gzip.GzipFile(path))
    checked = _CheckedBytes(stream, path, max_bytes, text=text)
    reader = io.BufferedReader(checked, buffer_size=1 << 18)
    try:
        empty = not reader.peek(1)
    except SourceError:
        reader.close()
        raise
    if empty:
        reader.close()
        raise SourceError(f"{path}: is empty; check the export that wrote it.")
    return cast(BinaryIO, reader)


def open_bytes(path: str | Path, *, max_bytes: int = MAX_BYTES) -> BinaryIO:
    """Open a file for reading bytes; gzip is told by its first bytes, whatever the name.

    Parameters
    ----------
    path : str or Path
        The file.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read before giving up, because a gzip file of a few
        kilobytes can hold terabytes. Raise it for larger histories.

    Returns
    -------
    binary file object
        Close it, or use it in a ``with`` statement.

    Raises
    ------
    SourceError
        When the file is missing or empty; while reading, when it is damaged or too large. The
        message names the file and the byte.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._open_file import open_bytes
    >>> open_bytes("no_such_file.csv.gz")
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.SourceError: no_such_file.csv.gz: cannot be opened (No such file ...
    """
    return _open_checked(path, max_bytes, text=False)


def open_text(path: str | Path, *, max_bytes: int = MAX_BYTES) -> TextIO:
    """Open a text file, plain or gzip, as UTF-8 (a byte order mark is skipped).

    Parameters
    ----------
    path : str or Path
        The file.
    max_bytes : int, default=2 GiB
        As in :func:`open_bytes`.

    Returns
    -------
    text file object
        Close it, or use it in a ``with`` statement.

    Raises
    ------
    SourceError
        As :func:`open_bytes`; and, with line and byte, when the file is not UTF-8.

    Examples
    --------
    >>> import gzip, pathlib, tempfile
    >>> from sklearn_jobtime.loaders._open_file import open_text
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.gz")
    ...     _ = path.write_bytes(gzip.compress(b"one line"))
    ...     with open_text(path) as lines:
    ...         print(lines.read())
    one line
    """
    return io.TextIOWrapper(_open_checked(path, max_bytes, text=True), encoding="utf-8-sig")


def find_files(source: str | Path, endings: Sequence[str]) -> list[Path]:
    """Files meant by a path: the file itself, those in a folder, or those that a pattern matches.

    Parameters
    ----------
    source : str or Path
        A file, a folder (searched with its subfolders), or a pattern such as ``pages/*.json``.
    endings : sequence of str
        How the names of a folder's files end, such as ``".json"``; each also with ``.gz``.

    Returns
    -------
    list of Path
        Sorted by name, so that the same folder always reads the same.

    Raises
    ------
    SourceError
        When nothing is found.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._open_file import find_files
    >>> find_files("no_such_folder/*.json", [".json"])
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.SourceError: no_such_folder/*.json: matches no file; ...
    """
    path = Path(source)
    if path.is_dir():
        wanted = tuple(end + zipped for end in endings for zipped in ("", ".gz"))
        found = sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(wanted))
        if not found:
            raise SourceError(f"{path}: no file in this folder ends in {', '.join(wanted)}.")
        return found
    if has_magic(str(source)) and not path.exists():
        found = sorted(Path(p) for p in glob(str(source), recursive=True) if Path(p).is_file())
        if not found:
            raise SourceError(f"{source}: matches no file; check the folder and the pattern.")
        return found
    return [path]
