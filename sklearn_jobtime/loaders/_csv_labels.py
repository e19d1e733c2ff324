"""Names of series and runs that are texts, though they look like numbers, in our own CSV files.

CSV has no types: 7, 007 and NA are texts or not as their reader likes. In a file that
:func:`~sklearn_jobtime.loaders.write_table` wrote, the header tells: the names ``"series"`` and
``"run"`` stand in quotes where their values are texts, and no other name stands in quotes that
needs none. Other readers of CSV see no difference.
"""

import gzip
import re
from pathlib import Path

import pandas as pd

__all__ = ["text_labels", "write_csv"]


_LABELS = ("series", "run", "")  # "" is an index without a name


def _is_plain(name: str, separator: str = ",") -> bool:
    return not re.search(rf'[{re.escape(separator)}"\r\n]', name)


def _is_text(values: pd.Index | pd.Series) -> bool:
    return pd.api.types.infer_dtype(values, skipna=False) == "string"


def write_csv(table: pd.DataFrame, path: str | Path, *, index: bool) -> None:
    r"""Write a table as CSV whose header tells which labels are texts.

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
    >>> from sklearn_jobtime.loaders._csv_labels import write_csv
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
        if not _is_plain(name) or (name in _LABELS and _is_text(values)):
            name = '"' + name.replace('"', '""') + '"'
        fields.append(name)
    is_packed = str(path).endswith(".gz")
    with (gzip.open if is_packed else open)(path, "wt", encoding="utf-8", newline="") as file:
        file.write(",".join(fields) + "\n")
        table.to_csv(file, index=index, header=False, lineterminator="\n")


def text_labels(head: str, separator: str) -> list[int]:
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
        Places of the columns `series` and `run`; none in a file that we did not write.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._csv_labels import text_labels
    >>> text_labels('series,"run",build', ","), text_labels('"run","build"', ",")
    ([1], [])
    """
    mark = re.escape(separator)
    field = re.compile(rf'"((?:[^"]|"")*)"|([^{mark}"\r\n]*)')
    quoted: dict[int, str] = {}
    at = place = 0
    while found := field.match(head, at):
        if found[1] is not None:
            quoted[place] = found[1].replace('""', '"')
        at, place = found.end() + 1, place + 1
        if head[at - 1 : at] != separator:
            break
    needless = {place: name for place, name in quoted.items() if _is_plain(name, separator)}
    return list(needless) if set(needless.values()) <= set(_LABELS) else []
