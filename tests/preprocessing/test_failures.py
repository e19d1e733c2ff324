import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from sklearn_jobtime import FailureImputer, TimestampToNumeric
from sklearn_jobtime.exceptions import NoHistoryError, RunTableError

DATA = Path(__file__).parents[3] / "shared" / "data"
STATUSES = ["success", "failed", "timeout", "cancelled", "skipped"]
STRATEGIES = ["high", "quantile", "median", "last success", "constant", "missing"]
ALL = dict.fromkeys(STATUSES[1:], "last success")
quick = settings(deadline=None, max_examples=30)


@st.composite
def run_tables(draw, min_rows=2, timed=None):
    """Overlapping runs of two series in start order, with ties; the first run is a success."""
    n = draw(st.integers(min_rows, 12))
    seconds = st.one_of(st.integers(0, 9).map(float), st.just(np.nan), st.just(np.inf))
    status = st.sampled_from([*STATUSES, None])
    runs = pd.DataFrame(
        {
            "build": [5.0, *draw(st.lists(seconds, min_size=n - 1, max_size=n - 1))],
            "build__status": pd.Series(
                ["success", *draw(st.lists(status, min_size=n - 1, max_size=n - 1))], dtype=object
            ),
        }
    )
    if draw(st.booleans()) if timed is None else timed:
        started = np.sort(draw(st.lists(st.integers(0, 8), min_size=n, max_size=n)))
        took = draw(st.lists(st.integers(0, 6) | st.none(), min_size=n, max_size=n))
        runs["started_at"] = started.astype(float)
        runs["ended_at"] = runs["started_at"] + pd.Series(took, dtype=float)
    series = draw(st.lists(st.sampled_from("ab"), min_size=n, max_size=n))
    runs.index = pd.MultiIndex.from_arrays([series, range(n)])
    return runs


def outcome(seconds, status):
    if status in STATUSES[1:]:
        return status
    return "failed" if np.isinf(seconds) else "success"


def had_ended(runs, i, t):
    """Whether run i is known to row t."""
    if runs.index[i][0] != runs.index[t][0] or i >= t:
        return False
    if "ended_at" not in runs:
        return True
    return runs["ended_at"].iloc[i] <= runs["started_at"].iloc[t]


def imputer_with(strategy, **options):
    """Make an imputer with those of the options that its strategies read."""
    chosen = {strategy} if isinstance(strategy, str) else {"high", *strategy.values()}
    if not isinstance(strategy, str) and {"failed", "timeout"} <= set(strategy):
        chosen = set(strategy.values())
    read_by = {"quantile": {"high", "quantile"}, "factor": {"high"}, "fill_value": {"constant"}}
    read = {name: value for name, value in options.items() if read_by[name] & chosen}
    return FailureImputer(strategy, **read)


def naive(runs, strategies, train=None, quantile=0.95, factor=3.0, fill_value=7.0):
    """Fill the table row by row, straight from the documentation."""
    job = [(s, outcome(s, w)) for s, w in zip(runs["build"], runs["build__status"], strict=True)]
    good = [s for s, how in job[:train] if how == "success" and not np.isnan(s)]
    filled = []
    for t, (seconds, how) in enumerate(job):
        if how == "success":
            filled.append(seconds)
            continue
        strategy = strategies[how]
        if strategy == "missing":
            filled.append(np.nan)
            continue
        if strategy == "constant":
            fill = fill_value
        elif strategy == "median":
            fill = np.median(good)
        elif strategy == "last success":
            known = [
                i
                for i in range(len(job))
                if had_ended(runs, i, t) and job[i][1] == "success" and not np.isnan(job[i][0])
            ]
            if "ended_at" in runs:
                known.sort(key=lambda i: (runs["ended_at"].iloc[i], runs["started_at"].iloc[i], i))
            fill = job[known[-1]][0] if known else np.median(good)
        else:
            fill = np.quantile(good, quantile) * (factor if strategy == "high" else 1)
        if how == "timeout" and np.isfinite(seconds):
            fill = max(fill, seconds)
        filled.append(fill)
    return np.array(filled, dtype=float)


