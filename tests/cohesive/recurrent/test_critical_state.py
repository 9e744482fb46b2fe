"""The critical-state cell: what holds by construction holds for any numbers, and tangents are consistent."""

import numpy as np
import pytest

import femnn
from femnn.cohesive import refined, respond, respond_to_tractions
from femnn.cohesive.recurrent.critical_state import CriticalState, _touch, largest_rates, pressures, promises_broken
from femnn.cohesive.training.fit_critical_state import _first, tensors_of
from femnn.exceptions import ConvergenceError, ParameterError, WeightFileError


def cell(seed, spread=0.4, sliders=6):
    numbers = _first(sliders)
    return CriticalState(tensors_of(numbers + spread * np.random.default_rng(seed).normal(size=len(numbers))))


any_cell = pytest.mark.parametrize("seed", range(3))


def walk(cell, seed, points=40, paths=30):
    """Random separations (paths, points, 3) that keep the layer pressed most of the time."""
    draws = np.random.default_rng(seed)
    size = np.array([0.01, 0.05, 0.05]) * 10.0 ** draws.uniform(-2.0, 0.3, (paths, points, 1))
    x = np.cumsum(size * draws.normal(size=(paths, points, 3)), axis=1)
    x[..., 0] = 0.05 * np.tanh(x[..., 0] / 0.05)
    x[:, 0] = 0.0
    return x


@any_cell
def test_the_virgin_layer_carries_its_pressure_alone(seed):
    network = cell(seed)
    traction, tangent, state = network.step(np.zeros((2, 3)), np.zeros((2, network.state_size)))
    np.testing.assert_allclose(traction, [[-1.0, 0.0, 0.0]] * 2, atol=1e-12)
    assert (np.linalg.eigvalsh(tangent) > 0.0).all()
    assert not state.any()


@any_cell
def test_tangents_match_differences(seed):
    network, step = cell(seed), 1e-6
    paths = walk(network, seed)
    state, errors = np.zeros((len(paths), network.state_size)), []
    for x in np.moveaxis(paths, 1, 0):
        _, tangent, new = network.step(x, state)
        for j in range(3):
            ahead, behind = (network.step(x + sign * step * np.eye(3)[j], state)[0] for sign in (1.0, -1.0))
            off = np.abs((ahead - behind) / (2.0 * step) - tangent[:, :, j]).max(axis=1)
            errors.append(off / (1.0 + np.abs(tangent).max(axis=(1, 2))))
        state = new
    # a difference across the place where a slider begins to slide is no derivative
    errors = np.concatenate(errors)
    assert np.quantile(errors, 0.99) < 1e-5
    assert np.median(errors) < 1e-7


@any_cell
def test_far_sliding_ends_in_one_state_from_any_beginning(seed):
    network = cell(seed)
    strength, gain = network.tensors["sliders"][[0, 2]]
    slip = np.linspace(0.0, 1.0, 400) ** 2 * 3000.0
    before = np.concatenate([np.zeros(1), 0.3 * np.sin(np.arange(1, 60))])
    ends = []
    for start in (np.zeros(60), before):
        along = np.concatenate([start, start[-1] + slip])
        opening, ratio = network.under_pressure(np.full((1, 460), 2.0), np.stack([along, 0.0 * along], axis=1)[None])
        ends.append((opening[0, -1], ratio[0, -1, 0]))
        assert (ratio[..., 0] <= (strength * (1.0 + gain)).sum() * 1.3).all()
        assert abs(opening[0, -1] - opening[0, -2]) / (along[-1] - along[-2]) < 1e-6
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_dissipation_is_never_negative(seed):
    network = cell(seed)
    sliders, layer = network.tensors["sliders"], network.tensors["layer"]
    stiff = sliders[0] / sliders[1]
    elastic = np.linspace(-0.4, 0.6, 200_001)
    pressures = -(np.array([_touch(e, layer)[0] for e in elastic]) ** 1.5)
    closing = np.append(0.0, np.cumsum(0.5 * (pressures[1:] + pressures[:-1]) * np.diff(elastic)))

    def energy(x, state):
        e, places = x[:, 0] - state[:, 0], state[:, 5:].reshape(len(state), -1, 2)
        h = np.array([_touch(value, layer)[0] for value in e])
        softer = 1.0 + sliders[5] * (state[:, 1:3] ** 2).sum(axis=1)[:, None]
        springs = (stiff / softer * ((x[:, None, 1:] - places) ** 2).sum(axis=2)).sum(axis=1)
        return np.interp(e, elastic, closing) + 0.5 * np.sqrt(h) * springs

    # the power of a traction is taken by the trapezoidal rule, whose error falls with the square of the step
    paths = refined(walk(network, seed, points=15, paths=8), 80)
    state = np.zeros((len(paths), network.state_size))
    traction, _, state = network.step(paths[:, 0], state)
    stored, lost = energy(paths[:, 0], state), []
    for point in range(1, paths.shape[1]):
        new_traction, _, state = network.step(paths[:, point], state)
        power = (0.5 * (traction + new_traction) * np.diff(paths[:, point - 1 : point + 1], axis=1)[:, 0]).sum(axis=1)
        now = energy(paths[:, point], state)
        lost.append(power - now + stored)
        traction, stored = new_traction, now
    lost = np.array(lost)
    assert lost.sum() > 0.1
    assert -lost[lost < 0.0].sum() < 1e-5 * lost.sum()


