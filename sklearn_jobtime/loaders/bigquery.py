"""Run histories from Google BigQuery, with the official client."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._column_names import EPOCH_UNITS, map_columns, unit_of
from sklearn_jobtime.loaders._mapped_long import mapped_long
from sklearn_jobtime.loaders._moments import since_utc
from sklearn_jobtime.loaders._typed_columns import typed_rows
from sklearn_jobtime.loaders.sql import is_query
from sklearn_jobtime.runs._schema import STARTED_AT

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["read_bigquery"]


def read_bigquery(
    table_or_query: str,
    *,
    project: str | None = None,
    client: "bigquery.Client | None" = None,
    columns: Mapping[str, str | None] | None = None,
    since: str | datetime | None = None,
    jobs: Sequence[str] | None = None,
    states: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
    timezone: str | None = None,
    chunk_rows: int = 100_000,
    timeout: float = 60.0,
) -> pd.DataFrame:
    """Read a run history from a table or a query of BigQuery.

    For the log table of an ETL system that ends up in the warehouse. What the columns mean is
    found as by :func:`~sklearn_jobtime.loaders.read_sql`, from a dry run, which costs nothing;
    only the mapped columns are then read. The filters are part of the query that BigQuery runs,
    so that it reads only the partitions they ask for.

    Parameters
    ----------
    table_or_query : str
        ``dataset.table`` or ``project.dataset.table``; or a query in GoogleSQL that begins with
        SELECT, WITH or FROM.
    project : str, default=None
        The project that pays. None takes the client's, by default that of your credentials.
    client : google.cloud.bigquery.Client, default=None
        For other credentials, a location, or a limit of the bytes billed. None makes one of the
        application default credentials.
    columns, since, jobs, states, on_unknown
        As of :func:`~sklearn_jobtime.loaders.read_sql`.
    timezone : str, default=None
        Zone of the times that name none, such as ``"Europe/Berlin"``. None: UTC.
    chunk_rows : int, default=100_000
        The most rows in one answer of the server, which bounds the memory beside the table itself.
    timeout : float, default=60.0
        Seconds to go on trying to reach BigQuery before giving up.

    Returns
    -------
    DataFrame
        A long table; see :func:`~sklearn_jobtime.runs.long_table`.

    Raises
    ------
    SourceError
        When there are no credentials or rights, or the table or query lacks what is needed.

    Examples
    --------
    >>> from sklearn_jobtime.loaders import read_bigquery
    >>> read_bigquery("ops.task_runs", since="2026-01-01", jobs=["load"])  # doctest: +SKIP
    """
    if isinstance(jobs, str):
        raise ValueError(f"jobs={jobs!r}: expected a list of jobs, such as [{jobs!r}].")
    start = None if since is None else since_utc(since)
    earliest = start if start is None or timezone is None else start - pd.Timedelta(days=1)
    history = _history(table_or_query)
    source = "BigQuery" if is_query(table_or_query) else f"BigQuery, table {table_or_query}"
    with _errors_of(source), _client(client, project) as connected:
        from google.cloud import bigquery  # noqa: PLC0415

        retry = bigquery.DEFAULT_RETRY.with_timeout(timeout)

        dry = connected.query(
            f"SELECT * FROM {history}",
            job_config=bigquery.QueryJobConfig(dry_run=True, use_legacy_sql=False),
            project=project,
            retry=retry,
            job_retry=None,  # it would go on for forty minutes
        )
        types = {field.name: field.field_type for field in dry.schema}
        mapping = map_columns(types, columns, source=source)
        if jobs is not None and "job" not in mapping:
            raise SourceError(
                f"{source}: found no column of jobs to filter by jobs= among {list(types)}; name "
                "it with columns={'job': ...}, or leave jobs out."
            )
        conditions, parameters = _filters(types, mapping, earliest, jobs)
        wanted = ", ".join(map(_quoted, dict.fromkeys(mapping.values())))
        config = bigquery.QueryJobConfig(query_parameters=parameters, use_legacy_sql=False)
        answer = connected.query(
            f"SELECT {wanted} FROM {history} WHERE {' AND '.join(['TRUE', *conditions])}",
            job_config=config,
            project=project,
            retry=retry,
        ).result(page_size=chunk_rows)
        names = [field.name for field in answer.schema]
        pages = ((row.values() for row in page) for page in answer.pages)
        rows = typed_rows(pages, names, mapping, source=source, timezone=timezone)
    return mapped_long(
        rows,
        mapping=mapping,
        since=start,
        jobs=jobs,
        states=states,
        on_unknown=on_unknown,
    )


def _quoted(name: str) -> str:
    if any(character in name for character in "`\\\n\r"):
        raise SourceError(f"BigQuery: {name!r} is no name; it holds a quote or a line break.")
    return f"`{name}`"


def _history(table_or_query: str) -> str:
    """Write the table or query as something to select from."""
    if is_query(table_or_query):
        return f"({table_or_query.strip().rstrip(';')}\n) AS history"
    table = table_or_query.strip().replace("`", "").replace(":", ".")
    if "." not in table.strip("."):
        raise SourceError(
            f"BigQuery: {table_or_query!r} is neither a table such as dataset.table nor a query "
            "that begins with SELECT or WITH."
        )
    return f"{_quoted(table)} AS history"


def _filters(
    types: Mapping[str, str],
    mapping: Mapping[str, str],
    since: pd.Timestamp | None,
    jobs: Sequence[str] | None,
) -> tuple[list[str], list]:
    """Write the conditions of the filters, and the parameters that are bound to them."""
    from google.cloud import bigquery  # noqa: PLC0415

    conditions, parameters = [], []
    if jobs is not None:
        job = _quoted(mapping["job"])
        text = job if types[mapping["job"]] == "STRING" else f"CAST({job} AS STRING)"
        conditions.append(f"{text} IN UNNEST(@jobtime_jobs)")
        parameters.append(bigquery.ArrayQueryParameter("jobtime_jobs", "STRING", list(jobs)))
    if since is not None and STARTED_AT in mapping:
        column = mapping[STARTED_AT]
        epoch = math.floor(since.timestamp() / unit_of(column, EPOCH_UNITS))
        values = {  # text by its date, a day early: pandas filters again, and exactly
            "TIMESTAMP": ("TIMESTAMP", since.to_pydatetime()),
            "DATETIME": ("DATETIME", since.tz_localize(None).to_pydatetime()),
            "DATE": ("DATE", since.date()),
            "STRING": ("STRING", (since - timedelta(days=1)).date().isoformat()),
            **dict.fromkeys(("INTEGER", "FLOAT", "NUMERIC", "BIGNUMERIC"), ("INT64", epoch)),
        }
        if types[column] in values:
            conditions.append(f"{_quoted(column)} >= @jobtime_since")
            parameters.append(
                bigquery.ScalarQueryParameter("jobtime_since", *values[types[column]])
            )
    return conditions, parameters


@contextmanager
def _client(client: "bigquery.Client | None", project: str | None) -> "Iterator[bigquery.Client]":
    from google.cloud import bigquery  # noqa: PLC0415

    if client is not None:
        yield client
        return
    with bigquery.Client(project=project) as own:
        yield own


@contextmanager
def _errors_of(source: str) -> Iterator[None]:
    """Turn the errors of Google's libraries into a `SourceError` with a remedy."""
    try:
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.cloud import bigquery  # noqa: F401, PLC0415
        from requests import ConnectionError as NoConnection  # noqa: PLC0415
    except ImportError:
        raise SourceError(
            "BigQuery is read with its official client, which is not installed; run "
            "pip install 'sklearn-jobtime[bigquery]'."
        ) from None
    try:
        yield
    except GoogleAuthError as error:
        raise SourceError(
            f"{source}: no credentials ({str(error).splitlines()[0]}); run gcloud auth "
            "application-default login, or set GOOGLE_APPLICATION_CREDENTIALS."
        ) from None
    except (GoogleAPIError, NoConnection) as error:
        reason = getattr(error, "message", None) or str(error)
        raise SourceError(
            f"{source}: {reason.strip()}\nTo do: check the project, the dataset and the table or "
            "query, your rights to them, and the network."
        ) from None
    except OSError as error:
        if "project" not in str(error).lower():
            raise
        raise SourceError(f"{source}: {error} Name it with project=.") from None
