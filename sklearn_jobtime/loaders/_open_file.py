"""Open a history's file, plain or compressed, so that whatever is wrong with it is named.

Every loader of files reads through :func:`open_bytes` or :func:`open_text`. What a file is, its
first bytes tell, not its name.
"""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from glob import glob, has_magic
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from sklearn_jobtime.exceptions import SourceError

__all__ = ["COMPRESSED", "MAX_BYTES", "find_files", "open_bytes", "open_text"]


MAX_BYTES = 2 * 1024**3
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
_DAMAGED = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_CONTAINERS: dict[bytes, tuple[str, Callable[..., Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
_ZIP = b"PK\x03\x04"
_DEEPEST = 3  # containers in containers
# What is no table of text, by its first bytes, and what to do.
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "a zstd file; unpack it with zstd -d",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"Rar!": "a rar archive; unpack it",
    b"PK\x05\x06": "an empty zip archive; check the export that wrote it",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls); save the sheet as CSV",
    b"%PDF": "a PDF; export the table as CSV",
}
_OTHER_TEXTS = {
    b"PAR1": "a Parquet file; give it a name that ends in .parquet",
    b"SQLite format 3": "a SQLite database; read it as sqlite:///PATH#TABLE",
    b"\x89PNG": "a picture; export the table as CSV",
}
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class _CheckedBytes(io.RawIOBase):
    """Bytes of a file as they are read: counted, and checked to be UTF-8 when they are text."""

    def __init__(
        self,
        stream: BinaryIO,
        opened: ExitStack,
        path: Path,
        max_bytes: int,
        container: str,
        encoding: str | None,
    ) -> None:
        self._stream = stream
        self._opened = opened
        self._path = path
        self._max_bytes = max_bytes
        self._container = container
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)() if encoding else None
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
        self._opened.close()
        super().close()

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except _DAMAGED as error:
            if not self._container:
                raise
            raise SourceError(
                f"{self._path}: the {self._container} data is cut off or damaged after "
                f"{self._position} uncompressed bytes ({error}); fetch the file again."
            ) from error

    def _check_text(self, chunk: bytes) -> None:
        assert self._decoder is not None
        held = len(self._decoder.getstate()[0])
        try:
            self._newlines += self._decoder.decode(chunk, final=not chunk).count("\n")
        except UnicodeDecodeError as error:
            place = error.start - held
            good = error.object[: error.start].decode(self._codec(), errors="ignore")
            line = self._newlines + good.count("\n") + 1
            raise SourceError(
                f"{self._path}, line {line}, byte {self._position + place}: "
                f"0x{error.object[error.start]:02x} is not {self._codec().upper()}; "
                f"{_what_instead(error.object)}"
            ) from error

    def _codec(self) -> str:
        return "utf-8" if self._encoding in (None, "utf-8-sig") else str(self._encoding)


def _what_instead(data: bytes) -> str:
    if b"\0" in data:
        return "it holds zero bytes, so it is no text; export the history as CSV or JSON."
    return (
        "it may be Latin-1 or Windows-1252; convert the file, for example with "
        "iconv -f LATIN1 -t UTF-8."
    )


def _open_container(path: Path, opened: ExitStack) -> tuple[BinaryIO, str]:
    """Open what is in a file, through up to three containers, and name the outermost."""
    try:
        stream: BinaryIO = opened.enter_context(path.open("rb"))
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be opened ({error.strerror}); check the path and your permissions."
        ) from error
    outermost = ""
    for _ in range(_DEEPEST):
        head = _head(stream, path, outermost)
        if head.startswith(_ZIP):
            if outermost:
                raise SourceError(f"{path}: holds a zip archive in {outermost} data; unpack it.")
            stream, outermost = _open_zip(stream, path, opened), "zip"
            continue
        found = [what for magic, what in _CONTAINERS.items() if head.startswith(magic)]
        if not found:
            break
        kind, unpack = found[0]
        outermost = outermost or kind
        inner = opened.enter_context(unpack(stream, "rb"))
        stream = opened.enter_context(io.BufferedReader(cast(io.RawIOBase, inner)))
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise SourceError(f"{path}: is {what}.")
    if head[257:262] == b"ustar":
        raise SourceError(f"{path}: is a tar archive; unpack it and name the file that it holds.")
    return stream, outermost


