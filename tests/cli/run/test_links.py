"""`jobtime links` and `jobtime why`, as a user runs them."""

import json

import matplotlib.image as mpimg
import numpy as np
import pytest
from typer.testing import CliRunner

from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.cli.app import app
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.loaders import write_table
from sklearn_jobtime.persistence import save_model
from sklearn_jobtime.runs import WHOLE_RUN, make_targets

NAMES = ["job_0", "job_1", WHOLE_RUN]


def jobtime(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args):
    result = jobtime(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("links")
    runs = make_job_runs(n_runs=120, n_jobs=2, random_state=0)
    write_table(runs, folder / "runs.csv")
    rule = RollingRule("mean", n_runs=3).fit(runs, make_targets(runs, horizon=2))
    save_model(rule, folder / "model.joblib")
    return folder / "model.joblib", folder / "runs.csv"


def test_links_answers_for_every_pair_and_draws(files, tmp_path):
    plot = tmp_path / "links.png"
    record = answer("links", *files, "--repeats", 5, "--plot", plot)
    assert record["test_runs"] == 60
    for name in ("matrix", "low", "high", "gains", "p_values", "q_values"):
        assert list(record[name]) == NAMES
        assert all(list(row) == NAMES for row in record[name].values())
    assert record["matrix"]["job_0"]["job_1"] == 0  # a rule links no jobs
    assert record["matrix"]["job_0"]["job_0"] > 0
    assert record["written"] == [str(plot)]
    assert mpimg.imread(plot).ndim == 3


def test_links_are_printed_with_what_was_tested(files):
    result = jobtime("links", *files, "--repeats", 5)
    assert result.exit_code == 0, result.stderr
    assert "Links that held on the newest 60 runs" in result.stdout
    assert " of 6 pairs of different jobs are linked" in result.stdout


def test_why_adds_up_for_every_job(files):
    record = answer("why", *files)
    assert (record["run"], record["job"]) == ("120", WHOLE_RUN)
    assert list(record["contributions"]) == NAMES
    for name in NAMES:
        parts = sum(record["contributions"][source][name] for source in NAMES)
        difference = record["forecast"][name] - record["baseline"][name]
        assert parts == pytest.approx(difference, abs=1e-9)


def test_why_tells_a_person_what_adds_to_a_past_run(files):
    result = jobtime("why", *files, "--run", "100", "--job", "job_1")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("job_1 of run 100 is forecast to take")
    assert "as usual" in result.stdout
    assert "job_1" in result.stdout.split("What adds to it")[1]


def test_a_run_of_one_of_several_series_is_named_with_its_series(tmp_path):
    runs = make_job_runs(n_runs=40, n_jobs=2, n_series=2, random_state=0)
    write_table(runs, tmp_path / "runs.csv")
    save_model(RollingRule().fit(runs, make_targets(runs)), tmp_path / "model.joblib")
    files = tmp_path / "model.joblib", tmp_path / "runs.csv"
    series = runs.index[0][0]
    assert answer("why", *files, "--run", f"{series}/30")["run"] == f"{series}/30"
    twice = jobtime("why", *files, "--run", "30")
    assert twice.exit_code == 2
    assert "2 series have" in " ".join(twice.stderr.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--run", "999"], "'999' came for --run"), (["--job", "x"], "'x' came for --job")],
)
def test_wrong_names_are_usage_errors(files, options, said):
    result = jobtime("why", *files, *options)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_the_same_seed_gives_the_same_answer(files):
    one, two = (answer("links", *files, "--repeats", 5, "--seed", 3) for _ in range(2))
    assert one == two
    assert np.isfinite(one["matrix"]["job_0"]["job_0"])
