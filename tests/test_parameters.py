"""Parameters of all public estimators: not too many, and none that quietly does nothing."""

import inspect
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import Ridge
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_jobtime import (
    AnchoredRegressor,
    FailureImputer,
    JobTimeAnomalyDetector,
    LSTMForecaster,
    LSTMTagger,
    StatefulForecaster,
    TimestampToNumeric,
)
from sklearn_jobtime.baselines import OnlineMix, RollingRule
from sklearn_jobtime.lstm import NetworkOptions, ResidualForecaster
from sklearn_jobtime.tagging import TaggerOptions

PUBLIC = ["baselines", "compose", "conformal", "lstm", "preprocessing", "tagging", "anomaly"]
MODULES = [import_module(f"sklearn_jobtime.{name}") for name in PUBLIC]
ESTIMATORS = {
    getattr(module, name)
    for module in MODULES
    for name in module.__all__
    if inspect.isclass(getattr(module, name)) and issubclass(getattr(module, name), BaseEstimator)
}


def test_no_public_estimator_has_more_than_25_parameters():
    counts = {one.__name__: len(one._get_param_names()) for one in ESTIMATORS}
    assert len(counts) > 25
    assert {name: n for name, n in counts.items() if n > 25} == {}


RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
TABLE = pd.DataFrame({"build": np.arange(10.0, 50.0)})
TIMES = pd.DataFrame({"started_at": pd.date_range("2026-01-01", periods=40), "n": X[:, 0]})
EVENTS = np.where(X > 0, "late", "early")


class NoDecay(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)


def network(**parameters):
    return LSTMForecaster(4, max_epochs=1, device="cpu", **parameters)


def residual(**parameters):
    return ResidualForecaster(4, max_epochs=1, device="cpu", **parameters)


def tagger(**parameters):
    return LSTMTagger(4, max_epochs=1, device="cpu", **parameters)


# An estimator, what it is fitted on, the words of the error, and a change under which it is fitted.
IDLE = [
    (
        network(quantile=0.9, criterion="mse"),
        (X, X[:, 0]),
        "quantile criterion",
        {"criterion": "mae"},
    ),
    (
        network(quantile=0.9, criterion=torch.nn.L1Loss),
        (X, X[:, 0]),
        "quantile criterion",
        {"quantile": None},
    ),
    (residual(quantile=0.1, criterion="huber"), (X, X), "quantile criterion", {"criterion": "mae"}),
    (network(momentum=0.9), (X, X[:, 0]), "momentum optimizer adam", {"optimizer": "sgd"}),
    (
        network(weight_decay=0.1, optimizer=NoDecay),
        (X, X[:, 0]),
        "weight_decay optimizer NoDecay",
        {"optimizer": "sgd"},
    ),
    (
        network(patience=5, early_stopping=False),
        (X, X[:, 0]),
        "patience early_stopping",
        {"early_stopping": True},
    ),
    (
        network(validation_fraction=0.5, early_stopping=False),
        (X, X[:, 0]),
        "validation_fraction early_stopping",
        {"early_stopping": True},
    ),
    (
        network(network_options=NetworkOptions(dense_activation="elu")),
        (X, X[:, 0]),
        "dense_activation dense_units",
        {"network_options__dense_units": 2},
    ),
    (
        StatefulForecaster(network(bidirectional=True)),
        (X, X[:, 0]),
        "bidirectional",
        {"forecaster__bidirectional": False},
    ),
    (
        StatefulForecaster(network(warm_start=True)),
        (X, X[:, 0]),
        "warm_start StatefulForecaster",
        {"forecaster__warm_start": False},
    ),
    (
        StatefulForecaster(network(momentum=0.5)),
        (X, X[:, 0]),
        "momentum optimizer",
        {"forecaster__optimizer": "sgd"},
    ),
    (tagger(momentum=0.5), (EVENTS, EVENTS), "momentum optimizer", {"optimizer": "rmsprop"}),
    (
        tagger(patience=3, early_stopping=False),
        (EVENTS, EVENTS),
        "patience early_stopping",
        {"patience": 15},
    ),
    (
        tagger(network_options=TaggerOptions(dense_activation="tanh")),
        (EVENTS, EVENTS),
        "dense_activation dense_units",
        {"network_options__dense_units": [3, 2]},
    ),
    (RollingRule("last", n_runs=5), (TABLE, TABLE), "n_runs statistic", {"n_runs": 1}),
    (RollingRule("last", n_runs="auto"), (TABLE, TABLE), "n_runs statistic", {"statistic": "mean"}),
    (
        OnlineMix([RollingRule("last", n_runs=2)]),
        (TABLE, TABLE),
        "n_runs statistic",
        {"baselines": [RollingRule("last")]},
    ),
    (FailureImputer("median", quantile=0.9), (TABLE,), "quantile high", {"strategy": "quantile"}),
    (FailureImputer("quantile", factor=2.0), (TABLE,), "factor high", {"strategy": "high"}),
    (
        FailureImputer("high", fill_value=9.0),
        (TABLE,),
        "fill_value constant",
        {"strategy": {"skipped": "constant"}},
    ),
    (
        TimestampToNumeric(
            hour=False, weekday=False, monthday=False, month=False, timezone="Europe/Berlin"
        ),
        (TIMES,),
        "timezone hour",
        {"weekday": True},
    ),
    (
        AnchoredRegressor(Ridge(), caution=1.0),
        (TABLE, TABLE),
        "caution validate",
        {"validate": True},
    ),
    (
        AnchoredRegressor(Ridge(), validation_fraction=0.4),
        (TABLE, TABLE),
        "validation_fraction validate",
        {"validate": True},
    ),
    (
        JobTimeAnomalyDetector(calibration_fraction=0.3, contamination=0.5),
        (TABLE.to_numpy(),),
        "calibration_fraction forecaster",
        {"forecaster": AnchoredRegressor(Ridge())},
    ),
]


@pytest.mark.parametrize(
    ("estimator", "data", "words", "change"),
    IDLE,
    ids=[f"{type(one).__name__}: {words}" for one, _, words, _ in IDLE],
)
def test_a_parameter_that_would_do_nothing_is_an_error(estimator, data, words, change):
    with pytest.raises(InvalidParameterError) as raised:
        clone(estimator).fit(*data)
    assert all(word in str(raised.value) for word in words.split())
    clone(estimator).set_params(**change).fit(*data)


def test_a_quantile_implies_the_pinball_loss():
    rng = np.random.default_rng(0)
    X, y = np.zeros((300, 2)), rng.exponential(size=300)
    model = LSTMForecaster(
        4, quantile=0.9, max_epochs=40, device="cpu", early_stopping=False, random_state=0
    )
    assert (y <= model.fit(X, y).predict(X)).mean() == pytest.approx(0.9, abs=0.04)
    named = clone(model).set_params(criterion="pinball").fit(X, y).predict(X)
    np.testing.assert_array_equal(named, model.predict(X))
