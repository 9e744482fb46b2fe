"""Settings of Sphinx for the site that ``make docs`` builds from the pages that ``stage.py`` lays out."""

import importlib
import operator
import sys
from importlib import metadata
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.ext.autodoc.mock import mock
from sphinx.util.nodes import make_refnode

sys.path.insert(0, str(Path(__file__).parent))
import stage

project = "femnn"
author = copyright = "The femnn developers"
version = release = metadata.version("femnn")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_design"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
highlight_language = "none"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4

autodoc_mock_imports = stage.EXTRAS
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"femnn {version}"
html_static_path = ["static"]
html_css_files = ["femnn.css"]
html_show_sphinx = False
# summaries are fetched, which browsers refuse for pages that are files
html_show_search_summary = False
# formulas are written into the pages as MathML, which browsers show without a script
html_math_renderer = "mathml"

# shapes in docstrings have the names of attributes in them, and types of other packages have their glossaries
suppress_warnings = ["ref.python", "ref.term"]
nitpicky = True
# types of other packages, and the letters of shapes, lead nowhere; names of femnn must lead somewhere
nitpick_ignore_regex = [(r"py:.*", r"(?!femnn\.).*")]


def put_formula(translator, node, display):
    """Write a formula into a page."""
    block = convert(node.astext(), display="block" if display else "inline")
    translator.body.append(f'<div class="formula">{block}</div>' if display else block)
    raise nodes.SkipNode


# Where each name that can be imported from a room has its entry.
NAMES = stage.public_names()
HOMES = stage.home_of_each(NAMES)
HOMES |= {f"{room}.{name}": HOMES[stage.identity(room, name, thing)]
          for room, names in NAMES.items() for name, thing in names.items()}  # fmt: skip


def lead_to_its_room(app, env, node, contnode):
    """Names are documented in the room that exports them, and docstrings name the module that defines them."""
    name, rest = node.get("reftarget", ""), ""
    if node.get("refdomain") != "py" or not name.startswith("femnn."):
        return None
    while name:
        full = f"{HOMES[name]}{rest}" if name in HOMES else f"{name}{rest}" if not rest else name
        found = env.domains["py"].find_obj(env, "", "", full, None, 0)
        if found and (name in HOMES or name in NAMES):
            target, entry = found[0]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, target)
        name, _, last = name.rpartition(".")
        rest = f".{last}{rest}"
    return contnode if exists(node["reftarget"]) else None


def exists(name):
    """Whether femnn has something of a dotted name, exported or not."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            with mock(stage.EXTRAS):
                thing = importlib.import_module(".".join(parts[:k]))
            operator.attrgetter(".".join(parts[k:]))(thing) if parts[k:] else thing
        except (ImportError, AttributeError):
            continue
        return True
    return False


def escape_bars(app, what, name, thing, options, lines):
    """Bars in docstrings are absolute values."""
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else stage.escaped(line) for line in lines]


def leave_out_fields(app, what, name, thing, skip, options):
    """Fields of named tuples, which their class describes."""
    return True if type(thing).__name__ == "_tuplegetter" else None


def show_public_bases(app, name, thing, options, bases):
    """Classes that share an implementation are nobody's business."""
    bases[:] = [base for base in bases if not getattr(base, "__name__", "").startswith("_")] or [object]


def setup(app):
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(lambda translator, node: put_formula(translator, node, False), None),
        block_renderers=(lambda translator, node: put_formula(translator, node, True), None),
    )
    app.connect("missing-reference", lead_to_its_room)
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-skip-member", leave_out_fields)
    app.connect("autodoc-process-bases", show_public_bases)
