"""Boosted trees as a few arrays: small, soon read, and walked through without scikit-learn.

A few rows are sent through all trees at once by NumPy; for many rows scikit-learn's compiled code
is faster, and is given the trees again. Both give what scikit-learn's own regressor gives, to the
last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_jobtime._once import once
from sklearn_jobtime._typing import Floats, Rows

__all__ = ["PackedTrees", "forecasts_of", "packed"]

# From so many pairs of a row and a tree on, compiled code is faster than NumPy, be it that it has
# to be imported first.
MANY_PAIRS = 2**18


@dataclass(frozen=True, eq=False)
class PackedTrees:
    """The trees of one regressor, whose forecast is the sum of a leaf of each.

    The left child of a node is the node behind it.

    Parameters
    ----------
    baseline : float
        What the leaves are added to.
    sizes : ndarray of int, shape (n_trees,)
        Nodes of each tree; the trees stand one behind the other.
    numbers : ndarray of shape (n_nodes,)
        Of a split the threshold, up to which a row goes to the left; of a leaf its value.
    features : ndarray of int, shape (n_nodes,)
        The column that a split asks for; 0 for a leaf.
    skips : ndarray of int, shape (n_nodes,)
        How many nodes further the right child stands; 0 for a leaf.
    missing_left : ndarray of bool, shape (n_nodes,)
        Whether a row whose value is NaN goes to the left.
    """

    baseline: float
    sizes: NDArray[np.integer[Any]]
    numbers: Floats
    features: NDArray[np.integer[Any]]
    skips: NDArray[np.integer[Any]]
    missing_left: NDArray[np.bool_]


def packed(boosting: Any) -> PackedTrees | None:
    """Take the trees out of a fitted HistGradientBoostingRegressor.

    Returns
    -------
    PackedTrees or None
        None where they are not as expected: splits by category, several trees an iteration, a
        link function, or a version of scikit-learn that lays them out in another way.
    """
    try:
        baseline = np.asarray(boosting._baseline_prediction)
        trees = [tree for (tree,) in boosting._predictors]
        link = type(boosting._loss.link).__name__
        nodes = np.concatenate([tree.nodes for tree in trees])
        is_split = nodes["is_leaf"] == 0
        sizes = np.array([len(tree.nodes) for tree in trees])
        place = np.concatenate([np.arange(size) for size in sizes])
        is_known = (
            link == "IdentityLink"
            and boosting._preprocessor is None
            and baseline.size == 1
            and baseline.dtype == nodes["value"].dtype == np.float64
            and not nodes["is_categorical"].any()
            and bool((nodes["left"] == place + 1)[is_split].all())
        )
        if not is_known:
            return None
        numbers = np.where(is_split, nodes["num_threshold"], nodes["value"])
        features = np.where(is_split, nodes["feature_idx"], 0)
        skips = np.where(is_split, nodes["right"].astype(np.int64) - place, 0)
        missing_left = is_split & (nodes["missing_go_to_left"] != 0)
    except (AttributeError, KeyError, TypeError, ValueError):  # private names, that may change
        return None
    sizes, features, skips = _narrow(sizes), _narrow(features), _narrow(skips)
    return PackedTrees(float(baseline.item()), sizes, numbers, features, skips, missing_left)


def _narrow(numbers: NDArray[Any]) -> NDArray[np.integer[Any]]:
    """Give numbers from 0 on the least type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def forecasts_of(
    owner: Any,
    trees: Sequence[PackedTrees],
    inputs: Sequence[Floats],
    *,
    many_pairs: int = MANY_PAIRS,
) -> list[Floats]:
    """Forecast with several regressors at once.

    Parameters
    ----------
    owner : object
        For as long as it lives, what is made of the trees for that is kept.
    trees : sequence of PackedTrees
        One for each regressor.
    inputs : sequence of ndarray of shape (n_rows, n_columns)
        The rows of each; the numbers of rows and columns may differ.
    many_pairs : int, default=MANY_PAIRS
        From so many pairs of a row and a tree on, compiled code does it.

    Returns
    -------
    list of ndarray of shape (n_rows,)
    """
    n_pairs = sum(len(one.sizes) * len(rows) for one, rows in zip(trees, inputs, strict=True))
    if n_pairs < many_pairs:
        walk = once(owner, "walk", tuple(trees), lambda: _Walk(trees))
        return walk.forecasts(inputs)
    compiled = once(owner, "compiled", tuple(trees), lambda: [_compiled(one) for one in trees])
    return [
        _by_compiled_code(one, nodes, rows)
        for one, nodes, rows in zip(trees, compiled, inputs, strict=True)
    ]


