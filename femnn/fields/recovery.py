"""From values at points to values at nodes: L2 projection, and superconvergent patches.

Patches after O. C. Zienkiewicz, J. Z. Zhu, IJNME 33 (1992) 1331-1364: around each vertex a polynomial is fitted to the
values where they are most accurate, the centres of trilinear elements and the 2×2×2 Gauss points of triquadratic ones.
Vertices of the boundary, which have few elements around them, take samples from further away and polynomials of one
degree more, because they extrapolate, with weights that fall with the square of the distance (M. Tabbara, T. Blacker,
T. Belytschko, CMAME 117 (1994) 211-223); where that does not suffice, the polynomials of their neighbours.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import skfem
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import cg

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation, degree, scalar_element
from femnn.assembly.element_matrices import MASS
from femnn.assembly.forces import body_force
from femnn.assembly.fused import fill_matrix
from femnn.assembly.groups import check_rule
from femnn.assembly.pattern import Pattern
from femnn.checks import checked, floats, one_of
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.geometry.hexahedron import QUADRATIC_NODES, VERTICES, shape_functions
from femnn.integration.gauss import tensor_gauss
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule

METHODS = ("projection", "patches")

# Samples a patch needs for each coefficient of its polynomial.
_SAMPLES = 1.5

# Points of an element from which a quadratic polynomial is found, not a trilinear one.
_QUADRATIC = 20

# Singular values of a patch below this, relative to the largest, are none: all samples lie in a plane.
_RANK = 1e-8

# Squared distance of a sample, in sizes of elements, below which its weight grows no more.
_NEAREST = 1e-3

# Elements around a vertex that is not on the boundary, at least; rings of elements that one of the boundary asks.
_INNER, _RINGS = 6, 4

# Vertices whose polynomials are sought at a time.
_CHUNK = 2000


@checked(rule="unchecked")
def recover(
    mesh: skfem.Mesh,
    rule: Rule,
    values: Sequence[np.ndarray],
    *,
    method: str = "patches",
    element: skfem.Element | None = None,
    on_folded: str = "raise",
    pattern: Pattern | None = None,
) -> np.ndarray:
    """Values at the nodes from values at the points of a rule, such as :func:`femnn.stress` gives.

    Parameters
    ----------
    mesh, rule, element, on_folded, pattern
        As in :func:`femnn.assemble_elasticity`.
    values
        An array (m, nqp) or (m, nqp, k) for each group of the rule; (n, 1, k) for one value an element.
    method
        ``"patches"``, superconvergent patches, or ``"projection"``, the nodal field that is nearest in the mean square.

    Returns
    -------
    (n_nodes,) or (n_nodes, k) array
        Numbered like the degrees of freedom of the scalar element, vertices first.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError
    ConvergenceError
        If the projection is not found.

    Examples
    --------
    >>> import femnn
    >>> mesh = skfem.MeshHex().refined(1)
    >>> recover(mesh, femnn.GaussLegendre(2), [np.full((8, 8), 7.0)]).round(9)[:3]
    array([7., 7., 7.])
    """
    one_of("method", method, METHODS)
    check_rule(rule)
    arrays = [floats("an array of values", part) for part in values]
    if len(arrays) == 1 and arrays[0].ndim >= 2 and arrays[0].shape[1] == 1:
        rule = GaussLegendre(1)
    discretisation = Discretisation.of(mesh, rule, element, on_folded, pattern)
    if discretisation.is_tabulated and method == "patches":
        raise ParameterError(
            "method='patches' knows straight hexahedra with ElementHex1 or ElementHex2; pass method='projection' for "
            "these cells"
        )
    expected = [(len(group.cells), group.W.shape[-1]) for group in discretisation.groups]
    found = [part.shape[:2] for part in arrays]
    if found != expected or len({part.shape[2:] for part in arrays}) != 1:
        raise ParameterError(
            f"the values have the shapes {[part.shape for part in arrays]}, the rule has {expected} elements and "
            "points; pass what femnn.stress or solid.stresses gives for this rule"
        )
    tail = arrays[0].shape[2:]
    flat = [np.ascontiguousarray(part.reshape(*part.shape[:2], -1)) for part in arrays]
    nodal = (_projected if method == "projection" else _patched)(
        mesh, scalar_element(element, mesh), discretisation, flat
    )
    return nodal.reshape(len(nodal), *tail)


def _projected(mesh, element, discretisation, arrays):
    if any(part.shape[1] == 1 for part in arrays):
        # one point does not carry a mass; its value is that of the whole element
        whole = np.zeros((len(discretisation.hexahedra), arrays[0].shape[2]))
        for group, part in zip(discretisation.groups, arrays, strict=True):
            whole[group.cells] = part.mean(axis=1)
        discretisation = Discretisation.of(
            mesh, GaussLegendre(degree(element) + 1), element, "skip", discretisation.pattern
        )
        arrays = [np.repeat(whole[g.cells][:, None], g.W.shape[-1], axis=1) for g in discretisation.groups]
    one = Coefficients(np.ones((1, 1)), np.zeros(len(discretisation.hexahedra), dtype=np.int64), 0)
    pattern, points = discretisation.pattern, discretisation.points
    mass = fill_matrix(MASS, discretisation.hexahedra, pattern, points, one, 1)
    numbers = np.concatenate([part.reshape(-1, part.shape[2]) for part in arrays])
    load = body_force(discretisation, Coefficients(numbers, points.rows, 1)).reshape(-1, numbers.shape[1])
    diagonal = mass.diagonal()
    carried = diagonal > 0.0
    scale = np.where(carried, 1.0 / np.sqrt(np.where(carried, diagonal, 1.0)), 0.0)
    scaled = mass.multiply(scale[:, None]).multiply(scale).tocsr()
    result = np.zeros_like(load)
    for k in range(load.shape[1]):
        y, code = cg(scaled, scale * load[:, k], rtol=1e-12, atol=0.0, maxiter=2000)
        if code:
            raise ConvergenceError(
                "the projection was not found in 2000 iterations; repair the most distorted elements, or pass "
                "method='patches'",
                scale * y,
                np.array([]),
            )
        result[:, k] = scale * y
    return result


def _samples(discretisation, element, arrays):
    """Places (n, s, 3) and values (n, s, k) where an element's values are most accurate, with its polynomial there."""
    n, k = len(discretisation.hexahedra), arrays[0].shape[2]
    points = np.full((3, 1), 0.5) if degree(element) == 1 else tensor_gauss(2, 2, 2)[0]
    places = np.einsum("aq,eai->eqi", shape_functions(points), discretisation.hexahedra)
    values = np.zeros((n, points.shape[1], k))
    for group, part in zip(discretisation.groups, arrays, strict=True):
        X = np.broadcast_to(group.X[:, None] if group.X.ndim == 2 else group.X, (3, *part.shape[:2]))
        if part.shape[1] < 8:
            values[group.cells] = part.mean(axis=1)[:, None]
            continue
        # values at other points than the rule's by the polynomial that is nearest to those
        terms = _trilinear_terms if part.shape[1] < _QUADRATIC else _quadratic_terms
        fitted = np.linalg.pinv(terms(np.moveaxis(X, 0, -1) - 0.5)) @ part
        values[group.cells] = terms(points.T - 0.5) @ fitted
    return places, values


