"""The benchmark of landings runs, on little data, and counts as it says."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def landing():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import landing  # noqa: PLC0415 - not part of the package

        yield landing
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_right_chances_have_an_error_of_noise_alone(landing):
    random = np.random.default_rng(0)
    chances = random.random(4000)
    error = landing.calibration_error(chances, random.random(4000) < chances)
    assert error < 2 * landing.noise_of(chances, random) < 0.05
    assert landing.calibration_error(np.full(10, 0.75), np.ones(10)) == pytest.approx(0.25)


def test_a_run_is_seen_when_a_share_of_its_jobs_has_landed(landing):
    landings = np.array([[10.0, 30.0, 20.0, 40.0, 40.0], [10.0, np.nan, np.nan, np.nan, np.nan]])
    random = np.random.default_rng(0)
    np.testing.assert_array_equal(landing.seen_at(landings, "50%", random), [20.0, np.nan])
    assert landing.seen_at(landings, "0%", random).tolist() == [0.0, 0.0]
    assert (landing.seen_at(landings, "any time", random) <= [40.0, 10.0]).all()


def test_the_command_prints_each_stage(landing, capsys):
    landing.main(["--histories", "2", "--runs", "60", "--shape", "diamond"])
    printed = capsys.readouterr().out
    for text in ("diamond", "any time", "band", "(a)", "(b)", "ECE", "critical", "precision"):
        assert text in printed


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not here")
def test_real_steps_are_read(landing, capsys):
    landing.main([str(DATA), "--histories", "0", "--shape", "bmad, two jobs"])
    assert "2 jobs" in capsys.readouterr().out


@pytest.mark.slow
def test_landings_are_inside_their_intervals_as_often_as_they_say(landing):
    """One night of each history: their misses are independent, and a share is exactly binomial."""
    histories = []
    for seed in range(30):
        runs = landing.make_job_runs(
            110, n_jobs=3, **landing.LINKED, starts=True, random_state=20_000 + seed
        )
        histories.append(landing.study(runs, "job_0>job_1>job_2", 3, seed))
    for stage in landing.STAGES:
        nights = pd.concat([h[stage].dropna(subset=["all"]).head(1) for h in histories])
        n = len(nights)
        low, high = landing.binom.interval(0.999, n, landing.LEVEL)
        assert low <= nights["all"].sum() <= high
        assert nights["error"].sum() <= 1.05 * nights["(a)"].sum()
