"""What one kind of record of a known system says: which field is which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RecordMap", "roles"]


Paths = tuple[str, ...]


@dataclass(frozen=True)
class RecordMap:
    """What one kind of record says.

    A role has one path or several, of which the first that holds a value counts. Paths begin at
    the record, those with ``^`` at the object around its list, those with ``each.`` at one of the
    objects of the record's list `each`. ``a+b`` joins two values, ``a~pattern`` takes what the
    group of the pattern finds, ``@page`` is the number of the page.

    Parameters
    ----------
    what : str
        For the report: "GitLab jobs".
    system : str
        Whose words its states are, a key of :data:`~sklearn_jobtime.loaders.STATES`.
    fields : str
        Fields that a record of this kind has, all of them; ``a|b`` is one of two.
    roles : mapping of str to tuple of str
        Role, with its unit where it has one (``duration_ms``), to paths. Besides the roles of a
        log: `series_key` (what is unique), `id` (of the record, whose newest copy counts), `part`
        (parts of one job, which are joined), `attempt` (of a whole run), `try_number`,
        `run_ended_at`.
    each : str
        The list of the record whose objects are its jobs.
    lacks : str
        Fields of other kinds, which a record of this kind does not have.
    left_out : mapping of str to (tuple, str)
        Path to the values that leave a row out, and the reason.
    only : tuple of (str, tuple, str)
        Path, the values of the rows that are kept, and the reason that the others are not.
    is_numbered : bool
        Whether jobs of one name in a record are different jobs: ``name #2``.
    is_run : bool
        Whether a record is a whole run, of which other records may be the jobs.
    is_touch : bool
        Whether its end is only when it was last touched.
    note : str
        What a reader should know.
    refuse : str
        Why it cannot be read, and what can.
    """

    what: str
    system: str
    fields: str
    roles: Mapping[str, Paths] = field(default_factory=dict)
    each: str = ""
    lacks: str = ""
    left_out: Mapping[str, tuple[tuple[Any, ...], str]] = field(default_factory=dict)
    only: tuple[str, tuple[Any, ...], str] | None = None
    is_numbered: bool = False
    is_run: bool = False
    is_touch: bool = False
    note: str = ""
    refuse: str = ""


def roles(**paths: str) -> dict[str, Paths]:
    """Write the paths of each role as one text.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._record_map import roles
    >>> roles(status="result status")
    {'status': ('result', 'status')}
    """
    return {role: tuple(text.split()) for role, text in paths.items()}