def _terms(x, degree):
    """Monomials of total degree up to ``degree`` at ``x`` (..., 3), (..., terms)."""
    powers = [p for p in product(range(degree + 1), repeat=3) if sum(p) <= degree]
    return np.stack([np.prod(x ** np.array(p), axis=-1) for p in sorted(powers, key=sum)], axis=-1)


def _trilinear_terms(x):
    return np.moveaxis(shape_functions(np.moveaxis(x + 0.5, -1, 0)), 0, -1)


def _quadratic_terms(x):
    # with the term ξηζ of the map: what is linear in space stays so
    return np.concatenate([_terms(x, 2), np.prod(x, axis=-1, keepdims=True)], axis=-1)


def _patched(mesh, element, discretisation, arrays):
    vertices = np.asarray(mesh.t).T
    chosen = discretisation.points.counts > 0
    places, values = _samples(discretisation, element, arrays)
    places, values, cells = places[chosen], values[chosen], vertices[chosen]
    n, own = mesh.p.shape[1], degree(element)
    sizes = np.zeros(n)
    np.maximum.at(sizes, cells, np.ptp(mesh.p.T[cells], axis=1).max(axis=1)[:, None])
    sizes[sizes == 0.0] = 1.0
    touching = coo_matrix(
        (np.ones(cells.size, dtype=np.int32), (cells.ravel(), np.repeat(np.arange(len(cells)), 8))), (n, len(cells))
    ).tocsr()
    fits = np.zeros((n, _terms(np.zeros(3), own + 1).shape[-1], values.shape[2]))
    inner = np.diff(touching.indptr) >= _INNER
    fitted = _fit(np.flatnonzero(inner), touching, own, mesh.p.T, sizes, places, values, fits, extrapolates=False)
    # vertices of the boundary reach further, with polynomials of one degree more: they extrapolate
    around, neighbours = touching, (touching.T @ touching).astype(bool).astype(np.int32)
    for _ in range(_RINGS):
        left = np.flatnonzero(~fitted & (np.diff(touching.indptr) > 0))
        fitted |= _fit(left, around, own + 1, mesh.p.T, sizes, places, values, fits, extrapolates=True)
        around = ((around @ neighbours) > 0).astype(np.int32)
    return _blended(mesh, element, discretisation, cells, sizes, own + 1, fits, fitted, values)


