"""How many threads torch may use in a block."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

import sklearn_jobtime._threads  # noqa: F401  a fork leaves no pool of torch's OpenMP behind

__all__ = ["limited_threads"]


class _Blocks:
    """The blocks that are open, in all threads.

    torch sets the number for the calling thread, and for threads that have not used it yet. So a
    new thread finds the limit of another one's block, and would restore that for ever.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_open, self.number_outside = 0, 0
        self.thread = threading.local()

    def enter(self, n_threads: int | None) -> int:
        """Return the number of threads outside of all blocks."""
        with self.lock:
            is_new = self.n_open and not hasattr(self.thread, "knows_torch")
            before = self.number_outside if is_new else torch.get_num_threads()
            self.thread.knows_torch = True
            if not self.n_open:
                self.number_outside = before
            self.n_open += 1
            set_num_threads(before if n_threads is None else n_threads)
            return before

    def leave(self, before: int) -> None:
        """Give this thread its number back."""
        with self.lock:
            self.n_open -= 1
            set_num_threads(before)


_blocks = _Blocks()


def _forget_blocks() -> None:
    """In a forked child, the other threads with their blocks are gone."""
    global _blocks  # noqa: PLW0603
    _blocks = _Blocks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_blocks)


def set_num_threads(number: int) -> None:
    """Set torch's number where it is another one: only then is anything process-wide touched."""
    if torch.get_num_threads() != number:
        torch.set_num_threads(number)


@contextmanager
def limited_threads(n_threads: int | None) -> Iterator[None]:
    """Let torch use `n_threads` threads in the block (None: as many as it does already)."""
    blocks = _blocks
    before = blocks.enter(n_threads)
    try:
        yield
    finally:
        blocks.leave(before)
