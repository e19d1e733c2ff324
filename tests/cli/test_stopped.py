"""A command that is stopped at any moment leaves whole files, and two at once lose nothing."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sklearn_jobtime.baselines import OnlineMix
from sklearn_jobtime.conformal import ConformalForecaster, online_update
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.persistence import load_model, save_model
from sklearn_jobtime.runs import make_targets

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]

COMMANDS = {
    "fit": ["fit", "runs.parquet", "-o", "model.joblib", "--epochs", "1", "--hidden-size", "4",
            "--horizon", "1"],
    "update": ["update", "model.joblib", "runs.parquet", "--now", "2025-06-01"],
    "load": ["load", "runs.parquet", "-o", "copy.csv"],
}  # fmt: skip


def start(folder, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "sklearn_jobtime", *map(str, args)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def succeed(folder, *args):
    process = start(folder, *args)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


@pytest.fixture
def folder(tmp_path):
    runs = make_job_runs(n_runs=120, n_jobs=2, random_state=0)
    write_table(runs, tmp_path / "runs.parquet")
    known = runs[:90]
    model = ConformalForecaster(OnlineMix()).fit(known, make_targets(known))
    save_model(model, tmp_path / "model.joblib")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_stopped_at_any_moment_the_files_are_whole_and_the_next_command_works(folder, command):
    args = COMMANDS[command]
    began = time.monotonic()
    succeed(folder, *args)
    usual = time.monotonic() - began
    expected = set(os.listdir(folder))
    moments = random.Random(0)
    # a fit takes long, and handles both signals alike
    gentle = [signal.SIGINT] if command == "fit" else [signal.SIGINT, signal.SIGTERM]
    for stop in (signal.SIGKILL, *gentle):
        process = start(folder, *args)
        # Most of the time goes to imports; what matters happens towards the end.
        time.sleep(usual * moments.uniform(0.3, 1.05))
        process.send_signal(stop)
        _, err = process.communicate()
        assert process.returncode in (0, -stop, 128 + stop)
        assert "Traceback" not in err
        assert load_model(folder / "model.joblib") is not None
        if process.returncode == 128 + stop:  # it has handled the signal
            assert set(os.listdir(folder)) == expected
    succeed(folder, *args)
    assert set(os.listdir(folder)) == expected


def test_two_updates_at_once_learn_each_run_once(folder):
    runs = make_job_runs(n_runs=120, n_jobs=2, random_state=0)
    commands = [start(folder, *COMMANDS["update"]) for _ in range(2)]
    printed = [process.communicate() for process in commands]
    assert [process.returncode for process in commands] == [0, 0], printed
    assert sorted(out.startswith("Nothing to update") for out, _ in printed) == [False, True]
    both = load_model(folder / "model.joblib")
    assert both.updated_until_ == pytest.approx(runs["ended_at"].max().timestamp())
    alone = ConformalForecaster(OnlineMix()).fit(runs[:90], make_targets(runs[:90]))
    online_update(alone, runs)
    np.testing.assert_allclose(both.predict_interval(runs[-1:]), alone.predict_interval(runs[-1:]))
