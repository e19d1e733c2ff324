"""Training curves show each epoch of the history, and the epoch that was kept."""

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime import LSTMForecaster
from sklearn_jobtime.plots import TrainingDisplay

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 4)), RNG.normal(size=60)


def fitted(**options):
    return LSTMForecaster(hidden_size=4, device="cpu", random_state=0, **options).fit(X, Y)


@pytest.mark.parametrize("max_epochs", [1, 2, 60])
def test_curves_are_the_history_and_the_kept_epoch_is_marked(max_epochs, assert_readable):
    model = fitted(max_epochs=max_epochs, patience=5)
    display = TrainingDisplay.from_estimator(model)
    assert set(display.lines_) == {
        f"{part}_{score}" for part in ("train", "valid") for score in ("loss", "accuracy")
    }
    for column, line in display.lines_.items():
        factor = 100 if "accuracy" in column else 1
        np.testing.assert_array_equal(line.get_xdata(), model.training_history_["epoch"])
        np.testing.assert_allclose(line.get_ydata(), factor * model.training_history_[column])
    assert [set(line.get_xdata()) for line in display.kept_lines_] == [{model.kept_epoch_}] * 2
    assert [ax.get_xlabel() for ax in display.ax_] == ["epoch", "epoch"]
    assert [ax.get_ylabel() for ax in display.ax_] == ["loss", "accuracy (%)"]
    legend = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert legend == [
        "training rows",
        "validation rows",
        f"weights of epoch {model.kept_epoch_}, kept",
    ]
    assert_readable(display.figure_)


def test_without_validation_there_is_one_curve_a_panel():
    display = TrainingDisplay.from_estimator(fitted(max_epochs=3, early_stopping=False))
    assert set(display.lines_) == {"train_loss", "train_accuracy"}


def test_a_history_of_ones_own():
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": [1.0, 0.5]})
    display = TrainingDisplay.from_history(history)
    assert len(display.ax_) == 1
    assert display.kept_lines_ == []
    assert TrainingDisplay.from_history(history, kept_epoch=0).kept_lines_[0].get_xdata()[0] == 0


def test_an_empty_history_is_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"columns \['epoch'\] and 0 epochs; expected train_loss"):
        TrainingDisplay.from_history(pd.DataFrame({"epoch": []}))
