"""Plasticity and cohesive interfaces over the ranks, and checkpoints that other numbers of ranks go on from."""

from functools import partial

import numpy as np
import pytest
from safetensors.numpy import load_file
from support.structures import RULE, beam, cut_beam, difference, pulled, steel

import femnn
from femnn.exceptions import ConvergenceError, StateError
from femnn.parallel import DistributedMesh, RankProblem, checkpoint, solve

FAR = 1e-2
accurate = partial(solve, rtol=1e-11, overwrite=True)
direct = partial(solve, method="mumps", overwrite=True)


@pytest.fixture
def folder(comm, tmp_path_factory):
    """One folder for all ranks."""
    return comm.bcast(tmp_path_factory.mktemp("ranks") if comm.rank == 0 else None)


def plastic(comm, mesh, law=None):
    """The plastic beam on all ranks: problem, supports and their values."""
    distributed = DistributedMesh.of(mesh, comm=comm)
    return (
        RankProblem(distributed, femnn.Solid(distributed.mesh, RULE, law or steel())),
        *pulled(distributed.mesh, FAR),
    )


def follow(problem, fixed, values, solver=accurate, **options):
    load = np.zeros(problem.distributed.n_dofs)
    return femnn.newton(problem, load, fixed, values, solver=solver, progress=False, **options)


@pytest.fixture(scope="module")
def expected():
    """The plastic beam without ranks: path and equivalent plastic strain at each point, by cells."""
    mesh = beam()
    solid = femnn.Solid(mesh, RULE, steel())
    path = femnn.newton(solid, np.zeros(solid.n_dofs), *pulled(mesh, FAR), steps=4, progress=False)
    cells = np.concatenate([np.repeat(g.cells, s.shape[1]) for g, s in zip(solid.groups, solid.states, strict=True)])
    flat = np.concatenate([s.reshape(-1, 7) for s in solid.states])
    return path, flat[np.argsort(cells, kind="stable")]


def test_a_plastic_beam_is_that_of_one_rank(comm, folder, expected):
    problem, *held = plastic(comm, beam())
    file = folder / "plastic.safetensors"
    path = follow(problem, *held, steps=4, callback=checkpoint.saver(file, problem))
    assert [step.iterations for step in path.steps] == [step.iterations for step in expected[0].steps]
    found = problem.distributed.gathered(path.u)
    if comm.rank == 0:
        assert difference(found, expected[0].u) < 1e-8
        assert expected[1][:, 6].max() > 1e-3
        # any program can read it: numbers of the whole mesh, points in the order of the cells
        written = load_file(file)
        assert difference(written["u"].ravel(), expected[0].u) < 1e-8
        assert difference(written["state0"], expected[1]) < 1e-7


def test_another_number_of_ranks_goes_on(comm, alone, folder, expected):
    if comm.rank == 0:
        problem, *held = plastic(alone, beam())
        follow(problem, *held, steps=[0.25, 0.5], callback=checkpoint.saver(folder / "one", problem))
    comm.Barrier()
    problem, *held = plastic(comm, beam())
    restart = checkpoint.load(folder / "one", problem)
    assert restart.t == 0.5
    path = follow(problem, *held, steps=[0.75, 1.0], initial=restart.u, start=restart.t)
    found = problem.distributed.gathered(path.u)
    # and back: from all ranks to one
    checkpoint.save(folder / "all", problem, path.u, path.t)
    if comm.rank == 0:
        assert difference(found, expected[0].u) < 1e-8
        problem, *held = plastic(alone, beam())
        restart = checkpoint.load(folder / "all", problem)
        assert difference(problem.distributed.gathered(restart.u), expected[0].u) < 1e-8
        order = np.argsort(np.concatenate([
            np.repeat(g.cells, s.shape[1]) for g, s in zip(problem.problem.groups, problem.problem.states, strict=True)
        ]), kind="stable")  # fmt: skip
        flat = np.concatenate([s.reshape(-1, 7) for s in problem.problem.states])[order]
        assert difference(flat, expected[1]) < 1e-7


class Weak(femnn.ConstitutiveLaw):
    """Elastic; without an answer beyond a strain."""

    kinematics = "small"

    def __init__(self, limit=np.inf):
        self.limit = limit

    def initial_state(self, n):
        return np.zeros((n, 1))

    def update(self, strain, state):
        stress = 1e9 * strain
        stress[np.abs(strain[:, 0]) > self.limit] = np.nan
        return stress, np.tile(1e9 * np.eye(6), (len(strain), 1, 1)), state + 1.0


