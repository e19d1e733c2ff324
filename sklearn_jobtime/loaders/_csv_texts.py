"""Texts that look like numbers, truth values or missing ones, in our own CSV files.

CSV has no types: 7, 007, true and NA are texts or not as their reader likes. In a file that
:func:`~sklearn_jobtime.loaders.write_table` wrote, the header tells: the names of columns of texts
stand in quotes, and no other name stands in quotes that needs none; those of jobs never do. In
such a column an empty text is written ``""``, a missing one as nothing. Other readers of CSV see
no difference. A name that needs its quotes, for a comma in it, tells nothing: such a column is read
as its values look.
"""

import gzip
import io
import re
from pathlib import Path

import pandas as pd

from sklearn_jobtime.loaders._open_file import MAX_BYTES, open_bytes
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT, STATUS_SUFFIX

__all__ = ["missing_texts", "text_columns", "write_csv"]


_LABELS = ("series", "run", "")  # "" is an index without a name
_EMPTY = "\udcff"  # stands for an empty text while writing; no text that can be written holds it


def _is_plain(name: str, separator: str = ",") -> bool:
    return not re.search(rf'[{re.escape(separator)}"\r\n]', name)


def _is_text(values: pd.Index | pd.Series, name: str) -> bool:
    if name.endswith(STATUS_SUFFIX):  # whose words look like nothing else
        return False
    return pd.api.types.infer_dtype(values, skipna=True) == "string"


def write_csv(table: pd.DataFrame, path: str | Path, *, index: bool) -> None:
    r"""Write a table as CSV whose header tells which columns are texts.

    Parameters
    ----------
    table : DataFrame
        Columns of one level.
    path : str or Path
        A name that ends in ``.csv`` or ``.csv.gz``.
    index : bool
        Whether its index is written too.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._csv_texts import write_csv
    >>> runs = pd.DataFrame({"build": [40.0]}, index=pd.Index(["007"], name="run"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "runs.csv")
    ...     write_csv(runs, path, index=True)
    ...     path.read_text()
    '"run",build\n007,40.0\n'
    """
    levels = [table.index.get_level_values(k) for k in range(table.index.nlevels * index)]
    columns = [table.iloc[:, k] for k in range(table.shape[1])]
    fields = []
    for values in (*levels, *columns):
        name = "" if values.name is None else str(values.name)
        if not _is_plain(name) or _is_text(values, name):
            name = '"' + name.replace('"', '""') + '"'
        fields.append(name)
    body = _body(table, index)
    is_packed = str(path).endswith(".gz")
    with (gzip.open if is_packed else open)(path, "wt", encoding="utf-8", newline="") as file:
        file.write(",".join(fields) + "\n")
        file.write(body)


def _body(table: pd.DataFrame, index: bool) -> str:
    """Write the rows; pandas writes an empty text and a missing one alike."""
    empty = [k for k in range(table.shape[1]) if (table.iloc[:, k] == "").any()]
    if empty:
        table = table.astype({table.columns[k]: object for k in empty})
        for k in empty:
            table.isetitem(k, table.iloc[:, k].where(table.iloc[:, k] != "", _EMPTY))
    body = io.StringIO(newline="")
    table.to_csv(body, index=index, header=False, lineterminator="\n")
    return body.getvalue().replace(_EMPTY, '""')


def text_columns(head: str, separator: str) -> list[int]:
    """Tell which columns hold texts as they stand, from the beginning of a CSV file.

    Parameters
    ----------
    head : str
        The header line, or more.
    separator : str
        What separates the fields.

    Returns
    -------
    list of int
        Their places; none in a file that we did not write, such as one of which all names stand
        in quotes.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._csv_texts import text_columns
    >>> text_columns('series,"run",build,"event"', ","), text_columns('"run","build"', ",")
    ([1, 3], [])
    """
    mark = re.escape(separator)
    field = re.compile(rf'"((?:[^"]|"")*)"|([^{mark}"\r\n]*)')
    quoted: dict[int, str] = {}
    bare = []
    at = place = 0
    while found := field.match(head, at):
        if found[1] is not None:
            quoted[place] = found[1].replace('""', '"')
        else:
            bare.append(found[2])
        at, place = found.end() + 1, place + 1
        if head[at - 1 : at] != separator:
            break
    needless = {place: name for place, name in quoted.items() if _is_plain(name, separator)}
    named = (*_LABELS, STARTED_AT, ENDED_AT)
    of_ours = len(needless) < len(quoted) or any(
        name not in named and not name.endswith(STATUS_SUFFIX) for name in bare
    )  # a job is not in quotes, or its name needs them
    is_ours = bare and of_ours and not {STARTED_AT, ENDED_AT} & set(needless.values())
    return list(needless) if is_ours or set(needless.values()) <= set(_LABELS) else []


def missing_texts(path: Path, names: list[str], max_bytes: int = MAX_BYTES) -> pd.DataFrame:
    """Tell the missing texts of columns of our own file from the empty ones, which are quoted.

    Parameters
    ----------
    path : Path
        The file.
    names : list of str
        The columns.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read.

    Returns
    -------
    DataFrame of bool
        In the order of the rows.
    """
    from pyarrow import csv, string  # noqa: PLC0415  slow to load

    convert = csv.ConvertOptions(
        include_columns=names,
        column_types=dict.fromkeys(names, string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = csv.ParseOptions(newlines_in_values=True)
    with open_bytes(path, max_bytes=max_bytes) as file:
        read = csv.ReadOptions(block_size=1 << 24)
        table = csv.read_csv(file, read_options=read, parse_options=parse, convert_options=convert)
    return table.to_pandas().isna()
