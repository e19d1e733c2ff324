"""Numbers of a CSV file that pandas does not read as they are meant."""

import pandas as pd

__all__ = ["whole_numbers", "without_decimal_commas"]


def whole_numbers(names: pd.Series) -> pd.Series:
    """Make names that are numbers numbers, but not 007, nor 1.10 beside 1.1.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._csv_numbers import whole_numbers
    >>> whole_numbers(pd.Series(["7", "8"])).tolist(), whole_numbers(pd.Series(["007"])).tolist()
    ([7, 8], ['007'])
    """
    there = names.dropna()
    if there.empty:
        return names.astype("float64")
    if not there.str.fullmatch(r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?").all():
        return names
    is_long = there.str.len().max() > 15 and len(there) < len(names)  # a float lacks the digits
    if is_long and not there.str.contains(".", regex=False).any():
        whole = [int(name) if isinstance(name, str) else None for name in names]
        return pd.Series(whole, index=names.index, name=names.name, dtype="Int64")
    numbers = pd.to_numeric(names)
    if numbers.nunique() < there.nunique():
        return names
    return numbers


def without_decimal_commas(column: pd.Series) -> pd.Series:
    """Read 61,5 and 1.234,5 as numbers; 1,234 in all rows may be thousands and stays a text.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_jobtime.loaders._csv_numbers import without_decimal_commas
    >>> without_decimal_commas(pd.Series(["61,5", "1.234,5"])).tolist()
    [61.5, 1234.5]
    """
    if pd.api.types.is_numeric_dtype(column) or column.isna().all():
        return column
    text = column.astype("str").str.strip()
    there = column.notna()
    numbers = text.str.fullmatch(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?")
    if not numbers[there].all() or not text[there].str.contains(",", regex=False).any():
        return column
    with_comma = text[there & text.str.contains(",", regex=False)]
    if with_comma.str.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}").all():
        return column
    plain = text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return pd.to_numeric(plain.where(there)).astype("float64")
