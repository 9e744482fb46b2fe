"""Splitting meshes along facets; interface elements, fused and with scikit-fem's forms."""

import numpy as np
import pytest
import skfem
from support.cracked_boxes import LAW, bent, box
from support.properties import rotation

from femnn.cohesive import separation_paths
from femnn.exceptions import MeshError, ParameterError
from femnn.interfaces import Interface, InterfaceBases, InterfaceElements, facet_gauss, facet_newton_cotes
from femnn.interfaces.elements import SparseSum


def element(mesh):
    return skfem.ElementVector(skfem.ElementHex1() if mesh.dim() == 3 else skfem.ElementQuad1())


dims = pytest.mark.parametrize("dim", [2, 3])


# --- splitting


@dims
def test_a_plane_is_split_into_two_coinciding_faces(dim):
    mesh = box(dim)
    interface = Interface.split(mesh, "x0")
    split = interface.mesh
    on_plane = 5 ** (dim - 1)
    assert split.nvertices == mesh.nvertices + on_plane
    assert len(interface) == 4 ** (dim - 1)
    np.testing.assert_array_equal(split.p[:, interface.minus_vertices], split.p[:, interface.plus_vertices])
    assert not set(interface.minus_vertices.ravel()) & set(interface.plus_vertices.ravel())
    assert (split.f2t[1, np.concatenate([interface.minus, interface.plus])] == -1).all()
    # minus below, plus above
    sides = [split.p[0][split.t[:, split.f2t[0, side]]].mean() for side in (interface.minus, interface.plus)]
    assert sides[0] < 0.5 < sides[1]


@dims
def test_boundaries_and_subdomains_are_carried_along(dim):
    mesh = box(dim)
    split = Interface.split(mesh, "x0").mesh
    assert set(split.boundaries) == set(mesh.boundaries)
    assert len(split.boundaries["x0"]) == 2 * len(mesh.boundaries["x0"])
    assert np.allclose(split.p[0][split.facets[:, split.boundaries["end"]]], 1.0)
    assert len(split.boundaries["end"]) == len(mesh.boundaries["end"])
    np.testing.assert_array_equal(split.subdomains["left"], mesh.subdomains["left"])


@dims
def test_the_tip_of_a_crack_stays_closed(dim):
    mesh = box(dim)
    interface = Interface.split(mesh, "crack")
    # the plane y < 1/2 without its tip
    assert interface.mesh.nvertices == mesh.nvertices + 2 * 5 ** (dim - 2)
    tip = np.intersect1d(interface.minus_vertices, interface.plus_vertices)
    assert np.allclose(interface.mesh.p[:2, tip], 0.5)
    assert len(tip) == 5 ** (dim - 2)


@dims
def test_at_a_junction_every_part_gets_its_vertex(dim):
    mesh = box(dim)
    crossing = Interface.split(mesh, ["x0", "x1"]).mesh
    place = np.isclose(crossing.p[:2], 0.5).all(axis=0)
    assert place.sum() == 4 * 5 ** (dim - 2)
    # a T: the half of the first plane ends on the second
    tee = Interface.split(mesh, ["crack", "x1"]).mesh
    assert np.isclose(tee.p[:2], 0.5).all(axis=0).sum() == 3 * 5 ** (dim - 2)


def test_cells_keep_their_places():
    mesh = bent(box(3))
    split = Interface.split(mesh, ["x0", "x1", "x2"]).mesh
    np.testing.assert_array_equal(split.p[:, split.t], mesh.p[:, mesh.t])


@dims
def test_parts_that_touch_are_paired(dim):
    whole = Interface.split(bent(box(dim)), "x0")
    mesh = whole.mesh
    # the other way round and in another order
    again = Interface.between(mesh, whole.plus[::-1].copy(), whole.minus)
    order, expected = np.argsort(again.minus), np.argsort(whole.minus)
    for name in ("minus", "plus", "minus_vertices", "plus_vertices"):
        np.testing.assert_array_equal(getattr(again, name)[order], getattr(whole, name)[expected])


# --- elements


