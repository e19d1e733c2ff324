"""The pictures that commands write."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime.plots import CoverageDisplay, ForecastDisplay

__all__ = ["PICTURE_ENDINGS", "check_ending", "interval_name", "save_plot"]


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


def save_plot(display: ForecastDisplay | CoverageDisplay, path: Path) -> None:
    """Store the picture; whole or not at all."""
    with replacing(path) as new:
        display.figure_.savefig(new)
