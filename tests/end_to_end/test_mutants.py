"""The run of mutations: its list fits the code, it notices what tests notice, and nothing compiled hides a mutation."""

import json

import pytest
from support.locations import ROOT

from benchmarks.mutants.mutants import report, rows, survivors, tried
from benchmarks.mutants.mutations import MUTATIONS
from benchmarks.mutants.running import Mutation, lost_anchors
from femnn.exceptions import FemnnError

KERNEL = """
from numba import njit

@njit(cache=True)
def rate(x):
    return 2.0 * x
"""

CALLER = """
from numba import njit
from kernel import rate

@njit(cache=True)
def twice(x):
    return rate(x) + rate(x)
"""

TESTS = """
from caller import twice
from plain import LIMIT, unused

def test_twice():
    assert twice(1.0) == 4.0

def test_limit():
    assert LIMIT < 3
"""


def test_every_mutation_has_its_place_in_the_code():
    assert lost_anchors(ROOT, MUTATIONS) == []
    assert len({(each.file, each.old, each.new) for each in MUTATIONS}) == len(MUTATIONS)
    assert all(each.old != each.new for each in MUTATIONS)
    # rooms that the table is to have
    assert len({each.room for each in MUTATIONS}) >= 8


@pytest.fixture
def project(tmp_path):
    """A project of three modules and two tests."""
    root = tmp_path / "project"
    root.mkdir()
    plain = "LIMIT = 2\n\n\ndef unused():\n    return 1\n"
    files = {"kernel.py": KERNEL, "caller.py": CALLER, "plain.py": plain, "test_all.py": TESTS}
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n', encoding="utf-8")
    return root


def mutation(old, new, file="plain.py", tests=("test_all.py",)):
    return Mutation("room", file, old, new, tests)


def test_mutations_are_noticed_or_survive_and_are_not_tried_twice(project, tmp_path):
    mutations = [
        mutation("LIMIT = 2", "LIMIT = 4"),
        mutation("return 1", "return 2"),
        # compiled into its caller, whose file stays the same
        mutation("return 2.0 * x", "return 3.0 * x", "kernel.py", ("test_all.py::test_twice",)),
        mutation("LIMIT = 2", "LIMIT = = 2"),
    ]
    outcomes = tried(project, mutations, tmp_path, 120.0)
    assert [outcome["caught"] for outcome in outcomes] == [True, False, True, True]
    assert "test_limit" in outcomes[0]["how"]
    assert "test_twice" in outcomes[2]["how"]
    # the copy is as it was: what is tried last is not noticed because of what was tried before
    assert (tmp_path / "tree" / "plain.py").read_text() == (project / "plain.py").read_text()
    assert [row["caught"] for row in rows(mutations, outcomes)] == [3, 3]
    (survivor,) = survivors(mutations, outcomes)
    assert survivor["why"] == "no test"
    text = report({"machine": "", "rows": rows(mutations, outcomes), "targets": [], "survivors": [survivor]})
    assert "`return 1` became `return 2`" in text
    kept = json.loads((tmp_path / "outcomes.json").read_text())
    for outcome in kept.values():
        outcome["seconds"] = -1.0
    (tmp_path / "outcomes.json").write_text(json.dumps(kept))
    assert all(outcome["seconds"] == -1.0 for outcome in tried(project, mutations, tmp_path, 120.0))
    # other tests, another outcome
    (project / "test_all.py").write_text(f"{TESTS}\ndef test_unused():\n    assert unused() == 1\n", encoding="utf-8")
    assert [outcome["caught"] for outcome in tried(project, mutations[1:2], tmp_path, 120.0)] == [True]


def test_what_has_lost_its_place_is_an_error(project, tmp_path):
    lost = [
        mutation("LIMIT = 7", "LIMIT = 8"),
        mutation("return 1", "return 2", tests=("test_none.py",)),
        mutation("return 1", "return 3", tests=("test_all.py::test_gone",)),
    ]
    with pytest.raises(FemnnError, match=r"3 mutations .* occurs 0 times.*no test test_none.py.*test_gone"):
        tried(project, lost, tmp_path, 120.0)
    (project / "test_all.py").write_text(f"{TESTS}\n    assert False\n", encoding="utf-8")
    with pytest.raises(FemnnError, match="the tests fail before anything is changed"):
        tried(project, [mutation("LIMIT = 2", "LIMIT = 1")], tmp_path, 120.0)
