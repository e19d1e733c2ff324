"""The command `links`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import AsJson, Runs, Seed, StoredModel, reads_source, writable

__all__ = ["links"]


@reads_source("runs")
def links(
    model: StoredModel,
    runs: Runs,
    test_size: Annotated[
        float, typer.Option(min=0.05, max=0.9, help="Share of the newest runs to test links on.")
    ] = 0.5,
    fdr: Annotated[
        float,
        typer.Option(
            min=0.001, max=0.5, help="False discovery rate: share of the links that may be false."
        ),
    ] = 0.05,
    repeats: Annotated[
        int, typer.Option(min=5, help="Permutations of each past: more are steadier, slower.")
    ] = 20,
    plot: Annotated[
        Path | None, typer.Option(callback=writable, help="Heat map, .png, .svg or .pdf.")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Say which job's past moves which job's forecast, and which of these links hold.

    The stored model is fitted anew on the older runs. A link holds when the past of the one job
    makes forecasts of the other better on the newer runs than its permuted past does.

    With --json: `links` (`source`, `target`, `seconds`, `low`, `high`, `gain`, `p_value`,
    `q_value`), and for all pairs, by source and target: `matrix`, `low`, `high`, `gains`,
    `p_values`, `q_values`; `runs`, `test_runs`, `written`, `notes`.
    """
    from sklearn_jobtime.cli.run.links import run_links

    run_links(
        model,
        runs,
        plot,
        test_size=test_size,
        repeats=repeats,
        fdr=fdr,
        seed=seed,
        as_json=as_json,
    )
