"""Stresses at points and nodes, estimated errors, reactions, load curves and files: known answers and refusals."""

import meshio
import numpy as np
import pytest
import skfem
from support.cracked_boxes import box

import femnn
from femnn.assembly import isotropic_stiffness
from femnn.exceptions import ParameterError
from femnn.fields import principal, strain_energy, von_mises
from femnn.geometry import distorted_cube
from femnn.integration.lame import lame_parameters
from femnn.interfaces import InterfaceBases
from femnn.validation.bending import straight_beam

GAUSS = femnn.GaussLegendre(2)
E, NU = 200e9, 0.3
FORMULATIONS = ["standard", "mean-dilatation", "incompatible", "stabilised", "learned"]
MESH = distorted_cube(4, 0.25, seed=1)
STRAIN = 1e-3 * np.array([1.0, -0.5, 0.2, 0.4, -0.3, 0.6])


def uniform(mesh):
    """Displacements of the constant strain STRAIN, and its stress."""
    xx, yy, zz, yz, xz, xy = STRAIN
    gradient = np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]])
    return (gradient @ mesh.p).T.ravel(), isotropic_stiffness(*lame_parameters(E, NU)) @ STRAIN


# --- stresses at points


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_stress_of_a_constant_strain(formulation):
    u, expected = uniform(MESH)
    (found,) = femnn.stress(MESH, GAUSS, u, E, NU, formulation=formulation)
    assert found.shape == (MESH.nelements, 1 if formulation in ("stabilised", "learned") else 8, 6)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-9 * np.abs(expected).max())


def test_stress_by_groups_of_an_adaptive_rule_and_materials_by_element():
    rule = femnn.AdaptiveGauss(1e-3)
    u, expected = uniform(MESH)
    factors = np.linspace(1.0, 2.0, MESH.nelements)
    groups = rule.groups(femnn.hexahedra(MESH))
    found = femnn.stress(MESH, rule, u, factors * E, np.full(MESH.nelements, NU))
    for group, part in zip(groups, found, strict=True):
        assert part.shape == (len(group.cells), group.W.shape[-1], 6)
        np.testing.assert_allclose(
            part, np.einsum("e,q,i->eqi", factors[group.cells], np.ones(part.shape[1]), expected)
        )


def test_energy_of_incompatible_elements_is_the_work_of_the_load():
    beam = straight_beam()
    matrix = femnn.assemble_elasticity(beam.mesh, GAUSS, 1e7, 0.3, formulation="incompatible")
    load = beam.loads["in plane"]
    u = femnn.solve(matrix, load, beam.fixed, method="splu").x
    energy = strain_energy(beam.mesh, GAUSS, u, 1e7, 0.3, formulation="incompatible")
    assert energy.sum() == pytest.approx(0.5 * load @ u, rel=1e-9)
    # the bending stress at the root: 6 F L / (b h²), by the mean over the first of six elements
    (sigma,) = femnn.stress(beam.mesh, GAUSS, u, 1e7, 0.3, formulation="incompatible")
    first = np.argmin(beam.mesh.p[0, beam.mesh.t].mean(axis=0))
    edge = 6.0 * 5.5 / (0.1 * 0.2**2)
    assert np.abs(sigma[first, :, 0]).max() == pytest.approx(edge / np.sqrt(3.0), rel=0.1)


def test_incompatible_stresses_of_two_materials():
    modulus = np.where(np.arange(MESH.nelements) % 2, E, 2.0 * E)
    matrix = femnn.assemble_elasticity(MESH, GAUSS, modulus, np.full(MESH.nelements, NU), formulation="incompatible")
    u = np.random.default_rng(0).normal(size=3 * MESH.p.shape[1])
    energy = strain_energy(MESH, GAUSS, u, modulus, np.full(MESH.nelements, NU), formulation="incompatible")
    # the modes ξηζ keep their deviatoric part in both
    assert energy.sum() == pytest.approx(0.5 * u @ matrix @ u, rel=1e-9)


# --- recovery


