"""Faulted reservoirs over the ranks: the same steps as in one process, whose files any number of ranks goes on from."""

from xml.etree import ElementTree

import meshio
import numpy as np
import pytest
import skfem

import femnn
from femnn.exceptions import ConvergenceError, MeshError, OutsideRangeError, ParameterError, StateError
from femnn.interfaces import Interface
from femnn.parallel import (
    DistributedMesh,
    RankFaultedReservoir,
    RankFaultSeries,
    RankSeries,
    checkpoint,
    partition,
)
from femnn.quadrature import GaussLegendre
from femnn.reservoir import Conditions, DualPorousMedium, PorousMedium, Well, march
from femnn.reservoir.fault import ConstantCore, CrackedCore, Fault, FaultedReservoir, FaultHistory

SINGLE = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14, porosity=0.2, grain_bulk=30e9)
DUAL = DualPorousMedium(
    young=1e9, poisson=0.3, permeability=1e-13, macro_fraction=0.4, micro_permeability=1e-15, exchange=1e-14
)
DAY = 86400.0
RULE = GaussLegendre(2)
LAW = femnn.BilinearCohesive(0.4e6, 0.5e6, 4e3, 5e3, friction=0.5)
STRESS = np.array([[-2e6, 0.0, 0.4e6], [0.0, -2e6, 0.0], [0.4e6, 0.0, -3e6]])


def block(seed=0, size=(6, 4, 6)):
    """A block of distorted cells of 1 m, with a fault across all of it and one that ends inside."""
    mesh = skfem.MeshHex.init_tensor(*(np.arange(n + 1.0) for n in size))
    inner = np.ones(mesh.nvertices, dtype=bool)
    inner[mesh.boundary_nodes()] = False
    inner[(mesh.p[0] == 2.0) | (mesh.p[0] == 4.0)] = False
    p = mesh.p + np.random.default_rng(seed).uniform(-0.1, 0.1, mesh.p.shape) * inner
    mesh = skfem.MeshHex(p, mesh.t).with_boundaries({
        "bottom": lambda x: x[2] == 0.0, "top": lambda x: x[2] == size[2],
        "left": lambda x: x[0] == 0.0, "right": lambda x: x[0] == size[0],
        "front": lambda x: x[1] == 0.0, "back": lambda x: x[1] == size[1],
    })  # fmt: skip
    return mesh.with_boundaries(
        {
            "through": lambda x: np.isclose(x[0], 2.0),
            "inner": lambda x: np.isclose(x[0], 4.0) & (np.abs(x[1] - 2.0) < 1.1) & (np.abs(x[2] - 3.0) < 2.1),
        },
        boundaries_only=False,
    )


def conditions(**given):
    held = {"left": (0.0, None, None), "right": (0.0, None, None), "bottom": (None, None, 0.0)}
    held |= {"front": (None, 0.0, None), "back": (None, 0.0, None)}
    return Conditions(**{"displacement": held, "pressure": {"left": 0.0, "right": 0.0}, **given})


def faults_of(interfaces, dual, **given):
    """A fault on each interface; only those of two pore systems conduct along themselves and crack."""
    cracked = CrackedCore(1e-16, 0.5, spacing=1.0, opening=0.02, dilation=1e-2, along=1e-14, compressibility=1e-9)
    cores = (cracked, ConstantCore(1e-18, 0.5)) if dual else ConstantCore(1e-17, 0.5)
    slid = np.array([[0.0, 0.0, share * 0.05] for share in np.linspace(0.1, 1.0, 5)])
    return [Fault(own, LAW, cores, stress=STRESS, history=slid, **given) for own in interfaces]


def split(names, mesh=None):
    whole = Interface.split(mesh or block(), list(names))
    return [whole.named(name) for name in names]


def on_ranks(comm, names, medium=SINGLE, held=None, **given):
    interfaces = split(names)
    distributed = DistributedMesh.of(interfaces[0].mesh, interfaces=interfaces, comm=comm, paired=True)
    faults = faults_of([distributed.interface(number) for number in range(len(names))], medium is DUAL)
    return RankFaultedReservoir(distributed, medium, held or conditions(), faults, rule=RULE, **given)


def serial(names, medium=SINGLE, held=None, **given):
    faults = faults_of(split(names), medium is DUAL)
    options = {"element": skfem.ElementHex1(), "rule": RULE, "method": "splu"}
    return FaultedReservoir(medium, held or conditions(), faults, **options, **given)