def _fit(chosen, around, order, x, sizes, places, values, fits, *, extrapolates):
    """Fit polynomials to the samples of the elements ``around`` the ``chosen`` vertices; which vertices have one."""
    width, k = _terms(np.zeros(3), order).shape[-1], values.shape[2]
    found = np.zeros(len(x), dtype=bool)
    for start in range(0, len(chosen), _CHUNK):
        vertices = chosen[start : start + _CHUNK]
        rows = around[vertices].tocoo()
        offsets = (places[rows.col] - x[vertices[rows.row]][:, None]) / sizes[vertices[rows.row], None, None]
        basis = _terms(offsets, order)
        weights = np.ones(basis.shape[:2])
        if extrapolates:
            weights = 1.0 / np.maximum(np.einsum("esi,esi->es", offsets, offsets), _NEAREST)
        normal, right = np.zeros((len(vertices), width, width)), np.zeros((len(vertices), width, k))
        np.add.at(normal, rows.row, np.einsum("es,esi,esj->eij", weights, basis, basis, optimize=True))
        np.add.at(right, rows.row, np.einsum("es,esi,esk->eik", weights, basis, values[rows.col], optimize=True))
        count = np.bincount(rows.row, minlength=len(vertices)) * values.shape[1]
        scale = np.sqrt(np.maximum(np.einsum("eii->ei", normal), np.finfo(float).tiny))
        scaled = normal / scale[:, :, None] / scale[:, None, :]
        spectrum = np.linalg.eigvalsh(scaled)
        good = (count >= _SAMPLES * width) & (spectrum[:, 0] > _RANK * spectrum[:, -1])
        solved = np.linalg.solve(scaled[good], right[good] / scale[good][:, :, None]) / scale[good][:, :, None]
        fits[vertices[good], :width] = solved
        found[vertices[good]] = True
    return found


def _blended(mesh, element, discretisation, cells, sizes, order, fits, enough, values):
    """Σ N_v P_v at the nodes, with the polynomial P_v of vertex v, or the mean of its neighbours' where it has none."""
    nodes = discretisation.pattern.cells[discretisation.points.counts > 0]
    local = VERTICES.T if degree(element) == 1 else QUADRATIC_NODES.T
    blend = shape_functions(local)
    x = mesh.p.T
    n, k = discretisation.pattern.n_nodes, fits.shape[2]
    positions = np.einsum("aq,eai->eqi", blend, x[cells])
    # the polynomials of an element's neighbourhood at its nodes
    result, weights = np.zeros((n, k)), np.zeros(n)
    own = np.zeros((len(cells), 8, local.shape[1], k))
    for a in range(8):
        v = cells[:, a]
        own[:, a] = _terms((positions - x[v][:, None]) / sizes[v, None, None], order) @ fits[v]
    fitted = enough[cells]
    number = fitted.sum(axis=1)
    inside = np.einsum("ea,eaqk->eqk", fitted.astype(float), own) / np.maximum(number, 1)[:, None, None]
    # an element without any fit keeps the mean of its own values
    inside[number == 0] = values[number == 0].mean(axis=1)[:, None]
    blended = np.einsum("aq,eaqk->eqk", blend, np.where(fitted[:, :, None, None], own, inside[:, None]))
    trust = np.where(number > 0, 1.0, 1e-6)[:, None] * np.ones(local.shape[1])
    np.add.at(result, nodes, trust[:, :, None] * blended)
    np.add.at(weights, nodes, trust)
    weights[weights == 0.0] = 1.0
    return result / weights[:, None]
