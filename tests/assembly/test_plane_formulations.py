"""Formulations against locking on quadrilaterals: patch test, zero-energy modes, bending, Cook's membrane."""

import numpy as np
import pytest
import skfem
from support.curved_meshes import bent_quadrilaterals

import femnn
from femnn.exceptions import ParameterError
from femnn.quadrature.fixed import FixedGroups

TWO = femnn.GaussLegendre(2)
FORMULATIONS = [
    ("mean-dilatation", "strain"),
    ("incompatible", "strain"),
    ("incompatible", "stress"),
    ("stabilised", "strain"),
    ("stabilised", "stress"),
]
by_formulation = pytest.mark.parametrize(("formulation", "plane"), FORMULATIONS)


def distorted(n, size=0.25, seed=0):
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 2)
    moved = mesh.p.copy()
    inner = mesh.interior_nodes()
    moved[:, inner] += size / n * np.random.default_rng(seed).uniform(-1.0, 1.0, (2, len(inner)))
    return skfem.MeshQuad(moved, mesh.t)


@by_formulation
@pytest.mark.parametrize("rule", [TWO, femnn.GaussLegendre((2, 3)), femnn.AdaptiveGauss(1e-4)], ids=str)
def test_the_patch_test_and_rigid_motions_are_exact(formulation, plane, rule):
    mesh = distorted(4)
    K = femnn.assemble_elasticity(mesh, rule, 3.0, 0.3, formulation=formulation, plane=plane)
    assert abs(K - K.T).max() < 1e-14 * abs(K).max()
    gradient = np.array([[0.7, -0.2], [1.1, 0.4]])
    forces = K @ (gradient @ mesh.p).T.ravel()
    scale = np.abs(forces).max()
    assert np.abs(forces.reshape(-1, 2)[mesh.interior_nodes()]).max() < 1e-13 * scale
    values = np.linalg.eigvalsh(K.toarray())
    assert (np.abs(values) < 1e-13 * values[-1]).sum() == 3
    assert values[0] > -1e-13 * values[-1]
    # the force of a constant strain is that of the standard element, which gives it exactly
    standard = femnn.assemble_elasticity(mesh, rule, 3.0, 0.3, plane=plane)
    np.testing.assert_allclose(forces, standard @ (gradient @ mesh.p).T.ravel(), atol=1e-13 * scale)


@pytest.mark.parametrize("formulation", ["incompatible", "stabilised"])
def test_rectangles_bend_as_beams_do(formulation):
    length, height, young, moment = 10.0, 0.5, 2.0, 0.03
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0.0, length, 6), [0.0, height])
    K = femnn.assemble_elasticity(mesh, TWO, young, 0.3, formulation=formulation, plane="stress")
    end = mesh.p[0] == length
    force = np.zeros((mesh.p.shape[1], 2))
    force[end, 0] = moment / height * np.where(mesh.p[1][end] > 0.0, -1.0, 1.0)
    left = np.flatnonzero(mesh.p[0] == 0.0)
    fixed = np.concatenate([2 * left, [2 * left[0] + 1]])
    u = femnn.solve(K, force.ravel(), fixed, method="splu").x.reshape(-1, 2)
    inertia = height**3 / 12.0
    np.testing.assert_allclose(u[end, 1], moment * length**2 / (2.0 * young * inertia), rtol=1e-3)
    # standard elements lock
    locked = femnn.assemble_elasticity(mesh, TWO, young, 0.3, plane="stress")
    assert femnn.solve(locked, force.ravel(), fixed, method="splu").x[1::2][end].max() < 0.3 * u[end, 1].max()


def cook(n, poisson, load, height=60.0, **options):
    """Rise of the end of the membrane, at the height of its corner or of its middle, 52."""
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 2)
    s, t = mesh.p
    mesh = skfem.MeshQuad(np.stack([48.0 * s, 44.0 * s + t * (44.0 - 28.0 * s)]), mesh.t).with_boundaries(
        {"wall": lambda x: x[0] == 0.0, "end": lambda x: x[0] == 48.0}
    )
    loads = femnn.Loads(mesh).fix("wall").resultant("end", [0.0, load])
    K = femnn.assemble_elasticity(mesh, TWO, poisson=poisson, **options)
    u = femnn.solve(K, loads.force, loads.fixed, loads.values, method="splu").x
    at = np.argmin(np.abs(mesh.p - np.array([[48.0], [height]])).sum(axis=0))
    return u[2 * at + 1]


@pytest.mark.parametrize("formulation", ["mean-dilatation", "incompatible", "stabilised"])
def test_cooks_membrane_does_not_lock(formulation):
    tips = [cook(n, 0.4999, young=240.565, load=100.0, formulation=formulation) for n in (8, 16)]
    assert tips[0] > 7.5
    assert 7.85 < tips[1] < 8.05
    assert cook(8, 0.4999, young=240.565, load=100.0) < 2.5


def test_incompatible_modes_help_in_plane_stress_too():
    off = [
        abs(cook(8, 1.0 / 3.0, load=1.0, height=52.0, young=1.0, formulation=name, plane="stress") - 23.96)
        for name in ("standard", "incompatible", "stabilised")
    ]
    assert max(off[1:]) < 0.02 * 23.96
    assert max(off[1:]) < 0.3 * off[0]


