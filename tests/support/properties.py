"""What every rule and every element matrix must satisfy, written once as assertions that the tests share."""

import numpy as np

from femnn.geometry import symmetries, vertex_permutations
from femnn.quadrature.patch_conditions import patch_residual


def rotation(seed):
    """A random rotation matrix, (3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def moved(hexahedra, seed=0, size=1.0):
    """The elements after a rigid motion and a scaling."""
    return size * hexahedra @ rotation(seed).T + np.array([3.0, -2.0, 5.0])


def described_otherwise(hexahedra, symmetry):
    """The same elements with their vertices named after one of the 48 symmetries."""
    return hexahedra[:, vertex_permutations()[symmetry]]


def spread(groups, n):
    """Points (n, list) and weights of each element as lists of arrays, from groups that must partition the elements."""
    cells = np.concatenate([group.cells for group in groups])
    assert sorted(cells) == list(range(n)), "the groups do not partition the elements"
    points, weights = [None] * n, [None] * n
    for group in groups:
        for row, cell in enumerate(group.cells):
            points[cell] = group.X if group.X.ndim == 2 else group.X[:, row]
            weights[cell] = group.W if group.W.ndim == 1 else group.W[row]
    return points, weights


def assert_keeps_contract(rule, hexahedra):
    """Groups partition the elements; shapes fit; points lie inside the cube; weights are positive."""
    for group in rule.groups(hexahedra):
        m, nqp = len(group.cells), group.W.shape[-1]
        assert group.W.shape in ((nqp,), (m, nqp))
        assert group.X.shape in ((3, nqp), (3, m, nqp))
        assert group.X.dtype == group.W.dtype == np.float64
        assert (group.X > 0.0).all()
        assert (group.X < 1.0).all()
        assert (group.W > 0.0).all()
    spread(rule.groups(hexahedra), len(hexahedra))


def assert_has_degree(points, weights, degree):
    """All monomials up to this total degree are integrated over the cube exactly, and not all of the next."""
    powers = np.stack(np.meshgrid(*[np.arange(degree + 2)] * 3), axis=-1).reshape(-1, 3)
    found = np.prod(points.T[:, None] ** powers, axis=2).T @ weights
    missed = np.abs(found * (powers + 1).prod(axis=1) - 1.0)
    assert missed[powers.sum(axis=1) <= degree].max() < 1e-13
    assert missed[powers.sum(axis=1) == degree + 1].max() > 1e-4


def assert_invariant(rule, hexahedra, most=1e-9):
    """Position, orientation and size change neither points nor weights by more than ``most``."""
    expected = spread(rule.groups(hexahedra), len(hexahedra))
    found = spread(rule.groups(moved(hexahedra, seed=1, size=1e-3)), len(hexahedra))
    for before, after in zip(expected, found, strict=True):
        for a, b in zip(before, after, strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=most)


def assert_equivariant(rule, hexahedra, chosen=range(0, 48, 5), most=1e-9):
    """Naming the vertices otherwise carries the points and weights of each element along, to ``most``."""
    points, weights = spread(rule.groups(hexahedra), len(hexahedra))
    for g in chosen:
        turned_points, turned_weights = spread(rule.groups(described_otherwise(hexahedra, g)), len(hexahedra))
        for e in range(len(hexahedra)):
            carried = 0.5 + symmetries()[g] @ (turned_points[e] - 0.5)
            order = _match(carried, points[e], most)
            np.testing.assert_allclose(turned_weights[e], weights[e][order], rtol=most)


def _match(points, others, most):
    distances = np.abs(points[:, :, None] - others[:, None, :]).max(axis=0)
    assert distances.min(axis=1).max() < most
    return distances.argmin(axis=1)


def assert_passes_patch_test(rule, hexahedra, most=1e-12):
    """The rule integrates what the patch test of each element asks for: a linear displacement meets no resistance."""
    for group in rule.groups(hexahedra):
        assert patch_residual(hexahedra[group.cells], group.X, group.W).max() < most


def assert_rigid_modes_free(stiffness, vertices):
    """Translations and rotations of one element (8, 3) do no work with its stiffness (24, 24), row 3a + i."""
    translations = np.tile(np.eye(3), (8, 1))
    rotations = np.stack([np.cross(axis, vertices).ravel() for axis in np.eye(3)], axis=1)
    modes = np.concatenate([translations, rotations], axis=1)
    scale = np.abs(stiffness).max() * np.abs(modes).max()
    assert np.abs(stiffness @ modes).max() < 1e-12 * scale