@pytest.mark.parametrize("method", ["patches", "projection"])
@pytest.mark.parametrize("element", [skfem.ElementHex1(), skfem.ElementHex2()], ids=["linear", "quadratic"])
def test_recovery_keeps_what_polynomials_hold(method, element):
    rule = femnn.GaussLegendre(3)
    points = skfem.CellBasis(MESH, skfem.ElementHex1(), quadrature=rule.groups(femnn.hexahedra(MESH))[0][1:])
    x = np.asarray(points.global_coordinates())
    values = np.stack([np.ones_like(x[0]), 2.0 + x[0] - 3.0 * x[2]], axis=-1)
    found = femnn.recover(MESH, rule, [values], method=method, element=element)
    places = skfem.CellBasis(MESH, element, intorder=2).doflocs
    np.testing.assert_allclose(
        found, np.stack([np.ones(places.shape[1]), 2.0 + places[0] - 3.0 * places[2]], 1), atol=1e-7
    )


def test_recovery_by_patches_converges_faster_than_the_stresses():
    def errors(n):
        mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 3)
        u = np.zeros((mesh.p.shape[1], 3))
        u[:, 0] = np.sin(2.0 * mesh.p[0])
        sigma = femnn.stress(mesh, GAUSS, u.ravel(), 1.0, 0.0)
        exact = 2.0 * np.cos(2.0 * mesh.p[0])
        nodal = femnn.recover(mesh, GAUSS, sigma)[:, 0]
        return np.sqrt(np.mean((nodal - exact) ** 2))

    assert np.log2(errors(4) / errors(8)) > 1.7


def test_one_value_an_element_is_recovered_too():
    centres = MESH.p[:, MESH.t].mean(axis=1)
    for method, tolerance in (("patches", 1e-9), ("projection", 0.2)):
        found = femnn.recover(MESH, GAUSS, [(1.0 + centres[0])[:, None]], method=method)
        assert np.abs(found - 1.0 - MESH.p[0]).max() < tolerance


def test_recovery_on_a_single_layer_and_on_a_single_element():
    for mesh in (skfem.MeshHex(), skfem.MeshHex.init_tensor(np.arange(5.0), np.arange(3.0), np.arange(2.0))):
        u, expected = uniform(mesh)
        nodal = femnn.recover(mesh, GAUSS, femnn.stress(mesh, GAUSS, u, E, NU))
        np.testing.assert_allclose(nodal, np.tile(expected, (mesh.p.shape[1], 1)), atol=1e-9 * np.abs(expected).max())


# --- invariants, estimate


def test_invariants():
    sigma = np.random.default_rng(0).normal(size=(5, 6))
    found = principal(sigma)
    np.testing.assert_allclose(found.sum(axis=1), sigma[:, :3].sum(axis=1))
    a, b, c = found.T
    np.testing.assert_allclose(von_mises(sigma), np.sqrt(0.5 * ((a - b) ** 2 + (b - c) ** 2 + (c - a) ** 2)))
    assert (np.diff(found, axis=1) <= 0.0).all()
    assert von_mises([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) == 0.0


def test_estimated_error_vanishes_for_constant_stress_and_falls_with_the_mesh():
    u, _ = uniform(MESH)
    assert femnn.error_estimate(MESH, GAUSS, u, E, NU).relative < 1e-6
    estimates = []
    for n in (3, 6):
        mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 3)
        u = np.zeros((mesh.p.shape[1], 3))
        u[:, 0] = np.sin(2.0 * mesh.p[0])
        estimate = femnn.error_estimate(mesh, GAUSS, u.ravel(), 1.0, 0.0)
        estimates.append(estimate.relative)
        assert estimate.elements.shape == estimate.energy.shape == (n**3,)
    assert estimates[0] / estimates[1] == pytest.approx(2.0, rel=0.15)


# --- reactions and load curves


def held_bar():
    mesh = skfem.MeshHex.init_tensor(np.linspace(0.0, 2.0, 3), np.arange(2.0), np.arange(2.0)).with_boundaries(
        {"root": lambda x: x[0] == 0.0, "end": lambda x: x[0] == 2.0}
    )
    fixed = (3 * np.unique(mesh.facets[:, mesh.boundaries["root"]])[:, None] + np.arange(3)).ravel()
    return mesh, fixed


