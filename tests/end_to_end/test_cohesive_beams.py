"""Delamination against closed forms, the recurrent law against the one it was trained on, and the solver."""

import importlib.util
from functools import partial
from itertools import pairwise

import meshio
import numpy as np
import pytest
import skfem
from support.locations import ROOT

import femnn
from femnn.cohesive import ContactCohesive
from femnn.exceptions import ConvergenceError, FemnnWarning, OutsideRangeError, ParameterError, StateError
from femnn.interfaces import InterfaceBases
from femnn.solvers import solve
from femnn.validation.delamination import (
    Beam,
    Setup,
    classical,
    closed_form,
    delaminate,
    difference,
    mixed_mode,
    plateau,
)

EXAMPLES = ROOT / "examples"
PEEK = (80e6, 100e6, 969.0, 1719.0)


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


beams = example("cohesive_beams")


# --- beams


@pytest.fixture(scope="module")
def dcb(tmp_path_factory):
    out = tmp_path_factory.mktemp("beams")
    results = beams.main(["dcb"], ["bilinear", "recurrent"], growth=2.5e-3, out=out, progress=False)["dcb"]
    return results, out


def test_the_double_cantilever_gives_the_toughness_back(dcb):
    results, _ = dcb
    assert plateau(results["bilinear"]) == pytest.approx(PEEK[2], rel=5e-3)
    assert plateau(results["recurrent"]) == pytest.approx(PEEK[2], rel=1e-2)


def test_the_double_cantilever_follows_beam_theory(dcb):
    result = dcb[0]["bilinear"]
    beam = result.setup.beam
    load, displacement = closed_form(beam, femnn.BilinearCohesive(*PEEK), beam.crack + np.linspace(0.0, 8e-3, 30))
    softening = result.displacement > displacement[0] * 1.07
    assert softening.any()
    expected = np.interp(result.displacement[softening], displacement, load)
    np.testing.assert_allclose(result.load[softening], expected, rtol=0.02)
    # elastic: the compliance of two arms, the process zone makes it a little softer
    slope = result.displacement[0] / result.load[0]
    assert slope == pytest.approx(displacement[0] / load[0], rel=0.04)


def test_the_recurrent_law_gives_the_same_curve(dcb):
    results, _ = dcb
    assert difference(results["bilinear"], results["recurrent"]) < 0.02
    assert results["recurrent"].setup.problem.outside == 0


def test_the_recurrent_law_costs_newton_no_more_than_the_classical_one(dcb):
    assert dcb[0]["recurrent"].iterations.sum() <= 1.3 * dcb[0]["bilinear"].iterations.sum()
    # where the tolerance is tight, every curve of the learned law would cost another iteration
    tight = [delaminate(Beam("dcb", growth=1e-3), beams.LAWS[name](), rtol=1e-6, progress=False).iterations.sum()
             for name in ("recurrent", "bilinear")]  # fmt: skip
    assert tight[0] <= 1.3 * tight[1]


def test_pictures_and_files_are_written(dcb):
    _, out = dcb
    assert (out / "dcb.png").stat().st_size > 10_000
    mesh = meshio.read(out / "dcb_recurrent_interface.vtu")
    damage = np.concatenate(mesh.cell_data["damage"])
    assert damage.max() == 1.0
    assert damage.min() < 0.5
    assert np.concatenate(mesh.cell_data["separation"])[:, 0].max() > 1e-6
    assert np.abs(meshio.read(out / "dcb_bilinear.vtu").point_data["displacement"]).max() > 1e-3


@pytest.mark.slow
def test_end_notched_flexure_gives_the_toughness_back():
    results = beams.main(["enf"], ["bilinear", "recurrent"], progress=False)["enf"]
    assert plateau(results["bilinear"]) == pytest.approx(PEEK[3], rel=5e-3)
    assert plateau(results["recurrent"]) == pytest.approx(PEEK[3], rel=1e-2)
    assert difference(results["bilinear"], results["recurrent"]) < 0.02


@pytest.mark.slow
def test_mixed_mode_bending_reaches_the_toughness_of_each_law():
    results = beams.main(["mmb"], list(beams.LAWS), progress=False)["mmb"]
    for result in results.values():
        beam = result.setup.beam
        share, toughness = mixed_mode(beam, classical(result.setup.law), beam.crack + 0.5 * beam.growth)
        assert 0.3 < share < 0.7
        # the closed form takes the mode from beam theory
        assert plateau(result) == pytest.approx(toughness, rel=0.03)


