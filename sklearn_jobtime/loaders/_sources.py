"""One string for every source, so that all commands read all of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from sklearn_jobtime.exceptions import RunTableError, SourceError
from sklearn_jobtime.loaders._duplicates import settle_duplicates
from sklearn_jobtime.loaders._identity import identity_notes, job_question
from sklearn_jobtime.loaders._json_table import is_json
from sklearn_jobtime.loaders._named_jobs import with_statuses
from sklearn_jobtime.loaders._open_file import MAX_BYTES
from sklearn_jobtime.loaders._recognise import Recognised, looks_like, recognised
from sklearn_jobtime.loaders._report import reading_report, run_table_notes
from sklearn_jobtime.loaders._run_tables import as_runs
from sklearn_jobtime.loaders._source_options import keywords, options_for
from sklearn_jobtime.loaders._states import own_states
from sklearn_jobtime.loaders._table_form import table_form
from sklearn_jobtime.loaders.files import FILE_ENDINGS, as_log, as_long, read_table
from sklearn_jobtime.runs._long_table import pivot_runs
from sklearn_jobtime.runs._schema import STARTED_AT, clock_columns, job_columns, owner_of

__all__ = ["SOURCES", "read_source"]


SOURCES = {
    "FILE": "a file that ends in .csv, .tsv, .parquet or .jsonl, also with .gz, .bz2, .xz or .zip",
    "FILE.json": "runs or jobs of GitLab, Buildkite, Azure DevOps, CircleCI, Airflow, Prefect, "
    "Cloud Build or gh run list, or your own with --column job=PATH.TO.NAME",
    "json:PATH": "the same from several files: a folder or a pattern",
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
    "lsf:PATH": "LSF's accounting file lsb.acct: a file, a folder or a pattern",
}


def read_source(
    source: str,
    *,
    since: str | None = None,
    jobs: Sequence[str] | None = None,
    columns: Mapping[str, str | None] | Sequence[str] | None = None,
    durations: Sequence[str] | None = None,
    states: Mapping[str, str | None] | None = None,
    timezone: str | None = None,
    delimiter: str | None = None,
    by: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    on_duplicate: str = "auto",
    on_unknown: str = "error",
    top_jobs: int | None = None,
    job_starts: bool = True,
    max_bytes: int = MAX_BYTES,
) -> pd.DataFrame:
    """Read a run history from wherever it is into a validated run table.

    ========================== ==============================================================
    source                     what it reads
    ========================== ==============================================================
    ``runs.csv``               a run table, or a log with one row a job of a run; also
                               ``.csv.gz``, ``.parquet``, ``.jsonl``, ``.jsonl.gz``
    ``pages.json``             JSON as it comes: records of GitLab, Buildkite, Azure DevOps,
                               CircleCI, Airflow, Prefect, Google Cloud Build and ``gh run list``
                               are recognised by their fields; of others `columns` has the paths
    ``json:PATH``              the same from a folder or a pattern
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
    ``lsf:PATH``               :func:`~sklearn_jobtime.loaders.read_lsf`
    ========================== ==============================================================

    Parameters
    ----------
    source : str
        Which source; see the table.
    since : str, default=None
        Keep what started at this time or later; databases filter by it themselves.
    jobs : sequence of str, default=None
        Keep these jobs only.
    columns : mapping of str to str or None, or sequence of str, default=None
        Which column of a log or a database table is which, where the guess is wrong. In JSON a
        column is a path: ``pipeline.id``, ``steps.0.name``, or ``jobs[].name`` for each job of a
        list. A sequence names the fields of what `sacct` printed without a header, in their order.
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
    options : mapping of str to object, default=None
        Further keywords of the reader of this source, such as ``{"steps": True}`` for Slurm and
        GitHub or ``{"tries": "all"}`` for Airflow.
    on_duplicate : {"auto", "last", "join", "error"}, default="auto"
        A job that stands twice in a run: the last row counts (tries), or all are joined from the
        first start to the last end (parts). ``"auto"`` joins a job whose rows overlap.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a state that nothing maps.
    top_jobs : int, default=None
        Keep the jobs with the most seconds; see :func:`~sklearn_jobtime.runs.pivot_runs`.
    job_starts : bool, default=True
        Keep when each job started, as ``<job>__started_at``, where a run has several: what became
        of a job is then known at its own end, and graphs of jobs can be learned. False: a table
        with fewer columns.
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
    mapping = columns if isinstance(columns, Mapping) else None
    fields = list(columns) if columns and mapping is None else None
    if (found := _recognised(source, fields, max_bytes)) is not None:
        scheme, colon, rest = found.system, ":", source
        delimiter = delimiter or found.delimiter
        notes.append(f"read as {found.system}:{source}, since {found.why}.")
    given: dict[str, Any] = {"columns": mapping, "fields": fields}
    given |= {"states": states, "timezone": timezone, "delimiter": delimiter, "by": by}
    given |= options or {}
    if scheme in READERS and colon:
        long = _read_system(scheme, rest, given, on_unknown=on_unknown, max_bytes=max_bytes)
    elif "://" in source:
        long = _read_database(source, since, jobs, given, on_unknown)
    elif source.endswith(FILE_ENDINGS) or source.startswith("json:") or is_json(source):
        source = source.removeprefix("json:")
        is_csv = any(end in source.lower() for end in (".csv", ".tsv"))
        uses = ("columns", "states", "timezone", *(["delimiter"] if is_csv else []))
        used = options_for(given, (*uses, "index"), "a file" if is_csv else "such a file")
        index, delimiter, _ = (used.pop(n, None) for n in ("index", "delimiter", "columns"))
        with own_states(states):
            table = read_table(source, delimiter=delimiter, columns=mapping, max_bytes=max_bytes)
        form = "log" if mapping else table_form(table, source=source, jobs=durations or jobs)
        if form == "runs":
            runs = _read_runs(
                table, source, given, notes, index, durations, jobs, since, on_unknown
            )
            if not job_starts:
                runs = without_starts(runs)
            return _reported(runs, None, durations or jobs or ())
        options_for(given, uses, f"{source}, a log,")
        if form == "long":
            long = as_long(table, source, states=states, on_unknown=on_unknown)
        else:
            long = as_log(table, source, columns=mapping, on_unknown=on_unknown, **used)
    else:
        raise _unknown(source)
    long, settled = settle_duplicates(long, on_duplicate)
    runs = _pivoted(long, jobs, top_jobs, job_starts=job_starts)
    runs = _since(runs, since)
    runs.attrs["notes"] = [*notes, *long.attrs.get("notes", []), *settled]
    of_system = colon and (scheme in READERS or scheme.startswith("airflow"))
    why = f"field of {scheme.partition('+')[0]}" if of_system else "usual name"
    return _reported(runs, long.attrs.get("columns", {}), mapping or (), why)


