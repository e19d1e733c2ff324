"""Errors and warnings of the package; each is also the built-in class a caller would catch."""

__all__ = [
    "DeviceError",
    "ModelFileError",
    "NoHistoryError",
    "RunTableError",
    "SourceError",
    "TooFewRunsWarning",
]


class RunTableError(ValueError):
    """A run table breaks its contract.

    The message names the column, the row and the remedy.
    """


class NoHistoryError(ValueError):
    """There is no observed outcome to learn from, such as a job that never succeeded."""


class DeviceError(RuntimeError):
    """The asked torch device does not exist on this machine and nothing may stand in for it."""


class SourceError(ValueError):
    """A source of run histories cannot be read; the message names the place and the remedy."""


class ModelFileError(ValueError):
    """A model file is missing, damaged or holds no model; the message names it and the remedy."""


class TooFewRunsWarning(UserWarning):
    """There are too few runs for what was asked; the message says how many it takes."""
