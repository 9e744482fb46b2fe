"""The pages of the documentation agree with the files and names that they speak of."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys

import pytest
from support.locations import ROOT
from support.pages import DOCS, anchors, formulas, links, pages

import femnn


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert not anchor or anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_every_page_and_picture_is_linked():
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in pages() for link in links(page)}
    assert {*DOCS.rglob("*.md"), *DOCS.rglob("*.png")} - linked - {DOCS / "index.md"} == set()


def test_the_readme_is_short_and_begins_with_the_commands():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert re.match(r"make demo\b", lines[3])
    assert re.match(r"make test\b", lines[4])


def test_the_version_stands_in_one_place():
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"$', settings, re.MULTILINE)[1]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_page_of_compatibility_says_what_the_package_asks_for():
    page = (DOCS / "compatibility.md").read_text(encoding="utf-8")
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name, package in (("NumPy", "numpy"), ("SciPy", "scipy"), ("scikit-fem", "scikit-fem"), ("Numba", "numba"),
                          ("torch", "torch"), ("meshio", "meshio")):  # fmt: skip
        least = re.search(rf'"{package}>=([\d.]+)', settings)[1]
        assert re.search(rf"^\| {name} \| {re.escape(least)}\b", page, re.MULTILINE), name
    least, *_, newest = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', settings)
    assert f"| Python | {least} to {newest} |" in page
    assert f'requires-python = ">={least}"' in settings


def test_workflows_call_what_exists():
    """Targets of the Makefile, extras and Pythons of pyproject.toml; every step is a command or a named action."""
    yaml = pytest.importorskip("yaml", reason="the extra docs is not installed")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert [path.stem for path in workflows] == ["docs", "tests", "wheels"]
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        loaded = yaml.safe_load(text)
        assert loaded["permissions"] == {"contents": "read"}
        assert "secrets." not in text
        for job in loaded["jobs"].values():
            for step in job["steps"]:
                command = step.get("run", "")
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v1"))
                for target in re.findall(r"\bmake (\w+)", command):
                    assert re.search(rf"^{target}:", makefile, re.MULTILINE), (
                        f"{path.name}: there is no target {target}"
                    )
                for extra in re.findall(r"\.\[(\w+)\]", command):
                    assert re.search(rf"^{extra} = \[", settings, re.MULTILINE), f"{path.name}: no extra {extra}"
    pythons = yaml.safe_load(workflows[1].read_text(encoding="utf-8"))["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert pythons == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', settings)


def test_formulas_can_be_shown():
    """As MathML, which the site puts into its pages; converters of formulas fail on what they do not know."""
    converter = pytest.importorskip("latex2mathml.converter", reason="the extra docs is not installed")
    for page in pages():
        for formula in formulas(page):
            shown = converter.convert(formula)
            assert "\\" not in re.sub(r"<annotation.*?</annotation>", "", shown), f"{page.name}: {formula}"


def test_the_index_of_public_names_is_up_to_date():
    tool = DOCS / "tools" / "update_api.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    index = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    for room in ("femnn", *(info.name for info in pkgutil.walk_packages(femnn.__path__, "femnn.") if info.ispkg)):
        try:
            names = getattr(importlib.import_module(room), "__all__", [])
        except femnn.exceptions.MissingExtraError:
            continue
        section = index.partition(f"## {room}\n")[2].partition("\n## ")[0]
        assert [name for name in names if f"| `{name}` |" not in section] == []


ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")


def test_paths_and_names_of_the_architecture_exist():
    for line in ARCHITECTURE.splitlines():
        defined = None
        for span in re.findall(r"`([^`]+)`", line):
            if re.fullmatch(r"(femnn|tests|benchmarks|docs)/[\w./-]*", span):
                path = ROOT / span
                assert path.exists(), f"{span} does not exist"
                defined = definitions(path) if path.suffix == ".py" else None
            elif defined is not None and re.fullmatch(r"[\w.]+", span) and not span.startswith(("femnn.", "skfem.")):
                assert span in defined, f"{span} is not defined where this line says: {line}"
            elif re.fullmatch(r"femnn\.\w+", span):
                assert hasattr(femnn, span.removeprefix("femnn.")), f"there is no {span}"


def definitions(path):
    """Names of the functions, classes and methods (``Class.method``) of a file."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return names


def test_the_architecture_names_every_room():
    rooms = {path.parent for path in (ROOT / "femnn").rglob("__init__.py")} - {ROOT / "femnn"}
    named = {ROOT / span for span in re.findall(r"`(femnn/[\w/]*)/`", ARCHITECTURE)}
    # folders that only hold others
    assert rooms - named <= {ROOT / "femnn" / "solvers", ROOT / "femnn" / "multiscale"}
    assert named <= rooms
