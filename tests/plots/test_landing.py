"""The Gantt chart shows what the table of landings says."""

import pandas as pd
import pytest

from sklearn_jobtime.plots import LandingDisplay

START = pd.Timestamp("2026-03-01T02:00Z")


@pytest.fixture
def table():
    nan = float("nan")
    rows = pd.DataFrame(
        [
            ("extract", "landed", 0.0, 600.0, 600.0, 600.0, 1.0),
            ("load", "running", 600.0, 1800.0, 1500.0, 2400.0, 0.9),
            ("report", "waiting", 1800.0, 2400.0, 2000.0, 3000.0, 0.1),
            ("mail", "blocked", nan, nan, nan, nan, nan),
            ("whole_run", "running", 0.0, 2400.0, 2100.0, 3000.0, 1.0),
        ],
        columns=["job", "state", "starts", "lands", "lower", "upper", "critical"],
    )
    return rows.assign(starts_at=START + pd.to_timedelta(rows["starts"], unit="s"))


def test_bars_whiskers_and_marks_are_those_of_the_table(table, tmp_path):
    display = LandingDisplay(table, now=900.0).plot()
    ax = display.ax_
    bars = [(bar.get_x(), round(bar.get_width(), 6)) for bar in ax.patches]
    assert bars == [(0, 10), (10, 20), (10, 5), (30, 10), (0, 40), (0, 15)]  # what ran on top
    whiskers = [list(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2]
    assert [25.0, 40.0] in [[round(x, 6) for x in w] for w in whiskers]
    assert [round(w[0], 6) for w in whiskers if w[0] == w[1]] == [15.0]  # now
    assert [bar.get_linewidth() for bar in ax.patches[:2]] == [1.8, 1.8]  # the critical path
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["extract", "load", "report", "mail", "whole run"]
    assert "blocked" in " ".join(text.get_text() for text in ax.texts)
    assert ax.get_xlabel() == "minutes after 2026-03-01 02:00 UTC, the start of the run"
    display.figure_.savefig(tmp_path / "night.png")


def test_artists_take_keywords(table):
    ax = LandingDisplay(table).plot(bar_kwargs={"height": 0.3}).ax_
    assert ax.patches[0].get_height() == pytest.approx(0.3)
