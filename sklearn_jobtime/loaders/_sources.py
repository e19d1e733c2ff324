"""One string for every source, so that all commands read all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders._open_file import MAX_BYTES
from sklearn_jobtime.loaders.files import FILE_ENDINGS, as_log, as_runs, is_log, read_table
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
        ``.attrs["columns"]`` tells which column was taken for what, where that was guessed.

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
    if scheme in _READERS and colon:
        long = _READERS[scheme](rest, on_unknown=on_unknown, max_bytes=max_bytes)
    elif "://" in source:
        long = _read_database(source, since, jobs, columns, on_unknown)
    elif source.endswith(FILE_ENDINGS):
        table = read_table(source, max_bytes=max_bytes)
        if columns is None and not is_log(table):
            return _since(_with_jobs(as_runs(table, source, jobs=durations), jobs), since)
        long = as_log(table, source, columns=columns, on_unknown=on_unknown)
    else:
        raise SourceError(
            f"{source!r} is no known source; expected "
            + "; ".join(f"{form} ({what})" for form, what in SOURCES.items())
            + "."
        )
    runs = _pivoted(long, jobs, top_jobs)
    return _since(runs, since)


def _files(reader: str, module: str) -> Callable[..., pd.DataFrame]:
    def read(path: str, **options: Any) -> pd.DataFrame:
        from importlib import import_module  # noqa: PLC0415 - each source loads its own reader only

        return getattr(import_module(f"sklearn_jobtime.loaders.{module}"), reader)(path, **options)

    return read


_READERS = {
    system: _files(f"read_{system}", system)
    for system in ("slurm", "swf", "github", "jenkins", "dbt", "nextflow", "pbs", "sge")
}


def _read_database(
    source: str,
    since: str | None,
    jobs: Sequence[str] | None,
    columns: Mapping[str, str | None] | None,
    on_unknown: str,
) -> pd.DataFrame:
    url, _, table = source.partition("#")
    filters: dict[str, Any] = {"since": since, "jobs": jobs, "on_unknown": on_unknown}
    if url.startswith("airflow+"):
        from sklearn_jobtime.loaders.airflow import read_airflow  # noqa: PLC0415

        return read_airflow(url.removeprefix("airflow+"), **filters)
    if not table:
        raise SourceError(
            f"{url.partition('://')[0]}://...: names no table; add one behind '#', as in "
            "sqlite:///runs.db#log, or a query."
        )
    if url.startswith("bigquery://"):
        from sklearn_jobtime.loaders.bigquery import read_bigquery  # noqa: PLC0415

        project = url.removeprefix("bigquery://") or None
        return read_bigquery(table, project=project, columns=columns, **filters)
    from sklearn_jobtime.loaders.sql import read_sql  # noqa: PLC0415

    return read_sql(url, table, columns=columns, **filters)


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
    if len(runs.index.levels[0]) == 1:
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
