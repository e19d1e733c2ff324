"""The newest rows are the newest by time, in whatever order the rows of a pool stand."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_jobtime import (
    AnchoredRegressor,
    ConformalForecaster,
    FailureImputer,
    LSTMForecaster,
    MinMaxScaler,
    OnlineMix,
    SequenceWindower,
    StatefulForecaster,
    TimestampToNumeric,
)
from sklearn_jobtime.exceptions import LostClockError
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.point_in_time import TimedWindows, read_clock, split_in_time
from sklearn_jobtime.runs import make_targets

N_SERIES, N_RUNS = 4, 30


def pool():
    """Series in which size means something else, two of which start at the same moments."""
    tables, rng = {}, np.random.default_rng(0)
    for k in range(N_SERIES):
        size = rng.integers(1, 10, size=N_RUNS).astype(float)
        took = 100 + (-8 if k == N_SERIES - 1 else 10) * size + rng.normal(size=N_RUNS)
        start = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(
            np.arange(N_RUNS) * 86400 + (k // 2) * 600, unit="s"
        )
        end = start + pd.to_timedelta(took, unit="s")
        columns = {"started_at": start, "ended_at": end, "job": took, "size": size}
        tables[f"s{k}"] = pd.DataFrame(columns).assign(job__status="success")
    return pd.concat(tables, names=["series", "run"])


def lstm(**options):
    return LSTMForecaster(6, device="cpu", random_state=0, **{"max_epochs": 3, **options})


def pipeline(last):
    return Pipeline(
        [
            ("t", TimestampToNumeric(hour=False, weekday=False, monthday=False, month=False)),
            ("f", FailureImputer()),
            ("w", SequenceWindower(3, known=["size"])),
            ("s", MinMaxScaler()),
            ("l", last),
        ]
    )


def recipe():
    model = make_anchored_forecaster(known=["size"], n_members=1, device="cpu", random_state=0)
    return model.set_params(
        prior_sample_size=0,
        regressor__mean__lstm__network__max_epochs=2,
        regressor__mean__trees__boosting__regressor__max_iter=3,
    )


MODELS = {
    "pipeline": lambda: pipeline(lstm()),
    "state": lambda: pipeline(StatefulForecaster(lstm())),
    "recipe": recipe,
    "validated": lambda: AnchoredRegressor(pipeline(lstm()), validate=True, prior_sample_size=0),
    "mix": OnlineMix,
    "intervals of a pipeline": lambda: ConformalForecaster(pipeline(lstm())),
    "intervals of windows": lambda: pipeline(ConformalForecaster(lstm())),
    "intervals of a mix": lambda: ConformalForecaster(
        OnlineMix(), conformity_score="normalised", group_conditional=True
    ),
}


def forecasts(model, runs):
    """Forecasts, or upper bounds where there are any, of the rows by name."""
    found = model.predict(runs)
    if isinstance(model, ConformalForecaster):
        found = model.predict_interval(runs)[:, :, 1]
    elif isinstance(model, Pipeline) and isinstance(model[-1], ConformalForecaster):
        found = model[-1].predict_interval(model[:-1].transform(runs))[:, :, 1]
    return pd.DataFrame(found, index=runs.index).sort_index()


@pytest.fixture(scope="module")
def in_time_order():
    runs = pool().sort_values(["started_at", "series"], kind="stable")
    y = make_targets(runs, horizon=2, whole_run=False)
    return {name: forecasts(make().fit(runs, y), runs) for name, make in MODELS.items()}


@pytest.mark.filterwarnings("ignore::sklearn_jobtime.exceptions.TooFewRunsWarning")
@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=2, deadline=None)
@given(st.permutations(range(N_SERIES)), st.booleans())
def test_the_order_of_the_rows_changes_no_forecast(in_time_order, name, order, mixed):
    tables = [rows for _, rows in pool().groupby(level=0)]
    runs = pd.concat([tables[k] for k in order])
    if mixed:  # rows of a series in any order too
        runs = runs.sample(frac=1, random_state=order[0])
    y = make_targets(runs, horizon=2, whole_run=False)
    found = forecasts(MODELS[name]().fit(runs, y), runs)
    np.testing.assert_allclose(found, in_time_order[name], rtol=1e-9)


def test_the_newest_rows_by_time_validate():
    runs = pool()
    y = make_targets(runs, whole_run=False)
    seen = []

    class Recorder(LSTMForecaster):
        def _learn(self, windows, targets, *args):
            seen.append(targets.observed[:, 0])
            return super()._learn(windows, targets, *args)

    pipeline(Recorder(2, max_epochs=1, device="cpu")).fit(runs, y)
    by_time = y.loc[runs.sort_values("started_at", kind="stable").index].to_numpy()[:, 0]
    newest = N_SERIES * 6
    assert set(seen[0][-newest:]) == set(by_time[-newest:])


def test_an_order_that_was_lost_is_an_error_and_plain_arrays_keep_theirs():
    runs = pool()
    y = make_targets(runs, whole_run=False)
    lost = Pipeline(
        [*pipeline(None).steps[:-1], ("a", FunctionTransformer(np.array)), ("l", lstm())]
    )
    with pytest.raises(LostClockError, match=r"sort it with runs.sort_values\('started_at'"):
        lost.fit(runs, y)
    lost.fit(runs.sort_values("started_at"), y.loc[runs.sort_values("started_at").index])
    X = np.arange(40.0).reshape(-1, 1)
    once, twice = lstm().fit(X, X[:, 0]).predict(X), lstm().fit(X[::-1], X[::-1, 0]).predict(X)
    assert not np.array_equal(once, twice)  # the last rows validate


def test_targets_are_those_of_the_next_runs_in_time():
    days = pd.date_range("2026-03-01", periods=4, tz="UTC")
    runs = pd.DataFrame({"started_at": days, "job": [1.0, 2.0, 3.0, 4.0]})
    y = make_targets(runs.iloc[[2, 0, 3, 1]], horizon=2)
    assert y.index.tolist() == [2, 0, 3, 1]
    np.testing.assert_array_equal(y, [[3, 4], [1, 2], [4, np.nan], [2, 3]])


def test_the_next_run_follows_the_newest():
    runs = pool().drop(columns=["size"])
    mixed = runs.sample(frac=1, random_state=0)
    tables = [
        forecast(OnlineMix().fit(one, make_targets(one)), one).sort_index() for one in (runs, mixed)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=False)


def test_windows_carry_the_clock_of_their_rows():
    runs = pool()
    windows = SequenceWindower(3).fit_transform(runs.drop(columns="job__status"))
    started = read_clock(runs).started
    assert isinstance(windows, TimedWindows)
    for kept in (windows, windows * 2, np.log1p(windows), pickle.loads(pickle.dumps(windows))):
        np.testing.assert_array_equal(kept.clock.started, started)
    rows = np.array([5, 2, 9])
    for part, expected in ((windows[rows], started[rows]), (windows[3:6, :2], started[3:6])):
        np.testing.assert_array_equal(part.clock.started, expected)
    for other in (windows.mean(axis=0), windows[:, 0].T, windows.reshape(-1, 2), windows[None]):
        assert getattr(other, "clock", None) is None


def test_windows_split_in_time_as_their_table_does():
    runs = pool()
    windows = SequenceWindower(3).fit_transform(runs.drop(columns="job__status"))
    seen, steps = np.ones(len(runs), dtype=bool), np.array([1, 2])
    of_table, of_windows = (split_in_time(X, seen, steps, 0.25) for X in (runs, windows))
    for name in ("is_newer", "older", "is_known", "unfinished"):
        np.testing.assert_array_equal(getattr(of_windows, name), getattr(of_table, name))


def test_conformal_works_on_epoch_seconds():
    runs = pool()
    y = make_targets(runs, whole_run=False)
    origin = pd.Timestamp(0, tz="UTC")
    seconds = {c: (runs[c] - origin) / pd.Timedelta(seconds=1) for c in ("started_at", "ended_at")}
    numeric = runs.assign(**seconds, job=runs["job"].round().astype(int))
    runs = runs.assign(job=runs["job"].round())
    inside = ConformalForecaster(OnlineMix())
    expected = ConformalForecaster(OnlineMix()).fit(runs, y).predict_interval(runs)
    found = inside.fit(numeric, y).predict_interval(numeric)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    last = make_pipeline(TimestampToNumeric(), ConformalForecaster(OnlineMix())).fit(runs, y)
    found = last[-1].predict_interval(last[:-1].transform(runs))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_early_stopping_of_any_regressor_sees_rows_in_time_order():
    runs = pool().drop(columns="job__status")
    y = make_targets(runs, whole_run=False)
    trees = HistGradientBoostingRegressor(early_stopping=True, random_state=0, max_iter=20)
    numbers = FunctionTransformer(lambda X: X[["size"]])
    order = np.argsort(runs["started_at"], kind="stable")
    found = [
        AnchoredRegressor(make_pipeline(numbers, trees), prior_sample_size=0).fit(one, two)
        for one, two in ((runs, y), (runs.iloc[order], y.iloc[order]))
    ]
    np.testing.assert_array_equal(*(model.predict(runs) for model in found))
