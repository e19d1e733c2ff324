"""The benchmark of short histories cuts them as it says, and scores the same runs each time."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")


@pytest.fixture(scope="module")
def short_history():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import short_history  # noqa: PLC0415 - not part of the package

        yield short_history
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def history(short_history):
    rng = np.random.default_rng(0)
    n_series, n_runs = 6, 60
    started = np.tile(np.arange(n_runs) * 3600.0, n_series) + np.repeat(np.arange(n_series), n_runs)
    seconds = np.exp(np.repeat(rng.normal(5, 2, n_series), n_runs) + rng.normal(0, 0.3, 360))
    index = pd.MultiIndex.from_product([[f"s{k}" for k in range(n_series)], range(n_runs)])
    runs = pd.DataFrame(
        {"started_at": started, "ended_at": started + 60.0, "build": seconds}, index=index
    ).sort_values("started_at")
    for name in ("started_at", "ended_at"):
        runs[name] = pd.to_datetime(runs[name], unit="s", utc=True)
    return short_history.History("simulated", "pooled", runs, ["build"])


def test_a_test_run_has_the_newest_runs_before_it_and_no_outcome(short_history, history):
    runs = history.runs
    start = runs["started_at"].quantile(0.8)
    cut, tested = short_history.cut_histories(runs, "build", start)
    assert (tested["length"].value_counts() == len(tested) / len(short_history.LENGTHS)).all()
    for row, length, actual in tested[["row", "length", "actual"]].itertuples(index=False):
        name = cut.index[row][0]
        mine = cut.loc[name]
        assert len(mine) == length + 1
        assert mine["build"].iloc[:-1].notna().all()
        assert np.isnan(mine["build"].iloc[-1])
        original, _ = name.split()
        assert runs["build"].iloc[int(original)] == actual
        assert (mine["started_at"].iloc[:-1] < mine["started_at"].iloc[-1]).all()


def test_shrinkage_is_about_the_better_of_prior_and_baselines(short_history, history):
    errors = short_history.errors_of(short_history.forecasts_of(history, network=False))
    assert errors.index.tolist() == list(short_history.LENGTHS)
    assert errors.loc[0, "baselines"] == errors.loc[0, "prior"]
    assert errors.loc[20, "baselines"] == pytest.approx(1.0)
    assert (errors["shrunk"] <= 1.1 * errors[["prior", "baselines"]].min(axis=1)).all()


@real_data
def test_it_runs_on_a_real_pool(short_history, capsys, tmp_path):
    out = tmp_path / "short.csv"
    table = short_history.main([str(DATA), "--histories", "nasa", "--out", str(out)])
    assert set(table.columns) == {"prior", "baselines", "shrunk"}
    assert len(pd.read_csv(out)) == len(short_history.LENGTHS)
    assert "nasa: the prior is worth" in capsys.readouterr().out
