"""Porous bodies over the ranks: the same steps as in one process, whose files any number of ranks goes on from."""

from xml.etree import ElementTree

import meshio
import numpy as np
import pytest
import skfem
from support.structures import difference

from femnn.exceptions import ConvergenceError, MeshError, ParameterError, SingularMatrixError, StateError
from femnn.interfaces import Interface
from femnn.parallel import DistributedMesh, RankPorousProblem, RankSeries, checkpoint
from femnn.quadrature import GaussLegendre
from femnn.reservoir import (
    Conditions,
    ConsolidatingColumn,
    DualPorousMedium,
    PorousMedium,
    PorousProblem,
    Schedule,
    Well,
    march,
    march_by_error,
)

SINGLE = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14, porosity=0.2, grain_bulk=30e9)
DUAL = DualPorousMedium(
    young=1e9, poisson=0.3, permeability=1e-13, macro_fraction=0.4, micro_permeability=1e-15, exchange=1e-14
)
LOAD, DAY = 1e6, 86400.0
# compiled within a second
RULE = GaussLegendre(2)
WELLS = (
    Well((1.3, 1.1, 2.2), (1e-6, None)),
    # between cells, and perhaps between ranks
    Well((2.0, 2.0, 6.0), pressure=Schedule([(0.0, 2.0 * DAY, -1e5)]), well_index=(1e-12, 1e-13)),
)


def column(seed=0):
    """A column 4 by 4 by 8 of distorted cells; its middle is a named boundary inside, and its vertices stay."""
    mesh = skfem.MeshHex.init_tensor(np.arange(0.0, 5.0, 2.0), np.arange(0.0, 5.0, 2.0), np.arange(0.0, 9.0))
    inner = np.ones(mesh.nvertices, dtype=bool)
    inner[mesh.boundary_nodes()] = False
    inner[mesh.p[2] == 6.0] = False
    p = mesh.p + np.random.default_rng(seed).uniform(-0.2, 0.2, mesh.p.shape) * inner
    mesh = skfem.MeshHex(p, mesh.t).with_boundaries({
        "bottom": lambda x: x[2] == 0.0, "top": lambda x: x[2] == 8.0,
        "left": lambda x: x[0] == 0.0, "right": lambda x: x[0] == 4.0,
        "front": lambda x: x[1] == 0.0, "back": lambda x: x[1] == 4.0,
    })  # fmt: skip
    return mesh.with_boundaries({"middle": lambda x: x[2] == 6.0}, boundaries_only=False)


def conditions(**given):
    smooth = dict.fromkeys(("left", "right"), (0.0, None, None))
    smooth |= dict.fromkeys(("front", "back"), (None, 0.0, None))
    return Conditions(**{
        "displacement": {**smooth, "bottom": (0.0, 0.0, 0.0)},
        "traction": {"top": (0.0, 0.0, -LOAD)},
        "pressure": {"top": 0.0},
        **given,
    })  # fmt: skip


def on_ranks(comm, medium, held=None, mesh=None):
    distributed = DistributedMesh.of(mesh or column(), comm=comm)
    return RankPorousProblem(distributed, medium, held or conditions(), rule=RULE)


def serial(medium, held=None):
    return PorousProblem(column(), medium, held or conditions(), element=skfem.ElementHex1(), rule=RULE, method="splu")


def steps(problem, state, lengths):
    """The state after steps, and the balances of these."""
    balances = []
    for dt in lengths:
        old, state = state, problem.step(state, dt)
        balances.append(problem.balance(old, state))
    return state, balances


@pytest.fixture
def folder(comm, tmp_path_factory):
    """One folder for all ranks."""
    return comm.bcast(tmp_path_factory.mktemp("porous") if comm.rank == 0 else None)


def test_a_column_consolidates_as_terzaghi_says(comm):
    problem, exact = on_ranks(comm, SINGLE), ConsolidatingColumn(SINGLE, length=8.0, load=LOAD)
    start = problem.undrained()
    largest = comm.allreduce(float(np.abs(start.p).max()), op=max)
    assert largest == pytest.approx(exact.undrained_pressure[0], rel=1e-2)
    end = 0.2 * exact.time
    state = march_by_error(problem.step, start, [end], problem.step_error, tolerance=2e-3, progress=False)
    expected = exact.pressure(8.0 - problem.distributed.mesh.p[2], end)
    assert np.abs(state.p - expected).max() < 0.02 * exact.undrained_pressure[0]
    assert len(set(comm.allgather(state.t))) == 1


