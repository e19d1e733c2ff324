"""Console of the commands: names and values of a source are shown, never obeyed."""

import re
from typing import Any

from rich.console import Console

__all__ = ["PlainConsole", "printable"]


# All but tab and line feed; with those that turn the direction of what follows.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class PlainConsole(Console):
    """Console that shows the control characters of names and values instead of obeying them."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as the console does, texts made printable."""
        shown = (printable(item) if isinstance(item, str) else item for item in objects)
        super().print(*shown, **options)


def printable(text: str) -> str:
    r"""Text with its control characters, and halves of characters, written as escapes.

    Examples
    --------
    >>> from sklearn_jobtime.cli.console import printable
    >>> printable("red \x1b[31m, half \ud800")
    'red \\x1b[31m, half \\ud800'
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
