"""Which system wrote a file that comes without a prefix, told from its name and its content."""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sklearn_jobtime.exceptions import SourceError
from sklearn_jobtime.loaders._open_file import COMPRESSED, MAX_BYTES, find_files, open_text

__all__ = ["Recognised", "looks_like", "recognised"]


@dataclass(frozen=True)
class Recognised:
    """A system, and why it was taken for it.

    Parameters
    ----------
    system : str
        The prefix of its reader.
    why : str
        What told it.
    delimiter : str, default=None
        What separates its fields, where that is not the usual one.
    """

    system: str
    why: str
    delimiter: str | None = None


_PEEK = 65_536  # characters of a file that are looked at
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_SACCT = {"State", "JobName", "Start", "End", "Elapsed", "ElapsedRaw", "User", "Submit"}
_PBS = r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d;[A-Z];[^;]+;"
_EXPORTS = {
    "an Excel workbook": "save the sheet as CSV (File > Save as > CSV UTF-8), and load that",
    "a SQLite database": "name its table: sqlite:///{path}#TABLE",
    "a web page": "it was saved in place of the data, often a login page; fetch the API's answer "
    "(with a token), or export as CSV",
    "XML, as JUnit or SGE's qacct -xml write it": "export one row a job as CSV: run, job, "
    "started_at, ended_at, status",
    "the YAML of a configuration": "it describes jobs, not their runs; export the history of runs",
}


def recognised(  # noqa: PLR0911
    source: str, *, max_bytes: int = MAX_BYTES
) -> Recognised | None:
    r"""Recognise the system that wrote a file or the files of a folder; None if none is sure.

    Parameters
    ----------
    source : str
        A path, as the user typed it.
    max_bytes : int, default=2 GiB
        The most uncompressed bytes to read.

    Returns
    -------
    Recognised or None

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders._recognise import recognised
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "jobs.txt")
    ...     _ = path.write_text("JobID|JobName|User|Start|End|Elapsed|State\n")
    ...     recognised(str(path)).system
    'slurm'
    """
    path = Path(source)
    if not path.exists():
        return None
    if path.is_dir():
        return _of_folder(path, max_bytes)
    name = path.name.lower()
    for packed in COMPRESSED:
        name = name.removesuffix(packed)
    if name.endswith(".swf"):
        return Recognised("swf", "its name ends in .swf")
    if name.endswith(".parquet"):
        return None
    head = _head(path, max_bytes)
    if not head:
        return None
    if name.endswith((".jsonl", ".ndjson")):
        found = _of_json(head, path.name)
        return found if found and found.system == "github" else None
    if head.lstrip()[:1] in ("{", "[") and not name.endswith(_TABLES):
        return _of_json(head, path.name)
    return _of_text(head.splitlines(), name)


def _of_folder(path: Path, max_bytes: int) -> Recognised | None:
    try:
        files = find_files(path, [".json"])
    except SourceError:
        return None
    found = [_of_json(_head(file, max_bytes), file.name) for file in islice(files, 20)]
    systems = {one.system: one for one in found if one}
    if len(systems) != 1:
        return None
    (only,) = systems.values()
    return Recognised(only.system, f"its JSON files have {only.why.removeprefix('it has ')}")


def _head(path: Path, max_bytes: int) -> str:
    try:
        with open_text(path, max_bytes=max_bytes) as stream:
            return stream.read(_PEEK)
    except (SourceError, OSError, UnicodeError):
        return ""


def _of_text(lines: list[str], name: str) -> Recognised | None:  # noqa: PLR0911
    first = next((line for line in lines if line.strip()), "")
    for separator in ("|", ",", ";", "\t"):
        fields = {field.strip() for field in first.split(separator)}
        is_default = separator == "|"
        if fields & {"JobID", "JobIDRaw"} and len(fields & _SACCT) >= (2 if is_default else 4):
            why = f"its header is that of sacct ({first[:40]}...)"
            return Recognised("slurm", why, None if is_default else separator)
    if name.endswith((".csv", ".jsonl", ".ndjson")):
        return None
    fields = set(first.split("\t"))
    if {"task_id", "hash", "native_id"} <= fields or {"task_id", "hash", "realtime"} <= fields:
        return Recognised("nextflow", "its header is that of Nextflow's trace file")
    if re.match(_PBS, first):
        return Recognised("pbs", "its lines are those of a PBS accounting log")
    if re.match(r'"(JOB_FINISH|JOB_RESIZE|EVENT_ADRSV_FINISH)" "[\d.]+" \d+ ', first):
        return Recognised("lsf", "its lines are those of LSF's lsb.acct")
    lines = [line for line in lines[:50] if line.strip()]
    data = [line for line in lines if not line.startswith("#")]
    if data and all(line.count(":") >= 40 for line in data[:5]):
        return Recognised("sge", "its lines are those of Grid Engine's accounting file")
    data = [line for line in lines if not line.startswith(";")]
    if data and all(
        re.fullmatch(r"(-?[\d.]+\s+){17}-?[\d.]+", d.strip()) for d in data[:-1] or data
    ):
        return Recognised("swf", "its lines have the 18 numbers of the Standard Workload Format")
    return None


def _of_json(head: str, name: str) -> Recognised | None:
    keys = set(re.findall(r'"([A-Za-z_]\w*)"\s*:', head))
    if {"run_results.json"} & {name} or "dbt_schema_version" in keys:
        return Recognised("dbt", "it has dbt's field dbt_schema_version")
    if (
        {"workflow_id", "run_started_at"} <= keys
        or "workflow_runs" in keys
        or {"run_id", "run_attempt", "started_at", "steps"} <= keys
    ):
        return Recognised("github", "it has the fields of GitHub's REST API (workflow_runs, jobs)")
    if {"job_id", "time"} <= keys and {"jobs", "association"} & keys and "state" in keys:
        return Recognised("slurm", "it has the fields of sacct --json")
    if '"hudson.' in head or '"org.jenkinsci.' in head or {"builds", "_class"} <= keys:
        return Recognised("jenkins", "it has the classes of Jenkins's api/json")
    if {"startTimeMillis", "durationMillis"} <= keys or {"number", "timestamp", "building"} <= keys:
        return Recognised("jenkins", "it has the fields of Jenkins's api/json")
    return None


def looks_like(source: str) -> str:
    r"""Say what a file that cannot be read looks like, and how to export it; empty if unknown.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.loaders._recognise import looks_like
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "page.html")
    ...     _ = path.write_text("<!DOCTYPE html><title>Sign in</title>")
    ...     looks_like(str(path))[:29]
    'it looks like a web page:\nit '
    """
    path = Path(source)
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        head = stream.read(4096)
    what = _kind_of(head, path.name.lower())
    return f"it looks like {what}:\n{_EXPORTS[what].format(path=source)}.\n" if what else ""


def _kind_of(head: bytes, name: str) -> str:
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff \n\r\t")
    if name.endswith((".xlsx", ".xls", ".ods")):
        return "an Excel workbook"
    if head.startswith(b"SQLite format 3"):
        return "a SQLite database"
    if re.match(r"(?i)<!doctype html|<html", text):
        return "a web page"
    if text.startswith("<"):
        return "XML, as JUnit or SGE's qacct -xml write it"
    if name.endswith((".yml", ".yaml")):
        return "the YAML of a configuration"
    return ""