@pytest.mark.parametrize(
    ("medium", "given"),
    [
        (SINGLE, {}),
        (DUAL, {}),
        (DUAL, {"wells": WELLS}),
        (SINGLE, {"flux": {"middle": 1e-8, "bottom": -1e-9}, "body_force": (0.0, 10.0, -2e4), "source": 1e-10}),
        (DUAL, {"pressure": {"top": (1e5, None), "back": (None, 2e4)}}),
    ],
    ids=["one system", "two systems", "wells", "fluxes", "drains of single systems"],
)
def test_steps_are_those_of_one_process(comm, medium, given):
    problem = on_ranks(comm, medium, conditions(**given))
    lengths = (DAY, DAY, 5.0 * DAY)
    found, balances = steps(problem, problem.undrained(), lengths)
    rates, whole = problem.well_rates(found), problem.gathered(found)
    assert max(balance.error.max() for balance in balances) < 1e-8
    if comm.rank == 0:
        one = serial(medium, conditions(**given))
        expected, by_one = steps(one, one.undrained(), lengths)
        # of an iteration whose mass balance is 1e-8, against factors
        assert difference(whole.u, expected.u) < 1e-6
        assert difference(whole.p, expected.p) < 1e-6
        np.testing.assert_allclose(rates, one.well_rates(expected), rtol=1e-7, atol=1e-18)
        scale = np.abs(by_one[-1].stored).max()
        for name in ("stored", "injected", "exchanged"):
            np.testing.assert_allclose(getattr(balances[-1], name), getattr(by_one[-1], name), atol=1e-6 * scale)
        for name, through in by_one[-1].through.items():
            np.testing.assert_allclose(balances[-1].through[name], through, atol=1e-6 * scale)
    assert len(set(comm.allgather(problem.iterations))) == 1


def test_coefficients_are_those_of_the_own_cells(comm):
    permeability = np.exp(np.random.default_rng(3).uniform(-33.0, -30.0, column().nelements))
    distributed = DistributedMesh.of(column(), comm=comm)
    given = {"young": 1e9, "poisson": 0.2}
    medium = PorousMedium(**given, permeability=permeability[distributed.cells])
    problem = RankPorousProblem(distributed, medium, conditions(), rule=RULE)
    found = problem.gathered(steps(problem, problem.undrained(), (DAY, DAY))[0])
    if comm.rank == 0:
        one = serial(PorousMedium(**given, permeability=permeability))
        expected = steps(one, one.undrained(), (DAY, DAY))[0]
        assert difference(found.p, expected.p) < 1e-8


def test_errors_choose_the_same_steps_as_in_one_process(comm):
    times = {}
    problem = on_ranks(comm, DUAL)
    given = {"tolerance": 5e-3, "first_step": 0.1 * DAY, "progress": False}

    def run(body, name):
        taken = times.setdefault(name, [])
        march_by_error(
            body.step, body.undrained(), [20.0 * DAY], body.step_error,
            callback=lambda state: taken.append(state.t), **given,
        )  # fmt: skip

    run(problem, "ranks")
    if comm.rank == 0:
        run(serial(DUAL), "one")
        assert len(times["one"]) > 4
        np.testing.assert_allclose(times["ranks"], times["one"], rtol=1e-12)


def test_another_number_of_ranks_goes_on(comm, alone, folder):
    held = conditions(wells=WELLS)
    if comm.rank == 0:
        one = on_ranks(alone, DUAL, held)
        checkpoint.save_state(folder / "one", one, steps(one, one.undrained(), (DAY, DAY))[0])
    comm.Barrier()
    problem = on_ranks(comm, DUAL, held)
    state = checkpoint.load_state(folder / "one", problem)
    assert state.t == 2.0 * DAY
    state = march(problem.step, state, [DAY, 2.0 * DAY, 3.0 * DAY], progress=False)
    checkpoint.save_state(folder / "all", problem, state)
    if comm.rank == 0:
        back = one.gathered(checkpoint.load_state(folder / "all", one))
        whole = serial(DUAL, held)
        expected = steps(whole, whole.undrained(), (DAY, DAY, DAY))[0]
        assert back.t == pytest.approx(3.0 * DAY)
        assert difference(back.u, expected.u) < 1e-8
        assert difference(back.p, expected.p) < 1e-8


