"""Constitutive laws at integration points, and the nonlinear bodies made of them.

A :class:`Solid` integrates laws over a mesh with any rule and is what :func:`femnn.newton` solves. The library has
:class:`LinearElastic`, :class:`Orthotropic`, :class:`Anisotropic`, :class:`NeoHooke`, :class:`MooneyRivlin`,
:class:`Ogden`, :class:`J2`, :class:`DruckerPrager`, :class:`Damage` and :class:`Viscoelastic`. A law of one's own is a
:class:`PointLaw`, one function that Numba compiles into the assembly, or any object that keeps
:class:`ConstitutiveLaw`: a pure update of stress, tangent and state, in NumPy, torch or anything else, such as
:class:`BatchedLaw` and :class:`DerivedLaw`. :class:`PlaneStress` makes laws of sheets. :class:`Springs`,
:class:`Bedding` and :class:`RigidPlane` hold a body that they are added to, and :class:`FollowerPressure` presses on it
as it deforms.
"""

from femnn.solids.batched import BatchedLaw, DerivedLaw
from femnn.solids.damage import Damage
from femnn.solids.elastic import Anisotropic, LinearElastic, Orthotropic
from femnn.solids.hyperelastic import MooneyRivlin, NeoHooke, Ogden
from femnn.solids.laws import ConstitutiveLaw, PointLaw
from femnn.solids.plane_stress import PlaneStress
from femnn.solids.plasticity import J2, DruckerPrager
from femnn.solids.pressure import FollowerPressure
from femnn.solids.solid import Solid
from femnn.solids.supports import Bedding, RigidPlane, Springs
from femnn.solids.viscoelastic import Viscoelastic

__all__ = [
    "J2",
    "Anisotropic",
    "BatchedLaw",
    "Bedding",
    "ConstitutiveLaw",
    "Damage",
    "DerivedLaw",
    "DruckerPrager",
    "FollowerPressure",
    "LinearElastic",
    "MooneyRivlin",
    "NeoHooke",
    "Ogden",
    "Orthotropic",
    "PlaneStress",
    "PointLaw",
    "RigidPlane",
    "Solid",
    "Springs",
    "Viscoelastic",
]