@pytest.mark.slow
def test_a_short_crack_in_flexure_snaps_back():
    result = delaminate(Beam("enf", crack=0.02, growth=3e-3), femnn.BilinearCohesive(*PEEK), progress=False)
    peak = result.load.argmax()
    assert result.displacement[peak:].min() < 0.95 * result.displacement[peak]
    assert result.load[-1] < 0.9 * result.load[peak]


# --- a block of hexahedra: solver, restart, what goes wrong


def block(law, on_outside="warn"):
    """Two blocks of 2×2×1 hexahedra, the lower held at its bottom, the upper at its top; problem, top and fixed."""
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0, 1e-3, 3)] * 2, np.linspace(0, 2e-3, 3))
    mesh = mesh.with_boundaries({"glue": lambda x: np.isclose(x[2], 1e-3)}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "glue")
    stiffness = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(2), 120e9, 0.3)
    problem = femnn.CohesiveProblem(stiffness, [(femnn.InterfaceElements(interface), law)], on_outside=on_outside)
    z = interface.mesh.p[2]
    top, bottom = np.flatnonzero(z > 1.9e-3), np.flatnonzero(z < 1e-4)
    return problem, top, np.concatenate([3 * bottom[:, None] + np.arange(3), 3 * top[:, None] + np.arange(3)]).ravel()


def pulled(problem, top, fixed, direction, distance, **keywords):
    """Newton's method while the top moves; displacements, and the pulling force at each step."""
    n = problem.stiffness.shape[0]
    values = np.zeros(n)
    for axis in range(3):
        values[3 * top + axis] = distance * direction[axis]
    record = []
    keywords.setdefault("callback", lambda step: record.append(step.force.reshape(-1, 3)[top].sum(axis=0)) and False)
    path = femnn.newton(problem, np.zeros(n), fixed, values, solver=partial(solve, method="splu"), progress=False,
                        **keywords)  # fmt: skip
    return path, np.array(record)


def test_blocks_come_apart_with_the_force_and_work_of_the_law():
    law = femnn.BilinearCohesive(*PEEK)
    problem, top, fixed = block(law)
    distance = 1.5 * law.separation_scale
    path, force = pulled(problem, top, fixed, (0, 0, 1), distance, steps=120)
    assert force[:, 2].max() == pytest.approx(PEEK[0] * 1e-6, rel=0.02)
    course = np.linspace(0.0, distance, 121)
    work = np.trapezoid(np.concatenate([[0.0], force[:, 2]]), course)
    assert work == pytest.approx(PEEK[2] * 1e-6, rel=0.02)
    assert np.abs(force[-1]).max() < 1e-6 * force.max()
    assert problem.damage()[0].min() == 1.0
    assert path.t == 1.0


@pytest.mark.parametrize("name", ["exponential", "recurrent", "recurrent-exponential"])
def test_newton_converges_quadratically(name):
    law = beams.LAWS[name]()
    problem, top, fixed = block(law)
    path, _ = pulled(problem, top, fixed, (0, 0.6, 0.8), 0.15 * law.separation_scale, steps=3, rtol=1e-13)
    last = [residual for residual in path.steps[-1].residuals if residual > 1e-14]
    # where rounding does not yet count: each residual about the square of the one before
    pairs = [(a, b) for a, b in pairwise(last) if a < 1e-1 and b > 1e-12]
    assert pairs
    for a, b in pairs[-2:]:
        assert b < 10.0 * a**1.7


def test_forms_and_fused_path_solve_the_same_problem():
    law = femnn.ExponentialCohesive(*PEEK)
    problem, top, fixed = block(law)
    elements = problem.interfaces[0][0]
    bases = InterfaceBases(elements.interface, skfem.ElementVector(skfem.ElementHex1()))
    other = femnn.CohesiveProblem(problem.stiffness, [(bases, law)])
    one, two = (pulled(each, top, fixed, (0.2, 0, 0.8), 5e-6, steps=4)[0].u for each in (problem, other))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-9 * np.abs(one).max())
    np.testing.assert_allclose(problem.damage()[0], other.damage()[0], rtol=0, atol=1e-7)


