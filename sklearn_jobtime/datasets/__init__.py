"""Run histories to learn from: real ones that ship with the package, and simulated ones."""

from sklearn_jobtime.datasets._shipped import load_alcohol_sales, load_github_runs
from sklearn_jobtime.datasets._simulator import make_job_runs

__all__ = ["load_alcohol_sales", "load_github_runs", "make_job_runs"]
