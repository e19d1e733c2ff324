"""The picture of coverage shows the counts of the report, and the promise beside them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.conformal import ConformalForecaster
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.evaluation import coverage_report, holdout_intervals, rolling_coverage
from sklearn_jobtime.plots import CoverageDisplay
from sklearn_jobtime.plots._style import COMING, TESTED
from sklearn_jobtime.runs import STARTED_AT, make_targets, split_by_time


@pytest.fixture(scope="module", params=[True, False], ids=["times", "no times"])
def tested(request):
    runs = make_job_runs(n_runs=300, n_jobs=2, random_state=0)
    if not request.param:
        runs = runs.drop(columns=[STARTED_AT, "ended_at"])
    train, is_test = split_by_time(runs, 0.4)
    return ConformalForecaster(RollingRule()).fit(train, make_targets(train, 2)), runs, is_test


def test_both_panels_show_the_report(tested, tmp_path):
    display = CoverageDisplay.from_estimator(*tested, confidence_level=0.8, n_rows=50)
    intervals = holdout_intervals(*tested, 0.8)
    report = coverage_report(intervals, 0.8)
    counts, over_time = display.ax_
    points = next(line for line in counts.lines if line.get_color() == TESTED)
    np.testing.assert_array_equal(points.get_xdata(), report["coverage"])
    labels = [text.get_text() for text in counts.get_yticklabels()]
    assert labels[:2] == ["each target", "all jobs of a run"]
    assert len(labels) == len(report)
    assert "80 %" in counts.get_title(loc="left")
    for ax, promised in ((counts, "get_xdata"), (over_time, "get_ydata")):
        (line,) = (line for line in ax.lines if line.get_color() == COMING)
        assert set(getattr(line, promised)()) == {0.8}
    drawn = next(line for line in over_time.lines if line.get_color() == TESTED)
    np.testing.assert_array_equal(drawn.get_ydata(), rolling_coverage(intervals, 50)["coverage"])
    display.figure_.savefig(tmp_path / "coverage.png")
    assert (tmp_path / "coverage.png").stat().st_size > 10_000


def test_few_targets_and_own_axes(tested):
    intervals = holdout_intervals(*tested)
    few = intervals[:5]
    axes = Figure().subplots(2)
    display = CoverageDisplay.from_predictions(few, 0.9, ax=axes)
    assert display.figure_ is axes[0].figure
    assert "fewer than 100 targets" in [text.get_text() for text in display.ax_[1].texts]
    with pytest.raises(ValueError, match="expected one for each of the 2"):
        CoverageDisplay(few, 0.9).plot(ax=axes[:1])
    strange = pd.concat([few, few.assign(job="$a_{b}$" + "x" * 60)])
    label = CoverageDisplay(strange, 0.9).plot().ax_[0].get_yticklabels()[-1].get_text()
    assert len(label) <= 28
