"""One regressor for the next run of a job, and one for all runs after it."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import _check_method_params, check_is_fitted

from sklearn_jobtime._estimator import (
    ObservedScoreMixin,
    observed_with_weight,
    read_array,
    read_weights,
)
from sklearn_jobtime._typing import Floats, Ints
from sklearn_jobtime.compose._boosted_trees import BoostedTreesRegressor
from sklearn_jobtime.compose._metadata import fit_parameters, router
from sklearn_jobtime.compose._packed_trees import forecasts_of
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.runs._target_arrays import read_targets

__all__ = ["DirectMultiStepRegressor"]


def thinned(observed: NDArray[np.bool_], max_rows: int) -> tuple[Ints, Ints]:
    """Choose observed targets, evenly over rows and steps, about `max_rows` of them at most.

    Parameters
    ----------
    observed : ndarray of bool, shape (n, n_steps)
    max_rows : int

    Returns
    -------
    rows, steps : ndarray of int, shape (n_chosen,)

    Examples
    --------
    >>> import numpy as np
    >>> thinned(np.ones((4, 2), dtype=bool), max_rows=4)  # every other step of every row
    (array([0, 1, 2, 3]), array([0, 1, 0, 1]))
    """
    every = -(-int(observed.sum()) // max_rows)
    if every > 1:
        row, step = np.indices(observed.shape)
        observed = observed & ((row + step) % every == 0)
    rows, steps = np.nonzero(observed)
    return rows, steps


def grouped_outputs(steps: Floats, jobs: pd.Index) -> list[Ints]:
    """Put the first step of each job by itself, and its later steps together.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> grouped_outputs(np.array([1, 1, 2, 2, 3, 3]), pd.Index(["a", "b", "a", "b", "a", "b"]))
    [array([0]), array([2, 4]), array([1]), array([3, 5])]
    """
    groups = []
    for job in jobs.unique():
        outputs = np.flatnonzero(jobs == job)
        is_first = steps[outputs] == steps[outputs].min()
        groups += [outputs[is_first], outputs[~is_first]]
    return [group for group in groups if group.size]


class DirectMultiStepRegressor(MetaEstimatorMixin, ObservedScoreMixin, BaseEstimator):
    """Fit any regressor twice a job: on its next run, and on all runs after that.

    Ten jobs ten runs ahead are a hundred outputs, and a regressor that knows one output, such as
    boosted trees, would be fitted a hundred times. The first step is a matter of its own, as much
    is known of a run that starts now: its event, the size of its change. Of the runs after it only
    the history tells, which says nearly the same of all of them. So the later steps of a job share
    a regressor, which sees the step as its last column. Targets that were not observed (NaN) are
    left out, as in :class:`~sklearn_jobtime.compose.CompleteCaseRegressor`.

    Parameters
    ----------
    regressor : estimator
        Any regressor; it is cloned.
    max_rows : int, default=5000
        With more targets of the later steps of a job than about this, some are left out, evenly
        over rows and steps (every other step of a row, say). They overlap: step 3 of a row is step
        2 of the next one.

    Attributes
    ----------
    regressors_ : list of estimator
        The fitted clones, at most two a job; jobs with the same targets share theirs.
    outputs_ : list of ndarray of int
        Which outputs each of them forecasts.
    steps_ : ndarray of float of shape (n_outputs,)
        The step of each output.
    target_names_ : Index or None
        The columns of `y`, when it was a DataFrame. Without pairs (step, job) every output is a
        job of its own.
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
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn_jobtime.compose import DirectMultiStepRegressor
    >>> X = [[1.0], [2.0], [3.0]]
    >>> ahead = pd.MultiIndex.from_product([[1, 2, 3], ["build"]], names=["step", "job"])
    >>> y = pd.DataFrame([[10.0, 20, 30], [20.0, 30, 40], [30.0, 40, None]], columns=ahead)
    >>> model = DirectMultiStepRegressor(LinearRegression()).fit(X, y)
    >>> len(model.regressors_), model.predict([[4.0]]).round(6)
    (2, array([[40., 50., 60.]]))
    """

    __metadata_request__fit: ClassVar = {"sample_weight": True}

    _parameter_constraints: ClassVar[dict] = {
        "regressor": [HasMethods(["fit", "predict"])],
        "max_rows": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, regressor: Any, *, max_rows: int = 5000) -> None:
        self.regressor = regressor
        self.max_rows = max_rows

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: pd.DataFrame | ArrayLike,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the clones on the rows where a target was observed.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            What the regressor takes.
        y : DataFrame or array-like of shape (n,) or (n, n_outputs)
            With columns (step, job), as :func:`~sklearn_jobtime.runs.make_targets` makes them; NaN
            where not observed.
        sample_weight : array-like of shape (n,), default=None
            For regressors that have it. Rows of weight 0 are left out.
        **fit_params : dict
            Go to the regressors; of what has one value a row, each gets those of its rows.

        Returns
        -------
        self
        """
        X = read_array(self, X, reset=True)
        given = read_targets(self, X, y)
        weights = None if sample_weight is None else read_weights(sample_weight, X)
        targets, self._form = observed_with_weight(given.observed, weights), given.form
        beside = {"sample_weight": weights, **fit_params}
        params = fit_parameters(self, {"regressor": self.regressor}, beside)["regressor"]
        self.target_names_ = self._form.names
        never = np.isnan(targets).all(axis=0)
        if never.any():
            raise NoHistoryError(
                f"y contains NaN only for output {int(never.argmax())}: it was never observed, so "
                "there is nothing to learn from; leave it out, or wait for a run to succeed."
            )
        self.steps_ = np.ones(targets.shape[1])
        self.outputs_ = [np.array([k]) for k in range(targets.shape[1])]
        if isinstance(self.target_names_, pd.MultiIndex):
            self.steps_ = self.target_names_.get_level_values(0).to_numpy(dtype=np.float64)
            self.outputs_ = grouped_outputs(self.steps_, self.target_names_.get_level_values(-1))
        self.regressors_ = []
        for outputs in self.outputs_:
            own = targets[:, outputs]
            if (alike := self._fitted_alike(targets, outputs)) is not None:
                self.regressors_.append(alike)
                continue
            rows, steps = thinned(~np.isnan(own), self.max_rows if len(outputs) > 1 else len(own))
            inputs = self._with_step(X[rows], self.steps_[outputs[steps]], len(outputs))
            beside = _check_method_params(X, params, indices=rows)
            self.regressors_.append(clone(self.regressor).fit(inputs, own[rows, steps], **beside))
        return self

    def _fitted_alike(self, targets: Floats, outputs: Ints) -> Any:
        """Give the clone that has learned the same targets of the same steps; None without one.

        A run of one job takes as long as the job, and a fit of its own would tell the same.
        """
        for one, others in zip(self.regressors_, self.outputs_, strict=False):
            if np.array_equal(self.steps_[outputs], self.steps_[others]) and np.array_equal(
                targets[:, outputs], targets[:, others], equal_nan=True
            ):
                return one
        return None

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
        X = read_array(self, X, reset=False)
        inputs: dict[int, Floats] = {}
        for one, outputs in zip(self.regressors_, self.outputs_, strict=True):
            if id(one) not in inputs:  # two groups of outputs may share one
                steps = np.tile(self.steps_[outputs], len(X))
                rows = X if len(outputs) == 1 else np.repeat(X, len(outputs), axis=0)
                inputs[id(one)] = self._with_step(rows, steps, len(outputs))
        found = self._forecasts(inputs)
        forecast = np.empty((len(X), len(self.steps_)))
        for one, outputs in zip(self.regressors_, self.outputs_, strict=True):
            forecast[:, outputs] = np.reshape(found[id(one)], (len(X), len(outputs)))
        return self._form.of(forecast)

    def _forecasts(self, inputs: dict[int, Floats]) -> dict[int, Floats]:
        """Forecast the inputs of each regressor, by its id; of trees, those of all at once."""
        regressors = {id(one): one for one in self.regressors_}
        trees = [
            one.packed_trees() if type(one) is BoostedTreesRegressor else None
            for one in regressors.values()
        ]
        known = [one for one in trees if one is not None]
        if len(known) < len(regressors):
            return {key: one.predict(inputs[key]) for key, one in regressors.items()}
        rows = [inputs[key] for key in regressors]
        return dict(zip(regressors, forecasts_of(self, known, rows), strict=True))

    def _with_step(self, X: Floats, steps: Floats, n_steps: int) -> Floats:
        return X if n_steps == 1 else np.column_stack([X, steps])

    def get_metadata_routing(self) -> MetadataRouter:
        """Say who is given what: itself, and what the regressor requests."""
        return router(self, {"regressor": self.regressor})

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.regressor).input_tags.allow_nan
        tags.target_tags.multi_output = True
        return tags