@dims
@pytest.mark.parametrize("rule", ["gauss", "corners", "three"])
def test_both_ways_of_assembly_give_the_same_numbers(dim, rule):
    mesh = bent(box(dim))
    interface = Interface.split(mesh, ["x0", "x1"])
    quadrature = {"gauss": None, "corners": facet_newton_cotes(dim), "three": facet_gauss(dim, 3)}[rule]
    elements = InterfaceElements(interface, quadrature)
    bases = InterfaceBases(interface, element(mesh), quadrature)
    draws = np.random.default_rng(3)
    u = 1e-5 * draws.normal(size=elements.ndof)
    separation = elements.separation(u)
    np.testing.assert_allclose(bases.separation(u), separation, rtol=0, atol=1e-18)
    traction, tangent, _ = LAW.update(separation, LAW.initial_state(elements.points))
    force, stiffness = elements.force(traction), elements.stiffness(tangent)
    np.testing.assert_allclose(bases.force(traction), force, rtol=0, atol=1e-12 * np.abs(force).max())
    assert np.abs(bases.stiffness(tangent) - stiffness).max() < 1e-12 * np.abs(stiffness).max()


def test_points_of_the_two_sides_coincide():
    interface = Interface.split(bent(box(3)), "x0")
    bases = InterfaceBases(interface, element(interface.mesh))
    elements = InterfaceElements(interface)
    # any displacement field that is continuous as a function of place has no jump
    place = np.sin(interface.mesh.p.T @ rotation(1)).ravel()
    assert np.abs(bases.separation(place)).max() < 1e-14
    assert np.abs(elements.separation(place)).max() < 1e-14
    np.testing.assert_allclose(
        np.asarray(bases.minus.global_coordinates()).transpose(1, 2, 0), elements.x, rtol=0, atol=1e-14
    )


def test_other_elements_go_through_the_forms():
    interface = Interface.split(box(3, 2), "x0")
    bases = InterfaceBases(interface, skfem.ElementVector(skfem.ElementHex2()))
    plus = np.unique(bases.plus.element_dofs)
    u = np.zeros(bases.minus.N)
    u[plus] = 0.2
    separation = bases.separation(u)
    np.testing.assert_allclose(separation[:, 0], 0.2)
    np.testing.assert_allclose(np.linalg.norm(separation, axis=1), 0.2 * np.sqrt(3.0))
    # quadratic shape functions, too, sum to one
    force = bases.force(np.tile([2.0, 0.0, 0.0], (len(separation), 1)))
    assert force[plus].sum() == pytest.approx(2.0)
    assert force.sum() == pytest.approx(0.0, abs=1e-12)


@dims
def test_separations_are_jumps_in_the_frame(dim):
    interface = Interface.split(box(dim), "x0")
    elements = InterfaceElements(interface)
    moved = np.zeros((interface.mesh.nvertices, dim))
    moved[interface.plus_vertices.ravel()] = np.arange(1.0, dim + 1.0)
    separation = elements.separation(moved.ravel())
    np.testing.assert_allclose(separation[:, 0], 1.0)
    np.testing.assert_allclose(np.linalg.norm(separation[:, 1:], axis=1), np.linalg.norm(np.arange(2, dim + 1)))
    # area times traction, and equal forces on both sides
    force = elements.force(np.tile([3.0, 0.0, 0.0], (elements.points, 1))).reshape(-1, dim)
    assert force[np.unique(interface.plus_vertices), 0].sum() == pytest.approx(3.0)
    assert force[np.unique(interface.minus_vertices), 0].sum() == pytest.approx(-3.0)


def test_rigid_motion_of_everything_separates_nothing_and_area_is_kept():
    interface = Interface.split(bent(box(3)), "x0")
    elements = InterfaceElements(interface)
    spin = np.array([[0.0, -1.0, 2.0], [1.0, 0.0, -3.0], [-2.0, 3.0, 0.0]])
    rigid = interface.mesh.p.T @ spin.T + [1.0, 2.0, 3.0]
    assert np.abs(elements.separation(rigid.ravel())).max() < 1e-13
    np.testing.assert_allclose(
        np.einsum("nqai,nqbi->nqab", elements.frames, elements.frames), np.broadcast_to(np.eye(3), (16, 4, 3, 3)),
        atol=1e-14,
    )  # fmt: skip


