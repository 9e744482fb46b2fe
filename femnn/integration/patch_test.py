"""The patch test of one element: which integrals a rule must find exactly for constant strains to be reproduced.

A displacement that is linear in x passes through a mesh undisturbed if ∫ ∂N_a/∂x_i dx comes out exactly in every
element (B. M. Irons, A. Razzaque, 1972; T. J. R. Hughes, The Finite Element Method, 1987, section 4.6). In reference
coordinates the integrand is cof J · ∇N_a = ∂(det J)/∂x_a, a polynomial of degree two along each axis, so 2×2×2 Gauss
points pass, and so does every rule that integrates these 24 functions of *this* element exactly. An affine map of the
element mixes them among themselves: which weights pass depends on the twelve numbers J₀⁻¹h alone.
"""

import numpy as np
from numba import njit, prange

from femnn.geometry.coordinates import own_axes
from femnn.geometry.hexahedron import shape_gradients
from femnn.integration.gauss import tensor_gauss


def patch_integrands(hexahedra, points):
    """cof J · ∇N_a = det J ∂N_a/∂x_i, shape (n, 24, nqp), row 3a + i.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Elements, or the same in their own axes (:func:`femnn.geometry.coordinates.own_axes`).
    points : (3, nqp) or (3, n, nqp)
        In [0, 1]³, shared or one set per element.
    """
    slopes = shape_gradients(points)
    if slopes.ndim == 3:
        columns = np.einsum("akq,eai->keqi", slopes, hexahedra)
    else:
        columns = np.einsum("akeq,eai->keqi", slopes, hexahedra)
    # column k of cof J is the vector product of the other two columns of J
    cofactors = np.stack([np.cross(columns[(k + 1) % 3], columns[(k + 2) % 3]) for k in range(3)])
    shared = "akq,keqi->eaiq" if slopes.ndim == 3 else "akeq,keqi->eaiq"
    integrands = np.einsum(shared, slopes, cofactors)
    return integrands.reshape(len(integrands), 24, -1)


def patch_integrals(hexahedra):
    """∫ ∂N_a/∂x_i dx up to the sign of det J, shape (n, 24), row 3a + i: exact, by 2×2×2 Gauss points."""
    points, weights = tensor_gauss(2, 2, 2)
    return patch_integrands(hexahedra, points) @ weights


def patch_residual(hexahedra, X, W):
    """How far a rule is from passing the patch test on each element, shape (n,).

    The largest error of the 24 integrals in the element's own axes over the largest of them, so that neither size nor
    stretch of the element matter: round-off (1e-15) if the rule passes.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
    X : (3, nqp) or (3, n, nqp)
        Points in [0, 1]³, shared or one set per element, as a :class:`femnn.CellGroup` has them.
    W : (nqp,) or (n, nqp)
        Weights; Gauss weights sum to 1.
    """
    own = own_axes(hexahedra)
    exact = patch_integrals(own)
    found = np.einsum("erq,eq->er", patch_integrands(own, X), np.broadcast_to(W, (len(own), np.shape(W)[-1])))
    return np.abs(found - exact).max(axis=1) / np.abs(exact).max(axis=1)


# The 24 integrands span thirteen functions of an element that is no parallelepiped, seven of one that is.
_MOST_INDEPENDENT = 13


@njit(cache=True, error_model="numpy")
def _orthonormal_rows(rows, basis):
    """Gram-Schmidt with pivots on ``rows`` (24, nqp), which are overwritten; returns how many rows ``basis`` got."""
    count, largest = 0, 0.0
    while count < basis.shape[0]:
        best, norm = 0, -1.0
        for r in range(rows.shape[0]):
            square = (rows[r] ** 2).sum()
            if square > norm:
                best, norm = r, square
        norm = np.sqrt(norm)
        largest = max(largest, norm)
        if norm <= 1e-14 * largest:
            break
        # once more against all before it: rows that are small differences have lost their digits
        basis[count] = rows[best] / norm
        for k in range(count):
            basis[count] -= (basis[count] * basis[k]).sum() * basis[k]
        basis[count] /= np.sqrt((basis[count] ** 2).sum())
        for r in range(rows.shape[0]):
            rows[r] -= (rows[r] * basis[count]).sum() * basis[count]
        count += 1
    return count


@njit(parallel=True, cache=True, error_model="numpy")
def _bases(integrands, bases):
    for e in prange(integrands.shape[0]):
        found = _orthonormal_rows(integrands[e], bases[e])
        bases[e, found:] = 0.0


def patch_bases(hexahedra, points):
    """Orthonormal rows (n, 13, nqp) that span the integrands at shared points; zero where there are fewer.

    A change of weights passes the patch test if it is orthogonal to all of them.
    """
    integrands = np.ascontiguousarray(patch_integrands(own_axes(hexahedra), points))
    bases = np.empty((len(integrands), _MOST_INDEPENDENT, integrands.shape[2]))
    _bases(integrands, bases)
    return bases


def passing_part(bases, changes):
    """Orthogonal projection of ``changes`` of weights (n, nqp) on those that pass the patch test, (n, nqp)."""
    # twice: the second time removes what round-off left of the first
    for _ in range(2):
        changes = changes - np.einsum("erq,er->eq", bases, np.einsum("erq,eq->er", bases, changes))
    return changes
