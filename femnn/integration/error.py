"""The Error of a rule on each element.

    Error = Σ_ij |k_ij - k_ij^ref| / max_ij |k_ij^ref|

A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351; L. Vu-Quoc, A. Humer, CMES 137 (2023) 1069-1343, Eqs. 401-402. It is a
sum over 576 entries, so a value near 1 does not mean that the matrix is wrong by 100 %. Size and stiffness cancel.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, shaped
from femnn.exceptions import ParameterError
from femnn.geometry.cells import HEXAHEDRON, cell_array, kind_of_array
from femnn.geometry.validity import require_valid
from femnn.integration.cell_matrices import cell_matrices, matrices_of_group, matrix_errors
from femnn.integration.convergence import errors_and_reference
from femnn.integration.gauss import tensor_gauss
from femnn.integration.kernels import kernel_array, relative_difference
from femnn.integration.stiffness import elasticity_stiffness
from femnn.system.compile import njit

# Elements whose matrices are held at a time: 4096 pairs of 24 × 24 take 38 MB.
_CHUNK = 4096
# The same for cells of other kinds.
_FEW = 256
# Gauss points per axis of references.
_REFERENCE, _REFERENCE_IN_SPACE = 30, 20


@njit(over="stiffness", cache=True, error_model="numpy")
def _errors(begin, end, stiffness, references, errors):
    for e in range(begin, end):
        errors[e] = relative_difference(stiffness[e], references[e])


@checked(stiffness="n m m", references="n m m")
def stiffness_error(stiffness: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Error of each matrix, shape (n,), of ``stiffness`` (n, m, m) against ``references`` (n, m, m).

    Examples
    --------
    >>> import femnn
    >>> from femnn.integration import converged_stiffness, elasticity_stiffness, stiffness_error, tensor_gauss
    >>> x = femnn.distorted_hexahedra(3, 0.1, seed=0)
    >>> errors = stiffness_error(elasticity_stiffness(x, *tensor_gauss(2, 2, 2)), converged_stiffness(x)[0])
    >>> bool((errors < 0.3).all())
    True

    See Also
    --------
    femnn.integration_error : the same of any rule in one call
    """
    errors = np.empty(len(stiffness))
    _errors(
        kernel_array(stiffness),
        kernel_array(references),
        errors,
    )
    return errors


def _check_rule(rule):
    if not callable(getattr(rule, "groups", None)):
        raise ParameterError(
            f"{brief(rule)} is not a rule; pass femnn.GaussLegendre(2), femnn.AdaptiveGauss(tol=1e-3), ..."
        )


def error_against(hexahedra: np.ndarray, rule: Any, references: np.ndarray, poisson: float = 0.3) -> np.ndarray:
    """Error of ``rule`` on each healthy element, shape (n,), against stiffness matrices (n, 24, 24) for young=1."""
    errors = np.empty(len(hexahedra))
    for group in rule.groups(hexahedra):
        stiffness = elasticity_stiffness(hexahedra[group.cells], group.X, group.W, poisson=poisson)
        errors[group.cells] = stiffness_error(stiffness, references[group.cells])
    return errors


@checked(hexahedra="n 8 3", poisson="(-1, 0.5)")
def r_error(hexahedra: np.ndarray, rule: Any, poisson: float = 0.3, exact: tuple | None = None) -> np.ndarray:
    """Error of ``rule`` over that of 2×2×2 Gauss points on each healthy element, (n,); 1 where these are exact.

    ``exact`` is the answer of :func:`errors_and_reference` for two points or more, where it is at hand.

    Examples
    --------
    >>> import femnn
    >>> from femnn.integration import r_error
    >>> bool((r_error(femnn.distorted_hexahedra(20, 0.2, seed=0), femnn.GaussLegendre(3)) < 0.1).all())
    True
    """
    _check_rule(rule)
    errors, references = _exact(hexahedra, poisson, exact)
    standard = errors[:, 1]
    # below lies the round-off of an exact rule
    inexact = standard > 1e-10
    errors = error_against(hexahedra, rule, references, poisson)
    return np.where(inexact, errors / np.where(inexact, standard, 1.0), 1.0)


