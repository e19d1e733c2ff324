"""Any regressor on targets that are partly missing: fitted on what was observed."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import _check_method_params, check_is_fitted

from sklearn_jobtime._estimator import ObservedScoreMixin, read_rows, read_weights
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.compose._metadata import fit_parameters, router
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.runs._target_arrays import read_targets

__all__ = ["CompleteCaseRegressor"]


class CompleteCaseRegressor(MetaEstimatorMixin, ObservedScoreMixin, BaseEstimator):
    """Fit any regressor on the observed targets: rows with NaN are left out, output by output.

    The targets of a run table have gaps: a run failed, or has not ended. Most regressors of
    scikit-learn do not accept NaN there, and rows can not be dropped before the windows are made,
    as they are the history of others. So this stands at the end of a pipeline.

    Parameters
    ----------
    regressor : estimator
        Any regressor; it is cloned for every output.

    Attributes
    ----------
    regressors_ : list of estimator
        The fitted clones, one an output.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of str
        Their names, when all are strings.

    Raises
    ------
    NoHistoryError
        When an output was never observed.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn_jobtime.compose import CompleteCaseRegressor
    >>> X, y = np.array([[1.0], [2.0], [3.0]]), np.array([10.0, np.nan, 30.0])
    >>> CompleteCaseRegressor(LinearRegression()).fit(X, y).predict([[4.0]]).round(6)
    array([40.])
    """

    __metadata_request__fit: ClassVar = {"sample_weight": True}

    _parameter_constraints: ClassVar[dict] = {"regressor": [HasMethods(["fit", "predict"])]}

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit a clone for every output on the rows where it was observed.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            What the regressor takes.
        y : array-like of shape (n,) or (n, n_outputs)
            NaN where not observed.
        sample_weight : array-like of shape (n,), default=None
            For regressors that have it.
        **fit_params : dict
            Go to the regressor; of what has one value a row, it gets those of its rows.

        Returns
        -------
        self
        """
        X = read_rows(self, X, reset=True)
        given = read_targets(self, X, y)
        targets, self._form = given.observed, given.form
        weights = None if sample_weight is None else read_weights(sample_weight, targets)
        beside = {"sample_weight": weights, **fit_params}
        params = fit_parameters(self, {"regressor": self.regressor}, beside)["regressor"]
        self.regressors_ = []
        for k, target in enumerate(targets.T):
            rows = np.flatnonzero(~np.isnan(target))
            if not rows.size:
                raise NoHistoryError(
                    f"y contains NaN only for output {k}: it was never observed, so there is "
                    "nothing to learn from; leave it out, or wait for a run to succeed."
                )
            own = _check_method_params(X, params, indices=rows)
            one = clone(self.regressor)
            self.regressors_.append(one.fit(_safe_indexing(X, rows), target[rows], **own))
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Forecast every output.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs), as `y` was
        """
        check_is_fitted(self)
        X = read_rows(self, X, reset=False)
        outputs = [np.asarray(one.predict(X), dtype=np.float64) for one in self.regressors_]
        return self._form.of(np.column_stack(outputs))

    def get_metadata_routing(self) -> MetadataRouter:
        """Say who is given what: itself, and what the regressor requests."""
        return router(self, {"regressor": self.regressor})

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.regressor).input_tags.allow_nan
        tags.target_tags.multi_output = True
        return tags
