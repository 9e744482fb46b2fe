"""Trilinear elements that bend and do not lock: formulations as choices of the stiffness S of an element's twists.

A nodal displacement of a hexahedron is linear in space plus twelve *twists* β = Γᵀu, see
:mod:`femnn.assembly.hourglass.moments`. Every element that passes the patch test has the stiffness

    K = V B̄ᵀ C B̄ + Γ S Γᵀ,

with the mean gradients B̄ and a symmetric positive definite S (12 × 12): all that formulations differ in. ``choice`` has
their names and says what they are made for, ``twists`` the kernels that make S, ``stiffness`` the assembly of linear
elasticity, ``learned`` and ``train`` the S that a network gives.
"""

from femnn.assembly.formulations.choice import FORMULATIONS

__all__ = ["FORMULATIONS"]
