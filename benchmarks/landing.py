"""When does each job of a run land, from its start on and while it goes on.

    python benchmarks/landing.py [DATA_DIR] [--histories 20] [--runs 260] [--seed 0]

Simulated pipelines (linked jobs, failures, shifts of level): a chain of 4, a diamond, a fan of 12
jobs on 3 workers. Each history is one `LandingForecaster` around a mix of baselines, which learns
the graph from the times of the older runs; the newest `TEST` runs are the test, each seen at its
start and when 25, 50 and 75 % of its jobs have ended. Printed are for each pipeline and stage

- `each`, `all`: share of the landings inside their 90 % intervals, and of the runs of which all
  landings are inside the joint ones, with the exact binomial band of as many independent draws
  (all runs of one history share one calibration: the share of a history is spread more widely);
- `error`: mean absolute error of the run's landing relative to that at the start, which is that of
  the start's forecast less the elapsed time (a), and `medians`: that of the path of the forecasts
  of the jobs that are left (b);
- `ECE`: expected calibration error of the chance to land by a deadline, over ten bins;

then how often the job that the last one waited for had the highest probability to be critical with
75 % of the jobs ended, where it was the last by a tenth of the run (`critical`), and precision and
recall of the edges learned from 100 runs.
With DATA_DIR the same of the steps of jod's Build, whose graph is given as a chain.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom

from sklearn_jobtime.baselines import OnlineMix
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.graph import infer_graph
from sklearn_jobtime.landing import LandingForecaster
from sklearn_jobtime.landing._live import play
from sklearn_jobtime.landing._nights import NightSoFar
from sklearn_jobtime.landing._precedence import Precedence
from sklearn_jobtime.landing._schedule import schedule
from sklearn_jobtime.runs import make_targets, pivot_runs

LEVEL = 0.9
TEST = 30  # newest runs of a history
STAGES = (0.0, 0.25, 0.5, 0.75)
BINS = 10
FAN = {
    "plan": [],
    **{f"part_{k}": ["plan"] for k in range(10)},
    "publish": [f"part_{k}" for k in range(10)],
}
PIPELINES = {
    "chain of 4": {"graph": "chain", "n_jobs": 4},
    "diamond": {"graph": "diamond", "n_jobs": 4},
    "fan of 12, 3 workers": {"graph": FAN, "n_workers": 3},
}
LINKED = {"coupling": 0.9, "linkage": 0.2, "season": 0.1, "month_end": 0.0}


def seen_at(actual: np.ndarray, share: float) -> np.ndarray:
    """Moments at which a share of the jobs of each run had ended; 0 is the start."""
    n_ended = round(share * (actual.shape[1] - 1))
    return np.sort(actual[:, :-1], axis=1)[:, n_ended - 1] if n_ended else np.zeros(len(actual))


def path_of_medians(plan, so_far) -> float:
    """Land the run by the forecasts of the jobs that are left, from now on."""
    durations = np.where(so_far.has_ended, so_far.took, plan.forecast)[None]
    gaps = plan.usual_gaps[None, :-1]
    running = so_far.is_running
    durations[0, running] = np.maximum(durations[0, running], so_far.now - so_far.started[running])
    played = schedule(
        durations, gaps, plan.precedence, started=so_far.started, not_before=so_far.now
    )
    return float(played.ends.max() + plan.usual_gaps[-1])


def stage_of(model, runs, actual, share) -> dict[str, np.ndarray]:
    """Give what is said of each run at one stage, and what was right."""
    now = seen_at(actual, share)
    found = model.runs_so_far(runs, now)
    rows = {"each": [], "all": [], "error": [], "medians": [], "chance": [], "late": []}
    for (plan, so_far, drawn), truth in zip(found, actual, strict=True):
        paths = play(plan, drawn, so_far)
        ahead = ~np.append(paths.is_known, False)
        for name, together in (("each", False), ("all", True)):
            ends = model.interval_of(paths, np.array([LEVEL]), so_far.now, together=together)
            inside = (ends[:, 0, 0] <= truth) & (truth <= ends[:, 1, 0])
            rows[name].append(inside[ahead].mean() if name == "each" else inside[ahead].all())
        rows["error"].append(abs(np.median(paths.whole) - truth[-1]))
        rows["medians"].append(abs(path_of_medians(plan, so_far) - truth[-1]))
        deadline = path_of_medians(plan, model_start(len(truth) - 1)) * 1.05
        if deadline > so_far.now:
            rows["chance"].append(float(model.chance_of(paths.whole <= deadline)))
            rows["late"].append(truth[-1] <= deadline)
    return {name: np.array(values, dtype=float) for name, values in rows.items()}


def model_start(n_jobs):
    """Make a run of which nothing is known."""
    return NightSoFar.at_start(n_jobs)


def last_of_rivals(precedence: Precedence, ends: np.ndarray) -> tuple[list[int], int, bool]:
    """Give the jobs that the last job of a run waits for, the last of them, and if that is clear.

    Clearly: it ended later than all others by a tenth of the run.
    """
    rivals = list(precedence.parents[int(ends.argmax())])
    if len(rivals) < 2:
        return rivals, -1, False
    in_order = np.sort(ends[rivals])
    return (
        rivals,
        rivals[int(ends[rivals].argmax())],
        in_order[-1] - in_order[-2] > 0.1 * ends.max(),
    )


def study(name: str, settings: dict, n_histories: int, n_runs: int, seed: int) -> list[dict]:
    """Simulate histories of a pipeline, and count what held."""
    stages = {share: [] for share in STAGES}
    clear, edges = [], []
    for history in range(n_histories):
        runs = make_job_runs(n_runs, **settings, **LINKED, starts=True, random_state=seed + history)
        truth = make_job_runs(
            n_runs, **settings, **LINKED, return_truth=True, random_state=seed + history
        )[1].graph
        y = make_targets(runs)
        old, new = slice(None, -TEST), slice(-TEST, None)
        model = LandingForecaster(
            OnlineMix(), n_paths=500, n_workers=settings.get("n_workers"), random_state=0
        ).fit(runs[old], y[old])
        true = {(parent, job) for job, parents in truth.items() for parent in parents}
        learned = set(infer_graph(runs[:100]).edges)
        edges.append((len(true & learned), len(learned), len(true)))
        actual = model.landings(runs[new], y[new])
        good = ~np.isnan(actual).any(axis=1)
        rows, actual = runs[new][good], actual[good]
        for share in STAGES:
            stages[share].append(stage_of(model, rows, actual, share))
        for truth, paths in zip(actual, model.paths(rows, seen_at(actual, 0.75)), strict=True):
            rivals, last, is_sure = last_of_rivals(model._precedence, truth[:-1])
            if is_sure:
                chances = paths.played.critical().mean(axis=0)
                clear.append(chances[last] >= chances[rivals].max() - 1e-9)
    return [*summary(name, stages), {"pipeline": name, **found_of(clear, edges)}]


def summary(name: str, stages: dict) -> list[dict]:
    """One row a stage."""
    at_start = np.concatenate([s["error"] for s in stages[0.0]]).mean()
    rows = []
    for share, histories in stages.items():
        all_of = {key: np.concatenate([h[key] for h in histories]) for key in histories[0]}
        n = len(all_of["all"])
        low, high = binom.interval(0.99, n, LEVEL)
        rows.append(
            {
                "pipeline": name,
                "ended": f"{share:.0%}",
                "runs": n,
                "each": all_of["each"].mean(),
                "all": all_of["all"].mean(),
                "band": f"{low / n:.3f} to {high / n:.3f}",
                "error": all_of["error"].mean() / at_start,
                "medians": all_of["medians"].mean() / at_start,
                "ECE": calibration_error(all_of["chance"], all_of["late"]),
            }
        )
    return rows


def calibration_error(chances: np.ndarray, came_true: np.ndarray) -> float:
    """Mean distance of chances and shares in equal bins, weighted by their size."""
    place = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = [
        abs(chances[place == k].mean() - came_true[place == k].mean()) * (place == k).sum()
        for k in range(BINS)
        if (place == k).any()
    ]
    return float(sum(gaps) / max(len(chances), 1))


def found_of(clear: list[bool], edges: list[tuple[int, int, int]]) -> dict:
    """Shares of critical jobs and of edges that were found."""
    right, learned, true = np.sum(edges, axis=0)
    return {
        "critical": float(np.mean(clear)) if clear else np.nan,
        "clear runs": len(clear),
        "precision": right / max(learned, 1),
        "recall": right / true,
    }


def build_of_jod(folder: Path) -> list[dict]:
    """Study the steps of jod's Build, which run one after the other; 30 % of the runs test."""
    steps = pd.read_csv(folder / "gha_steps.csv.gz")
    steps = steps[steps["run"].str.startswith("jod") & (steps["step_no"] >= 0)]
    steps = steps[steps["job"] == steps["job"].value_counts().idxmax()]
    often = steps["step"].value_counts()
    steps = steps[steps["step"].isin(often.index[often > 0.9 * often.iloc[0]])]
    order = steps.groupby("step")["step_no"].median().sort_values().index.tolist()
    long = pd.DataFrame(
        {
            "run": steps["run"],
            "job": steps["step"].str.replace("__", "_"),
            "started_at": pd.to_datetime(steps["started_at"], utc=True),
            "duration": steps["duration_s"],
            "status": np.where(steps["conclusion"] == "success", "success", "failed"),
        }
    )
    long["ended_at"] = long["started_at"] + pd.to_timedelta(long["duration"], unit="s")
    runs = pivot_runs(long, job_starts=True).sort_values("started_at")
    jobs = [step.replace("__", "_") for step in order]
    y = make_targets(runs, jobs=jobs)
    old, new = slice(None, int(0.7 * len(runs))), slice(int(0.7 * len(runs)), None)
    model = LandingForecaster(OnlineMix(), [*pairwise(jobs)])
    model.set_params(n_paths=500, random_state=0).fit(runs[old], y[old])
    actual = model.landings(runs[new], y[new])
    good = ~np.isnan(actual).any(axis=1)
    rows = {share: [stage_of(model, runs[new][good], actual[good], share)] for share in STAGES}
    seconds = rows[0.0][0]["error"].mean()
    print(f"jod's Build: {len(runs)} runs, {len(jobs)} steps; error at the start {seconds:.1f} s")
    return summary("jod's Build", rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--histories", type=int, default=20)
    parser.add_argument("--runs", type=int, default=260)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rows = []
    for name, settings in PIPELINES.items():
        rows += study(name, settings, asked.histories, asked.runs, asked.seed)
    if asked.folder is not None:
        rows += build_of_jod(asked.folder)
    table = pd.DataFrame(rows)
    stages = table[table["ended"].notna()].drop(
        columns=["critical", "clear runs", "precision", "recall"]
    )
    print(stages.to_string(index=False, float_format="%.3f"))
    found = table[table["ended"].isna()][
        ["pipeline", "critical", "clear runs", "precision", "recall"]
    ]
    print(found.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