def test_reactions_balance_the_load():
    mesh, fixed = held_bar()
    load = np.random.default_rng(1).normal(size=3 * mesh.p.shape[1])
    matrix = femnn.assemble_elasticity(mesh, GAUSS, 1.0, 0.3, formulation="stabilised")
    u = femnn.solve(matrix, load, fixed, method="splu").x
    found = femnn.reactions(mesh, "root", matrix @ u, load)
    np.testing.assert_allclose(found, -load.reshape(-1, 3).sum(axis=0), atol=1e-10)
    with pytest.raises(ParameterError, match="no boundary 'bore'; there are: 'end', 'root'"):
        femnn.reactions(mesh, "bore", matrix @ u)
    with pytest.raises(ParameterError, match="internal force"):
        femnn.reactions(mesh, "root", np.zeros(3))


def test_load_curve_of_a_path():
    mesh, fixed = held_bar()

    def linear(strain, state, parameters, stress, tangent, new_state):
        for i in range(6):
            stress[i] = parameters[0] * strain[i]
            tangent[i, i] = parameters[0]

    curve = femnn.LoadCurve(mesh, "end", 0)
    load = np.zeros((mesh.p.shape[1], 3))
    load[np.unique(mesh.facets[:, mesh.boundaries["end"]]), 0] = 1.0
    body = femnn.Solid(mesh, GAUSS, femnn.PointLaw(linear, [10.0]))
    femnn.newton(body, load.ravel(), fixed, steps=4, callback=curve, progress=False)
    np.testing.assert_allclose(curve.t, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.force, 4.0 * curve.t, rtol=1e-8)
    assert (np.diff(curve.displacement) > 0.0).all()
    with pytest.raises(ParameterError, match="no boundary"):
        femnn.LoadCurve(mesh, "nowhere", 0)
    with pytest.raises(ParameterError, match="component"):
        femnn.LoadCurve(mesh, "end", 3)


# --- files


def test_files_hold_what_was_given(tmp_path):
    mesh = MESH.with_subdomains({"inclusion": np.array([0, 3])})
    u, expected = uniform(mesh)
    sigma = femnn.stress(mesh, GAUSS, u, E, NU)
    nodal = femnn.recover(mesh, GAUSS, sigma)
    path = tmp_path / "cube.vtu"
    femnn.save_fields(path, mesh, u, nodal={"stress": nodal}, elements={"mean stress": sigma})
    read = meshio.read(path)
    np.testing.assert_allclose(read.point_data["displacement"], u.reshape(-1, 3))
    np.testing.assert_allclose(read.point_data["stress von Mises"], von_mises(expected), rtol=1e-9)
    np.testing.assert_allclose(read.cell_data["mean stress"][0], sigma[0].mean(axis=1))
    assert read.cell_data["inclusion"][0].sum() == 2
    # healthy for VTK: the volume of each cell in its order of vertices
    x = read.points[read.cells[0].data]
    assert (np.einsum("ei,ei->e", np.cross(x[:, 1] - x[:, 0], x[:, 3] - x[:, 0]), x[:, 4] - x[:, 0]) > 0.0).all()


def test_series_of_a_load_path(tmp_path):
    path = tmp_path / "path.pvd"
    for t in (0.5, 1.0, 1.0):
        femnn.save_fields(path, MESH, t * uniform(MESH)[0], t=t)
    assert path.read_text().count("<DataSet") == 2
    last = meshio.read(tmp_path / "path-0001.vtu")
    np.testing.assert_allclose(last.point_data["displacement"], uniform(MESH)[0].reshape(-1, 3))


@pytest.fixture
def joint():
    interface = femnn.Interface.split(box(3, 2), "x0")
    return interface.mesh, femnn.InterfaceElements(interface)


