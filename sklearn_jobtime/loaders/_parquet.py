"""Tables in Parquet files; a column that is not needed never stops a load."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._open_file import COMPRESSED, MAX_BYTES, open_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_parquet"]


def read_parquet(path: Path, max_bytes: int = MAX_BYTES) -> pd.DataFrame:
    """Read a whole file.

    Parameters
    ----------
    path : Path
        The file, also compressed.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read.

    Raises
    ------
    SourceError
        When it is cut off, damaged or of another format.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._parquet import read_parquet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "runs.parquet")
    ...     pd.DataFrame({"build": [40.0]}).to_parquet(path)
    ...     read_parquet(path)
       build
    0   40.0
    """
    import pyarrow as pa  # noqa: PLC0415  slow to load
    import pyarrow.parquet as pq  # noqa: PLC0415

    with open_bytes(path, max_bytes=max_bytes) as file:
        magic = file.read(4)
        packed = path.suffix in COMPRESSED
        source = io.BytesIO(magic + file.read()) if packed else path
    try:
        if magic != b"PAR1":
            raise pa.ArrowInvalid("it does not begin with the bytes PAR1")
        with pq.ParquetFile(source) as parquet:
            groups = range(parquet.num_row_groups)
            size = sum(parquet.metadata.row_group(k).total_byte_size for k in groups)
            if size > max_bytes:
                raise SourceError(
                    f"{path}: holds {size} bytes uncompressed, more than max_bytes={max_bytes}; if "
                    "the file is to be trusted, raise max_bytes."
                )
            return _to_pandas(parquet.read(), path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path}: is no whole Parquet file ({str(error).strip()}); write or fetch it again."
        ) from error


def _to_pandas(table: "pa.Table", path: Path) -> pd.DataFrame:
    """Leave out the columns of types that pandas does not know."""
    import pyarrow as pa  # noqa: PLC0415  slow to load

    table = _with_plain_text(table)
    try:
        (table.schema.metadata or {}).get(b"pandas", b"").decode()
        return table.to_pandas()
    except (pa.ArrowException, ValueError, TypeError, LookupError, AttributeError):
        pass  # because of a column, or of what pandas has noted
    for at in reversed(range(table.num_columns)):
        for column in _forms(table.column(at)):
            try:
                column.to_pandas()
            except (pa.ArrowException, ValueError):
                continue
            table = table.set_column(at, table.column_names[at], column)
            break
        else:
            table = table.remove_column(at)
    try:
        return table.to_pandas()
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise SourceError(
            f"{path}: what pandas has noted in its schema is damaged ({error!r}); write or fetch "
            "it again."
        ) from error


def _with_plain_text(table: "pa.Table") -> "pa.Table":
    """Make text that is no UTF-8 bytes: where it is needed, its row is named."""
    import pyarrow as pa  # noqa: PLC0415  slow to load

    bytes_of = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
    for at, (name, kind) in enumerate(zip(table.column_names, table.schema.types, strict=True)):
        if kind in bytes_of:
            column = table.column(at)
            try:
                column.validate(full=True)
            except pa.ArrowInvalid:
                table = table.set_column(at, name, column.cast(bytes_of[kind]))
    return table


def _forms(column: "pa.ChunkedArray") -> Iterator["pa.ChunkedArray"]:
    """Forms in which pandas may know a column; Python's own dates end with the year 9999."""
    import pyarrow as pa  # noqa: PLC0415  slow to load

    yield column
    if pa.types.is_date(column.type):
        yield column.cast(pa.timestamp("ms"))
