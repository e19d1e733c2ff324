"""Command `links`: which job's past moves which forecast."""

from pathlib import Path

from rich.markup import escape
from sklearn.base import clone

from sklearn_jobtime._atomic import replacing
from sklearn_jobtime.cli.inputs import History, read_as_fitted, split_off_coming
from sklearn_jobtime.cli.output import (
    as_records,
    human_seconds,
    named_row,
    print_json,
    print_notes,
    print_table,
    results,
)
from sklearn_jobtime.inspection._linkage import LEAST_ROWS, Linkage, job_linkage
from sklearn_jobtime.persistence import load_model
from sklearn_jobtime.plots import LinkageDisplay
from sklearn_jobtime.runs._timeline import split_by_time

__all__ = ["SHOWN", "run_links"]


SHOWN = 20
TABLES = ("matrix", "low", "high", "gains", "p_values", "q_values")


def run_links(
    model_path: Path,
    source: str,
    plot: Path | None,
    *,
    test_size: float,
    repeats: int,
    fdr: float,
    seed: int,
    as_json: bool,
) -> None:
    """Fit a stored forecaster anew on the older runs, and test its links on the newer ones."""
    model = load_model(model_path)
    table, jobs = read_as_fitted(source, model)
    said = table.attrs.pop("notes", [])
    history = History(split_off_coming(table, jobs)[0], jobs, [], said)
    train, is_test = split_by_time(history.runs, test_size)
    # Bounds around a forecaster link no jobs; the forecaster itself is quicker to fit.
    fitted = clone(getattr(model, "estimator", model)).fit(train, history.targets(train, 1))
    found = job_linkage(
        fitted,
        history.runs,
        is_test,
        jobs=history.all_jobs(),
        n_repeats=repeats,
        random_state=seed,
    )
    if plot is not None:
        with replacing(plot) as new:
            LinkageDisplay(found).plot(false_discovery_rate=fdr).figure_.savefig(new)
    few = found.n_scored[found.n_scored < LEAST_ROWS].index
    for name in few:
        history.note(f"{name}: not tested, fewer than {LEAST_ROWS} test runs were observed.")
    if as_json:
        print_json(
            {
                "model": str(model_path),
                "runs": len(history.runs),
                "test_runs": int(is_test.sum()),
                "links": as_records(found.links(fdr)),
                **{name: getattr(found, name).to_dict("index") for name in TABLES},
                "written": [] if plot is None else [str(plot)],
                "notes": history.notes,
            }
        )
        return
    _print_links(found, int(is_test.sum()), fdr)
    print_notes(history.notes + ([] if plot is None else [f"written: {plot}"]))


def _print_links(found: Linkage, n_test: int, fdr: float) -> None:
    links = found.links(fdr)
    print_table(
        f"Links that held on the newest {n_test} runs",
        ["past of", "forecast of", "moves it by", "95 % interval", "error saved", "q"],
        (
            [
                escape(named_row(row["source"])),
                escape(named_row(row["target"])),
                human_seconds(row["seconds"]),
                f"{human_seconds(row['low'])} to {human_seconds(row['high'])}",
                human_seconds(max(row["gain"], 0.0)),
                f"{row['q_value']:.2g}",
            ]
            for _, row in links[:SHOWN].iterrows()
        ),
    )
    results().print(
        f"{len(links)} of {len(found.links(1.0))} pairs of different jobs are linked (asked: at "
        f"most {fdr:.0%} false among those listed, on average).",
        soft_wrap=True,
    )