def test_a_law_without_an_answer_on_one_rank_cuts_the_step_on_all(comm):
    problem, *held = plastic(comm, beam(), Weak(4e-3 if comm.rank == comm.size - 1 else np.inf))
    with pytest.raises(ConvergenceError, match="no equilibrium was found beyond t") as caught:
        follow(problem, *held, steps=1, min_step=0.05)
    # the strain is t times 5e-3 and somewhat more at the ends
    assert 0.6 <= caught.value.t < 0.8
    assert len(set(comm.allgather(caught.value.t))) == 1
    # all went as many steps, whoever failed
    steps = comm.allgather([float(state.max()) for state in problem.problem.states])
    assert len({step for own in steps for step in own}) == 1


def cut(comm):
    """The beam with a cohesive interface on all ranks."""
    interface = femnn.Interface.split(beam(), "cut")
    distributed = DistributedMesh.of(interface.mesh, interfaces=[interface], comm=comm)
    return RankProblem(distributed, cut_beam(distributed.mesh, distributed.interface())), interface, distributed


def test_a_cohesive_interface_opens_as_on_one_rank(comm, alone, folder):
    problem, interface, distributed = cut(comm)
    fixed, values = pulled(distributed.mesh, 8e-4)
    path = follow(problem, fixed, values, direct, steps=6, callback=checkpoint.saver(folder / "cut", problem))
    found, damage = distributed.gathered(path.u), comm.gather((distributed.sides[0][0], problem.problem.damage()[0]))
    if comm.rank == 0:
        whole = cut_beam(interface.mesh, interface)
        held = pulled(interface.mesh, 8e-4)
        solver = partial(femnn.solve, method="splu")
        expected = femnn.newton(whole, np.zeros(3 * interface.mesh.nvertices), *held, steps=6, solver=solver,
                                progress=False)  # fmt: skip
        assert [step.iterations for step in path.steps] == [step.iterations for step in expected.steps]
        assert difference(found, expected.u) < 1e-8
        by_pair = np.empty_like(whole.damage()[0])
        for pairs, values in damage:
            by_pair[pairs] = values
        assert by_pair.max() > 0.1
        np.testing.assert_allclose(by_pair, whole.damage()[0], atol=1e-8)
        one, _, _ = cut(alone)
        restart = checkpoint.load(folder / "cut", one)
        np.testing.assert_allclose(one.problem.damage()[0], by_pair, atol=1e-12)
        assert difference(one.distributed.gathered(restart.u), expected.u) < 1e-8


def test_checkpoints_of_others_are_refused_on_all_ranks(comm, folder):
    problem, *_ = plastic(comm, beam())
    zeros = np.zeros(problem.distributed.n_dofs)
    checkpoint.save(folder / "good", problem, zeros, 0.25)
    with pytest.raises(StateError, match="was written for the mesh"):
        checkpoint.load(folder / "good", plastic(comm, beam(seed=1))[0])
    with pytest.raises(StateError, match="a checkpoint goes with its laws"):
        checkpoint.load(folder / "good", plastic(comm, beam(), Weak())[0])
    distributed = problem.distributed
    finer = RankProblem(distributed, femnn.Solid(distributed.mesh, femnn.GaussLegendre(7), steel()))
    with pytest.raises(StateError, match="a checkpoint goes with its rule"):
        checkpoint.load(folder / "good", finer)
    with pytest.raises(StateError, match="is no whole checkpoint"):
        checkpoint.load(folder / "none", problem)
    if comm.rank == 0:
        whole = (folder / "good").read_bytes()
        (folder / "cut").write_bytes(whole[:-8])
    comm.Barrier()
    with pytest.raises(StateError, match="bytes"):
        checkpoint.load(folder / "cut", problem)


def test_a_checkpoint_that_fails_leaves_the_last_one(comm, folder, monkeypatch):
    problem, *_ = plastic(comm, beam())
    file = folder / "last"
    checkpoint.save(file, problem, np.ones(problem.distributed.n_dofs), 0.25)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(file, problem, np.zeros(problem.distributed.n_dofs), 0.5)
    monkeypatch.undo()
    restart = checkpoint.load(file, problem)
    assert restart.t == 0.25
    assert (restart.u == 1.0).all()
