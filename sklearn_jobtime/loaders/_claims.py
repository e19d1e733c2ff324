"""How many records the pages of an API say there are, against how many were read."""

from collections.abc import Hashable, Iterable

__all__ = ["Claims"]


class Claims:
    """Pages of queries, which are told apart by a key and by the total that they state.

    Parameters
    ----------
    what : str
        What a page lists: "runs".
    remedy : str
        How to get the missing ones.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._claims import Claims
    >>> claims = Claims("runs", "fetch the other pages with --paginate")
    >>> claims.add("octo/app", 5, [1, 2])
    >>> claims.add("octo/app", 5, [3, 4])
    >>> claims.notes()
    ['octo/app: the pages say 5 runs, 4 were read; fetch the other pages with --paginate.']
    """

    def __init__(self, what: str, remedy: str) -> None:
        self._what = what
        self._remedy = remedy
        self._pages: list[tuple[str, Hashable, int, frozenset[Hashable]]] = []

    def add(
        self, place: str, total: int | None, ids: Iterable[Hashable], part: Hashable = None
    ) -> None:
        """Count a page of a query: where it was asked, the total it states, what it holds.

        `part` is the part of `place` that all of the page belongs to, such as one workflow of a
        repository, or None: two queries with one total are then still told apart. A page that
        holds nothing may have any place: it is one of the query with that total.
        """
        if total is not None:
            self._pages.append((place, part, total, frozenset(ids)))

    def notes(self) -> list[str]:
        """Say of which queries pages are missing."""
        empty = [page for page in self._pages if not page[3]]
        filled = [page for page in self._pages if page[3]]
        # The page behind the last one is empty, and says the total again.
        alone = [p for p in empty if all(_is_far(p[2], other[2]) for other in filled)]
        self._pages = [*filled, *(page for page in alone if page[2])]
        notes = []
        for place in dict.fromkeys(page[0] for page in self._pages):
            pages = sorted((p for p in self._pages if p[0] == place), key=lambda page: page[2])
            for query in _queries(pages):
                claimed, read = query[-1][2], len(frozenset().union(*(page[3] for page in query)))
                if read < claimed - _drift(query):
                    notes.append(
                        f"{place}: the pages say {claimed:,} {self._what}, {read:,} were read; "
                        f"{self._remedy}."
                    )
        return notes


def _is_far(total: int, other: int) -> bool:
    return abs(total - other) > max(3, total // 100)


def _drift(query: list[tuple[str, Hashable, int, frozenset[Hashable]]]) -> int:
    """By how much the total grew while the pages were fetched; so many may be missed."""
    return query[-1][2] - query[0][2]


def _queries(
    pages: list[tuple[str, Hashable, int, frozenset[Hashable]]],
) -> Iterable[list[tuple[str, Hashable, int, frozenset[Hashable]]]]:
    """Put the pages of one query together; they are sorted by the total that they state."""
    near: list[list[tuple[str, Hashable, int, frozenset[Hashable]]]] = []
    for page in pages:
        # New records come while pages are fetched, so the total may grow from page to page.
        if near and not _is_far(page[2], near[-1][-1][2]):
            near[-1].append(page)
        else:
            near.append([page])
    for query in near:
        read = len(frozenset().union(*(page[3] for page in query)))
        parts = {page[1] for page in query}
        if None in parts or len(parts) == 1 or query[0][2] <= read <= query[-1][2]:
            yield query
        else:
            for part in parts:
                yield [page for page in query if page[1] == part]