def test_a_restart_goes_on_as_if_nothing_had_happened(tmp_path):
    law = beams.LAWS["recurrent"]()
    problem, top, fixed = block(law)
    whole, forces = pulled(problem, top, fixed, (0, 0.6, 0.8), 2e-5, steps=8)

    first, _, _ = block(law)
    half, before = pulled(first, top, fixed, (0, 0.6, 0.8), 2e-5, steps=[0.125, 0.25, 0.375, 0.5])
    first.save(tmp_path / "restart.npz", half.u, half.t)
    second, _, _ = block(law)
    u, t, heading = second.load(tmp_path / "restart.npz")
    assert heading is None
    rest, after = pulled(second, top, fixed, (0, 0.6, 0.8), 2e-5, steps=[0.625, 0.75, 0.875, 1.0], initial=u, start=t)
    np.testing.assert_allclose(rest.u, whole.u, rtol=0, atol=1e-9 * np.abs(whole.u).max())
    np.testing.assert_allclose(np.concatenate([before, after]), forces, rtol=0, atol=1e-7 * np.abs(forces).max())

    (tmp_path / "cut.npz").write_bytes((tmp_path / "restart.npz").read_bytes()[:-200])
    with pytest.raises(StateError, match="no whole restart file"):
        second.load(tmp_path / "cut.npz")
    with pytest.raises(StateError, match="points of RecurrentCohesive"):
        block(femnn.BilinearCohesive(*PEEK))[0].load(tmp_path / "restart.npz")


def test_an_interrupted_beam_goes_on_where_it_was(tmp_path):
    beam, law = Beam("dcb", growth=0.5e-3), femnn.BilinearCohesive(*PEEK)
    whole = delaminate(beam, law, progress=False)

    def interrupted(setup, step):
        if step.t > 0.7 * whole.load.max():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        delaminate(beam, law, progress=False, restart=tmp_path / "beam.npz", callback=interrupted)
    rest = delaminate(beam, law, progress=False, restart=tmp_path / "beam.npz")
    assert 0 < len(rest.load) < len(whole.load)
    np.testing.assert_allclose(rest.load, whole.load[-len(rest.load) :], rtol=1e-9)
    np.testing.assert_allclose(rest.u, whole.u, rtol=0, atol=1e-9 * np.abs(whole.u).max())


def test_a_failed_step_changes_nothing():
    law = femnn.BilinearCohesive(*PEEK)
    problem, _, _ = block(law)
    before = problem.states[0].values.copy()
    problem.residual_and_tangent(1e-4 * np.random.default_rng(0).normal(size=problem.stiffness.shape[0]))
    problem.rollback()
    problem.commit()
    np.testing.assert_array_equal(problem.states[0].values, before)


