"""Coming rows are forecast alone, and exactly as a forecast of the whole table says."""

import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.compose import AnchoredRegressor
from sklearn_jobtime.compose import _asked_rows as asked_rows
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.exceptions import SameRunsWarning, TooFewRunsWarning
from sklearn_jobtime.forecasting import forecast, with_coming
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.point_in_time._memory import NotAllGivenError
from sklearn_jobtime.preprocessing import RecentRuns, SequenceWindower
from sklearn_jobtime.runs import make_targets, next_runs, validate_runs

START = pd.Timestamp("2026-03-01", tz="UTC")
JOBS = ("build", "test")


def history(rng, lengths, first=0):
    """Series of overlapping runs with ties, failures, runs without an end and missing durations."""
    tables = {}
    for name, n in lengths.items():
        hours = np.sort(rng.integers(0, 3 * n + 1, n)) + 3 * first
        started = START + pd.to_timedelta(hours, unit="h")
        took = rng.gamma(4.0, 900.0, n)
        table = {"started_at": started, "ended_at": started + pd.to_timedelta(took, unit="s")}
        table["ended_at"] = table["ended_at"].where(rng.random(n) > 0.1)
        for job in JOBS:
            table[job] = np.where(rng.random(n) < 0.1, np.nan, took * rng.uniform(0.2, 0.8, n))
            odd = rng.random(n) < 0.2
            table[f"{job}__status"] = np.where(odd, rng.choice(["failed", "timeout"], n), "success")
        table["files"] = rng.poisson(3, n).astype(float)
        tables[name] = pd.DataFrame(table, index=pd.RangeIndex(first, first + n))
    return validate_runs(pd.concat(tables, names=["series", "run"]))


def recipe(horizon, *, network):
    model = make_anchored_forecaster(known=["files"], n_steps=4, device="cpu", random_state=0)
    model.set_params(regressor__mean__trees__boosting__regressor__max_iter=2, prior_sample_size=5)
    if network:
        inner = {"max_epochs": 1, "hidden_size": 3, "n_members": 2}
        model.set_params(**{f"regressor__mean__lstm__network__{k}": v for k, v in inner.items()})
    else:
        model.set_params(regressor__mean__lstm="drop")
    return model


FIT = history(np.random.default_rng(0), {"etl": 24, "ci": 16, "rare": 3, "late": 6})
MODELS = {
    "recipe": lambda: recipe(2, network=False),
    "network": lambda: ConformalForecaster(
        recipe(2, network=True), 0.8, group_conditional=True, symmetric=False, refit=True
    ),
    "normalised": lambda: ConformalForecaster(
        AnchoredRegressor(recipe(1, network=False).regressor), 0.8, conformity_score="normalised"
    ),
}
HORIZONS = {"normalised": 1}


@pytest.fixture(scope="module")
def models():
    fitted = {}
    with few_runs():
        for name, make in MODELS.items():
            fitted[name] = make().fit(FIT, make_targets(FIT, HORIZONS.get(name, 2)))
    return fitted


