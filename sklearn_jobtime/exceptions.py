"""Errors and warnings of the package; each is also the built-in class a caller would catch."""

__all__ = [
    "BadValueError",
    "DeadlineError",
    "DeviceError",
    "GraphError",
    "GraphWarning",
    "LostClockError",
    "MissingPackageError",
    "ModelFileError",
    "NoHistoryError",
    "RunTableError",
    "SameRunsWarning",
    "SourceError",
    "TooFewRunsWarning",
]


class RunTableError(ValueError):
    """A run table breaks its contract.

    The message names the column, the row and the remedy.
    """


class BadValueError(RunTableError):
    """A value that cannot be read; it knows its place, so that a reader of files can name the line.

    Attributes
    ----------
    row : int
        The place of the value in its column, from 0.
    column : hashable
        The name of the column.
    said : str
        The value, what is wrong with it and what to do.
    """

    def __init__(self, message: str, *, row: int, column: object, said: str) -> None:
        super().__init__(message)
        self.row = row
        self.column = column
        self.said = said


class LostClockError(RunTableError):
    """The times of the runs were lost on the way, so nothing says what was known when."""


class NoHistoryError(ValueError):
    """There is no observed outcome to learn from, such as a job that never succeeded."""


class DeadlineError(ValueError):
    """A deadline that cannot be read; the message says which forms there are."""


class GraphError(ValueError):
    """Which job waits for which cannot be read, or has a cycle; the message names it."""


class GraphWarning(UserWarning):
    """Runs contradict the graph of their jobs; the message names them."""


class DeviceError(RuntimeError):
    """The asked torch device does not exist on this machine and nothing may stand in for it."""


class SourceError(ValueError):
    """A source of run histories cannot be read; the message names the place and the remedy."""


class MissingPackageError(ImportError):
    """A package of an extra is not installed; the message says how to get it."""


class ModelFileError(ValueError):
    """A model file is missing, damaged or holds no model; the message names it and the remedy."""


class TooFewRunsWarning(UserWarning):
    """There are too few runs for what was asked; the message says how many it takes."""


class SameRunsWarning(UserWarning):
    """Nothing tells whether rows are runs that were seen in `fit`; the message says what would."""
