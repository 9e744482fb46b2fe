"""Cohesive interfaces: a mesh split along facets, elements of no thickness between the faces, cracks through elements.

:class:`Interface` splits a mesh or pairs the faces of glued parts; :class:`InterfaceElements` gives separations, forces
and tangents on it with fused kernels for linear elements, :class:`InterfaceBases` with scikit-fem's forms for any
element. :class:`CohesiveProblem` puts them between elastic bodies for :func:`femnn.newton` and
:func:`femnn.arc_length`. Where a crack does not follow facets, :class:`EmbeddedCrack`, :class:`EmbeddedElements` and
:class:`EmbeddedProblem` let it go through the elements.
"""

from femnn.interfaces.bases import InterfaceBases, cohesive_force, cohesive_stiffness
from femnn.interfaces.elements import InterfaceElements, facet_gauss, facet_newton_cotes
from femnn.interfaces.embedded import EmbeddedElements, EmbeddedProblem, elastic_stiffness
from femnn.interfaces.embedded_crack import EmbeddedCrack
from femnn.interfaces.output import save_interface
from femnn.interfaces.problem import CohesiveProblem, Restart
from femnn.interfaces.split import Interface, plane_facets

__all__ = [
    "CohesiveProblem",
    "EmbeddedCrack",
    "EmbeddedElements",
    "EmbeddedProblem",
    "Interface",
    "InterfaceBases",
    "InterfaceElements",
    "Restart",
    "cohesive_force",
    "cohesive_stiffness",
    "elastic_stiffness",
    "facet_gauss",
    "facet_newton_cotes",
    "plane_facets",
    "save_interface",
]