def test_interfaces_are_written_beside_the_body(tmp_path, joint):
    mesh, elements = joint
    u = np.zeros((mesh.nvertices, 3))
    u[elements.interface.plus_vertices] = [0.25, 0.0, 0.0]
    bases = InterfaceBases(elements.interface, skfem.ElementVector(skfem.ElementHex1()))
    fields = {"separation": elements.separation(u.ravel()), "damage": np.full(elements.dx.shape, 0.5)}
    path = tmp_path / "joint.vtu"
    femnn.save_fields(
        path, mesh, u.ravel(), elements={"damage": np.zeros(8)}, interfaces={"a": (elements, fields), "b": (bases, {})}
    )
    read = meshio.read(path)
    # meshio reads cells of a kind as one block
    assert [block.type for block in read.cells] == ["hexahedron", "quad"]
    np.testing.assert_allclose(read.points[read.cells[1].data][..., 0], 0.5)
    np.testing.assert_allclose(read.cell_data["separation"][1][:4, 0], 0.25)
    assert np.isnan(read.cell_data["separation"][1][4:]).all()
    assert np.isnan(read.cell_data["separation"][0]).all()
    np.testing.assert_allclose(read.cell_data["damage"][1][:4], 0.5)
    np.testing.assert_allclose(read.cell_data["damage"][0], 0.0)
    assert [block.tolist() for block in read.cell_data["interface"]] == [[0] * 8, [1] * 4 + [2] * 4]
    assert [int(block.sum()) for block in read.cell_data["left"]] == [4, 0]


def test_interfaces_that_do_not_fit_are_refused(tmp_path, joint):
    mesh, elements = joint
    for interfaces, words in (
        ({"a": elements}, "pass its elements and a dict"),
        ({"a": (mesh, {})}, "InterfaceElements or InterfaceBases"),
        ({"a": (elements, {"damage": np.zeros(3)})}, r"\(4, 4\) or \(4, 4, k\)"),
        ([elements], "interfaces"),
    ):
        with pytest.raises(ParameterError, match=words):
            femnn.save_fields(tmp_path / "a.vtu", mesh, interfaces=interfaces)
    with pytest.raises(ParameterError, match="another mesh"):
        femnn.save_fields(tmp_path / "a.vtu", MESH, interfaces={"a": (elements, {})})
    with pytest.raises(ParameterError, match="another name"):
        femnn.save_fields(
            tmp_path / "a.vtu",
            mesh,
            elements={"f": np.zeros((8, 2))},
            interfaces={"a": (elements, {"f": np.zeros(16)})},
        )
    assert list(tmp_path.iterdir()) == []


def test_fields_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "cube.vtu"
    u, _ = uniform(MESH)
    for options, words in (
        ({"displacement": u[:-1]}, "displacement has shape"),
        ({"nodal": {"t": np.zeros(3)}}, "field t has shape"),
        ({"elements": {"e": np.zeros(3)}}, "row for each of 64 elements"),
        ({"t": 1.0}, "series"),
    ):
        with pytest.raises(ParameterError, match=words):
            femnn.save_fields(path, MESH, **options)
    with pytest.raises(ParameterError, match="pass t"):
        femnn.save_fields(tmp_path / "path.pvd", MESH, u)
    with pytest.raises(ParameterError, match="suffix"):
        femnn.save_fields(tmp_path / "cube.nothing", MESH, u)
    assert list(tmp_path.iterdir()) == []


def test_values_and_methods_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match="pass what femnn"):
        femnn.recover(MESH, GAUSS, [np.zeros((3, 8))])
    with pytest.raises(ParameterError, match="'projection' or 'patches'"):
        femnn.recover(MESH, GAUSS, [np.zeros((64, 8))], method="mean")
    with pytest.raises(ParameterError, match="displacement"):
        femnn.stress(MESH, GAUSS, np.zeros(3), E, NU)
    with pytest.raises(ParameterError, match="give young and poisson"):
        femnn.stress(MESH, GAUSS, uniform(MESH)[0], E)
    varying = [np.linspace(1.0, 2.0, 8 * MESH.nelements).reshape(-1, 8) * E]
    with pytest.raises(ParameterError, match="constant in each element"):
        femnn.stress(MESH, GAUSS, uniform(MESH)[0], varying, NU, formulation="incompatible")
