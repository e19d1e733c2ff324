"""The command `fit`."""

from pathlib import Path

from sklearn_jobtime.cli.options import (
    AsJson,
    Coverage,
    Device,
    Epochs,
    HiddenSize,
    Horizon,
    Jobs,
    Known,
    LearningRate,
    ModelOut,
    Runs,
    Seed,
    Simultaneous,
    TestSize,
    Window,
    nominal_coverage,
    reads_source,
    split_names,
)

__all__ = ["fit"]


@reads_source("runs")
def fit(
    runs: Runs,
    output: ModelOut = Path("model.joblib"),
    horizon: Horizon = 5,
    jobs: Jobs = None,
    known: Known = None,
    window: Window = 20,
    hidden_size: HiddenSize = 32,
    epochs: Epochs = 60,
    lr: LearningRate = 0.003,
    device: Device = "auto",
    seed: Seed = 0,
    test_size: TestSize = 0.2,
    coverage: Coverage = 0.9,
    simultaneous: Simultaneous = "none",
    as_json: AsJson = False,
) -> None:
    """Fit a model on a run table and store it.

    It is first tested on the newest runs, beside the baselines. Then it is fitted without
    the newest quarter, whose errors make the intervals, and at last on all runs.

    With --json: `model`, `runs`, `series`, `jobs`, `horizon`, `epochs` (losses, and accuracies:
    the share within 10 % of the actual), `kept_epoch` (0: the LSTM has no part), `test_runs`,
    `scores` (by model and job, in seconds), `recommendations` (by job: `best`, the baseline that
    the older runs would have chosen, the ratio of the errors and its interval, advice), `notes`,
    `coverage` (of the intervals: `confidence_level`, `simultaneous`, `calibration_runs`,
    `effective_sample_size`,
    `updated_runs` of `jobtime update`, `text`).
    """
    from sklearn_jobtime.cli.holdout import Recipe
    from sklearn_jobtime.cli.inputs import read_history
    from sklearn_jobtime.cli.run.fit import run_fit

    run_fit(
        read_history(runs, split_names(jobs), split_names(known)),
        Recipe(window, hidden_size, epochs, lr, device, seed),
        output,
        nominal_coverage(coverage, simultaneous),
        horizon=horizon,
        test_size=test_size,
        as_json=as_json,
    )
