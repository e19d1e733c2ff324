"""A few hung runs change the forecasts of all others by next to nothing, wherever they stand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_jobtime import LSTMForecaster, LSTMTagger, MinMaxScaler, StatefulForecaster
from sklearn_jobtime.lstm import ResidualForecaster
from sklearn_jobtime.lstm.usual_values import usual_range
from sklearn_jobtime.lstm.window_inputs import windows_mean_and_scale

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4, 1))
Y = 100 + 10 * X[:, -1, 0] + RNG.normal(size=400)
TRAIN, TEST = slice(0, 240), slice(240, None)
PLACES = {"one": [100], "newest": [239], "five": [3, 77, 150, 160, 221]}


def error(model, targets, inputs=X):
    model.fit(inputs[TRAIN], targets[TRAIN])
    return np.abs(model.predict(inputs[TEST]) - Y[TEST]).mean()


def quick(**options):
    given = {"batch_size": 16, "max_epochs": 40, "device": "cpu", "random_state": 0}
    return LSTMForecaster(8, **given, **options)


def with_hung(place, seconds):
    hung = Y.copy()
    hung[place] = seconds
    return hung


@pytest.mark.parametrize("criterion", ["mae", pytest.param("huber", marks=pytest.mark.slow)])
def test_hung_targets(criterion):
    """One fit is as good as another up to chance: here within 25 %, on average below."""
    clean = error(quick(criterion=criterion), Y)
    assert clean < 2
    for place in (PLACES["newest"], PLACES["five"]):
        day, months = (error(quick(criterion=criterion), with_hung(place, s)) for s in (1e5, 1e7))
        assert day == pytest.approx(months, rel=1e-3)  # how long it hung does not matter
        assert months < 1.25 * clean


@pytest.mark.slow
@pytest.mark.parametrize(("criterion", "most"), [("mae", 0.05)])
def test_how_far_one_hung_run_moves_the_mean_error_of_the_others(criterion, most):
    """Less than 5 % for the median; "huber" lets it pull as hard as one whole deviation."""

    def mean_error(targets):
        models = [quick(criterion=criterion).set_params(random_state=s) for s in range(8)]
        return np.mean([error(model, targets) for model in models])

    clean = mean_error(Y)
    found = [mean_error(with_hung(PLACES[name], 30 * 86400.0)) for name in ("one", "newest")]
    assert max(found) < (1 + most) * clean, (found, clean)


def test_hung_inputs_behind_the_range_of_a_scaler():
    clean = error(quick(), Y, MinMaxScaler().fit_transform(X + 100))
    for place in PLACES.values():
        inputs = X + 100
        inputs[place] = 1e7
        scaled = MinMaxScaler().fit(inputs[TRAIN]).transform(inputs)
        assert error(quick(), Y, scaled) < 1.05 * clean + 0.2  # those rows teach nothing


def test_hung_runs_in_the_forecasters_of_residuals_and_of_states():
    given = {"max_epochs": 20, "device": "cpu", "random_state": 0, "batch_size": 16}
    Y0 = Y - 100
    for make in (
        lambda: ResidualForecaster(8, **given),
        lambda: StatefulForecaster(LSTMForecaster(8, **(given | {"batch_size": 1})), n_steps=10),
    ):
        errors = []
        for seconds in (None, 1e7):
            targets = Y0.copy()
            if seconds:
                targets[100] = seconds
            model = make().fit(X[TRAIN], targets[TRAIN])
            errors.append(np.abs(model.predict(X[TEST]) - Y0[TEST]).mean())
        assert errors[1] < 1.05 * errors[0] + 0.1


def test_a_hung_number_among_events():
    numbers = RNG.normal(size=(120, 4))
    tags = np.where(numbers > 0, "late", "early")
    hung = numbers.copy()
    hung[7, 2] = 1e7
    scores = [
        LSTMTagger(8, max_epochs=30, device="cpu", random_state=0).fit(x, tags).score(numbers, tags)
        for x in (numbers, hung)
    ]
    assert scores[0] > 0.95
    assert scores[1] > scores[0] - 0.02


def test_a_job_of_constant_duration_but_for_a_hung_run_is_forecast_as_constant():
    targets = np.full(400, 5.0)
    targets[100] = 1e7
    model = quick().fit(X[TRAIN], targets[TRAIN])
    np.testing.assert_allclose(model.predict(X), 5.0, rtol=1e-6)


def test_the_mean_is_that_of_all_runs():
    hung = Y.copy()
    hung[100] = 1e4
    model = quick(criterion="mse").fit(X[TRAIN], hung[TRAIN])
    assert model.target_mean_ == pytest.approx(hung[TRAIN].mean())
    assert model.target_scale_ == pytest.approx(hung[TRAIN].std())


@given(
    values=st.lists(st.floats(-100, 100, width=32), min_size=41, max_size=80),
    hung=st.lists(st.floats(1e6, 1e9), min_size=1, max_size=1),
)
@settings(deadline=None, max_examples=30)
def test_one_hung_run_leaves_mean_and_scale_as_they_are(values, hung):
    """But for the largest and the smallest value of the others, which it may hide."""
    table = np.array(values)
    if np.ptp(np.sort(table)[2:-2]) < 1:
        return  # all but a few are one value
    clean = windows_mean_and_scale(table[:, None, None])
    with_hung = windows_mean_and_scale(np.append(table, hung)[:, None, None])
    assert abs(with_hung[0] - clean[0]) <= 0.75 * clean[1]
    assert with_hung[1] <= 1.01 * clean[1]


@pytest.mark.parametrize("share", [0.005, 0.03, 0.2, 0.5])
def test_a_flag_and_a_weekly_load_are_usual_however_rare(share):
    rare = RNG.random(2000) < share
    for values in (rare.astype(float), np.where(rare, 100.0, 5.0)):
        mean, scale = windows_mean_and_scale(values[:, None, None])
        assert mean == pytest.approx(values.mean())
        assert scale == pytest.approx(values.std())


def test_weights_are_rows_repeated():
    values = np.append(RNG.normal(size=99), 1e6)
    weight = RNG.integers(1, 4, 100).astype(float)
    repeated = np.repeat(values, weight.astype(int))
    assert usual_range(values, weight) == usual_range(repeated, None)
    found = windows_mean_and_scale(values[:, None, None], weight)
    expected = windows_mean_and_scale(repeated[:, None, None])
    np.testing.assert_allclose(found, expected, rtol=1e-9)
