"""``femnn bench``: run one of the benchmarks that come with femnn."""

import ast
import os
import subprocess
import sys

import click

from femnn.exceptions import FemnnError
from femnn.io.locations import data_folder


@click.command("bench", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(ctx, name, arguments):
    """Run the benchmark NAME; without NAME, list them.

    ARGUMENTS are passed on to it: `femnn bench NAME --help` says which it takes. Its exit code becomes that of this
    command.
    """
    scripts = _scripts()
    if name is None:
        _list(scripts)
        return
    script = scripts.get(name.replace("_", "-"))
    if script is None:
        raise FemnnError(f"there is no benchmark {name!r}; there are: {', '.join(scripts) or 'none'}")
    # they import each other as `benchmarks.`
    paths = [str(data_folder("benchmarks").parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    # a process of its own: benchmarks set threads and measure memory
    code = subprocess.run([sys.executable, str(script), *arguments], env=environment).returncode
    ctx.exit(code if code >= 0 else 128 - code)


def _scripts():
    """Path of each benchmark by its name, in alphabetical order."""
    return {
        path.stem.replace("_", "-"): path
        for path in sorted(data_folder("benchmarks").glob("*/[a-z]*.py"), key=lambda path: path.stem)
        if "__main__" in path.read_text(encoding="utf-8")  # the others are what the scripts share
    }


def _list(scripts):
    if not scripts:
        click.echo("no benchmarks here")
        return
    width = max(map(len, scripts))
    for name, path in scripts.items():
        summary = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        click.echo(f"{name:<{width}}  {summary}".rstrip())
