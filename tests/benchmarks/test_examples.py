"""The examples run as their first lines say, print what they measured, and store a picture."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.image as mpimg
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def printed_here(name: str, out: Path, capsys, *options: str) -> str:
    """What an example prints in this process, which makes warnings errors."""
    runpy.run_path(f"{ROOT}/benchmarks/examples/{name}.py")["main"](["--out", str(out), *options])
    assert mpimg.imread(out / f"{name}.png").shape[1] > 900
    return capsys.readouterr().out


def printed(name: str, out: Path, *options: str) -> str:
    """What an example prints as a process; no warning may come with it."""
    script = f"benchmarks/examples/{name}.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", script, "--out", str(out), *options],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"python {script}" in (ROOT / script).read_text()
    assert mpimg.imread(out / f"{name}.png").shape[1] > 900
    return done.stdout


def check_sequence(output: str, n_seeds: int) -> None:
    answers = [float(number) for number in re.findall(r"\d+\.\d", output.splitlines()[0])]
    assert len(answers) == n_seeds
    assert all(95 < answer < 105 for answer in answers)


def test_the_textbook_sequence_goes_on_to_about_100(tmp_path, capsys):
    check_sequence(printed_here("textbook_sequence", tmp_path, capsys, "--seeds", "1"), 1)


@pytest.mark.slow
def test_the_textbook_sequence_goes_on_to_about_100_whatever_the_seed(tmp_path):
    check_sequence(printed("textbook_sequence", tmp_path, "--seeds", "3"), 3)


def check_dates(output: str, factor: float) -> None:
    with_dates, without = (float(m) for m in re.findall(r"([\d.]+) minutes, ", output))
    assert with_dates < factor * without
    assert len(re.findall(r"it takes [\d.]+ minutes", output)) == 6


def test_dates_as_input_lower_the_error_of_few_runs_already(tmp_path, capsys):
    check_dates(printed_here("dates", tmp_path, capsys, "--runs", "400"), 1.0)


@pytest.mark.slow
def test_dates_as_input_halve_the_error(tmp_path):
    check_dates(printed("dates", tmp_path), 0.5)


@pytest.mark.slow
def test_monthly_sales_are_forecast_as_well_as_by_exponential_smoothing(tmp_path):
    """One seed or another moves the longer errors by a tenth."""
    errors = {}
    for line in printed("monthly_sales", tmp_path).splitlines():
        if re.search(r"\d\.\d\d +\d+\.\d\d$", line):
            errors[line[:31].strip()] = np.array([float(number) for number in line[31:].split()])
    naive, smoothed = errors["seasonal naive"], errors["exponential smoothing"]
    assert (errors["LSTM pipeline"] < 1.2 * np.minimum(naive, smoothed)).all()
