"""One name for each series that is told by an id and may be called anything."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

__all__ = ["series_names"]


def series_names(rows: Sequence[dict[str, Any]], notes: list[str]) -> None:
    """Call the series of each row by the newest name of its key.

    Two series of one name have their keys behind it; a series without a name is called by its key.

    Parameters
    ----------
    rows : sequence of dict
        With `series_key`, `series` (its name) and `started_at`; `series` is changed.
    notes : list of str
        What was decided is put here.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._series_names import series_names
    >>> rows = [{"series_key": "7", "series": "Old", "started_at": "2026-03-01"},
    ...         {"series_key": "7", "series": "CI", "started_at": "2026-03-02"},
    ...         {"series_key": "8", "series": "CI", "started_at": "2026-03-02"}]
    >>> series_names(rows, [])
    >>> [row["series"] for row in rows]
    ['CI (7)', 'CI (7)', 'CI (8)']
    """
    names: dict[str, tuple[str, str]] = {}
    former: dict[str, set[str]] = {}
    for row in rows:
        key, name = row.get("series_key"), row.get("series")
        if key is None or name is None:
            continue
        start = str(row.get("started_at") or "")
        former.setdefault(key, set()).add(name)
        names[key] = max(names.get(key, ("", "")), (start, name), key=lambda pair: pair[0])
    alike = Counter(name for _, name in names.values())
    for row in rows:
        key = row.get("series_key")
        if key is not None:
            name = names.get(key, ("", key))[1]
            row["series"] = f"{name} ({key})" if alike[name] > 1 else name
    for name, count in alike.items():
        if count > 1:
            notes.append(
                f"{count} series are called {name!r}; each is a series of its own, with its id "
                "behind its name."
            )
    for key, (_, name) in names.items():
        if others := sorted(former[key] - {name}):
            notes.append(
                f"the runs of {key} are one series, {name!r}, also where they are called "
                f"otherwise ({', '.join(map(repr, others[-2:]))})."
            )
