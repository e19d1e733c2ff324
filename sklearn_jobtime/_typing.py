"""Names for the arrays that most modules take and return."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Ints", "Key", "Mask", "Moments", "Rows"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]
Rows: TypeAlias = NDArray[np.intp]  # positions of rows
Mask: TypeAlias = NDArray[np.bool_]
Moments: TypeAlias = NDArray[np.datetime64]
Key: TypeAlias = tuple[Any, ...]  # of a series: the levels of its index but the last