def default(strategy):
    return {"failed": strategy, "timeout": strategy, "cancelled": "missing", "skipped": "missing"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@quick
@given(runs=run_tables())
def test_every_strategy_equals_a_naive_loop(strategy, runs):
    imputer = imputer_with(strategy, fill_value=7.0)
    out = imputer.fit_transform(runs)
    np.testing.assert_allclose(out["build"], naive(runs, default(strategy)), rtol=1e-12)
    pd.testing.assert_frame_equal(imputer.transform(runs), out)


@quick
@given(
    run_tables(),
    st.fixed_dictionaries({status: st.sampled_from(STRATEGIES) for status in STATUSES[1:]}),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_a_strategy_for_each_status(runs, strategies, quantile):
    imputer = imputer_with(strategies, fill_value=2.0, quantile=quantile, factor=1.5)
    expected = naive(runs, strategies, None, quantile, 1.5, 2.0)
    np.testing.assert_allclose(imputer.fit_transform(runs)["build"], expected, rtol=1e-12)
    assert imputer.strategies_ == strategies


@quick
@given(run_tables(min_rows=3), st.data())
def test_test_rows_use_training_rows_and_what_was_known(runs, data):
    head = data.draw(st.integers(1, len(runs) - 1))
    imputer = FailureImputer(ALL).fit(runs[:head])
    out = imputer.transform(runs[head:])
    # What ended in the table alone is known; remembered rows count from before it.
    np.testing.assert_allclose(out["build"], naive(runs, ALL, head)[head:], rtol=1e-12)


@quick
@given(run_tables(), st.sampled_from(STRATEGIES))
def test_successes_and_the_unobserved_stay(runs, strategy):
    before = runs.copy(deep=True)
    out = imputer_with(strategy, fill_value=1.0).fit_transform(runs)
    how = [outcome(*job) for job in zip(runs["build"], runs["build__status"], strict=True)]
    good = np.array(how) == "success"
    np.testing.assert_array_equal(out["build"][good], runs["build"][good])
    for status in STATUSES[1:]:
        np.testing.assert_array_equal(out[f"build__{status}"], np.array(how) == status)
    assert not np.isinf(out["build"]).any()
    pd.testing.assert_frame_equal(runs, before)


@quick
@given(run_tables(min_rows=3, timed=True), st.data())
def test_nothing_that_had_not_ended_changes_a_fill(runs, data):
    imputer = FailureImputer(ALL).fit(runs)
    t = data.draw(st.integers(0, len(runs) - 1))
    changed = runs.copy()
    for i in range(len(runs)):
        if i != t and not had_ended(runs, i, t):
            changed.iloc[i, 0] = data.draw(st.sampled_from([1000.0, np.nan, np.inf]))
            changed.iloc[i, 1] = data.draw(st.sampled_from([*STATUSES, None]))
    before, after = imputer.transform(runs), imputer.transform(changed)
    pd.testing.assert_series_equal(before.iloc[t], after.iloc[t])


@quick
@given(run_tables(min_rows=3), st.sampled_from(STRATEGIES), st.data())
def test_fills_are_learned_from_training_rows_only(runs, strategy, data):
    head = data.draw(st.integers(1, len(runs) - 1))
    imputer = imputer_with(strategy, fill_value=1.0).fit(runs[:head])
    fills = {job: dict(values) for job, values in imputer.fill_values_.items()}
    later = runs[head:].assign(build=1000.0, build__status="success")
    imputer.transform(later)
    assert repr(imputer.fill_values_) == repr(fills)
    assert list(fills) == imputer.jobs_ == ["build"]


def test_the_documented_defaults():
    good = np.arange(1.0, 101.0)
    runs = pd.DataFrame({"build": good, "build__status": "success"})
    fills = FailureImputer().fit(runs).fill_values_["build"]
    assert fills["failed"] == fills["timeout"] == 3 * np.quantile(good, 0.95)
    assert np.isnan([fills["cancelled"], fills["skipped"]]).all()
    partly = FailureImputer({"skipped": "median"}).fit(runs).fill_values_["build"]
    assert partly["skipped"] == 50.5
    assert partly["failed"] == fills["failed"]


def test_a_timeout_is_at_least_its_own_time():
    runs = pd.DataFrame(
        {"build": [10.0, 500.0, 500.0], "build__status": ["success", "timeout", "failed"]}
    )
    assert FailureImputer().fit_transform(runs)["build"].tolist() == [10.0, 500.0, 30.0]


def test_columns_rows_and_order():
    runs = pd.DataFrame(
        {
            "event": ["push", None],
            "test__status": ["failed", None],
            "build": pd.array([4, None], dtype="Int64"),
            "test": [np.inf, 3.0],
            "build__status": pd.Categorical(["success", "skipped"]),
            "lines": [-5, 8],
        },
        index=pd.Index([9, 2], name="run"),
    )
    imputer = FailureImputer().fit(runs)
    out = imputer.transform(runs)
    channels = [f"{job}__{status}" for job in ("build", "test") for status in STATUSES[1:]]
    assert list(out) == ["event", "build", "test", "lines", *channels]
    assert list(out) == list(imputer.get_feature_names_out())
    assert out.index.equals(runs.index)
    pd.testing.assert_frame_equal(out[["event", "lines"]], runs[["event", "lines"]])
    assert out["build__skipped"].tolist() == [0.0, 1.0]
    assert set(out[["build", "test", *channels]].dtypes) == {np.dtype(float)}
    bare = FailureImputer(indicators=False).fit_transform(runs)
    pd.testing.assert_frame_equal(bare, out[list(out)[:4]])


def test_inf_alone_marks_a_failure():
    runs = pd.DataFrame({"build": [10.0, np.inf, 20.0], "size": [1.0, 2.0, 3.0]})
    imputer = FailureImputer("median").fit(runs)
    out = imputer.transform(runs)
    assert out["build"].tolist() == [10.0, 15.0, 20.0]
    assert list(out) == ["build", "size", "build__failed"]
    with pytest.raises(RunTableError, match=r"'size', row 0.*inf.*jobs"):
        imputer.transform(runs.assign(size=np.inf))
    named = FailureImputer("median", jobs=["build", "size"]).fit(runs)
    assert named.transform(runs.assign(size=np.inf))["size"].tolist() == [2.0] * 3
    numbers = runs.to_numpy()
    array = FailureImputer("median").fit(numbers)
    np.testing.assert_array_equal(array.transform(numbers), out)
    assert list(array.get_feature_names_out()) == ["x0", "x1", "x0__failed"]
    assert list(array.get_feature_names_out(["a", "b"])) == ["a", "b", "a__failed"]
    np.testing.assert_array_equal(FailureImputer("median", jobs=[0]).fit_transform(numbers), out)


def test_arrays_look_back_through_fit():
    head, tail = np.array([[4.0], [6.0], [np.inf]]), np.array([[np.inf], [9.0], [np.inf]])
    imputer = FailureImputer("last success").fit(head)
    assert imputer.transform(head)[:, 0].tolist() == [4.0, 6.0, 6.0]
    assert imputer.transform(tail)[:, 0].tolist() == [6.0, 9.0, 9.0]


def test_the_last_success_must_have_ended():
    runs = pd.DataFrame(
        {
            "started_at": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
            "ended_at": pd.to_datetime(
                ["2026-01-01 01:00", "2026-01-05 00:00", "2026-01-03 01:00"]
            ),
            "build": [1.0, 100.0, 3.0],
            "build__status": ["success", "success", "failed"],
        }
    )
    assert FailureImputer("last success").fit_transform(runs)["build"].tolist()[2] == 1.0
    ended = runs.assign(ended_at=runs["started_at"])
    assert FailureImputer("last success").fit_transform(ended)["build"].tolist()[2] == 100.0
    pipe = make_pipeline(TimestampToNumeric(), FailureImputer("last success"))
    assert pipe.fit_transform(runs)["build"].tolist()[2] == 1.0


def test_a_job_that_never_succeeded():
    runs = pd.DataFrame({"build": [4.0, 6.0], "test": [1.0, 1.0]})
    failed = runs.assign(build__status="success", test__status="failed")
    with pytest.raises(NoHistoryError, match=r"'test'.*pooled"):
        FailureImputer().fit(failed)
    pooled = FailureImputer("median", on_no_success="pooled")
    assert pooled.fit_transform(failed)["test"].tolist() == [5.0, 5.0]
    with pytest.raises(NoHistoryError, match="'build'"):
        pooled.fit(failed.assign(build__status="failed"))
    for silent in ("missing", "constant"):
        imputer_with(silent, fill_value=0.0).fit(failed)
    unobserved = runs.assign(test=np.nan, test__status=None)
    imputer = FailureImputer().fit(unobserved)
    assert imputer.transform(unobserved)["test"].isna().all()
    with pytest.raises(NoHistoryError, match="'test'"):
        imputer.transform(unobserved.assign(test__status="failed"))
    late = FailureImputer("last success").fit(unobserved)
    news = pd.DataFrame(
        {"build": 1.0, "test": [8.0, np.nan], "test__status": ["success", "failed"]}, index=[2, 3]
    )
    assert late.transform(news)["test"].tolist() == [8.0, 8.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"build__status": ["success", "FAILURE"]},
            ["'build__status'", "row 1", "'FAILURE'", "timeout"],
        ),
        ({"build": [1.0, -2.0]}, ["'build'", "row 1", "-2.0", "NaN"]),
        ({"build": [1.0, -np.inf]}, ["'build'", "row 1", "negative"]),
        ({"build": ["a", "b"]}, ["'build'", "pandas.to_numeric"]),
        ({"build__failed": [0, 1]}, ["'build__failed'", "drop it"]),
    ],
)
def test_errors_name_the_place_and_the_remedy(change, words):
    runs = pd.DataFrame({"build": [1.0, 2.0], "build__status": ["success", "failed"]})
    with pytest.raises(RunTableError) as error:
        FailureImputer().fit(runs.assign(**change))
    for word in words:
        assert word in str(error.value)


