"""Help texts of all commands, benchmarks and examples: whole sentences, nothing cut."""

import ast
import re
from pathlib import Path

import click
import pytest

from femnn.cli import main

ROOT = Path(__file__).parents[2]


def commands(command=main, path=("femnn",), parent=None):
    """Every command with its path of names and its context."""
    context = click.Context(command, info_name=path[-1], parent=parent)
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name), context)


ALL = list(commands())
every = pytest.mark.parametrize(("path", "command", "context"), ALL, ids=[" ".join(path) for path, _, _ in ALL])


@every
def test_help_is_whole_sentences(path, command, context):
    # metavars of click, "COMMAND [ARGS]...", are in the first lines
    text = command.get_help(context)
    body = text.split("\n\n", 1)[1]
    assert not re.search(r"\.\.\.(?![,)])", body), "click has cut a text: give the command a short_help"
    paragraphs = [p for p in re.split(r"\n\s*\n", command.help or "") if not p.startswith("\b")]
    for paragraph in paragraphs:
        assert paragraph.strip()[-1] in ".:?", f"ends in mid-sentence: {paragraph.strip()[-60:]!r}"


@every
def test_every_option_says_what_it_is(path, command, context):
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, f"{option.opts[0]} has no help"
            # a unit is no sentence; what is one ends like one, before the default
            text = re.sub(r"\s*\[default: .*\]$", "", option.help).strip()
            assert len(text.split()) < 4 or text[-1] in ".?", f"{option.opts[0]}: {text!r}"


SCRIPTS = [
    path
    for path in [*sorted(ROOT.glob("examples/*.py")), *sorted(ROOT.glob("benchmarks/*/[a-z]*.py"))]
    if "__main__" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_texts_of_scripts_are_whole_sentences(script):
    tree = ast.parse(script.read_text(encoding="utf-8"))
    # lists of benchmarks show the first line alone
    texts = [(ast.get_docstring(tree) or "").partition("\n")[0]]
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"):
        if any("command" in ast.unparse(decorator) for decorator in function.decorator_list):
            texts += re.split(r"\n\s*\n", ast.get_docstring(function) or "")
            options = [k.value for d in function.decorator_list for k in getattr(d, "keywords", ()) if k.arg == "help"]
            texts += [o.value for o in options if isinstance(o, ast.Constant) and len(o.value.split()) > 3]
    for text in filter(None, texts):
        text = re.sub(r"\s*\[default: .*\]$", "", text).strip()
        assert text[-1] in ".?:", f"ends in mid-sentence: {text!r}"
    # an example whose --help shows the first line of its text alone would cut it there
    assert "__doc__.partition" not in script.read_text(encoding="utf-8")
