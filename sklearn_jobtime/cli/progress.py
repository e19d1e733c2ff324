"""A sign on standard error that something takes its time."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["reading"]


@contextmanager
def reading() -> Iterator[None]:
    """Show on standard error that a source is being read, and for how long."""
    columns = (TextColumn("reading"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        bar.add_task("", total=None)
        yield
