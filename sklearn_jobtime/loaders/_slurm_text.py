"""The text that Slurm's `sacct` prints, in all its forms, as one table of records."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import bad_value
from sklearn_jobtime.exceptions import BadValueError, SourceError
from sklearn_jobtime.loaders._durations import to_seconds
from sklearn_jobtime.loaders._open_file import open_text
from sklearn_jobtime.loaders._states import STATES

__all__ = ["elapsed_seconds", "read_text"]


_NEEDED = ("JobID", "State", "Start", "End")
_NAMES = ("User", "JobName")  # of a series; one of them will do
_FIELDS = (*_NEEDED, *_NAMES, "JobIDRaw", "Cluster", "Submit", "Elapsed", "ElapsedRaw")
_ASK = (
    "ask for them with: sacct --parsable2 "
    "--format=JobID,JobName,User,Cluster,Submit,Start,End,Elapsed,State"
)
_NO_TIME = ("", "Unknown", "None", "UNLIMITED", "INVALID", "Partition_Limit")
_CLOCK = r"(?:\d+-)?[\d:]*\d:\d+(?:\.\d+)?"
_DELIMITERS = ("|", "\t", ";", ",", "^")
_QUOTED = (",", ";", "\t")  # forms that spreadsheets write again, with their quotes


def elapsed_seconds(elapsed: pd.Series) -> pd.Series:
    """Turn Slurm's elapsed times into seconds.

    Parameters
    ----------
    elapsed : Series of str
        ``[[days-]hours:]minutes:seconds[.fraction]``; `INVALID`, `UNLIMITED`, `Unknown` and
        nothing at all mean that the time is not known.

    Returns
    -------
    Series of float64 seconds, NaN where not known

    Raises
    ------
    SourceError
        When a value is in another format; it names the row.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders.slurm import elapsed_seconds
    >>> elapsed_seconds(pd.Series(["1-02:03:04", "03:04.5", "INVALID"])).tolist()
    [93784.0, 184.5, nan]
    """
    known = elapsed.where(~elapsed.isin(_NO_TIME))
    try:
        wrong = known.notna() & ~known.str.fullmatch(_CLOCK).eq(True)
        if wrong.any():
            raise bad_value(known, int(wrong.to_numpy().argmax()), "is no clock")
        return to_seconds(known, short_clock="minutes")
    except BadValueError as error:
        raise SourceError(
            f"{elapsed.name}, {elapsed.index.name or 'row'} {elapsed.index[error.row]}: "
            f"{elapsed.iloc[error.row]!r} is no elapsed time; expected "
            "[[days-]hours:]minutes:seconds, such as 1-02:03:04."
        ) from None


def read_text(
    path: str | Path,
    *,
    columns: Sequence[str] | None,
    delimiter: str | None,
    timezone: str | None,
    max_bytes: int,
    notes: list[str],
) -> pd.DataFrame:
    """Read the records of a text of `sacct`; see :func:`~sklearn_jobtime.loaders.read_slurm`.

    Returns
    -------
    DataFrame
        Columns `id`, `name`, `user`, `cluster`, `state`, `submitted_at`, `started_at`,
        `ended_at`, `duration` and `place`, in the order of the file. What the user should know is
        put into `notes`.
    """
    zone = _zone(timezone or "UTC")
    with open_text(path, max_bytes=max_bytes) as lines:
        form, rows, numbers = _Form(path, columns, delimiter), [], []
        for number, fields in form.rows(lines):
            rows.append(fields)
            numbers.append(number)
    if form.steps_without_user:
        notes.append(
            f"{form.steps_without_user} job steps have no user, so that their fields of fixed "
            "width without a header cannot be told apart; they were not read."
        )
    if not rows:
        raise SourceError(f"{path}: holds no job; check the dates and users sacct was asked for.")
    table = pd.DataFrame(rows, columns=form.header, index=pd.Index(numbers, name="line"))
    table = table.loc[:, ~table.columns.duplicated()]
    if form.fixed:
        table = _whole_values(table, path, notes)
    if "JobID" not in table:
        table = table.rename(columns={"JobIDRaw": "JobID"})
    if missing := [name for name in _NAMES if name not in table]:
        other = "User" if missing == ["JobName"] else "JobName"
        notes.append(
            f"the text has no field {missing[0]}: a series is named by {other} alone, so different "
            "jobs may be one series; ask sacct for both."
        )
        table = table.assign(**{missing[0]: ""})
    local = table["Start"].str.match(r"\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d$")
    if timezone is None and local.any():
        notes.append(
            "the times of sacct carry no time zone and were read as UTC; name the cluster's own "
            "with the option timezone, such as Europe/Berlin."
        )
    records = _parse_fields(table, path, zone, notes)
    elapsed = [name for name in ("Elapsed", "ElapsedRaw") if name in table]
    records.attrs["columns"] = {
        "series": "/".join(name for name in _NAMES if name not in missing),
        "run": "JobID",
        "job": "component and step of JobID",
        **{"started_at": "Start", "ended_at": "End", "status": "State"},
        "duration": f"{elapsed[0]}, else End - Start" if elapsed else "End - Start",
    }
    return records


def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(
            f"timezone: expected the name of a time zone such as 'Europe/Berlin', got {timezone!r}."
        ) from error


def _canonical(name: str) -> str:
    """Name of a field as Slurm writes it; people write ``jobid`` and ``JobName%30``."""
    name = name.strip().strip('"').partition("%")[0]
    return next((field for field in _FIELDS if field.lower() == name.lower()), name)


class _Form:
    """How the fields of a file are told apart, from its first lines."""

    def __init__(
        self, path: str | Path, columns: Sequence[str] | None, delimiter: str | None
    ) -> None:
        if isinstance(columns, str):
            columns = columns.split(",")
        self.path = path
        self.header = [_canonical(name) for name in columns or ()]
        self.headless = columns is not None
        self.delimiter = delimiter
        self.fixed = False
        self.steps_without_user = 0
        self._spans: list[tuple[int, int | None]] = []

    def rows(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the fields of each line that holds a record."""
        numbered = ((n, line.rstrip("\n")) for n, line in enumerate(lines, start=1))
        filled = ((n, line) for n, line in numbered if line.strip())
        first = next(filled, None)
        if first is None:
            return
        second = next(filled, None)
        is_header = self._begin(first[1], second[1] if second else "")
        head = [first] if second is None else [first, second]
        for number, line in (*head[is_header + self.fixed * bool(self._spans) :], *filled):
            if (fields := self._fields(number, line)) is not None:
                yield number, fields

    def _begin(self, first: str, second: str) -> bool:
        """Find out the form; say whether the first line is a header."""
        if re.fullmatch(r"-+( +-+)+ *", second):
            self._spans = [match.span() for match in re.finditer("-+", second)]
            # A last column may be longer than its dashes, where the name of a step is.
            self._spans[-1] = (self._spans[-1][0], None)
            self.fixed = True
            names = [_canonical(first[slice(*span)]) for span in self._spans]
        else:
            self.delimiter = self.delimiter or self._delimiter_of(first)
            self.fixed = self.delimiter == " "
            names = [_canonical(name) for name in self._split(first)]
        if self.headless and not {"JobID", "JobIDRaw"} & set(names):
            self._check_header(self.header)
            return False
        self._check_header(names)
        self.header = names
        return True

    def _delimiter_of(self, line: str) -> str:
        if not self.headless:
            names = "|".join(_FIELDS)
            found = re.search(rf'(?i)^"?(?:{names})(?:%\d+)?"?([^\w%" ]+)', line)
            found = found or re.search(rf'(?i)([^\w%" ]+)"?(?:{names})\b', line)
            return found[1] if found else "|"
        counts = {mark: len(line.split(mark)) for mark in _DELIMITERS}
        wanted = (len(self.header), len(self.header) + 1)
        return next((mark for mark in _DELIMITERS if counts[mark] in wanted), " ")

    def _check_header(self, names: list[str]) -> None:
        has = {*names, *(["JobID"] if "JobIDRaw" in names else [])}
        missing = [name for name in _NEEDED if name not in has]
        missing += ["User or JobName"] if has.isdisjoint(_NAMES) else []
        if missing:
            shown = (self.delimiter or " ").join(names)[:200]
            headless = (
                ""
                if self.headless
                else ("; if the file has no header, name its fields with the option columns")
            )
            raise SourceError(
                f"{self.path}, line 1: no field {', '.join(missing)} in the header {shown!r} "
                f"(separated by {self.delimiter or ' '!r}); {_ASK}{headless}."
            )

    def _split(self, line: str) -> list[str]:
        if self._spans:
            return [line[slice(*span)].strip() for span in self._spans]
        if self.delimiter == " ":
            return re.sub(r"CANCELLED by \S+", "CANCELLED", line).split()
        if self.delimiter in _QUOTED and '"' in line:
            return next(csv.reader([line], delimiter=self.delimiter))
        return line.split(self.delimiter)

    def _fields(self, number: int, line: str) -> list[str] | None:
        fields = self._split(line)
        if len(fields) == len(self.header) + 1 and not fields[-1]:
            fields.pop()  # --parsable ends each line with a bar
        if len(fields) == len(self.header):
            return fields
        if self.delimiter == " " and re.match(r"\d+\S*\.", line.lstrip()):
            self.steps_without_user += 1  # there is no way to tell its blanks apart
            return None
        raise SourceError(
            f"{self.path}, line {number}: {len(fields)} fields, the header has "
            f"{len(self.header)}; if a name holds {self.delimiter!r}, run sacct with another "
            "--delimiter, or with --json; if the line was cut off, run it again."
        )


