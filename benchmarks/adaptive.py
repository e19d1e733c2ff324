"""Which rule should move the bounds after a deployment? Measured on real histories.

    python benchmarks/adaptive.py DATA_DIR [--series NAME ...] [--least N] [--at-once]

The errors are those of `OnlineMix`: log(actual / forecast) of every run, in start order. Of each
series the newest part is the test (a fifth, or three fifths of a pooled series, which are short);
a quarter of what is before it, or half, calibrates. Each rule forecasts a two-sided interval at
80, 90 and 95 % for every test run, and is updated with a run when it has ended, and with the bound
that run had (`--at-once`: before the next one starts, as if runs never overlapped). No rule knows
of other series (those of a pool are one by one here). Printed are, over series and levels:

- `worst`, `mean`: distance of the coverage from the level, in points,
- `within 2`: share of the series and levels with at most two points,
- `score`: the interval score (mean width, plus 2 / alpha times the seconds by which runs are
  outside), relative to bounds that stay as they were calibrated; geometric mean,

and last what one update costs, as a ratio to sorting the errors of its window.
"""

import argparse
import time
from bisect import bisect_left, insort
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from real_series import History, read_histories

from sklearn_jobtime import ConformalForecaster
from sklearn_jobtime.baselines import OnlineMix, RollingRule
from sklearn_jobtime.conformal import AdaptiveBound
from sklearn_jobtime.conformal._adaptive import WINDOW
from sklearn_jobtime.conformal._quantiles import EmpiricalQuantile
from sklearn_jobtime.conformal._scores import LEAST
from sklearn_jobtime.point_in_time import read_clock
from sklearn_jobtime.runs import make_targets

LEVELS = (0.8, 0.9, 0.95)


class Static:
    """The bound stays where it was calibrated."""

    def __init__(self, errors, tail):
        self.bound = float(EmpiricalQuantile.of(errors).at(1 - tail))

    def at_start(self):
        """Give what a run that starts now will be held to."""
        return self.bound

    def step(self, error, in_force):
        """Learn nothing."""


class Chosen:
    """What the package does."""

    def __init__(self, errors, tail):
        self.state, self.tails = AdaptiveBound(errors), [tail]

    @property
    def bound(self):
        """Current bound."""
        return self.state.bounds(self.tails)[0]

    def at_start(self):
        """Bounds at all shares of misses that have one."""
        return self.state.at_tails()

    def step(self, error, in_force):
        """Learn the error of a run."""
        self.state.step(error, in_force=in_force)


