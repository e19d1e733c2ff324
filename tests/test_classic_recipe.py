"""The classic recipe, its eleven steps in order, on the history that ships with the package."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime import (
    FailureImputer,
    LSTMForecaster,
    MinMaxScaler,
    SequenceWindower,
    TimestampToNumeric,
)
from sklearn_jobtime.datasets import load_github_runs
from sklearn_jobtime.forecasting import forecast
from sklearn_jobtime.metrics import observed_mae, observed_share_within
from sklearn_jobtime.pipeline import make_forecast_pipeline
from sklearn_jobtime.runs import (
    STARTED_AT,
    WHOLE_RUN,
    make_targets,
    next_runs,
    split_by_time,
    status_column,
)


@pytest.fixture(scope="module")
def history():
    data = load_github_runs("bmad")  # step 1: load
    columns = [STARTED_AT, "ended_at", *data.jobs, *map(status_column, data.jobs)]
    return data.runs[columns], data.jobs


def test_the_eleven_steps(history):
    runs, jobs = history
    train, is_test = split_by_time(runs, test_size=0.2)  # 5: split, in time
    y, y_train = make_targets(runs, horizon=5), make_targets(train, horizon=5)

    timestamps = TimestampToNumeric()  # 2: numeric time
    failures = FailureImputer()
    windows = SequenceWindower(n_steps=10)  # 3: sequences
    scale = MinMaxScaler()  # 4: min-max
    steps = (timestamps, failures, windows, scale)
    X_train = train
    for step in steps:
        X_train = step.fit_transform(X_train)
    assert X_train.shape[:2] == (len(train), 10)
    assert np.nanmin(X_train) >= -1e-9
    assert np.nanmax(X_train) <= 1 + 1e-9

    lstm = LSTMForecaster(device="cuda", max_epochs=30, random_state=0)  # 6: device, 7: model
    lstm.fit(X_train, y_train)  # 8: train ...
    assert str(lstm.device_).split(":")[0] in ("cuda", "cpu")
    history = lstm.training_history_  # 9: ... with loss and accuracy of every epoch
    assert {"train_loss", "valid_loss", "train_accuracy", "valid_accuracy"} <= set(history)
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert history["train_accuracy"].between(0, 1).all()

    X = runs
    for step in steps:
        X = step.transform(X)
    tested = lstm.predict(X)[is_test]  # 10: test
    actual = y[is_test]
    naive = np.broadcast_to(y_train.median().to_numpy(), tested.shape)
    assert np.isfinite(tested).all()
    assert 0 <= observed_share_within(actual, tested) <= 1
    assert observed_mae(actual, tested) < 5 * observed_mae(actual, naive)

    dates = pd.date_range(runs[STARTED_AT].iloc[-1] + pd.Timedelta(hours=6), periods=3, freq="8h")
    coming = next_runs(runs, dates)  # 11: sample dates, nothing known but when
    assert coming[jobs].isna().all(axis=None)
    X = pd.concat([runs, coming])
    for step in steps:
        X = step.transform(X)
    sampled = lstm.predict(X)[-3:]
    assert sampled.shape == (3, y.shape[1])
    assert np.isfinite(sampled).all()


def test_dates_alone_are_enough_for_a_forecast(history):
    runs, _ = history
    model = make_forecast_pipeline(n_steps=5, random_state=0).set_params(lstm__max_epochs=2)
    model.fit(runs, make_targets(runs, horizon=2))
    dates = ["2030-01-01T02:00Z", "2030-01-02T02:00Z"]
    table = forecast(model, runs, next_runs(runs, dates))
    assert np.isfinite(table["seconds"]).all()
    whole = table[(table["job"] == WHOLE_RUN) & (table["step"] == 1)]
    assert (whole["ends_at"] >= pd.to_datetime(dates)).all()
