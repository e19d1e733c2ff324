"""What the tests of several files share: a live PostgreSQL server, and an eye for pictures.

`conftest.py` one folder up bounds the threads.
"""

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text


with contextlib.suppress(ImportError):  # the tests of BigQuery run without it
    from hypothesis import HealthCheck, settings

    # An example may take as long as a busy machine needs, and half as many as usual are enough.
    settings.register_profile(
        "no clock", max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Put the log level back, which benchmarks raise."""
    logger = logging.getLogger("sklearn_jobtime")
    level = logger.level
    yield
    logger.setLevel(level)


PASSWORD = "s3cr/t p@ss%word"  # every character that a URL has to escape


def postgres_binary(name: str) -> str | None:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, debian)]))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server of our own; the server refuses to be run by root."""
    sa = pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    initdb, server = postgres_binary("initdb"), postgres_binary("postgres")
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL server here: install Debian's package postgresql")
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="jobtime-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder, "password").write_text(PASSWORD)
        if who:
            shutil.chown(folder, "postgres", "postgres")
            shutil.chown(Path(folder, "password"), "postgres", "postgres")
        data, port = str(Path(folder, "data")), free_port()
        options = ["-U", "tester", "-A", "scram-sha-256", "--pwfile", f"{folder}/password", "-N"]
        subprocess.run(
            [initdb, "-D", data, "-E", "UTF8", *options],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **who,
        )  # fmt: skip
        command = [server, "-D", data, "-k", folder, "-h", "127.0.0.1", "-p", str(port), "-F"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=folder, **who) as process:
            try:
                url = sa.URL.create(
                    "postgresql+psycopg", "tester", PASSWORD, "127.0.0.1", port, "postgres"
                ).render_as_string(hide_password=False)
                wait_for(sa.create_engine(url, poolclass=sa.pool.NullPool))
                yield url
            finally:
                process.terminate()
                process.wait(120)


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def wait_for(engine) -> None:
    for _ in range(1200):
        with contextlib.suppress(Exception):  # whatever the driver says while the server starts
            engine.connect().close()
            return
        time.sleep(0.1)
    raise TimeoutError("PostgreSQL did not start within two minutes")


@pytest.fixture(scope="module")
def few_trees() -> Iterator[None]:
    """Let the command line fit 5 trees where it fits 100: for what it says, not how well."""
    from sklearn_jobtime.cli import holdout  # noqa: PLC0415 - torch is missing beside BigQuery

    make = holdout.make_anchored_forecaster

    def make_smaller(**options):
        return make(**options).set_params(regressor__mean__trees__boosting__regressor__max_iter=5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holdout, "make_anchored_forecaster", make_smaller)
        yield


@pytest.fixture(scope="session")
def calls_of() -> "Callable[[Callable[[], object]], int]":
    """Count the calls of functions that a call makes: work that is the same on any machine."""
    return _calls_of


def _calls_of(call: "Callable[[], object]") -> int:
    n = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal n
        n += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(before)
    return n


@pytest.fixture(scope="session")
def assert_readable() -> "Callable[[Figure], None]":
    """Check that a figure cuts no text, and that no tick label of an axis covers another."""
    return _assert_readable


def _assert_readable(figure: "Figure") -> None:
    # The tests of BigQuery run where there is no matplotlib.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.text import Text  # noqa: PLC0415

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = canvas.get_width_height()
    axes = [(axis, ax.axison) for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    all_labels = {label for axis, _ in axes for label in axis.get_ticklabels(which="both")}
    on_axes = [_labels_in_view(axis) for axis, is_shown in axes if is_shown]
    texts = [
        text for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in all_labels
    ]  # fmt: skip
    assert texts
    for text in [*texts, *(label for labels in on_axes for label in labels)]:
        box = text.get_window_extent(renderer)
        inside = min(box.x0, box.y0) >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text.get_text()!r} is cut: {box} in {width} x {height}"
    for labels in on_axes:
        for one, other in pairwise(labels):
            boxes = [label.get_window_extent(renderer) for label in (one, other)]
            assert not boxes[0].overlaps(boxes[1]), (one, other)


def _labels_in_view(axis: "Axis") -> "list[Text]":
    low, high = sorted(axis.get_view_interval())
    shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [t.label1 for t in shown if t.label1.get_visible() and t.label1.get_text()]
