"""How well the steps of real runs are tagged before they end: ok, slow or failed.

    python benchmarks/tagging.py DATA_DIR [--seeds N] [--limit N] [--out FILE]

A sequence is a job of a GitHub Actions run: its steps, one after the other. When a step starts,
these are known: its name, the event that started the run, the names, outcomes and durations of the
steps before it, and what became of the same step in the newest run of its project, and in the
newest of its branch, that had ended when this run started.
A step is *failed* by its conclusion, and *slow* when it took over twice the median of its last 30
successes that had ended when its run started, and five seconds more at least, as durations are
whole seconds. Steps with fewer than five such successes and cancelled ones have no tag: they are
read, but neither learned nor scored.

Runs are split by time: the first 80 % train, less those still going on when the others begin.
`LSTMTagger` reads forward only. Beside it, with what is known at the same moment: how often each
tag was given to a step of this name in training (the majority rule), the same by name and by what
became of it on its branch, and a logistic regression that also sees what is to be remembered of
the steps before. The tagger's options were chosen on the last fifth of the training runs.
"""

import argparse
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, balanced_accuracy_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_jobtime import LSTMTagger

TAGS = ["failed", "ok", "slow"]
# As on the last fifth of the training runs, where 34 to 41 epochs did best; then all train.
OPTIONS = {
    "bidirectional": False,
    "lr": 0.003,
    "dropout": 0.2,
    "max_epochs": 40,
    "early_stopping": False,
}
NAMES = ["step", "event", "before", "last_run", "last_on_branch"]
REMEMBERED = ["failed_before", "slow_before", "ratio_sum", "ratio_max"]
N_SUCCESSES, LEAST_SUCCESSES, LEAST_SECONDS = 30, 5, 5


def read_steps(folder: Path) -> pd.DataFrame:
    """Read one row a step, the steps of a job together, in the order of the runs' starts."""
    steps = pd.read_csv(folder / "gha_steps.csv.gz", parse_dates=["started_at"])
    runs = pd.read_csv(folder / "gha_runs.csv.gz", usecols=["run", "event", "branch_hash"])
    steps = steps[steps["step_no"] >= 0].merge(runs, on="run", how="left")
    project = steps["run"].str.rsplit("-", n=1).str[0]
    steps["step"] = project + " / " + steps["job"] + " / " + steps["step"]
    steps["branch"] = project + " / " + steps["branch_hash"].fillna("?")
    steps["chain"] = steps["run"] + " / " + steps["job"]
    steps["ended_at"] = steps["started_at"] + pd.to_timedelta(steps["duration_s"], unit="s")
    chains = steps.groupby("chain")
    steps["chain_start"] = chains["started_at"].transform("min")
    steps["chain_end"] = chains["ended_at"].transform("max")
    return steps.sort_values(["chain_start", "chain", "step_no"], ignore_index=True)


def over_by_then(rows: pd.DataFrame) -> Iterator[np.ndarray]:
    """Yield, for each row, the earlier rows whose run had ended when its own started."""
    ended = rows["chain_end"].to_numpy()
    for k, start in enumerate(rows["chain_start"].to_numpy()):
        yield np.flatnonzero(ended[:k] <= start)


def add_tags(steps: pd.DataFrame) -> pd.DataFrame:
    """Add `tag` and `ratio`, the log of the duration to the median of the successes by then."""
    steps = steps.assign(tag=None, ratio=np.nan)
    for _, rows in steps.groupby("step", sort=False):
        conclusions, seconds = rows["conclusion"].to_numpy(), rows["duration_s"].to_numpy()
        tags = np.where(conclusions == "failure", "failed", None)
        ratios = np.full(len(rows), np.nan)
        for k, over in enumerate(over_by_then(rows)):
            known = over[conclusions[over] == "success"][-N_SUCCESSES:]
            if len(known) < LEAST_SUCCESSES:
                continue
            usual = np.median(seconds[known])
            ratios[k] = np.log((seconds[k] + 1) / (usual + 1))
            if conclusions[k] == "success":
                slow = seconds[k] > max(2 * usual, usual + LEAST_SECONDS)
                tags[k] = "slow" if slow else "ok"
        steps.loc[rows.index, "tag"] = tags
        steps.loc[rows.index, "ratio"] = ratios
    return steps


def newest_tag(steps: pd.DataFrame, by: list[str]) -> pd.Series:
    """Return what became of the same step in the newest run with the same `by` to have ended."""
    found = pd.Series("none", index=steps.index, dtype=object)
    for _, rows in steps.groupby(["step", *by], sort=False):
        tags, ended = rows["tag"].fillna("none").to_numpy(), rows["chain_end"].to_numpy()
        for label, over in zip(rows.index, over_by_then(rows), strict=True):
            if len(over):
                found[label] = tags[over[np.argmax(ended[over])]]
    return found


def add_the_past(steps: pd.DataFrame) -> pd.DataFrame:
    """Add what is known of each step when it starts, as columns."""
    chain = steps["chain"]
    tag, ratio = steps["tag"].fillna("none"), steps["ratio"].clip(-3, 3)
    before = tag.groupby(chain).shift().fillna("start")
    ratio_before = ratio.groupby(chain).shift()
    return steps.assign(
        last_run=newest_tag(steps, []),
        last_on_branch=newest_tag(steps, ["branch"]),
        before=before,
        ratio_before=ratio_before,
        failed_before=(before == "failed").groupby(chain).cumsum(),
        slow_before=(before == "slow").groupby(chain).cumsum(),
        ratio_sum=ratio_before.fillna(0).groupby(chain).cumsum(),
        ratio_max=ratio_before.fillna(0).groupby(chain).cummax(),
    )


