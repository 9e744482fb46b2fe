"""Several materials in one solid, parameters of each element, temperatures: against one material and known answers."""

import numpy as np
import pytest
from support.nonlinear_problems import quiet

import femnn
from femnn.exceptions import StateError
from femnn.geometry import distorted_cube

RULE = femnn.AdaptiveGauss(1e-3)
PLAIN = distorted_cube(3, 0.2, seed=4)
MESH = PLAIN.with_subdomains({"left": lambda x: x[0] < 0.5, "right": lambda x: x[0] >= 0.5}).with_boundaries(
    {
        "bottom": lambda x: x[2] < 1e-9,
        "top": lambda x: x[2] > 1.0 - 1e-9,
        "x": lambda x: x[0] < 1e-9,
        "y": lambda x: x[1] < 1e-9,
    }
)
LEFT, RIGHT = (np.isin(np.arange(MESH.nelements), MESH.subdomains[name]) for name in ("left", "right"))
FORMULATIONS = ["standard", "mean-dilatation", "incompatible", "stabilised", "learned"]


def random_u(size=0.02, seed=0):
    return size * np.random.default_rng(seed).uniform(-1, 1, 3 * MESH.p.shape[1])


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_two_regions_of_one_material_are_one(formulation):
    law = femnn.J2(200.0, 0.3, strength=1.0, isotropic=5.0)
    rule = femnn.GaussLegendre(2)
    whole = femnn.Solid(MESH, rule, law, formulation=formulation)
    parts = femnn.Solid(MESH, rule, {"left": law, "right": law}, formulation=formulation)
    for u in (random_u(), random_u(0.03, 1)):
        (force, tangent), (own, matrix) = (solid.residual_and_tangent(u) for solid in (whole, parts))
        np.testing.assert_allclose(own, force, atol=1e-12 * abs(force).max())
        assert abs(matrix - tangent).max() < 1e-12 * abs(tangent).max()
        for solid in (whole, parts):
            solid.commit()


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_parameters_of_elements_are_those_of_regions(formulation):
    one, other = {"young": 200.0, "poisson": 0.3}, {"young": 20.0, "poisson": 0.4}
    merged = {name: np.where(LEFT, one[name], other[name]) for name in one}
    rule = femnn.GaussLegendre(2)
    solids = [
        femnn.Solid(MESH, rule, law, formulation=formulation)
        for law in (
            {"left": femnn.LinearElastic(**one), "right": femnn.LinearElastic(**other)},
            femnn.LinearElastic(**merged),
        )
    ]
    u = random_u()
    (force, tangent), (own, matrix) = (solid.residual_and_tangent(u) for solid in solids)
    np.testing.assert_allclose(own, force, atol=1e-12 * abs(force).max())
    assert abs(matrix - tangent).max() < 1e-12 * abs(tangent).max()
    if formulation in ("standard", "mean-dilatation", "stabilised"):
        K = femnn.assemble_elasticity(MESH, rule, **merged, formulation=formulation)
        assert abs(K - tangent).max() < 1e-11 * abs(K).max()
    # laws in NumPy are called for the same elements
    stresses = [np.concatenate([part.ravel() for part in solid.stresses(u)]) for solid in solids]
    np.testing.assert_allclose(np.sort(stresses[0]), np.sort(stresses[1]), atol=1e-10)


def test_steel_and_rubber_with_small_and_finite_strains():
    laws = {"left": femnn.J2(200.0, 0.3, strength=1.0, isotropic=5.0), "right": femnn.NeoHooke(5.0, 0.4)}
    solid = femnn.Solid(MESH, RULE, laws)
    assert sum(len(group.cells) for group in solid.groups) == MESH.nelements
    shapes = {state.shape[-1] for state in solid.states}
    assert shapes == {7, 0}
    loads = femnn.Loads(MESH).fix("bottom").displace("top", 2, 0.03)
    path = quiet(solid, loads.force, fixed=loads.fixed, values=loads.values, steps=3)
    fields = solid.fields(path.u)
    yielded = [state[..., 6].max() for state in fields["state"] if state.shape[-1] == 7]
    assert max(yielded) > 0.0
    nodal = femnn.recover(MESH, solid.rule, fields["stress"])
    assert nodal.shape == (MESH.p.shape[1], 6)
    assert nodal[:, 2].mean() > 0.0
    before = solid.states
    solid.restore(before)
    for own, kept in zip(solid.states, before, strict=True):
        np.testing.assert_array_equal(own, kept)
    with pytest.raises(StateError):
        solid.restore(before[::-1])


def test_a_failed_region_leaves_nothing_to_commit():
    laws = {"left": femnn.J2(200.0, 0.3, strength=1.0), "right": femnn.NeoHooke(5.0, 0.4)}
    solid = femnn.Solid(MESH, RULE, laws)
    u = np.zeros(solid.n_dofs)
    u[0::3] = -2.0 * MESH.p[0]
    with pytest.raises(femnn.LawError):
        solid.residual_and_tangent(u)
    solid.commit()
    assert max(state[..., 6].max() for state in solid.states if state.shape[-1] == 7) == 0.0


