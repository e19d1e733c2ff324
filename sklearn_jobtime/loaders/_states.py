"""One vocabulary of statuses for every source, and the tables that map to it.

A state maps to one of :data:`~sklearn_jobtime.runs.STATUSES`, or to None: the job has not ended,
so neither its status nor its duration is known yet. Each reader knows the words of its own system
first, and those of all the others too.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import numpy as np
import pandas as pd

from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.loaders._state_tables import STATES
from sklearn_jobtime.runs._schema import STATUSES

__all__ = [
    "STATES",
    "checked_states",
    "own_states",
    "read_codes",
    "read_states",
    "state_meaning",
    "to_status",
]


_OWN: ContextVar[Mapping[str, str | None]] = ContextVar("own states", default={})  # noqa: B039


def checked_states(states: Mapping[str, str | None] | None) -> Mapping[str, str | None]:
    """Give the user's own states, which must map to the one vocabulary."""
    if wrong := [s for s in (states or {}).values() if s not in (*STATUSES, None)]:
        raise ValueError(
            f"states= maps to {wrong[0]!r}; expected one of {', '.join(STATUSES)}, or None for a "
            "state of a job that has not ended."
        )
    return states or {}


@contextmanager
def own_states(states: Mapping[str, str | None] | None) -> Iterator[None]:
    """Let every reader within know the user's own states, before all others.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._states import own_states, to_status
    >>> with own_states({"PARKED": "skipped"}):
    ...     to_status(pd.Series(["PARKED"]), "slurm").tolist()
    ['skipped']
    """
    token = _OWN.set(checked_states(states))
    try:
        yield
    finally:
        _OWN.reset(token)


def _plain(state: str) -> str:
    """Bring a state into the form in which states are compared: TIMED_OUT and TimedOut are one."""
    state = state.strip().lower()
    if re.fullmatch(r"[-+]?\d+(\.0*)?", state):  # a code
        return state.partition(".")[0]
    return re.sub(r"[\W_]+", "", state)


@cache
def _table_of(system: str) -> dict[str, str | None]:
    """Give every word that a reader of `system` knows: its own, the plain ones, all the others."""
    table: dict[str, str | None] = {}
    others = [name for name in STATES if name not in (system, "plain", "swf")]
    for name in (*others, "plain", system):
        table.update({_plain(state): status for state, status in STATES[name].items()})
    return table


def state_meaning(state: object, system: str) -> tuple[str | None, bool]:
    """Status of one state of a system, and whether it is known; what is missing is known.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._states import state_meaning
    >>> state_meaning("Late", "prefect"), state_meaning("Half done", "prefect")
    ((None, True), (None, False))
    """
    own = {_plain(str(key)): value for key, value in _OWN.get().items()}
    if state is None or (plain := _plain(str(state))) == "":
        return None, True
    return (own[plain], True) if plain in own else _meaning(str(state), _table_of(system))


_HARMLESS = re.compile(r"(?:exit|exited|code|rc|status|with|[\W_])*0*[\W_]*")


def _meaning(state: str, table: Mapping[str, str | None]) -> tuple[str | None, bool]:
    """Status of one state, and whether it is known; "CANCELLED by 7" and "failed: exit 3" are."""
    plain = _plain(state)
    if plain in table:
        return table[plain], True
    if exited := re.fullmatch(
        r"(?:exit|exited|exit code|exited with)[^\d-]*(-?\d+)", state.lower()
    ):
        return ("success" if int(exited[1]) == 0 else "failed"), True
    parts = re.split(r"\s+by\s+|[:;,(|+]|\s[-\u2013\u2014]\s", state.strip().lower(), maxsplit=1)
    head, rest = _plain(parts[0]), "".join(parts[1:])
    if head and not head.isdigit() and head in table:
        status = table[head]
        # "completed: 3 failed" is no success; what follows a failure does not change it.
        if status not in ("success", None) or _HARMLESS.fullmatch(rest):
            return status, True
        if status is None and " by " in state:
            return None, True
    return None, False


