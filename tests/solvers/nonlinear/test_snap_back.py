"""femnn.newton goes on along the snap-back of softening interfaces, where it is asked to."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import skfem
from support.nonlinear_problems import Chain, DamageChain, quiet

import femnn
from femnn.cohesive import ViscousCohesive
from femnn.interfaces import facet_newton_cotes


def test_a_snap_back_is_followed_and_left_again():
    chain, law, path = DamageChain(0.1), Chain(0.1), []
    pulled = {"load": np.zeros(3), "fixed": [0, 2], "values": [0.0, 6.0]}
    with pytest.raises(femnn.ConvergenceError, match="on_snap_back='follow' goes on") as stuck:
        quiet(DamageChain(0.1), **pulled, steps=12)
    found = quiet(chain, **pulled, steps=12, on_snap_back="follow", callback=lambda step: path.append(step))
    t, w = np.array([(step.t, step.u[2] - step.u[1]) for step in path]).T
    # every state is one of equilibrium on the softening branch, and the path goes back in t between two rising parts
    np.testing.assert_allclose([step.force[2] for step in path], law.softening(w), atol=1e-7)
    np.testing.assert_allclose(6.0 * t, w + law.softening(w) / law.linear, rtol=1e-6)
    assert (np.diff(w) > 0.0).all()
    back = np.diff(t) < 0.0
    assert back.any()
    assert not back[0]
    assert not back[-1]
    # it turns where the ends are furthest apart, which is where Newton's method alone is stuck
    assert t[:-1][back].max() == pytest.approx(stuck.value.t, abs=1e-4)
    # all times are met but those inside of the snap-back
    assert found.t == 1.0
    assert chain.largest == pytest.approx(w[-1])


def test_snap_backs_need_loads_that_are_multiplied_by_t():
    pulled = {"problem": DamageChain(0.1), "fixed": [0, 2], "on_snap_back": "follow"}
    for given in ({"load": lambda t: np.zeros(3)}, {"load": np.zeros(3), "values": lambda t: [0.0, t]}):
        with pytest.raises(femnn.ParameterError, match="multiplied by t, no functions of it"):
            quiet(**pulled, **given)
    with pytest.raises(femnn.ParameterError, match="on_snap_back='jump' is not allowed; pass 'raise' or 'follow'"):
        quiet(**{**pulled, "load": np.zeros(3), "on_snap_back": "jump"})


def cantilever(opening):
    """A double cantilever of 2 mm cells, far too coarse for its process zone: problem, supports and values.

    Units are mm and N. Arms 60 × 2 × 4, the crack 20 long, in plane strain.
    """
    lines = np.linspace(0.0, 60.0, 31), np.array([0.0, 2.0]), np.linspace(-4.0, 4.0, 5)
    mesh = skfem.MeshHex.init_tensor(*lines)
    facets = np.flatnonzero(np.abs(mesh.p[2, mesh.facets]).max(axis=0) < 1e-9)
    interface = femnn.Interface.split(mesh, facets)
    mesh, x = interface.mesh, interface.mesh.p
    elements = femnn.InterfaceElements(interface.where(lambda x: x[0] > 20.0), facet_newton_cotes(3))
    law = femnn.BilinearCohesive(30.0, 30.0, 0.5, 0.5, stiffness=1e4)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 70_000.0, 0.3)
    values = np.full(x.shape, np.nan)
    values[1] = 0.0
    values[:, x[0] > 60.0 - 1e-9] = 0.0
    for side in (1.0, -1.0):
        values[2, (x[0] < 1e-9) & (side * x[2] > 4.0 - 1e-9)] = 0.5 * side * opening
    values = values.T.ravel()
    fixed = np.flatnonzero(~np.isnan(values))
    return femnn.CohesiveProblem(stiffness, [(elements, law)]), fixed, values[fixed]


@pytest.mark.slow
def test_a_coarse_double_cantilever_opens_through_its_snap_backs():
    solver, steps = partial(femnn.solve, method="splu"), 30
    problem, fixed, values = cantilever(1.2)
    load = np.zeros(problem.stiffness.shape[0])
    with pytest.raises(femnn.ConvergenceError, match="on_snap_back='follow'") as stuck:
        quiet(problem, load, fixed=fixed, values=values, steps=steps, solver=solver)
    assert 0.7 < 1.2 * stuck.value.t < 1.2
    problem, path = cantilever(1.2)[0], []
    found = quiet(
        problem,
        load,
        fixed=fixed,
        values=values,
        steps=steps,
        solver=solver,
        on_snap_back="follow",
        callback=lambda step: path.append((step.t, step.u, step.force)),
    )
    assert found.t == 1.0
    t = np.array([state[0] for state in path])
    assert (np.diff(t) < 0.0).any()
    # no step gives energy: external work less what is stored, which laws give back when they unload to the origin
    lost = [0.5 * (one[2] @ two[1] - two[2] @ one[1]) for one, two in pairwise(path)]
    assert min(lost) > -1e-9 * max(lost)
    # all of it went into the crack
    (damage,), (elements, _) = problem.damage(), problem.interfaces[0]
    assert sum(lost) <= 0.5 * elements.dx.sum()
    assert 0.0 < damage.max() <= 1.0


def test_viscosity_carries_a_bar_through_its_snap_back_and_tells_its_work():
    mesh = skfem.MeshHex.init_tensor(np.linspace(0.0, 1.0, 3), [0.0, 1.0], [0.0, 1.0])
    interface = femnn.Interface.split(mesh, np.flatnonzero(np.isclose(mesh.p[0, mesh.facets].mean(axis=0), 0.5)))
    plain = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    # the bar stretches three times as far as the glue opens: the elastic energy is more than the crack takes
    stiffness = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(2), 1e12, 0.0)
    x, values = interface.mesh.p, np.full(interface.mesh.p.shape, np.nan)
    values[:, x[0] < 1e-9], values[1:], values[0, x[0] > 1.0 - 1e-9] = 0.0, 0.0, 1.5e-4
    values = values.T.ravel()
    fixed = np.flatnonzero(~np.isnan(values))
    pulled = {"load": np.zeros(len(values)), "fixed": fixed, "values": values[fixed], "steps": 300}

    def problem(law):
        elements = femnn.InterfaceElements(interface, facet_newton_cotes(3))
        return femnn.CohesiveProblem(stiffness, [(elements, law)])

    with pytest.raises(femnn.ConvergenceError, match="viscosity"):
        quiet(problem(plain), **pulled)
    works = []
    for viscosity in (2e11, 4e10):
        path, body = [], problem(ViscousCohesive(plain, viscosity))
        found = quiet(body, **pulled, callback=lambda step, path=path: path.append((step.u, step.force)))
        assert found.t == 1.0
        assert body.damage()[0].min() == 1.0
        # the force at the end of each step does its work: what it did is in the bar, the crack and the viscosity
        work = sum(two[1] @ (two[0] - one[0]) for one, two in pairwise([(np.zeros(len(values)), None), *path]))
        works.append(body.viscous_work()[0])
        stored = 0.5 * found.u @ (stiffness @ found.u)
        assert work == pytest.approx(stored + 969.0 + works[-1], rel=0.08)
    # what is not taken by the crack goes into the viscosity, however small: the bar has to get rid of it
    assert 0.0 < works[1] < works[0]
