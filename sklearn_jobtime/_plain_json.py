"""Tables and numbers as plain values that JSON can hold."""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["as_records", "plain_json"]


def plain_json(value: Any) -> Any:
    """Make a value plain: missing and infinite numbers are None, moments ISO 8601 in UTC.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jobtime._plain_json import plain_json
    >>> plain_json({"n": np.int64(3), "bound": np.inf, "at": pd.Timestamp("2026-03-01T04:00Z")})
    {'n': 3, 'bound': None, 'at': '2026-03-01T04:00:00Z'}
    """
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else str(value)


def as_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as dicts, its index left out."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]
