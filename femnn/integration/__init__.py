"""Exact element matrices and the Error that a quadrature rule makes on them; no rule and no network.

    Error = Σ_ij |k_ij - k_ij^ref| / max_ij |k_ij^ref|

is computed by :func:`integration_error`; its formula is :func:`femnn.integration.kernels.relative_difference`.

>>> import femnn
>>> from femnn.integration import integration_error
>>> integration_error(femnn.distorted_hexahedra(2, 0.2, seed=0), femnn.GaussLegendre(2)).round(2).tolist()
[0.24, 0.17]
"""

from femnn.integration.convergence import converged_stiffness, error_table, smallest_points
from femnn.integration.error import integration_error, r_error, stiffness_error
from femnn.integration.gauss import gauss_legendre, tensor_gauss
from femnn.integration.lame import lame_parameters
from femnn.integration.stiffness import elasticity_stiffness, laplace_stiffness, mass_matrix

__all__ = [
    "converged_stiffness",
    "elasticity_stiffness",
    "error_table",
    "gauss_legendre",
    "integration_error",
    "lame_parameters",
    "laplace_stiffness",
    "mass_matrix",
    "r_error",
    "smallest_points",
    "stiffness_error",
    "tensor_gauss",
]
