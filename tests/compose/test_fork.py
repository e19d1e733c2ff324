"""After a forecast, a forked child forecasts and learns, as behind gunicorn --preload."""

import multiprocessing
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from sklearn_jobtime import ForecastMean, LSTMForecaster
from sklearn_jobtime.compose import CompleteCaseRegressor

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a platform that forks")

HUNG = 60  # seconds after which a child is taken to hang: it needs less than one


def trees():
    return HistGradientBoostingRegressor(max_iter=3)


def network(n_threads):
    return LSTMForecaster(
        64, max_epochs=1, batch_size=512, device="cpu", n_threads=n_threads, random_state=0
    )


MODELS = {
    "mean": lambda: ForecastMean([("trees", trees())]),
    "mean of two threads": lambda: ForecastMean([("trees", trees())], n_threads=2),
    "mean without bound": lambda: ForecastMean([("trees", trees())], n_threads=None),
    "trees alone": lambda: CompleteCaseRegressor(trees()),
    "network of two threads": lambda: network(2),
    "network without bound": lambda: network(None),
}


def forecast_in_children(name):
    """Fit and forecast, then let a forked child forecast, fit and forecast again."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 4))
    model = MODELS[name]().fit(X, X[:, 0])
    expected = model.predict(X)

    def work(answers):
        first = model.predict(X)
        answers.put(
            (np.array_equal(first, expected), np.isfinite(model.fit(X, X[:, 1]).predict(X)))
        )

    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    with warnings.catch_warnings():  # from Python 3.12 on: the parent has threads
        warnings.simplefilter("ignore", DeprecationWarning)
        child = context.Process(target=work, args=(answers,))
        child.start()
    try:
        same, finite = answers.get(timeout=HUNG)
        assert same
        assert finite.all()
    finally:
        child.kill()
        child.join()


@needs_fork
def test_a_forked_child_forecasts_and_learns():
    """In a process of its own, with as many threads as OpenMP likes."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n") == [*MODELS, ""]


if __name__ == "__main__":
    for model_name in MODELS:
        forecast_in_children(model_name)
        print(model_name, flush=True)