def steps(reservoir, state, lengths):
    """The state after steps, and the balances of these."""
    balances = []
    for dt in lengths:
        old, state = state, reservoir.step(state, dt)
        balances.append(reservoir.balance(old, state))
    return state, balances


SINGLE_WELL = (Well((3.1, 2.1, 3.3), 4e-5),)
DUAL_WELLS = (Well((3.1, 2.1, 3.3), (6e-4, None)), Well((5.4, 1.5, 2.5), pressure=-1e5, well_index=(1e-12, 1e-13)))
LENGTHS = (0.1 * DAY, DAY, 2.0 * DAY)


@pytest.fixture
def folder(comm, tmp_path_factory):
    """One folder for all ranks."""
    return comm.bcast(tmp_path_factory.mktemp("faults") if comm.rank == 0 else None)


def assert_close(found, expected, relative=1e-8):
    """Relative to the largest value."""
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=relative * np.abs(np.asarray(expected, float)).max())


def same_error(comm, kind, act):
    """The words of an error that all ranks raise alike."""
    with pytest.raises(kind) as raised:
        act()
    words = set(comm.allgather(str(raised.value)))
    assert len(words) == 1
    return words.pop()


@pytest.mark.parametrize(
    ("names", "medium", "wells", "options"),
    [
        (("through",), SINGLE, SINGLE_WELL, {}),
        (("through", "inner"), DUAL, DUAL_WELLS, {}),
        (("inner",), SINGLE, SINGLE_WELL, {"density": 2e3}),
    ],
    ids=["one fault", "two faults and systems", "inertia"],
)
def test_steps_are_those_of_one_process(comm, names, medium, wells, options):
    reservoir = on_ranks(comm, names, medium, conditions(wells=wells), **options)
    found, balances = steps(reservoir, reservoir.initial_state(), LENGTHS)
    whole, fields = reservoir.gathered(found), reservoir.fields(found)
    # of an iteration, against factors
    assert max(balance.error.max() for balance in balances) < 1e-8
    if comm.rank == 0:
        one = serial(names, medium, conditions(wells=wells), **options)
        expected, by_one = steps(one, one.initial_state(), LENGTHS)
        # the friction of 0.5 lets a fault slip where a fifth of the compression is left
        assert fields.slip.max() > 1e-5
        one.check(whole)
        for name in ("u", "p", "traction", "leak_off", "along"):
            assert_close(getattr(whole, name), getattr(expected, name))
        for name, values in one.fields(expected)._asdict().items():
            # rates are differences of what hardly changes any more
            assert_close(getattr(fields, name), values, 1e-4 if name == "rate" else 1e-8)
        scale = np.abs(by_one[-1].injected).max()
        for name in ("stored", "injected", "exchanged", "opened", "leaked"):
            np.testing.assert_allclose(getattr(balances[-1], name), getattr(by_one[-1], name), atol=1e-8 * scale)
        for name, through in by_one[-1].through.items():
            np.testing.assert_allclose(balances[-1].through[name], through, atol=1e-8 * scale)
        assert reservoir.sites.parts == one.sites.parts
        np.testing.assert_allclose(reservoir.sites.dx, one.sites.dx, rtol=1e-12)
        if options:
            assert one.kinetic_energy(expected) > 0.0
    assert len(set(comm.allgather(reservoir.iterations))) == 1


def test_tangents_are_derivatives_of_residuals(comm):
    reservoir = on_ranks(comm, ("through", "inner"), DUAL, conditions(wells=DUAL_WELLS))
    state = reservoir.step(reservoir.initial_state(), DAY)
    distributed = reservoir.distributed
    # the same on all ranks that share an unknown
    places = distributed.mesh.p.T @ [0.3, 0.7, 1.1]
    u = 1e-7 * np.sin(places[:, None] + np.arange(3)).ravel()
    direction = np.concatenate([u, 1e2 * np.cos(places), 1e2 * np.sin(2.0 * places)])
    ahead, behind = (reservoir.residual(state.x + sign * direction, state, DAY) for sign in (1.0, -1.0))
    slope = reservoir.porous.summed(reservoir.tangent(state.x, state, DAY) @ direction)
    n_u = reservoir.porous.n_u
    for rows in (slice(n_u), slice(n_u, None)):
        scale = comm.allreduce(float(np.abs(slope[rows]).max()), op=max)
        assert np.abs(0.5 * (ahead - behind)[rows] - slope[rows]).max() < 1e-6 * scale