def test_a_load_that_nothing_carries_says_where_it_stopped_and_leaves_a_restart(tmp_path):
    law = femnn.BilinearCohesive(*PEEK)
    problem, top, fixed = block(law)
    load = np.zeros(problem.stiffness.shape[0])
    load[3 * top + 2] = 2.0 * PEEK[0] * 1e-6 / len(top)
    held = fixed[: len(fixed) // 2]
    with pytest.raises(ConvergenceError, match=r"no equilibrium was found beyond t = 0\.4") as failure:
        femnn.newton(
            problem,
            load,
            held,
            min_step=1e-3,
            solver=partial(solve, method="splu"),
            callback=problem.saver(tmp_path / "last.npz"),
            progress=False,
        )
    assert 0.4 < failure.value.t <= 0.51
    # the state that is kept is the one in equilibrium there
    u, t, _ = block(law)[0].load(tmp_path / "last.npz")
    assert t == failure.value.t
    np.testing.assert_array_equal(u, failure.value.x)
    force, _ = problem.residual_and_tangent(u)
    free = np.setdiff1d(np.arange(len(load)), held)
    np.testing.assert_allclose(force[free], failure.value.t * load[free], rtol=0, atol=1e-6 * np.abs(load).max())


def test_the_solver_stops_or_goes_on_outside_the_trained_range():
    law = beams.LAWS["recurrent"]()
    problem, top, fixed = block(law)
    with pytest.warns(FemnnWarning, match="have left the range that their law was trained in"):
        pulled(problem, top, fixed, (0, 0, -1), 0.5 * law.separation_scale, steps=6)
    assert problem.outside == len(problem.states[0])
    problem, top, fixed = block(law, on_outside="raise")
    with pytest.raises((OutsideRangeError, ConvergenceError), match="trained in"):
        pulled(problem, top, fixed, (0, 0, -1), 0.5 * law.separation_scale, steps=6)
    assert problem.outside == 0
    # broken points may open as far as they like
    problem, top, fixed = block(law, on_outside="raise")
    pulled(problem, top, fixed, (0, 0, 1), 3.0 * law.separation_scale, steps=60)
    assert problem.states[0].outside.all()
    assert problem.outside == 0


def test_wrong_problems_are_refused():
    law = femnn.BilinearCohesive(*PEEK)
    problem, _, _ = block(law)
    with pytest.raises(ParameterError, match="on_outside='ignore'"):
        femnn.CohesiveProblem(problem.stiffness, problem.interfaces, on_outside="ignore")
    with pytest.raises(ParameterError, match="at least one"):
        femnn.CohesiveProblem(problem.stiffness, [])
    with pytest.raises(ParameterError, match="test='tension'"):
        Beam("tension")
    setup = Setup(Beam("dcb"), law)
    assert setup.load.sum() == pytest.approx(0.0, abs=1e-12)


# --- a plate of hexahedra


def opened(law, reach=0.8e-3, steps=20):
    """A strip of hexahedra, cracked over its first 8 mm, is opened at that end.

    Returns the opening, the load, the integral of the damage (m²) and the iterations of each step, and the problem.
    """
    x = np.concatenate([np.linspace(0.0, 7e-3, 5), np.arange(7.25e-3, 12e-3, 0.25e-3), np.linspace(12e-3, 20e-3, 5)])
    mesh = skfem.MeshHex.init_tensor(x, np.linspace(0.0, 4e-3, 3), np.linspace(-1e-3, 1e-3, 5))
    mesh = mesh.with_boundaries({"middle": lambda x: np.abs(x[2]) < 1e-9}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "middle")
    glued, cracked = (
        femnn.InterfaceElements(interface.where(test)) for test in (lambda x: x[0] > 8e-3, lambda x: x[0] <= 8e-3)
    )
    stiffness = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(2), 120e9, 0.3)
    problem = femnn.CohesiveProblem(stiffness, [(glued, law), (cracked, ContactCohesive(1e13))])
    p, values = interface.mesh.p, np.zeros(stiffness.shape[0])
    low, high = (np.flatnonzero((p[0] < 1e-9) & (np.abs(p[2] - z) < 1e-9)) for z in (-1e-3, 1e-3))
    values[3 * low + 2], values[3 * high + 2] = -0.5 * reach, 0.5 * reach
    far = np.flatnonzero(p[0] == p[0].max())
    fixed = np.concatenate([3 * low + 2, 3 * high + 2, 3 * low[:1], 3 * high[:1], 3 * low[:1] + 1, 3 * far[:1] + 1])
    record = []

    def keep(step):
        softened = (problem.damage()[0] * glued.dx).sum()
        record.append((reach * step.t, step.force[3 * high + 2].sum(), softened, step.iterations))

    femnn.newton(problem, 0.0 * values, fixed, values, steps=steps, rtol=1e-6, solver=partial(solve, method="splu"),
                 callback=keep, progress=False)  # fmt: skip
    return (*np.array(record).T, problem)


def test_a_plate_of_hexahedra_delaminates_with_either_law():
    law = beams.LAWS["recurrent"]()
    opening, load, softened, iterations, _ = opened(law.reference())
    again, learned, grown, learned_iterations, problem = opened(law)
    np.testing.assert_allclose(again, opening)
    assert np.abs(learned - load).max() < 0.01 * load.max()
    assert learned_iterations.sum() <= 1.3 * iterations.sum()
    assert problem.outside == 0
    assert load[-1] < 0.9 * load.max()
    for force, area in ((load, softened), (learned, grown)):
        # unloading goes to the origin: what is not stored then is lost; the crack takes GIc for each area
        work = np.concatenate([[0.0], np.cumsum(0.5 * (force[1:] + force[:-1]) * np.diff(opening))])
        lost = 0.5 * opening[0] * force[0] + work - 0.5 * opening * force
        steady = area > 0.5 * area[-1]
        assert np.polyfit(area[steady], lost[steady], 1)[0] == pytest.approx(PEEK[2], rel=0.02)


# --- cyclic shear


def test_cycles_of_shear_end_in_friction(tmp_path):
    cycles = example("cohesive_shear_cycles")
    results = cycles.main(cycles=2, steps=12, out=tmp_path, progress=False)
    for name, (slip, shear) in results.items():
        last = len(slip) // 2
        # broken: the shear traction is friction times pressure, in the direction of sliding
        assert np.abs(shear[last:]).max() == pytest.approx(cycles.FRICTION * cycles.PRESSURE, rel=0.02), name
        assert np.abs(shear).max() > 1.5 * cycles.FRICTION * cycles.PRESSURE, name
    (_, one), (_, other) = results.values()
    assert np.abs(one - other).max() < 0.02 * np.abs(one).max()
    assert (tmp_path / "cohesive_shear_cycles.png").stat().st_size > 10_000
