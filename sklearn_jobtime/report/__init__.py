"""One HTML page on every pipeline: when its next run is done, how surely, what was unusual."""

from sklearn_jobtime.report._page import Report, make_report

__all__ = ["Report", "make_report"]
