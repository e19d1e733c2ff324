"""Airflow's Deadline Alerts with the bound of a model, instead of a mean of the last runs.

A task of each night puts what :func:`landing_bound` gives into a Variable of Airflow; the
scheduler reads it there when it creates a run (:class:`LandingDeadline`). So the scheduler loads
no model, and needs no files that workers write. ``benchmarks/examples/airflow_landing_dag.py`` is a
whole example.

Airflow finds the class by the entry point of this package (``JobtimePlugin``).
"""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import TYPE_CHECKING, Any, Self

from sklearn_jobtime.exceptions import IntegrationError

if TYPE_CHECKING:
    import pandas as pd

    from sklearn_jobtime.landing import LandingForecaster

try:  # of Airflow 3.2 or later
    from airflow.plugins_manager import AirflowPlugin
    from airflow.sdk.definitions.deadline import BaseDeadlineReference
except ImportError:
    AirflowPlugin = BaseDeadlineReference = object
    HAS_API = False
else:
    HAS_API = True

__all__ = ["JobtimePlugin", "LandingDeadline", "landing_bound"]


LOG = logging.getLogger(__name__)
MOST_SECONDS = 100 * 365.25 * 86400.0  # a century: no run takes longer


def landing_bound(
    model: "LandingForecaster", run: "pd.DataFrame", confidence_level: float | None = None
) -> dict[str, Any]:
    """Say by when the next run lands, as a value for a Variable of Airflow.

    Parameters
    ----------
    model : LandingForecaster
        A fitted one.
    run : DataFrame
        The row of the run to come, as of :func:`~sklearn_jobtime.runs.next_runs`.
    confidence_level : float, default=None
        Of the interval whose upper end is the bound; None takes that of the model. Of intervals of
        90 % about one landing in twenty is later.

    Returns
    -------
    dict
        `seconds` from the start of the run to the bound, None where there are too few held-out
        nights for one; `lands`, the median; `confidence_level`, `nights`, and `starts_at`, the
        start of the run. It can be written as JSON.

    Raises
    ------
    ValueError
        When `run` is not one row.

    Examples
    --------
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.integrations.airflow import landing_bound
    >>> from sklearn_jobtime.landing import LandingForecaster
    >>> from sklearn_jobtime.runs import make_targets, next_runs
    >>> runs = make_job_runs(n_runs=200, n_jobs=2, failure_rate=0, random_state=0)
    >>> model = LandingForecaster(RollingRule(), "job_0>job_1", random_state=0)
    >>> model = model.fit(runs, make_targets(runs))
    >>> bound = landing_bound(model, next_runs(runs))
    >>> bound["lands"] < bound["seconds"], bound["nights"]
    (True, 50)
    """
    from sklearn_jobtime.landing import landing_table  # noqa: PLC0415 - no scheduler needs it

    if len(run) != 1:
        raise ValueError(f"{len(run)} runs came; expected one row, as next_runs(runs) makes it.")
    level = model.confidence_level if confidence_level is None else confidence_level
    whole = landing_table(model, run, confidence_level=level).iloc[-1]
    upper = float(whole["upper"])
    started = run["started_at"].iloc[0] if "started_at" in run else None
    return {
        "seconds": upper if isfinite(upper) else None,
        "lands": float(whole["lands"]),
        "confidence_level": float(level),
        "nights": int(model.n_nights_),
        "starts_at": None if started is None else started.isoformat(),
    }