def _head(stream: BinaryIO, path: Path, container: str) -> bytes:
    try:
        return cast(io.BufferedReader, stream).peek(512)[:512]
    except _DAMAGED as error:
        raise SourceError(
            f"{path}: the {container} data is cut off or damaged after 0 uncompressed bytes "
            f"({error}); fetch the file again."
        ) from error


def _open_zip(raw: BinaryIO, path: Path, opened: ExitStack) -> BinaryIO:
    try:
        archive = opened.enter_context(zipfile.ZipFile(raw))
        names = [
            entry.filename
            for entry in archive.infolist()
            if not (entry.is_dir() or entry.filename.startswith("__MACOSX/"))
            and Path(entry.filename).name not in (".DS_Store", "Thumbs.db")
        ]
        if "[Content_Types].xml" in names:
            what = "an Excel workbook" if any(n.startswith("xl/") for n in names) else "a document"
            raise SourceError(f"{path}: is {what} of Office; save the table as CSV.")
        if len(names) != 1:
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise SourceError(
                f"{path}: is a zip archive of {len(names)} files ({shown}); unpack it and name one."
            )
        inner = opened.enter_context(archive.open(names[0]))
        return opened.enter_context(io.BufferedReader(cast(io.RawIOBase, inner)))
    except RuntimeError as error:  # a password
        raise SourceError(f"{path}: the zip archive is locked ({error}); unpack it.") from None
    except (*_DAMAGED, NotImplementedError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(
            f"{path}: the zip data is cut off or damaged ({error}); fetch the file again."
        ) from error


def _encoding_of(head: bytes, path: Path) -> str:
    """Tell the encoding of a text by its byte order mark or by the zeros between its letters."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    for magic, what in _OTHER_TEXTS.items():
        if head.startswith(magic):
            raise SourceError(f"{path}: is {what}.")
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise SourceError(
            f"{path}: is a page of HTML, such as one that asks to log in; check the address and "
            "the rights with which it was fetched."
        )
    some = head[: len(head) // 2 * 2]
    if len(some) >= 32 and some.count(0) > len(some) / 5:
        if not any(some[1::2]) and all(some[::2]):
            return "utf-16-le"
        if not any(some[::2]) and all(some[1::2]):
            return "utf-16-be"
        raise SourceError(
            f"{path}: holds zero bytes, so it is no text in UTF-8; export the history as CSV or "
            "JSON in UTF-8."
        )
    return "utf-8-sig"


def _open_checked(path: str | Path, max_bytes: int, *, text: bool) -> tuple[BinaryIO, str]:
    path = Path(path)
    with ExitStack() as opened:
        stream, container = _open_container(path, opened)
        encoding = _encoding_of(_head(stream, path, container), path) if text else None
        checked = _CheckedBytes(stream, opened.pop_all(), path, max_bytes, container, encoding)
        reader = opened.enter_context(io.BufferedReader(checked, buffer_size=1 << 18))
        if not reader.peek(1):
            raise SourceError(f"{path}: is empty; check the export that wrote it.")
        opened.pop_all()
    return reader, encoding or ""


def open_bytes(path: str | Path, *, max_bytes: int = MAX_BYTES) -> BinaryIO:
    """Open a file for reading bytes, out of gzip, bzip2, xz or a zip archive of one file.

    Parameters
    ----------
    path : str or Path
        The file.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read before giving up, because a compressed file of a few
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
    return _open_checked(path, max_bytes, text=False)[0]


def open_text(
    path: str | Path, *, max_bytes: int = MAX_BYTES, newline: str | None = None
) -> TextIO:
    """Open a text file, plain or compressed, as UTF-8, or as UTF-16 where it is that.

    A byte order mark is skipped.

    Parameters
    ----------
    path : str or Path
        The file.
    max_bytes : int, default=2 GiB
        As in :func:`open_bytes`.
    newline : str, default=None
        As of :func:`open`; None makes each end of a line a line feed.

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
    stream, encoding = _open_checked(path, max_bytes, text=True)
    return io.TextIOWrapper(stream, encoding=encoding, newline=newline)


def find_files(source: str | Path, endings: Sequence[str]) -> list[Path]:
    """Files meant by a path: the file itself, those in a folder, or those that a pattern matches.

    Parameters
    ----------
    source : str or Path
        A file, a folder (searched with its subfolders), or a pattern such as ``pages/*.json``.
    endings : sequence of str
        How the names of a folder's files end, such as ``".json"``; each also with those of
        `COMPRESSED` behind it.

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
        wanted = tuple(end + zipped for end in endings for zipped in ("", *COMPRESSED))
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