@dims
def test_the_tangent_is_the_derivative_of_the_force(dim):
    interface = Interface.split(bent(box(dim, 2)), ["x0", "x1"])
    elements = InterfaceElements(interface)
    path = separation_paths(elements.points, 3, LAW.separation_scale, "mixed", seed=1)
    state = LAW.update(path[:, 1], LAW.initial_state(elements.points)).state
    draws = np.random.default_rng(5)
    u, direction = 1e-5 * draws.normal(size=elements.ndof), draws.normal(size=elements.ndof)

    def force(u):
        return elements.force(LAW.update(elements.separation(u), state).traction)

    step = 1e-11
    difference = (force(u + step * direction) - force(u - step * direction)) / (2 * step)
    exact = elements.stiffness(LAW.update(elements.separation(u), state).tangent) @ direction
    np.testing.assert_allclose(exact, difference, rtol=0, atol=1e-7 * np.abs(exact).max())


@dims
def test_the_sum_with_a_matrix_is_the_sum(dim):
    interface = Interface.split(bent(box(dim, 2)), "x0")
    elements = InterfaceElements(interface)
    basis = skfem.Basis(interface.mesh, element(interface.mesh))
    from skfem.models.elasticity import lame_parameters, linear_elasticity

    bulk = linear_elasticity(*lame_parameters(1e9, 0.3)).assemble(basis)
    tangent = np.random.default_rng(2).normal(size=(elements.points, 3, 3)) * 1e10
    both = SparseSum(bulk, [elements]).plus([elements.blocks(tangent)])
    expected = bulk + elements.stiffness(tangent)
    assert np.abs(both - expected).max() < 1e-14 * np.abs(expected).max()
    assert both.has_sorted_indices
    assert both.has_canonical_format


# --- bad input


def test_what_cannot_be_split_is_refused():
    mesh = box(3)
    with pytest.raises(MeshError, match="no boundary 'glue'; it has crack, end, x0"):
        Interface.split(mesh, "glue")
    with pytest.raises(MeshError, match="one side only"):
        Interface.split(mesh, "end")
    with pytest.raises(MeshError, match="names no facets"):
        Interface.split(mesh, np.array([], dtype=int))
    with pytest.raises(MeshError, match="facet 100000 does not exist"):
        Interface.split(mesh, [100_000])
    with pytest.raises(MeshError, match="MeshTet1"):
        Interface.split(skfem.MeshTet(), [0])


def test_sides_that_do_not_conform_are_refused():
    a, b = box(3, 4), box(3, 2)
    shift = np.array([[1.0], [0.0], [0.0]])
    two = skfem.MeshHex(np.concatenate([a.p, b.p + shift], axis=1), np.concatenate([a.t, b.t + a.nvertices], axis=1))
    right = two.facets_satisfying(lambda x: np.isclose(x[0], 1.0) & True, boundaries_only=True)
    with pytest.raises(MeshError, match="do not conform: 16 facets on one, 4 on the other"):
        Interface.between(two, right[two.f2t[0, right] < 64], right[two.f2t[0, right] >= 64])
    moved = Interface.split(a, "x0")
    points = moved.mesh.p.copy()
    points[1, np.unique(moved.plus_vertices)] += 0.01
    gap = skfem.MeshHex(points, moved.mesh.t)
    with pytest.raises(MeshError, match=r"do not conform: facet .* is 0.01 away"):
        Interface.between(gap, moved.minus, moved.plus)


def test_wrong_quadratures_and_matrices_are_refused():
    interface = Interface.split(box(3, 2), "x0")
    with pytest.raises(ParameterError, match=r"points \(1, 2\)"):
        InterfaceElements(interface, (np.zeros((1, 2)), np.full(2, 0.5)))
    with pytest.raises(ParameterError, match="sum to 2"):
        InterfaceElements(interface, (np.zeros((2, 2)), np.ones(2)))
    with pytest.raises(ParameterError, match=r"interface\.mesh"):
        SparseSum(skfem.asm(skfem.models.poisson.laplace, skfem.Basis(box(3), skfem.ElementHex1())),
                  [InterfaceElements(interface)])  # fmt: skip
