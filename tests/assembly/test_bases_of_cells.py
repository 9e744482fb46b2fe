"""Bases on quadrilaterals and curved hexahedra, alone and for mixed forms, against scikit-fem and published results."""

import numpy as np
import pytest
import skfem
from skfem.helpers import div
from skfem.models.elasticity import lame_parameters, linear_elasticity
from support.curved_meshes import bent_hexahedra, bent_quadrilaterals
from support.forms import laplace

import femnn
from femnn.exceptions import FoldedElementError, MeshError, ParameterError

QUADRILATERALS = [skfem.ElementQuad1(), skfem.ElementQuadS2(), skfem.ElementQuad2()]
HEXAHEDRA = [skfem.ElementHex1(), skfem.ElementHexS2(), skfem.ElementHex2()]
CASES = [
    *((bent_quadrilaterals(), element) for element in QUADRILATERALS),
    *((skfem.MeshQuad().refined(2).translated([1e3, -1e3]), element) for element in QUADRILATERALS),
    *((bent_hexahedra(), element) for element in HEXAHEDRA),
]


@pytest.mark.parametrize(("mesh", "element"), CASES, ids=lambda value: type(value).__name__)
def test_bases_equal_those_of_scikit_fem(mesh, element):
    (basis,) = femnn.bases(mesh, element, femnn.GaussLegendre(4))
    own = skfem.CellBasis(mesh, element, quadrature=basis.quadrature)
    difference = laplace.assemble(basis) - laplace.assemble(own)
    assert abs(difference).max() < 1e-9 * abs(laplace.assemble(own)).max()
    facets = skfem.FacetBasis(mesh, element, mapping=basis.mapping, intorder=4)
    assert facets.dx.sum() == pytest.approx(skfem.FacetBasis(mesh, element, intorder=4).dx.sum(), rel=1e-12)


@pytest.mark.parametrize("make", [bent_quadrilaterals, bent_hexahedra])
def test_places_far_away_keep_their_digits(make):
    mesh = make()
    far = mesh.translated([2.0**30] * mesh.dim())
    near = type(mesh)(far.doflocs - 2.0**30, mesh.t)
    (there,), (here,) = (
        femnn.bases(m, QUADRILATERALS[0] if mesh.dim() == 2 else HEXAHEDRA[0], femnn.GaussLegendre(3))
        for m in (far, near)
    )
    np.testing.assert_allclose(there.dx, here.dx, rtol=1e-12)


def test_a_linear_field_is_exact_on_curved_cells():
    mesh = bent_hexahedra()
    (basis,) = femnn.bases(mesh, skfem.ElementHex2(), femnn.GaussLegendre(4))
    field = 1.0 + basis.doflocs[0] - 2.0 * basis.doflocs[2]
    gradient = basis.interpolate(field).grad
    np.testing.assert_allclose(gradient, np.array([1.0, 0.0, -2.0])[:, None, None] * np.ones_like(gradient), atol=1e-11)


@pytest.mark.parametrize(
    ("mesh", "vector", "scalar"),
    [
        (skfem.MeshQuad().refined(2), skfem.ElementQuad2(), skfem.ElementQuad1()),
        (bent_quadrilaterals(), skfem.ElementQuad2(), skfem.ElementQuad1()),
        (skfem.MeshHex().refined(1), skfem.ElementHex2(), skfem.ElementHex1()),
    ],
    ids=["quadrilaterals", "curved quadrilaterals", "hexahedra"],
)
@pytest.mark.parametrize("order", [1, -1])
def test_mixed_forms_assemble_on_shared_points(mesh, vector, scalar, order):
    pair = [skfem.ElementVector(vector), scalar][::order]
    lists = femnn.bases(mesh, pair, femnn.GaussLegendre(3))
    velocities, pressures = lists[::order]
    divergence = skfem.asm(skfem.BilinearForm(lambda u, q, w: div(u) * q), velocities, pressures)
    u = velocities[0].project(lambda x: np.array([x[0] ** 2, *[0.0 * x[0]] * (mesh.dim() - 1)]))
    # the divergence of (x², 0) tested with one is the integral of 2 x
    expected = sum((2.0 * basis.global_coordinates().value[0] * basis.dx).sum() for basis in velocities)
    assert np.ones(divergence.shape[0]) @ divergence @ u == pytest.approx(expected, rel=1e-3)


def test_mixed_lists_are_grouped_alike():
    mesh = femnn.geometry.distorted_cube(3, 0.3)
    lists = femnn.bases(mesh, [skfem.ElementHex1(), skfem.ElementHex2()], femnn.AdaptiveGauss(1e-3))
    alone = femnn.bases(mesh, skfem.ElementHex2(), femnn.AdaptiveGauss(1e-3))
    for one, two, most in zip(*lists, alone, strict=True):
        np.testing.assert_array_equal(one.tind, two.tind)
        np.testing.assert_array_equal(one.X, most.X)


