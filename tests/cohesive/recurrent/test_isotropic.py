"""The isotropic cell: Numba and torch agree, and what holds by construction holds."""

import numpy as np
import pytest
import torch
from support.precompressed_layer import layer_paths

from femnn.cohesive import refined
from femnn.cohesive.recurrent.as_module import step_of
from femnn.cohesive.recurrent.isotropic import Isotropic
from femnn.cohesive.recurrent.isotropic_numba import LANES
from femnn.cohesive.recurrent.isotropic_torch import IsotropicCell
from femnn.exceptions import WeightFileError

SMALL = {"states": 5, "arrows": 3, "width": 10}


@pytest.fixture(scope="module")
def paths():
    return layer_paths(2 * LANES + 3, 12, seed=1)


def cell(scalars=0, vectors=0, outputs=(1, 1), seed=1, **sizes):
    """An untrained cell in float64, whose rates are high enough to matter over single steps."""
    module = IsotropicCell(
        scalars, vectors, [0.05, 0.2], [0.02], np.arange(1.0, outputs[0] + 1.0), 0.5 + np.arange(outputs[1]), seed,
        **(SMALL | sizes), dtype=torch.float64,
    )  # fmt: skip
    return module.eval(), Isotropic({name: values.numpy() for name, values in module.state_dict().items()})


def micro(paths, scalars, vectors):
    draws = np.random.default_rng(0).normal(size=(*paths.shape[:2], scalars + 2 * vectors))
    return np.concatenate([paths, draws], axis=2)


extras = pytest.mark.parametrize(
    ("scalars", "vectors", "outputs"), [(0, 0, (1, 1)), (2, 1, (1, 1)), (0, 0, (3, 2)), (1, 2, (2, 0))]
)


