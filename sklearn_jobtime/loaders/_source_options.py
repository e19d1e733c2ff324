"""Which source uses which option: what its reader takes, by its signature."""

import inspect
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

from sklearn_jobtime.exceptions import SourceError

__all__ = ["REMEDIES", "keywords", "options_for", "used_by"]


# Sources and the readers that say what they use.
_READERS = {
    "a log": "read_log",
    "a run table": "read_runs",
    "airflow+URL": "read_airflow",
    "URL#TABLE": "read_sql",
    "bigquery://PROJECT#TABLE": "read_bigquery",
}
_SYSTEMS = ("slurm", "swf", "github", "jenkins", "dbt", "nextflow", "pbs", "sge", "lsf")
_READERS |= {f"{system}:": f"read_{system}" for system in _SYSTEMS}
# How each option is written where it is not `name=`.
REMEDIES = {"columns": "columns={...}", "fields": "columns=[...]", "states": "states={...}"}
_OF_FILES = ("timezone", "delimiter")  # which read_log and read_runs leave to the source


def keywords(source: str) -> frozenset[str]:
    """Options that the reader of a source takes.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._source_options import keywords
    >>> "steps" in keywords("slurm:"), "steps" in keywords("swf:")
    (True, False)
    """
    reader: Callable[..., Any] = getattr(import_module("sklearn_jobtime.loaders"), _READERS[source])
    names = set(inspect.signature(reader).parameters)
    if source == "slurm:":  # there `columns` is a list of names, in a log a mapping of them
        names = names - {"columns"} | {"fields"}
    return frozenset(names | {"states"} | set(_OF_FILES if reader.__name__ == "read_log" else ()))


def used_by(option: str) -> list[str]:
    """Name the sources that use an option.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._source_options import used_by
    >>> used_by("tries"), used_by("steps")
    (['airflow+URL'], ['slurm:', 'github:'])
    """
    return [source for source in _READERS if option in keywords(source)]


def options_for(options: Mapping[str, Any], used: Collection[str], source: str) -> dict[str, Any]:
    """Give the options that were set, all of which the source must use.

    Parameters
    ----------
    options : mapping of str to object
        By name; what is None, False or empty is not set.
    used : collection of str
        Those that the source uses.
    source : str
        What it is called in an error.

    Raises
    ------
    SourceError
        When one of them is of no use there; it names the sources that use it.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._source_options import options_for
    >>> options_for({"tries": "all", "mapped": None}, ["tries"], "airflow+URL")
    {'tries': 'all'}
    >>> options_for({"tries": "all", "by": None}, ["by"], "swf:")
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.SourceError: swf: does not use tries=; leave it out. It uses by=;
    tries= is used by airflow+URL.
    """
    given = {
        name: value
        for name, value in options.items()
        if value is not None and value is not False and value not in ({}, [], (), "")
    }
    for name in given:
        if name not in used:
            unused = REMEDIES.get(name, f"{name}=")
            known = [REMEDIES.get(one, f"{one}=") for one in options if one in used]
            uses = f" It uses {', '.join(known)};" if known else ""
            raise SourceError(
                f"{source} does not use {unused}; leave it out.{uses} {unused} is used by "
                f"{', '.join(used_by(name)) or 'no source'}."
            )
    return given