def test_wrong_parameters():
    runs = pd.DataFrame({"build": [1.0, 2.0], "build__status": ["success", "failed"]})
    for strategy in ("mean", {"failed": "mean"}, {"success": "high"}):
        with pytest.raises(ValueError, match="strategy"):
            FailureImputer(strategy).fit(runs)
    with pytest.raises(ValueError, match="fill_value"):
        FailureImputer("constant").fit(runs)
    with pytest.raises(RunTableError, match="jobs names 'test'"):
        FailureImputer(jobs=["test"]).fit(runs)
    with pytest.raises(RunTableError, match="twice"):
        FailureImputer().fit(pd.concat([runs, runs], axis=1))
    with pytest.raises(ValueError, match="0 rows"):
        FailureImputer().fit(runs[:0])
    for wrong in ({"quantile": 2}, {"factor": 0}, {"on_no_success": "guess"}, {"fill_value": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            FailureImputer(**wrong).fit(runs)


def test_the_house_rules_of_estimators():
    runs = pd.DataFrame(
        {"build": np.arange(12.0), "build__status": ["success", "failed", "success"] * 4}
    )
    imputer = FailureImputer("last success").fit(runs)
    expected = imputer.transform(runs)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(imputer)).transform(runs), expected)
    pd.testing.assert_frame_equal(clone(imputer).fit_transform(runs), expected)
    framed = (
        FailureImputer().set_output(transform="pandas").fit_transform(np.array([[1.0], [np.inf]]))
    )
    assert list(framed) == ["x0", "x0__failed"]
    search = GridSearchCV(
        make_pipeline(FailureImputer(), KNeighborsRegressor(1)),
        {"failureimputer__strategy": ["high", "median", {"failed": "quantile"}]},
        cv=TimeSeriesSplit(2),
    )
    search.fit(runs, np.arange(12.0))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_read_only_arrays():
    X = np.array([[1.0, np.inf], [2.0, 3.0]])
    X.setflags(write=False)
    out = FailureImputer().fit_transform(X)
    out[:] = 0
    assert np.isinf(X[0, 1])


@pytest.mark.skipif(not DATA.exists(), reason="the shared real data is not here")
def test_a_real_log():
    raw = pd.read_csv(DATA / "ocp_periodic_e2e.csv.gz")
    runs = pd.DataFrame(
        {
            "started_at": pd.to_datetime(raw["started_at"]),
            "ended_at": pd.to_datetime(raw["ended_at"]),
            "e2e": raw["duration_s"].astype(float),
            "e2e__status": raw["result"].map({"SUCCESS": "success", "FAILURE": "failed"}),
        }
    )
    failed = runs["e2e__status"] == "failed"
    imputer = FailureImputer().fit(runs)
    out = imputer.transform(runs)
    assert (out["e2e"][failed] == imputer.fill_values_["e2e"]["failed"]).all()
    assert (out["e2e"][failed] > runs["e2e"][~failed].max()).all()
    last = FailureImputer("last success").fit_transform(runs)["e2e"]
    assert set(last[failed]) <= {*runs["e2e"][~failed], runs["e2e"][~failed].median()}
