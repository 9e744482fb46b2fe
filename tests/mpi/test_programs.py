"""Programs on ranks as users start them: commands, the example, ranks that fail or are killed."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
PATH_PROGRAM = Path(__file__).with_name("path_program.py")


def run(*command, ranks=None, folder=None):
    """A Python program, on ranks if a number of them is given, within five minutes."""
    start = [] if ranks is None else [*shlex.split(os.environ["FEMNN_MPIEXEC"]), "-n", str(ranks)]
    command = [*start, sys.executable, *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)


def result(done):
    """u · u at the end of the path."""
    assert done.returncode == 0, done.stderr
    return float(re.search(r"t = 1, u · u = (\S+)", done.stdout)[1])


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return result(run(PATH_PROGRAM, tmp_path_factory.mktemp("whole") / "state", ranks=1))


@pytest.mark.parametrize("end", ["--fail", "--kill"])
def test_others_stop_with_a_rank_and_the_last_checkpoint_is_good(end, tmp_path, expected):
    state = tmp_path / "state"
    done = run(PATH_PROGRAM, state, end, 2, ranks=3)
    assert done.returncode != 0
    if end == "--fail":
        assert "rank 2 of 3 stops all ranks" in done.stderr
        assert "the disk of this rank is on fire" in done.stderr
    else:
        assert re.search(r"signal 9|Killed", done.stderr)
    assert load_file(state)["u"].any()
    # on another number of ranks
    assert result(run(PATH_PROGRAM, state, "--go-on", ranks=2)) == pytest.approx(expected, rel=1e-8)


def test_the_bracket_is_the_same_on_one_rank_and_two(tmp_path):
    figures = []
    for ranks in (1, 2):
        done = run(ROOT / "examples/bracket_on_ranks.py", "--n", 1, "--rtol", 1e-10, "--out", tmp_path, ranks=ranks)
        assert done.returncode == 0, done.stderr
        assert "5,788 elements" in done.stdout
        figures.append(json.loads((tmp_path / "bracket_on_ranks.json").read_text()))
    one, two = figures
    assert two["work"] == pytest.approx(one["work"], rel=1e-8)
    assert two["largest"] == pytest.approx(one["largest"], rel=1e-8)
    assert abs(two["iterations"] - one["iterations"]) <= 2
    assert two["points"] == one["points"] == sum(part[1] for part in two["parts"])


def test_the_injection_is_that_of_one_process_and_goes_on(tmp_path):
    given = ("--small", "--cells", 8, 4, 6, "--steps", 4, "--out", tmp_path)
    rows = []
    for ranks, stop in ((2, ("--stop", 3)), (3, ())):
        done = run(ROOT / "examples/injection_on_ranks.py", *given, *stop, ranks=ranks)
        assert done.returncode == 0, done.stderr
        assert f"classical law on {ranks} ranks" in done.stdout
        rows.append(json.loads((tmp_path / "injection-on-ranks-classical.json").read_text()))
    first, found = rows
    assert found[: len(first)] == first
    done = run(ROOT / "examples/injection_3d.py", "--law", "classical", *given)
    assert done.returncode == 0, done.stderr
    expected = json.loads((tmp_path / "injection-3d-classical.json").read_text())
    assert len(found) == len(expected) > len(first) == 3
    for own, other in zip(found, expected, strict=True):
        assert own["years"] == pytest.approx(other["years"], rel=1e-12)
        assert own["balance"] < 1e-8
        for fault in ("west", "east"):
            assert own[fault] == pytest.approx(other[fault], rel=1e-6)
    assert max(row["east"]["slip"] for row in found) > 1e-3


def test_the_code_of_the_page_runs(tmp_path):
    text = (ROOT / "docs/how-to/scaling.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    law = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})"
    program = "\n".join(
        [law, "from support.structures import steel", "law = steel()", *blocks, "assert path.t == 1.0 and t == 0.5"]
    )
    (tmp_path / "page.py").write_text(program, encoding="utf-8")
    (tmp_path / "meshes").symlink_to(ROOT / "meshes")
    done = run(tmp_path / "page.py", ranks=2, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def femnn(*arguments):
    return run("-c", "from femnn.cli import main; main()", *arguments)


READ = """
import sys
from femnn.parallel import DistributedMesh
distributed = DistributedMesh.read(sys.argv[1], mesh=sys.argv[2])
cells = distributed.comm.allreduce(len(distributed.cells))
if distributed.comm.rank == 0:
    print(cells, "cells")
"""


def test_partition_files_are_read_by_each_rank_and_refused_for_another_mesh(tmp_path):
    mesh, other = ROOT / "meshes/bracket.vtu", ROOT / "meshes/bent_blade.vtu"
    done = femnn("partition", mesh, "--ranks", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part-0-of-2.npz", "part-1-of-2.npz"]
    done = run("-c", READ, tmp_path, mesh, ranks=2)
    assert "5788 cells" in done.stdout, done.stderr
    refused = run("-c", READ, tmp_path, other, ranks=2)
    assert refused.returncode != 0
    assert "is a partition of another mesh" in refused.stderr
    three = run("-c", READ, tmp_path, mesh, ranks=3)
    assert three.returncode != 0
    assert "there are partitions for [2] ranks" in three.stderr
    (tmp_path / "part-1-of-2.npz").write_bytes((tmp_path / "part-1-of-2.npz").read_bytes()[:1000])
    damaged = run("-c", READ, tmp_path, mesh, ranks=2)
    assert damaged.returncode != 0
    assert "is no whole part of a partition" in damaged.stderr


def test_parts_of_two_meshes_are_not_mixed(tmp_path):
    for mesh in ("bracket", "bent_blade"):
        femnn("partition", ROOT / f"meshes/{mesh}.vtu", "--ranks", 2, "--gauss", 2, "--out", tmp_path / mesh)
    (tmp_path / "bent_blade/part-1-of-2.npz").replace(tmp_path / "bracket/part-1-of-2.npz")
    program = READ.replace("mesh=sys.argv[2]", "mesh=None")
    done = run("-c", program, tmp_path / "bracket", ranks=2)
    assert done.returncode != 0
    assert "parts of different meshes" in done.stderr


def test_more_ranks_than_cells(tmp_path):
    done = femnn("partition", ROOT / "meshes/bracket.vtu", "--ranks", 5789, "--gauss", 2, "--out", tmp_path)
    assert done.returncode == 2
    assert "5789 ranks cannot share 5788 cells" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["mpi4py", "petsc4py"])
def test_what_is_missing_is_named(missing):
    program = f"import sys; sys.modules['{missing}'] = None; from femnn.parallel import world; world()"
    done = run("-c", program)
    assert "MissingExtraError" in done.stderr
    assert "pip install 'femnn[mpi]'" in done.stderr
    assert "python3-petsc4py python3-mpi4py" in done.stderr
