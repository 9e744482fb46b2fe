"""Elements that coincide, hanging and loose vertices, parts that are not connected."""

import numpy as np
import pytest
import skfem

from femnn import GaussLegendre, assemble_elasticity, assemble_mass, bases
from femnn.exceptions import FemnnWarning, MeshError
from femnn.geometry.connectivity import PartialMesh, duplicate_elements, loose_vertices, measure_connectivity
from femnn.geometry.families import distorted_cube


def refined_beside(shift=0.0):
    """A unit cube beside one of 2×2×2 cells, which meet in the plane x = 1 in 5 hanging vertices."""
    fine = skfem.MeshHex().refined(1).translated((1.0 + shift, 0.0, 0.0))
    coarse = skfem.MeshHex()
    points = np.hstack([coarse.p, fine.p])
    cells = np.hstack([coarse.t, fine.t + coarse.nvertices])
    _, first, place = np.unique(points.round(9), axis=1, return_index=True, return_inverse=True)
    return skfem.MeshHex1(points[:, first], place.ravel()[cells])


@pytest.mark.parametrize("mesh", [distorted_cube(4, 0.3), skfem.MeshHex().refined(2)], ids=["distorted", "regular"])
def test_sound_mesh(mesh):
    found = measure_connectivity(mesh)
    assert (found.parts, found.hinged_parts) == (1, 1)
    for name in ("duplicates", "loose_vertices", "hanging_vertices", "coincident_vertices"):
        assert len(getattr(found, name)) == 0


def test_duplicates_in_any_order_of_vertices():
    mesh = distorted_cube(3, 0.2)
    twice = np.hstack([mesh.t, mesh.t[[1, 4, 5, 0, 7, 2, 3, 6], 4:6], mesh.t[:, 4:5]])
    np.testing.assert_array_equal(duplicate_elements(skfem.MeshHex1(mesh.p, twice)), [27, 28, 29])


def test_hanging_vertices():
    mesh = refined_beside()
    found = measure_connectivity(mesh)
    assert (found.parts, found.hinged_parts) == (1, 2)
    np.testing.assert_allclose(mesh.p[0, found.hanging_vertices], 1.0)
    places = {tuple(point) for point in mesh.p[1:, found.hanging_vertices].T.tolist()}
    assert places == {(0.5, 0.5), (0.5, 0.0), (0.5, 1.0), (0.0, 0.5), (1.0, 0.5)}
    assert len(found.coincident_vertices) == 0


def test_hanging_vertices_on_twisted_faces():
    # bilinear faces: the vertex in the middle of the warped face lies on it, one beside it does not
    cube = skfem.MeshHex()
    points = cube.p.copy()
    face = np.flatnonzero(points[0] == 1.0)
    points[0, face] += [0.2, -0.1, 0.15, -0.2]
    middle = points[:, face].mean(axis=1)
    for shift, count in ((0.0, 1), (1e-3, 0)):
        other = cube.p * 0.3 + np.array([[2.0], [0.0], [0.0]])
        other[:, 0] = middle + np.array([shift, 0.0, 0.0])
        mesh = skfem.MeshHex1(np.hstack([points, other]), np.hstack([cube.t, cube.t + 8]))
        assert len(measure_connectivity(mesh).hanging_vertices) == count


def test_parts_that_were_not_merged():
    cube = skfem.MeshHex().refined(1)
    points = np.hstack([cube.p, cube.p + np.array([[1.0], [0.0], [0.0]])])
    mesh = skfem.MeshHex1(points, np.hstack([cube.t, cube.t + cube.nvertices]))
    found = measure_connectivity(mesh)
    assert (found.parts, found.hinged_parts) == (2, 2)
    assert len(found.coincident_vertices) == 18
    assert len(found.hanging_vertices) == 0


def test_parts_that_meet_in_an_edge():
    mesh = skfem.MeshHex.init_tensor(*[np.arange(3.0)] * 2, np.arange(2.0))
    centres = mesh.p[:, mesh.t].mean(axis=1)
    diagonal = np.flatnonzero((centres[0] < 1) == (centres[1] < 1))
    found = measure_connectivity(mesh.restrict(diagonal))
    assert (found.parts, found.hinged_parts) == (1, 2)


def test_assembly_warns_of_what_costs_nothing_to_find():
    mesh = skfem.MeshHex()
    element = skfem.ElementVector(skfem.ElementHex1())
    loose = skfem.MeshHex1(np.hstack([mesh.p, [[5.0], [5.0], [5.0]]]), mesh.t)
    with pytest.warns(FemnnWarning, match="1 vertices belong to no element, first vertex 8") as caught:
        bases(loose, element, GaussLegendre(2))
    assert caught[0].filename == __file__
    with pytest.warns(FemnnWarning, match="1 vertices belong to no element"):
        assemble_elasticity(loose, GaussLegendre(2), 1.0, 0.3)
    twice = skfem.MeshHex1(mesh.p, np.hstack([mesh.t, mesh.t]))
    with pytest.warns(FemnnWarning, match="1 elements have the same vertices as others, first element 1"):
        bases(twice, element, GaussLegendre(2))
    with pytest.raises(MeshError, match="have the same vertices"):
        assemble_elasticity(twice, GaussLegendre(2), 1.0, 0.3)


def test_vertices_of_other_parts_are_no_fault_of_a_part():
    mesh = skfem.MeshHex.init_tensor(*3 * [np.linspace(0.0, 1.0, 3)])
    part = PartialMesh(mesh.p, mesh.t[:, :4])
    assert len(loose_vertices(part)) > 0
    assert assemble_mass(part, GaussLegendre(2)).sum() == pytest.approx(0.5), "and no warning"
