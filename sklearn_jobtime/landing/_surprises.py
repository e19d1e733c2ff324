"""How far nights were from what was forecast, all jobs together, and what a surprise tells of rest.

A night is a vector: for each job the lateness of its duration and the seconds by which its gap was
longer than usual. The vectors of held-out nights are the sample paths of a night
to come. As the night goes on its own surprises become known, one coordinate at a time.
"""

from functools import cached_property
from typing import Self

import numpy as np
from sklearn.covariance import ledoit_wolf

from sklearn_jobtime._typing import Floats

__all__ = ["Paths", "Surprises"]


FAR = 4.0  # standard deviations: a hung night says no more of the links between jobs than that
LEAST_SURVIVORS = 10  # of the paths, from which those that are ruled out are drawn anew
TAIL = 0.1  # share of the largest surprises that say how the tail falls off
RESOLVED = 1e-9  # of a variance: what is left of a coordinate that is known


class Surprises:
    """Surprises of whole held-out nights.

    Parameters
    ----------
    nights : ndarray of shape (n_nights, n_coordinates)
        In time order; NaN where a job did not succeed in a night.

    Attributes
    ----------
    nights : ndarray of shape (n_nights, n_coordinates)
        What was not observed is that of the night before in which it was.
    covariance : ndarray of shape (n_coordinates, n_coordinates)
        Of the nights, each held to four standard deviations, shrunk where they are few.
    excess : ndarray of shape (n_coordinates,)
        By how much, in the mean, the largest tenth exceed their smallest.

    References
    ----------
    O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    Journal of Multivariate Analysis 88, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> first = np.random.default_rng(0).normal(0, 0.2, 400)
    >>> both = Surprises(np.column_stack([first, first]))
    >>> paths = both.paths(100, np.random.default_rng(0))
    >>> paths.learn(0, 0.3)
    >>> paths.values.mean(axis=0).round(1), paths.values.std(axis=0).round(1)
    (array([0.3, 0.3]), array([0., 0.]))
    """

    def __init__(self, nights: Floats) -> None:
        self.nights = _filled(nights)
        centre = np.median(self.nights, axis=0)
        away = self.nights - centre
        spread = np.sqrt(np.mean(np.square(away), axis=0))
        robust = np.median(np.abs(away), axis=0) * 1.4826
        scale = np.where(robust > 0, robust, spread)
        scale = np.where(scale > 0, scale, 1.0)
        held = np.clip(away / scale, -FAR, FAR)
        self.centre, self.reach = centre, FAR * scale
        varies = np.flatnonzero(spread > 0)
        self.covariance = np.zeros((nights.shape[1], nights.shape[1]))
        if len(varies):
            shrunk, _ = ledoit_wolf(held[:, varies])
            unit = scale[varies]
            self.covariance[np.ix_(varies, varies)] = shrunk * np.outer(unit, unit)
        self.excess = _mean_excess(self.nights)

    def without(self, night: int) -> Self:
        """Leave one night out, so that what the others say of it has not learned from it."""
        return type(self)(np.delete(self.nights, night, axis=0))

    @cached_property
    def _root(self) -> Floats:
        """Give the matrix that turns independent noise into noise of the covariance."""
        variances, directions = np.linalg.eigh(self.covariance)
        return np.asarray(directions * np.sqrt(np.maximum(variances, 0.0)))

    def paths(self, n_paths: int, random: np.random.Generator) -> "Paths":
        """Draw nights, whole; where more are asked than there are, with a little noise.

        Notes
        -----
        The smoothed bootstrap of Silverman and Young (1987), shrunk to the variance of the nights.
        The bandwidth is Silverman's for one coordinate.
        """
        n, n_coordinates = self.nights.shape
        if n_paths <= n:
            return Paths(self, self.nights[np.linspace(n - n_paths, n - 1, n_paths).astype(int)])
        rows = np.tile(np.arange(n), -(-n_paths // n))[:n_paths]
        bandwidth = 1.06 * n**-0.2 / 2
        noise = random.standard_normal((n_paths, n_coordinates)) @ self._root.T
        mean = self.nights.mean(axis=0)
        near = self.nights[rows] - mean + bandwidth * noise
        smooth = mean + near / np.sqrt(1 + bandwidth**2)
        still = (self.nights == self.nights[:1]).all(axis=0)  # always the same: no noise
        return Paths(self, np.where(still, self.nights[rows], smooth))


class Paths:
    """Surprises of a night, one row a sample path, of which some become known.

    Parameters
    ----------
    surprises : Surprises
    values : ndarray of shape (n_paths, n_coordinates)

    Attributes
    ----------
    values : ndarray of shape (n_paths, n_coordinates)

    Notes
    -----
    What becomes known moves the other coordinates of each path by their regression on it, and
    leaves the rest of the path as it was drawn (Matheron's rule, exact for Gaussian surprises).

    References
    ----------
    A. G. Journel, C. J. Huijbregts, "Mining geostatistics", Academic Press, 1978.
    """

    def __init__(self, surprises: Surprises, values: Floats) -> None:
        self.values = values.copy()
        self._surprises = surprises
        self._left = surprises.covariance.copy()  # what is not yet known

    def learn(self, coordinate: int, value: float) -> None:
        """Learn one coordinate, such as the duration of a job that has ended."""
        self._move(coordinate, np.full(len(self.values), value))
        variance = self._left[coordinate, coordinate]
        if self._is_open(coordinate):
            column = self._left[:, coordinate].copy()
            self._left -= np.outer(column, column) / variance
            self._left[coordinate] = self._left[:, coordinate] = 0.0

    def learn_at_least(self, coordinate: int, bound: float, random: np.random.Generator) -> None:
        """Learn that one coordinate is at least this: of a job that still runs.

        Paths below the bound are drawn anew from those above. Where hardly any is, from the tail
        beyond it: exponential, falling off as the largest surprises of the history do.
        """
        old = self.values[:, coordinate]
        below = old < bound
        if not below.any():
            return
        survivors = np.sort(old[~below])
        new = old.copy()
        if len(survivors) >= LEAST_SURVIVORS:
            rank = np.argsort(np.argsort(old[below], kind="stable"), kind="stable")
            share = (rank + 0.5) / below.sum()
            new[below] = np.quantile(survivors, share)
        else:
            n = len(old)
            share = (random.permutation(n) + 0.5) / n
            new = bound - self._surprises.excess[coordinate] * np.log1p(-share)
        self._move(coordinate, new)

    def _is_open(self, coordinate: int) -> bool:
        whole = self._surprises.covariance[coordinate, coordinate]
        return bool(self._left[coordinate, coordinate] > RESOLVED * whole)

    def _move(self, coordinate: int, new: Floats) -> None:
        old = self.values[:, coordinate].copy()
        if self._is_open(coordinate):
            centre = self._surprises.centre[coordinate]
            reach = self._surprises.reach[coordinate]
            moved = np.clip(new, centre - reach, centre + reach)
            moved -= np.clip(old, centre - reach, centre + reach)
            slope = self._left[:, coordinate] / self._left[coordinate, coordinate]
            self.values += np.outer(moved, slope)
        self.values[:, coordinate] = new


def _filled(nights: Floats) -> Floats:
    """Fill what was not observed from the night before in which it was, or the first after."""
    known = ~np.isnan(nights)
    at = np.arange(len(nights))[:, None]
    before = np.maximum.accumulate(np.where(known, at, -1), axis=0)
    first = np.where(known.any(axis=0), known.argmax(axis=0), 0)
    filled = np.take_along_axis(nights, np.where(before < 0, first, before), axis=0)
    return np.nan_to_num(filled, nan=0.0)


def _mean_excess(nights: Floats) -> Floats:
    """Mean excess of the largest tenth of each coordinate over the smallest of them."""
    n = len(nights)
    n_tail = max(int(TAIL * n), min(n - 1, 3), 1)
    largest = np.sort(nights, axis=0)[-n_tail - 1 :]
    excess = (largest - largest[0])[1:].mean(axis=0) if n > 1 else np.zeros(nights.shape[1])
    spread = nights.std(axis=0)
    return np.maximum(excess, 0.1 * spread)