@contextmanager
def few_runs():
    """Let a model say that runs are too few, or may be others than those of fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TooFewRunsWarning)
        warnings.simplefilter("ignore", SameRunsWarning)
        yield


def assert_as_of_the_whole_table(model, both, n):
    with few_runs():
        found = model.forecast_newest(both, n)
        whole = [model.predict(both), model.sources(both)]
        interval = model.predict_interval(both) if hasattr(model, "predict_interval") else None
    np.testing.assert_allclose(found.seconds, whole[0][-n:], rtol=1e-12)
    np.testing.assert_array_equal(found.sources, whole[1][-n:])
    assert (found.interval is None) == (interval is None)
    if interval is not None:
        np.testing.assert_allclose(found.interval, interval[-n:], rtol=1e-12)


@st.composite
def tables(draw):
    """The runs of fit and later ones, of which some were changed, and some runs to come."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = [FIT]
    if draw(st.booleans()):
        lengths = {name: int(rng.integers(1, 6)) for name in ("etl", "ci", "new")}
        parts.append(history(rng, lengths, first=100))
    runs = pd.concat(parts)
    if draw(st.booleans()):  # known better by now
        rows = rng.random(len(runs)) < 0.1
        runs["build"] = runs["build"].where(~rows, 77.0)
        runs["ended_at"] = runs["ended_at"].where(~rows, runs["started_at"] + pd.Timedelta("1h"))
    if draw(st.booleans()):  # some are not given any more
        runs = runs[rng.random(len(runs)) > 0.05]
    dates = draw(st.sampled_from([None, ["2026-03-20"], ["2026-03-20", "2026-03-20T01:00"]]))
    coming = next_runs(runs, dates).assign(files=2.0)
    if draw(st.booleans()):
        runs = runs.iloc[rng.permutation(len(runs))]
    if draw(st.booleans()):
        coming = coming.iloc[: draw(st.integers(1, len(coming)))]
    if draw(st.booleans()):
        coming = coming.iloc[::-1]
    return with_coming(runs, coming), len(coming)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=4)
@given(data=st.data())
def test_coming_rows_are_forecast_as_with_the_whole_table(models, name, data):
    assert_as_of_the_whole_table(models[name], *data.draw(tables()))


def test_coming_rows_alone_are_transformed(models, monkeypatch):
    coming = next_runs(FIT, "2026-03-20").loc[["ci"]]
    both, windows, recent = with_coming(FIT, coming), [], []
    of_rows, transform_rows = SequenceWindower.windows_of_rows, RecentRuns.transform_rows
    monkeypatch.setattr(
        SequenceWindower,
        "windows_of_rows",
        lambda step, X, rows=None: windows.append(of_rows(step, X, rows)) or windows[-1],
    )
    monkeypatch.setattr(
        RecentRuns,
        "transform_rows",
        lambda step, X, rows=None: recent.append((len(X), rows)) or transform_rows(step, X, rows),
    )
    with few_runs():
        models["network"].forecast_newest(both, 1)
    assert [len(of) for of in windows] == [1, 1], "of the network and of the trees, once"
    [(n_rows, rows)] = recent
    assert n_rows == 17, "the runs of the series of the coming one"
    assert len(rows) == 5, "the asked row, and the four in its window"


@pytest.mark.parametrize("change", ["a row is missing", "a start differs", "no times"])
def test_the_whole_table_is_forecast_where_remembered_runs_may_be_missing(models, change):
    runs = FIT
    if change == "a row is missing":
        runs = runs.drop(index=runs.loc[["ci"]].index[-2])
    elif change == "a start differs":
        runs = runs.assign(started_at=runs["started_at"] - pd.Timedelta("5s"))
    both = with_coming(runs, next_runs(runs, "2026-03-25").assign(files=1.0))
    model = models["recipe"]
    if change == "no times":
        plain = FIT.drop(columns=["started_at", "ended_at"])
        y = make_targets(plain, 2)
        model = recipe(2, network=False).fit(plain, y)
        both = with_coming(plain, next_runs(plain))
        assert asked_rows.own_series(both, 1) is None
    else:
        with pytest.raises(NotAllGivenError):
            model.with_sources(*asked_rows.own_series(both, 4))
    assert_as_of_the_whole_table(model, both, 4)


def test_a_model_with_parts_of_somebody_else_is_asked_for_the_whole_table(models):
    class Doubled(ConformalForecaster):
        def predict(self, X):
            return 2 * super().predict(X)

    runs = FIT.loc[["etl"]].droplevel("series")
    y = make_targets(runs)
    once = ConformalForecaster(RollingRule(), 0.8).fit(runs, y)
    twice = Doubled(RollingRule(), 0.8).fit(runs, y)
    found, doubled = forecast(once, runs), forecast(twice, runs)
    np.testing.assert_allclose(doubled["seconds"], 2 * found["seconds"])
    whole = once.predict(with_coming(runs, next_runs(runs)))[-1]
    np.testing.assert_allclose(found["seconds"], whole, rtol=1e-12)
