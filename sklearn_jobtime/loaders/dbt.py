"""Run histories of dbt, from the `run_results.json` that each of its runs leaves behind."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._json_documents import field, json_documents
from sklearn_jobtime.loaders._open_file import MAX_BYTES, find_files
from sklearn_jobtime.loaders._states import read_states
from sklearn_jobtime.runs._long_table import long_table

__all__ = ["read_dbt"]


_TEXT = (str, NoneType)
_ROLES = {
    "series": "project/args.which",
    "run": "metadata.invocation_id",
    "job": "unique_id",
    "started_at": "timing[first].started_at",
    "ended_at": "timing[last].completed_at",
    "duration": "execution_time",
    "status": "status",
}


def read_dbt(
    source: str | Path, *, on_unknown: str = "error", max_bytes: int = MAX_BYTES
) -> pd.DataFrame:
    r"""Read the results of dbt's runs, as a long table with one row a model, test, seed, ...

    A series is a project and a command (``shop/build``), a run one invocation, a job a node by
    its unique id (``model.shop.orders``). dbt writes the file over at each run, so keep copies, one
    a run: ``cp target/run_results.json results/$(date -u +%FT%H%M%S).json``.

    Parameters
    ----------
    source : str or Path
        A file, a folder, or a pattern such as ``results/*.json``. Of a folder the files called
        like ``run_results`` are read, or all JSON files where there are none.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a status that is not known.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of each file.

    Returns
    -------
    DataFrame
        The long table, as :func:`~sklearn_jobtime.runs.long_table` describes it; nodes that were
        skipped have no times. ``.attrs["dropped"]`` counts results that stand twice,
        ``.attrs["notes"]`` says what was assumed.

    Raises
    ------
    SourceError
        When a file cannot be read or lacks a field; it names file and place.
    RunTableError
        When a status is unknown.

    Notes
    -----
    A node starts with the first and ends with the last step of its `timing`; its duration is its
    `execution_time`. Runs for several targets (``dev``, ``prod``) are a series each. Runs that
    selected some nodes only are in the series of their command: their other jobs have no value,
    but their whole run is shorter.

    References
    ----------
    .. [1] dbt, "Run results JSON file",
       https://docs.getdbt.com/reference/artifacts/run-results-json

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders import read_dbt
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "run_results.json")
    ...     _ = path.write_text('''{"metadata": {"invocation_id": "a1b2",
    ...         "generated_at": "2026-03-01T04:00:10.5Z"}, "args": {"which": "run"},
    ...         "results": [{"status": "success", "unique_id": "model.shop.orders",
    ...         "execution_time": 4.5, "timing": [
    ...         {"name": "compile", "started_at": "2026-03-01T04:00:01Z",
    ...          "completed_at": "2026-03-01T04:00:02Z"},
    ...         {"name": "execute", "started_at": "2026-03-01T04:00:02Z",
    ...          "completed_at": "2026-03-01T04:00:05.5Z"}]}]}''')
    ...     read_dbt(path)[["series", "run", "job", "duration", "status"]]
         series   run                job  duration   status
    0  shop/run  a1b2  model.shop.orders       4.5  success
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    other = 0
    for place, document in _documents(source, max_bytes):
        if isinstance(document, dict) and "results" in document and _is_run(document):
            rows.extend(_rows(document, place))
        else:
            other += 1
    if not rows:
        raise SourceError(
            f"{source}: holds no result of a dbt run; give the files target/run_results.json."
        )
    if other:
        notes.append(f"{other} JSON documents are no run results of dbt and were passed over.")
    table = pd.DataFrame(rows)
    for column, times in _spans(table).items():
        table[column] = times
    twice = table.duplicated(["run", "job"], keep="last")
    table = table[~twice]
    status, unknown = read_states(table["state"], "dbt", on_unknown=on_unknown)
    table = table.assign(
        series=_series(table, notes),
        status=status,
        has_ended=unknown,
        duration=_durations(table, notes),
    )
    partial = table.loc[table["selects"], "run"].nunique()
    if 0 < partial < table["run"].nunique():
        notes.append(
            f"{partial} of {table['run'].nunique()} runs selected or excluded nodes: their whole "
            "run is not comparable with that of the others."
        )
    kept = ["series", "run", "job", "started_at", "ended_at", "duration", "status"]
    long = long_table(table[[*kept, "has_ended"]], {"result that stands twice": int(twice.sum())})
    long.attrs |= {"notes": notes, "columns": dict(_ROLES)}
    return long


def _documents(source: str | Path, max_bytes: int) -> Iterator[tuple[str, Any]]:
    paths = find_files(source, (".json",))
    if Path(source).is_dir():
        paths = [path for path in paths if "run_results" in path.name] or paths
    for path in paths:
        yield from json_documents(path, max_bytes=max_bytes)


def _is_run(document: dict[str, Any]) -> bool:
    """Tell the results of a run from those of a check of sources, which are called alike."""
    metadata = document.get("metadata")
    schema = metadata.get("dbt_schema_version") if isinstance(metadata, dict) else None
    return schema is None or "run-results" in str(schema)


def _rows(document: dict[str, Any], place: str) -> Iterator[dict[str, Any]]:
    metadata = field(document, "metadata", dict, place)
    args = field(document, "args", (dict, NoneType), place) or {}
    invocation = field(metadata, "invocation_id", _TEXT, f"{place}.metadata")
    run = invocation or field(metadata, "generated_at", str, f"{place}.metadata")
    results = field(document, "results", list, place)
    ids = [field(r, "unique_id", str, f"{place}.results[{i}]") for i, r in enumerate(results)]
    # The packages that a project uses have nodes of their own, but fewer.
    packages = Counter(unique_id.split(".")[1] for unique_id in ids if unique_id.count(".") > 1)
    project = min(packages, key=lambda name: (-packages[name], name)) if packages else "dbt"
    for number, result in enumerate(results):
        at = f"{place}.results[{number}]"
        steps = field(result, "timing", (list, NoneType), at) or []
        times = [
            (field(s, "started_at", _TEXT, at), field(s, "completed_at", _TEXT, at)) for s in steps
        ]
        taken = result.get("execution_time")
        yield {
            "project": project,
            "command": field(args, "which", _TEXT, f"{place}.args") or "run",
            "target": field(args, "target", _TEXT, f"{place}.args"),
            "selects": any(args.get(name) for name in ("select", "exclude", "models", "selector")),
            "run": run,
            "job": ids[number],
            "state": field(result, "status", str, at),
            "steps": times,
            "taken": float(taken) if isinstance(taken, int | float) else None,
            "place": at,
        }


def _spans(table: pd.DataFrame) -> pd.DataFrame:
    """Start of the first and end of the last step of each result."""
    steps = [(row, *times) for row, all_of_it in table["steps"].items() for times in all_of_it]
    found = pd.DataFrame(steps, columns=["row", "started_at", "ended_at"]).set_index("row")
    for column in found:
        text = found[column].astype("str").where(found[column].notna())
        # pandas takes words such as "today" for times.
        written = text.where(text.str.match(r"\d{4}-\d\d-\d\dT\d").fillna(False).astype("bool"))
        found[column] = pd.to_datetime(written, format="ISO8601", utc=True, errors="coerce")
        if (wrong := found[column].isna() & text.notna()).any():
            place = table.loc[found.index[wrong][0], "place"]
            raise SourceError(f"{place}.timing: {text[wrong].iloc[0]!r} is no time.")
    spans = found.groupby(level=0).agg({"started_at": "min", "ended_at": "max"})
    return spans.reindex(table.index)


def _series(table: pd.DataFrame, notes: list[str]) -> pd.Series:
    series = table["project"] + "/" + table["command"]
    target = table["target"].fillna("no target")
    several = target.groupby(series).transform("nunique") > 1
    if several.any():
        notes.append(
            f"runs of {series[several].iloc[0]!r} were for several targets "
            f"({', '.join(sorted(target[several].unique()))}); each is a series of its own."
        )
    return series.where(~several, series + " (" + target + ")")


def _durations(table: pd.DataFrame, notes: list[str]) -> pd.Series:
    span = (table["ended_at"] - table["started_at"]).dt.total_seconds()
    taken = pd.to_numeric(table["taken"]).astype("float64")
    off = (taken - span).abs()
    if (differs := off > (0.1 * span).clip(lower=1.0)).any():
        notes.append(
            f"in {int(differs.sum())} results execution_time is not the span of the timing, by up "
            f"to {off.max():,.1f} s; execution_time is used."
        )
    # A node that never ran took no time that says anything.
    return taken.fillna(span).where(table["started_at"].notna() | (taken > 0))