def _whole_values(table: pd.DataFrame, path: str | Path, notes: list[str]) -> pd.DataFrame:
    """Deal with the values that a column was too narrow for; they end in ``+``."""
    table = table.copy()
    for column in ("JobID", "JobIDRaw", "Start", "End", "Submit"):
        if column in table and (cut := table[column].str.endswith("+")).any():
            line = table.index[cut][0]
            raise SourceError(
                f"{path}, line {line}, field {column}: {table.loc[line, column]!r} is cut off; "
                f"run sacct with --parsable2, or ask for a wider column ({column}%30)."
            )
    for column in ("JobName", "User", "Cluster"):
        if column in table and (cut := table[column].str.endswith("+")).any():
            notes.append(
                f"in {int(cut.sum())} rows {column} is cut off, such as "
                f"{table.loc[cut, column].iloc[0]!r}: jobs whose names begin alike are one series; "
                f"run sacct with --parsable2, or ask for a wider column ({column}%40)."
            )
    if "Elapsed" in table:  # the clock knows it too
        table["Elapsed"] = table["Elapsed"].mask(table["Elapsed"].str.endswith("+"), "")
    return table


def _whole_state(state: str) -> str:
    """Take the base state; Slurm says by whom (``CANCELLED by 7``) and cuts (``OUT_OF_ME+``)."""
    text = state.partition(" ")[0]
    if not text.endswith("+") or text[:-1].upper() in STATES["slurm"]:
        return text.rstrip("+")
    begin = text[:-1].upper()
    whole = [known for known in STATES["slurm"] if known.startswith(begin)]
    return whole[0] if begin and len(whole) == 1 else text