def test_bad_elements_and_rules():
    quads = skfem.MeshQuad()
    with pytest.raises(ParameterError, match=r"ElementHex1 lives on .* the mesh has quadrilaterals.*ElementQuad1"):
        femnn.bases(quads, skfem.ElementHex1(), femnn.GaussLegendre(2))
    with pytest.raises(ParameterError, match="is no element"):
        femnn.bases(quads, [], femnn.GaussLegendre(2))
    with pytest.raises(ParameterError, match="is no element"):
        femnn.bases(quads, [skfem.ElementQuad1(), 3], femnn.GaussLegendre(2))
    with pytest.raises(ParameterError, match="CorrectedGauss is a rule for hexahedra with straight edges"):
        femnn.bases(quads, skfem.ElementQuad1(), femnn.CorrectedGauss())
    with pytest.raises(ParameterError, match=r"GaussLegendre\(\(2, 3, 4\)\) has 3 numbers of points.*2 axes"):
        femnn.bases(quads, skfem.ElementQuad1(), femnn.GaussLegendre((2, 3, 4)))
    with pytest.raises(MeshError, match="MeshTri1"):
        femnn.bases(skfem.MeshTri(), skfem.ElementTriP1(), femnn.GaussLegendre(2))


def test_folded_curved_cells_are_refused_or_left_out():
    mesh = bent_quadrilaterals()
    # the middle of cell 5 goes out of it
    mesh.doflocs[:, mesh.dofs.element_dofs[8, 5]] += 0.3
    with pytest.raises(FoldedElementError, match="element 5 is folded"):
        femnn.bases(mesh, skfem.ElementQuad2(), femnn.GaussLegendre(3))
    with pytest.warns(femnn.FemnnWarning, match="1 of 16 elements are folded"):
        (basis,) = femnn.bases(mesh, skfem.ElementQuad2(), femnn.GaussLegendre(3), on_folded="skip")
    assert basis.nelems == 15


def printed_displacements(path):
    """Displacements of the nodes by number, as CalculiX printed them."""
    rows = [line.split() for line in path.read_text().split("displacements", 1)[1].splitlines()[2:]]
    table = {}
    for row in rows:
        if len(row) != 4:
            break
        table[int(row[0])] = [float(value) for value in row[1:]]
    return table


def nodes_of(path):
    """Coordinates of the nodes by number."""
    text = path.read_text().upper().split("*NODE", 1)[1].split("*", 1)[0].splitlines()[1:]
    rows = [line.split(",") for line in text if line.strip()]
    return {int(row[0]): [float(value) for value in row[1:]] for row in rows}


def place_of(basis, nodes, number):
    distance = np.linalg.norm(basis.doflocs - np.array(nodes[number])[:, None], axis=0)
    assert distance.min() < 1e-9
    return np.flatnonzero(distance < 1e-9)


@pytest.mark.parametrize(
    ("name", "points", "loads", "fixed"),
    [
        ("beam20p", 3, dict.fromkeys((5, 6, 7, 8, 22, 25, 28, 31, 100), (1, 1.0)), lambda x: x[2] < 1e-9),
        (
            "achtelp",
            2,
            dict.fromkeys((5, 6, 7, 8), (2, 1.0)),
            {1: (0, 1, 2), 2: (1, 2), 4: (2,)},
        ),
    ],
)
def test_calculix_displacements_to_the_printed_digits(published_meshes, name, points, loads, fixed):
    path = published_meshes / "quadratic" / f"{name}.inp"
    mesh, nodes = femnn.read_mesh(path), nodes_of(path)
    element = skfem.ElementVector(skfem.ElementHexS2())
    bases = femnn.bases(mesh, element, femnn.GaussLegendre(points))
    K = skfem.asm(linear_elasticity(*lame_parameters(210_000.0, 0.3)), bases)
    f = np.zeros(K.shape[0])
    for number, (axis, force) in loads.items():
        f[place_of(bases[0], nodes, number)[axis]] += force
    if callable(fixed):
        held = bases[0].get_dofs(lambda x: fixed(x)).all()
    else:
        held = np.array([place_of(bases[0], nodes, number)[axis] for number, axes in fixed.items() for axis in axes])
    u = skfem.solve(*skfem.condense(K, f, D=held))
    printed = printed_displacements(path.with_suffix(".dat.ref"))
    largest = max(abs(value) for row in printed.values() for value in row)
    for number, row in printed.items():
        np.testing.assert_allclose(u[place_of(bases[0], nodes, number)], row, atol=1e-6 * largest, rtol=1e-5)
