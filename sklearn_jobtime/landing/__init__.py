"""When each job of a run lands, from the start of the run on and while it goes on."""

from sklearn_jobtime.landing._forecaster import LandingForecaster
from sklearn_jobtime.landing._tables import compare_landings, landing_table, rank_jobs
from sklearn_jobtime.landing._what_if import WhatIf

__all__ = ["LandingForecaster", "WhatIf", "compare_landings", "landing_table", "rank_jobs"]
