"""The same numbers give the same forecasts, bit for bit, however they lie in memory."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

import sklearn_jobtime
from sklearn_jobtime import (
    AnchoredRegressor,
    ConformalForecaster,
    CovariateEncoder,
    DirectMultiStepRegressor,
    FailureImputer,
    ForecastMean,
    JobTimeAnomalyDetector,
    LevelScaler,
    LSTMForecaster,
    LSTMTagger,
    MinMaxScaler,
    RecentRuns,
    SequenceWindower,
    SeriesEncoder,
    StatefulForecaster,
    TimestampToNumeric,
)
from sklearn_jobtime.baselines import (
    ExponentialMean,
    JenkinsRule,
    OnlineMix,
    RollingRule,
    SeasonalRule,
)
from sklearn_jobtime.compose import CompleteCaseRegressor
from sklearn_jobtime.conformal import RecentSpread

ROWS, NEW_ROWS, COLUMNS = 150, 60, 4


def strided(values: np.ndarray) -> np.ndarray:
    """Every second element of something larger, along every axis."""
    large = np.full([2 * size + 1 for size in values.shape], -1e9)
    view = large[tuple(slice(1, None, 2) for _ in values.shape)]
    view[:] = values
    return view


def backwards(values: np.ndarray) -> np.ndarray:
    """Negative strides along every axis."""
    flip = tuple(slice(None, None, -1) for _ in values.shape)
    return values[flip].copy()[flip]


def memory_map(values: np.ndarray) -> np.ndarray:
    path = Path(tempfile.mkdtemp(), "values.npy")
    np.save(path, np.asfortranarray(values))
    return np.load(path, mmap_mode="r")


def frame(values: np.ndarray) -> Any:
    if values.ndim == 1:
        return pd.Series(values)
    if values.ndim == 3:
        return np.moveaxis(np.moveaxis(values, 0, 2).copy(), 2, 0)
    new = len(values) == NEW_ROWS  # its labels go on where those of fit stopped
    index = pd.RangeIndex(len(values)) + (ROWS if new else 0)
    return pd.DataFrame(dict(enumerate(values.T)), index=index)


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": np.ndarray.tolist,
    "C": np.copy,
    "F": np.asfortranarray,
    "strided": strided,
    "backwards": backwards,
    "memory map": memory_map,
    "frame": frame,
}
layouts = st.sampled_from(sorted(LAYOUTS))


@dataclass(frozen=True)
class Case:
    """An estimator, and what it is given."""

    estimator: Any
    n_outputs: int = 0
    weighted: bool = False
    bounded: bool = False
    methods: tuple[str, ...] = ("predict",)
    windows: bool = False
    failures: bool = False
    frames_go_on: bool = False  # to a regressor that is not ours, and lays them out as it likes


NETWORK = LSTMForecaster(4, max_epochs=2, device="cpu", random_state=0)
TREES = HistGradientBoostingRegressor(max_iter=5, random_state=0)
LINE = Ridge(alpha=0.1)
TRANSFORM = ("transform",)

CASES = {
    "AnchoredRegressor": Case(AnchoredRegressor(LINE), 2, frames_go_on=True),
    "AnchoredRegressor of trees": Case(AnchoredRegressor(TREES), 2),
    "ConformalForecaster": Case(
        ConformalForecaster(LINE, conformity_score="normalised", scale_model=LINE),
        methods=("predict", "predict_interval"),
        n_outputs=1,
        frames_go_on=True,
    ),
    "ConformalForecaster of a mix": Case(
        ConformalForecaster(OnlineMix(), horizon=1),
        COLUMNS,
        bounded=True,
        methods=("predict", "predict_interval", "predict_upper"),
    ),
    "ConformalForecaster of a network": Case(
        ConformalForecaster(NETWORK), 1, windows=True, methods=("predict", "predict_interval")
    ),
    "CovariateEncoder": Case(CovariateEncoder([0, 1]), methods=TRANSFORM),
    "ExponentialMean": Case(ExponentialMean(), COLUMNS),
    "FailureImputer": Case(FailureImputer("last success"), methods=TRANSFORM, failures=True),
    "ForecastMean": Case(
        ForecastMean([("line", LINE), ("rule", RollingRule())]), 2, frames_go_on=True
    ),
    "ForecastMean of windows": Case(
        ForecastMean([("one", NETWORK), ("other", clone(NETWORK))]), 2, windows=True
    ),
    "JenkinsRule": Case(JenkinsRule(), COLUMNS),
    "JobTimeAnomalyDetector": Case(JobTimeAnomalyDetector(), methods=("score_samples",)),
    "LSTMForecaster": Case(NETWORK, 2, weighted=True, bounded=True),
    "LSTMForecaster of windows": Case(NETWORK, 1, weighted=True, bounded=True, windows=True),
    "LSTMTagger": Case(
        LSTMTagger(hidden_size=4, max_epochs=2, device="cpu", random_state=0),
        n_outputs=-1,
        methods=("predict_proba",),
        windows=True,
    ),
    "LevelScaler": Case(LevelScaler(statistic="mean"), methods=TRANSFORM),
    "MinMaxScaler": Case(MinMaxScaler(), methods=TRANSFORM),
    "MinMaxScaler of windows": Case(MinMaxScaler(), methods=TRANSFORM, windows=True),
    "CompleteCaseRegressor": Case(CompleteCaseRegressor(LINE), 2, weighted=True, frames_go_on=True),
    "CompleteCaseRegressor of trees": Case(CompleteCaseRegressor(TREES), 2, weighted=True),
    "OnlineMix": Case(OnlineMix(), COLUMNS),
    "DirectMultiStepRegressor": Case(DirectMultiStepRegressor(LINE), 2),
    "RecentRuns": Case(RecentRuns(), methods=TRANSFORM),
    "RecentSpread": Case(RecentSpread(), COLUMNS),
    "RollingRule": Case(RollingRule("mean", n_runs="auto"), COLUMNS),
    "SeasonalRule": Case(SeasonalRule(), COLUMNS),
    "SequenceWindower": Case(SequenceWindower(5), methods=TRANSFORM),
    "SeriesEncoder": Case(SeriesEncoder(), methods=TRANSFORM),
    "StatefulForecaster": Case(StatefulForecaster(NETWORK), 2, bounded=True),
    "TimestampToNumeric": Case(TimestampToNumeric([0, 1]), methods=TRANSFORM),
}


def test_every_public_estimator_is_asked():
    fits = {n for n in sklearn_jobtime.__all__ if hasattr(getattr(sklearn_jobtime, n), "fit")}
    assert fits <= set(CASES)
    assert len(fits) >= 16


def numbers(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict]:
    """Inputs of fit and of new rows, and what else fit is given."""
    shape = (COLUMNS, 3) if case.windows else (COLUMNS,)
    X, new = (np.exp(rng.normal(4, 0.3, (n, *shape))) for n in (ROWS, NEW_ROWS))
    if case.failures:
        X[rng.random(X.shape) < 0.2] = np.inf
    more: dict[str, np.ndarray] = {}
    if case.n_outputs == -1:
        more["y"] = (X.reshape(ROWS, -1).sum(axis=1) > 650).astype(float)
    if case.n_outputs > 0:
        y = np.exp(rng.normal(4, 0.3, (ROWS, case.n_outputs)))
        if case.bounded:
            cut = rng.random(y.shape) < 0.2
            more["at_least"] = np.where(cut, y / 2, np.nan)
            y[cut] = np.nan
        more["y"] = y
    if case.weighted:
        more["sample_weight"] = rng.random(ROWS)
    if case.n_outputs == 1:
        more = {name: values.reshape(ROWS) for name, values in more.items()}
    return X, new, more


def results(case: Case, X: Any, new: Any, more: dict) -> list[np.ndarray]:
    model = clone(case.estimator).fit(X, **more)
    return [np.asarray(getattr(model, name)(part)) for name in case.methods for part in (X, new)]


@cache
def expected(name: str, seed: int) -> list[np.ndarray]:
    case = CASES[name]
    return results(case, *numbers(case, np.random.default_rng(seed)))


# No shrinking: a smaller seed says no more, and each example is a fit.
@pytest.mark.parametrize("name", CASES)
@settings(max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 1), of_x=layouts, of_new=layouts, of_more=layouts)
def test_the_layout_of_the_input_changes_no_bit(name, seed, of_x, of_new, of_more):
    case = CASES[name]
    X, new, more = numbers(case, np.random.default_rng(seed))
    more = {key: LAYOUTS[of_more](values) for key, values in more.items()}
    if "frame" in (of_x, of_new):  # arrays and tables are not mixed
        of_x = of_new = "frame"
    found = results(case, LAYOUTS[of_x](X), LAYOUTS[of_new](new), more)
    exact = not (case.frames_go_on and "frame" in (of_x, of_more))
    for one, other in zip(found, expected(name, seed), strict=True):
        if exact:
            assert np.array_equal(one, other, equal_nan=True)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-9)


def test_windows_that_share_their_rows_are_as_good_as_copies():
    rng = np.random.default_rng(0)
    windows = SequenceWindower(5).fit_transform(rng.normal(60, 9, (ROWS, COLUMNS)))
    assert not windows.flags.owndata
    y = rng.normal(60, 9, (ROWS, 2))
    view, copy = (clone(NETWORK).fit(X, y).predict(X) for X in (windows, windows.copy()))
    assert np.array_equal(view, copy)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.methods == TRANSFORM]
)
def test_what_comes_after_a_transformer_sees_one_layout(name):
    """Where that is a regressor that is not ours, it may sum in the order of the memory."""
    case = CASES[name]
    X, new, more = numbers(case, np.random.default_rng(0))
    outputs = [
        output
        for layout in ("C", "F", "backwards")
        for output in results(case, LAYOUTS[layout](X), LAYOUTS[layout](new), more)
    ]
    assert len({tuple(np.argsort(output.strides)) for output in outputs}) == 1
