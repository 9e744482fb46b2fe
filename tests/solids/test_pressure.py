"""Pressure on deformed boundaries: its load stiffness, and bodies whose answer is known."""

import numpy as np
import pytest
import skfem
from scipy.optimize import brentq
from support.laws import NEO_HOOKE, neo_hooke

import femnn
from femnn.exceptions import ParameterError
from femnn.solids import FollowerPressure

LAMBDA, MU = NEO_HOOKE
CUBE = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 3)] * 3).with_boundaries(
    {
        "all": lambda x: np.ones(x.shape[1], dtype=bool),
        "open": lambda x: x.max(axis=0) == 1.0,
        "top": lambda x: x[2] == 1.0,
        **{name: lambda x, i=i: x[i] == 0.0 for i, name in enumerate("xyz")},
    }
)
elements = pytest.mark.parametrize("element", [None, skfem.ElementHex2()], ids=["Hex1", "Hex2"])


@elements
@pytest.mark.parametrize("boundary", ["top", "all"])
def test_the_load_stiffness_is_the_derivative_and_symmetric_on_closed_surfaces(element, boundary):
    pressure = FollowerPressure(CUBE, boundary, 2.0, element)
    draws = np.random.default_rng(0)
    u, direction = 0.05 * draws.normal(size=pressure.n_dofs), draws.normal(size=pressure.n_dofs)
    force, tangent = pressure.residual_and_tangent(u)
    step = 1e-6
    difference = (pressure.internal_force(u + step * direction) - pressure.internal_force(u - step * direction)) / (
        2 * step
    )
    np.testing.assert_allclose(tangent @ direction, difference, rtol=0, atol=1e-8 * np.abs(difference).max())
    unsymmetric = np.abs(tangent - tangent.T).max() / np.abs(tangent).max()
    assert (unsymmetric < 1e-12) == (boundary == "all")
    symmetric = FollowerPressure(CUBE, boundary, 2.0, element, symmetric=True).residual_and_tangent(u)[1]
    assert np.abs(symmetric - 0.5 * (tangent + tangent.T)).max() < 1e-13
    if boundary == "all":
        # no resultant and no moment, however the body is deformed
        x = (pressure._x + u.reshape(-1, 3), force.reshape(-1, 3))
        np.testing.assert_allclose(x[1].sum(axis=0), 0.0, atol=1e-13)
        np.testing.assert_allclose(np.cross(*x).sum(axis=0), 0.0, atol=1e-13)


@elements
def test_at_rest_it_is_the_pressure_that_stays(element):
    pressure = FollowerPressure(CUBE, "top", 3.0, element)
    expected = femnn.Loads(CUBE, element).pressure("top", 3.0).force
    np.testing.assert_allclose(pressure.internal_force(np.zeros(pressure.n_dofs)), -expected, atol=1e-14)


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_block_under_pressure_from_all_sides_keeps_its_shape(symmetric):
    # J Cauchy = μ (λ² - 1) + Λ ln(J) of the neo-Hookean law for equal stretches; the pressure acts on what is left
    def stress(stretch):
        energy = LAMBDA * np.log(stretch**3) + MU * (stretch**2 - 1.0)
        return energy / stretch**3

    p = 1.2
    stretch = brentq(lambda s: stress(s) + p, 0.3, 1.0)
    body = femnn.Solid(CUBE, femnn.GaussLegendre(2), femnn.PointLaw(neo_hooke, NEO_HOOKE, kinematics="finite"))
    loads = femnn.Loads(CUBE).symmetry("x").symmetry("y").symmetry("z")
    pressure = FollowerPressure(CUBE, "open", p, symmetric=symmetric)
    path = femnn.newton(body + pressure, loads.force, loads.fixed, steps=4, progress=False)
    np.testing.assert_allclose(path.u.reshape(-1, 3), (stretch - 1.0) * CUBE.p.T, atol=1e-7)
    assert path.iterations <= 24


