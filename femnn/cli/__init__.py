"""The command ``femnn``: its subcommands, and the one place where errors become messages and exit codes.

A module of a subcommand is imported when that is called, so that ``femnn --help`` does not wait for networks and plots.
"""

import contextlib
import importlib
import signal
import threading
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

import click

import femnn
from femnn.exceptions import FemnnError, FemnnWarning
from femnn_command import INTERRUPTED, MESSAGE

__all__ = ["BAD_NEWS", "FINE", "INTERRUPTED", "WRONG_INPUT", "Command", "main"]

FINE, BAD_NEWS, WRONG_INPUT = 0, 1, 2

_EPILOG = """\b
Exit codes:
    0  fine
    1  done, but the answer is bad news: inspect found folded elements, simulate lost paths, doctor found a fault
    2  wrong usage or bad input, one line on stderr says what; a full disk too
  130  interrupted; what is done is kept, run the same command again to go on
"""

# name: what the list of commands says about it; module femnn.cli.NAME has it as `command`
_SUMMARIES = {
    "demo": "Solve a loaded part with adaptive quadrature and compare with uniform rules.",
    "inspect": "Show how distorted a mesh is and how many points it needs.",
    "simulate": "Run the fine scales that laws are trained on.",
    "partition": "Divide a mesh among the ranks of an MPI program.",
    "reduce": "Find the modes of your snapshots, and which model predicts them best.",
    "train": "Train the networks behind rules and laws.",
    "bench": "Run one of the benchmarks that come with femnn.",
    "doctor": "Check that this installation is complete, and print what bug reports need.",
}


class Command(click.Command):
    """A benchmark: a command by itself whose errors end like those of ``femnn``.

    Examples
    --------
    >>> import click
    >>> from click.testing import CliRunner
    >>> from femnn.cli import Command
    >>> from femnn.exceptions import ParameterError
    >>> @click.command(cls=Command)
    ... def benchmark():
    ...     raise ParameterError("tol = -1 is negative; pass a positive one")
    >>> result = CliRunner().invoke(benchmark)
    >>> result.exit_code, "tol = -1" in result.output
    (2, True)
    """

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_as_messages(ctx):
            return super().invoke(ctx)


class _Commands(click.Group):
    """Subcommands by name, imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SUMMARIES:
            return None
        return importlib.import_module(f"femnn.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_as_messages(ctx):
            return super().invoke(ctx)


@contextlib.contextmanager
def _errors_as_messages(ctx: click.Context) -> Iterator[None]:
    """Turn what users can cause and mend into one line on stderr and an exit code; bugs keep their traceback."""
    plain = warnings.formatwarning
    warnings.formatwarning = _format_warning
    try:
        with _interrupts() as interrupts:
            try:
                yield
            except BaseException as error:
                message, code = _verdict(error, bool(interrupts))
                if message is None:
                    raise
                _leave(ctx, message, code)
    finally:
        warnings.formatwarning = plain


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at Ctrl-C and note it, because an import or a compilation may lose the exception."""
    interrupts: list[int] = []

    def note(number: int, frame: FrameType | None) -> NoReturn:
        interrupts.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    # only the main thread may, and where Ctrl-C is ignored, in a shell's background jobs, it stays so
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield interrupts
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def _verdict(error: BaseException, interrupted: bool) -> tuple[str | None, int]:
    """Message and exit code of what ended a command; no message for what is no user's matter."""
    if interrupted or isinstance(error, (KeyboardInterrupt, click.Abort)):
        return MESSAGE, INTERRUPTED
    if isinstance(error, FemnnError):
        return str(error), WRONG_INPUT
    # `femnn ... | head`: click ends quietly
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return _describe(error), WRONG_INPUT
    return None, FINE


def _leave(ctx: click.Context, message: str, code: int) -> NoReturn:
    click.echo(f"femnn: {' '.join(message.split())}", err=True)
    ctx.exit(code)


def _describe(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    cause = error.strerror or str(error) or type(error).__name__
    return f"{where}{cause}; mend that, or write elsewhere with --out"


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    if issubclass(category, FemnnWarning):
        return f"femnn: warning: {message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


@click.group(cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(femnn.__version__, prog_name="femnn")
def main() -> None:
    """Neural-network quadrature rules and cohesive laws for scikit-fem.

    `femnn inspect MESH` shows what the rules gain on your mesh.
    """
