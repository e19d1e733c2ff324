"""Of which known system a record is: told from its fields, never from the name of its file."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sklearn_jobtime.loaders._ci_maps import CI_MAPS
from sklearn_jobtime.loaders._json_paths import at_path
from sklearn_jobtime.loaders._record_map import RecordMap
from sklearn_jobtime.loaders._workflow_maps import WORKFLOW_MAPS

__all__ = ["map_of"]


def map_of(record: Mapping[str, Any]) -> RecordMap | None:
    """Tell of what kind a record is, by its fields; None for one of no known system.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._record_maps import map_of
    >>> fields = ["dag_id", "run_id", "state", "start_date", "end_date"]
    >>> map_of(dict.fromkeys(fields, "")).what
    'Airflow DAG runs'
    """
    found = _of_fields(frozenset(record))
    if found is None or not found.each or at_path(record, found.each)[0]:
        return found
    alone = _of_fields(frozenset(record) - {found.each})  # its list is empty
    return alone or found


@lru_cache(10_000)
def _of_fields(fields: frozenset[str]) -> RecordMap | None:
    for one in (*CI_MAPS, *WORKFLOW_MAPS):
        wanted = all(fields & set(choice.split("|")) for choice in one.fields.split())
        if wanted and not fields & set(one.lacks.split()):
            return one
    return None
