"""Laws of others as batched functions: NumPy, torch; the same numbers as the compiled library."""

import sys

import numpy as np
import pytest
from support.nonlinear_problems import quiet

import femnn
from femnn.geometry import distorted_cube
from femnn.solids import BatchedLaw, DerivedLaw

MESH = distorted_cube(2, 0.2, seed=4)
RULE = femnn.GaussLegendre(2)
LMBDA, MU = 60.0, 40.0
YOUNG = MU * (3 * LMBDA + 2 * MU) / (LMBDA + MU)
COMPILED = femnn.NeoHooke(YOUNG, LMBDA / (2 * (LMBDA + MU)))


def energy(H, state):
    torch = pytest.importorskip("torch")
    F = H + torch.eye(3, dtype=H.dtype)
    # second derivatives of torch.linalg.det under vmap are wrong with torch 2.13
    log = torch.log(F[0] @ torch.linalg.cross(F[1], F[2]))
    return 0.5 * MU * ((F * F).sum() - 3.0) - MU * log + 0.5 * LMBDA * log**2


def random_u(size):
    return size * np.random.default_rng(0).uniform(-1, 1, 3 * MESH.p.shape[1])


def test_an_energy_in_torch_is_the_compiled_law():
    law = DerivedLaw(energy, energy=True, kinematics="finite")
    H = np.random.default_rng(1).uniform(-0.2, 0.2, (7, 3, 3))
    for found, expected in zip(law.update(H, np.zeros((7, 0))), COMPILED.update(H, np.zeros((7, 0))), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-10)
    assert repr(law) == "DerivedLaw(energy, finite strains)"
    solids = [femnn.Solid(MESH, RULE, own, formulation="mean-dilatation") for own in (law, COMPILED)]
    (force, tangent), (own, matrix) = (solid.residual_and_tangent(random_u(0.05)) for solid in solids)
    np.testing.assert_allclose(own, force, atol=1e-10)
    assert abs(tangent - matrix).max() < 1e-9 * abs(matrix).max()


def maxwell(strain, state):
    """A stress with a memory of the last strain."""
    return 3.0 * strain - state, 0.5 * (strain + state)


def test_a_stress_with_a_state_in_torch():
    law = DerivedLaw(maxwell, initial_state=np.zeros(6))
    strain = np.random.default_rng(2).normal(size=(4, 6))
    _, _, state = law.update(strain, law.initial_state(4))
    np.testing.assert_allclose(state, 0.5 * strain)
    stress, tangent, _ = law.update(strain, state)
    np.testing.assert_allclose(stress, 2.5 * strain)
    np.testing.assert_allclose(tangent, np.tile(3.0 * np.eye(6), (4, 1, 1)))
    assert law.update(np.zeros((0, 6)), np.zeros((0, 6)))[1].shape == (0, 6, 6)


def test_an_energy_in_jax_is_the_compiled_law():
    jax = pytest.importorskip("jax")

    def in_jax(H, state):
        F = H + jax.numpy.eye(3)
        log = jax.numpy.log(F[0] @ jax.numpy.cross(F[1], F[2]))
        return 0.5 * MU * ((F * F).sum() - 3.0) - MU * log + 0.5 * LMBDA * log**2

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        law = DerivedLaw(in_jax, energy=True, library="jax", kinematics="finite")
        H = np.random.default_rng(1).uniform(-0.2, 0.2, (7, 3, 3))
        for found, expected in zip(law.update(H, np.zeros((7, 0))), COMPILED.update(H, np.zeros((7, 0))), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-10)
        remembering = DerivedLaw(maxwell, library="jax", initial_state=np.zeros(6))
        strain = np.random.default_rng(2).normal(size=(4, 6))
        stress, tangent, state = remembering.update(strain, np.ones((4, 6)))
        np.testing.assert_allclose(stress, 3.0 * strain - 1.0)
        np.testing.assert_allclose(tangent, np.tile(3.0 * np.eye(6), (4, 1, 1)))
        np.testing.assert_allclose(state, 0.5 * (strain + 1.0))
        # a function of all points
        mapped = jax.vmap(jax.grad(in_jax), in_axes=(0, None))
        batched = BatchedLaw(
            lambda H, state: (mapped(H, state), jax.vmap(jax.hessian(in_jax), in_axes=(0, None))(H, state)),
            kinematics="finite",
        )
        solids = [femnn.Solid(MESH, RULE, own) for own in (batched, COMPILED)]
        (force, tangent), (own, matrix) = (solid.residual_and_tangent(random_u(0.05)) for solid in solids)
        np.testing.assert_allclose(own, force, atol=1e-10)
        assert abs(tangent - matrix).max() < 1e-9 * abs(matrix).max()
    finally:
        jax.config.update("jax_enable_x64", before)


def test_a_function_in_numpy_is_a_law_and_a_region():
    mesh = MESH.with_subdomains({"a": lambda x: x[0] < 0.5, "b": lambda x: x[0] > 0.5}).with_boundaries(
        {"bottom": lambda x: x[2] < 1e-9, "top": lambda x: x[2] > 1.0 - 1e-9}
    )
    hooke = femnn.LinearElastic(200.0, 0.3)

    def numpy_law(strain, state):
        return hooke.update(strain, state)[:2]

    loads = femnn.Loads(mesh).fix("bottom").displace("top", 2, 0.01)
    paths = [
        quiet(femnn.Solid(mesh, RULE, law), loads.force, fixed=loads.fixed, values=loads.values, steps=1)
        for law in (hooke, {"a": hooke, "b": BatchedLaw(numpy_law)})
    ]
    np.testing.assert_allclose(paths[1].u, paths[0].u, atol=1e-9)


def test_what_is_no_law_is_refused(monkeypatch):
    with pytest.raises(femnn.ParameterError, match="give a function of strain and state"):
        BatchedLaw(3.0)
    with pytest.raises(femnn.ParameterError, match="an energy has no state"):
        DerivedLaw(energy, energy=True, initial_state=[0.0])
    with pytest.raises(femnn.ParameterError, match="library='tensorflow' is not allowed"):
        DerivedLaw(energy, library="tensorflow")
    with pytest.raises(femnn.ParameterError, match="must give stress, tangent and new state"):
        BatchedLaw(lambda strain, state: strain).update(np.zeros((1, 6)), np.zeros((1, 0)))
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(femnn.MissingExtraError, match="pip install jax"):
        DerivedLaw(energy, energy=True, library="jax")
