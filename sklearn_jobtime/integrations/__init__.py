"""Forecasts inside the systems that run the jobs."""
