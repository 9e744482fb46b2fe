"""Interfaces of any element: fused where the two sides have the same shape functions, with forms elsewhere."""

import numpy as np
import pytest
import skfem
from skfem.models.elasticity import linear_elasticity
from support.cracked_boxes import LAW, bent, box

import femnn
from femnn.interfaces import Interface, InterfaceBases, facet_gauss

ELEMENTS = {
    2: [skfem.ElementQuad1(), skfem.ElementQuad2(), skfem.ElementQuadS2()],
    3: [skfem.ElementHex1(), skfem.ElementHex2(), skfem.ElementHexS2()],
}
cases = pytest.mark.parametrize(("dim", "scalar"), [(dim, scalar) for dim, some in ELEMENTS.items() for scalar in some])


@cases
def test_kernels_and_forms_give_the_same_numbers(dim, scalar):
    interface = Interface.split(bent(box(dim, 2)), ["x0", "x1"])
    bases = InterfaceBases(interface, skfem.ElementVector(scalar), facet_gauss(dim, 3))
    forms = InterfaceBases(interface, skfem.ElementVector(scalar), facet_gauss(dim, 3))
    assert bases.fused is not None
    forms.fused = None
    u = 1e-5 * np.random.default_rng(3).normal(size=bases.ndof)
    separation = bases.separation(u)
    np.testing.assert_allclose(forms.separation(u), separation, rtol=0, atol=1e-18)
    traction, tangent, _ = LAW.update(separation, LAW.initial_state(bases.points))
    force, stiffness = forms.force(traction), forms.stiffness(tangent)
    np.testing.assert_allclose(bases.force(traction), force, rtol=0, atol=1e-12 * np.abs(force).max())
    assert np.abs(bases.stiffness(tangent) - stiffness).max() < 1e-12 * np.abs(stiffness).max()


def test_a_problem_of_quadratic_cells_is_the_sum_of_body_and_interface():
    interface = Interface.split(bent(box(3, 2)), "x0")
    element = skfem.ElementHex2()
    K = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(3), 1e9, 0.3, element=element)
    bases = InterfaceBases(interface, skfem.ElementVector(element))
    problem = femnn.CohesiveProblem(K, [(bases, LAW)])
    u = 1e-6 * np.random.default_rng(1).normal(size=K.shape[0])
    force, tangent = problem.residual_and_tangent(u)
    traction, slope, _ = LAW.update(bases.separation(u), LAW.initial_state(bases.points))
    np.testing.assert_allclose(force, K @ u + bases.force(traction), rtol=0, atol=1e-12 * np.abs(force).max())
    expected = K + bases.stiffness(slope)
    assert np.abs(tangent - expected).max() < 1e-13 * np.abs(expected).max()


class OfTheirOwn(skfem.ElementVector):
    """Vectorial elements that femnn knows nothing about."""


def test_unknown_elements_go_through_the_forms():
    interface = Interface.split(box(2, 2), "x0")
    bases = InterfaceBases(interface, OfTheirOwn(skfem.ElementQuad2()))
    assert bases.fused is None
    K = skfem.asm(linear_elasticity(1e9, 1e9), skfem.Basis(interface.mesh, bases.minus.elem))
    problem = femnn.CohesiveProblem(K, [(bases, LAW)])
    u = 1e-6 * np.random.default_rng(1).normal(size=K.shape[0])
    known = femnn.CohesiveProblem(K, [(InterfaceBases(interface, skfem.ElementVector(skfem.ElementQuad2())), LAW)])
    (force, tangent), (expected, matrix) = (p.residual_and_tangent(u) for p in (problem, known))
    np.testing.assert_allclose(force, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert np.abs(tangent - matrix).max() < 1e-12 * np.abs(matrix).max()