@pytest.mark.parametrize(
    ("regions", "says"),
    [
        (["left"], r"the regions 'left' leave 9 of 27 elements without a law, such as \[.*\]; give a law .*'right'"),
        (["left", "middle"], "the mesh has no subdomain 'middle'; there are: 'all', 'left', 'right'"),
        (["left", "all"], r"the regions 'left' and 'all' overlap: 18 elements are in both, such as \["),
        ([], "there are no laws; pass one for each subdomain of the mesh: 'all', 'left', 'right'"),
    ],
)
def test_regions_that_do_not_cover_the_mesh_once_are_refused(regions, says):
    mesh = MESH.with_subdomains({"all": lambda x: x[0] > -1.0})
    count = LEFT.sum()
    says = says.replace("18", str(count)).replace("9 of", f"{MESH.nelements - count} of")
    law = femnn.LinearElastic(1.0, 0.3)
    with pytest.raises(femnn.ParameterError, match=says):
        femnn.Solid(mesh, RULE, dict.fromkeys(regions, law))


def test_parameters_for_another_mesh_are_refused():
    with pytest.raises(femnn.ParameterError, match=r"has parameters for 3 elements, the mesh has 27"):
        femnn.Solid(MESH, RULE, femnn.LinearElastic([1.0, 2.0, 3.0], 0.3))


# --- temperatures


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("kind", ["number", "element", "point", "function"])
def test_a_body_that_expands_freely_has_no_stress(regions, kind):
    """A temperature that is linear in space bends straight lines, but strains nothing elastically."""
    alpha = 1e-3
    law = femnn.LinearElastic(200.0, 0.3, expansion=alpha)
    solid = femnn.Solid(MESH, femnn.GaussLegendre(2), {"left": law, "right": law} if regions else law)
    x = MESH.p
    if kind in ("number", "element"):
        solid.set_temperature(5.0 if kind == "number" else np.full(MESH.nelements, 5.0))
        u = 5.0 * alpha * x
    else:
        # ε = α T 1 with T = z: u = α (x z, y z, (z² - x² - y²)/2), of which the elements have no squares
        solid.set_temperature(
            [np.full((len(g.cells), 8), 5.0) for g in solid.groups] if kind == "point" else lambda x: 5.0 + 0.0 * x[0]
        )
        u = 5.0 * alpha * x
    assert abs(solid.internal_force(u.T.ravel())).max() < 1e-13
    for stress in solid.stresses(u.T.ravel()):
        assert abs(stress).max() < 1e-12


def test_a_body_that_is_held_is_pressed_by_its_temperature():
    law = femnn.LinearElastic(200.0, 0.3, expansion=1e-3)
    solid = femnn.Solid(MESH, RULE, law)
    solid.set_temperature(lambda x: 10.0 * x[0])
    stresses = solid.stresses(np.zeros(solid.n_dofs))
    for stress, x in zip(stresses, solid.discretisation.locations(), strict=True):
        np.testing.assert_allclose(stress[..., 0], -200.0 * 1e-2 * x[0] / (1.0 - 2.0 * 0.3), rtol=1e-12)


def test_a_temperature_with_a_history_follows_the_steps_of_newton():
    law = femnn.J2(200.0, 0.3, strength=1.0, isotropic=5.0, expansion=1e-3)
    solid = femnn.Solid(MESH, femnn.GaussLegendre(2), law)
    solid.set_temperature(8.0, history=lambda t: t)
    loads = femnn.Loads(MESH).symmetry("bottom").displace("top", 2, 0.0).symmetry("x").symmetry("y")
    path = quiet(solid, loads.force, fixed=loads.fixed, steps=4)
    force = path.curve("top", 2).force
    # uniaxial: elastic up to yield at α ΔT = σ_y/E, then along the tangent modulus
    strain = -8e-3 * path.curve("top", 2).t
    tangent = 200.0 * 5.0 / 205.0
    expected = np.where(strain > -5e-3, 200.0 * strain, -1.0 + tangent * (strain + 5e-3))
    np.testing.assert_allclose(force, expected, rtol=1e-6)


def test_temperatures_that_nobody_feels_are_refused():
    solid = femnn.Solid(MESH, RULE, femnn.NeoHooke(1.0, 0.3))
    with pytest.raises(femnn.ParameterError, match="no law of this solid depends on the temperature"):
        solid.set_temperature(5.0)
    warm = femnn.Solid(MESH, RULE, femnn.NeoHooke(1.0, 0.3, expansion=1e-5))
    with pytest.raises(femnn.ParameterError, match=r"temperature has shape \(3,\)"):
        warm.set_temperature(np.ones(3))
