"""The learned element: what holds whatever its network says, where it stays away, and its training."""

import json

import numpy as np
import pytest
import skfem

import femnn
from femnn.assembly.formulations.learned import INPUTS, KIND, OUTPUTS, Frames, LearnedTwists, shipped
from femnn.assembly.formulations.patches import bending_errors, distorted_patches, exact_states
from femnn.exceptions import ParameterError, WeightFileError
from femnn.geometry import distorted_cube
from femnn.integration.lame import lame_parameters
from femnn.networks.perceptron import Architecture, Perceptron
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import save_networks

GAUSS = femnn.GaussLegendre(2)


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    """An element whose network says anything."""
    random = np.random.default_rng(0)
    architecture = Architecture(INPUTS, OUTPUTS, (5,), "silu")
    shapes = {"weight0": (5, INPUTS), "bias0": (5,), "weight1": (OUTPUTS, 5), "bias1": (OUTPUTS,)}
    scales = {
        "input_mean": np.zeros(INPUTS),
        "input_scale": np.ones(INPUTS),
        "output_mean": np.zeros(OUTPUTS),
        "output_scale": np.full(OUTPUTS, 3.0),
    }
    tensors = {name: random.normal(size=shape) for name, shape in shapes.items()} | scales
    network = Perceptron.from_tensors(tensors, architecture)
    tensors = TrainedRange(np.full(INPUTS, -1e3), np.full(INPUTS, 1e3)).tensors()
    card = {"kind": KIND, "what": "test", "trained_range": "all", "data": {}, "training": {"seed": 0}, "test": {}}
    folder = tmp_path_factory.mktemp("wild")
    return LearnedTwists(save_networks(folder / "wild", {"deformation": network}, card, tensors))


def lame(n, poisson):
    return np.tile(lame_parameters(1.0, poisson), (n, 1))


def test_whatever_the_network_says_the_element_keeps_its_guarantees(wild):
    x = femnn.distorted_hexahedra(50, 0.3, seed=1)
    twists = wild.twists(x, lame(50, 0.3))
    np.testing.assert_allclose(twists, twists.mT, atol=1e-12 * np.abs(twists).max())
    # no softer than a twentieth of the incompatible element, for any twist
    frames = Frames.of(x, lame(50, 0.3))
    base = frames.turns @ frames.factors
    values = np.linalg.eigvalsh(twists - 0.0499 * base @ base.mT)
    assert values.min() > 0.0
    assert np.abs(twists - base @ base.mT).max() > 0.1 * np.abs(base @ base.mT).max()
    mesh = distorted_cube(3, 0.3, seed=2)
    u = (np.random.default_rng(0).normal(size=(3, 3)) @ mesh.p).T.ravel()
    found = femnn.assemble_elasticity(mesh, GAUSS, 1.0, 0.3, formulation=wild) @ u
    expected = femnn.assemble_elasticity(mesh, GAUSS, 1.0, 0.3) @ u
    assert np.abs(found - expected).max() < 1e-11 * np.abs(expected).max()


def test_parallelepipeds_and_elements_out_of_range_keep_the_incompatible_stiffness():
    affine = np.array([[1.0, 0.4, 0.0], [0.0, 2.0, 0.1], [0.0, 0.0, 0.5]])
    straight = skfem.MeshHex().refined(1)
    straight = skfem.MeshHex(affine @ straight.p, straight.t)
    distorted = distorted_cube(2, 0.2, seed=1)
    slender = skfem.MeshHex(np.diag([1e4, 1.0, 1.0]) @ distorted.p, distorted.t)
    for mesh, poisson in ((straight, 0.3), (slender, 0.3), (distorted, 0.49999), (distorted, -0.5)):
        learned, incompatible = (
            femnn.assemble_elasticity(mesh, GAUSS, 1.0, poisson, formulation=name)
            for name in ("learned", "incompatible")
        )
        assert abs(learned - incompatible).max() < 1e-9 * abs(incompatible).max()
    x = femnn.hexahedra(distorted)
    assert shipped().in_range(x, lame(len(x), 0.3)).all()
    assert not shipped().in_range(x, lame(len(x), -0.5)).any()


def test_weights_of_another_kind_are_refused(tmp_path):
    with pytest.raises(WeightFileError, match="hourglass"):
        LearnedTwists("hourglass-correction")
    with pytest.raises(WeightFileError):
        LearnedTwists(tmp_path / "nothing")


def test_loads_of_the_states_are_those_of_their_stresses():
    """A patch of one material, refined by hand: the work of the exact loads on the exact displacements nears 1."""
    patches = distorted_patches(3, seed=4, displacement=0.1, aspect=1.5, shear=0.0)
    forces, exact, rigid = exact_states(patches)
    work = np.einsum("nsa,nsa->ns", forces, exact)
    assert 0.3 < work.min() <= work.max() < 2.0
    assert np.abs(np.einsum("nsa,nak->nsk", exact, rigid)).max() < 1e-10 * np.abs(exact).max()
    assert bending_errors(patches, "standard").mean() > bending_errors(patches, "incompatible").mean()


def test_patches_are_reproducible_and_bounded():
    one, two = distorted_patches(4, seed=2), distorted_patches(4, seed=2)
    np.testing.assert_array_equal(one.nodes, two.nodes)
    assert (distorted_patches(4, seed=3).nodes != one.nodes).any()
    assert ((one.poisson >= 0.0) & (one.poisson < 0.5)).all()
    with pytest.raises(ParameterError, match="displacement"):
        distorted_patches(4, seed=2, displacement=0.6)


@pytest.mark.slow
def test_training_lowers_the_bending_error_and_gives_the_same_bits_again(tmp_path):
    from dataclasses import replace

    from femnn.assembly.formulations.train import ELEMENT_OPTIONS, PatchRecipe, train_element

    files = []
    for name in ("one", "two"):
        recipe, options = PatchRecipe(elements=800), replace(ELEMENT_OPTIONS, epochs=3)
        path, figures = train_element(tmp_path / name, recipe, options, progress=False)
        files.append(path.read_bytes())
        card = json.loads(path.with_suffix(".json").read_text())
    assert files[0] == files[1]
    assert card["test"] == figures
    assert figures["mean_learned"] < figures["mean_incompatible"]