@pytest.mark.parametrize("plane", ["strain", "stress"])
def test_stabilised_parallelograms_are_those_of_incompatible_modes(plane):
    """With one Jacobian in the whole cell the layers are exactly free of traction."""
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0.0, 2.0, 4), np.linspace(0.0, 1.0, 3))
    mesh = skfem.MeshQuad(np.array([[1.0, 0.4], [0.1, 0.8]]) @ mesh.p, mesh.t)
    matrices = [
        femnn.assemble_elasticity(mesh, TWO, 3.0, 0.4, formulation=name, plane=plane)
        for name in ("stabilised", "incompatible")
    ]
    assert abs(matrices[0] - matrices[1]).max() < 1e-13 * abs(matrices[1]).max()


def test_stabilised_cells_need_no_rule_and_turn_with_the_mesh():
    mesh = distorted(3, seed=2)
    options = {"young": 3.0, "poisson": 0.3, "formulation": "stabilised"}
    K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(1), **options)
    angle = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    turned = femnn.assemble_elasticity(skfem.MeshQuad(angle @ mesh.p + 100.0, mesh.t), TWO, **options)
    blocks = np.kron(np.eye(mesh.nvertices), angle)
    np.testing.assert_allclose(turned.toarray(), blocks @ K @ blocks.T, atol=1e-12 * abs(K).max())


@by_formulation
def test_stresses_are_those_of_the_formulation(formulation, plane):
    mesh = distorted(4, seed=3)
    options = {"formulation": formulation, "plane": plane}
    K = femnn.assemble_elasticity(mesh, TWO, 3.0, 0.3, **options)
    u = np.random.default_rng(0).normal(size=2 * mesh.nvertices)
    (sigma,) = femnn.stress(mesh, TWO, u, 3.0, 0.3, **options)
    # their virtual work is that of the matrix, with the strains of standard elements for a constant one
    basis = femnn.bases(mesh, skfem.ElementVector(skfem.ElementQuad1()), TWO)[0]
    gradient = np.array([[0.3, 1.0], [-0.4, 0.2]])
    strain = np.array([gradient[0, 0], gradient[1, 1], gradient[0, 1] + gradient[1, 0]])
    work = (basis.dx * (sigma[..., [0, 1, 5]] @ strain)).sum()
    assert work == pytest.approx((gradient @ mesh.p).T.ravel() @ K @ u, rel=1e-11)
    # and the energy of their own strains that of the matrix
    E, nu = (3.0, 0.3) if plane == "stress" else (3.0 / (1.0 - 0.3**2), 0.3 / (1.0 - 0.3))
    if formulation == "incompatible":
        xx, yy, xy = np.moveaxis(sigma[..., [0, 1, 5]], -1, 0)
        energy = (basis.dx * (xx**2 + yy**2 - 2.0 * nu * xx * yy + 2.0 * (1.0 + nu) * xy**2) / E).sum()
        assert energy == pytest.approx(u @ K @ u, rel=1e-11)


def test_what_has_no_such_formulation_is_refused():
    mesh = distorted(2)
    with pytest.raises(ParameterError, match="two points or more"):
        femnn.assemble_elasticity(mesh, femnn.GaussLegendre(1), 1.0, 0.3, formulation="incompatible")
    X = np.array([[0.1, 0.2, 0.7, 0.9], [0.1, 0.7, 0.2, 0.9]])
    lopsided = FixedGroups([femnn.CellGroup(np.arange(mesh.nelements), X, np.full(4, 0.25))])
    with pytest.raises(ParameterError, match="symmetric about the middle"):
        femnn.assemble_elasticity(mesh, lopsided, 1.0, 0.3, formulation="incompatible")
    with pytest.raises(ParameterError, match="isotropic material"):
        femnn.assemble_elasticity(mesh, TWO, stiffness=np.eye(6), formulation="incompatible")
    with pytest.raises(ParameterError, match="made for straight hexahedra"):
        femnn.assemble_elasticity(mesh, TWO, 1.0, 0.3, formulation="learned")
    with pytest.raises(ParameterError, match="made for straight hexahedra"):
        femnn.assemble_elasticity(bent_quadrilaterals(), TWO, 1.0, 0.3, formulation="stabilised")
    with pytest.raises(ParameterError, match="isotropic material"):
        femnn.assemble_elasticity(mesh, TWO, stiffness=np.eye(6), formulation="stabilised")
    with pytest.raises(ParameterError, match="a Solid of them has 'incompatible'"):
        femnn.Solid(mesh, TWO, femnn.solids.LinearElastic(young=1.0, poisson=0.3), formulation="stabilised")
    with pytest.raises(ParameterError, match="made for plane strain"):
        femnn.assemble_elasticity(mesh, TWO, 1.0, 0.3, formulation="mean-dilatation", plane="stress")
    with pytest.raises(ParameterError, match="on curved cells 'mean-dilatation'"):
        femnn.assemble_elasticity(bent_quadrilaterals(), TWO, 1.0, 0.3, formulation="incompatible")