@any_cell
def test_no_slider_opens_the_layer_by_more_than_it_bears(seed):
    numbers = _first(6) + 0.6 * np.random.default_rng(seed).normal(size=len(_first(6)))
    # as large as rates can get
    numbers[18:24] = 30.0
    tensors = tensors_of(numbers)
    sliders, layer = tensors["sliders"], tensors["layer"]
    np.testing.assert_allclose(sliders[3], largest_rates(sliders, layer), rtol=1e-6)
    strength, _, gain, rate, neutral = sliders[:5]
    largest = max(layer[3] + abs(layer[4]), (neutral + 2.0 * sliders[6:].sum(axis=0)).max() + 2.0 * abs(layer[4]))
    xi = np.linspace(-1.0, largest, 2000)[:, None]
    least = (1.0 - abs(layer[5])) * strength * (1.0 + gain * np.tanh(np.maximum(xi, 0.0) / layer[3]))
    assert (pressures(sliders, layer) * rate * (xi - neutral) <= least * (1.0 + 1e-6)).all()


def test_the_fabric_follows_the_sliding_within_its_two_lengths():
    network = cell(0, spread=0.0)
    lengths = network.tensors["layer"][6:]
    slip = np.linspace(0.0, 4.0, 401)
    state, fabrics = np.zeros((1, network.state_size)), []
    for s in slip:
        state = network.step(np.array([[0.2, s, 0.0]]), state)[2]
        fabrics.append(state[0, [1, 3]])
    fabrics = np.array(fabrics)
    # once all sliders slide: 1 - a falls by a factor e within each length
    beyond = (1.0 - fabrics[-1]) / (1.0 - fabrics[200])
    np.testing.assert_allclose(beyond, np.exp(-2.0 / lengths), rtol=0.02, atol=1e-6)


def test_a_layer_sheared_to_and_fro_stays_denser_than_one_sheared_far():
    numbers = _first(6)
    numbers[42:48] = np.log(0.4)
    network = CriticalState(tensors_of(numbers))
    turns = np.tile([1.0, -1.0], 8)
    way = np.concatenate([[0.0], np.cumsum(np.full(640, 0.025))])
    to_and_fro = np.concatenate([[0.0], np.cumsum(0.025 * np.repeat(turns, 40))])
    openings = []
    for slip in (way, to_and_fro):
        sliding = np.stack([slip, 0.0 * slip], axis=-1)[None]
        openings.append(network.under_pressure(np.ones((1, len(slip))), sliding)[0][0, -1])
    assert openings[0] > openings[1] + 0.05


def test_turning_and_mirroring_the_shear_turns_and_mirrors_the_answer():
    network = cell(1)
    paths = walk(network, 5)
    c, s = np.cos(0.7), np.sin(0.7)
    for turn in (np.array([[c, -s], [s, c]]), np.diag([1.0, -1.0])):
        whole = np.eye(3)
        whole[1:, 1:] = turn
        state, turned = (np.zeros((len(paths), network.state_size)) for _ in range(2))
        for x in np.moveaxis(paths, 1, 0):
            traction, tangent, state = network.step(x, state)
            other, other_tangent, turned = network.step(x @ whole.T, turned)
            np.testing.assert_allclose(other, traction @ whole.T, atol=1e-8)
            np.testing.assert_allclose(other_tangent, whole @ tangent @ whole.T, rtol=1e-5, atol=1e-5)


def test_pressures_and_separations_are_two_ways_to_drive_one_law():
    network, draws = cell(2), np.random.default_rng(0)
    pressure = np.exp(draws.uniform(-2.0, 1.5, (6, 30)))
    sliding = np.cumsum(0.05 * draws.normal(size=(6, 30, 2)), axis=1)
    opening, ratio = network.under_pressure(pressure, sliding)
    state = np.zeros((6, network.state_size))
    for point in range(30):
        x = np.column_stack([opening[:, point], sliding[:, point]])
        traction, _, state = network.step(x, state)
        np.testing.assert_allclose(-traction[:, 0], pressure[:, point], rtol=1e-6)
        np.testing.assert_allclose(traction[:, 1:] / pressure[:, point, None], ratio[:, point], atol=1e-6)