def read_states(
    states: pd.Series,
    system: str = "plain",
    *,
    column: str | None = None,
    own: Mapping[str, str | None] | None = None,
    on_unknown: str = "error",
) -> tuple[pd.Series, pd.Series]:
    """Map the states of a source to the one vocabulary, and say which are unknown.

    Parameters
    ----------
    states : Series
        As the source writes them: texts, codes or booleans; missing stays missing.
    system : str, default="plain"
        A key of `STATES`, whose words go before those of all other systems.
    column : str, default=None
        Name of the column, which says what codes and booleans mean: in `exit_code` 0 is a
        success, in `success` 1 or true, in `failed` 0 or false.
    own : mapping of str to str or None, default=None
        The user's own states, before all others.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a state that nothing maps.

    Returns
    -------
    status : Series of object
        None where the job has not ended, or where its state is unknown.
    unknown : Series of bool
        Where the state is unknown: neither the status nor the duration is to be learned from,
        but the end of the job, where there is one, counts.

    Raises
    ------
    RunTableError
        When a state is unknown and `on_unknown` is "error"; it names the states.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._states import read_states
    >>> read_states(pd.Series(["CANCELLED by 7", "upstream_failed", "manual"]))[0].tolist()
    ['cancelled', 'skipped', 'skipped']
    >>> read_states(pd.Series([0, 137]), column="exit_code")[0].tolist()
    ['success', 'failed']
    """
    if on_unknown not in ("error", "warn"):
        raise ValueError(f"on_unknown must be 'error' or 'warn', got {on_unknown!r}.")
    own = {**_OWN.get(), **(own or {})}
    table = {**_table_of(system), **{_plain(str(key)): value for key, value in own.items()}}
    mine = {_plain(str(key)) for key in own}
    codes, words = pd.factorize(states, use_na_sentinel=True)
    meaning = _code_meaning(column)
    found: list[tuple[str | None, bool]] = []
    for word in map(_as_text, words):
        if word == "":
            found.append((None, True))
        elif meaning is not None and _plain(word) not in mine:
            found.append(meaning(word) or _meaning(word, table))
        else:
            found.append(_meaning(word, table))
    statuses = np.array([*(status for status, _ in found), None], dtype=object)
    unknown = np.array([*(not known for _, known in found), False], dtype=bool)
    if unknown.any():
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        named = sorted((_as_text(words[k]), int(counts[k])) for k in np.flatnonzero(unknown))
        _tell_unknown(named, system, column, on_unknown)
    return (
        pd.Series(statuses[codes], index=states.index, name="status", dtype=object),
        pd.Series(unknown[codes], index=states.index, name="unknown"),
    )


def read_codes(
    codes: pd.Series, outcomes: pd.Series, system: str = "plain", *, on_unknown: str = "error"
) -> tuple[pd.Series, pd.Series]:
    """Map what a reader made of numeric codes, unless the user's own states name the code.

    Parameters
    ----------
    codes : Series
        Numbers, such as exit statuses.
    outcomes : Series of str
        The states that they mean, as far as the reader knows.
    system, on_unknown
        As in :func:`read_states`.

    Returns
    -------
    status : Series of object
    unknown : Series of bool

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._states import own_states, read_codes
    >>> with own_states({"3": "skipped"}):
    ...     read_codes(pd.Series([1.0, 3.0]), pd.Series(["failed", "failed"]))[0].tolist()
    ['failed', 'skipped']
    """
    own = {_plain(str(key)) for key in _OWN.get()}
    words = codes.map(_as_text)
    return read_states(outcomes.mask(words.isin(own), words), system, on_unknown=on_unknown)


def _as_text(word: object) -> str:
    if isinstance(word, float | np.floating) and float(word).is_integer():
        word = int(word)
    return str(word).strip()


