"""What is common to all baselines, and how to add one."""

from sklearn_jobtime.baselines._history_regressor import HistoryRegressor

__all__ = ["Baseline"]


class Baseline(HistoryRegressor):
    """A simple forecast from the past of one job alone: what a model has to beat.

    A baseline is one class with two methods, and a regressor with everything that scikit-learn asks
    of one. `evaluate` and `backtest` compare models with the baselines among them, and
    :class:`OnlineMix` averages any of them.

    - ``learn(history, targets)`` looks at the training runs of one job, and returns a
      :class:`Learned`: how many runs back a forecast looks, and whatever else it needs to know.
    - ``forecast_job(history, learned)`` forecasts the asked rows of one job from the runs that had
      ended when each of them started, and says NaN where there was none.

    Neither changes the object. `fit` and `predict` do the rest: they read the table, find out
    which run was known when, remember the runs that later rows need, and forecast a row without
    history from the median of the training targets.

    See Also
    --------
    sklearn_jobtime.point_in_time.JobHistory : What `history` offers.

    Examples
    --------
    A careful person takes the longest of the last three runs:

    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_jobtime import OnlineMix, make_targets
    >>> from sklearn_jobtime.baselines import Baseline, Learned, RollingRule
    >>> class LongestRule(Baseline):
    ...     '''Forecast each job by the longest of its newest successful runs.'''
    ...
    ...     def __init__(self, n_runs=3):
    ...         self.n_runs = n_runs
    ...
    ...     def learn(self, history, targets):
    ...         return Learned(runs_needed=self.n_runs)
    ...
    ...     def forecast_job(self, history, learned):
    ...         return np.fmax.reduce(history.newest(self.n_runs), axis=1)
    >>> runs = pd.DataFrame({"build": [10.0, 60.0, 20.0, 30.0, 40.0, 45.0]})
    >>> y = make_targets(runs)
    >>> LongestRule().fit(runs, y).predict(runs).ravel()
    array([35., 10., 60., 60., 60., 40.])

    And it can be one of those that a weighted average trusts as far as they were right lately:

    >>> mix = OnlineMix(baselines=[LongestRule(), RollingRule("last")]).fit(runs, y)
    >>> mix.predict(runs).ravel().round(1)
    array([35. , 10. , 60. , 37.3, 34.1, 40. ])
    """
