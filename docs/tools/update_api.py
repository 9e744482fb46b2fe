"""Write ``docs/api/index.md``: every public name of every room of femnn, with the first paragraph of its docstring.

Files are parsed, not imported, so that rooms whose extras are missing are listed too. ``--check`` writes nothing and
fails if the page is not up to date.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "api" / "index.md"
HEAD = """# Public names

Import a name from its room: `from femnn.reservoir import PorousProblem`. The everyday names are in `femnn` itself. This
page is written by `python docs/tools/update_api.py`; each docstring says more (`help(femnn.AdaptiveGauss)`).
"""


def page():
    """The text of the page."""
    parts = [HEAD]
    for file in sorted((ROOT / "femnn").rglob("__init__.py"), key=lambda file: file.parent.parts):
        names = public(file)
        if names:
            room = ".".join(file.parent.relative_to(ROOT).parts)
            about = ast.get_docstring(parsed(file)).partition("\n\n")[0].replace("\n", " ")
            parts.append(f"## {room}\n\n{about}\n\n| name | summary |\n|---|---|")
            parts[-1] += "".join(f"\n| `{name}` | {summary(name, file)} |" for name in names) + "\n"
    return "\n".join(parts)


def parsed(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def public(file):
    """The names in ``__all__`` of a room, in alphabetical order."""
    for node in parsed(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value), key=str.lower)
    return []


def summary(name, file):
    """The first paragraph that documents a name which a file defines or imports from elsewhere in the project."""
    lines = file.read_text(encoding="utf-8").splitlines()
    for node in parsed(file).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    if submodule := located(f"{node.module}.{alias.name}"):
                        return paragraph(ast.get_docstring(parsed(submodule)))
                    return summary(alias.name, located(node.module))
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return paragraph(ast.get_docstring(node))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if name in {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}:
                first = node.lineno - 1
                while lines[first - 1].startswith("#"):
                    first -= 1
                return paragraph("\n".join(line.lstrip("#: ") for line in lines[first : node.lineno - 1]))
    raise SystemExit(f"{file.relative_to(ROOT)} exports {name}, which it neither defines nor imports from the project")


def located(module):
    """The file of a module of the project; None if there is none."""
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.exists()), None)


def paragraph(text):
    """The first paragraph of a docstring on one line, fit for a cell of a table."""
    line = " ".join((text or "").partition("\n\n")[0].split())
    return re.sub(r"(:\w+:)?`+~?([^`]+)`+", r"`\2`", line).replace("|", "\\|")


def main(check):
    """Write the page, or compare it."""
    text = page()
    if check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{PAGE.relative_to(ROOT)} is not up to date: run python docs/tools/update_api.py")
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
