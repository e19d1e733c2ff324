"""Every display takes keywords of its artists; what is not given stays as it is."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyArrowPatch, Rectangle

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.inspection import Linkage
from sklearn_jobtime.plots import (
    CalendarDisplay,
    CoverageDisplay,
    ForecastDisplay,
    LinkageDisplay,
    NetworkDisplay,
    PredictionDisplay,
    ResidualDisplay,
    TrainingDisplay,
)
from sklearn_jobtime.runs import make_targets

RED = to_rgba("red")


def color_of(artist):
    return to_rgba(artist.get_color())


@pytest.fixture(scope="module")
def runs():
    return make_job_runs(n_runs=120, n_jobs=1, failure_rate=0.1, random_state=0)


@pytest.fixture(scope="module")
def model(runs):
    return ConformalForecaster(RollingRule()).fit(runs[:90], make_targets(runs[:90]))


def test_coverage(model, runs):
    is_test = np.arange(120) >= 90
    kwargs = {"errorbar_kwargs": {"ms": 9}, "line_kwargs": {"lw": 5}}
    filled = {"fill_between_kwargs": {"alpha": 0.7}}
    display = CoverageDisplay.from_estimator(model, runs, is_test, n_rows=20, **kwargs, **filled)
    counts, rolling = display.ax_
    assert counts.lines[0].get_markersize() == 9
    assert counts.lines[0].get_marker() == "o"
    assert rolling.lines[0].get_linewidth() == 5
    assert rolling.collections[0].get_alpha() == 0.7
    again = CoverageDisplay.from_predictions(display.intervals, 0.9, line_kwargs={"c": "red"})
    assert color_of(again.ax_[1].lines[0]) == RED


def test_predictions():
    y, forecast = np.array([60.0, 66.0, 63.0]), np.full(3, 62.0)
    kwargs = {"line_kwargs": {"ls": ":"}, "scatter_kwargs": {"marker": "s", "c": "red"}}
    over_time = PredictionDisplay.from_predictions(y, forecast, **kwargs).lines_[0]
    assert over_time["trained"].get_linestyle() == ":"
    assert over_time["trained"].get_linewidth() == 1.4
    assert (over_time["actual"].get_marker(), color_of(over_time["actual"])) == ("s", RED)
    points = PredictionDisplay.from_predictions(y, forecast, kind="scatter", **kwargs).lines_[0]
    assert points["diagonal"].get_linestyle() == ":"
    assert points["trained"].get_marker() == "s"


def test_residuals():
    display = ResidualDisplay.from_predictions(
        np.array([60.0, 66.0, 63.0]),
        np.full(3, 62.0),
        scatter_kwargs={"ms": 8},
        bar_kwargs={"alpha": 0.9},
        line_kwargs={"c": "red"},
    )
    assert display.lines_[0]["trained"].get_markersize() == 8
    assert display.bars_[0]["trained"].get_alpha() == 0.9
    for ax in display.ax_:
        assert color_of(ax.lines[-1]) == RED
        assert ax.lines[-1].get_linestyle() == "--"


def test_forecast(model, runs):
    display = ForecastDisplay.from_estimator(
        model,
        runs,
        scatter_kwargs={"c": "red"},
        line_kwargs={"marker": "^"},
        bar_kwargs={"alpha": 0.6, "width": 0.4},
    )
    actual, _, failed, coming = display.ax_[-1].lines
    assert color_of(actual) == RED
    assert color_of(failed) != RED
    assert coming.get_marker() == "^"
    bars = [p for p in display.ax_[-1].patches if p.get_alpha() == 0.6]
    assert [round(bar.get_width(), 6) for bar in bars] == [0.4]
    handles = {h.get_label(): h for h in display.figure_.legends[0].legend_handles}
    assert color_of(handles["actual"]) == RED
    assert handles["next runs"].get_marker() == "^"


def test_calendar(runs):
    style = {"mesh_kwargs": {"cmap": "magma", "lw": 2}, "scatter_kwargs": {"marker": "s"}}
    display = CalendarDisplay.from_runs(runs, **style)
    assert {image.get_cmap().name for image in display.images_} == {"magma"}
    assert display.images_[0].get_linewidth().tolist() == [2]
    assert {marks.get_marker() for marks in display.marks_} == {"s"}


def test_linkage():
    jobs = pd.Index(["a", "b"])
    table = pd.DataFrame([[1.0, 2.0], [0.5, 3.0]], jobs, jobs)
    found = dict.fromkeys(Linkage.__dataclass_fields__, table * 0)
    linkage = Linkage(**found | {"matrix": table})
    style = {"text_kwargs": {"size": 13}, "frame_kwargs": {"ec": "red"}}
    display = LinkageDisplay.from_predictions(linkage, im_kwargs={"cmap": "magma"}, **style)
    assert display.ax_.images[0].get_cmap().name == "magma"
    assert {text.get_fontsize() for text in display.ax_.texts} == {13}
    frames = [p for p in display.ax_.patches if isinstance(p, Rectangle)]
    assert {frame.get_edgecolor() for frame in frames} == {RED}
    assert {frame.get_linewidth() for frame in frames} == {2.0}


def test_training():
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0], "valid_loss": [2.0, 1.5]})
    display = TrainingDisplay.from_history(history, line_kwargs={"lw": 4})
    assert {line.get_linewidth() for line in display.lines_.values()} == {4}


def test_network():
    display = NetworkDisplay.from_module(
        torch.nn.Linear(2, 1),
        torch.zeros(1, 2),
        text_kwargs={"color": "red"},
        line_kwargs={"lw": 3},
    )
    assert {color_of(box) for box in display.boxes_.values()} == {RED}
    arrows = [p for p in display.ax_.patches if isinstance(p, FancyArrowPatch)]
    assert arrows
    assert {arrow.get_linewidth() for arrow in arrows} == {3}


def test_an_artist_that_a_display_does_not_have_is_an_error():
    with pytest.raises(TypeError, match="bar_kwargs"):
        PredictionDisplay.from_predictions([1.0, 2.0], [1.0, 2.0], bar_kwargs={})
