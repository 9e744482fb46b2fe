"""Sheets in plane stress: laws at a point, bars in uniaxial tension, and a plate with a hole."""

import numpy as np
import pytest
import skfem
from support.laws import NEO_HOOKE, neo_hooke

import femnn
from femnn.exceptions import ParameterError
from femnn.solids import PlaneStress

YOUNG, POISSON, STRENGTH, HARDENING = 200.0, 0.3, 1.0, 20.0
STEEL = femnn.J2(YOUNG, POISSON, strength=STRENGTH, isotropic=HARDENING)
BOUNDARIES = {
    "left": lambda x: x[0] == 0.0,
    "right": lambda x: x[0] == x[0].max(),
    "bottom": lambda x: x[1] == 0.0,
}


def own_law(strain, state, parameters, stress, tangent, new_state):
    """Linear, with moduli of its own in each direction and shears that stretch the thickness."""
    for i in range(6):
        stress[i] = 0.0
        for j in range(6):
            tangent[i, j] = 1.0 + i * (i == j) + (0.3 if i + j == 7 else 0.0)
            stress[i] += tangent[i, j] * strain[j]


def test_a_linear_sheet_has_the_condensed_stiffness():
    full = femnn.PointLaw(own_law)
    _, tangents, _ = full.update(np.zeros((1, 6)), np.zeros((1, 0)))
    inner, out = [0, 1, 5], [2, 3, 4]
    C = tangents[0]
    condensed = C[np.ix_(inner, inner)] - C[np.ix_(inner, out)] @ np.linalg.solve(
        C[np.ix_(out, out)], C[np.ix_(out, inner)]
    )
    sheet = PlaneStress(full)
    strain = np.array([[1e-3, -2e-3, 0.0, 0.0, 0.0, 5e-4]])
    stress, tangent, state = sheet.update(strain, sheet.initial_state(1))
    np.testing.assert_allclose(tangent[0][np.ix_(inner, inner)], condensed, rtol=1e-12)
    np.testing.assert_allclose(stress[0, inner], condensed @ strain[0, inner], rtol=1e-12)
    assert not stress[0, out].any()
    assert not tangent[0][out].any()
    assert not tangent[0][:, out].any()
    # with the strains that it found, the law itself gives no stress out of the plane
    strain[0, out] = state[0]
    np.testing.assert_allclose(full.update(strain, np.zeros((1, 0)))[0][0, out], 0.0, atol=1e-14)


def test_tangents_of_a_plastic_sheet_are_derivatives_from_a_plastic_state():
    sheet = PlaneStress(STEEL)
    strain = np.array([[0.01, 0.001, 0.0, 0.0, 0.0, 0.004]])
    _, _, state = sheet.update(strain, sheet.initial_state(1))
    strain = strain + np.array([[0.002, 0.003, 0.0, 0.0, 0.0, -0.001]])
    stress, tangent, _ = sheet.update(strain, state)
    mises = np.sqrt(stress[0, 0] ** 2 - stress[0, 0] * stress[0, 1] + stress[0, 1] ** 2 + 3.0 * stress[0, 5] ** 2)
    assert mises > STRENGTH
    for j in (0, 1, 5):
        step = 1e-7 * np.eye(6)[j]
        difference = (sheet.update(strain + step, state)[0] - sheet.update(strain - step, state)[0]) / 2e-7
        np.testing.assert_allclose(tangent[0][:, j], difference[0], atol=1e-6 * np.abs(tangent).max())


def test_a_sheet_in_uniaxial_tension_yields_and_thins_as_known():
    mesh = skfem.MeshQuad().refined(1).with_boundaries(BOUNDARIES)
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), STEEL, plane="stress")
    loads = femnn.Loads(mesh).symmetry("left").symmetry("bottom")
    force = 1.5 * STRENGTH
    right = femnn.Loads(mesh).traction("right", (force, 0.0)).force
    path = femnn.newton(solid, right, loads.fixed, steps=3, progress=False)
    plastic = (force - STRENGTH) / HARDENING
    expected = [force / YOUNG + plastic, -POISSON * force / YOUNG - 0.5 * plastic]
    np.testing.assert_allclose(path.u.reshape(-1, 2), mesh.p.T * expected, rtol=1e-9)
    fields = solid.fields(path.u)
    np.testing.assert_allclose(fields["stress"][0][..., 0], force, rtol=1e-9)
    np.testing.assert_allclose(fields["stress"][0][..., 1:], 0.0, atol=1e-8)
    # out of the plane it thins as across
    np.testing.assert_allclose(fields["state"][0][..., 7], expected[1], rtol=1e-9)
    assert path.cuts == 0
    assert path.iterations <= 15


