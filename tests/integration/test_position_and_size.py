"""Where an element lies and in which units it is measured changes no bit of what is integrated, chosen or compared."""

import numpy as np
import pytest
import skfem
from skfem.models.elasticity import linear_elasticity

import femnn
from femnn.geometry.coordinates import (
    directed_coordinates,
    invariant_coordinates,
    modes,
    normalised_coordinates,
    relative_warp,
)
from femnn.geometry.hexahedron import VERTICES, jacobian
from femnn.geometry.quality import aspect, distance_from_parallelepiped, scaled_jacobian, signed_volume
from femnn.geometry.validity import FOLDED, VALID, bernstein_coefficients, classify
from femnn.integration.convergence import errors_and_reference
from femnn.integration.optimal_weights import weight_systems
from femnn.integration.stiffness import elasticity_stiffness, laplace_stiffness, mass_matrix
from femnn.interfaces.bases import InterfaceBases
from femnn.interfaces.elements import InterfaceElements
from femnn.quadrature.adaptive.by_integration import points_by_integration
from femnn.quadrature.adaptive.directional_errors import directional_tables
from femnn.quadrature.patch_conditions import patch_integrals, patch_residual
from femnn.validation.rule_comparison import load_case

# Coordinates that are whole multiples of this stay exact when they move by 1e6 to 1e8 edges.
_GRAIN = 2.0**-20
_FAR = np.array([[2.0**20, 0.0, 0.0], [-(2.0**23), 2.0**26, 128.0]])

RULES = {
    "Irons()": femnn.Irons,
    "AdaptiveGauss(1e-5)": lambda: femnn.AdaptiveGauss(1e-5),
    "AdaptiveGauss(1e-5, verify=True)": lambda: femnn.AdaptiveGauss(1e-5, verify=True),
    "AdaptiveGauss(1e-4, measure='energy')": lambda: femnn.AdaptiveGauss(1e-4, measure="energy"),
    "CorrectedGauss()": femnn.CorrectedGauss,
    "CorrectedGauss(3, patch=True)": lambda: femnn.CorrectedGauss(3, patch=True),
    "MovedGauss()": femnn.MovedGauss,
    "MovedGauss(patch=True)": lambda: femnn.MovedGauss(patch=True),
}


def rounded(x):
    return np.round(x / _GRAIN) * _GRAIN


@pytest.fixture(scope="module")
def near():
    """Distorted elements, a cube and a plate: the learned rules treat each kind in its own way."""
    distorted = rounded(femnn.distorted_hexahedra(40, (0.05, 0.3), 0))
    cube = femnn.hexahedra(skfem.MeshHex())
    return np.concatenate([distorted, cube, cube * [1.0, 1.0, 0.125]])


def changes(near):
    """The same elements elsewhere, and in other units with the power of two that they are."""
    for move in _FAR:
        moved = near + move
        np.testing.assert_array_equal(moved - moved[:, :1], near - near[:, :1])
        yield moved, 0
    for exponent in (-30, 7, 100):
        yield np.ldexp(near, exponent), exponent


@pytest.mark.parametrize(
    ("measure", "power"),
    [
        (lambda x: modes(x)[1], 1),
        (lambda x: modes(x)[2], 1),
        (relative_warp, 0),
        (invariant_coordinates, 0),
        (directed_coordinates, 0),
        (normalised_coordinates, 0),
        (lambda x: jacobian(x, np.full((3, 1), 0.25)), 1),
        (bernstein_coefficients, 3),
        (classify, 0),
        (signed_volume, 3),
        (scaled_jacobian, 0),
        (aspect, 0),
        (distance_from_parallelepiped, 0),
        (patch_integrals, 2),
        (lambda x: patch_residual(x, *femnn.GaussLegendre(2).groups(x)[0][1:]), 0),
        (lambda x: elasticity_stiffness(x, *femnn.GaussLegendre(2).groups(x)[0][1:]), 1),
        (lambda x: laplace_stiffness(x, *femnn.GaussLegendre(2).groups(x)[0][1:]), 1),
        (lambda x: mass_matrix(x, *femnn.GaussLegendre(2).groups(x)[0][1:]), 3),
        (lambda x: errors_and_reference(x, 12)[0], 0),
        (lambda x: errors_and_reference(x, 12)[1], 1),
        (lambda x: weight_systems(x, femnn.Irons().groups(x)[0].X, errors_and_reference(x, 1)[1])[0], 0),
        (lambda x: directional_tables(x[:5], np.full((5, 1), 0.3)), 0),
        (lambda x: points_by_integration(x, 1e-6, 0.3, "entries")[0], 0),
        (lambda x: femnn.integration_error(x, femnn.GaussLegendre(3), reference=8), 0),
        (lambda x: femnn.HourglassCorrection().stiffness(x), 1),
    ],
)
def test_measures(near, measure, power):
    expected = measure(near)
    for x, exponent in changes(near):
        found = measure(x)
        np.testing.assert_array_equal(found, expected if power == 0 else np.ldexp(expected, power * exponent))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rules(near, rule):
    rule = rule()
    expected = rule.groups(near)
    for x, _ in changes(near):
        for group, other in zip(rule.groups(x), expected, strict=True):
            for found, wanted in zip(group, other, strict=True):
                np.testing.assert_array_equal(found, wanted)


