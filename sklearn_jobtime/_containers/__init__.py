"""The door for tables, columns and numbers: any container and dtype becomes NumPy's own.

Polars, pyarrow and pandas' nullable or Arrow-backed columns hold the same values as NumPy's, and
text the same moments as datetimes; what stands behind this door sees one form alone, so that the
same runs give the same forecast.
"""

from sklearn_jobtime._containers._columns import (
    is_flags,
    kind_of,
    plain_column,
    plain_value,
    refuse_lookalikes,
)
from sklearn_jobtime._containers._moments import (
    bad_value,
    first_number,
    is_zoned,
    row_label,
    to_utc,
    wall_moment,
)
from sklearn_jobtime._containers._tables import (
    numeric_rows,
    plain_numbers,
    plain_table,
    seconds_of,
)

__all__ = [
    "bad_value",
    "first_number",
    "is_flags",
    "is_zoned",
    "kind_of",
    "numeric_rows",
    "plain_column",
    "plain_numbers",
    "plain_table",
    "plain_value",
    "refuse_lookalikes",
    "row_label",
    "seconds_of",
    "to_utc",
    "wall_moment",
]
