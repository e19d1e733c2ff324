"""Pictures of runs, forecasts and networks, as scikit-learn displays.

Every display has `plot`, with `ax` for a figure of your own, and leaves what it drew in `ax_`
and `figure_`. matplotlib loads when something is drawn, not before.
"""

from sklearn_jobtime.plots.calendar import CalendarDisplay
from sklearn_jobtime.plots.coverage import CoverageDisplay
from sklearn_jobtime.plots.forecast import ForecastDisplay
from sklearn_jobtime.plots.landing import LandingDisplay
from sklearn_jobtime.plots.linkage import LinkageDisplay
from sklearn_jobtime.plots.network import NetworkDisplay
from sklearn_jobtime.plots.predictions import PredictionDisplay
from sklearn_jobtime.plots.residuals import ResidualDisplay
from sklearn_jobtime.plots.training import TrainingDisplay

__all__ = [
    "CalendarDisplay",
    "CoverageDisplay",
    "ForecastDisplay",
    "LandingDisplay",
    "LinkageDisplay",
    "NetworkDisplay",
    "PredictionDisplay",
    "ResidualDisplay",
    "TrainingDisplay",
]