@pytest.fixture(scope="module")
def mesh():
    cube = skfem.MeshHex().refined(2)
    inside = ((cube.p > 0.0) & (cube.p < 1.0)).all(axis=0)
    moves = np.random.default_rng(0).uniform(-0.05, 0.05, cube.p.shape) * inside
    return skfem.MeshHex(rounded(cube.p + moves), cube.t)


def test_matrices(mesh):
    def matrices(mesh):
        rule, element = femnn.CorrectedGauss(), skfem.ElementVector(skfem.ElementHex1())
        yield femnn.assemble_elasticity(mesh, femnn.AdaptiveGauss(1e-4), 210.0, 0.3)
        yield femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210.0, 0.3, hourglass=femnn.HourglassCorrection())
        yield skfem.asm(linear_elasticity(1.0, 1.0), femnn.bases(mesh, element, rule))

    expected = list(matrices(mesh))
    for move in _FAR:
        for matrix, other in zip(matrices(skfem.MeshHex(mesh.p + move[:, None], mesh.t)), expected, strict=True):
            np.testing.assert_array_equal(matrix.data, other.data)


def test_interfaces(mesh):
    facets = np.flatnonzero(np.abs(mesh.p[0, mesh.facets] - 0.5).max(axis=0) < 0.06)

    def parts(mesh):
        interface = femnn.Interface.split(mesh, facets)
        elements = InterfaceElements(interface)
        bases = InterfaceBases(interface, skfem.ElementVector(skfem.ElementHex1()))
        return elements.frames, elements.dx, bases.frames, np.asarray(bases.dx)

    expected = parts(mesh)
    for move in _FAR:
        for found, wanted in zip(parts(skfem.MeshHex(mesh.p + move[:, None], mesh.t)), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("names", [("left", "right"), ("fixed", "load")])
def test_load_cases(mesh, names):
    facets = [np.flatnonzero((mesh.p[0, mesh.facets] == x).all(axis=0)) for x in (0.0, 1.0)]
    near = mesh.with_boundaries(dict(zip(names, facets, strict=True)))
    expected = load_case(near)
    for move in _FAR:
        found = load_case(near.translated(move))
        np.testing.assert_array_equal(found.free, expected.free)
        np.testing.assert_allclose(found.force, expected.force, rtol=1e-7, atol=1e-7 * np.abs(expected.force).max())


@pytest.mark.parametrize("exponent", [-490, -340, 340, 490])
def test_sizes_from_1e_147_to_1e147(near, exponent):
    """Rules and errors work; what would need det J itself says why it cannot."""
    x = np.ldexp(near, exponent)
    assert (classify(x) == VALID).all()
    folded = x[:1].copy()
    folded[0, [0, 7]] = folded[0, [7, 0]]
    assert classify(folded)[0] == FOLDED
    with pytest.raises(femnn.FoldedElementError, match="in units of the cube of its size"):
        femnn.GaussLegendre(2).groups(folded)
    error = femnn.integration_error(x, femnn.AdaptiveGauss(1e-5), reference=12)
    np.testing.assert_array_equal(error, femnn.integration_error(near, femnn.AdaptiveGauss(1e-5), reference=12))
    np.testing.assert_array_equal(aspect(x), aspect(near))
    for refused in (signed_volume, lambda x: mass_matrix(x, *femnn.GaussLegendre(2).groups(x)[0][1:])):
        with pytest.raises(femnn.MeshError, match=r"its cube, under- or overflows .* choose other units of length"):
            refused(x)
    cube = skfem.MeshHex()
    scaled = skfem.MeshHex(np.ldexp(cube.p, exponent), cube.t)
    for assemble in (
        lambda: femnn.assemble_elasticity(scaled, femnn.GaussLegendre(2), 1.0, 0.3),
        lambda: femnn.bases(scaled, skfem.ElementHex1(), femnn.GaussLegendre(2)),
    ):
        with pytest.raises(femnn.MeshError, match=r"element 0 has a size of"):
            assemble()


def test_coordinates_too_far_away_to_have_digits_left(near):
    with pytest.raises(femnn.FoldedElementError, match="so far from the origin are 2"):
        femnn.GaussLegendre(2).groups(near + 1e16)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-90, 1.0, 1e90])
def test_element_that_folds_between_its_vertices_is_described_alike_in_all_sizes(size):
    moves = [[3, 3, -4], [0, 0, -2], [0, -2, 0], [3, 3, 2], [2, 4, 2], [-2, -4, 0], [-3, 2, -4], [3, 4, -3]]
    folded = size * (VERTICES + np.array(moves) / 8.0)
    with pytest.raises(femnn.FoldedElementError, match="at its vertices and changes sign between them"):
        femnn.GaussLegendre(2).groups(folded[None])
