"""Loads and supports by name: resultants, uniform stresses, symmetry, refusals."""

import numpy as np
import pytest
import skfem

import femnn
from femnn.assembly import symmetry_dofs
from femnn.exceptions import ParameterError
from femnn.geometry import distorted_cube

ELEMENTS = [skfem.ElementHex1(), skfem.ElementHex2()]
by_element = pytest.mark.parametrize("element", ELEMENTS, ids=["linear", "quadratic"])


def cube():
    mesh = distorted_cube(3, 0.2, seed=1)
    sides = {f"{axis}{end}": (i, float(end)) for i, axis in enumerate("xyz") for end in (0, 1)}
    return mesh.with_boundaries({n: lambda x, i=i, v=v: np.abs(x[i] - v) < 1e-9 for n, (i, v) in sides.items()})


@by_element
def test_a_cube_under_pressure_on_planes_of_symmetry_has_a_uniform_stress(element):
    mesh, rule = cube(), femnn.GaussLegendre(3)
    loads = femnn.Loads(mesh, element).symmetry("x0").symmetry("y0").symmetry("z0")
    loads = loads.pressure("x1", 2.0).traction("y1", [0.0, 3.0, 0.0])
    K = femnn.assemble_elasticity(mesh, rule, 100.0, 0.3, element=element)
    u = femnn.solve(K, loads.force, loads.fixed, loads.values, method="splu").x
    (sigma,) = femnn.stress(mesh, rule, u, 100.0, 0.3, element=element)
    np.testing.assert_allclose(sigma, np.broadcast_to([-2.0, 3.0, 0.0, 0.0, 0.0, 0.0], sigma.shape), atol=1e-9)


@by_element
def test_resultants(element):
    loads = femnn.Loads(cube(), element).resultant("z1", [1.0, -2.0, 3.0]).body_force(lambda x: 2.0 + 0.0 * x)
    np.testing.assert_allclose(loads.force.reshape(-1, 3).sum(axis=0), [3.0, 0.0, 5.0], atol=1e-12)


def test_prescribed_motion():
    mesh = cube()
    loads = femnn.Loads(mesh).fix("x0").displace("x1", 1, 0.25)
    u = np.full(3 * mesh.p.shape[1], np.nan)
    u[loads.fixed] = loads.values
    u = u.reshape(-1, 3)
    assert (u[mesh.p[0] < 1e-9] == 0.0).all()
    assert (u[mesh.p[0] > 1.0 - 1e-9, 1] == 0.25).all()
    assert np.isnan(u[mesh.p[0] > 1.0 - 1e-9, 0]).all()


def test_what_does_not_fit_is_refused_and_nothing_is_changed():
    loads = femnn.Loads(cube()).fix("x0")
    for call, words in (
        (lambda: loads.pressure("bore", 1.0), "no boundary 'bore'; there are: 'back', .*'x0', 'x1'"),
        (lambda: loads.pressure("x1", np.nan), "pressure"),
        (lambda: loads.traction("x1", [1.0, 2.0]), "traction"),
        (lambda: loads.displace("x1", 3, 0.0), "component"),
        (lambda: loads.displace("y0", 1, 0.1), "already held at 0"),
        (lambda: loads.body_force(3.0), "needs 3 components"),
    ):
        with pytest.raises(ParameterError, match=words):
            call()
    assert not loads.force.any()
    assert not loads.values.any()
    corner = skfem.MeshHex().with_boundaries({"two": lambda x: (x[0] == 0.0) | (x[1] == 0.0)})
    with pytest.raises(ParameterError, match="not a plane"):
        femnn.Loads(corner).symmetry("two")


@pytest.mark.parametrize(
    ("mesh", "element"),
    [
        (skfem.MeshQuad(), skfem.ElementQuad2()),
        (skfem.MeshTet(), skfem.ElementTetP2()),
        (skfem.MeshHex(), skfem.ElementHexS2()),
        (skfem.MeshHex2(), skfem.ElementHex2()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_planes_of_symmetry_hold_any_element(mesh, element):
    mesh = mesh.refined(1).with_boundaries({"plane": lambda x: x[1] == 0.0, "corner": lambda x: x.min(axis=0) == 0.0})
    basis = skfem.CellBasis(mesh, skfem.ElementVector(element))
    held = symmetry_dofs(basis, "plane")
    places = basis.doflocs[:, held]
    np.testing.assert_allclose(places[1], 0.0, atol=1e-15)
    on_plane = np.isclose(basis.doflocs[1], 0.0).sum()
    assert len(held) == on_plane // mesh.dim()
    # a field with nothing across the plane, as large as it likes along it, is free
    u = basis.project(lambda x: np.stack([1.0 + x[0], x[1]] + [x[0]] * (mesh.dim() - 2)))
    np.testing.assert_allclose(u[held], 0.0, atol=1e-9)
    with pytest.raises(ParameterError, match="not a plane normal to an axis"):
        symmetry_dofs(basis, "corner")
    with pytest.raises(ParameterError, match="no boundary 'side'"):
        symmetry_dofs(basis, "side")
    with pytest.raises(ParameterError, match="no component"):
        symmetry_dofs(skfem.CellBasis(mesh, element), "plane")
