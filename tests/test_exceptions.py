"""Warnings point at the line of the user, whatever route inside the package leads there."""

import warnings

import numpy as np
import pytest
import skfem

import femnn


def folded_mesh():
    """Eight cubes, one of them with a vertex pushed through the opposite one."""
    mesh = skfem.MeshHex.init_tensor(*3 * [np.linspace(0.0, 1.0, 3)])
    vertices = mesh.p.copy()
    vertices[:, np.flatnonzero((vertices == 0.0).all(axis=0))] = 0.9
    return skfem.MeshHex(vertices, mesh.t)


ROUTES = {
    "assembly": lambda: femnn.assemble_elasticity(folded_mesh(), femnn.GaussLegendre(2), 1.0, 0.3, on_folded="skip"),
    "pattern": lambda: femnn.assemble_diffusion(folded_mesh(), femnn.GaussLegendre(2), 1.0, on_folded="skip"),
    "bases": lambda: femnn.bases(folded_mesh(), skfem.ElementHex2(), femnn.GaussLegendre(3), on_folded="skip"),
}


@pytest.mark.parametrize("route", ROUTES)
def test_warnings_name_the_file_of_the_caller(route):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", femnn.FemnnWarning)
        ROUTES[route]()
    caught = [one for one in caught if issubclass(one.category, femnn.FemnnWarning)]
    assert caught
    assert {one.filename for one in caught} == {__file__}