def test_checkpoints_of_others_are_refused_on_all_ranks(comm, folder):
    problem = on_ranks(comm, SINGLE)
    checkpoint.save_state(folder / "good", problem, problem.initial_state())
    with pytest.raises(StateError, match="was written for the mesh"):
        checkpoint.load_state(folder / "good", on_ranks(comm, SINGLE, mesh=column(seed=1)))
    with pytest.raises(StateError, match="porous body of the systems pores"):
        checkpoint.load_state(folder / "good", on_ranks(comm, DUAL))
    if comm.rank == 0:
        (folder / "cut").write_bytes((folder / "good").read_bytes()[:-8])
    comm.Barrier()
    with pytest.raises(StateError, match="bytes"):
        checkpoint.load_state(folder / "cut", problem)


def test_a_series_has_the_cells_of_all_ranks(comm, folder):
    problem = on_ranks(comm, DUAL)
    series, state = RankSeries(folder / "body.pvd", problem), problem.initial_state()
    series.write(state)
    series.write(problem.step(state, DAY))
    # a run that goes on from its beginning
    series = RankSeries(folder / "body.pvd", problem, start=0.0)
    state = problem.step(state, DAY)
    series.write(state)
    whole = problem.gathered(state)
    if comm.rank == 0:
        sets = list(ElementTree.parse(folder / "body.pvd").iter("DataSet"))
        assert [(float(own.attrib["timestep"]), own.attrib["file"]) for own in sets] == [
            (0.0, "body-0000.pvtu"),
            (DAY, "body-0001.pvtu"),
        ]
        grid = ElementTree.parse(folder / "body-0001.pvtu")
        pieces = [meshio.read(folder / piece.attrib["Source"]) for piece in grid.iter("Piece")]
        assert sum(len(piece.cells[0].data) for piece in pieces) == column().nelements
        named = {array.attrib.get("Name") for array in grid.iter("PDataArray")}
        assert {"displacement", "pressure_macro", "pressure_micro", "effective_stress"} <= named
        for piece in pieces:
            vertices = [int(np.argmin(np.abs(column().p - x[:, None]).sum(axis=0))) for x in piece.points]
            np.testing.assert_allclose(piece.point_data["pressure_macro"], whole.p[0, vertices])
    with pytest.raises(ParameterError, match=r"a series of ranks is a \.pvd file"):
        RankSeries(folder / "body.xdmf", problem)


def test_what_ranks_cannot_do_is_said(comm):
    distributed = DistributedMesh.of(column(), comm=comm)
    with pytest.raises(ParameterError, match="'top' are rigid"):
        RankPorousProblem(distributed, SINGLE, conditions(rigid={"top": 2}))
    split = Interface.split(column(), "middle")
    with pytest.raises(MeshError, match=r"pass its faults to femnn\.parallel\.RankFaultedReservoir"):
        RankPorousProblem(
            DistributedMesh.of(split.mesh, interfaces=[split], comm=comm), SINGLE, conditions()
        )  # fmt: skip


def test_bad_input_is_refused_on_all_ranks(comm):
    with pytest.raises(MeshError, match="no boundary 'lid'"):
        on_ranks(comm, SINGLE, conditions(pressure={"lid": 0.0}))
    with pytest.raises(MeshError, match="outside the mesh"):
        on_ranks(comm, SINGLE, conditions(wells=[Well((9.0, 1.0, 1.0), 1e-6)]))
    with pytest.raises(MeshError, match="3 finite coordinates"):
        on_ranks(comm, SINGLE, conditions(wells=[Well((1.0, 1.0), 1e-6)]))
    free = {name: values for name, values in conditions().displacement.items() if name != "bottom"}
    with pytest.raises(SingularMatrixError, match="1 of 6 rigid motions"):
        on_ranks(comm, SINGLE, conditions(displacement=free))
    problem = on_ranks(comm, SINGLE, conditions(source=lambda x, t: np.where(x[2] > 7.0, np.nan, 0.0)))
    with pytest.raises(ParameterError, match="source is not finite"):
        problem.step(problem.initial_state(), DAY)


def test_iterations_that_do_not_converge_are_told(comm, monkeypatch):
    monkeypatch.setattr("femnn.parallel.saddle._MOST_ITERATIONS", 2)
    problem = on_ranks(comm, SINGLE)
    start = problem.initial_state()
    with pytest.raises(ConvergenceError, match="MINRES left a relative error"):
        problem.step(start, DAY)
