"""The command ``femnn``: its subcommands, and the one place where errors become messages and exit codes.

A module of a subcommand is imported when that is called, so that ``femnn --help`` does not wait for networks and plots.
"""

import contextlib
import importlib
import warnings

import click

import femnn
from femnn.exceptions import FemnnError, FemnnWarning

FINE, BAD_NEWS, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\b
Exit codes:
    0  fine
    1  done, but the answer is bad news: inspect found folded elements, simulate lost paths
    2  wrong usage or bad input, one line on stderr says what; a full disk too
  130  interrupted; what is done is kept, run the same command again to go on
"""

# name: what the list of commands says about it; module femnn.cli.NAME has it as `command`
_SUMMARIES = {
    "demo": "Solve a loaded part with adaptive quadrature and compare with uniform rules.",
    "inspect": "Say how distorted a mesh is and how many points it needs.",
    "simulate": "Run the fine scales that laws are trained on.",
    "partition": "Divide a mesh among the ranks of an MPI program.",
    "train": "Train the networks behind rules and laws.",
    "bench": "Run a benchmark.",
}


class Command(click.Command):
    """A benchmark: a command by itself whose errors end like those of ``femnn``."""

    def invoke(self, ctx):
        with _errors_as_messages(ctx):
            return super().invoke(ctx)


class _Commands(click.Group):
    """Subcommands by name, imported when called."""

    def list_commands(self, ctx):
        return list(_SUMMARIES)

    def get_command(self, ctx, cmd_name):
        if cmd_name not in _SUMMARIES:
            return None
        return importlib.import_module(f"femnn.cli.{cmd_name}").command

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))

    def invoke(self, ctx):
        with _errors_as_messages(ctx):
            return super().invoke(ctx)


@contextlib.contextmanager
def _errors_as_messages(ctx):
    """Turn what users can cause and mend into one line on stderr and an exit code; bugs keep their traceback."""
    plain = warnings.formatwarning
    warnings.formatwarning = _format_warning
    try:
        yield
    except BrokenPipeError:  # `femnn ... | head`: click ends quietly
        raise
    except FemnnError as error:
        _leave(ctx, str(error), WRONG_INPUT)
    except OSError as error:
        _leave(ctx, _describe(error), WRONG_INPUT)
    except (KeyboardInterrupt, click.Abort):
        _leave(ctx, "interrupted; what is done is kept, run the same command again to go on", INTERRUPTED)
    finally:
        warnings.formatwarning = plain


def _leave(ctx, message, code):
    click.echo(f"femnn: {' '.join(message.split())}", err=True)
    ctx.exit(code)


def _describe(error):
    where = f"{error.filename}: " if error.filename else ""
    cause = error.strerror or str(error) or type(error).__name__
    return f"{where}{cause}; mend that, or write elsewhere with --out"


def _format_warning(message, category, filename, lineno, line=None):
    if issubclass(category, FemnnWarning):
        return f"femnn: warning: {message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


@click.group(cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(femnn.__version__, prog_name="femnn")
def main():
    """Trained networks inside scikit-fem: quadrature of distorted hexahedra.

    `femnn inspect MESH` tells what they gain on your mesh.
    """
