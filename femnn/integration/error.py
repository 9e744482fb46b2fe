"""The Error of a rule on each element.

    Error = Σ_ij |k_ij - k_ij^ref| / max_ij |k_ij^ref|

A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351; L. Vu-Quoc, A. Humer, CMES 137 (2023) 1069-1343, Eqs. 401-402. It is a
sum over 576 entries, so a value near 1 does not mean that the matrix is wrong by 100 %. Size and stiffness cancel.
"""

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import ArrayLike

from femnn.checks import brief, checked
from femnn.exceptions import ParameterError
from femnn.geometry.mesh import vertex_array
from femnn.geometry.validity import require_valid
from femnn.integration.convergence import errors_and_reference
from femnn.integration.gauss import tensor_gauss
from femnn.integration.kernels import kernel_array, relative_difference
from femnn.integration.stiffness import elasticity_stiffness
from femnn.system.compile import njit

# Elements whose matrices are held at a time: 4096 pairs of 24 × 24 take 38 MB.
_CHUNK = 4096


@njit(parallel=True, cache=True, error_model="numpy")
def _errors(stiffness, references, errors):
    for e in prange(stiffness.shape[0]):
        errors[e] = relative_difference(stiffness[e], references[e])


@checked(stiffness="n m m", references="n m m")
def stiffness_error(stiffness: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Error of each matrix, shape (n,), of ``stiffness`` (n, m, m) against ``references`` (n, m, m)."""
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
    """
    _check_rule(rule)
    errors, references, _ = errors_and_reference(hexahedra, 2, poisson) if exact is None else exact
    standard = errors[:, 1]
    # below lies the round-off of an exact rule
    inexact = standard > 1e-10
    errors = error_against(hexahedra, rule, references, poisson)
    return np.where(inexact, errors / np.where(inexact, standard, 1.0), 1.0)


@checked(hexahedra="unchecked", poisson="(-1, 0.5)", reference="[1, 200]")
def integration_error(hexahedra: ArrayLike, rule: Any, poisson: float = 0.3, reference: int = 30) -> np.ndarray:
    """Error of ``rule`` on each element, shape (n,).

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Vertex coordinates in scikit-fem's order.
    rule
        Any rule of the contract: ``rule.groups(hexahedra)`` gives points and weights.
    poisson
        Poisson's ratio of the isotropic elasticity whose stiffness is compared.
    reference
        Gauss points per axis of the reference.

    Raises
    ------
    MeshError
        If the array has another shape or values that are not finite.
    FoldedElementError
        If an element is folded or degenerate.
    ParameterError
        If Poisson's ratio is outside (-1, 0.5), ``reference`` is no whole number from 1 on, or ``rule`` is no rule.

    Examples
    --------
    >>> import femnn
    >>> bool(integration_error(femnn.distorted_hexahedra(3, 0.2, seed=0), femnn.GaussLegendre(4)).max() < 1e-3)
    True
    """
    _check_rule(rule)
    x = vertex_array(hexahedra)
    require_valid(x)
    exact = tensor_gauss(reference, reference, reference)
    parts = np.array_split(x, -(-len(x) // _CHUNK))
    return np.concatenate(
        [error_against(part, rule, elasticity_stiffness(part, *exact, poisson=poisson), poisson) for part in parts]
    )
