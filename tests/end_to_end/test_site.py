"""The site: what is laid out for it, and, built, what a browser makes of its pages."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from support.browser import browser, open_page
from support.locations import ROOT
from support.pages import DOCS, pages

SITE = DOCS / "site"


@pytest.fixture(scope="module")
def stage():
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    spec = importlib.util.spec_from_file_location("stage", SITE / "stage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(stage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "source"
    stage.main(folder)
    return folder


def test_every_link_leads_somewhere_in_the_site(source):
    staged = sorted(source.rglob("*.md"))
    assert len(staged) > len(pages())
    for page in staged:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"\w+:|#", link):
                assert (page.parent / link.partition("#")[0]).exists(), f"{page.relative_to(source)}: {link}"


def test_every_example_has_a_page_a_notebook_and_a_card(stage, source):
    cards = (source / "examples" / "index.md").read_text(encoding="utf-8")
    scripts = sorted((ROOT / "examples").glob("*.py"))
    assert sorted(example["name"] for example in stage.read_examples()) == [script.stem for script in scripts]
    for script in scripts:
        assert f":link: {script.stem}\n" in cards
        assert (source / "examples" / f"{script.stem}.md").exists()
        notebook = json.loads((source / "examples" / "code" / f"{script.stem}.ipynb").read_text(encoding="utf-8"))
        code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        # the script's functions and one call, nothing of its command line
        compile("\n".join(code), script.stem, "exec")
        assert "__main__" not in code[0]
        assert code[-1].startswith("main(")


def test_every_public_name_has_one_entry(stage, source):
    rooms = stage.public_names()
    texts = {room: (source / "api" / f"{room}.rst").read_text(encoding="utf-8") for room in rooms}
    homes = stage.home_of_each(rooms)
    for room, names in rooms.items():
        for name, thing in names.items():
            home, _, there = homes[stage.identity(room, name, thing)].rpartition(".")
            entry = rf"^\.\. (?:auto\w+:: {re.escape(home)}\.|py:data:: ){there}$"
            assert len(re.findall(entry, texts[home], re.MULTILINE)) == 1, f"{home}.{there}"


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "built"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", SITE, "-b", "html", source, out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_pages_need_no_network_and_their_links_lead_somewhere(built):
    anchors, found = {}, []
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        anchors[page.resolve()] = set(re.findall(r'\bid="([^"]+)"', text))
        assert not re.search(r'<(?:script|img|iframe)\b[^>]*\bsrc="(?:https?:)?//', text), page.name
        assert not re.search(r'<link\b[^>]*\bhref="(?:https?:)?//', text), page.name
        found += [(page, link) for link in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', text)]
    for page, link in found:
        if not re.match(r"\w+:", link):
            name, _, anchor = link.partition("#")
            target = (page.parent / name.partition("?")[0]).resolve() if name else page.resolve()
            assert target.exists(), f"{page.name}: {link}"
            if anchor and target.suffix == ".html":
                assert anchor in anchors[target], f"{page.name}: {link}"


@pytest.mark.slow
def test_every_how_to_is_three_clicks_from_the_first_page(built):
    """By the links in the text alone; the menu, which small windows fold away, has all of them at once."""
    clicks, reached = {(built / "index.html").resolve(): 0}, [(built / "index.html").resolve()]
    for page in reached:
        text = page.read_text(encoding="utf-8")
        text = text[text.index("<article") : text.index("</article>")]
        for link in re.findall(r'<a\b[^>]*\bhref="([^"#?]+)', text):
            target = (page.parent / link).resolve()
            if not re.match(r"\w+:", link) and target.suffix == ".html" and target not in clicks and target.exists():
                clicks[target] = clicks[page] + 1
                reached.append(target)
    how_tos = sorted((built / "how-to").glob("*.html"))
    assert len(how_tos) == len(list((DOCS / "how-to").glob("*.md")))
    assert {page.name: clicks.get(page.resolve()) for page in how_tos if clicks.get(page.resolve(), 9) > 3} == {}


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_fit_their_window(built, width):
    some = ["index.html", "getting-started.html", "examples/index.html", "results/demo.html", "api/index.html"]
    some += sorted(path.relative_to(built).as_posix() for path in built.glob("theory/*.html"))
    with browser() as opened:
        for name in some:
            page, complaints = open_page(opened, built / name, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
            assert page.evaluate(broken) == [], name
            heights = page.evaluate("[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)")
            assert all(height > 5 for height in heights), name
            assert complaints == [], name
            page.close()


@pytest.mark.slow
def test_search_finds_a_name(built):
    with browser() as opened:
        page, complaints = open_page(opened, built / "search.html")
        page.goto(f"{(built / 'search.html').resolve().as_uri()}?q=AdaptiveGauss")
        page.wait_for_selector("#search-results li a")
        assert page.locator("#search-results li a").count() > 3
        assert complaints == []