def test_a_layer_far_open_bears_nothing_and_stays_finite():
    network = cell(0)
    x = np.array([[3.0, 0.1, 0.0], [-0.2, 0.0, 0.0], [0.0, 1e3, -1e3]])
    traction, tangent, state = network.step(x, np.zeros((3, network.state_size)))
    assert all(np.isfinite(values).all() for values in (traction, tangent, state))
    assert np.abs(traction[0]).max() < 1e-3
    assert traction[1, 0] < -2.0


def test_cycles_of_traction_shake_down():
    law = femnn.RecurrentCohesive.load("fault-grains")
    shear = np.concatenate([[0.0], np.tile([0.1, 0.2, 0.3, 0.2], 60)])
    path = np.column_stack([np.full(len(shear), -1.0), shear, np.zeros(len(shear))])
    separation, _, _ = respond_to_tractions(law, path)
    peaks = separation[3::4, 1]
    assert 0.0 < peaks[0] < 0.1
    # per cycle, at the end, a thousandth of the first slip at most
    assert abs(peaks[-1] - peaks[-11]) / 10.0 < 1e-3 * peaks[0] + 1e-5


def test_the_shipped_law_is_bounded_far_beyond_its_data():
    law = femnn.RecurrentCohesive.load("fault-grains").rescaled(separation_scale=1e-3, traction_scale=5e6)
    path = np.zeros((200, 3))
    path[:, 1] = np.linspace(0.0, 0.1, 200)
    held = np.tile([-5e6, np.nan, np.nan], (200, 1))
    separation, traction, state = respond_to_tractions(law, held, path)
    assert 0.3 < traction[-1, 1] / 5e6 < 0.45
    assert 0.2e-3 < separation[-1, 0] < 0.6e-3
    assert state.outside.all()


def test_a_traction_that_nothing_bears_is_refused():
    law = femnn.RecurrentCohesive.load("fault-grains")
    path = np.array([[-1.0, 0.0, 0.0], [-1.0, 5.0, 0.0]])
    with pytest.raises(ConvergenceError, match="does not bear the traction"):
        respond_to_tractions(law, path)
    separation, _, state = respond_to_tractions(law, path, on_failure="nan")
    assert np.isfinite(separation[0]).all()
    assert np.isnan(separation[1]).all()
    assert len(state) == 1
    with pytest.raises(ParameterError, match="needs a finite traction"):
        respond_to_tractions(law, [[np.nan, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    with pytest.raises(ParameterError, match=r"pass \(k, 3\) of both"):
        respond_to_tractions(law, np.zeros((4, 2)))
    with pytest.raises(ParameterError, match="on_failure='skip'"):
        respond_to_tractions(law, path, on_failure="skip")


def test_tractions_prescribed_are_those_of_the_separations_found():
    law = femnn.RecurrentCohesive.load("fault-grains")
    shear = 0.2 * np.sin(np.linspace(0.0, 6.0, 30))
    path = np.column_stack([-1.0 - 0.2 * np.abs(shear), shear, np.zeros(30)])
    separation, traction, _ = respond_to_tractions(law, path)
    np.testing.assert_allclose(traction, path, atol=1e-6)
    np.testing.assert_allclose(respond(law, separation[None])[0][0], path, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, p: (s * np.array([1, 1, 1, 40, 1, 1, 1, 1.0])[:, None], p), "would give energy"),
        (lambda s, p: (s + np.array([0, 0, 0, 0, 0.1, 0, 0, 0])[:, None], p), "instead of zero"),
        (lambda s, p: (-s, p), "is not positive"),
        (lambda s, p: (s, np.where(np.arange(8) == 1, 1e3, p)), "soften under its pressure"),
        (lambda s, p: (s[:5], p), r"instead of \(8, k\)"),
        (lambda s, p: (s * np.nan, p), "not finite"),
    ],
)
def test_numbers_that_break_a_promise_are_refused(change, message):
    tensors = tensors_of(_first(4))
    assert not promises_broken(tensors["sliders"], tensors["layer"])
    sliders, layer = change(tensors["sliders"], tensors["layer"])
    with pytest.raises(WeightFileError, match=message):
        CriticalState({"sliders": sliders, "layer": layer})
    with pytest.raises(WeightFileError, match="no tensors of a critical-state cell"):
        CriticalState({"sliders": sliders})