@dataclass(eq=False)
class LandingDeadline(BaseDeadlineReference):
    """A moment for Airflow's ``DeadlineAlert``: by then the run lands, says the model.

    Airflow asks when it creates a run. The answer is that moment plus the `seconds` that the
    Variable holds. Where it holds none, or old ones, no deadline is made and the log says why: no
    alert is better than one at an invented time.

    Parameters
    ----------
    variable : str, default="jobtime_landing"
        The Variable with what :func:`landing_bound` gave, as JSON, in Airflow's database.
    max_age_days : float, default=7.0
        A bound is for a run that starts at most so many days before or after the one that it was
        made for.

    Raises
    ------
    IntegrationError
        When Airflow is older than 3.2, which knows no references but its own.

    References
    ----------
    .. [1] "Deadline Alerts", documentation of Apache Airflow.

    Examples
    --------
    >>> from datetime import timedelta
    >>> from airflow.sdk import DAG, AsyncCallback, DeadlineAlert  # doctest: +SKIP
    >>> alert = DeadlineAlert(  # doctest: +SKIP
    ...     reference=LandingDeadline("jobtime_etl"), interval=timedelta(0),
    ...     callback=AsyncCallback("my_alerts.tell_on_call"))
    >>> etl = DAG("etl", schedule="@daily", deadline=alert)  # doctest: +SKIP
    """

    variable: str = "jobtime_landing"
    max_age_days: float = 7.0
    required_kwargs = frozenset({"dag_id"})

    def __post_init__(self) -> None:
        if not HAS_API:
            raise IntegrationError(
                "LandingDeadline needs Airflow 3.2 or later, whose Deadline Alerts take references "
                f"of others; {_found_airflow()}. Upgrade it, or let a task run jobtime landing "
                "--fail-below instead."
            )
        if not self.max_age_days > 0:
            raise ValueError(f"max_age_days is {self.max_age_days!r}; expected days above 0.")

    def serialize_reference(self) -> dict[str, Any]:
        """Give what Airflow stores of it."""
        return {
            "reference_type": type(self).__name__,
            "variable": self.variable,
            "max_age_days": self.max_age_days,
        }

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> Self:
        """Make it from what Airflow has stored."""
        return cls(reference_data["variable"], reference_data["max_age_days"])

    def _evaluate_with(self, *, session: Any, dag_id: str) -> datetime | None:
        """Answer the scheduler, within its session: `Variable.get` would close that."""
        import sqlalchemy as sa  # noqa: PLC0415 - comes with Airflow
        from airflow.models.variable import Variable  # noqa: PLC0415 - of the scheduler alone

        row = session.scalar(sa.select(Variable).where(Variable.key == self.variable))
        now = datetime.now(UTC)
        text = None if row is None else row.get_val()
        seconds, problem = _seconds(text, now, self.max_age_days)
        if seconds is None:
            LOG.warning(
                "no deadline for a run of %s: the Variable %r %s", dag_id, self.variable, problem
            )
            return None
        return now + timedelta(seconds=seconds)


class JobtimePlugin(AirflowPlugin):
    """What Airflow has to know of this package."""

    name = "sklearn_jobtime"
    deadline_references = [LandingDeadline] if HAS_API else []


def _seconds(text: str | None, now: datetime, max_age_days: float) -> tuple[float | None, str]:
    """Read the seconds of a bound; None and the reason where it does not hold now."""
    if text is None:
        return None, "does not exist; let a task put landing_bound(model, next_runs(runs)) there."
    try:
        bound = json.loads(text)
        seconds, starts_at = bound["seconds"], bound["starts_at"]
        made_for = None if starts_at is None else datetime.fromisoformat(starts_at)
        if seconds is None:
            return None, f"holds no bound: {bound['nights']} held-out nights are too few."
        if not 0 <= seconds < MOST_SECONDS:
            return None, f"has the seconds {seconds!r}; expected a number from 0 up."
        if made_for is not None and abs(now - made_for) > timedelta(days=max_age_days):
            return None, f"is for a run at {starts_at}, more than {max_age_days:g} days away."
    except (ValueError, KeyError, TypeError) as error:
        return None, f"is not what landing_bound gives ({type(error).__name__}: {error})."
    return float(seconds), ""


def _found_airflow() -> str:
    try:
        return f"found {version('apache-airflow-core')}"
    except PackageNotFoundError:
        pass
    try:
        return f"found {version('apache-airflow')}"
    except PackageNotFoundError:
        return "found none"
