"""No scikit-learn step before what looks back makes it see runs that had not ended."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    Normalizer,
    OneHotEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from sklearn_jobtime import (
    FailureImputer,
    LevelScaler,
    MinMaxScaler,
    OnlineMix,
    RecentRuns,
    SequenceWindower,
    TimestampToNumeric,
)
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.exceptions import LostClockError, RunTableError
from sklearn_jobtime.point_in_time import read_clock
from sklearn_jobtime.runs import make_targets

N_RUNS = 60


def overlapping(seed=0, n=N_RUNS):
    """Runs start every ten minutes and take up to an hour."""
    took = np.random.default_rng(seed).uniform(60, 3600, n)
    start = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(n) * 600, unit="s")
    end = start + pd.to_timedelta(took, unit="s")
    return pd.DataFrame({"started_at": start, "ended_at": end, "job": took})


def one_by_one(n=N_RUNS):
    runs = overlapping(n=n)
    runs["ended_at"] = runs["started_at"] + pd.Timedelta(minutes=5)
    return runs


def leaks(transform, runs):
    """Whether a window changes when the outcomes of runs do that had not ended when it began."""
    before = np.asarray(transform(runs))
    started, ended = runs["started_at"], runs["ended_at"]
    for row in range(10, len(runs), 7):
        changed = runs.copy()
        changed.loc[(ended > started[row]) & (runs.index < row), "job"] += 1e4
        if not np.array_equal(np.asarray(transform(changed))[row], before[row], equal_nan=True):
            return True
    return False


def renamed(X):
    return X.rename(columns=str.upper) if isinstance(X, pd.DataFrame) else X[:, ::-1]


def without_first(X):
    return X.iloc[:, 1:] if isinstance(X, pd.DataFrame) else X[:, 1:]


SCALERS = [
    StandardScaler(),
    MaxAbsScaler(),
    RobustScaler(),
    Normalizer(),
    PowerTransformer(),
    QuantileTransformer(n_quantiles=20),
    QuantileTransformer(n_quantiles=20, output_distribution="normal"),
    KBinsDiscretizer(encode="ordinal", strategy="uniform"),
    SplineTransformer(),
    PCA(2),
    SimpleImputer(),
]
STEPS = [
    *SCALERS,
    ColumnTransformer([("all", StandardScaler(), slice(0, 2))], remainder="passthrough"),
    ColumnTransformer([("all", "passthrough", slice(2, None))]),
    ColumnTransformer([("last", StandardScaler(), [-1])], remainder="passthrough"),
    FeatureUnion([("a", StandardScaler()), ("b", SimpleImputer())]),
    FeatureUnion([("b", SimpleImputer()), ("a", PCA(1))], verbose_feature_names_out=False),
]


@pytest.mark.filterwarnings("ignore")  # steps warn of constant columns and of overflow
@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(range(len(STEPS) + 2)), min_size=1, max_size=3),
    st.lists(st.sampled_from(["default", "pandas", "polars"]), min_size=3, max_size=3),
    st.booleans(),
    st.integers(0, 3),
)
def test_no_step_of_scikit_learn_makes_windows_leak(steps, outputs, with_y, seed):
    runs = overlapping(seed)
    chosen = []
    for step, output in zip(steps, outputs, strict=False):
        if step < len(STEPS):
            chosen.append(clone(STEPS[step]).set_output(transform=output))
        else:
            chosen.append(FunctionTransformer([renamed, without_first][step - len(STEPS)]))
    # NaN of since_previous and the like would stop most steps before the windower
    numeric = TimestampToNumeric(since_previous=False)
    pipe = make_pipeline(numeric, *chosen, SequenceWindower(5))
    with contextlib.suppress(ValueError, TypeError, KeyError):  # an error is no leak
        pipe.fit(runs, make_targets(runs) if with_y else None)
        assert not leaks(pipe.transform, runs)


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
@pytest.mark.parametrize("output", ["default", "pandas"])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_a_scaled_clock_is_an_error_in_a_pipeline_and_by_hand(scaler, output, at_once):
    if isinstance(scaler, SimpleImputer) and output == "pandas":
        pytest.skip("keeps the clock")
    runs = overlapping()
    steps = [TimestampToNumeric(since_previous=False), clone(scaler).set_output(transform=output)]
    given, windower = runs, SequenceWindower(5)
    if at_once:
        windower = make_pipeline(*steps, windower)
    else:
        given = steps[1].fit_transform(steps[0].fit_transform(runs))
    with pytest.raises(LostClockError, match=r"verbose_feature_names_out=False"):
        windower.fit(given, make_targets(runs))


def test_our_own_steps_keep_the_clock():
    runs = overlapping().assign(job__status="success")
    own = [TimestampToNumeric(), FailureImputer(), RecentRuns(), LevelScaler(), MinMaxScaler()]
    for n_own in range(1, len(own) + 1):
        table = runs.drop(columns="job__status") if n_own == 1 else runs
        pipe = make_pipeline(*own[:n_own], SequenceWindower(5)).fit(table)
        assert not leaks(pipe.transform, table)


def test_a_column_transformer_that_keeps_the_names_keeps_the_clock():
    runs = overlapping().assign(event=["push", "cron"] * (N_RUNS // 2))
    encode = ColumnTransformer(
        [("event", OneHotEncoder(sparse_output=False), ["event"])], remainder="passthrough"
    )
    windower = SequenceWindower(5)
    pipe = make_pipeline(TimestampToNumeric(), encode.set_output(transform="pandas"), windower)
    with pytest.raises(LostClockError, match=r"'remainder__started_at'.*verbose_feature_names_out"):
        pipe.fit(runs)
    encode.set_params(verbose_feature_names_out=False)
    assert not leaks(pipe.fit(runs).transform, runs)


class Changed(TransformerMixin, BaseEstimator):
    """A step of a user, which changes a table by `how`."""

    def __init__(self, how):
        self.how = how

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return self.how(X)


CHANGES = {
    "ends dropped": lambda X: X.drop(columns="ended_at"),
    "both dropped": lambda X: X[["job"]],
    "ends a constant": lambda X: X.assign(ended_at=X["started_at"]),
    "only ends scaled": lambda X: X.assign(ended_at=X["ended_at"] / 2),
    "milliseconds and seconds": lambda X: X.assign(started_at=X["started_at"] * 1e3),
    "an array of the job": lambda X: X[["job"]].to_numpy(),
}


@pytest.mark.parametrize("name", list(CHANGES))
@pytest.mark.parametrize("reader", [SequenceWindower(3), RollingRule(), OnlineMix()], ids=str)
def test_whoever_reads_history_notices_what_a_step_did_to_the_clock(name, reader):
    runs = overlapping()
    pipe = Pipeline([("t", TimestampToNumeric()), ("c", Changed(CHANGES[name])), ("r", reader)])
    with pytest.raises(RunTableError):  # a LostClockError, or no time of a table
        pipe.fit(runs, make_targets(runs, whole_run=False))


@pytest.mark.parametrize("reader", [SequenceWindower(3), RollingRule(), OnlineMix()], ids=str)
def test_a_table_scaled_by_hand_is_an_error(reader):
    runs = overlapping()
    scaled = StandardScaler().set_output(transform="pandas")
    table = scaled.fit_transform(TimestampToNumeric(since_previous=False).fit_transform(runs))
    with pytest.raises(LostClockError, match=r"starts lie between -1\.7"):
        reader.fit(table, make_targets(runs, whole_run=False))


def test_what_changes_no_window_is_no_error():
    runs = one_by_one()
    pipe = make_pipeline(
        TimestampToNumeric(), Changed(CHANGES["both dropped"]), SequenceWindower(3)
    )
    alone = SequenceWindower(3).fit_transform(runs)
    np.testing.assert_array_equal(pipe.fit_transform(runs), alone)
    with pytest.raises(LostClockError):  # these overlap
        pipe.transform(overlapping())
    negative = make_pipeline(TimestampToNumeric(), Changed(lambda X: -X), SequenceWindower(3))
    with pytest.raises(LostClockError):  # newer runs would stand before older ones
        negative.fit(runs)
    minutes = Changed(lambda X: X[["started_at", "ended_at", "job"]] / 60)
    runs = overlapping()
    pipe = make_pipeline(TimestampToNumeric(), minutes, SequenceWindower(3)).fit(runs)
    assert not leaks(pipe.transform, runs)


def test_a_pool_needs_its_index():
    runs = pd.concat({"a": one_by_one(), "b": one_by_one()})
    pipe = make_pipeline(TimestampToNumeric(), Changed(lambda X: X.reset_index(drop=True)))
    with pytest.raises(LostClockError, match="several series"):
        make_pipeline(pipe, SequenceWindower(3)).fit(runs)


def test_plain_arrays_work_and_a_user_can_say_that_rows_ended_one_by_one():
    textbook = np.column_stack([np.arange(10.0, 310, 10), np.arange(15.0, 315, 10)])
    assert SequenceWindower(3).fit_transform(textbook).shape == (30, 3, 2)
    rng = np.random.default_rng(0)
    noisy = np.column_stack([np.arange(100.0), np.arange(100.0) + rng.normal(size=100)])
    with pytest.raises(LostClockError, match="SequenceWindower\\(started_at=None\\)"):
        SequenceWindower(3).fit(noisy)
    windows = SequenceWindower(3, started_at=None).fit_transform(noisy)
    np.testing.assert_array_equal(windows[3], noisy[:3])


def test_a_clock_of_a_job_is_not_that_of_the_run():
    runs = one_by_one().drop(columns=["started_at", "ended_at"])
    runs["job__started_at"] = np.arange(N_RUNS) * 600.0
    assert read_clock(runs).started is None
    with pytest.raises(LostClockError, match="'x__started_at'"):
        read_clock(runs.rename(columns={"job__started_at": "x__started_at"}))


@pytest.mark.parametrize("times", ["as text", "epoch seconds"])
def test_the_table_above_may_have_its_times_in_any_form(times):
    runs = overlapping()
    for column in ("started_at", "ended_at"):
        runs[column] = (
            runs[column].astype(str)
            if times == "as text"
            else runs[column].astype("int64") / 1e6 / (1 if runs[column].dt.unit == "us" else 1e3)
        )
    numbers = TimestampToNumeric(since_previous=False) if times == "as text" else "passthrough"
    with pytest.raises(LostClockError):
        make_pipeline(numbers, PCA(1), SequenceWindower(2)).fit(runs)
