"""Selective and reduced rules: which leave zero-energy modes, and which lock, counted on a mesh."""

import numpy as np
import pytest
import skfem
from skfem.models.elasticity import linear_elasticity

import femnn

MESH = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 3)] * 3)
LAMBDA, MU = 1e4, 1.0
DILATATION, SHEAR = np.zeros((6, 6)), np.diag([2.0, 2.0, 2.0, 1.0, 1.0, 1.0]) * MU
DILATATION[:3, :3] = LAMBDA


def selective(element, few, many):
    """λ at few points an axis, μ at many."""
    parts = ((few, DILATATION), (many, SHEAR))
    return sum(femnn.assemble_elasticity(MESH, femnn.GaussLegendre(n), stiffness=D, element=element) for n, D in parts)


def by_forms(element, n):
    return skfem.asm(
        linear_elasticity(LAMBDA, MU), femnn.bases(MESH, skfem.ElementVector(element), femnn.GaussLegendre(n))
    )


CASES = {
    "trilinear, selective": (lambda: selective(skfem.ElementHex1(), 1, 2), 6),
    "triquadratic, selective": (lambda: selective(skfem.ElementHex2(), 2, 3), 6),
    "serendipity, 2x2x2": (lambda: by_forms(skfem.ElementHexS2(), 2), 6),
    "triquadratic, 2x2x2": (lambda: by_forms(skfem.ElementHex2(), 2), None),
}


@pytest.mark.parametrize(("matrix", "modes"), CASES.values(), ids=CASES)
def test_zero_energy_modes_of_a_whole_mesh(matrix, modes):
    values = np.linalg.eigvalsh(matrix().toarray())
    found = int((values < 1e-9 * MU).sum())
    # the last has modes beyond the rigid ones, which its page warns of
    assert found > 6 if modes is None else found == modes


def test_mixed_forms_share_their_points():
    # Taylor and Hood: the divergence of a linear field, tested by the pressures, is that of a constant
    elements = [skfem.ElementVector(skfem.ElementHex2()), skfem.ElementHex1()]
    velocity, pressure = femnn.bases(MESH, elements, femnn.GaussLegendre(3))
    coupling = skfem.asm(skfem.BilinearForm(lambda u, q, w: skfem.helpers.div(u) * q), velocity, pressure)
    field = skfem.CellBasis(MESH, elements[0]).project(lambda x: np.stack([2.0 * x[0], 3.0 * x[1], -x[2]]))
    mass = skfem.asm(skfem.LinearForm(lambda q, w: q), pressure)
    np.testing.assert_allclose(coupling @ field, 4.0 * mass, atol=1e-10)