class Window:
    """The order statistic of the newest errors."""

    def __init__(self, errors, tail, n):
        self.errors, self.tail, self.n = list(errors[-n:]), tail, n
        self.ordered = sorted(self.errors)

    @property
    def bound(self):
        """Current bound."""
        return self.at(self.tail)

    def at(self, tail):
        """Bound that a share of the errors is above; it goes on beyond the largest of them."""
        errors, n = self.ordered, len(self.ordered)
        above = tail * (n + 1)
        if above >= 1:
            return errors[n - min(int(above + 1e-9), n)]
        part = (1 - above) / (n + 1) / 0.5
        return (
            errors[-1] + (errors[-1] - errors[n // 2]) * part / (1 - part) if part < 1 else np.inf
        )

    def at_start(self):
        """Give what a run that starts now will be held to."""
        return self.bound

    def step(self, error, in_force):  # noqa: ARG002 - a window pays nothing back
        """Learn the error of a run."""
        if len(self.errors) == self.n:
            del self.ordered[bisect_left(self.ordered, self.errors.pop(0))]
        self.errors.append(error)
        insort(self.ordered, error)


class ACI(Window):
    """Gibbs and Candès 2021, with a fixed step."""

    def __init__(self, errors, tail, n, rate):
        super().__init__(errors, tail, n)
        self.share, self.rate = tail, rate

    @property
    def bound(self):
        """Current bound."""
        return self.at(self.share)

    def step(self, error, in_force):
        """Learn the error of a run."""
        self.share -= self.rate * ((error > in_force) - self.tail)
        super().step(error, in_force)


class Experts(Window):
    """Gibbs and Candès 2024 (DtACI): steps of several sizes, weighted by their pinball loss."""

    rates = np.array([0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064])
    memory = 100

    def __init__(self, errors, tail, n):
        super().__init__(errors, tail, n)
        self.shares, self.weights = np.full(len(self.rates), tail), np.ones(len(self.rates))
        spread = (1 - tail) ** 2 * tail**3 + tail**2 * (1 - tail) ** 3
        k = len(self.rates)
        self.speed = np.sqrt(3 / self.memory * (np.log(k * self.memory) + 2) / spread)

    @property
    def bound(self):
        """Current bound."""
        return self.at(float(self.weights @ self.shares / self.weights.sum()))

    def step(self, error, in_force):
        """Learn the error of a run; each expert had a bound of its own, which is that of now."""
        most = 1 - bisect_left(self.ordered, error) / len(self.ordered)
        loss = self.tail * (most - self.shares) - np.minimum(most - self.shares, 0)
        weights = self.weights * np.exp(-self.speed * loss)
        mixed = 1 / (2 * self.memory)
        self.weights = (1 - mixed) * weights / weights.sum() + mixed / len(weights)
        missed = np.array([error > self.at(share) for share in self.shares])
        self.shares = self.shares - self.rates * (missed - self.tail)
        super().step(error, in_force)


class Tracking:
    """Angelopoulos et al. 2023: the quantile itself moves; with `integral`, conformal PI."""

    def __init__(self, errors, tail, rate, integral=False):
        self.newest, self.tail, self.rate, self.integral = list(errors[-100:]), tail, rate, integral
        self.quantile = min(float(EmpiricalQuantile.of(errors).at(1 - tail)), max(errors))
        self.scale = np.quantile(np.abs(errors), 0.95)
        self.excess, self.n = 0.0, len(self.newest)

    @property
    def bound(self):
        """Current bound."""
        if not self.integral:
            return self.quantile
        angle = self.excess * np.log(self.n + 1) / (self.n + 1)
        return self.quantile + self.scale * np.tan(np.clip(angle, -1.5, 1.5))

    def at_start(self):
        """Give what a run that starts now will be held to."""
        return self.bound

    def step(self, error, in_force):
        """Learn the error of a run."""
        missed = error > in_force
        self.quantile += self.rate * max(map(abs, self.newest)) * (missed - self.tail)
        self.excess += missed - self.tail
        self.newest = [*self.newest[-99:], error]
        self.n += 1


RULES = {
    "as calibrated": Static,
    "window of 100": lambda errors, tail: Window(errors, tail, 100),
    "window of 250": lambda errors, tail: Window(errors, tail, 250),
    "ACI 0.01, 100": lambda errors, tail: ACI(errors, tail, 100, 0.01),
    "ACI 0.02, 100": lambda errors, tail: ACI(errors, tail, 100, 0.02),
    "ACI 0.02, 250": lambda errors, tail: ACI(errors, tail, 250, 0.02),
    "DtACI, 150": lambda errors, tail: Experts(errors, tail, 150),
    "DtACI, 250": lambda errors, tail: Experts(errors, tail, 250),
    "tracking 0.05": lambda errors, tail: Tracking(errors, tail, 0.05),
    "tracking 0.1": lambda errors, tail: Tracking(errors, tail, 0.1),
    "conformal PI 0.05": lambda errors, tail: Tracking(errors, tail, 0.05, integral=True),
    "chosen": Chosen,
}


def sequences(history: History, at_once: bool) -> Iterator[tuple]:
    """Errors, forecasts and when each run was known, for each series and job of a history."""
    y = make_targets(history.runs, jobs=history.jobs, whole_run=False)
    forecasts = np.reshape(OnlineMix().fit(history.runs, y).predict(history.runs), y.shape)
    clock = read_clock(history.runs)
    started = np.asarray(clock.started)
    ended = started if clock.ended is None else np.maximum(clock.ended, started)
    for series in range(len(clock.keys)):
        for k, job in enumerate(history.jobs):
            seconds = y.to_numpy()[:, k]
            rows = np.flatnonzero((clock.series == series) & ~np.isnan(seconds))
            actual = np.maximum(seconds[rows], LEAST)
            forecast = np.maximum(forecasts[rows, k], LEAST)
            place = np.arange(len(rows), dtype=float)
            times = (place, place) if at_once else (started[rows], ended[rows])
            yield (
                f"{history.name}/{clock.keys[series]}/{job}",
                np.log(actual / forecast),
                forecast,
                times,
            )


def online_bounds(rule, errors, n_start, tail, times) -> np.ndarray:
    """Bounds of the rows from `n_start` on, each made from the runs that had ended by then."""
    started, ended = times
    state = rule(errors[:n_start], tail)
    waiting = sorted(range(n_start, len(errors)), key=lambda row: (ended[row], row))
    bounds, in_force, fed = np.empty(len(errors) - n_start), {}, 0
    for row in range(n_start, len(errors)):
        while ended[waiting[fed]] <= started[row] and waiting[fed] < row:
            state.step(errors[waiting[fed]], in_force.pop(waiting[fed]))
            fed += 1
        in_force[row], bounds[row - n_start] = state.at_start(), state.bound
    return bounds


def update_cost(n: int = 2000) -> float:
    """Time of one update with a forecast at hand, per time of a sort of `WINDOW` errors."""
    errors = np.random.default_rng(0).normal(0, 0.1, (n, 1, 1))
    runs = pd.DataFrame({"build": 100 * np.exp(errors[:300, 0, 0])})
    model = ConformalForecaster(RollingRule()).fit(runs, runs.to_numpy())
    forecast = np.full((1, 1), 100.0)
    start = time.process_time()
    for error in errors:
        model.update(None, 100 * np.exp(error), forecast=forecast)
    middle = time.process_time()
    window = errors[:WINDOW].ravel()
    for _ in range(n):
        np.sort(window)
    return (middle - start) / (time.process_time() - middle)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--series", nargs="+")
    parser.add_argument("--least", type=int, default=250, help="test runs of a series")
    parser.add_argument("--at-once", action="store_true")
    options = parser.parse_args(arguments)
    found = []
    for history in read_histories(options.data, options.series):
        test, before = (0.6, 0.5) if history.group == "pooled" else (0.2, 0.25)
        for name, errors, forecast, times in sequences(history, options.at_once):
            n_test = int(test * len(errors))
            if n_test < options.least:
                continue
            n_start = int(before * (len(errors) - n_test))
            newest = slice(len(errors) - n_test - n_start, None)
            e, f = errors[newest], forecast[newest][n_start:]
            t = tuple(part[newest] for part in times)
            for rule, make in RULES.items():
                for level in LEVELS:
                    tail = (1 - level) / 2
                    high = f * np.exp(np.minimum(online_bounds(make, e, n_start, tail, t), 50))
                    low = f * np.exp(-np.minimum(online_bounds(make, -e, n_start, tail, t), 50))
                    y = f * np.exp(e[n_start:])
                    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
                    inside = outside <= 1e-9 * y
                    score = np.mean(high - low + outside / tail)
                    found.append((history.group, name, rule, level, inside.mean(), score))
    if not found:
        raise SystemExit(f"no series has {options.least} test runs; pass a smaller --least.")
    table = pd.DataFrame(found, columns=["group", "series", "rule", "level", "inside", "score"])
    table["points"] = 100 * (table["inside"] - table["level"])
    kept = table[table["rule"] == "as calibrated"].set_index(["series", "level"])["score"]
    key = pd.MultiIndex.from_frame(table[["series", "level"]])
    table["score"] = np.log(table["score"] / kept.loc[key].to_numpy())
    table["group"] = np.where(table["group"] == "pooled", "pooled", "single")
    for group, rows in table.groupby("group", sort=False):
        by_rule = rows.groupby("rule", sort=False)
        shown = pd.DataFrame(
            {
                "worst": by_rule["points"].agg(lambda points: points.abs().max()).round(2),
                "mean": by_rule["points"].agg(lambda points: points.abs().mean()).round(2),
                "within 2": by_rule["points"].agg(lambda points: (points.abs() <= 2).mean()),
                "score": np.exp(by_rule["score"].mean()),
            }
        )
        print(f"\n{group}: {rows['series'].nunique()} series\n{shown.round(3).to_string()}")
    print(f"\nan update takes as long as {update_cost():.0f} sorts of {WINDOW} errors")


if __name__ == "__main__":
    main()