def split_by_time(steps: pd.DataFrame, share: float = 0.8) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the steps of the first runs, less those still going on, and those of the last."""
    starts = steps.groupby("run")["chain_start"].min().sort_values()
    cut = starts.iloc[int(share * len(starts))]
    test = steps["run"].map(starts) >= cut
    ended = steps.groupby("run")["chain_end"].transform("max") <= cut
    return steps[ended & ~test], steps[test]


class Frequencies:
    """How often each tag was given in training, by some columns."""

    def __init__(self, by: list[str]) -> None:
        self.by = by

    def fit(self, steps: pd.DataFrame, tags: pd.Series) -> "Frequencies":
        """Count the tags, and one more for each in the shares of all steps: no chance is 0."""
        self.prior_ = tags.value_counts(normalize=True).reindex(TAGS, fill_value=0)
        counts = tags.groupby([steps[name] for name in self.by]).value_counts().unstack()
        counts = counts.reindex(columns=TAGS).fillna(0) + self.prior_
        self.shares_ = counts.div(counts.sum(axis=1), axis=0)
        return self

    def predict_proba(self, steps: pd.DataFrame) -> np.ndarray:
        """Return the shares; those of all steps for what was never seen."""
        found = steps[self.by].join(self.shares_, on=self.by)[TAGS]
        return found.fillna(self.prior_).to_numpy()


def regression(weights: str | None):
    """Logistic regression of what is known when a step starts."""
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), NAMES),
            (StandardScaler(), ["ratio_before", *REMEMBERED]),
        ),
        LogisticRegression(max_iter=2000, class_weight=weights),
    )


def sequences_of(steps: pd.DataFrame) -> tuple[list[pd.DataFrame], list[np.ndarray]]:
    """Return the events and the tags of each job of a run."""
    groups = [rows for _, rows in steps.groupby("chain", sort=False)]
    events = [*NAMES, "ratio_before"]
    return [rows[events] for rows in groups], [rows["tag"].to_numpy(object) for rows in groups]


def probabilities(
    train: pd.DataFrame, test: pd.DataFrame, seeds: int
) -> Iterator[tuple[str, int, float, np.ndarray]]:
    """Yield model, seed, seconds of the fit, and the probabilities for the tagged test steps."""
    rows, asked = train[train["tag"].notna()], test["tag"].notna().to_numpy()
    rules = {
        "majority of the step": Frequencies(["step"]),
        "step and branch": Frequencies(["step", "last_on_branch"]),
        "logistic regression": regression(None),
        "logistic regression, balanced": regression("balanced"),
    }
    for name, model in rules.items():
        inputs = [frame.fillna({"ratio_before": 0.0}) for frame in (rows, test)]
        began = time.perf_counter()
        model.fit(inputs[0], rows["tag"])
        seconds = time.perf_counter() - began
        yield name, 0, seconds, model.predict_proba(inputs[1])[asked]
    logs, tags = sequences_of(train)
    for name, weights in {"LSTMTagger": None, "LSTMTagger, balanced": "balanced"}.items():
        for seed in range(seeds):
            model = LSTMTagger(**OPTIONS, class_weight=weights, random_state=seed)
            began = time.perf_counter()
            model.fit(logs, tags)
            seconds = time.perf_counter() - began
            found = np.concatenate(list(model.predict_proba(sequences_of(test)[0])))
            yield name, seed, seconds, found[asked]


def scores(tags: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Score probabilities of the tags."""
    return {
        "accuracy": float(np.mean(np.take(TAGS, found.argmax(axis=1)) == tags)),
        "balanced_accuracy": balanced_accuracy_score(tags, np.take(TAGS, found.argmax(axis=1))),
        "log_loss": log_loss(tags, found, labels=TAGS),
        "ap_slow": average_precision_score(tags == "slow", found[:, TAGS.index("slow")]),
        "ap_failed": average_precision_score(tags == "failed", found[:, TAGS.index("failed")]),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with gha_steps.csv.gz")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, help="newest jobs of runs to use")
    parser.add_argument("--out", type=Path, help="file for a row a model and seed")
    options = parser.parse_args(arguments)
    logging.getLogger("sklearn_jobtime").setLevel(logging.ERROR)
    steps = read_steps(options.data)
    if options.limit is not None:
        steps = steps[steps["chain"].isin(steps["chain"].unique()[-options.limit :])]
    train, test = split_by_time(add_the_past(add_tags(steps)))
    truth = test["tag"].dropna().to_numpy()
    for name, part in {"train": train, "test": test}.items():
        counts = part["tag"].value_counts().reindex(TAGS, fill_value=0)
        said = ", ".join(f"{n} {tag}" for tag, n in counts.items())
        print(f"{name}: {part['run'].nunique()} runs, {said}")
    table = pd.DataFrame(
        [
            {"model": model, "seed": seed, "fit_seconds": seconds, **scores(truth, found)}
            for model, seed, seconds, found in probabilities(train, test, options.seeds)
        ]
    )
    if options.out is not None:
        table.to_csv(options.out, index=False)
    means = table.groupby("model", sort=False).mean().drop(columns="seed")
    print(means.to_string(float_format="{:.3f}".format))
    spread = table.groupby("model", sort=False).std().drop(columns="seed").dropna()
    print("standard deviation over the seeds:")
    print(spread.to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
