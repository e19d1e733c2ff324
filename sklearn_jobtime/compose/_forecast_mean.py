"""The mean of several forecasters, which may each deal with missing targets in their own way."""

from collections.abc import Sequence
from contextlib import suppress
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import MetaEstimatorMixin, _fit_context, is_regressor
from sklearn.utils import Bunch, Tags, get_tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._containers import plain_table
from sklearn_jobtime._estimator import ObservedScoreMixin
from sklearn_jobtime._threads import limited_openmp
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.compose._asked_rows import can_be_asked, predicted_rows
from sklearn_jobtime.compose._metadata import fit_parameters, router
from sklearn_jobtime.compose._missing_targets import observing
from sklearn_jobtime.point_in_time._newest_rows import AskedRows
from sklearn_jobtime.runs._target_arrays import read_targets

__all__ = ["ForecastMean"]


def weighted_mean(forecasts: Sequence[Floats], weights: ArrayLike) -> Floats:
    """Mean of arrays of the same shape.

    Parameters
    ----------
    forecasts : sequence of ndarray
        One array a member.
    weights : array-like of shape (n_members,)
        Not negative; they need not add up to 1.

    Examples
    --------
    >>> import numpy as np
    >>> weighted_mean([np.array([10.0, 20.0]), np.array([40.0, 20.0])], [1, 2])
    array([30., 20.])
    """
    shares = np.asarray(weights, dtype=np.float64)
    shares = shares / shares.sum()
    return np.sum([share * one for share, one in zip(shares, forecasts, strict=True)], axis=0)


def row_by_row(X: Any) -> Any:
    """Lay the numbers of a table out as its rows are; windows stay the view that they may be."""
    return np.ascontiguousarray(X) if isinstance(X, np.ndarray) and X.ndim == 2 else X


