"""The members of a model file: each checked for its name and size before it is read."""

import math
import re
import zipfile
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np

__all__ = ["SCHEMA", "array_of", "checked_members", "content_of", "most_unpacked"]

SCHEMA = "schema.json"
# Numbers shrink a few times, text up to twenty times.
MOST_EXPANSION = 32
FREE_BYTES = 2**22
LONGEST_SCHEMA = 2**26
_NAME = re.compile(r"[0-9]+\.npy")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def most_unpacked(packed: int) -> int:
    """Bytes that a model may unpack to; what is made to fill a memory unpacks to far more."""
    return MOST_EXPANSION * packed + FREE_BYTES


def checked_members(archive: zipfile.ZipFile, size: int) -> None:
    """Check the list of members before any is read; `size` is that of the file.

    Raises
    ------
    ValueError
        When a member is none of a model's, is there twice, or would unpack to too much.
    """
    names = archive.namelist()
    strange = [name for name in names if name != SCHEMA and not _NAME.fullmatch(name)]
    if strange:
        raise ValueError(f"a member named {strange[0]!r} is no part of a model")
    if len(set(names)) < len(names):
        raise ValueError("a member is there twice")
    if SCHEMA not in names:
        raise ValueError(f"the member {SCHEMA} is missing")
    if any(m.compress_type not in _METHODS or m.flag_bits & 0x1 for m in archive.infolist()):
        raise ValueError("a member is packed in an unusual way")
    packed = sum(member.compress_size for member in archive.infolist())
    unpacked = sum(member.file_size for member in archive.infolist())
    # members that share their bytes say more than there is
    if packed > size or unpacked > most_unpacked(packed):
        raise ValueError("it would unpack to far more than a model needs")
    if archive.getinfo(SCHEMA).file_size > LONGEST_SCHEMA:
        raise ValueError("it names more objects than a model has")


def content_of(archive: zipfile.ZipFile, name: str) -> bytes:
    """Unpack a member, and no more of it than it says to hold."""
    size = archive.getinfo(name).file_size
    with archive.open(name) as file:
        content = file.read(size)
    if len(content) != size:
        raise ValueError(f"the member {name} is cut off")
    return content


def array_of(content: bytes) -> np.ndarray[Any, Any]:
    """Read an array in NumPy's format, of exactly the size that its header says.

    Raises
    ------
    ValueError
        When it holds objects, which only a pickle could hold, or has another size.
    """
    start = 10 if content[6:7] == b"\x01" else 12
    end = start + int.from_bytes(content[8:start], "little")
    shape, is_fortran, dtype = _header(content[:end])
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError("an array holds objects, as only a pickle can")
    if math.prod(shape) * dtype.itemsize != len(content) - end:
        raise ValueError("an array has another size than it says")
    array = np.frombuffer(content, dtype, offset=end).copy()
    return array.reshape(shape, order="F" if is_fortran else "C")


@lru_cache(maxsize=512)  # most arrays of a model are of few forms
def _header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    file = BytesIO(content)
    version = np.lib.format.read_magic(file)
    readers: Any = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"an array is stored in version {version} of the format")
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = readers[version](file)
    return header
