"""The benchmark of accuracy runs, on simulated runs and on a piece of the real ones."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.runs import job_columns, validate_runs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")
MODELS = {
    "OnlineMix",
    "recipe",
    "anchored lstm",
    "plain lstm",
    "anchored histgb",
    "best baseline",
    "chosen baseline",
}


@pytest.fixture(scope="module")
def accuracy():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import accuracy  # noqa: PLC0415 - not part of the package

        yield accuracy
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def history(accuracy):
    runs = make_job_runs(n_runs=130, n_jobs=2, random_state=0)
    runs["files"] = np.arange(len(runs)) % 7.0
    runs["event"] = np.where(runs["files"] > 3, "push", "schedule")
    return accuracy.History("simulated", "single", runs, job_columns(runs), ["files", "event"])


@pytest.mark.slow
def test_every_model_is_scored_for_every_seed(accuracy, history):
    tables = list(accuracy.errors_of(history, seeds=2, has_lightgbm=False))
    table = pd.concat(tables)
    first, second = (table[table["seed"] == seed] for seed in (0, 1))
    assert set(first["model"]) >= MODELS
    assert set(second["model"]) == {"recipe", "anchored lstm", "plain lstm", "anchored histgb"}
    assert (table["mae"] > 0).all()
    wide = first.pivot_table(index="job", columns="model", values="mae")
    assert len(wide) == 2
    assert (wide["best baseline"] <= wide["chosen baseline"]).all()
    text = accuracy.markdown(table)
    assert "| simulated |" in text
    assert "±" in text


def test_the_geometric_mean_is_that_of_the_ratios(accuracy):
    table = pd.DataFrame(
        {
            "history": "h",
            "job": ["a", "b", "a", "b"],
            "series": "all",
            "model": ["lstm", "lstm", "chosen baseline", "chosen baseline"],
            "seed": 0,
            "mae": [2.0, 2.0, 1.0, 4.0],
        }
    )
    assert accuracy.ratios(table, "lstm", "chosen baseline").to_numpy() == pytest.approx(1.0)


def test_trees_get_the_steps_of_the_recipe_and_its_anchor(accuracy, history):
    trees = accuracy.models_of(history, 0, has_lightgbm=False)["anchored histgb"]
    recipe = accuracy.models_of(history, 0, has_lightgbm=False)["recipe"]
    assert list(trees.regressor.named_steps)[:-2] == list(recipe.regressor.named_steps)[:-1]
    assert trees.show_base_forecast is recipe.show_base_forecast is True
    assert trees.base_forecaster is recipe.base_forecaster is None


@real_data
def test_the_real_histories_are_run_tables(accuracy):
    histories = list(accuracy.read_histories(DATA))
    names = [history.name for history in histories]
    assert len(set(names)) == len(names) == 13
    for history in histories:
        pd.testing.assert_frame_equal(
            validate_runs(history.runs, jobs=history.jobs), history.runs, check_freq=False
        )
        assert set(history.known) <= set(history.runs.columns)
    assert sum(history.group == "single" for history in histories) == 6
    with pytest.raises(SystemExit, match="no series 'x'"):
        list(accuracy.read_histories(DATA, ["x"]))


@pytest.mark.slow
@real_data
def test_the_command_writes_both_tables(accuracy, tmp_path, capsys):
    accuracy.main(
        [str(DATA), "--series", "ocp", "--seeds", "1", "--limit", "400", "--out", str(tmp_path)]
    )
    table = pd.read_csv(tmp_path / "accuracy.csv")
    assert set(table["model"]) >= MODELS
    assert "| ocp |" in (tmp_path / "accuracy.md").read_text()
    assert "| ocp |" in capsys.readouterr().out