class ForecastMean(ObservedScoreMixin, MetaEstimatorMixin, _BaseComposition):
    """Forecast the mean of several regressors, such as a network and boosted trees.

    A network and trees that learned from the same runs err in different places, so their mean is
    often better than either. This differs from :class:`~sklearn.ensemble.VotingRegressor` in what
    a history of runs needs: several outputs, windows of three dimensions or a table of runs as
    input, and targets that were not observed. A member that masks missing targets gets all rows;
    for any other the rows are left out, output by output
    (:class:`~sklearn_jobtime.compose.CompleteCaseRegressor`).

    Parameters
    ----------
    estimators : list of (str, estimator)
        The members, by name: regressors, or pipelines that end in one. They are cloned. With
        ``set_params(trees="drop")`` a member is left out, so a search can ask whether it helps.
    weights : list of float, default=None
        How much each member counts, not negative, one for every name in `estimators`. None lets
        all count the same, which is hard to beat unless one is clearly better.
    n_threads : int or None, default=1
        Threads of OpenMP that the members may use in `fit` and `predict` (LSTMForecaster has a
        setting of its own, that of a BLAS is the process's). More than one slows down models this
        small, and a search with ``n_jobs`` already uses all cores. None sets no bound.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted members that were not dropped.
    named_estimators_ : Bunch
        The same, by name.
    weights_ : ndarray of shape (n_members,)
        How much each of them counts; they add up to 1.
    target_names_ : Index or None
        The columns of `y`, when it was a DataFrame.
    n_features_in_ : int
        As the first member has it.
    feature_names_in_ : ndarray of str
        Names of the columns of `X`, when all are strings and the members keep them.

    Raises
    ------
    NoHistoryError
        When an output was never observed. An error in a member carries a note with its name.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from sklearn_jobtime.compose import ForecastMean
    >>> X, y = np.array([[1.0], [2.0], [3.0]]), np.array([10.0, np.nan, 30.0])
    >>> members = [("line", LinearRegression()), ("tree", DecisionTreeRegressor())]
    >>> model = ForecastMean(members).fit(X, y)
    >>> model.predict([[4.0]]).round(6)  # 40 and 30
    array([35.])
    >>> model.set_params(tree="drop").fit(X, y).predict([[4.0]]).round(6)
    array([40.])
    """

    weighs_rows = True
    __metadata_request__fit: ClassVar = {"at_least": True}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimators": [list],
        "weights": ["array-like", None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        weights: Sequence[float] | None = None,
        n_threads: int | None = 1,
    ) -> None:
        self.estimators = estimators
        self.weights = weights
        self.n_threads = n_threads

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: pd.DataFrame | ArrayLike,
        at_least: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit every member.

        Parameters
        ----------
        X : DataFrame or array-like
            What all members take: a table, or windows.
        y : DataFrame or array-like of shape (n,) or (n, n_outputs)
            NaN where not observed.
        at_least : array-like of the shape of `y`, default=None
            Lower bounds of right-censored targets, for the members whose `fit` takes them.
        **fit_params : dict
            Go to every member, such as `sample_weight`; with metadata routing on, to those that
            requested it.

        Returns
        -------
        self
        """
        given = read_targets(self, X, y)
        names, members = self._checked_members()
        weights = self._checked_weights([member == "drop" for member in members])
        self.target_names_ = given.form.names
        targets, named = given.form.of(given.observed), given.form.named(given.observed, X)
        self._outputs = targets.shape[1:]
        X = row_by_row(plain_table(X))
        self.estimators_, self._names = [], []
        for name, member in zip(names, members, strict=True):
            if member == "drop":
                continue
            fitted = observing(member, targets)
            beside = {"at_least": at_least, **fit_params}
            params = fit_parameters(self, {name: fitted}, beside)[name]
            try:
                with limited_openmp(self.n_threads):
                    fitted.fit(X, named, **params)
            except Exception as error:
                error.add_note(f"raised by {name!r}, a member of {type(self).__name__}")
                raise
            self.estimators_.append(fitted)
            self._names.append(name)
        self.weights_ = weights
        if hasattr(self.estimators_[0], "feature_names_in_"):
            self.feature_names_in_ = self.estimators_[0].feature_names_in_
        return self

    def predict(self, X: pd.DataFrame | ArrayLike) -> Floats:
        """Forecast the mean of what the members forecast.

        Parameters
        ----------
        X : DataFrame or array-like, as in `fit`

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs), as `y` was
        """
        check_is_fitted(self)
        X = row_by_row(plain_table(X))
        with limited_openmp(self.n_threads):
            return self._mean([one.predict(X) for one in self.estimators_])

    def can_be_asked(self) -> bool:
        """Tell whether each member can forecast some rows of a table alone."""
        return all(map(can_be_asked, self.estimators_))

    def predict_rows(self, X: pd.DataFrame, asked: AskedRows | None) -> Floats:
        """Forecast some rows of a table, see :func:`predicted_rows`."""
        with limited_openmp(self.n_threads):
            return self._mean([predicted_rows(one, X, asked) for one in self.estimators_])

    def _mean(self, forecasts: list[Floats]) -> Floats:
        arrays = [np.asarray(one, dtype=np.float64) for one in forecasts]
        # some members give one output as a column, others as a row
        shaped = [one.reshape(len(one), *self._outputs) for one in arrays]
        return weighted_mean(shaped, self.weights_)

    @property
    def named_estimators_(self) -> Bunch:
        """The fitted members, by name."""
        return Bunch(**dict(zip(self._names, self.estimators_, strict=True)))

    @property
    def n_features_in_(self) -> int:
        """Number of features, as the first member has it."""
        check_is_fitted(self)
        return self.estimators_[0].n_features_in_

    def _checked_members(self) -> tuple[list[str], list[Any]]:
        """Check the members, and give their names beside them."""
        pairs = [one for one in self.estimators if isinstance(one, tuple | list) and len(one) == 2]
        names, members = [name for name, _ in pairs], [member for _, member in pairs]
        if (
            not pairs
            or len(pairs) < len(self.estimators)
            or not all(isinstance(name, str) for name in names)
        ):
            raise ValueError(
                f"estimators={self.estimators!r} came; expected a list of pairs (name, regressor), "
                "at least one."
            )
        self._validate_names(names)
        kept = [member for member in members if member != "drop"]
        if not kept:
            raise ValueError("all members are dropped; keep at least one.")
        for member in kept:
            if not is_regressor(member):
                raise ValueError(f"the member {type(member).__name__} should be a regressor.")
        return names, members

    @property
    def named_estimators(self) -> Bunch:
        """The members as they were given, by name."""
        return Bunch(**dict(self.estimators))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, with `deep` the members and theirs too.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters: its own, a member by its name, or those of a member.

        Parameters
        ----------
        **params : dict
            Such as ``trees="drop"`` or ``trees__max_iter=50``.

        Returns
        -------
        self
        """
        self._set_params("estimators", **params)
        return self

    def _checked_weights(self, dropped: list[bool]) -> Floats:
        """Weights of the members that are not dropped, which add up to 1."""
        weights = np.ones(len(dropped)) if self.weights is None else np.array(self.weights, float)
        kept = weights[~np.array(dropped)] if weights.shape == (len(dropped),) else weights[:0]
        if not (kept >= 0).all() or not 0 < kept.sum() < np.inf:
            raise ValueError(
                f"weights={self.weights!r} came for {len(dropped)} estimators; give each one a "
                "finite number that is not negative, at least one of them above 0."
            )
        return kept / kept.sum()

    def get_metadata_routing(self) -> MetadataRouter:
        """Say who is given what: itself, and what the members request."""
        members = {name: one for name, one in self.estimators if one != "drop"}
        return router(self, members)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        with suppress(ValueError, TypeError, AttributeError):  # no members, as fit will say
            inputs = [get_tags(one).input_tags for _, one in self.estimators if one != "drop"]
            tags.input_tags.allow_nan = all(one.allow_nan for one in inputs)
            tags.input_tags.sparse = all(one.sparse for one in inputs)
        return tags