def _tell_unknown(
    named: list[tuple[str, int]], system: str, column: str | None, on_unknown: str
) -> None:
    shown = ", ".join(
        f"{state!r} in {count} row{'s' * (count != 1)}" for state, count in named[:10]
    )
    more = f" and {len(named) - 10} more" if len(named) > 10 else ""
    first = named[0][0]
    if system == "plain" and all(re.fullmatch(r"-?\d+", state) for state, _ in named):
        where = f"column {column!r}" if column else "the column of states"
        why = (
            f"{where} holds numbers ({shown}{more}), and its name does not tell which of them is a "
            "success, as exit_code, success or failed would;"
        )
    else:
        why = f"unknown {system} state(s) {shown}{more};"
    remedy = (
        f"map each, as with states={{{first!r}: 'success'}} (in a shell: --state "
        f"{first if ' ' not in first else repr(first)}=success), to one of {', '.join(STATUSES)}"
    )
    if on_unknown == "error":
        raise RunTableError(
            f"{why} {remedy}; or pass on_unknown='warn' (--on-unknown warn) to leave their "
            "durations out."
        )
    warnings.warn(
        f"{why} their durations are not learned from, but their ends count; {remedy}.",
        UserWarning,
        stacklevel=3,
    )


_EXIT_NAMES = frozenset(
    (
        *("exitcode", "exitstatus", "exit", "rc", "returncode", "retcode", "returnvalue"),
        *("retval", "errorlevel", "errorcode", "errno", "rcode"),
    )
)
_FLAG_NAMES = {
    **dict.fromkeys(
        ["success", "succeeded", "successful", "ok", "okay", "passed", "pass", "completed", "good"],
        ("success", "failed"),
    ),
    **dict.fromkeys(
        ["failed", "fail", "failure", "error", "errors", "errored", "iserr", "crashed", "broken"],
        ("failed", "success"),
    ),
    **dict.fromkeys(["timeout", "timedout"], ("timeout", "success")),
    **dict.fromkeys(["cancelled", "canceled", "aborted", "killed"], ("cancelled", "success")),
    **dict.fromkeys(["skipped"], ("skipped", "success")),
}
_TRUE = frozenset(["1", "true", "t", "yes", "y"])
_FALSE = frozenset(["0", "false", "f", "no", "n"])


def _code_meaning(column: str | None) -> Callable[[str], tuple[str | None, bool] | None] | None:
    """How to read the codes of a column of this name; None if its name tells nothing."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column or "")
    words = [word for word in re.split(r"[\W_]+", apart.lower()) if word]
    endings = ["".join(words[k:]) for k in range(len(words))]
    if any(ending in _EXIT_NAMES for ending in endings):
        return _of_exit_code
    while words and words[0] in ("is", "was", "has", "had", "did", "job", "run", "task", "build"):
        words = words[1:]
    flags = _FLAG_NAMES.get("".join(words))
    if flags is None:
        return None
    if_true, if_false = flags

    def of_flag(word: str) -> tuple[str | None, bool] | None:
        word = word.lower()
        if word in _TRUE:
            return if_true, True
        return (if_false, True) if word in _FALSE else None

    return of_flag


def _of_exit_code(word: str) -> tuple[str | None, bool] | None:
    """Read 0, 137, -9, and 0:15 (code and signal, as Slurm writes them)."""
    if not re.fullmatch(r"[-+]?\d+(?::\d+)?", word):
        return None
    return ("success" if all(int(part) == 0 for part in word.split(":")) else "failed"), True


def to_status(states: pd.Series, system: str, *, on_unknown: str = "error") -> pd.Series:
    """Map the states of a source to the one vocabulary.

    Parameters
    ----------
    states : Series of str
        As the source writes them; case, blanks and underscores do not count, "CANCELLED by 7" is
        a cancellation, and missing stays missing.
    system : str
        A key of `STATES`, whose words go before those of all other systems.
    on_unknown : {"error", "warn"}, default="error"
        What to do with a state that is in no table. "warn" leaves its status missing, so that
        its duration is not learned from.

    Returns
    -------
    Series of object
        Statuses; None where the job has not ended.

    Raises
    ------
    RunTableError
        When a state is unknown and `on_unknown` is "error"; it names the states.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders import to_status
    >>> to_status(pd.Series(["COMPLETED", "NODE_FAIL", "RUNNING"]), "slurm").tolist()
    ['success', 'failed', None]
    """
    return read_states(states, system, on_unknown=on_unknown)[0]