def test_histories_find_the_events_of_one_process(comm):
    held, times = conditions(wells=SINGLE_WELL), [0.2 * DAY, DAY, 3.0 * DAY]
    reservoir = on_ranks(comm, ("through", "inner"), SINGLE, held, largest_slip=5e-5)

    def run(body):
        history = FaultHistory(body, slip=1e-5)
        march(body.step, body.initial_state(), times, callback=history.add, progress=False)
        return history, history.events(rate=1e-11)

    found, events = run(reservoir)
    assert len(set(comm.allgather(found.onset))) == 1
    assert len(set(comm.allgather(tuple(events)))) == 1
    if comm.rank == 0:
        expected, by_one = run(serial(("through", "inner"), SINGLE, held, largest_slip=5e-5))
        assert by_one
        assert len(found.times) > len(times)
        np.testing.assert_allclose(found.times, expected.times, rtol=1e-12)
        assert found.onset == pytest.approx(expected.onset)
        np.testing.assert_allclose(found.leaked, expected.leaked, rtol=1e-8, atol=1e-16)
        for own, other in zip(events, by_one, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-5)


def test_another_number_of_ranks_goes_on(comm, alone, folder):
    names, held = ("through", "inner"), conditions(wells=DUAL_WELLS)
    if comm.rank == 0:
        one = on_ranks(alone, names, DUAL, held)
        state = steps(one, one.initial_state(), LENGTHS[:1])[0]
        checkpoint.save_state(folder / "one", one, state)
    comm.Barrier()
    reservoir = on_ranks(comm, names, DUAL, held)
    state = checkpoint.load_state(folder / "one", reservoir)
    assert state.t == LENGTHS[0]
    state = steps(reservoir, state, LENGTHS[1:])[0]
    checkpoint.save_state(folder / "all", reservoir, state)
    if comm.rank == 0:
        back = one.gathered(checkpoint.load_state(folder / "all", one))
        whole = serial(names, DUAL, held)
        expected = steps(whole, whole.initial_state(), LENGTHS)[0]
        whole.check(back)
        for name in ("u", "p", "traction", "leak_off", "along"):
            assert_close(getattr(back, name), getattr(expected, name))
        np.testing.assert_allclose(back.history.values, expected.history.values, rtol=1e-8, atol=1e-12)


def test_checkpoints_of_others_are_refused_on_all_ranks(comm, folder):
    reservoir = on_ranks(comm, ("through",))
    state = reservoir.initial_state()
    checkpoint.save_state(folder / "good", reservoir, state)
    checkpoint.save_state(folder / "body", reservoir.porous, reservoir.porous.initial_state())
    for other, kind in ((on_ranks(comm, ("inner",)), "mesh"), (on_ranks(comm, ("through",), DUAL), "systems")):
        assert kind in same_error(comm, StateError, lambda own=other: checkpoint.load_state(folder / "good", own))
    assert "goes with its laws" in same_error(
        comm, StateError, lambda: checkpoint.load_state(folder / "body", reservoir)
    )
    with pytest.raises(StateError, match="a state goes with"):
        on_ranks(comm, ("through",), DUAL).step(state, DAY)


def test_a_series_has_the_facets_of_all_ranks(comm, folder):
    reservoir = on_ranks(comm, ("through", "inner"), DUAL, conditions(wells=DUAL_WELLS))
    series, body = RankFaultSeries(folder / "faults.pvd", reservoir), RankSeries(folder / "body.pvd", reservoir.porous)
    state = reservoir.step(reservoir.initial_state(), DAY)
    series.write(state)
    body.write(state)
    fields, sites = reservoir.fields(state), reservoir.sites
    if comm.rank == 0:
        grid = ElementTree.parse(folder / "faults-0000.pvtu")
        pieces = [meshio.read(folder / piece.attrib["Source"]) for piece in grid.iter("Piece")]
        assert len(pieces) == comm.size
        found = np.concatenate([piece.points[cells.data].mean(axis=1) for piece in pieces for cells in piece.cells])
        slip = np.concatenate([
            np.linalg.norm(values[:, 1:], axis=1) for piece in pieces for values in piece.cell_data["separation"]
        ])  # fmt: skip
        x, dx = sites.x.T.reshape(-1, 4, 3).mean(axis=1), sites.dx.reshape(-1, 4, 1)
        assert len(found) == len(x) == 24 + 8
        mean = (dx * fields.separation.reshape(-1, 4, 3)).sum(axis=1) / dx.sum(axis=1)
        same = np.linalg.norm(found[:, None] - x, axis=2).argmin(axis=1)
        np.testing.assert_allclose(slip, np.linalg.norm(mean[same, 1:], axis=1), rtol=1e-8, atol=1e-16)
        assert (folder / "body-0000.pvtu").exists()