def _recognised(source: str, fields: list[str] | None, max_bytes: int) -> Recognised | None:
    """Tell which system wrote a file that comes without a scheme."""
    scheme, colon, _ = source.partition(":")
    if (scheme in READERS and colon) or "://" in source:
        return None
    found = recognised(source, max_bytes=max_bytes)
    if found is None and fields and not source.endswith(FILE_ENDINGS):
        return Recognised("slurm", "its fields were named, as of sacct without a header")
    return found


def _read_runs(
    table: pd.DataFrame,
    source: str,
    given: Mapping[str, Any],
    notes: list[str],
    index: Any,
    durations: Sequence[str] | None,
    jobs: Sequence[str] | None,
    since: str | None,
    on_unknown: str,
) -> pd.DataFrame:
    """Read a file that is a run table, with notes on what was concluded of it."""
    named = durations or jobs
    table = with_statuses(table, named or (), notes, states=given["states"], on_unknown=on_unknown)
    own = ("timezone", "delimiter", "index", *(["states"] if notes else []))
    options_for(given, own, f"{source}, a run table,")
    runs = as_runs(table, source, jobs=durations, index=index, timezone=given["timezone"])
    runs = _since(_with_jobs(runs, jobs), since)
    runs.attrs = {"notes": [*notes, *run_table_notes(table, runs, given["timezone"], named)]}
    return runs


