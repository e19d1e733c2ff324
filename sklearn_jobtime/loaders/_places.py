"""Errors of values in records, which name the place that each record came from."""

import pandas as pd

from sklearn_jobtime.exceptions import BadValueError, SourceError

__all__ = ["at_its_place"]


def at_its_place(error: BadValueError, places: pd.Series) -> SourceError:
    """Say of a value that cannot be read where its record stands.

    Parameters
    ----------
    error : BadValueError
        What is wrong with a value of a column.
    places : Series of str
        File and line, or file and place in the document, of each row of that column.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._places import at_its_place
    >>> from sklearn_jobtime._containers import bad_value
    >>> error = bad_value(pd.Series(["soon"], name="start"), 0, "is no time.")
    >>> at_its_place(error, pd.Series(["a.txt, line 3"]))
    SourceError("a.txt, line 3, start: 'soon' is no time.")
    """
    return SourceError(f"{places.iloc[error.row]}, {error.column}: {error.said}")
