"""How long jobs usually wait after they are ready: a rolling median of what was known."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.baselines._rules import RollingRule
from sklearn_jobtime.runs._schema import ENDED_AT, STARTED_AT
from sklearn_jobtime.runs._targets import make_targets

__all__ = ["UsualGaps"]


N_RUNS = 20  # a month of nights: a queue that grew is known within weeks, an odd night is forgotten


class UsualGaps:
    """Median of the newest gaps of each job that were known when a run started.

    Parameters
    ----------
    n_gaps : int
        Gaps of a run: one a job, and that of the run after its last job.
    """

    def __init__(self, n_gaps: int) -> None:
        self._names = [f"gap {k}" for k in range(n_gaps)]
        self._rule: RollingRule | None = None
        self._seen: list[str] = []

    def fit(self, runs: Any, gaps: Floats) -> Self:
        """Learn the gaps of runs, ``(n_runs, n_gaps)``; NaN where not known."""
        varies = np.flatnonzero((np.nan_to_num(gaps) > 0).any(axis=0))
        self._seen = [self._names[k] for k in varies]
        if self._seen:
            table = self._table(runs, gaps)
            targets = make_targets(table, jobs=self._seen, whole_run=False)
            self._rule = RollingRule(n_runs=N_RUNS).fit(table, targets)
        return self

    def predict(self, runs: Any, gaps: Floats) -> Floats:
        """Forecast the gaps of runs from those of earlier ones; 0 where there never was one."""
        usual = np.zeros(gaps.shape)
        if self._rule is not None:
            at = [self._names.index(name) for name in self._seen]
            found = self._rule.predict(self._table(runs, gaps))
            usual[:, at] = np.reshape(found, (len(gaps), -1))
        return usual

    def _table(self, runs: Any, gaps: Floats) -> pd.DataFrame:
        index: Sequence[Any] | None = runs.index if isinstance(runs, pd.DataFrame) else None
        table = pd.DataFrame(gaps, index=index, columns=self._names)[self._seen]
        if isinstance(runs, pd.DataFrame):
            clocks = [c for c in (STARTED_AT, ENDED_AT) if c in runs]
            table = pd.concat([runs[clocks], table], axis=1)
        return table