def _unknown(source: str) -> SourceError:
    hint = looks_like(source)
    forms = "; ".join(f"{form} ({what})" for form, what in SOURCES.items())
    return SourceError(
        f"{source!r} is no known source; {f'{hint} ' if hint else ''}expected {forms}."
    )


def _reported(
    runs: pd.DataFrame,
    columns: Mapping[str, str] | None,
    named: Collection[str],
    why: str = "",
) -> pd.DataFrame:
    jobs = job_columns(runs, list(named) if columns is None and named else None)
    runs.attrs["notes"] = [*runs.attrs.get("notes", []), *identity_notes(runs, jobs)]
    runs.attrs["report"] = reading_report(runs, columns, named, why)
    return runs


def _files(reader: str, module: str) -> Callable[..., pd.DataFrame]:
    def read(path: str, **options: Any) -> pd.DataFrame:
        from importlib import import_module  # noqa: PLC0415 - each source loads its own reader only

        return getattr(import_module(f"sklearn_jobtime.loaders.{module}"), reader)(path, **options)

    return read


READERS = {
    system: _files(f"read_{system}", system)
    for system in ("slurm", "swf", "github", "jenkins", "dbt", "nextflow", "pbs", "sge", "lsf")
}


def _read_system(system: str, path: str, given: Mapping[str, Any], **options: Any) -> pd.DataFrame:
    used = options_for(given, keywords(f"{system}:"), f"{system}:")
    states = used.pop("states", None)
    if "fields" in used:
        used["columns"] = used.pop("fields")
    with own_states(states):
        return READERS[system](path, **options, **used)


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

        used = options_for(given, keywords("airflow+URL"), "airflow+URL")
        with own_states(used.pop("states", None)):
            return read_airflow(url.removeprefix("airflow+"), **filters, **used)
    if not table:
        raise SourceError(
            f"{url.partition('://')[0]}://...: names no table; add one behind '#', as in "
            "sqlite:///runs.db#log, or a query."
        )
    if url.startswith("bigquery://"):
        from sklearn_jobtime.loaders.bigquery import read_bigquery  # noqa: PLC0415

        known = keywords("bigquery://PROJECT#TABLE") - {"project", "client"}
        filters |= options_for(given, known, "bigquery://")
        return read_bigquery(table, project=url.removeprefix("bigquery://") or None, **filters)
    from sklearn_jobtime.loaders.sql import read_sql  # noqa: PLC0415

    filters |= options_for(given, keywords("URL#TABLE"), "a database")
    return read_sql(url, table, **filters)


def without_starts(runs: pd.DataFrame) -> pd.DataFrame:
    """Leave the starts and ends of jobs out of a run table."""
    return runs.drop(columns=clock_columns(runs))


def _pivoted(
    long: pd.DataFrame, jobs: Sequence[str] | None, top_jobs: int | None, *, job_starts: bool
) -> pd.DataFrame:
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
    try:
        runs = pivot_runs(long, top_jobs=top_jobs, job_starts=job_starts)
    except RunTableError as error:
        raise RunTableError(f"{error} {job_question(long)}".strip()) from None
    runs.attrs = {
        **attrs,
        "no_outcome": runs.attrs["no_outcome"],
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
    every = dict.fromkeys([*kept, *job_columns(runs)])
    return runs[[c for c in runs if owner_of(c, every) in (None, *kept)]]


def _since(runs: pd.DataFrame, since: str | None) -> pd.DataFrame:
    if since is None or STARTED_AT not in runs:
        return runs
    from sklearn_jobtime.loaders._moments import since_utc  # noqa: PLC0415

    late = runs[runs[STARTED_AT] >= since_utc(since)]
    if late.empty:
        raise RunTableError(
            f"no run started at {since} or later; the newest started at {runs[STARTED_AT].max()}."
        )
    return late
