"""Forms and measures of scikit-fem that several tests assemble."""

import skfem
from skfem.helpers import dot, grad


@skfem.BilinearForm
def laplace(u, v, w):
    return dot(grad(u), grad(v))


@skfem.BilinearForm
def mass(u, v, w):
    return u * v


@skfem.Functional
def measure(w):
    return 1.0 + 0.0 * w.x[0]


def volume(mesh):
    # a Gauss rule of 3 points along each axis integrates det J, of degree 2 along each, exactly
    return measure.assemble(skfem.CellBasis(mesh, skfem.ElementHex1(), intorder=5))


def area(mesh, name):
    return measure.assemble(skfem.FacetBasis(mesh, skfem.ElementHex1(), facets=name, intorder=5))