def test_steps_that_fail_fail_on_all_ranks_alike(comm):
    held = conditions(wells=SINGLE_WELL)
    short = on_ranks(comm, ("through",), SINGLE, held, largest_slip=1e-9)
    start = short.initial_state()
    assert "the fault slides" in same_error(comm, ConvergenceError, lambda: short.step(start, DAY))
    few = on_ranks(comm, ("through",), SINGLE, held, max_iterations=1)
    told = same_error(comm, ConvergenceError, lambda: few.step(start, 10.0 * DAY))
    assert "after 1 iterations the residual was still" in told
    assert "the relative residual is" in told
    torn = on_ranks(comm, ("through",), SINGLE, conditions(wells=[Well((3.1, 2.1, 3.3), 3e-4)]), on_fracture="raise")
    assert "MPa at [" in same_error(comm, OutsideRangeError, lambda: torn.step(torn.initial_state(), 10.0 * DAY))
    broken = on_ranks(
        comm, ("through",), SINGLE, conditions(source=lambda x, t: np.where(x[2] > 5.0, np.nan, 0.0))
    )  # fmt: skip
    with pytest.raises(ParameterError, match="source is not finite"):
        broken.step(start, DAY)


def test_bad_input_is_refused_on_all_ranks(comm):
    interfaces = split(("through", "inner"))
    distributed = DistributedMesh.of(interfaces[0].mesh, interfaces=interfaces, comm=comm, paired=True)
    through, inner = faults_of([distributed.interface(0), distributed.interface(1)], dual=False)

    def built(faults, held=None, mesh=distributed):
        return lambda: RankFaultedReservoir(mesh, SINGLE, held or conditions(), faults, rule=RULE)

    assert "there are 1 faults for the 2 interfaces" in same_error(comm, ParameterError, built(through))
    assert "not on interface 0" in same_error(comm, ParameterError, built([inner, through]))
    within = conditions(wells=[Well((2.0, 1.3, 2.2), 1e-6)])
    assert "is in a fault" in same_error(comm, ParameterError, built([through, inner], within))
    pulled = [Fault(distributed.interface(number), LAW, stress=-STRESS) for number in (0, 1)]
    with pytest.raises(ParameterError, match="pulls the fault open"):
        built(pulled)()
    lifting = conditions(wells=[Well((5.4, 1.5, 2.5), pressure=4e6, well_index=1e-12)])
    reservoir = built([through, inner], lifting)()
    told = same_error(comm, ParameterError, lambda: reservoir.step(reservoir.initial_state(), DAY))
    assert "the overburden is only 3 MPa" in told
    if comm.size > 1:
        cut = DistributedMesh.of(interfaces[0].mesh, interfaces=interfaces, comm=comm)
        parts = [cut.interface(0), cut.interface(1)]
        if comm.allreduce(sum(int((part.plus < 0).sum()) for part in parts)):
            with pytest.raises(MeshError, match="pass paired=True"):
                built(faults_of(parts, dual=False), mesh=cut)()


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_partitions_keep_pairs_together(ranks):
    interfaces = split(("through", "inner"))
    mesh = interfaces[0].mesh
    part = partition(mesh, ranks, interfaces=interfaces, paired=True)
    for interface in interfaces:
        minus, plus = part[mesh.f2t[0, interface.minus]], part[mesh.f2t[0, interface.plus]]
        np.testing.assert_array_equal(minus, plus)
    assert set(part) == set(range(ranks))
    assert np.bincount(part).max() < 1.15 * mesh.nelements / ranks
    # joints on all facets make one group of all cells
    joints = Interface.split(skfem.MeshHex().refined(1), np.flatnonzero(skfem.MeshHex().refined(1).f2t[1] >= 0))
    with pytest.raises(ParameterError, match=r"cannot share 1 groups of cells that faults hold together"):
        partition(joints.mesh, ranks, interfaces=[joints], paired=True)
