"""One name for each workflow of GitHub, which is told by its id and may be called anything."""

from collections import Counter
from collections.abc import Hashable

import pandas as pd

__all__ = ["workflow_names"]


def workflow_names(runs: pd.DataFrame, notes: list[str]) -> dict[tuple[Hashable, Hashable], str]:
    """Name of each workflow, told by repository and id.

    It is the newest one. A workflow whose runs each have a title of their own, as those of
    Dependabot, is called like its file; so is one without a name. Where two of a repository
    would be called alike, their files or ids are put behind.

    Parameters
    ----------
    runs : DataFrame
        Columns `repository`, `key` (the id), `path`, `workflow` (the name), `created_at`.
    notes : list of str
        What was decided is put here.

    Returns
    -------
    dict of (repository, key) to str

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._github_names import workflow_names
    >>> runs = pd.DataFrame({"repository": "octo/app", "key": [1, 1, 2], "created_at": [1, 2, 3],
    ...     "path": [".github/workflows/ci.yml"] * 2 + [".github/workflows/full.yml"],
    ...     "workflow": ["Old", "CI", "CI"]})
    >>> workflow_names(runs, [])
    {('octo/app', 1): 'CI (ci.yml)', ('octo/app', 2): 'CI (full.yml)'}
    """
    runs = runs.sort_values("created_at", kind="stable")
    by_workflow = dict(list(runs.groupby(["repository", "key"], sort=False)))
    labels = {key: _label(rows) for key, rows in by_workflow.items()}
    files = {key: _file(rows) for key, rows in by_workflow.items()}
    alike = Counter((key[0], label) for key, label in labels.items())
    same_file = Counter((key[0], label, files[key]) for key, label in labels.items())
    names = {}
    for key, label in labels.items():
        unique = files[key] and same_file[key[0], label, files[key]] == 1
        apart = alike[key[0], label] > 1
        names[key] = f"{label} ({files[key] if unique else key[1]})" if apart else label
    for (repository, label), count in alike.items():
        if count > 1:
            notes.append(
                f"{repository}: {count} workflows are called {label!r}; each is a series of its "
                "own, with its file or id behind its name."
            )
    for key, rows in by_workflow.items():
        former = [name for name in rows["workflow"].dropna().unique() if name != labels[key]]
        if former:
            was = ", ".join(map(repr, former[-2:]))
            notes.append(
                f"{key[0]}: the {len(rows)} runs of workflow {key[1]} are one series, "
                f"{names[key]!r}, also where they are called otherwise ({was})."
            )
    return names


def _file(rows: pd.DataFrame) -> str:
    return str(rows["path"].iloc[-1] or "").rpartition("/")[2]


def _label(rows: pd.DataFrame) -> str:
    """Name of a workflow from its runs, the newest last."""
    path, names = str(rows["path"].iloc[-1] or ""), rows["workflow"].dropna()
    titled = len(names) > 1 and names.nunique() > len(names) / 2
    if len(names) and not (titled and (path.startswith("dynamic/") or names.nunique() >= 3)):
        return str(names.iloc[-1])
    return _file(rows) or (f"workflow {rows['key'].iloc[-1]}" if rows["key"].iloc[-1] else "?")
