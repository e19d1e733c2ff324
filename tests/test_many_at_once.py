"""One model for many: a hundred threads, and very many updates."""

import pickle
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sklearn_jobtime.baselines import OnlineMix
from sklearn_jobtime.conformal import ConformalForecaster, _calibration_set
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.pipeline import make_forecast_pipeline
from sklearn_jobtime.runs import make_targets

RUNS = make_job_runs(n_runs=900, n_jobs=2, random_state=0, interval="1h")
TARGETS = make_targets(RUNS, whole_run=True)


@pytest.mark.parametrize(
    "network", [pytest.param(False, marks=pytest.mark.slow), True], ids=["baselines", "network"]
)
def test_a_hundred_threads_get_what_one_gets(network):
    known = RUNS[:100]
    pipeline = make_forecast_pipeline(n_steps=3, hidden_size=4, device="cpu", random_state=0)
    estimator = pipeline.set_params(lstm__max_epochs=1) if network else OnlineMix()
    model = ConformalForecaster(estimator).fit(known, TARGETS[:100])
    before = pickle.dumps(model)
    n_runs = 25 if network else 50
    runs = [RUNS[100 + k : 101 + k] for k in range(n_runs)]
    one_by_one = [model.predict_interval(run) for run in runs]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads change places as often as can be
    try:
        with ThreadPoolExecutor(100) as pool:
            at_once = list(pool.map(model.predict_interval, runs))
    finally:
        sys.setswitchinterval(interval)
    np.testing.assert_array_equal(at_once, one_by_one)
    assert pickle.dumps(model) == before


@pytest.mark.slow
def test_updates_beyond_those_that_are_kept_take_no_more_memory(monkeypatch):
    monkeypatch.setattr(_calibration_set, "N_UPDATED", 250)
    model = ConformalForecaster(OnlineMix()).fit(RUNS[:200], TARGETS[:200])
    forecasts = model.predict(RUNS)
    used, stored = {}, {}
    tracemalloc.start()
    try:
        for k in range(200, 900):
            rows = slice(k, k + 1)
            model.update(RUNS[rows], TARGETS[rows], forecast=forecasts[rows])
            if rows.stop in (550, 900):
                used[rows.stop] = tracemalloc.get_traced_memory()[0]
                stored[rows.stop] = len(pickle.dumps(model))
    finally:
        tracemalloc.stop()
    assert model.n_updates_ > 600  # failed runs do not count
    assert used[900] < 1.1 * used[550] + 500_000
    assert stored[900] < 1.02 * stored[550]
