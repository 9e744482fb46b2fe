"""Restart files: what was written comes back to the bit; what is damaged, foreign or nonsensical is refused."""

import json
import random
import zipfile

import numpy as np
import pytest
import skfem
from support.fault_problems import reservoir
from support.porous_problems import column, dual

import femnn
from femnn.exceptions import ParameterError, StateError
from femnn.io.restart import VERSION, read_restart, write_restart
from femnn.reservoir import fault, output

KIND = "state of a test"
U, OUTSIDE = np.random.default_rng(0).normal(size=40), np.arange(40) % 3 == 0


def written(path, **changes):
    write_restart(path, KIND, {"t": 0.1, "law": "a law", **changes}, {"u": U, "outside": OUTSIDE})
    return path


def read(path):
    file = read_restart(path, KIND)
    return file.number("t"), file.text("law"), file.array("u", (None,)), file.array("outside", (40,), bool)


def test_what_was_written_comes_back_to_the_bit(tmp_path):
    t, law, u, outside = read(written(tmp_path / "a.npz"))
    assert (t, law) == (0.1, "a law")
    np.testing.assert_array_equal(u, U)
    np.testing.assert_array_equal(outside, OUTSIDE)


def test_every_flip_and_cut_is_refused_or_harmless(tmp_path):
    path, draw = written(tmp_path / "a.npz"), random.Random(5)
    good, refused = path.read_bytes(), 0
    for i in range(400):
        damaged = bytearray(good[: draw.randrange(len(good))] if i % 4 == 0 else good)
        if i % 4:
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            t, law, u, outside = read(path)
        except StateError:
            refused += 1
            continue
        # the archive has bytes that no reader looks at
        assert (t, law) == (0.1, "a law")
        assert np.array_equal(u, U)
        assert np.array_equal(outside, OUTSIDE)
    assert refused > 300


def rewritten(path, header):
    """The file with another header, and the arrays as they were."""
    with np.load(path) as file:
        np.savez(path, **{**{name: file[name] for name in file.files}, "header": np.array(header)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": VERSION + 1}, "update femnn"),
        ({"format": "other"}, "its format is 'other'"),
        ({"kind": "picture"}, "it holds a picture, not a state of a test"),
        ({"t": 0.2}, "sha256"),
        ({"sha256": None}, "sha256"),
        ({"version": "1"}, "no whole restart file"),
    ],
)
def test_headers_of_other_files_are_refused(tmp_path, change, message):
    path = written(tmp_path / "a.npz")
    with np.load(path) as file:
        header = json.loads(file["header"].item())
    rewritten(path, json.dumps(header | change))
    with pytest.raises(StateError, match=message):
        read(path)


@pytest.mark.parametrize(
    "header", ["", "{", "[]", "3", "{}", "[" * 100_000, np.zeros(3), b"\xff"], ids=lambda header: repr(header)[:12]
)
def test_headers_that_are_none_are_refused(tmp_path, header):
    path = written(tmp_path / "a.npz")
    rewritten(path, header)
    with pytest.raises(StateError, match="no whole restart file"):
        read(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(StateError, match="is no file"):
        read(tmp_path)
    with pytest.raises(StateError, match="is no file"):
        read(tmp_path / "none.npz")
    path = tmp_path / "a.npz"
    np.save(path.with_suffix(".npy"), U)
    path.with_suffix(".npy").rename(path)
    with pytest.raises(StateError, match="no whole restart file"):
        read(path)
    np.savez(path, u=np.array([{"a": 1}], dtype=object))
    with pytest.raises(StateError, match="no whole restart file"):
        read(path)
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_LZMA) as file:
        file.writestr("u.npy", b"nothing")
    with pytest.raises(StateError, match="no whole restart file"):
        read(path)


def test_what_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(ParameterError, match="t is not finite"):
        written(tmp_path / "a.npz", t=np.inf)
    with pytest.raises(ParameterError, match="u is not finite"):
        write_restart(tmp_path / "a.npz", KIND, {}, {"u": np.array([np.nan])})
    assert not (tmp_path / "a.npz").exists()


# --- files of the first release, which had no header: their scalars were arrays, and nothing proves their numbers


def cohesive():
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 3)] * 3)
    mesh = mesh.with_boundaries({"layer": lambda x: np.isclose(x[2], 0.5)}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "layer")
    stiffness = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(2), 120e9, 0.3)
    law = femnn.BilinearCohesive(50e6, 80e6, 300.0, 600.0)
    problem = femnn.CohesiveProblem(stiffness, [(femnn.InterfaceElements(interface), law)])
    u = np.linspace(0.0, 1e-6, len(stiffness.indptr) - 1)
    problem.residual_and_tangent(u)
    problem.commit()
    return problem, lambda path: problem.save(path, u, 0.5), problem.load


def porous():
    problem = column(dual())
    state = problem.step(problem.initial_state(), 1e3)
    return problem, lambda path: output.save_state(path, state), lambda path: output.load_state(path, problem)


def faulted():
    problem = reservoir()
    state = problem.step(problem.initial_state(), 1e3)
    return problem, lambda path: fault.save_state(path, state), lambda path: fault.load_state(path, problem)


def nonsense(name, values):
    """What cannot be in the place of an array or scalar."""
    if values.dtype.kind == "U":
        return {"a number": np.float64(3.0), "two": np.array(["a", "b"]), "another law": np.array("none")}
    changes = {"complex": values + 1j, "texts": values.astype(str), "longer": np.r_[values.ravel(), values.ravel()]}
    if values.dtype == bool:
        return changes | {"floats": values.astype(float), "shorter": values[:-1]}
    if values.size:
        changes |= {"infinite": values + np.inf}
    if values.ndim and values.size:
        changes |= {"float32": values.astype(np.float32)}
        changes |= {"one NaN": np.where(np.arange(values.size).reshape(values.shape) == 1, np.nan, values)}
        changes |= {"shorter": values[..., :-1], "one axis more": values[..., None]}
    return changes


@pytest.mark.parametrize("made", [cohesive, porous, faulted])
def test_files_of_the_first_release_are_read_and_their_nonsense_refused(tmp_path, made):
    problem, save, load = made()
    new, old = tmp_path / "new.npz", tmp_path / "old.npz"
    save(new)
    file = read_restart(new, json.loads(np.load(new)["header"].item())["kind"])
    scalars = {name: value for name, value in file.fields.items() if name not in ("format", "version", "kind")}
    entries = file.arrays | {name: np.array(value) for name, value in scalars.items()}
    np.savez_compressed(old, **entries)
    loaded = [load(path) for path in (new, old)]
    assert loaded[0].t == loaded[1].t
    np.testing.assert_array_equal(loaded[0].u, loaded[1].u)
    for name, values in entries.items():
        damaged = [entries | {name: changed} for changed in nonsense(name, values).values()]
        for arrays in [*damaged, {other: entries[other] for other in entries if other != name}]:
            np.savez(tmp_path / "damaged.npz", **arrays)
            with pytest.raises(StateError):
                load(tmp_path / "damaged.npz")
    assert problem is not None
