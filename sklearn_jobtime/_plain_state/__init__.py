"""Model files that run no code: in skops' format, of types that stand on a list.

:func:`write` turns a model into plain parts (numbers, text, arrays, and objects of listed types)
and lets skops store them. :func:`read` does without skops, whose import costs more than a forecast:
it reads the same format, checks every name and every size first, and builds nothing but what
stands on the list.
"""

from sklearn_jobtime._plain_state._read import read
from sklearn_jobtime._plain_state._write import write

__all__ = ["read", "write"]
