"""The campaign of faults: a small share of it loses nothing, and what is lost is noticed and kept."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.faulty_kinds import kinds as faulty_kinds

import femnn
from femnn.geometry.hexahedron import VERTICES

ROOT = Path(femnn.__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals to processes")


@pytest.fixture
def found_by_processes(monkeypatch):
    """Processes of the campaign find benchmarks and tests."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests"), *sys.path]))


def campaign(folder, *arguments):
    command = [sys.executable, ROOT / "benchmarks" / "faults" / "faults.py", "--out", folder, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_small_share_loses_nothing(tmp_path, found_by_processes):
    only = ("mesh file: VTK .vtu, binary", "kill: a file", "shapes: with swapped")
    options = [part for name in only for part in ("--only", name)]
    done = campaign(tmp_path, "--share", 0.03, "--seed", 1, "--json", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert [row["tried"] for row in figures["rows"]] == [6, 1, 400]
    for row in figures["rows"]:
        assert row["answered"] + row["refused"] == row["tried"]
        assert row["lost"] == 0
    assert figures["targets"][0]["measured"] == "0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faults.json", "faults.md"]


def test_what_is_lost_is_noticed_and_kept(tmp_path, found_by_processes):
    from benchmarks.faults.campaign import run

    (kind,) = faulty_kinds()
    ticks = []
    tally = run(kind, 5, range(9), tmp_path / "files", tmp_path / "lost", lambda: ticks.append(1))
    assert (tally.answered, tally.refused, tally.tried, len(ticks)) == (2, 3 + 3, 13, 9)
    reasons = dict(tally.lost)
    assert re.match(r"exit code -11", reasons[1])
    assert reasons[3] == "no end after 2 s"
    assert reasons[4] == "KeyError: 'foreign'"
    assert reasons[5] == "other bits"
    assert reasons[7].startswith("the message has several lines")
    assert sorted(reasons) == [1, 3, 4, 5, 7]
    for number in reasons:
        kept = tmp_path / "lost" / f"faulty-{number}"
        assert (kept / "input.txt").read_text() == f"input {number}"
        assert f'femnn bench faults --only "faulty" --seed 5 --case {number}' in (kept / "what.txt").read_text()


def test_matrices_in_long_double_numbers_are_those_of_femnn():
    """What shapes are compared with, on elements where nothing is difficult; and it notices what is wrong."""
    from benchmarks.faults import shapes
    from benchmarks.faults.campaign import Lost

    elements = femnn.distorted_hexahedra(20, (0.0, 0.2), 3)
    x, size = shapes.shifted(elements)
    kept, changed = shapes.signs(x)
    assert kept.all()
    assert not changed.any()
    shapes.compare_matrices(elements, x, size, np.arange(20), femnn.GaussLegendre(2))
    x[3, 2, 1] *= 1.0 + 1e-6
    with pytest.raises(Lost, match=r"element 3 of elements\.npy"):
        shapes.compare_matrices(elements, x, size, np.arange(20), femnn.GaussLegendre(2))
    folded = np.array(VERTICES)
    folded[[0, 1]] = folded[[1, 0]]
    for wrong in (folded, VERTICES * [1.0, 1.0, 0.0]):
        assert shapes.signs(shapes.shifted(wrong[None])[0])[1].all()


def test_damage_is_damage_and_repeats():
    import random

    from benchmarks.faults.campaign import damaged

    content = bytes(range(256))
    copies = [damaged(content, random.Random(number)) for number in range(50)]
    assert copies == [damaged(content, random.Random(number)) for number in range(50)]
    assert content not in copies
    assert {len(copy) == 256 for copy in copies} == {True, False}