class _Walk:
    """All trees of several regressors as one array of nodes, through which pairs walk at once."""

    def __init__(self, trees: Sequence[PackedTrees]) -> None:
        self.baselines = [one.baseline for one in trees]
        self.n_trees = [len(one.sizes) for one in trees]
        sizes = np.concatenate([one.sizes for one in trees]).astype(np.intp)
        self.roots = np.cumsum(sizes) - sizes
        self.numbers = np.concatenate([one.numbers for one in trees])
        self.features = np.concatenate([one.features for one in trees]).astype(np.intp)
        self.missing_right = ~np.concatenate([one.missing_left for one in trees])
        skips = np.concatenate([one.skips for one in trees]).astype(np.intp)
        nodes = np.arange(len(skips))
        self.children = np.stack([nodes + (skips > 0), nodes + skips], axis=1).ravel()
        self.depth, level = 0, self.roots
        while len(level := level[skips[level] > 0]):
            self.depth += 1
            level = np.concatenate([level + 1, level + skips[level]])

    def forecasts(self, inputs: Sequence[Floats]) -> list[Floats]:
        """Send the rows of each regressor through its trees, and add up their leaves."""
        values = np.concatenate([rows.ravel() for rows in inputs])
        ends = np.cumsum([rows.size for rows in inputs])
        firsts = np.cumsum(self.n_trees) - self.n_trees
        node, start = [], []
        for rows, end, first, n_trees in zip(inputs, ends, firsts, self.n_trees, strict=True):
            n_rows, n_columns = rows.shape
            begin = np.arange(n_rows) * n_columns + (end - rows.size)
            node.append(np.repeat(self.roots[first : first + n_trees], n_rows))
            start.append(np.tile(begin, n_trees))
        leaves = self._leaves(values, np.concatenate(node), np.concatenate(start))
        found, last = [], 0
        for rows, baseline, n_trees in zip(inputs, self.baselines, self.n_trees, strict=True):
            steps = np.empty((n_trees + 1, len(rows)))
            steps[0] = baseline
            steps[1:] = leaves[last : last + n_trees * len(rows)].reshape(n_trees, len(rows))
            last += n_trees * len(rows)
            # one after the other, as scikit-learn adds them: a sum in pairs has other last digits
            found.append(np.cumsum(steps, axis=0)[-1])
        return found

    def _leaves(self, values: Floats, node: Rows, start: Rows) -> Floats:
        has_missing = bool(np.isnan(values).any())
        for _ in range(self.depth):
            value = values.take(start + self.features.take(node))
            is_right = value > self.numbers.take(node)
            if has_missing:
                is_right |= np.isnan(value) & self.missing_right.take(node)
            node = self.children.take(2 * node + is_right)
        return self.numbers.take(node)


def _compiled(trees: PackedTrees) -> list[Any]:
    """Make the trees of scikit-learn again, as far as its forecasts need them."""
    from sklearn.ensemble._hist_gradient_boosting import predictor  # noqa: PLC0415 - takes long

    nodes = np.zeros(len(trees.numbers), predictor.PREDICTOR_RECORD_DTYPE)
    sizes = trees.sizes.astype(np.intp)
    place = np.arange(len(nodes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    is_leaf = trees.skips == 0
    nodes["is_leaf"], nodes["feature_idx"] = is_leaf, trees.features
    nodes["value"] = np.where(is_leaf, trees.numbers, 0.0)
    nodes["num_threshold"] = np.where(is_leaf, 0.0, trees.numbers)
    nodes["missing_go_to_left"] = trees.missing_left
    nodes["left"] = np.where(is_leaf, 0, place + 1)
    nodes["right"] = np.where(is_leaf, 0, place + trees.skips)
    none = np.empty((0, 8), dtype=np.uint32)
    parts = np.split(nodes, np.cumsum(sizes)[:-1])
    return [predictor.TreePredictor(part, none, none) for part in parts]


def _by_compiled_code(trees: PackedTrees, compiled: list[Any], rows: Floats) -> Floats:
    from sklearn.utils._openmp_helpers import (  # noqa: PLC0415
        _openmp_effective_n_threads,
    )

    n_threads = _openmp_effective_n_threads()
    no_categories, no_places = np.empty((0, 8), dtype=np.uint32), np.zeros(rows.shape[1], np.uint32)
    forecast = np.full(len(rows), trees.baseline)
    for tree in compiled:
        forecast += tree.predict(rows, no_categories, no_places, n_threads)
    return forecast
