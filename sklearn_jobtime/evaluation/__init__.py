"""How good forecasts, intervals and chances are, on runs that were not learned from."""

from sklearn_jobtime.evaluation._backtest import Backtest, backtest
from sklearn_jobtime.evaluation._comparison import (
    as_text,
    best_of_each_job,
    default_baselines,
    evaluate,
    ratio_interval,
    recommendations,
    scores,
)
from sklearn_jobtime.evaluation._coverage import (
    coverage_report,
    holdout_intervals,
    interval_table,
    rolling_coverage,
    share_bounds,
)
from sklearn_jobtime.evaluation._reliability import (
    expected_calibration_error,
    holdout_events,
    reliability,
    reliability_of_deadlines,
)

__all__ = [
    "Backtest",
    "as_text",
    "backtest",
    "best_of_each_job",
    "coverage_report",
    "default_baselines",
    "evaluate",
    "expected_calibration_error",
    "holdout_events",
    "holdout_intervals",
    "interval_table",
    "ratio_interval",
    "recommendations",
    "reliability",
    "reliability_of_deadlines",
    "rolling_coverage",
    "scores",
    "share_bounds",
]
