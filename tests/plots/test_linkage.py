"""The heat map shows the matrix, in one unit, with the links that held framed."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.inspection import Linkage
from sklearn_jobtime.plots import LinkageDisplay
from sklearn_jobtime.runs import WHOLE_RUN, make_targets, split_by_time


def linkage_of(values, names, held=()):
    """Links of these seconds; those at the places in `held` passed the test."""
    matrix = pd.DataFrame(np.asarray(values, dtype=float), names, names)
    q = pd.DataFrame(1.0, names, names)
    for source, target in held:
        q.loc[source, target] = 0.01
    counts = pd.Series(100, index=names)
    return Linkage(matrix, matrix, matrix, matrix, q, q, counts)


MINUTES = [[9000.0, 240.0, 0.0], [120.0, 6000.0, 180.0], [0.0, 150.0, 7200.0]]
NAMES = ["extract", "load", WHOLE_RUN]


def test_cells_labels_and_unit_are_those_of_the_matrix(tmp_path):
    found = linkage_of(MINUTES, NAMES, held=[("extract", "load"), ("load", "load")])
    display = LinkageDisplay.from_predictions(found)
    ax = display.ax_
    np.testing.assert_allclose(ax.images[0].get_array(), np.array(MINUTES) / 60)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["extract", "load", "whole run"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["extract", "load", "whole run"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("forecast of", "past of")
    bar = ax.images[0].colorbar
    assert bar.ax.get_ylabel() == "minutes by which the forecast moves"
    assert bar.extend == "max"
    assert ax.images[0].get_clim() == (0, 4)  # of the links between jobs
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written[(1, 0)] == "4"
    assert written[(0, 0)] == "150"
    frames = {(round(p.get_x() + 0.46), round(p.get_y() + 0.46)) for p in ax.patches}
    assert frames == {(1, 0), (1, 1)}
    display.figure_.savefig(tmp_path / "links.png")
    assert (tmp_path / "links.png").stat().st_size > 10_000


def test_nothing_is_clipped():
    found = linkage_of(MINUTES, ["a" * 60, "$b_{c}$", WHOLE_RUN])
    figure = LinkageDisplay(found).plot().figure_
    FigureCanvasAgg(figure).draw()
    width, height = figure.bbox.width, figure.bbox.height
    for ax in figure.axes:
        for text in [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.yaxis.label]:
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= width
            assert box.y1 <= height


def test_of_very_many_jobs_those_that_matter_are_drawn_without_numbers():
    values = np.diag(np.arange(40.0))
    values[5, 30] = 1000.0
    names = [f"job_{k}" for k in range(40)]
    ax = LinkageDisplay(linkage_of(values, names)).plot().ax_
    rows, columns = (
        [label.get_text() for label in t] for t in (ax.get_yticklabels(), ax.get_xticklabels())
    )
    assert len(rows) == len(columns) == 25
    assert "job_5" in rows
    assert "job_30" in columns
    assert rows == sorted(rows, key=names.index)
    assert not ax.texts


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_matrix_without_movement_can_be_drawn(value):
    figure = LinkageDisplay(linkage_of(np.full((3, 3), value), NAMES)).plot().figure_
    FigureCanvasAgg(figure).draw()


def test_from_estimator_draws_on_axes_of_ones_own():
    runs = make_job_runs(n_runs=60, n_jobs=2, random_state=0)
    train, is_test = split_by_time(runs, 0.5)
    rule = RollingRule("last").fit(train, make_targets(train))
    ax = Figure().subplots()
    display = LinkageDisplay.from_estimator(rule, runs, is_test, n_repeats=2, ax=ax)
    assert display.ax_ is ax
    assert display.linkage.matrix.shape == (3, 3)