def _parse_fields(
    table: pd.DataFrame, path: str | Path, zone: ZoneInfo, notes: list[str]
) -> pd.DataFrame:
    """Fields of a `sacct` text as times and numbers; the index is the line of the file."""
    elapsed = pd.Series(np.nan, index=table.index)
    if "Elapsed" in table:
        elapsed = elapsed_seconds(table["Elapsed"].rename(f"{path}, field Elapsed"))
    if "ElapsedRaw" in table:
        elapsed = elapsed.fillna(pd.to_numeric(table["ElapsedRaw"], errors="coerce"))
    start, end = (_times(table[name], path) for name in ("Start", "End"))
    started = _localize(start, zone, first=True)
    ended = _localize(end, zone, first=True)
    # In the repeated hour: the later moment where the earlier leaves no room for the job.
    room = (ended - started).dt.total_seconds()
    ended = ended.where(~(room < elapsed.fillna(0.0) - 1.0), _localize(end, zone, first=False))
    submitted = pd.Series(pd.NaT, index=table.index, dtype=started.dtype)
    if "Submit" in table:
        submitted = _localize(_times(table["Submit"], path), zone, first=True)
    span = (ended - started).dt.total_seconds()
    states = {state: _whole_state(state) for state in table["State"].unique()}
    off = (span - elapsed).abs()
    if (differs := off > 1.0).any():
        notes.append(
            f"in {int(differs.sum())} rows Elapsed is not End minus Start, by up to "
            f"{off.max():,.0f} s; Elapsed is used, which leaves out the time that a job was "
            "suspended."
        )
    return pd.DataFrame(
        {
            "id": table["JobID"],
            "name": table["JobName"],
            "user": table["User"],
            "cluster": table.get("Cluster", ""),
            "state": table["State"].map(states),
            "submitted_at": submitted,
            "started_at": started,
            "ended_at": ended,
            "duration": elapsed.fillna(span),
            "place": [f"{path}, line {number}" for number in table.index],
        }
    )


def _times(column: pd.Series, path: str | Path) -> tuple[pd.Series, pd.Series]:
    """Local times, and those in UTC: of a text with its offset, or in seconds since 1970."""
    text = column.str.strip().str.replace(" ", "T", n=1)
    local = pd.to_datetime(text, format="%Y-%m-%dT%H:%M:%S", errors="coerce")
    zoned = pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns, UTC]")
    rest = local.isna() & ~column.isin(_NO_TIME)
    if rest.any():
        epoch = text.str.fullmatch(r"\d{9,10}")
        seconds = pd.to_numeric(text.where(epoch), errors="coerce")
        offset = pd.to_datetime(
            text.where(rest & ~epoch), format="%Y-%m-%dT%H:%M:%S%z", errors="coerce", utc=True
        )
        zoned = pd.to_datetime(seconds, unit="s", utc=True).fillna(offset)
    if (wrong := rest & zoned.isna()).any():
        row = int(wrong.to_numpy().argmax())
        raise SourceError(
            f"{path}, field {column.name}, line {column.index[row]}: {column.iloc[row]!r} is no "
            "time; expected 2026-03-01T04:00:00, as sacct writes it without SLURM_TIME_FORMAT."
        )
    return local, zoned


def _localize(times: tuple[pd.Series, pd.Series], zone: ZoneInfo, *, first: bool) -> pd.Series:
    local, zoned = times
    which = np.full(len(local), first)
    utc = local.dt.tz_localize(zone, ambiguous=which, nonexistent="shift_forward")
    return utc.dt.tz_convert("UTC").fillna(zoned)
