"""What every test may use, and what the report says about tests that had to be left out."""

import os
import re
from pathlib import Path

import pytest

import femnn

#: Folder of published hexahedral meshes, whose licence does not let the project ship them.
PUBLISHED = Path(os.environ.get("FEMNN_PUBLISHED_MESHES", Path(__file__).resolve().parents[2] / "shared" / "meshes"))

ABSENT = "the published meshes are not at hand"


def pytest_configure(config):
    # not among the settings, which are read, and would import femnn, before the coverage is measured
    config.addinivalue_line("filterwarnings", "error::femnn.exceptions.FemnnWarning")


def pytest_make_parametrize_id(config, val, argname):
    """Objects by the name of their type: addresses differ between the processes that share the tests."""
    text = repr(val)
    return re.sub(r"<(?:\w+\.)*(\w+) object at 0x[0-9a-f]+>", r"\1", text) if " object at 0x" in text else None


@pytest.fixture(scope="session")
def published_meshes():
    """Folder of the published hexahedral meshes, which are not part of the project."""
    if not PUBLISHED.is_dir():
        pytest.skip(ABSENT)
    return PUBLISHED


@pytest.fixture(scope="session")
def distorted():
    """Two hundred elements from nearly cubes to strongly distorted."""
    return femnn.distorted_hexahedra(200, (0.05, 0.35), seed=7)


def pytest_terminal_summary(terminalreporter):
    """Name the tests that ran on the shipped meshes only."""
    skipped = [report.nodeid for report in terminalreporter.stats.get("skipped", []) if ABSENT in str(report.longrepr)]
    if skipped:
        terminalreporter.section("published meshes")
        terminalreporter.line(
            f"{len(skipped)} tests were skipped, because {PUBLISHED} does not exist. On meshes of HexaLab's collection "
            "they repeat what other tests do on the project's own. FEMNN_PUBLISHED_MESHES may name a folder that has "
            "bunny, dragon, cap and block_stresstest of Livesu et al., ACM Transactions on Graphics 34(4), 2015."
        )
        for name in skipped:
            terminalreporter.line(f"  {name}")
