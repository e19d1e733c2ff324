"""How long the package takes to import, and the command line to say its help.

Each is a process of its own, in turn with one that imports numpy alone: the ratios say how much
a user waits beyond that, on any machine. With `--demo` the whole of ``jobtime demo`` too, as a
ratio to one fit of its forecaster on the same runs.

    python benchmarks/start_speed.py --help
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
from typer.testing import CliRunner

from sklearn_jobtime.cli.app import app
from sklearn_jobtime.datasets import load_github_runs
from sklearn_jobtime.pipeline import make_anchored_forecaster
from sklearn_jobtime.runs import make_targets

STARTS = {
    "numpy": "import numpy",
    "package": "import sklearn_jobtime",
    "help": "import sys; sys.argv = ['jobtime', '--help']; "
    "from sklearn_jobtime.cli import main; main()",
}


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def demo_ratio() -> float:
    """Seconds of the demo per second of one fit of its forecaster."""
    data = load_github_runs()
    model = make_anchored_forecaster(jobs=data.jobs, known=data.known, device="cpu", random_state=0)
    y = make_targets(data.runs, 5, jobs=data.jobs)
    with tempfile.TemporaryDirectory() as folder:
        demo = ["demo", "--output-dir", folder]
        return seconds_of(lambda: CliRunner().invoke(app, demo, catch_exceptions=False)) / (
            seconds_of(lambda: model.fit(data.runs, y))
        )


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9, help="starts of each kind (9)")
    parser.add_argument("--demo", action="store_true", help="time the demo too")
    options = parser.parse_args(argv)
    seconds = np.array(
        [
            [seconds_of(lambda code=code: run(code)) for code in STARTS.values()]
            for _ in range(options.repeats)
        ]
    )
    numpy, package, helped = np.median(seconds, axis=0)
    result = {"package": package / numpy, "help": helped / numpy}
    print(
        f"python -c 'import numpy': {1000 * numpy:.0f} ms; sklearn_jobtime {result['package']:.2f} "
        f"times that, jobtime --help {result['help']:.2f} times"
    )
    if options.demo:
        result["demo"] = demo_ratio()
        print(f"jobtime demo: {result['demo']:.1f} times one fit of its forecaster")
    return result


if __name__ == "__main__":
    main()
