"""Names and states of a table as text; what is no name stops with its row."""

from decimal import Decimal

import numpy as np
import pandas as pd

from sklearn_jobtime._containers import bad_value
from sklearn_jobtime.exceptions import BadValueError

__all__ = ["inferred", "is_unicode", "to_text", "to_whole_numbers"]


_NO_NAMES = (dict, list, tuple, set, np.ndarray)


def inferred(values: pd.Series) -> pd.Series:
    """Objects as a database driver returns them, as the dtype of all of them together.

    Raises
    ------
    BadValueError
        At a text that is no text, such as half of a character.
    """
    if values.dtype != object:
        return values
    if pd.api.types.infer_dtype(values, skipna=True) == "decimal":
        return values.astype("float64")
    try:
        return pd.Series(values.tolist(), index=values.index, name=values.name)
    except UnicodeEncodeError:
        raise _no_unicode(values) from None
    except OverflowError:  # a moment beyond all types
        return values


def to_text(values: pd.Series) -> pd.Series:
    """Turn a column of names into text without blanks around; what is empty is missing.

    Raises
    ------
    BadValueError
        At the first value that is no name: an object, a list, bytes that are not UTF-8, infinity
        or a fraction.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._text import to_text
    >>> to_text(pd.Series([7.0, None])).tolist(), to_text(pd.Series([b" build "])).tolist()
    (['7', nan], ['build'])
    """
    if pd.api.types.is_float_dtype(values):
        values = _whole(values)
    if values.dtype == object and (kind := pd.api.types.infer_dtype(values, skipna=True)) not in (
        "string",
        "integer",
        "empty",
    ):
        values = _from_objects(values, kind)
    try:
        text = values.astype("str").str.strip()
    except UnicodeEncodeError:
        raise _no_unicode(values) from None
    return text.where(values.notna() & (text != ""))


def to_whole_numbers(values: pd.Series) -> pd.Series:
    """Turn a column into whole numbers, none of which may be missing.

    Raises
    ------
    BadValueError
        At the first value that is no whole number.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._text import to_whole_numbers
    >>> to_whole_numbers(pd.Series([2.0, "3"], dtype=object)).tolist()
    [2, 3]
    """
    text = to_text(inferred(values))
    wrong = ~text.str.fullmatch(r"-?\d{1,18}").fillna(False).astype("bool")
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise bad_value(values, row, "is no whole number; correct it.")
    return text.astype("int64")


def _whole(values: pd.Series) -> pd.Series:
    """Whole numbers that are floats because some are missing."""
    there = values.dropna()
    if (there % 1 == 0).all() and (there.abs() < 2**63).all():
        return values.astype("Int64")
    wrong = values.notna() & ~((values % 1 == 0) & np.isfinite(values))
    if np.isinf(there).any():
        wrong = np.isinf(values)
    raise bad_value(
        values,
        int(wrong.to_numpy().argmax()),
        "is no name and no whole number; write it as text if it is a name.",
    )


def _from_objects(values: pd.Series, kind: str) -> pd.Series:
    if kind in ("floating", "mixed-integer-float"):
        return _whole(values.astype("float64"))
    plain = [_plain(values, place, value) for place, value in enumerate(values.tolist())]
    return pd.Series(plain, index=values.index, name=values.name, dtype=object)


def _plain(values: pd.Series, place: int, value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            raise bad_value(values, place, "is bytes that are no UTF-8 text.") from None
    if isinstance(value, _NO_NAMES):
        raise bad_value(
            values,
            place,
            f"is {'an object' if isinstance(value, dict) else 'a list'}, not a name; name a "
            "column that holds a text or a number.",
        )
    is_whole = isinstance(value, float | Decimal) and np.isfinite(float(value)) and value % 1 == 0
    return int(value) if is_whole else value  # type: ignore[call-overload]


def _no_unicode(values: pd.Series) -> BadValueError:
    rows = [not is_unicode(value) for value in values.tolist()]
    return bad_value(
        values.map(ascii),
        int(np.argmax(rows)),
        "holds bytes that are no UTF-8 or half of a character, which is no text; correct it.",
    )


def is_unicode(value: object) -> bool:
    r"""Tell a text from one with half of a character, which can be neither printed nor written.

    Examples
    --------
    >>> from sklearn_jobtime.loaders._text import is_unicode
    >>> is_unicode("b\u00fccher"), is_unicode("\ud83d")
    (True, False)
    """
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True
