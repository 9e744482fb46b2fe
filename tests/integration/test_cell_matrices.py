"""Stiffness of cells of any kind, against scikit-fem's forms and against the kernels for straight hexahedra."""

import numpy as np
import pytest
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity
from support.curved_meshes import bent_hexahedra, bent_quadrilaterals
from support.forms import laplace

import femnn
from femnn.geometry.cells import cells, kind_of_mesh
from femnn.integration.cell_matrices import cell_matrices, element_of_degree, matrix_errors

MESHES = [skfem.MeshQuad().refined(1), bent_quadrilaterals(), bent_hexahedra()]


@pytest.mark.parametrize("mesh", MESHES, ids=lambda mesh: type(mesh).__name__)
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("form", ["elasticity", "laplace"])
def test_matrices_are_those_of_scikit_fem(mesh, degree, form):
    element = element_of_degree(kind_of_mesh(mesh), degree)
    bilinear = laplace
    if form == "elasticity":
        element, bilinear = skfem.ElementVector(element), linear_elasticity(*lame_parameters(1.0, 0.3))
    (basis,) = femnn.bases(mesh, element, femnn.GaussLegendre(3))
    matrices = cell_matrices(cells(mesh), (3,) * mesh.dim(), degree, 0.3, form)
    rows = np.broadcast_to(basis.element_dofs.T[:, :, None], matrices.shape)
    assembled = np.zeros((basis.N, basis.N))
    np.add.at(assembled, (rows, rows.transpose(0, 2, 1)), matrices)
    np.testing.assert_allclose(assembled, bilinear.assemble(basis).toarray(), atol=1e-12)


def test_errors_are_those_of_the_kernels():
    x = femnn.distorted_hexahedra(20, 0.25, seed=1)
    references = cell_matrices(x, (12, 12, 12), 1, 0.3)
    errors = matrix_errors(cell_matrices(x, (2, 3, 2), 1, 0.3), references)
    expected = femnn.integration_error(x, femnn.GaussLegendre((2, 3, 2)), poisson=0.3, reference=12)
    np.testing.assert_allclose(errors, expected, rtol=1e-9)
