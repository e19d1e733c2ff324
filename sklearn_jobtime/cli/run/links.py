"""Command `links`: which job's past moves which forecast."""

from pathlib import Path

from rich.markup import escape
from sklearn.base import clone

from sklearn_jobtime._wording import human_seconds, human_share, human_span
from sklearn_jobtime.cli.files import PICTURE_ENDINGS, Files, check_ending, save_plot
from sklearn_jobtime.cli.inputs import history_as_fitted
from sklearn_jobtime.cli.output import (
    as_records,
    job_label,
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
    check_ending(plot, PICTURE_ENDINGS, "--plot")
    model = load_model(model_path)
    history = history_as_fitted(source, model)
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

    def draw(path: Path) -> None:
        save_plot(LinkageDisplay(found).plot(false_discovery_rate=fdr), path)

    files = Files()
    files.add(plot, draw)
    few = found.n_scored[found.n_scored < LEAST_ROWS].index
    for name in few:
        history.note(f"{name}: not tested, fewer than {LEAST_ROWS} test runs were observed.")
    if as_json:
        files.write()
        print_json(
            {
                "model": str(model_path),
                "runs": len(history.runs),
                "test_runs": int(is_test.sum()),
                "links": as_records(found.links(fdr)),
                **{name: getattr(found, name).to_dict("index") for name in TABLES},
                "written": files.written,
                "notes": history.notes + files.failed,
            }
        )
        files.exit_if_failed()
        return
    _print_links(found, int(is_test.sum()), fdr)
    print_notes(history.notes + files.write())
    files.exit_if_failed()


def _print_links(found: Linkage, n_test: int, fdr: float) -> None:
    links = found.links(fdr)
    print_table(
        f"Links that held on the newest {n_test} runs",
        ["past of", "forecast of", "moves it by", "95 % interval", "error saved", "q"],
        (
            [
                job_label(row["source"]),
                escape(job_label(row["target"])),
                human_seconds(row["seconds"]),
                human_span(row["low"], row["high"]),
                human_seconds(max(row["gain"], 0.0)),
                f"{row['q_value']:.2g}",
            ]
            for _, row in links[:SHOWN].iterrows()
        ),
    )
    results().print(
        f"{len(links)} of {len(found.links(1.0))} pairs of different jobs are linked (asked: at "
        f"most {human_share(fdr, 1)} false among those listed, on average).",
        soft_wrap=True,
    )