@extras
def test_values_tangents_and_states_equal_those_of_torch(paths, scalars, vectors, outputs):
    module, network = cell(scalars, vectors, outputs)
    inputs = micro(paths, scalars, vectors)

    def both(x, state):
        y, new = module.step(x, state)
        return y, (y, new)

    state, answers = np.zeros((len(paths), network.state_size)), []
    for step in range(paths.shape[1]):
        x = inputs[:, step]
        exact, (y, new) = torch.func.vmap(torch.func.jacfwd(both, has_aux=True))(torch.tensor(x), torch.tensor(state))
        answer, tangent, state = network.step(x, state)
        np.testing.assert_allclose(answer, y.detach(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(tangent, exact.detach(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(state, new.detach(), rtol=0, atol=1e-12)
        answers.append(answer)
    with torch.no_grad():
        whole = module(torch.tensor(inputs)).numpy()
    np.testing.assert_allclose(np.stack(answers, axis=1), whole, rtol=0, atol=1e-11)
    assert np.abs(whole).max() > 1e-2


@pytest.mark.parametrize(
    "sizes", [{}, {"states": 16, "arrows": 8, "width": 32}, {"states": 4, "arrows": 1, "width": 3}]
)
def test_points_side_by_side_get_what_torch_gives_one_by_one(paths, sizes):
    module, network = cell(**sizes)
    reference = step_of(module)
    state = np.zeros((len(paths), network.state_size))
    for step in range(paths.shape[1]):
        expected, answers = reference(paths[:, step].copy(), state), network.step(paths[:, step], state)
        for one, other, tolerance in zip(expected, answers, (1e-13, 1e-9, 1e-13), strict=True):
            np.testing.assert_allclose(other, one, rtol=0, atol=tolerance)
        state = expected[2]
    alone = network.step(paths[4:5, 3], state[4:5])
    for one, other in zip(alone, network.step(paths[:, 3], state), strict=True):
        np.testing.assert_array_equal(one[0], other[4])


def test_exponentials_hold_in_extreme_steps():
    # from moves that are nearly rest to moves after which nothing is left of the old state
    module, network = cell()
    draws = np.random.default_rng(3)
    size = 10.0 ** np.linspace(-9.0, 6.0, 60)[:, None]
    state = draws.normal(size=(60, network.state_size))
    x = state[:, -3:] + size * draws.normal(size=(60, 3))
    for one, other in zip(step_of(module)(x, state), network.step(x, state), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9)
        assert np.isfinite(other).all()


def test_tangents_match_differences(paths):
    _, network = cell(2, 1)
    inputs, state = micro(paths, 2, 1), np.zeros((len(paths), network.state_size))
    for step in range(4):
        _, tangent, new = network.step(inputs[:, step + 1], state)
        for j in range(inputs.shape[2]):
            h = 1e-6 * np.eye(inputs.shape[2])[j]
            ahead, behind = (network.step(inputs[:, step + 1] + sign * h, state)[0] for sign in (1.0, -1.0))
            np.testing.assert_allclose((ahead - behind) / 2e-6, tangent[:, :, j], rtol=0, atol=1e-6)
        state = new


def test_zero_separation_of_the_virgin_interface_is_zero_whatever_the_grains(paths):
    _, network = cell(2, 1)
    x = micro(np.zeros((9, 1, 3)), 2, 1)[:, 0]
    state = np.zeros((9, network.state_size))
    for _ in range(3):
        answer, tangent, state = network.step(x, state)
        assert np.abs(answer).max() == 0.0
    # and at rest it is stiff in every direction
    assert (np.abs(np.einsum("nii->ni", tangent[:, :, :3])) > 0.0).all()


def test_turning_and_mirroring_the_shear_turns_and_mirrors_the_answer(paths):
    _, network = cell(1, 1)
    c, s = np.cos(0.7), np.sin(0.7)
    turn = np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0])
    inputs = micro(paths, 1, 1)
    other = inputs.copy()
    other[..., 1:3], other[..., 4:6] = inputs[..., 1:3] @ turn.T, inputs[..., 4:6] @ turn.T
    states = [np.zeros((len(paths), network.state_size))] * 2
    for step in range(paths.shape[1]):
        one, _, states[0] = network.step(inputs[:, step], states[0])
        two, _, states[1] = network.step(other[:, step], states[1])
        np.testing.assert_allclose(two[:, 0], one[:, 0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(two[:, 1:], one[:, 1:] @ turn.T, rtol=0, atol=1e-12)


def test_a_pause_changes_nothing(paths):
    _, network = cell()
    _, _, state = network.step(paths[:, 3], np.zeros((len(paths), network.state_size)))
    answer, _, again = network.step(paths[:, 3], state)
    np.testing.assert_array_equal(again, state)
    np.testing.assert_array_equal(network.step(paths[:, 3], again)[0], answer)


def test_where_the_interface_has_slid_to_does_not_matter(paths):
    _, network = cell()
    state = network.step(paths[:, 3], np.zeros((len(paths), network.state_size)))[2]
    away = np.array([0.0, 5.0, -3.0])
    moved = state.copy()
    moved[:, -3:] += away
    one, other = network.step(paths[:, 4], state), network.step(paths[:, 4] + away, moved)
    np.testing.assert_allclose(other[0], one[0], rtol=0, atol=1e-12)


def test_straight_steps_converge_as_they_shrink(paths):
    _, network = cell()

    def end(factor):
        state = np.zeros((len(paths), network.state_size))
        for x in refined(paths[:, ::3], factor).transpose(1, 0, 2):
            answer, _, state = network.step(x, state)
        return answer

    finest = end(160)
    errors = [np.abs(end(factor) - finest).max() for factor in (2, 8, 32)]
    assert errors[0] > 2.0 * errors[1] > 4.0 * errors[2]


def test_damaged_cells_are_refused():
    tensors = cell()[1].tensors
    for name in tensors:
        with pytest.raises(WeightFileError, match="no tensors of an isotropic cell"):
            Isotropic({other: values for other, values in tensors.items() if other != name})
    for name, values in tensors.items():
        if name != "extras":
            with pytest.raises(WeightFileError, match="no tensors of an isotropic cell"):
                Isotropic(tensors | {name: np.zeros((*values.shape[:-1], values.shape[-1] + 1))})