def test_arc_length_knows_pressures_that_follow_and_temperatures():
    def stress(stretch):
        return (LAMBDA * np.log(stretch**3) + MU * (stretch**2 - 1.0)) / stretch**3

    body = femnn.Solid(CUBE, femnn.GaussLegendre(2), femnn.PointLaw(neo_hooke, NEO_HOOKE, kinematics="finite"))
    loads = femnn.Loads(CUBE).symmetry("x").symmetry("y").symmetry("z")
    pressure = FollowerPressure(CUBE, "open", lambda t: 1.2 * t**2)
    path = []
    femnn.arc_length(
        body + pressure, loads.force, loads.fixed, first=0.5, steps=3, callback=path.append, start=0.2, progress=False
    )
    for step in path:
        stretch = brentq(lambda s, p=1.2 * step.t**2: stress(s) + p, 0.3, 1.0)
        np.testing.assert_allclose(step.u.reshape(-1, 3), (stretch - 1.0) * CUBE.p.T, atol=1e-7)
    assert path[-1].t > 0.8
    # a body that is free to expand, its temperature on a schedule
    solid = femnn.Solid(CUBE, femnn.GaussLegendre(2), femnn.LinearElastic(2.0, 0.3, expansion=1e-3))
    solid.set_temperature(40.0, lambda t: np.sin(t))
    found = femnn.arc_length(solid, loads.force, loads.fixed, first=0.3, steps=2, progress=False)
    np.testing.assert_allclose(found.u.reshape(-1, 3), 1e-3 * 40.0 * np.sin(found.t) * CUBE.p.T, atol=1e-9)
    assert found.t > 0.5


@pytest.mark.slow
def test_a_thick_cylinder_is_blown_up_as_far_as_known():
    # plane strain, radii from 1 to 2, incompressible: the equation of `known`
    shear, bulk, p = 1.0, 500.0, 0.45
    mesh = skfem.MeshHex.init_tensor(np.linspace(1.0, 2.0, 7), np.linspace(0.0, np.pi / 2, 7), np.array([0.0, 0.2]))
    r, angle, z = mesh.p
    mesh = skfem.MeshHex(np.stack([r * np.cos(angle), r * np.sin(angle), z]), mesh.t)
    mesh = mesh.with_boundaries(
        {
            "bore": lambda x: np.hypot(x[0], x[1]) < 1.01,
            "x": lambda x: np.isclose(x[0], 0.0),
            "y": lambda x: np.isclose(x[1], 0.0),
            "back": lambda x: np.isclose(x[2], 0.0),
            "front": lambda x: np.isclose(x[2], 0.2),
        }
    )
    law = femnn.PointLaw(neo_hooke, (bulk - 2.0 * shear / 3.0, shear), kinematics="finite")
    body = femnn.Solid(mesh, femnn.GaussLegendre(2), law, formulation="mean-dilatation")
    loads = femnn.Loads(mesh)
    for plane in ("x", "y", "back", "front"):
        loads.symmetry(plane)
    path = femnn.newton(
        body + FollowerPressure(mesh, "bore", p, symmetric=True), loads.force, loads.fixed, steps=4, progress=False
    )
    bore = np.isclose(np.hypot(r * np.cos(angle), r * np.sin(angle)), 1.0)
    grown = np.linalg.norm((mesh.p.T + path.u.reshape(-1, 3))[bore, :2], axis=1)

    def known(a):
        b = np.sqrt(4.0 + a**2 - 1.0)
        # ∫ (λ² - λ⁻²) dr/r with λ = r/R, R² = r² - a² + 1
        return shear * (np.log(a * 2.0 / b) + 0.5 * (a**2 - 1.0) * (1.0 / a**2 - 1.0 / b**2))

    exact = brentq(lambda a: known(a) - p, 1.0, 3.0)
    assert exact > 1.3
    np.testing.assert_allclose(grown, exact, rtol=0.01)


def test_what_cannot_be_pressed_is_refused():
    with pytest.raises(ParameterError, match="no boundary 'side'; there are: 'all'"):
        FollowerPressure(CUBE, "side", 1.0)
    with pytest.raises(ParameterError, match="pressure"):
        FollowerPressure(CUBE, "top", np.nan)
    inner = CUBE.with_boundaries({"middle": lambda x: x[0] == 0.5}, boundaries_only=False)
    with pytest.raises(ParameterError, match="lies between two cells"):
        FollowerPressure(inner, "middle", 1.0)
    pressure = FollowerPressure(CUBE, "top", lambda t: 5.0 * t**2)
    pressure.set_time(2.0)
    assert pressure.pressure == 20.0
    assert repr(pressure) == "FollowerPressure(20 Pa on 4 facets)"
