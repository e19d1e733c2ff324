"""The textbook sequence: 10, 20, ... 90 in windows of three, and what follows 70, 80, 90.

Run ``python benchmarks/examples/textbook_sequence.py --out .``. The answer is 100, ten more than
anything seen: "relu" cells can go on with a trend where "tanh" cells level off.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

from sklearn_jobtime import LSTMForecaster, SequenceWindower
from sklearn_jobtime.plots import PredictionDisplay

N_STEPS = 3


def fit(seed: int) -> Pipeline:
    sequence = np.arange(10.0, 100.0, 10.0)
    targets = np.where(np.arange(9) < N_STEPS, np.nan, sequence)  # the first have no full window
    model = Pipeline(
        [
            ("windows", SequenceWindower(n_steps=N_STEPS)),
            (
                "lstm",
                LSTMForecaster(
                    hidden_size=50,
                    activation="relu",
                    max_epochs=200,
                    device="cpu",
                    random_state=seed,
                ),
            ),
        ]
    )
    return model.fit(sequence[:, None], targets)


def main(argv: Sequence[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, help="folder for the picture")
    asked = parser.parse_args(argv)

    # The row after 90: its own value is not known, its window is 70, 80, 90.
    sequence = np.append(np.arange(10.0, 100.0, 10.0), np.nan)
    forecasts = np.array([fit(seed).predict(sequence[:, None]) for seed in range(asked.seeds)])
    answers = forecasts[:, -1].tolist()
    print("70, 80, 90 ->", ", ".join(f"{answer:.1f}" for answer in answers))
    print(f"{asked.seeds} seeds, from {min(answers):.1f} to {max(answers):.1f}")
    if asked.out:
        actual = np.arange(10.0, 101.0, 10.0)
        shown = np.where(np.arange(10) < N_STEPS, np.nan, forecasts[0])
        display = PredictionDisplay.from_predictions(
            actual, shown, is_test=np.arange(10) == 9, unit="value"
        )
        asked.out.mkdir(parents=True, exist_ok=True)
        display.figure_.savefig(asked.out / "textbook_sequence.png")
    return answers


if __name__ == "__main__":
    main()
