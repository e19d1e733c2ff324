"""Threads of OpenMP: how many a block may start, and none of them left behind at a fork."""

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from threadpoolctl import ThreadpoolController

__all__ = ["limited_openmp", "release_pools"]

_PAUSE_HARD = 2  # omp_pause_hard of OpenMP 5


def controllers() -> ThreadpoolController:
    """Find the OpenMP libraries that are loaded by now."""
    return ThreadpoolController().select(user_api="openmp")


@lru_cache(maxsize=1)
def controllers_but_torch(n_modules: int) -> ThreadpoolController:  # noqa: ARG001
    """Find them without torch's; to look takes milliseconds, so only where modules have come."""
    found = controllers()
    found.lib_controllers = [
        one for one in found.lib_controllers if "torch" not in Path(one.filepath).parts
    ]
    return found


@contextmanager
def limited_openmp(n_threads: int | None) -> Iterator[None]:
    """Let OpenMP use `n_threads` threads in the block (None: as many as it does already).

    The setting of OpenMP belongs to the calling thread: blocks in other threads neither see nor
    undo it, as they would that of a BLAS, which is one for the process and so stays alone. torch
    has a setting of its own (:func:`~sklearn_jobtime.lstm.threads.limited_threads`).
    """
    if n_threads is None:
        yield
        return
    with controllers_but_torch(len(sys.modules)).limit(limits=n_threads):
        yield


def release_pools() -> None:
    """End the idle OpenMP threads of the calling thread; OpenMP starts others when it needs them.

    GNU's OpenMP keeps its threads between two loops. A forked child has only the thread that forked
    but still believes in the others, and waits for them without end.
    """
    for one in controllers().lib_controllers:
        # Libraries before OpenMP 5 have no such function.
        with contextlib.suppress(AttributeError):
            one.dynlib.omp_pause_resource_all(_PAUSE_HARD)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=release_pools)
