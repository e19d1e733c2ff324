"""One thread a process, and no window: workers and subprocesses of the tests inherit it.

It stands here and not in `tests`, so that it also holds where only doctests are asked for. The
libraries read these variables once, when they are first imported, so this is done before.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")
