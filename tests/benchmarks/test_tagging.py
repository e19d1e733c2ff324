"""The benchmark of tags uses what was known when a step started, and runs on the real steps."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def tagging():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import tagging  # noqa: PLC0415 - not part of the package

        yield tagging
    finally:
        sys.path.remove(str(BENCHMARKS))


def make_steps(n_runs=40, seed=0):
    """Runs of two steps that start every minute and take up to three."""
    rng = np.random.default_rng(seed)
    run = np.repeat(np.arange(n_runs), 2)
    seconds = rng.choice([10.0, 40.0, 170.0], 2 * n_runs)
    start = pd.Timestamp("2025-01-01") + pd.to_timedelta(60 * run, unit="s")
    steps = pd.DataFrame(
        {
            "run": [f"r-{k:03d}" for k in run],
            "step": np.tile(["build", "test"], n_runs),
            "event": "push",
            "branch": rng.choice(["main", "other"], n_runs)[run],
            "duration_s": seconds,
            "conclusion": rng.choice(["success", "success", "failure", "cancelled"], 2 * n_runs),
            "chain_start": start,
        }
    )
    steps["chain"] = steps["run"]
    total = steps.groupby("run")["duration_s"].transform("sum")
    return steps.assign(chain_end=start + pd.to_timedelta(total, unit="s"))


KNOWN = ["last_run", "last_on_branch", "before", "ratio_before", "failed_before", "slow_before"]


@pytest.mark.parametrize("at", [31, 50, 79])
def test_nothing_known_of_a_step_depends_on_what_was_not_over(tagging, at):
    steps = make_steps()
    start = steps["chain_start"][at]
    unknown = (steps["chain_end"] > start) & (steps["run"] != steps["run"][at])
    unknown |= (steps["run"] == steps["run"][at]) & (steps.index >= at)
    other = make_steps(seed=1)
    changed = steps.copy()
    changed.loc[unknown, "conclusion"] = other["conclusion"]
    changed.loc[unknown, "duration_s"] = other["duration_s"]
    assert not changed.equals(steps)
    found, again = (tagging.add_the_past(tagging.add_tags(table)) for table in (steps, changed))
    names = [*KNOWN, "ratio_sum", "ratio_max"]
    pd.testing.assert_series_equal(found.loc[at, names], again.loc[at, names])


def test_tags_are_those_of_a_loop(tagging):
    steps = make_steps()
    found = tagging.add_tags(steps)
    for k, row in steps.iterrows():
        before = steps[: k - k % 2]
        known = before[
            (before["step"] == row["step"])
            & (before["chain_end"] <= row["chain_start"])
            & (before["conclusion"] == "success")
        ]["duration_s"][-30:]
        expected = None
        if row["conclusion"] == "failure":
            expected = "failed"
        elif row["conclusion"] == "success" and len(known) >= 5:
            usual = known.median()
            is_slow = row["duration_s"] > 2 * usual and row["duration_s"] > usual + 5
            expected = "slow" if is_slow else "ok"
        assert found["tag"][k] == expected or (pd.isna(found["tag"][k]) and expected is None)


def test_no_training_run_was_going_on_when_the_test_begins(tagging):
    train, test = tagging.split_by_time(make_steps())
    assert train["chain_end"].max() <= test["chain_start"].min()
    assert not set(train["run"]) & set(test["run"])
    assert test["run"].nunique() == 8


def test_frequencies_are_the_shares_of_training(tagging):
    steps = pd.DataFrame({"step": ["a"] * 4 + ["b"]})
    tags = pd.Series(["ok", "ok", "ok", "failed", "ok"])
    found = tagging.Frequencies(["step"]).fit(steps, tags)
    proba = found.predict_proba(pd.DataFrame({"step": ["a", "b", "new"]}))
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_allclose(proba[0, 0], (1 + 0.2) / 5)
    np.testing.assert_allclose(proba[2], [0.2, 0.8, 0.0])


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")
def test_the_command_scores_every_model(tagging, capsys, tmp_path):
    out = tmp_path / "tagging.csv"
    tagging.main([str(DATA), "--seeds", "1", "--limit", "120", "--out", str(out)])
    table = pd.read_csv(out)
    assert len(table) == 6
    assert table["model"].str.startswith("LSTMTagger").sum() == 2
    assert table[["log_loss", "balanced_accuracy", "ap_failed"]].notna().all(axis=None)
    assert "majority of the step" in capsys.readouterr().out