def _exact(hexahedra, poisson, exact):
    """Errors (n, 2 or more) and stiffness (n, 24, 24), measured or handed over."""
    if exact is None:
        return errors_and_reference(hexahedra, 2, poisson)[:2]
    if len(exact) < 2 or not all(isinstance(part, np.ndarray) for part in exact[:2]):
        raise ParameterError(f"exact is {brief(exact)}; pass what errors_and_reference gives, or None")
    n, (errors, references) = len(hexahedra), exact[:2]
    if errors.ndim != 2 or errors.shape[0] != n or errors.shape[1] < 2:
        raise ParameterError(f"exact holds errors {errors.shape} for {n} elements; pass ({n}, 2) or more")
    return errors, shaped("the stiffness in exact", references, (n, 24, 24))


@checked(hexahedra="unchecked", poisson="(-1, 0.5)", reference="[1, 200]", degree="[1, 2]")
def integration_error(
    hexahedra: ArrayLike, rule: Any, poisson: float = 0.3, reference: int | None = None, degree: int | None = None
) -> np.ndarray:
    """Error of ``rule`` on each element, shape (n,).

    Parameters
    ----------
    hexahedra : (n, 8, 3), or (n, nodes, dim)
        Coordinates in scikit-fem's order, as :func:`femnn.hexahedra` or :func:`femnn.geometry.cells` gives them.
    rule
        Any rule of the contract: ``rule.groups(hexahedra)`` gives points and weights. It is told the degree.
    poisson
        Poisson's ratio of the isotropic elasticity, in two dimensions plane strain, whose stiffness is compared.
    reference
        Gauss points per axis of the reference, by default 30, and 20 for cells with 27 nodes or of degree 2 in space.
    degree
        Degree of the shape functions along each axis, 1 or 2; by default that of the map of the cells.

    Raises
    ------
    MeshError
        If the array has another shape or values that are not finite.
    FoldedElementError
        If an element is folded or degenerate.
    ParameterError
        If Poisson's ratio is outside (-1, 0.5), ``reference`` is no whole number from 1 on, ``degree`` is neither 1 nor
        2, or ``rule`` is no rule.

    Examples
    --------
    >>> import femnn
    >>> bool(integration_error(femnn.distorted_hexahedra(3, 0.2, seed=0), femnn.GaussLegendre(4)).max() < 1e-3)
    True
    """
    _check_rule(rule)
    x = cell_array(hexahedra)
    require_valid(x)
    kind = kind_of_array(x)
    degree = kind.degree if degree is None else degree
    if kind is not HEXAHEDRON or degree > 1:
        return _error_on_cells(x, rule, poisson, reference, degree)
    reference = _REFERENCE if reference is None else reference
    exact = tensor_gauss(reference, reference, reference)
    parts = np.array_split(x, -(-len(x) // _CHUNK))
    return np.concatenate(
        [error_against(part, rule, elasticity_stiffness(part, *exact, poisson=poisson), poisson) for part in parts]
    )


def _error_on_cells(x, rule, poisson, reference, degree):
    """The Error on cells that the kernels do not serve."""
    dim = x.shape[2]
    reference = (_REFERENCE if dim == 2 else _REFERENCE_IN_SPACE) if reference is None else reference
    errors = np.empty(len(x))
    for group in rule.for_degree(degree).groups(x):
        for start in range(0, len(group.cells), _FEW):
            some = slice(start, start + _FEW)
            X = group.X if group.X.ndim == 2 else group.X[:, some]
            W = group.W if group.W.ndim == 1 else group.W[some]
            part = x[group.cells[some]]
            exact = cell_matrices(part, (reference,) * dim, degree, poisson)
            errors[group.cells[some]] = matrix_errors(matrices_of_group(part, X, W, degree, poisson), exact)
    return errors
