"""Interfaces as files: arrays in every shape that femnn itself gives, elements of every kind."""

import meshio
import numpy as np
import pytest
import skfem
from support.cracked_boxes import LAW, box

import femnn
from femnn.exceptions import ParameterError
from femnn.interfaces import Interface, InterfaceBases, save_interface


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_what_a_problem_gives_can_be_written(tmp_path, dim, order):
    interface = Interface.split(box(dim, 2), "x0")
    linear = skfem.ElementQuad1() if dim == 2 else skfem.ElementHex1()
    quadratic = skfem.ElementQuad2() if dim == 2 else skfem.ElementHex2()
    elements = (
        InterfaceBases(interface, skfem.ElementVector(quadratic if order == 2 else linear))
        if order
        else femnn.InterfaceElements(interface)
    )
    problem = femnn.CohesiveProblem(np.eye(elements.ndof), [(elements, LAW)])
    u = np.zeros(elements.ndof)
    basis = InterfaceBases(interface, skfem.ElementVector(quadratic if order == 2 else linear))
    u[np.unique(basis.plus.element_dofs)] = 1e-4
    u[np.unique(basis.minus.element_dofs)] -= 0.25
    problem.residual_and_tangent(u)
    problem.commit()
    save_interface(
        tmp_path / "joint.vtu", elements, u, damage=problem.damage()[0], flat=problem.states[0].values[:, 0],
        frames=np.zeros((*elements.dx.shape, 3)),
    )  # fmt: skip
    read = meshio.read(tmp_path / "joint.vtu")
    np.testing.assert_allclose(read.cell_data["damage"][0], read.cell_data["flat"][0])
    assert read.cell_data["damage"][0].min() > 0.0
    np.testing.assert_allclose(read.cell_data["separation"][0][:, 0], 0.2501, rtol=1e-9)
    np.testing.assert_allclose(read.points[:, 0], 0.25, atol=2e-4)


def test_other_shapes_and_elements_are_refused(tmp_path):
    elements = femnn.InterfaceElements(Interface.split(box(3, 2), "x0"))
    with pytest.raises(ParameterError, match=r"pass a row for each of 16 points"):
        save_interface(tmp_path / "a.vtu", elements, damage=np.zeros((16, 4, 3)))
    with pytest.raises(ParameterError, match="elements is"):
        save_interface(tmp_path / "a.vtu", elements.interface)
    assert list(tmp_path.iterdir()) == []
