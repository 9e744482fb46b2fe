"""Both parts of elements that a crack cuts: their measures, moments and flows, exact where they are polyhedra."""

import numpy as np
import pytest
import skfem

from femnn.interfaces import EmbeddedCrack
from femnn.interfaces.cut_cells import CutCells, side_points


def cut(dim, skew=0.0):
    """A crack at an odd angle that makes corners, wedges and slabs of its elements."""
    kind = skfem.MeshQuad if dim == 2 else skfem.MeshHex
    mesh = kind.init_tensor(*[np.linspace(0.0, 1.0, 4)] * dim)
    p = mesh.p.copy()
    inner = ((p > 0.0) & (p < 1.0)).all(axis=0)
    p[:, inner] += skew * np.random.default_rng(0).uniform(-1.0, 1.0, (dim, inner.sum()))
    mesh = kind(p, mesh.t)
    if dim == 2:
        return EmbeddedCrack.line(mesh, (-1.0, -0.43), (2.0, 1.31))
    return EmbeddedCrack.plane(mesh, (0.51, 0.47, 0.52), (0.5, -0.33, 0.8))


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("skew", [0.0, 0.06])
def test_both_parts_make_the_element_and_divergence_finds_the_area_between_them(dim, skew):
    crack = cut(dim, skew)
    cells = CutCells(crack)
    # of all of it, by points that know of no crack
    basis = skfem.Basis(
        crack.mesh, skfem.ElementQuad1() if dim == 2 else skfem.ElementHex1(), elements=crack.elements, intorder=8
    )
    np.testing.assert_allclose(cells.dx.sum(axis=(1, 2)), basis.dx.sum(axis=1), rtol=1e-9)
    shapes = np.array([np.asarray(shape[0]) for shape in basis.basis])
    masses = np.einsum("anq,bnq,nq->nab", shapes, shapes, basis.dx)
    np.testing.assert_allclose(cells.masses().sum(axis=1), masses, atol=2e-6 * masses.max())
    # ∫ div of a constant vector over a part is what flows through its faces: with ∂N of its vertices it sums to zero
    np.testing.assert_allclose(cells.slopes.sum(axis=3), 0.0, atol=1e-9)
    x = np.einsum("nsqa,nai->nsqi", cells.values, crack.mesh.p[:, crack.mesh.t[:, crack.elements]].transpose(2, 1, 0))
    away = (x - crack.centre[:, None, None]) @ crack.normal
    inside = cells.dx > 0.0
    assert (away[:, 0][inside[:, 0]] <= 0.0).all()
    assert (away[:, 1][inside[:, 1]] >= 0.0).all()


def test_volumes_and_moments_of_wedges_in_boxes_are_exact():
    """∫ over the part above the plane, against many thin prisms of which each is exact."""
    crack = cut(3)
    cells, n = CutCells(crack), 400
    s = (np.arange(n) + 0.5) / n
    for cell in range(0, len(crack), 5):
        corners = crack.mesh.p[:, crack.mesh.t[:, crack.elements[cell]]]
        low, size = corners.min(axis=1), np.ptp(corners, axis=1)
        x, y = (low[i] + size[i] * s for i in range(2))
        plane = crack.centre[cell][2] - (
            crack.normal[0] * (x[:, None] - crack.centre[cell][0]) + crack.normal[1] * (y - crack.centre[cell][1])
        ) / crack.normal[2]  # fmt: skip
        above = np.clip(low[2] + size[2] - plane, 0.0, size[2])
        assert cells.dx[cell, 1].sum() == pytest.approx(above.mean() * size[0] * size[1], rel=2e-4, abs=1e-9)


def test_a_mobility_brings_flow_of_each_part_by_its_size():
    crack = cut(2)
    cells = CutCells(crack)
    mobility = np.repeat(np.diag([2.0, 3.0])[:, :, None], len(crack), axis=2)
    x = crack.mesh.p[:, crack.mesh.t[:, crack.elements]]
    flow = np.einsum("nsab,an,bn->ns", cells.conduction(mobility), x[1], x[1])
    np.testing.assert_allclose(flow, 3.0 * cells.dx.sum(axis=2), rtol=1e-9)
    swelling = cells.swelling().reshape(len(crack), 2, 4, 4, 2)
    np.testing.assert_allclose(
        np.einsum("nsabi,ibn->nsa", swelling, x), 2.0 * cells.loads(), atol=1e-12
    )  # fmt: skip
    points, weights = side_points(crack)
    assert points.shape[:2] == (2, len(crack))
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), 1.0)
