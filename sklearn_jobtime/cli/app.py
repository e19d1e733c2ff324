"""The application: its commands in the order of the help, their errors, and its start."""

import os
import signal
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sklearn_jobtime._version import __version__
from sklearn_jobtime.cli.commands.anomalies import anomalies
from sklearn_jobtime.cli.commands.demo import demo
from sklearn_jobtime.cli.commands.evaluate import evaluate
from sklearn_jobtime.cli.commands.fit import fit
from sklearn_jobtime.cli.commands.forecast import forecast
from sklearn_jobtime.cli.commands.landing import landing
from sklearn_jobtime.cli.commands.links import links
from sklearn_jobtime.cli.commands.load import load
from sklearn_jobtime.cli.commands.nightly import nightly
from sklearn_jobtime.cli.commands.report import report
from sklearn_jobtime.cli.commands.risk import risk
from sklearn_jobtime.cli.commands.tune import tune
from sklearn_jobtime.cli.commands.update import update
from sklearn_jobtime.cli.commands.why import why
from sklearn_jobtime.cli.console import PlainConsole
from sklearn_jobtime.cli.shell_words import in_shell_words

__all__ = ["app", "main"]


INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Exit codes: 0 done, 1 a problem with the data or a file, 2 wrong usage, 130 "
    "interrupted, 143 terminated, 3 a chance below `landing --fail-below`, "
    "4 a new alarm of `nightly`. "
    "Results go to standard output, progress and notes to standard "
    "error.",
)


class Command(TyperCommand):
    """A command that ends with one readable message and an exit code, not with a traceback."""

    def invoke(self, ctx: Any) -> Any:
        notes = PlainConsole(stderr=True, highlight=False, soft_wrap=True)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = lambda message, *_, **__: notes.print(
                    f"note: {in_shell_words(str(message))}", markup=False
                )
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if ctx.find_root().params["debug"]:
                raise
            notes.print(_message(error), markup=False)
            raise typer.Exit(1) from None


def _message(error: Exception) -> str:
    if isinstance(error, ValueError | OSError | FloatingPointError) or (
        type(error).__module__ == "sklearn_jobtime.exceptions"
    ):
        return f"error: {in_shell_words(str(error))}"
    return (
        f"error: unexpected {type(error).__name__}: {error}. Please report this; "
        "`jobtime --debug ...` shows where it happened."
    )


def main() -> None:
    """Run the command line.

    Ctrl-C ends it at once: skorch would take a KeyboardInterrupt for the wish to end training
    early, and go on. A scheduler's SIGTERM and a closed terminal end it in the same way, so that
    no temporary file is left.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _exit)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # more threads slow networks this small down
    app()


def _exit(number: int, _: object) -> None:
    """Exit as shells expect of a process that a signal ended: Ctrl-C 130, SIGTERM 143."""
    sys.exit(128 + number)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sklearn-jobtime {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option(envvar="JOBTIME_DEBUG", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Forecast job run times, and when the whole run will be done, from the history of runs."""


for command in (
    demo,
    load,
    fit,
    update,
    forecast,
    risk,
    landing,
    nightly,
    evaluate,
    tune,
    anomalies,
    links,
    why,
    report,
):
    app.command(cls=Command)(command)
