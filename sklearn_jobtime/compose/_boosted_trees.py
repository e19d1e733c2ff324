"""scikit-learn's boosted trees, kept as arrays."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.compose._packed_trees import PackedTrees, forecasts_of, packed

__all__ = ["BoostedTreesRegressor"]


class BoostedTreesRegressor(RegressorMixin, BaseEstimator):
    """Histogram gradient boosting of scikit-learn, whose fitted trees are a few arrays.

    It forecasts what :class:`~sklearn.ensemble.HistGradientBoostingRegressor` forecasts, to the
    last digit, and is fitted by it. A model of a hundred trees is some hundred objects there, each
    with arrays of its own, and to load them takes all of `sklearn.ensemble`; here it is six
    arrays, and a forecast of a few rows takes NumPy alone. Use scikit-learn's class where you
    need features that are categories, constraints, other losses, or to look into the trees.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "quantile"}, default="squared_error"
        What is minimised. "absolute_error" forecasts the median, on which a single hung run has
        no more influence than any other.
    quantile : float, default=None
        With ``loss="quantile"``: which.
    learning_rate, max_iter, max_leaf_nodes, max_depth, min_samples_leaf, l2_regularization, \
max_features, max_bins, early_stopping, validation_fraction, n_iter_no_change, tol, random_state
        As in :class:`~sklearn.ensemble.HistGradientBoostingRegressor`, with the same defaults.

    Attributes
    ----------
    n_iter_ : int
        Trees.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> from sklearn_jobtime.compose import BoostedTreesRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = np.where(X[:, 0] > 0, 30.0, 10.0) + X[:, 1]
    >>> model = BoostedTreesRegressor(max_iter=20).fit(X, y)
    >>> model.predict([[1.0, 0.0], [-1.0, 0.0]]).round()
    array([29., 11.])
    >>> other = HistGradientBoostingRegressor(max_iter=20).fit(X, y)
    >>> bool((model.predict(X) == other.predict(X)).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "loss": [StrOptions({"squared_error", "absolute_error", "quantile"})],
        "quantile": [Interval(Real, 0, 1, closed="both"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
        "max_depth": [Interval(Integral, 1, None, closed="left"), None],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
        "l2_regularization": [Interval(Real, 0, None, closed="left")],
        "max_features": [Interval(Real, 0, 1, closed="right")],
        "max_bins": [Interval(Integral, 2, 255, closed="both")],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        quantile: float | None = None,
        learning_rate: float = 0.1,
        max_iter: int = 100,
        max_leaf_nodes: int | None = 31,
        max_depth: int | None = None,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.0,
        max_features: float = 1.0,
        max_bins: int = 255,
        early_stopping: str | bool = "auto",
        validation_fraction: float | int | None = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-7,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.loss = loss
        self.quantile = quantile
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.max_features = max_features
        self.max_bins = max_bins
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit scikit-learn's regressor, and keep its trees.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            NaN is allowed.
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self
        """
        from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - to fit only

        boosting = HistGradientBoostingRegressor(**self.get_params())
        boosting.fit(X, y, sample_weight)
        self.n_features_in_, self.n_iter_ = boosting.n_features_in_, boosting.n_iter_
        if hasattr(boosting, "feature_names_in_"):
            self.feature_names_in_ = boosting.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # of another fit
        self._trees: PackedTrees | HistGradientBoostingRegressor = packed(boosting) or boosting
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Forecast each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        trees = self._trees
        if not isinstance(trees, PackedTrees):
            return np.asarray(trees.predict(X))
        rows: Floats = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite=False
        )
        return forecasts_of(self, [trees], [rows])[0]

    def packed_trees(self) -> PackedTrees | None:
        """Give the fitted trees; None where scikit-learn lays them out in an unknown way."""
        return self._trees if isinstance(self._trees, PackedTrees) else None

    def can_be_asked(self) -> bool:
        """Tell whether it can forecast some rows of a table alone: each stands for itself."""
        return True

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_trees")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
