"""How much longer a job took than forecast, as a number that can be added to, and back."""

import numpy as np

from sklearn_jobtime._typing import Floats

__all__ = ["lateness", "seconds_of"]


def lateness(seconds: Floats, forecast: Floats, least: Floats) -> Floats:
    """Logarithm of the ratio of durations to forecasts, both lengthened by what clocks tell.

    A log ratio for jobs that last, and nearly a difference for those of a second, whose ratios mean
    nothing: a clock of whole seconds gives 0 or 1 s for them by chance. Unlike a log ratio with a
    floor it can be undone, so that many short steps do not add up to more than they took.

    Parameters
    ----------
    seconds, forecast : ndarray of shape (..., n_jobs)
        NaN stays NaN, less than nothing counts as nothing.
    least : ndarray of shape (n_jobs,)
        Durations up to which the clock tells nothing apart.

    Examples
    --------
    >>> import numpy as np
    >>> late = lateness(np.array([600.0, 1.0]), np.array([300.0, 0.0]), np.array([2.0, 2.0]))
    >>> late.round(2), seconds_of(late, np.array([300.0, 0.0]), np.array([2.0, 2.0])).round(2)
    (array([0.69, 0.41]), array([600.,   1.]))
    """
    forecast = np.maximum(forecast, 0.0)
    return np.asarray(np.log(np.maximum(seconds, 0.0) + least) - np.log(forecast + least))


def seconds_of(late: Floats, forecast: Floats, least: Floats) -> Floats:
    """Inverse of :func:`lateness`, no less than 0."""
    forecast = np.maximum(forecast, 0.0)
    return np.asarray(np.maximum(np.exp(late) * (forecast + least) - least, 0.0))
