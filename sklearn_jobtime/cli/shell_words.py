"""Remedies in the words of the shell: what Python calls ``columns={...}`` is ``--column ...``."""

import ast
import re
import shlex

__all__ = ["in_shell_words"]


# The remedy for the shell stands in brackets behind that for Python.
_DICT = r"\{[^{}]*\}"
_BOTH = rf"\w+={_DICT}(?:,? or (?:\w+=)?{_DICT})* \(in a shell: ((?:[^()]|\(\))*)\)"
_DICTS = {"columns": "--column", "states": "--state"}
_LISTS = {
    "columns": "--columns",
    "jobs": "--jobs",
    "durations": "--jobs",
    "by": "--series-by",
    "known": "--known",
}
# Python's words, the shell's.
_PHRASES = (
    (r"pass on_unknown='warn' \(--on-unknown warn\)", "add --on-unknown warn"),
    (r"on_unknown='?(\w+)'?", r"--on-unknown \1"),
    (r"on_duplicate='?(\w+)'?", r"--on-duplicate \1"),
    (r"top_jobs=(\d+)", r"--top-jobs \1"),
    (r"max_bytes=(\d+)", r"--max-bytes \1"),
    (r"raise max_bytes", "raise --max-bytes"),
    (r"test_size=([\d.]+)", r"--test-size \1"),
    (r"\btest_size\b", "--test-size"),
    (r"contamination=([\d.]+)", r"--false-alarms \1"),
    (r"\bcontamination\b", "--false-alarms"),
    (r"confidence_level=([\d.]+)", r"--coverage \1"),
    (r"\btimezone='([^']+)'", r"--input-timezone \1"),
    (r"\btimezone=", "--input-timezone"),
    (r"the option timezone\b", "--input-timezone"),
    (r"delimiter='([^']*)'", r"--delimiter '\1'"),
    (r"\bdelimiter=", "--delimiter"),
    (r"the option by\b", "--series-by"),
    (r"the option (columns|start|steps|tries|mapped)\b", r"--\1"),
    (r"\b(steps|tries|mapped|dags|start|index)=", r"--\1"),
    (r"\bseries=(?=[ ;,.]|$)", "--series-name"),
    (r"\btimeout=", "--query-timeout"),
    (r"\bchunk_rows=", "--chunk-rows"),
    (r"\bby=\(\.\.\.\)|\bby=", "--series-by"),
    (r"\bcolumns=\{\.\.\.\}|\bcolumns=", "--column"),
    (r"\bstates=\{\.\.\.\}|\bstates=", "--state"),
    (r"\bjobs=\[\.\.\.\]|\bjobs=", "--jobs"),
    (r"since='?([\w:.+-]+)'?", r"--since \1"),
    (
        r"convert the column with pandas\.to_datetime first",
        "write the column as 2026-03-01T04:00:00Z",
    ),
)


def in_shell_words(message: str) -> str:
    """Word the remedies of a message for a user of the shell.

    Examples
    --------
    >>> from sklearn_jobtime.cli.shell_words import in_shell_words
    >>> in_shell_words("name yours, as columns={'run': 'build_no', 'job': 'step'}.")
    'name yours, as --column run=build_no --column job=step.'
    >>> in_shell_words("pass top_jobs=100, say")
    'pass --top-jobs 100, say'
    """
    message = re.sub(_BOTH, r"\1", message)
    message = re.sub(r"\b(columns|states)=(\{[^{}]*\})", _as_pairs, message)
    message = re.sub(r"\b(columns|jobs|durations|by|known)=([\[(][^\])]*[\])])", _as_list, message)
    for python, shell in _PHRASES:
        message = re.sub(python, shell, message)
    return message


def _as_pairs(found: re.Match[str]) -> str:
    try:
        pairs = dict(ast.literal_eval(found[2]))
    except (ValueError, SyntaxError, TypeError):
        return found[0]
    option = _DICTS[found[1]]
    return " ".join(f"{option} {shlex.quote(f'{k}={v or str()}')}" for k, v in pairs.items())


def _as_list(found: re.Match[str]) -> str:
    try:
        names = [str(name) for name in ast.literal_eval(found[2]) if name is not ...]
    except (ValueError, SyntaxError, TypeError):
        return found[0]
    return f"{_LISTS[found[1]]} {shlex.quote(','.join(names))}" if names else _LISTS[found[1]]
