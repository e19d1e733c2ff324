"""One string for every source, so that all commands read all of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders._duplicates import settle_duplicates
from sklearn_jobtime.loaders._open_file import MAX_BYTES
from sklearn_jobtime.loaders._recognise import looks_like, recognised
from sklearn_jobtime.loaders._report import reading_report, run_table_notes
from sklearn_jobtime.loaders._states import own_states
from sklearn_jobtime.loaders._table_form import table_form
from sklearn_jobtime.loaders.files import FILE_ENDINGS, as_log, as_long, as_runs, read_table
from sklearn_jobtime.runs._long_table import pivot_runs
from sklearn_jobtime.runs._schema import STARTED_AT, derives, job_columns

__all__ = ["SOURCES", "read_source"]


SOURCES = {
    "FILE": "a file that ends in .csv, .tsv, .parquet or .jsonl, also with .gz, .bz2, .xz or .zip",
    "airflow+URL": "Airflow's metadata database, such as airflow+sqlite:///airflow.db",
    "URL#TABLE": "a SQL database and a table or query, such as sqlite:///runs.db#log",
    "bigquery://PROJECT#TABLE": "Google BigQuery and a table or query",
    "slurm:FILE": "what `sacct --parsable2` or `sacct --json` printed",
    "swf:FILE": "a log in Standard Workload Format",
    "github:PATH": "pages of GitHub's REST API (runs, jobs): a file, a folder or a pattern",
    "jenkins:PATH": "pages of Jenkins's api/json: a file, a folder or a pattern",
    "dbt:PATH": "dbt's run_results.json, one a run: a file, a folder or a pattern",
    "nextflow:PATH": "Nextflow's trace files, one a run: a file, a folder or a pattern",
    "pbs:PATH": "accounting logs of PBS or Torque: a file, a folder or a pattern",
    "sge:PATH": "the accounting file of Grid Engine: a file, a folder or a pattern",
}


def read_source(
    source: str,
    *,
    since: str | None = None,
    jobs: Sequence[str] | None = None,
    columns: Mapping[str, str | None] | None = None,
    durations: Sequence[str] | None = None,
    states: Mapping[str, str | None] | None = None,
    timezone: str | None = None,
    delimiter: str | None = None,
    by: Sequence[str] | None = None,
    on_duplicate: str = "auto",
    on_unknown: str = "error",
    top_jobs: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    """Read a run history from wherever it is into a validated run table.

    ========================== ==============================================================
    source                     what it reads
    ========================== ==============================================================
    ``runs.csv``               a run table, or a log with one row a job of a run; also
                               ``.csv.gz``, ``.parquet``, ``.jsonl``, ``.jsonl.gz``
    ``airflow+URL``            :func:`~sklearn_jobtime.loaders.read_airflow`
    ``URL#TABLE``              :func:`~sklearn_jobtime.loaders.read_sql`; a query may stand in
                               the place of the table
    ``bigquery://PROJECT#...`` :func:`~sklearn_jobtime.loaders.read_bigquery`
    ``slurm:FILE``             :func:`~sklearn_jobtime.loaders.read_slurm`
    ``swf:FILE``               :func:`~sklearn_jobtime.loaders.read_swf`
    ``github:PATH``            :func:`~sklearn_jobtime.loaders.read_github`
    ``jenkins:PATH``           :func:`~sklearn_jobtime.loaders.read_jenkins`
    ``dbt:PATH``               :func:`~sklearn_jobtime.loaders.read_dbt`
    ``nextflow:PATH``          :func:`~sklearn_jobtime.loaders.read_nextflow`
    ``pbs:PATH``               :func:`~sklearn_jobtime.loaders.read_pbs`
    ``sge:PATH``               :func:`~sklearn_jobtime.loaders.read_sge`
    ========================== ==============================================================

    Parameters
    ----------
    source : str
        Which source; see the table.
    since : str, default=None
        Keep what started at this time or later; databases filter by it themselves.
    jobs : sequence of str, default=None
        Keep these jobs only.
    columns : mapping of str to str or None, default=None
        Which column of a log or a database table is which, where the guess is wrong.
    durations : sequence of str, default=None
        The columns of durations of a file that is a run table; None finds them as
        :func:`~sklearn_jobtime.runs.job_columns` does.
    states : mapping of str to str or None, default=None
        Your own states to the one vocabulary (None: has not ended), before the usual ones.
    timezone : str, default=None
        Zone of the times that name none, such as ``"Europe/Berlin"``; None: UTC.
    delimiter : str, default=None
        What separates the fields of a CSV file, or of what `sacct` printed.
    by : sequence of str, default=None
        The fields that name a series of a log in Standard Workload Format.
    on_duplicate : {"auto", "last", "join", "error"}, default="auto"
        A job that stands twice in a run: the last row counts (tries), or all are joined from the
        first start to the last end (parts). ``"auto"`` joins a job whose rows overlap.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a state that nothing maps.
    top_jobs : int, default=None
        Keep the jobs with the most seconds; see :func:`~sklearn_jobtime.runs.pivot_runs`.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read of a file.

    Returns
    -------
    DataFrame
        A validated run table. ``.attrs["dropped"]`` counts what was left out, by reason;
        ``.attrs["columns"]`` tells which column was taken for what, where that was guessed;
        ``.attrs["notes"]`` says what was concluded; ``.attrs["report"]`` sums the reading up;
        ``.attrs["series"]`` names the one series of a source that names it.

    Raises
    ------
    SourceError
        When the source is of no known kind or cannot be read.
    RunTableError
        When what it holds makes no run table.

    Examples
    --------
    >>> from sklearn_jobtime.loaders import read_source
    >>> read_source("oracle of delphi")
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.SourceError: 'oracle of delphi' is no known source; expected ...
    """
    scheme, colon, rest = source.partition(":")
    notes: list[str] = []
    if not (scheme in READERS and colon) and "://" not in source:
        found = recognised(source, max_bytes=max_bytes)
        if found is not None:
            scheme, colon, rest = found.system, ":", source
            delimiter = delimiter or found.delimiter
            notes.append(f"read as {found.system}:{source}, since {found.why}.")
    given: dict[str, Any] = {"columns": columns, "states": states, "timezone": timezone}
    given |= {"delimiter": delimiter, "by": by}
    if scheme in READERS and colon:
        used = _given(given, (*_USES.get(scheme, ()), "states"), f"{scheme}:")
        used.pop("states", None)
        with own_states(states):
            long = READERS[scheme](rest, on_unknown=on_unknown, max_bytes=max_bytes, **used)
    elif "://" in source:
        long = _read_database(source, since, jobs, given, on_unknown)
    elif source.endswith(FILE_ENDINGS):
        is_csv = any(f"{end}" in source.lower() for end in (".csv", ".tsv"))
        uses = ("columns", "states", "timezone", *(["delimiter"] if is_csv else []))
        used = _given(given, uses, "a file" if is_csv else "such a file")
        used.pop("columns", None)
        table = read_table(source, delimiter=used.pop("delimiter", None), max_bytes=max_bytes)
        form = "log" if columns else table_form(table, source=source, jobs=durations or jobs)
        if form == "runs":
            _given(given, ("timezone", "delimiter"), f"{source}, a run table,")
            runs = as_runs(table, source, jobs=durations, timezone=timezone)
            runs = _since(_with_jobs(runs, jobs), since)
            runs.attrs = {"notes": run_table_notes(table, runs, timezone, durations or jobs)}
            return _reported(runs, None, durations or jobs or ())
        if form == "long":
            long = as_long(table, source, states=states, on_unknown=on_unknown)
        else:
            long = as_log(table, source, columns=columns, on_unknown=on_unknown, **used)
    else:
        raise _unknown(source)
    long, settled = settle_duplicates(long, on_duplicate)
    runs = _pivoted(long, jobs, top_jobs)
    runs = _since(runs, since)
    runs.attrs["notes"] = [*notes, *long.attrs.get("notes", []), *settled]
    return _reported(runs, long.attrs.get("columns", {}), columns or ())


def _unknown(source: str) -> SourceError:
    hint = looks_like(source)
    forms = "; ".join(f"{form} ({what})" for form, what in SOURCES.items())
    return SourceError(
        f"{source!r} is no known source; {f'{hint} ' if hint else ''}expected {forms}."
    )


_REMEDIES = {
    "columns": "columns={...}",
    "states": "states={...}",
    "timezone": "timezone=",
    "delimiter": "delimiter=",
    "by": "by=",
}


def _given(options: Mapping[str, Any], used: Sequence[str], source: str) -> dict[str, Any]:
    """Options that were given, all of which the source must use."""
    given = {name: value for name, value in options.items() if value}
    if unused := [name for name in given if name not in used]:
        raise SourceError(
            f"{source} does not use {_REMEDIES[unused[0]]}; leave it out."
            + (f" It uses {', '.join(_REMEDIES[name] for name in used)}." if used else "")
        )
    return given


def _reported(
    runs: pd.DataFrame, columns: Mapping[str, str] | None, named: Collection[str]
) -> pd.DataFrame:
    runs.attrs["report"] = reading_report(runs, columns, named)
    return runs


def _files(reader: str, module: str) -> Callable[..., pd.DataFrame]:
    def read(path: str, **options: Any) -> pd.DataFrame:
        from importlib import import_module  # noqa: PLC0415 - each source loads its own reader only

        return getattr(import_module(f"sklearn_jobtime.loaders.{module}"), reader)(path, **options)

    return read


READERS = {
    system: _files(f"read_{system}", system)
    for system in ("slurm", "swf", "github", "jenkins", "dbt", "nextflow", "pbs", "sge")
}


_USES = {
    "slurm": ("timezone", "delimiter"),
    "swf": ("by",),
    "nextflow": ("timezone",),
}


def _read_database(
    source: str,
    since: str | None,
    jobs: Sequence[str] | None,
    given: Mapping[str, Any],
    on_unknown: str,
) -> pd.DataFrame:
    url, _, table = source.partition("#")
    filters: dict[str, Any] = {"since": since, "jobs": jobs, "on_unknown": on_unknown}
    if url.startswith("airflow+"):
        from sklearn_jobtime.loaders.airflow import read_airflow  # noqa: PLC0415

        _given(given, ("states",), "airflow+URL")
        with own_states(given["states"]):
            return read_airflow(url.removeprefix("airflow+"), **filters)
    if not table:
        raise SourceError(
            f"{url.partition('://')[0]}://...: names no table; add one behind '#', as in "
            "sqlite:///runs.db#log, or a query."
        )
    filters |= _given(given, ("columns", "states", "timezone"), "a database")
    if url.startswith("bigquery://"):
        from sklearn_jobtime.loaders.bigquery import read_bigquery  # noqa: PLC0415

        return read_bigquery(table, project=url.removeprefix("bigquery://") or None, **filters)
    from sklearn_jobtime.loaders.sql import read_sql  # noqa: PLC0415

    return read_sql(url, table, **filters)


def _pivoted(long: pd.DataFrame, jobs: Sequence[str] | None, top_jobs: int | None) -> pd.DataFrame:
    if jobs is not None:
        if missing := sorted(set(jobs) - set(long["job"])):
            raise RunTableError(
                f"no run has a job {missing[0]!r}; there are {sorted(set(long['job']))[:20]}."
            )
        long = long[long["job"].isin(list(jobs))]
    if long.empty:
        raise RunTableError(
            "the source holds no run that could be used"
            + "".join(f"; left out: {n} {why}" for why, n in long.attrs.get("dropped", {}).items())
            + ". Check the filters."
        )
    attrs = long.attrs
    runs = pivot_runs(long, top_jobs=top_jobs)
    runs.attrs = {
        **attrs,
        "dropped": {**attrs.get("dropped", {}), **runs.attrs["dropped"]},
    }
    if runs.index.nlevels == 2 and len(runs.index.levels[0]) == 1:
        runs.attrs["series"] = str(runs.index[0][0])  # for people; the table is that of one series
        runs.index = runs.index.droplevel(0)
    return runs


def _with_jobs(runs: pd.DataFrame, jobs: Sequence[str] | None) -> pd.DataFrame:
    """Leave the other jobs of a run table out, with their statuses and clocks."""
    if jobs is None:
        return runs
    kept = job_columns(runs, jobs)
    others = set(job_columns(runs)) - set(kept)
    return runs[
        [
            column
            for column in runs
            if any(derives(column, job) for job in kept)
            or not any(derives(column, job) for job in others)
        ]
    ]


def _since(runs: pd.DataFrame, since: str | None) -> pd.DataFrame:
    if since is None or STARTED_AT not in runs:
        return runs
    from sklearn_jobtime.loaders._conversion import since_utc  # noqa: PLC0415

    late = runs[runs[STARTED_AT] >= since_utc(since)]
    if late.empty:
        raise RunTableError(
            f"no run started at {since} or later; the newest started at {runs[STARTED_AT].max()}."
        )
    return late
