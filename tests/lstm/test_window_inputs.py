"""Windows as a fit takes them: the scaling by chunks, and what can not be used."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklearn_jobtime import LSTMForecaster
from sklearn_jobtime.lstm import window_inputs


def windows(n=60, steps=5, features=2):
    """Windows on a noisy cycle, and what follows each."""
    rng = np.random.default_rng(0)
    table = (
        50 + 10 * np.sin(np.arange(n + steps) / 3)[:, None] + rng.normal(size=(n + steps, features))
    )
    X = np.lib.stride_tricks.sliding_window_view(table, steps, axis=0)[:-1].swapaxes(1, 2)
    return X, table[steps:, 0]


def quick():
    return LSTMForecaster(hidden_size=6, max_epochs=3, device="cpu", random_state=0)


@given(
    X=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements=st.floats(-1e6, 1e6) | st.just(np.nan),
    ),
    chunk=st.integers(1, 50),
)
@settings(deadline=None, max_examples=30)
def test_scaling_by_chunks_is_scaling_the_usual_values_at_once(X, chunk):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, about empty slices
        patch.setattr(window_inputs, "_CHUNK", chunk)
        mean, scale = window_inputs.windows_mean_and_scale(X)
        low, high = window_inputs.usual_range_of_windows(X, None)
        X = np.where((low <= X) & (high >= X), X, np.nan)
        expected = np.nan_to_num(np.nanmean(X, axis=(0, 1)))
        deviation = np.nan_to_num(np.nanstd(X, axis=(0, 1)))
    np.testing.assert_allclose(mean, expected, atol=1e-6)
    varies = deviation > 1e-6
    np.testing.assert_allclose(scale[varies], deviation[varies], rtol=1e-6)
    assert (scale > 0).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X: X[0, 0], "Expected 2D array, got 1D array"),
        (lambda X: X[None], r"4 dimensions, shape \(1, 60, 5, 2\); expected 2-D"),
        (lambda X: X[:, :0], "expected at least one step and feature"),
        (lambda X: X.astype(str).astype(object) + "s", "could not convert string"),
        (lambda X: np.where(X > 50, np.inf, X), "infinity.*FailureImputer"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[:-1], "inconsistent numbers of samples"),
    ],
    ids=["1-D", "4-D", "no step", "text", "inf", "no row", "other length"],
)
def test_windows_that_can_not_be_used_are_explained(change, match):
    X, y = windows()
    with pytest.raises(ValueError, match=match):
        quick().fit(change(X), y)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X: X[:, :, 0], r"2 dimensions, shape \(60, 5\); expected 3-D as in fit"),
        (lambda X: X[:, :4], "4 steps of 2 features, but .* expecting 5 steps of 2 features"),
        (lambda X: X[:, :, :1], "5 steps of 1 features, but .* expecting 5 steps of 2"),
        (lambda X: X * np.inf, "infinity"),
    ],
)
def test_predict_wants_the_windows_of_fit(change, match):
    X, y = windows()
    model = quick().fit(X, y)
    with pytest.raises(ValueError, match=match):
        model.predict(change(X))
    with pytest.raises(ValueError, match="X has 4 features, but LSTMForecaster is expecting 5"):
        quick().fit(X[:, :, 0], y).predict(X[:, :4, 0])
