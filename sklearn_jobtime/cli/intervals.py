"""Which promise the intervals of a model make, and models made with one."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from sklearn.base import BaseEstimator

from sklearn_jobtime.conformal._forecaster import ConformalForecaster
from sklearn_jobtime.exceptions import ModelFileError, TooFewRunsWarning

__all__ = ["TOGETHER", "Promise", "conformal", "few_runs_noted", "point_model", "promise_record"]


# What --together takes, what ConformalForecaster calls it, and how a person says it.
TOGETHER = {
    "none": ("none", "each job and step by itself"),
    "jobs": ("jobs", "all jobs of a run at once, each step by itself"),
    "steps": ("horizon", "all steps of a job at once, each job by itself"),
    "all": ("both", "all jobs and steps at once"),
}


@dataclass(frozen=True)
class Promise:
    """The promise that a user asked for.

    Parameters
    ----------
    level : float
        How often the interval is to hold; 0 asks for no interval.
    together : str
        Key of `TOGETHER`.
    """

    level: float = 0.9
    together: str = "none"

    @classmethod
    def of(cls, model: BaseEstimator) -> Self:
        """Read which promise a model makes."""
        if not isinstance(model, ConformalForecaster):
            return cls(level=0)
        key = next(key for key, (name, _) in TOGETHER.items() if name == model.simultaneous)
        return cls(model.confidence_level, key)

    def around(self, model: BaseEstimator) -> BaseEstimator:
        """Put intervals around a model that is not fitted yet, where they were asked for.

        The model learns the newest runs too, after they told how far off it is: that takes one
        more fit, and on six real histories it took up to 10 % off the error.
        """
        if not self.level:
            return model
        simultaneous = TOGETHER[self.together][0]
        return ConformalForecaster(model, self.level, simultaneous=simultaneous, refit=True)


def point_model(model: BaseEstimator) -> BaseEstimator:
    """Give the model inside the intervals, fitted if they are; a model without any is itself."""
    if not isinstance(model, ConformalForecaster):
        return model
    return getattr(model, "estimator_", model.estimator)


def conformal(model: BaseEstimator, path: Any) -> ConformalForecaster:
    """Make sure that a stored model has intervals."""
    if not isinstance(model, ConformalForecaster):
        raise ModelFileError(
            f"{path}: holds {type(model).__name__} without intervals, so nothing says how far a "
            "run may be from its forecast; store one with `jobtime fit --level 0.9`."
        )
    return model


def promise_record(model: BaseEstimator) -> dict[str, Any] | None:
    """Say which promise is in force, for scripts and in one sentence; None without intervals."""
    if not isinstance(model, ConformalForecaster):
        return None
    meaning = next(text for name, text in TOGETHER.values() if name == model.simultaneous)
    worth = float(model.n_effective_.min())
    n_told = model.n_updates_ if hasattr(model, "n_updates_") else 0  # stored by an older version
    share = f"{100 * model.confidence_level:.3g} % of the runs lie in their interval, {meaning}"
    return {
        "confidence_level": model.confidence_level,
        "coverage": model.simultaneous,
        "calibration_runs": model.n_calibration_,
        "effective_runs": worth,
        "told_runs": n_told,
        "text": f"in the long run {share}, whatever comes; the intervals follow the {n_told} runs "
        "told since the fit"
        if n_told
        else f"about {share}, if what comes is like the {model.n_calibration_} runs that "
        f"calibrated it (worth {worth:.0f} independent ones)",
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
