"""How long `predict` takes for one new run, as a scheduler calls it when a run starts.

The forecaster of `make_anchored_forecaster` is fitted on a series of simulated runs, then asked for
the runs after them, one at a time, each a table of one row. Beside it, in turn, one forward pass of
the bare network on the window of that run: what no forecast with this network can be faster than.
On a busy machine the clock also counts the waiting; the time on the processor does not.

    python benchmarks/predict_speed.py --help
"""

import argparse
import logging
import pickle
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.runs import make_targets


def seconds_of(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds that a call takes by the clock, and on the processor."""
    start, cpu_start = time.perf_counter(), time.thread_time()
    call()
    return time.perf_counter() - start, time.thread_time() - cpu_start


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5000, help="runs to fit on (5000)")
    parser.add_argument("--jobs", type=int, default=1, help="jobs of a run, besides its end (1)")
    parser.add_argument("--epochs", type=int, default=60, help="most epochs of the fit (60)")
    parser.add_argument("--repeats", type=int, default=200, help="runs to forecast (200)")
    options = parser.parse_args(argv)
    logging.getLogger("sklearn_jobtime").setLevel(logging.ERROR)

    runs = make_job_runs(
        options.rows + options.repeats, n_jobs=options.jobs, interval="1h", random_state=0
    )
    seen, new = runs[: options.rows], runs[options.rows :]
    model = make_anchored_forecaster(known=["input_rows"], device="cpu", random_state=0)
    model.set_params(regressor__mean__lstm__network__max_epochs=options.epochs)
    fit_seconds, _ = seconds_of(lambda: model.fit(seen, make_targets(seen)))

    lstm = model.regressor_["mean"].named_estimators_["lstm"]["network"]
    network = lstm.net_.module_.eval()
    inputs = torch.zeros(options.repeats, lstm.n_steps_in_, lstm.n_features_in_)
    predict, forward = [], []
    torch.set_num_threads(1)
    with torch.inference_mode():
        for row in range(options.repeats):
            run, window = new.iloc[[row]], inputs[[row]]
            predict.append(seconds_of(lambda run=run: model.predict(run)))
            forward.append(seconds_of(lambda window=window: network(window)))
    clock, cpu = 1000 * np.array(predict).T
    _, forward_cpu = 1000 * np.array(forward).T
    result = {
        "fit_seconds": fit_seconds,
        "predict_ms": float(np.median(clock)),
        "predict_ms_low": float(np.quantile(clock, 0.05)),
        "predict_ms_high": float(np.quantile(clock, 0.95)),
        "predict_cpu_ms": float(np.median(cpu)),
        "forward_cpu_ms": float(np.median(forward_cpu)),
        "ratio": float(np.median(cpu) / np.median(forward_cpu)),
        "model_megabytes": len(pickle.dumps(model)) / 1e6,
    }
    print(
        f"{options.rows} runs, {make_targets(seen).shape[1]} outputs: fit {fit_seconds:.1f} s, "
        f"model {result['model_megabytes']:.2f} MB\n"
        f"predict one new run: median {result['predict_ms']:.1f} ms, 5 % to 95 %: "
        f"{result['predict_ms_low']:.1f} to {result['predict_ms_high']:.1f} ms\n"
        f"on the processor: {result['predict_cpu_ms']:.1f} ms, as {result['ratio']:.0f} forward "
        f"passes of {result['forward_cpu_ms']:.2f} ms"
    )
    return result


if __name__ == "__main__":
    main()
