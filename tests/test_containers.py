"""Any container and dtype of the same runs gives the same numbers, and lookalikes are errors."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sklearn_jobtime import (
    ConformalForecaster,
    CovariateEncoder,
    JobTimeAnomalyDetector,
    LevelScaler,
    LSTMForecaster,
    OnlineMix,
    RecentRuns,
    SequenceWindower,
    make_forecast_pipeline,
)
from sklearn_jobtime._containers import plain_table
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.metrics import observed_mae, observed_pinball, observed_r2, observed_rmse
from sklearn_jobtime.runs import (
    job_columns,
    make_targets,
    pivot_runs,
    series_names,
    to_utc,
    validate_runs,
)

MINUTE = pd.Timedelta("1min")


def arrow(table):
    return table.convert_dtypes(dtype_backend="pyarrow")


def nullable(table):
    return table.convert_dtypes()


def categories(table):
    texts = [name for name, dtype in table.dtypes.items() if dtype.kind == "O" or dtype == "str"]
    return table.astype(dict.fromkeys(texts, "category"))


def polars(table):
    pl = pytest.importorskip("polars")
    return pl.from_pandas(table, include_index=True)


def narwhals(table):
    nw = pytest.importorskip("narwhals")
    return nw.from_native(table, eager_only=True)


def durations(table):
    jobs = [name for name in table if f"{name}__status" in table]
    return table.assign(**{job: pd.to_timedelta(table[job], unit="s") for job in jobs})


def texts(table):
    """Give the times as pandas.read_csv does."""
    clocks = [name for name in table if name.endswith(("started_at", "ended_at"))]
    return table.assign(**{name: table[name].map(str) for name in clocks})


CONTAINERS = {
    "nullable": nullable,
    "arrow": arrow,
    "categories": categories,
    "objects": lambda table: table.astype(object),
    "times as text": texts,
    "pyarrow table": pa.Table.from_pandas,
    "polars": polars,
    "polars with categories": lambda table: polars(categories(table)),
    "narwhals": narwhals,
}


@st.composite
def run_tables(draw):
    """One series or two; jobs in whole milliseconds, some of which failed; text and flags."""
    seed, several = draw(st.integers(0, 10_000)), draw(st.booleans())
    runs = make_job_runs(n_runs=40, n_jobs=2, failure_rate=0.2, random_state=seed)
    rng = np.random.default_rng(seed)
    for job in ("job_0", "job_1"):
        runs[job] = runs[job].round(3) + 0.0005
    runs["event"] = rng.choice(["push", "tag", None], 40)
    runs["urgent"] = rng.random(40) < 0.5
    if several:
        runs.index = pd.MultiIndex.from_arrays(
            [rng.choice(["etl", "ci"], 40), range(40)], names=["series", "run"]
        )
    return runs


@pytest.mark.parametrize("name", CONTAINERS)
@settings(deadline=None, max_examples=2)
@given(runs=run_tables())
def test_a_run_table_gives_the_same_forecast_in_any_container(runs, name):
    given_runs, y = CONTAINERS[name](runs), make_targets(runs)
    as_objects = name == "objects"  # text is left as objects, which older pandas has anyway
    pd.testing.assert_frame_equal(
        validate_runs(given_runs), validate_runs(runs), check_dtype=not as_objects
    )
    pd.testing.assert_frame_equal(make_targets(given_runs), y)
    expected = OnlineMix().fit(runs, y)
    mix = OnlineMix().fit(given_runs, y)
    np.testing.assert_array_equal(mix.predict(given_runs), expected.predict(runs))
    pd.testing.assert_frame_equal(forecast(mix, given_runs), forecast(expected, runs))
    jobs = {"jobs": ["job_0"], "by": ["event", "urgent"]}
    recent = RecentRuns(**jobs).fit(runs).transform(given_runs)
    pd.testing.assert_frame_equal(
        recent.filter(like="started_at__"),
        RecentRuns(**jobs).fit(given_runs).transform(runs).filter(like="started_at__"),
    )
    encoder = CovariateEncoder(["event", "urgent", "input_rows"]).fit(given_runs)
    columns = encoder.get_feature_names_out()[-9:]
    pd.testing.assert_frame_equal(
        encoder.transform(runs)[columns], encoder.fit(runs).transform(given_runs)[columns]
    )


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_the_recipe_intervals_and_alarms_take_any_container(container):
    runs = make_job_runs(n_runs=60, n_jobs=1, random_state=0)
    past, new, y = runs[:50], runs[50:], make_targets(runs[:50])
    detector = JobTimeAnomalyDetector(contamination=0.1)
    np.testing.assert_array_equal(
        detector.fit(container(past)).score_samples(container(new)),
        detector.fit(past).score_samples(new),
    )
    model = ConformalForecaster(RollingRule(), 0.8)
    one = model.fit(past, y).predict_interval(new)
    other = clone(model).fit(container(past), y).predict_interval(container(new))
    np.testing.assert_array_equal(other, one)


def test_set_output_changes_no_forecast():
    pytest.importorskip("polars")
    runs = make_job_runs(n_runs=12, n_jobs=1, random_state=0)
    y = make_targets(runs)
    pipe = make_forecast_pipeline(n_steps=2, device="cpu")
    pipe.set_params(lstm__max_epochs=1, lstm__random_state=0)
    expected = clone(pipe).fit(runs, y).predict(runs)
    for container in ("pandas", "polars", "default"):
        chosen = clone(pipe).set_output(transform=container).fit(runs, y)
        np.testing.assert_array_equal(chosen.predict(runs), expected)
        assert isinstance(chosen[:3].transform(runs), np.ndarray)
        kind = {"polars": "polars", "pandas": "pandas", "default": "pandas"}[container]
        assert type(chosen[:2].transform(runs)).__module__.split(".")[0] == kind
        with sklearn.config_context(transform_output=container):
            np.testing.assert_array_equal(clone(pipe).fit(runs, y).predict(runs), expected)


def test_polars_output_never_mixes_series():
    pytest.importorskip("polars")
    runs = pd.concat({k: make_job_runs(n_runs=9, n_jobs=1, random_state=k) for k in (1, 2)})
    with pytest.raises(RunTableError, match="the index that names the series"):
        LevelScaler().set_output(transform="polars").fit_transform(runs)


def test_a_lazy_frame_is_refused_with_its_remedy():
    pl = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"collect\(\)"):
        validate_runs(pl.LazyFrame({"job": [1.5]}))


LENGTHS = {
    f"timedelta64[{unit}]": pd.Series(np.array([60, 120], "timedelta64[s]")).astype(
        f"timedelta64[{unit}]"
    )
    for unit in ("s", "ms", "us", "ns")
}
LENGTHS |= {
    "array of minutes": np.array([1, 2], "timedelta64[m]"),
    "array of picoseconds": np.array([60, 120], "timedelta64[s]").astype("timedelta64[ps]"),
    "datetime.timedelta": [datetime.timedelta(minutes=1), datetime.timedelta(minutes=2)],
    "objects": np.array([MINUTE, 2 * MINUTE], dtype=object),
    "arrow": pd.Series([60_000, 120_000], dtype=pd.ArrowDtype(pa.duration("ms"))),
    "pyarrow": pa.array([60, 120], pa.duration("s")),
    "index": pd.to_timedelta(["1min", "2min"]),
}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_lengths_of_time_of_any_unit_are_seconds(lengths):
    table = pd.DataFrame({"job": getattr(lengths, "to_pandas", lambda: lengths)()})
    assert validate_runs(table)["job"].tolist() == [60.0, 120.0]
    assert make_targets(table).to_numpy().ravel().tolist() == [60.0, 120.0]
    long = table.rename(columns={"job": "duration"}).assign(run=[1, 2], job="build")
    assert pivot_runs(long)["build"].tolist() == [60.0, 120.0]
    assert observed_mae(lengths, [61.0, 121.0]) == 1.0
    assert observed_rmse([61.0, 121.0], lengths) == 1.0
    assert observed_r2(lengths, lengths) == 1.0
    assert observed_pinball(lengths, lengths) == 0.0
    X = [[0.0], [60.0]]
    assert RollingRule("last").fit(X, lengths).fallback_.tolist() == [90.0]
    lstm = LSTMForecaster(device="cpu", max_epochs=1, random_state=0)
    numbers = clone(lstm).fit(X * 4, [60.0, 120.0] * 4)
    same = lstm.fit(X * 4, np.tile(np.asarray(table["job"], "timedelta64[s]"), 4))
    np.testing.assert_array_equal(same.predict(X), numbers.predict(X))


def test_lengths_of_time_are_seconds_in_inputs_and_updates():
    seconds = np.array([[60.0], [61.0], [75.0], [62.0]])
    lengths = (1000 * seconds).astype("timedelta64[ms]")
    windows = SequenceWindower(2, pad_value=0).fit_transform
    np.testing.assert_array_equal(windows(lengths), windows(seconds))
    np.testing.assert_array_equal(windows([[MINUTE], [2 * MINUTE]]), windows([[60.0], [120.0]]))
    y = seconds.ravel()
    model = ConformalForecaster(RollingRule("last"), 0.5, calibration_fraction=0.5).fit(seconds, y)
    one = clone(model).fit(seconds, y).update(seconds[:1], [90.0])
    other = clone(model).fit(lengths, lengths.ravel()).update(lengths[:1], [1.5 * MINUTE])
    np.testing.assert_array_equal(one.predict_upper(seconds), other.predict_upper(lengths))


LOOKALIKES = {
    "flags": [True, False],
    "flags and numbers": [1.5, True],
    "nullable flags": pd.array([True, None], dtype="boolean"),
    "arrow flags": pd.array([True, None], dtype="bool[pyarrow]"),
    "moments": np.array(["2026-03-01", "2026-03-02"], "datetime64[s]"),
    "aware moments": pd.to_datetime(["2026-03-01", "2026-03-02"], utc=True),
    "arrow moments": pd.array([1, 2], dtype=pd.ArrowDtype(pa.timestamp("s"))),
    "dates": [datetime.date(2026, 3, 1), None],
    "periods": pd.period_range("2026-03", periods=2, freq="M"),
    "complex": [1j, 2.0],
    "lengths and numbers": [MINUTE, 60.0],
}


@pytest.mark.parametrize("values", LOOKALIKES.values(), ids=LOOKALIKES)
def test_what_only_looks_like_seconds_is_an_error(values):
    table = pd.DataFrame({"job": pd.Series(values), "job__status": "success"})
    long = pd.DataFrame({"run": [1, 2], "job": "build", "duration": table["job"]})
    X = [[1.0], [2.0]]
    doors = [
        lambda: validate_runs(table),
        lambda: make_targets(table),
        lambda: RollingRule().fit(table, [60.0, 70.0]),
        lambda: pivot_runs(long),
        lambda: observed_mae(values, [60.0, 60.0]),
        lambda: observed_r2([60.0, 60.0], values),
        lambda: RollingRule().fit(X, values),
        lambda: LSTMForecaster(device="cpu").fit(X, values),
        lambda: ConformalForecaster(RollingRule(), cv="prefit").fit(X, values),
    ]
    for door in doors:
        with pytest.raises(ValueError, match="expected seconds"):
            door()


def test_a_start_is_a_moment():
    for values in ([MINUTE, MINUTE], [True, False], [1j, 2j]):
        with pytest.raises(RunTableError, match=r"moments|is not a time"):
            validate_runs(pd.DataFrame({"started_at": values, "job": [1.5, 2.5]}))
    same = pd.Series(pd.to_datetime(["2026-03-01", None], utc=True), name="started_at")
    for dtype in (pd.ArrowDtype(pa.timestamp("s", "Europe/Berlin")), object):
        assert to_utc(same.astype(dtype)).tolist() == same.tolist()


def test_an_array_of_moments_is_no_table_of_seconds():
    X = np.array([["2026-03-01"], ["2026-03-02"]], "datetime64[s]")
    for estimator in (RollingRule(), LevelScaler(), SequenceWindower(), LSTMForecaster()):
        with pytest.raises(ValueError, match="array of moments"):
            estimator.fit(X, [1.0, 2.0])


def test_flags_of_which_some_are_missing_are_no_jobs():
    runs = pd.DataFrame({"job": [1.5, 2.5], "urgent": [True, None], "rows": [1, 2]})
    for table in (runs, nullable(runs), arrow(runs), polars(runs)):
        assert job_columns(table) == ["job"]


def test_values_are_compared_by_value():
    runs = pd.DataFrame({"kind": pd.Series([1, 1.0, True, "1", "1"], dtype=object)})
    encoder = CovariateEncoder(["kind"]).fit(runs)
    assert encoder.categories_ == {"kind": [1, "1"]}
    out = encoder.transform(runs)
    assert out["kind__1"].tolist() == [1, 1, 1, 0, 0]
    assert out["kind__'1'"].tolist() == [0, 0, 0, 1, 1]
    later = encoder.transform(pd.DataFrame({"kind": pd.Series([1, 1.0, np.int8(1)], dtype=object)}))
    assert later["kind__1"].tolist() == [1, 1, 1]


def test_a_whole_number_is_the_same_value_as_a_float_with_gaps():
    runs = make_job_runs(n_runs=30, n_jobs=1, random_state=0).assign(node=[1, 2] * 15)
    recent = RecentRuns(by=["node"]).fit(runs)
    floats = runs[20:].astype({"node": "float64"})
    floats.loc[floats.index[-1], "node"] = np.nan
    name = "started_at__job_0_by_node"
    expected = recent.transform(runs[20:])[name].to_numpy()
    np.testing.assert_array_equal(recent.transform(floats)[name].to_numpy()[:-1], expected[:-1])
    assert np.isfinite(expected).any()


def test_series_and_jobs_that_look_alike_are_not_one():
    index = pd.MultiIndex.from_tuples([(1, 0), ("1", 1), (1.0, 2), (True, 3)])
    assert series_names(index).tolist() == ["1", "'1'", "1", "1"]
    slashes = pd.MultiIndex.from_tuples([("a/b", "c", 0), ("a", "b/c", 0)])
    assert len(set(series_names(slashes))) == 2
    long = pd.DataFrame({"run": [1, 1], "job": [1, "1"], "duration": [60.0, 70.0]})
    with pytest.raises(RunTableError, match="the number 1 and the text '1'"):
        pivot_runs(long)
    numbers = pd.DataFrame({"run": [1, 2], "job": [1, 1.0], "duration": [60.0, 70.0]}, dtype=object)
    assert pivot_runs(numbers)["1"].tolist() == [60.0, 70.0]


LEVELS = {
    "tuple": (0.8, 0.5),
    "array": np.array([0.8, 0.5]),
    "Series": pd.Series([0.8, 0.5], index=[7, 3]),
    "Index": pd.Index([0.8, 0.5]),
    "nullable": pd.array([0.8, 0.5], dtype="Float64"),
    "decimals": [Decimal("0.8"), Decimal("0.5")],
}


@pytest.fixture(scope="module")
def bounded():
    runs = make_job_runs(n_runs=60, n_jobs=1, random_state=0)
    return ConformalForecaster(RollingRule(), 0.8).fit(runs, make_targets(runs)), runs[-3:]


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
def test_levels_come_in_any_container_and_keep_their_order(bounded, levels):
    model, rows = bounded
    for predict in (model.predict_interval, model.predict_upper):
        expected = np.stack([predict(rows, 0.8), predict(rows, 0.5)], axis=-1)
        np.testing.assert_array_equal(predict(rows, levels), expected)
        np.testing.assert_array_equal(predict(rows, [0.5]), expected[..., 1:])


@pytest.mark.parametrize("one", [0.8, np.float64(0.8), np.array(0.8), Decimal("0.8")])
def test_one_level_has_no_axis_of_levels(bounded, one):
    model, rows = bounded
    np.testing.assert_array_equal(model.predict_upper(rows, one), model.predict_upper(rows))


@pytest.mark.parametrize("wrong", [[], 1, 90, "0.9", [True], [0.5, None], [[0.5]], {0.5}])
def test_what_is_no_level_is_an_error(bounded, wrong):
    model, rows = bounded
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.predict_interval(rows, wrong)


def test_the_door_changes_nothing_that_is_plain_and_no_input():
    runs = make_job_runs(n_runs=5, n_jobs=1, random_state=0)
    assert plain_table(runs) is runs
    given_runs = durations(arrow(runs))
    before = given_runs.copy()
    plain_table(given_runs)
    pd.testing.assert_frame_equal(given_runs, before)


def test_targets_are_the_same_where_times_are_text():
    runs = make_job_runs(n_runs=12, n_jobs=1, random_state=0)
    texts = runs.assign(**{c: runs[c].map(str) for c in ("started_at", "ended_at")})
    pd.testing.assert_frame_equal(make_targets(texts), make_targets(runs))
