"""Changes of a run as people type them: ``load=0.5``, ``load=-10min``, ``start=+30min``."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import typer

from sklearn_jobtime.landing import WhatIf

__all__ = ["read_what_if"]


FORMS = (
    "expected JOB=0.5, JOB=-10min, JOB=drop, start=+30min, workers=4 or 'A>B=cut', with a job of "
    "the run"
)


def read_what_if(texts: Sequence[str], jobs: Sequence[Any]) -> WhatIf:
    """Read what was given as --what-if, all of it together.

    Examples
    --------
    >>> change = read_what_if(["load=0.5", "test=-10min", "load>test=cut"], ["load", "test"])
    >>> change.scale, change.faster, change.cut
    ({'load': 0.5}, {'test': 600.0}, [('load', 'test')])
    """
    scale: dict[Any, float] = {}
    faster: dict[Any, float] = {}
    drop: list[Any] = []
    cut: list[tuple[Any, Any]] = []
    start_later, n_workers = 0.0, None
    for text in texts:
        name, _, value = (part.strip() for part in text.rpartition("="))
        try:
            if name in jobs and value == "drop":
                drop.append(name)
            elif name in jobs and value[:1] in "+-":
                faster[name] = -pd.Timedelta(value).total_seconds()
            elif name in jobs:
                scale[name] = float(value)
            elif name == "start":
                start_later = pd.Timedelta(value).total_seconds()
            elif name == "workers":
                n_workers = int(value)
            elif value == "cut" and ">" in name:
                before, _, after = (part.strip() for part in name.partition(">"))
                cut.append((before, after))
            else:
                raise ValueError(name)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} came for --what-if; {FORMS} ({', '.join(map(str, jobs))})."
            ) from None
    return WhatIf(
        scale=scale,
        faster=faster,
        drop=drop,
        start_later=start_later,
        n_workers=n_workers,
        cut=cut,
    )
