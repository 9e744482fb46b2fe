"""Linear elasticity of elements that bend: K = V B̄ᵀ C B̄ + Γ S Γᵀ from vertex coordinates to the sparse matrix."""

import numpy as np
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.element_matrices import ISOTROPIC
from femnn.assembly.formulations.choice import KINDS, materials, require_constant, require_points
from femnn.assembly.formulations.expansion import expand, scatter_symmetric
from femnn.assembly.formulations.incompatible import fill_incompatible
from femnn.assembly.formulations.stabilised import fill_stabilised
from femnn.assembly.formulations.twists import GIVEN, add_means, fill_twists, twist_workspace
from femnn.assembly.scatter import buffer_length, flush, scatter_isotropic, structure
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, add_moments, aligned, gradients_of_batch, lane_workspace
from femnn.system.compile import njit

# What stands for S where the kernels make it themselves.
_NONE = np.empty((0, 12, 12))


def fill_formulated(
    formulation: str,
    form: int,
    discretisation: Discretisation,
    coefficients: Coefficients,
    twists: np.ndarray | None = None,
    out: csr_matrix | None = None,
) -> csr_matrix:
    """The stiffness matrix of a formulation other than ``"standard"``, in ``out`` if this is one of the same pattern.

    Parameters
    ----------
    formulation, form, discretisation, coefficients
        What :func:`femnn.assemble_elasticity` makes of its arguments.
    twists
        S (n, 12, 12) of every element, for the formulation that a network gives; None for the others.

    Raises
    ------
    ParameterError
        If the material varies in an element, or the rule has too few points.
    """
    require_constant(coefficients, formulation)
    require_points(discretisation.groups, formulation)
    pattern = discretisation.pattern
    matrix = pattern.empty_matrix(3) if out is None else pattern.require_own(out, 3)
    if formulation == "mean-dilatation" and form == ISOTROPIC:
        where = discretisation.hexahedra, *structure(pattern), discretisation.points[:3]
        _fill_mean_dilatation(*where, coefficients.values, coefficients.rows, LANES, matrix.data)
        return matrix
    if formulation == "incompatible" and form == ISOTROPIC:
        where = discretisation.hexahedra, *structure(pattern), discretisation.points[:3]
        fill_incompatible(*where, coefficients.values, coefficients.rows, LANES, matrix.data)
        return matrix
    if formulation == "stabilised" and form == ISOTROPIC:
        where = discretisation.hexahedra, *structure(pattern), discretisation.points.counts
        fill_stabilised(*where, coefficients.values, coefficients.rows, LANES, matrix.data)
        return matrix
    _fill(
        KINDS[formulation],
        form,
        discretisation.hexahedra,
        *structure(pattern),
        discretisation.points[:3],
        materials(formulation, form, coefficients.values),
        coefficients.values,
        coefficients.rows,
        _NONE if twists is None else twists,
        LANES,
        matrix.data,
    )
    return matrix


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill_mean_dilatation(begin, end, hexahedra, pattern, blocks, points, numbers, number_rows, lanes, data):
    """What :func:`_fill` gives for isotropic materials, as K = ∫ 2 μ dev ε : dev ε + κ V θ̄², without the twists."""
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    batches, first, count = points
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        work, inverses, columns, gradients = lane_workspace(8)
        moments, means = aligned(576).reshape((24, 24)), aligned(24)
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            moments[:] = 0.0
            means[:] = 0.0
            volume = 0.0
            for batch in range((count[e] + LANES - 1) // LANES):
                gradients_of_batch(hexahedra, e, batches, first[e] + batch, lanes, work, inverses, columns, gradients)
                add_moments(gradients, inverses, moments)
                volume += add_means(gradients, inverses, 3 * lanes, means)
            lmbda, mu = numbers[number_rows[e], 0], numbers[number_rows[e], 1]
            factor = (lmbda + 2.0 / 3.0 * mu) / volume
            scatter_isotropic(moments, -2.0 / 3.0 * mu, mu, e, cells, row_starts, slots, places, buffer, means, factor)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill(begin, end, kind, form, hexahedra, pattern, blocks, points, four, numbers, number_rows, given, lanes, data):
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        lane_work, work, vertices = lane_workspace(8), twist_workspace(), np.arange(8)
        means, turned, rows, matrix = (
            aligned(24),
            aligned(32),
            aligned(168).reshape((7, 24)),
            aligned(576).reshape((24, 24)),
        )
        vectors, twists = work[0][4], work[2][4]
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if points[2][e] == 0:
                continue
            row = number_rows[e]
            volume = fill_twists(kind, form, hexahedra, e, points, lanes, lane_work, vertices, four, row, work, means)
            if kind == GIVEN:
                for r in range(12):
                    for c in range(12):
                        twists[r, c] = given[e, r, c]
            expand(form, numbers, row, volume, means, vectors, twists, 3 * lanes, turned, rows, matrix)
            scatter_symmetric(matrix, e, cells, row_starts, slots, places, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


@njit(over="hexahedra", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def _twists(begin, end, kind, form, hexahedra, points, four, rows, lanes, twists):
    for e in range(begin, end):
        work, means, vertices = twist_workspace(), np.empty(24), np.arange(8)
        if points[2][e] == 0:
            twists[e] = 0.0
            continue
        fill_twists(kind, form, hexahedra, e, points, lanes, lane_workspace(8), vertices, four, rows[e], work, means)
        for r in range(12):
            for c in range(r, 12):
                twists[e, r, c] = twists[e, c, r] = work[2][4][r, c]


def twists_of(formulation, form, hexahedra, points, numbers, rows):
    """S (n, 12, 12) of a formulation that the kernels make; ``numbers`` (m, 2) or (m, 36), ``rows`` (n,) of them."""
    twists = np.empty((len(hexahedra), 12, 12))
    four = materials(formulation, form, numbers)
    _twists(KINDS[formulation], form, hexahedra, points[:3], four, rows, LANES, twists)
    return twists
