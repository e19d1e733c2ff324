"""When each job lands, from the start of its run on and while it goes on.

    python benchmarks/landing.py [DATA_DIR] [--histories 200] [--runs 395] [--seed 0] [--shape fan]

Simulated pipelines (linked jobs, failures, shifts of level): a chain of 4, a diamond, a fan of 12
jobs on 3 workers. Each history is a year of nights and one `LandingForecaster` around a mix of
baselines, which learns the graph and the workers from the times of the older runs; the newest
`TEST` runs are the test, each seen at its start, when 25, 50 and 75 % of its jobs have ended, and
at a moment drawn from the whole of it. Printed are for each pipeline and stage

- `each`: share of the landings to come (of the run, and of jobs that did land, also in nights in
  which another job failed that they do not wait for) inside their 90 % intervals; `least`: that of
  the output that has the lowest; `all`: share of the nights of which all landings are inside the
  joint intervals; `+-`: 2.6 standard errors of the wider spread of the two between histories;
- `each 1`, `all 1`: the same of one landing, and one night, drawn from each history, which are
  independent of each other, with `band`, the exact binomial one (99 %) of so many draws;
- `error`: mean absolute error of the run's landing in seconds, and its ratio to that of `(a)`, the
  start's forecast less the elapsed time, and of `(b)`, the path of the forecasts of the jobs that
  are left;
- `ECE`: expected calibration error, over ten bins, of the chance to land by a deadline, here the
  time at which one of the older runs landed; `ECE 5%`: by a deadline a twentieth later than the
  path of the forecasts; `noise`: what `ECE` would be in the mean if all its chances were right;
- `critical`: of the nights in which the last job waited for one of several, which ended later than
  the others by a tenth of the run, the share in which that one had the highest probability to be
  critical.

Then precision and recall of the edges learned from 100 runs. With DATA_DIR the same of real
histories of steps and jobs (`real_nights.py`).
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from real_nights import real_nights
from scipy.stats import binom

from sklearn_jobtime.baselines import OnlineMix
from sklearn_jobtime.datasets import make_job_runs
from sklearn_jobtime.graph import infer_graph
from sklearn_jobtime.landing import LandingForecaster
from sklearn_jobtime.landing._live import play
from sklearn_jobtime.landing._nights import NightSoFar
from sklearn_jobtime.landing._precedence import Precedence
from sklearn_jobtime.landing._schedule import schedule
from sklearn_jobtime.runs import make_targets

LEVEL = 0.9
SURE = 0.99  # of the bands beside the shares
TEST = 10  # newest runs of a history
STAGES = ("0%", "25%", "50%", "75%", "any time")
COLUMNS = ["inside", "all", "error", "(a)", "(b)", "critical"]
COLUMNS += ["chance", "met", "chance 5%", "met 5%"]
BINS = 10
LATE = 1.05  # of the path of the forecasts
CLEARLY = 0.1  # of the run
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


def seen_at(landings: np.ndarray, stage: str, random: np.random.Generator) -> np.ndarray:
    """Give the moment of each run at which it is seen; NaN for one that does not come so far."""
    jobs, n_jobs = landings[:, :-1], landings.shape[1] - 1
    if stage == "any time":
        return random.uniform(0, 1, len(jobs)) * np.nanmax(jobs, axis=1, initial=0.0)
    n_ended = round(int(stage[:-1]) / 100 * n_jobs)
    return np.sort(jobs, axis=1)[:, n_ended - 1] if n_ended else np.zeros(len(jobs))


def path_of_medians(plan, so_far) -> float:
    """Land the run by the forecasts of the jobs that are left, from now on: incumbent (b)."""
    durations = np.where(so_far.has_ended, so_far.took, plan.forecast)[None]
    running = so_far.is_running
    durations[0, running] = np.maximum(durations[0, running], so_far.now - so_far.started[running])
    played = schedule(
        durations,
        plan.usual_gaps[None, :-1],
        plan.precedence,
        started=so_far.started,
        not_before=so_far.now,
        n_workers=plan.n_workers,
    )
    return float(played.ends.max() + plan.usual_gaps[-1])


def is_critical_found(precedence: Precedence, ends: np.ndarray, played) -> float:
    """Whether the job that the last one waited for has the highest chance; NaN if unclear."""
    last = int(ends.argmax())
    rivals = list(precedence.parents[last])
    in_order = np.sort(ends[rivals])
    if len(rivals) < 2 or in_order[-1] - in_order[-2] <= CLEARLY * ends.max():
        return np.nan
    chances = np.mean(played.cause[:, [last]] == rivals, axis=0)
    return float(chances[int(ends[rivals].argmax())] >= chances.max() - 1e-9)


def seen(model, runs, landings, plans, first, stage, past, random) -> pd.DataFrame:
    """Give what is said of each run at one stage beside what was right, one row a run."""
    now = seen_at(landings, stage, random)
    reached = np.flatnonzero(~np.isnan(now))
    plans = [plans[row] for row in reached]
    nights = model.runs_so_far(runs.iloc[reached], now[reached], plans)
    rows = [
        of_night(model, truth, night, at_start, float(random.choice(past)))
        for truth, night, at_start in zip(landings[reached], nights, first[reached], strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def of_night(model, truth, night, at_start, deadline) -> dict:
    """Count for one run seen at one moment; NaN where it says nothing."""
    plan, so_far, drawn = night
    paths = play(plan, drawn, so_far)
    ahead = ~np.append(so_far.has_ended, False) & ~np.isnan(truth)
    unknown = np.flatnonzero(np.isnan(truth[:-1])).tolist()
    ahead[list(plan.precedence.behind(unknown))] = False
    inside = {}
    for together in (False, True):
        ends = model.interval_of(paths, np.array([LEVEL]), so_far.now, together=together)[..., 0]
        inside[together] = (ends[:, 0] - 1e-6 <= truth) & (truth <= ends[:, 1] + 1e-6)
    row = {"inside": np.where(ahead, inside[False], np.nan)}
    if np.isnan(truth).any():
        return row
    by_forecasts = path_of_medians(plan, so_far)
    row |= {
        "all": float(inside[True][ahead].all()),
        "error": abs(np.median(paths.whole) - truth[-1]),
        "(a)": abs(max(at_start, so_far.now) - truth[-1]),
        "(b)": abs(by_forecasts - truth[-1]),
        "critical": is_critical_found(plan.precedence, truth[:-1], paths.played),
    }
    late = LATE * path_of_medians(plan, NightSoFar.at_start(len(truth) - 1))
    for name, limit in (("", deadline), (" 5%", late)):
        if limit > so_far.now:
            row |= {f"chance{name}": float(model.chance_of(paths, limit, so_far.now)[-1])}
            row |= {f"met{name}": float(truth[-1] <= limit)}
    return row


def study(runs, graph, n_test: int, seed: int, **settings) -> dict[str, pd.DataFrame]:
    """Fit the older runs of a history, and see the newest at each stage."""
    y = make_targets(runs, **settings)
    old, new = slice(None, -n_test), slice(-n_test, None)
    model = LandingForecaster(OnlineMix(), graph, n_paths=500, random_state=0)
    model.fit(runs[old], y[old])
    random = np.random.default_rng(seed)
    past = model.landings(runs[old], y[old])[:, -1]
    landings = model.landings(runs[new], y[new])
    past, plans = past[~np.isnan(past)], model.plans(runs[new])
    first = np.array([np.median(paths.whole) for paths in model.paths(runs[new], plans=plans)])
    return {
        stage: seen(model, runs[new], landings, plans, first, stage, past, random)
        for stage in STAGES
    }


def simulated(name: str, n_histories: int, n_runs: int, seed: int) -> tuple[list[dict], dict]:
    """Simulate histories of a pipeline, and count what held."""
    histories, edges = [], []
    for history in range(seed, seed + n_histories):
        runs, truth = make_job_runs(
            n_runs, **PIPELINES[name], **LINKED, starts=True, return_truth=True,
            random_state=history,
        )  # fmt: skip
        histories.append(study(runs, "infer", TEST, history))
        true = {(parent, job) for job, parents in truth.graph.items() for parent in parents}
        learned = set(infer_graph(runs[:100]).edges)
        edges.append((len(true & learned), len(learned), len(true)))
    right, learned, true = np.sum(edges, axis=0)
    found = {"pipeline": name, "precision": right / max(learned, 1), "recall": right / true}
    return summary(name, histories, seed), found


def summary(name: str, histories: list[dict[str, pd.DataFrame]], seed: int) -> list[dict]:
    """Put together what was seen, one row a stage."""
    random = np.random.default_rng(seed)
    return [
        {"pipeline": name, "seen": stage, **counted([h[stage] for h in histories], random)}
        for stage in STAGES
        if sum(len(h[stage]) for h in histories)
    ]


def counted(histories: list[pd.DataFrame], random: np.random.Generator) -> dict:
    """Give the figures of one stage."""
    nights = pd.concat(histories, ignore_index=True)
    inside = np.stack(nights["inside"].to_list())
    found = {
        "nights": len(nights),
        "each": np.nanmean(inside),
        "least": np.nanmean(inside[:, ~np.isnan(inside).all(axis=0)], axis=0).min(),
        "all": nights["all"].mean(),
    }
    if len(histories) > 1:
        shares = [(np.nanmean(np.stack(h["inside"])), h["all"].mean()) for h in histories]
        spread = np.nanstd(shares, axis=0, ddof=1).max()
        found["+-"] = 2.576 * spread / np.sqrt(len(histories))
        landings = [drawn(np.concatenate(h["inside"].to_list()), random) for h in histories]
        of_nights = [drawn(h["all"].to_numpy(), random) for h in histories]
        found |= {"each 1": np.mean(landings), "all 1": np.mean(of_nights)}
    n_draws = len(histories) if len(histories) > 1 else len(nights)
    low, high = binom.interval(SURE, n_draws, LEVEL)
    found["band"] = f"{low / n_draws:.3f}-{high / n_draws:.3f}"
    found["error"] = nights["error"].mean()
    for name in ("(a)", "(b)"):
        found[name] = nights["error"].mean() / max(nights[name].mean(), 1e-9)
    for name in ("", " 5%"):
        chances = nights[[f"chance{name}", f"met{name}"]].dropna().to_numpy(float).T
        found[f"ECE{name}"] = calibration_error(*chances)
        if not name:
            found["noise"] = noise_of(chances[0], random)
    found |= {"critical": nights["critical"].mean(), "clear": nights["critical"].notna().sum()}
    return found


def drawn(values: np.ndarray, random: np.random.Generator) -> float:
    """Draw one of the values that say something."""
    return float(random.choice(values[~np.isnan(values)]))


def calibration_error(chances: np.ndarray, came_true: np.ndarray) -> float:
    """Mean distance of chances and shares in equal bins, weighted by their size."""
    place = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = np.bincount(place, weights=chances - came_true, minlength=BINS)
    return float(np.abs(gaps).sum() / max(len(chances), 1))


def noise_of(chances: np.ndarray, random: np.random.Generator) -> float:
    """Give the calibration error of chances that are right, in the mean."""
    draws = random.random((200, len(chances))) < chances
    return float(np.mean([calibration_error(chances, draw) for draw in draws]))


def real(folder: Path, asked: str) -> Iterable[list[dict]]:
    """Study the real histories with this in their name, the newest 30 % of each the test."""
    for name, runs, jobs, graph in real_nights(folder):
        if asked not in name:
            continue
        found = study(runs, graph, int(0.3 * len(runs)), 0, jobs=jobs)
        yield summary(f"{name}: {len(runs)} runs, {len(jobs)} jobs", [found], 0)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--runs", type=int, default=365 + TEST)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shape", default="", help="only those with this in their name")
    asked = parser.parse_args(arguments)
    edges = []
    for name in (name for name in PIPELINES if asked.shape in name and asked.histories):
        rows, found = simulated(name, asked.histories, asked.runs, asked.seed)
        print(table_of(rows), "\n", flush=True)
        edges.append(found)
    if edges:
        print(table_of(edges), "\n")
    if asked.folder is not None:
        for rows in real(asked.folder, asked.shape):
            print(table_of(rows), "\n", flush=True)


def table_of(rows: list[dict]) -> str:
    """Write rows as a table."""
    return pd.DataFrame(rows).to_string(index=False, float_format="%.3f", na_rep="")


if __name__ == "__main__":
    main()
