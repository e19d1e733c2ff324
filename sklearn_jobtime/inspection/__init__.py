"""Which job's past moves which forecast."""

from sklearn_jobtime.inspection._contributions import (
    Contributions,
    forecast_contributions,
    shapley_values,
)
from sklearn_jobtime.inspection._linkage import Linkage, job_linkage

__all__ = ["Contributions", "Linkage", "forecast_contributions", "job_linkage", "shapley_values"]
