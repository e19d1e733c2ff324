"""How many of the links between simulated jobs are found, and how many found ones are real.

    python benchmarks/links.py [--seeds N] [--first-seed S] [--runs N] [--recipe]

Six jobs that drive each other from one run to the next, along a chain or a random graph. Half of
the runs teach the model, half test the links. `links only` has no other effects; in `failures` each
job fails in 2 % of the runs; `all effects` has seasons, month ends, level shifts and a covariate as
well. Precision counts the edges of the graph among the links found, `or path` also pairs that are
joined through other jobs, recall the edges that were found, and `p < 0.05` how often pairs that
nothing joins came out so: 0.05 if the test were exact.
"""

import argparse
from time import process_time

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_jobtime import (
    AnchoredRegressor,
    FailureImputer,
    LevelScaler,
    SequenceWindower,
    TimestampToNumeric,
)
from sklearn_jobtime.baselines import RollingRule
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.inspection import job_linkage
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.runs import make_targets, split_by_time

NO_EFFECTS = {"season": 0, "month_end": 0, "shift_every": None, "input_effect": 0}
EFFECTS = {
    "links only": {**NO_EFFECTS, "failure_rate": 0},
    "failures": NO_EFFECTS,
    "all effects": {},
}
FIRST_SEED = 100  # the method was chosen on smaller ones


def flat(windows: np.ndarray) -> np.ndarray:
    """Windows as rows without missing values."""
    return np.nan_to_num(windows.reshape(len(windows), -1))


def ridge(n_steps: int, known: list[str]) -> BaseEstimator:
    """Ridge regression on the last runs of all jobs, relative to their levels."""
    steps = (
        TimestampToNumeric(month=False),
        FailureImputer("last success"),
        LevelScaler(),
        SequenceWindower(n_steps=n_steps, known=known or None),
        FunctionTransformer(flat),
        StandardScaler(),
        RidgeCV(np.logspace(-1, 4, 11)),
    )
    return AnchoredRegressor(make_pipeline(*steps), RollingRule("median"))


def counts(kind: str, effects: dict, graph: str, n_runs: int, seed: int) -> dict[str, float]:
    """Links found and true ones of one simulated history."""
    runs, truth = make_job_runs(
        n_runs=n_runs, n_jobs=6, graph=graph, coupling=0, random_state=seed, return_truth=True,
        **effects,
    )  # fmt: skip
    known = ["input_rows"] if "input_rows" in runs else []
    train, is_test = split_by_time(runs, 0.5)
    model = (
        make_anchored_forecaster(known=known, n_steps=5, device="cpu", random_state=seed)
        if kind == "recipe"
        else ridge(1 if kind == "ridge, 1 step" else 3, known)
    )
    model.fit(train, make_targets(train, whole_run=False))
    start = process_time()
    found = job_linkage(model, runs, is_test, random_state=seed)
    seconds = process_time() - start
    jobs = list(found.matrix)
    other = ~np.eye(len(jobs), dtype=bool)
    edge = (truth.linkage.loc[jobs, jobs].to_numpy() > 0) & other
    path = (np.linalg.matrix_power(edge + np.eye(len(jobs)), len(jobs)) > 0) & other
    held = (found.q_values.loc[jobs, jobs].to_numpy() <= 0.05) & other
    p_values = found.p_values.loc[jobs, jobs].to_numpy()
    return {
        "edges": edge.sum(),
        "found": held.sum(),
        "edges found": (held & edge).sum(),
        "paths found": (held & path).sum(),
        "unlinked": (other & ~path).sum(),
        "unlinked, p < 0.05": (p_values[other & ~path] < 0.05).sum(),
        "seconds": seconds,
    }


def main(argv: list[str] | None = None) -> pd.DataFrame:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--recipe", action="store_true", help="also the LSTM, slower")
    options = parser.parse_args(argv)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    kinds = ["ridge, 1 step", "ridge, 3 steps", *(["recipe"] if options.recipe else [])]
    rows = []
    for kind in kinds:
        for name, effects in EFFECTS.items():
            for graph in ("chain", "random"):
                total = pd.DataFrame(
                    [counts(kind, effects, graph, options.runs, seed) for seed in seeds]
                ).sum()
                rows.append(
                    {
                        "model": kind,
                        "effects": name,
                        "graph": graph,
                        "precision": total["edges found"] / total["found"],
                        "or path": total["paths found"] / total["found"],
                        "recall": total["edges found"] / total["edges"],
                        "p < 0.05": total["unlinked, p < 0.05"] / total["unlinked"],
                        "CPU seconds": total["seconds"] / options.seeds,
                    }
                )
                print(pd.DataFrame(rows[-1:]).round(2).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
