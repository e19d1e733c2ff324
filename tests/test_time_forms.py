"""Times as text, as objects, without a zone or in another one: every door reads the same moments.

Tagging takes sequences of events, in which no column is a clock.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from sklearn_jobtime import (
    AnchoredRegressor,
    ConformalForecaster,
    DurationDistribution,
    FailureImputer,
    JobTimeAnomalyDetector,
    LevelScaler,
    MinMaxScaler,
    OnlineMix,
    RecentRuns,
    SequenceWindower,
    SeriesEncoder,
    TimestampToNumeric,
    job_linkage,
)
from sklearn_jobtime._containers import plain_table
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import online_update
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.evaluation import (
    backtest,
    evaluate,
    holdout_intervals,
    reliability_of_deadlines,
)
from sklearn_jobtime.exceptions import RunTableError
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.inspection import forecast_contributions
from sklearn_jobtime.plots import (
    CalendarDisplay,
    CoverageDisplay,
    ForecastDisplay,
    PredictionDisplay,
    ResidualDisplay,
)
from sklearn_jobtime.point_in_time import epoch_seconds, read_clock
from sklearn_jobtime.runs import (
    as_of,
    long_table,
    make_lower_bounds,
    make_targets,
    melt_runs,
    next_runs,
    pivot_runs,
    retired_series,
    split_by_time,
    validate_runs,
)

NOW = pd.Timestamp("2025-01-25T12:00Z")


def make_table():
    """Two series with overlapping runs, and a clock for each job."""
    parts = {
        name: melt_runs(make_job_runs(n_runs=n, n_jobs=2, failure_rate=0.1, random_state=n))
        for name, n in (("etl", 30), ("ci", 24))
    }
    long = pd.concat([part.assign(series=name) for name, part in parts.items()])
    return pivot_runs(long, job_starts=True)


RUNS = make_table()
CLOCKS = [name for name in RUNS if name.endswith(("started_at", "ended_at"))]


def with_clocks(change, clocks=CLOCKS):
    return lambda table: table.assign(**{name: change(table[name]) for name in clocks})


def as_text(column):
    return column.map(str).replace("NaT", "")


FORMS = {
    "text": with_clocks(as_text),
    "text without a zone": with_clocks(lambda column: as_text(column.dt.tz_localize(None))),
    "ends as text": with_clocks(as_text, ["ended_at"]),
    "clocks of jobs as text": with_clocks(as_text, CLOCKS[2:]),
    "text of a zone": with_clocks(lambda column: as_text(column.dt.tz_convert("Europe/Berlin"))),
    "zone": with_clocks(lambda column: column.dt.tz_convert("Europe/Berlin")),
    "without a zone": with_clocks(lambda column: column.dt.tz_localize(None).dt.as_unit("ns")),
    "timestamps": with_clocks(lambda column: column.astype(object)),
    "datetimes": with_clocks(
        lambda column: pd.Series(
            [None if pd.isna(t) else t.to_pydatetime() for t in column], column.index, object
        )
    ),
    "categories": with_clocks(lambda column: as_text(column).astype("category")),
}


@pytest.fixture(scope="module")
def fitted():
    past = as_of(RUNS, NOW)
    return ConformalForecaster(RollingRule(), 0.8).fit(past, make_targets(past))


def fit_predict(estimator):
    def door(runs, model):
        y = make_targets(RUNS)
        return [
            estimator().fit(runs, y).predict(runs),
            estimator().fit(runs, y).predict(RUNS),
            estimator().fit(RUNS, y).predict(runs),
        ]

    return door


def fit_transform(estimator):
    def door(runs, model):
        one = estimator().fit(RUNS).transform(runs)
        other = estimator().fit(runs).transform(RUNS)
        return [table.select_dtypes("number") for table in (one, other)]

    return door


def drawn(display):
    def door(runs, model):
        axes = display(runs, model).ax_.ravel()
        return [
            np.asarray(line.get_xydata(), dtype="float64") for ax in axes for line in ax.get_lines()
        ]

    return door


def validate_times(table):
    """Give what a forecast says, its times as seconds."""
    times = [name for name in table if name.endswith("_at")]
    return table.assign(**{name: epoch_seconds(table[name]) for name in times})


def updated(runs, update):
    past = as_of(RUNS, NOW)
    model = ConformalForecaster(RollingRule(), 0.8).fit(past, make_targets(past))
    update(model, runs)
    return [model.predict_interval(RUNS), np.array(model.n_updates_)]


def is_test(runs):
    return np.arange(len(runs)) >= len(runs) - 12


DOORS = {
    "validate_runs": lambda runs, model: validate_runs(runs),
    "make_targets": lambda runs, model: make_targets(runs, horizon=2),
    "make_lower_bounds": lambda runs, model: make_lower_bounds(runs, now=NOW),
    "as_of": lambda runs, model: validate_runs(as_of(runs, NOW)),
    "split_by_time": lambda runs, model: validate_runs(split_by_time(runs)[0]),
    "next_runs": lambda runs, model: validate_runs(next_runs(runs)),
    "next_runs at": lambda runs, model: validate_runs(next_runs(runs, "2025-06-01")),
    "retired_series": lambda runs, model: epoch_seconds(retired_series(runs)),
    "long_table": lambda runs, model: long_table(melt_runs(runs)),
    "read_clock": lambda runs, model: [read_clock(runs).started, read_clock(runs).ended],
    "forecast": lambda runs, model: validate_times(forecast(model, runs)),
    "forecast of rows": lambda runs, model: validate_times(
        forecast(model, runs, next_runs(RUNS, "2025-06-01"))
    ),
    "forecast of rows of their own": lambda runs, model: validate_times(
        forecast(model, RUNS, next_runs(runs, "2025-06-01"))
    ),
    "predict_interval": lambda runs, model: model.predict_interval(runs),
    "predict_upper": lambda runs, model: model.predict_upper(runs),
    "score": lambda runs, model: np.array(model.score(runs, make_targets(RUNS))),
    "update": lambda runs, model: updated(
        runs, lambda m, r: m.update(r[-20:], make_targets(r)[-20:])
    ),
    "online_update": lambda runs, model: updated(runs, online_update),
    "online_update now": lambda runs, model: updated(
        runs, lambda m, r: online_update(m, r, now="2025-01-30")
    ),
    "fit of intervals": lambda runs, model: (
        ConformalForecaster(RollingRule(), 0.8).fit(runs, make_targets(RUNS)).predict_interval(RUNS)
    ),
    "chances": lambda runs, model: DurationDistribution.from_forecaster(
        ConformalForecaster(RollingRule()).fit(runs, make_targets(RUNS))
    ).timeout([100.0, 100.0, 100.0]),
    "RollingRule": fit_predict(RollingRule),
    "OnlineMix": fit_predict(OnlineMix),
    "AnchoredRegressor": fit_predict(lambda: AnchoredRegressor(DummyRegressor(), OnlineMix())),
    "RecentRuns": fit_transform(RecentRuns),
    "FailureImputer": fit_transform(FailureImputer),
    "LevelScaler": fit_transform(LevelScaler),
    "SeriesEncoder": fit_transform(SeriesEncoder),
    "TimestampToNumeric": lambda runs, model: (
        TimestampToNumeric().fit(RUNS[CLOCKS[:2]]).transform(runs[CLOCKS[:2]])
    ),
    "anomalies": lambda runs, model: (
        JobTimeAnomalyDetector(contamination=0.1).fit(runs).score_samples(RUNS)
    ),
    "backtest": lambda runs, model: backtest({"rule": RollingRule()}, runs).forecasts["rule"],
    "evaluate": lambda runs, model: evaluate({"rule": RollingRule()}, runs)[["mae"]],
    "holdout_intervals": lambda runs, model: holdout_intervals(
        model, runs, is_test(runs)
    ).select_dtypes("number"),
    "reliability_of_deadlines": lambda runs, model: reliability_of_deadlines(
        model, runs, is_test(runs), now="2025-06-01"
    ).select_dtypes("number"),
    "contributions": lambda runs, model: (
        forecast_contributions(model, runs, n_permutations=1).of("job_0").select_dtypes("number")
    ),
    "linkage": lambda runs, model: (
        job_linkage(model, runs, is_test(runs), n_repeats=1).links().select_dtypes("number")
    ),
    "CalendarDisplay": drawn(lambda runs, model: CalendarDisplay.from_runs(runs, jobs=["job_0"])),
    "CoverageDisplay": drawn(
        lambda runs, model: CoverageDisplay.from_estimator(model, runs, is_test(runs))
    ),
    "ForecastDisplay": drawn(
        lambda runs, model: ForecastDisplay.from_estimator(model, runs, is_test=is_test(runs))
    ),
    "PredictionDisplay": drawn(
        lambda runs, model: PredictionDisplay.from_estimator(model, runs, make_targets(runs))
    ),
    "ResidualDisplay": drawn(
        lambda runs, model: ResidualDisplay.from_estimator(model, runs, make_targets(runs))
    ),
}


SEVERAL_FITS = {
    *("update", "online_update", "online_update now", "fit of intervals", "chances"),
    *("OnlineMix", "AnchoredRegressor", "anomalies", "evaluate", "contributions", "linkage"),
    *("CalendarDisplay", "CoverageDisplay", "ForecastDisplay", "PredictionDisplay"),
    *("RollingRule", "backtest", "ResidualDisplay", "FailureImputer", "SeriesEncoder"),
}


def check_same(found, expected):
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check_same(one, other)
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)


def check_doors(doors, form, model):
    runs = FORMS[form](RUNS)
    for name in doors:
        try:
            check_same(DOORS[name](runs, model), DOORS[name](RUNS, model))
        except Exception as error:
            error.add_note(f"at the door {name!r}")
            raise


def test_many_doors_read_text_as_the_moments_that_it_says(fitted):
    check_doors(DOORS.keys() - SEVERAL_FITS, "text", fitted)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn_jobtime.exceptions.TooFewRunsWarning")
@pytest.mark.parametrize("form", ["text", "clocks of jobs as text"])
def test_every_door_reads_every_form_as_the_moments_that_it_says(form, fitted):
    check_doors(DOORS, form, fitted)


@pytest.mark.parametrize("form", FORMS)
def test_behind_the_door_a_table_is_the_same_in_every_form(form):
    runs = FORMS[form](RUNS)
    before = runs.copy()
    found = plain_table(runs)
    if form == "zone":  # it says which moments they are, and a forecast is given in it
        assert found is runs
    moments = {name: found[name].dt.tz_convert("UTC").dt.as_unit("us") for name in CLOCKS}
    found = found.assign(**moments)  # older pandas keeps timestamps in nanoseconds
    pd.testing.assert_frame_equal(found, RUNS)
    pd.testing.assert_frame_equal(validate_runs(runs), RUNS)
    pd.testing.assert_frame_equal(runs, before)
    assert plain_table(RUNS) is RUNS


def test_steps_that_keep_the_clock_and_windows_take_text():
    columns = [*CLOCKS[:2], "job_0", "job_1"]
    runs, same = FORMS["text"](RUNS)[columns], RUNS[columns]
    scaler = MinMaxScaler()
    pd.testing.assert_frame_equal(scaler.fit_transform(runs), scaler.fit_transform(same))
    windows = SequenceWindower(2, started_at="begin").fit_transform
    names = {"started_at": "begin"}
    found, expected = windows(runs.rename(columns=names)), windows(same.rename(columns=names))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("column", ["started_at", "ended_at", "job_0__started_at"])
def test_text_that_is_no_time_is_named_with_its_place(column, fitted):
    runs = FORMS["text"](RUNS)
    runs.loc[runs.index[3], column] = "soon"
    doors = ("make_targets", "forecast", "predict_interval", "RollingRule", "RecentRuns")
    for name in doors:
        with pytest.raises(RunTableError, match=f"column '{column}', row .*: 'soon' is not a time"):
            DOORS[name](runs, fitted)
