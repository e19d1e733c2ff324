"""The pictures and tables that commands write beside what they print."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime.cli.console import PlainConsole
from sklearn_jobtime.cli.shell_words import in_shell_words

if TYPE_CHECKING:
    from sklearn_jobtime.plots import (
        CoverageDisplay,
        ForecastDisplay,
        LandingDisplay,
        LinkageDisplay,
    )

__all__ = ["PICTURE_ENDINGS", "Files", "check_ending", "interval_name", "save_plot"]


PICTURE_ENDINGS = (".png", ".svg", ".pdf")


def check_ending(path: Path | None, endings: Sequence[str], option: str) -> None:
    """Say before the work, not after it, that a name of a file has no ending that is known."""
    if path is not None and not path.name.endswith(tuple(endings)):
        raise typer.BadParameter(
            f"{path} came for {option}; expected a name that ends in {', '.join(endings)}."
        )


def interval_name(coverage: dict[str, Any] | None) -> str:
    """Name of the intervals for the legend of a picture."""
    return f"{100 * coverage['confidence_level']:.3g} % interval" if coverage else "interval"


class Files:
    """Files to be written beside a result: one that fails is told, and takes no result away.

    Attributes
    ----------
    written : list of str
        The files written.
    failed : list of str
        A sentence on each that could not be.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Callable[[Path], None]]] = []
        self.written: list[str] = []
        self.failed: list[str] = []

    def add(self, path: Path | None, write: Callable[[Path], None]) -> None:
        """Plan a file; None plans none."""
        if path is not None:
            self._waiting.append((path, write))

    def write(self) -> list[str]:
        """Write what was planned, and give the notes that say so."""
        for path, write in self._waiting:
            try:
                write(path)
            except Exception as error:
                said = in_shell_words(str(error) or type(error).__name__)
                self.failed.append(said if str(path) in said else f"{path}: {said}")
            else:
                self.written.append(str(path))
        self._waiting = []
        return [f"written: {path}" for path in self.written]

    def exit_if_failed(self) -> None:
        """Say last what could not be written, and end with the exit code of an error."""
        for said in self.failed:
            PlainConsole(stderr=True, highlight=False, soft_wrap=True).print(
                f"error: not written, the result above is whole: {said}", markup=False
            )
        if self.failed:
            raise typer.Exit(1)


def save_plot(
    display: "ForecastDisplay | CoverageDisplay | LandingDisplay | LinkageDisplay", path: Path
) -> None:
    """Store the picture; whole or not at all."""
    with replacing(path) as new:
        display.figure_.savefig(new)
