"""The command `demo`."""

from pathlib import Path
from typing import Annotated

import typer

from sklearn_jobtime.cli.options import AsJson, Device, Epochs, Seed

__all__ = ["demo"]


def demo(
    output_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for model.joblib and forecast.png.")
    ] = Path(),
    epochs: Epochs = 60,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Do the whole main job on real runs that ship with the package, in under two minutes.

    Fit on the first 80 % of 1,088 runs of a GitHub workflow, test beside the baselines on the
    rest, forecast the next five runs of every job, store the model and a picture.

    With --json: the keys of `fit`, and `forecasts` (as `forecast` has them), `risks` (as `risk` has
    them, for a deadline of 20 minutes), `plot`, `seconds`.
    """
    from sklearn_jobtime.cli.holdout import Recipe
    from sklearn_jobtime.cli.run.demo import run_demo

    recipe = Recipe(window=20, hidden_size=32, epochs=epochs, lr=0.003, device=device, seed=seed)
    run_demo(output_dir, recipe, as_json=as_json)
