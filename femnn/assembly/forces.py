"""Load vectors and internal forces through the fused kernels."""

import numpy as np
import skfem

from femnn.assembly.coefficients import Coefficient, Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.element_matrices import add_stress
from femnn.assembly.pattern import Pattern
from femnn.assembly.scatter import add_to_nodes
from femnn.assembly.tabulated import tabulated_vector
from femnn.assembly.tabulated_points import TabulatedPoints
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, gradients_of_batch, lane_workspace, shape_values
from femnn.quadrature.rule import Rule
from femnn.system.compile import njit


def assemble_body_force(
    mesh: skfem.Mesh,
    rule: Rule,
    force: Coefficient,
    *,
    element: skfem.Element | None = None,
    on_folded: str = "raise",
    pattern: Pattern | None = None,
) -> np.ndarray:
    """Vector of ∫ v · b dx.

    Parameters
    ----------
    force
        b (N/m³): a number for one degree of freedom per node, or as many as there are dimensions; constant, per
        element, per point or a function of the points as the coefficients of :func:`femnn.assemble_elasticity`, which
        the other arguments follow too. A function tells by the shape that it gives, (m, nqp) or (dim, m, nqp).

    Returns
    -------
    (N,) array
        Numbered like the degrees of freedom of ``element``, or of ``skfem.ElementVector(element)``.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError

    Examples
    --------
    >>> import femnn, skfem
    >>> weight = femnn.assemble_body_force(skfem.MeshHex().refined(1), femnn.GaussLegendre(2), (0.0, 0.0, -77e3))
    >>> round(weight[2::3].sum())  # of a cubic metre of steel, N
    -77000
    """
    discretisation = Discretisation.of(mesh, rule, element, on_folded, pattern)
    values = Coefficients.of_shapes(force, ((), (discretisation.dim,)), discretisation, "body force")
    return body_force(discretisation, values)


def assemble_internal_force(
    mesh: skfem.Mesh,
    rule: Rule,
    stress: Coefficient,
    *,
    element: skfem.Element | None = None,
    on_folded: str = "raise",
    pattern: Pattern | None = None,
) -> np.ndarray:
    """Vector of ∫ ∇v : σ dx: the forces at the nodes that balance a stress at the points.

    Parameters
    ----------
    stress
        (6,) in Voigt order xx, yy, zz, yz, xz, xy (Pa), or a (3, 3) first Piola-Kirchhoff stress, of which plane cells
        take the entries in their plane; constant, per element, per point or a function of the points. Other arguments
        as in :func:`femnn.assemble_elasticity`.

    Returns
    -------
    (N,) array
        Numbered like the degrees of freedom of ``skfem.ElementVector(element)``.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh, rule = skfem.MeshHex().refined(1), femnn.GaussLegendre(2)
    >>> force = femnn.assemble_internal_force(mesh, rule, [1e6, 0.0, 0.0, 0.0, 0.0, 0.0])
    >>> right = mesh.p[0] == 1.0
    >>> float(force[::3][right].sum().round(6))  # of a stress of 1 MPa on a square metre, N
    1000000.0
    """
    discretisation = Discretisation.of(mesh, rule, element, on_folded, pattern)
    values = Coefficients.of_shapes(stress, ((6,), (3, 3)), discretisation, "stress")
    return internal_force(discretisation, values)


def body_force(discretisation, force):
    """The vector of :func:`assemble_body_force` for coefficients of any number of components."""
    return _vector(False, discretisation, force, components=force.values.shape[1])


def internal_force(discretisation, stress):
    """The vector of :func:`assemble_internal_force` for coefficients of 6 or 9 numbers."""
    return _vector(True, discretisation, stress, components=discretisation.dim)


def _vector(internal, discretisation, coefficients, components):
    pattern, points = discretisation.pattern, discretisation.points
    if isinstance(points, TabulatedPoints):
        return tabulated_vector(internal, discretisation, coefficients, components)
    blocks = pattern.blocks
    result = np.zeros(components * pattern.n_nodes)
    _fill_vector(
        internal or None,
        discretisation.hexahedra,
        pattern.cells,
        (blocks.order, blocks.elements, blocks.colours),
        points.with_nodes(pattern.cells.shape[1]),
        coefficients,
        LANES,
        result,
    )
    return result


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill_vector(begin, end, internal, hexahedra, cells, blocks, points, coefficients, lanes, result):
    """Internal forces of stresses; with ``internal`` None, which leaves out their code, body forces."""
    order, elements, _ = blocks
    batches, first, count, nodes = points
    numbers, rows, step = coefficients
    k = cells.shape[1]
    components = numbers.shape[1] if internal is None else 3
    for block in range(begin, end):
        work, inverses, columns, gradients = lane_workspace(k)
        values, force = np.empty(k), np.empty(components * k)
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            force[:] = 0.0
            for batch in range((count[e] + LANES - 1) // LANES):
                place = first[e] + batch
                gradients_of_batch(hexahedra, e, batches, place, lanes, work, inverses, columns, gradients, nodes)
                for q in range(min(LANES, count[e] - LANES * batch)):
                    row, volume = rows[e] + step * (LANES * batch + q), inverses[72 + q]
                    if internal is None:
                        shape_values(batches, place, q, values, nodes)
                        _add_values(values, volume, numbers, row, force)
                    else:
                        add_stress(gradients, q, volume, numbers, row, force)
            add_to_nodes(force, e, cells, components, result)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_values(values, volume, numbers, row, force):
    k = values.shape[0]
    for i in range(numbers.shape[1]):
        scaled = volume * numbers[row, i]
        for a in range(k):
            force[i * k + a] += scaled * values[a]
