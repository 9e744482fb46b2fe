"""Constitutive laws at integration points, and the nonlinear bodies made of them.

A :class:`Solid` integrates a law over a mesh with any rule and is what :func:`femnn.newton` solves. A law is a
:class:`PointLaw`, one function that Numba compiles into the assembly, or any object that keeps
:class:`ConstitutiveLaw`: a pure update of stress, tangent and state, in NumPy, torch or anything else.
"""

from femnn.solids.laws import ConstitutiveLaw, PointLaw
from femnn.solids.solid import Solid

__all__ = ["ConstitutiveLaw", "PointLaw", "Solid"]