def test_a_linear_sheet_is_that_of_the_assembly_and_heats_freely():
    mesh = skfem.MeshQuad().refined(2)
    law = femnn.LinearElastic(YOUNG, POISSON, expansion=1e-3)
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), law, plane="stress")
    u = np.random.default_rng(0).normal(size=solid.n_dofs)
    force, tangent = solid.residual_and_tangent(u)
    K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), YOUNG, POISSON, plane="stress")
    assert abs(tangent - K).max() < 1e-12 * abs(K).max()
    np.testing.assert_allclose(force, K @ u, atol=1e-10 * np.abs(force).max())
    solid.set_temperature(20.0)
    np.testing.assert_allclose(solid.internal_force(0.02 * mesh.p.T.ravel()), 0.0, atol=1e-11)


def _holed_plate(n):
    """A quarter of a plate with a hole of radius 1, to a radius of 6."""
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0.0, 1.0, n + 1), np.linspace(0.0, 0.5 * np.pi, n + 1))
    s, angle = mesh.p
    radius = 6.0**s
    places = {"hole": s == 0.0, "rim": s == 1.0, "bottom": angle == 0.0, "side": angle == angle.max()}
    named = {
        name: mesh.facets_satisfying(lambda x, i=i, v=v: np.isclose(x[i], v), boundaries_only=True)
        for name, i, v in (("hole", 0, 0.0), ("rim", 0, 1.0), ("bottom", 1, 0.0), ("side", 1, 0.5 * np.pi))
    }
    moved = skfem.MeshQuad(np.stack([radius * np.cos(angle), radius * np.sin(angle)]), mesh.t)
    return moved.with_boundaries(named), places


def test_a_plate_with_a_hole_has_three_times_the_stress():
    mesh, places = _holed_plate(20)
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), femnn.LinearElastic(YOUNG, POISSON), plane="stress")
    # displacements of G. Kirsch's plate under a stress of 1 along x, on the rim
    r, angle = np.hypot(*mesh.p), np.arctan2(mesh.p[1], mesh.p[0])
    shear, kappa = YOUNG / (2.0 * (1.0 + POISSON)), (3.0 - POISSON) / (1.0 + POISSON)
    x = r * (kappa + 1.0) * np.cos(angle) + 2.0 / r * ((1.0 + kappa) * np.cos(angle) + np.cos(3.0 * angle))
    y = r * (kappa - 3.0) * np.sin(angle) + 2.0 / r * ((1.0 - kappa) * np.sin(angle) + np.sin(3.0 * angle))
    exact = np.stack([x - 2.0 / r**3 * np.cos(3.0 * angle), y - 2.0 / r**3 * np.sin(3.0 * angle)], axis=1) / (
        8.0 * shear
    )
    rim = np.flatnonzero(places["rim"])
    held = {
        **{2 * v + i: exact[v, i] for v in rim for i in (0, 1)},
        **{2 * v + 1: 0.0 for v in np.flatnonzero(places["bottom"])},
        **{2 * v: 0.0 for v in np.flatnonzero(places["side"])},
    }
    fixed, values = np.array(list(held)), np.array(list(held.values()))
    path = femnn.newton(solid, np.zeros(solid.n_dofs), fixed, values, steps=1, progress=False)
    np.testing.assert_allclose(path.u.reshape(-1, 2), exact, atol=0.01 * np.abs(exact).max())
    nodal = femnn.recover(mesh, solid.rule, solid.fields(path.u)["stress"], method="projection")
    top = np.argmin(np.abs(mesh.p - np.array([[0.0], [1.0]])).sum(axis=0))
    assert nodal[top, 0] == pytest.approx(3.0, rel=0.03)


def test_what_has_no_plane_stress_is_refused():
    with pytest.raises(ParameterError, match="has finite strains"):
        PlaneStress(femnn.PointLaw(neo_hooke, NEO_HOOKE, kinematics="finite"))
    batched = femnn.solids.BatchedLaw(lambda strain, state: (strain, np.tile(np.eye(6), (len(strain), 1, 1))))
    with pytest.raises(ParameterError, match="found at each point"):
        femnn.Solid(skfem.MeshQuad(), femnn.GaussLegendre(2), batched, plane="stress")
    with pytest.raises(ParameterError, match="these are hexahedra"):
        femnn.Solid(skfem.MeshHex(), femnn.GaussLegendre(2), STEEL, plane="stress")
