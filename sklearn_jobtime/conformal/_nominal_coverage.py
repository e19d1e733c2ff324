"""The nominal coverage of a model's intervals, for people and for scripts."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from sklearn.base import BaseEstimator

from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import TooFewRunsWarning

__all__ = ["SIMULTANEOUS", "NominalCoverage", "coverage_record", "few_runs_noted"]


# What `simultaneous` of ConformalForecaster is, and how a person says it.
SIMULTANEOUS = {
    "none": "each job and step by itself",
    "jobs": "all jobs of a run at once, each step by itself",
    "horizon": "all steps of a job at once, each job by itself",
    "both": "all jobs and steps at once",
}


@dataclass(frozen=True)
class NominalCoverage:
    """How often intervals are to hold, and of what at once.

    Parameters
    ----------
    confidence_level : float
        The share of runs that is to lie in the interval; 0 asks for no interval.
    simultaneous : str
        Key of `SIMULTANEOUS`.
    """

    confidence_level: float = 0.9
    simultaneous: str = "none"

    @classmethod
    def of(cls, model: BaseEstimator) -> Self:
        """Read the nominal coverage of a model."""
        if not isinstance(model, ConformalForecaster):
            return cls(confidence_level=0)
        return cls(model.confidence_level, model.simultaneous)

    def around(self, model: BaseEstimator) -> BaseEstimator:
        """Put intervals around a model that is not fitted yet, where they were asked for.

        The newest runs first show how far off the model is; then it is fitted on them too.
        """
        if not self.confidence_level:
            return model
        return ConformalForecaster(
            model, self.confidence_level, simultaneous=self.simultaneous, refit=True
        )

    @property
    def text(self) -> str:
        """What it means, for people.

        Examples
        --------
        >>> from sklearn_jobtime.conformal._nominal_coverage import NominalCoverage
        >>> NominalCoverage(0.95, "jobs").text
        '95 of 100 runs lie in their interval, all jobs of a run at once, each step by itself'
        """
        meaning = SIMULTANEOUS[self.simultaneous]
        return f"{_of_runs(self.confidence_level)} lie in their interval, {meaning}"


def _of_runs(share: float) -> str:
    """Say a share of runs, in as few runs as tell it: 9 of 10."""
    for n_runs in (10, 100, 1000):
        count = round(share * n_runs)
        if abs(count / n_runs - share) < 1e-9:
            return f"{count} of {n_runs:,} runs"
    return f"{100 * share:.6g} % of the runs"


def coverage_record(model: BaseEstimator) -> dict[str, Any] | None:
    """Say which nominal coverage is in force, for scripts and people; None without intervals."""
    if not isinstance(model, ConformalForecaster):
        return None
    nominal = NominalCoverage.of(model)
    n_effective = float(model.n_effective_.min())
    n_updated = model.n_updates_
    return {
        "confidence_level": nominal.confidence_level,
        "simultaneous": nominal.simultaneous,
        "calibration_runs": model.n_calibration_,
        "effective_sample_size": n_effective,
        "updated_runs": n_updated,
        "text": f"in the long run {nominal.text}, whatever comes; the intervals were updated with "
        f"the {n_updated} runs since the fit"
        if n_updated
        else f"about {nominal.text}, if what comes is like the {model.n_calibration_} runs that "
        f"calibrated it (effective sample size {n_effective:.0f})",
    }


@contextmanager
def few_runs_noted(notes: list[str]) -> Iterator[None]:
    """Add to `notes` what is said of bounds that are infinite for want of runs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TooFewRunsWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, TooFewRunsWarning):
            if str(warning.message) not in notes:
                notes.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
