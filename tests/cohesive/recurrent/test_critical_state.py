"""The critical-state cell: what holds by construction holds for any numbers, and tangents are consistent."""

import numpy as np
import pytest

import femnn
from femnn.cohesive import refined, respond, respond_to_tractions
from femnn.cohesive.recurrent.critical_state import (
    _PRESSURE,
    LAYER,
    CriticalState,
    _circle,
    _distance,
    _touch,
    farthest,
    pressures,
    promises_broken,
)
from femnn.cohesive.recurrent.critical_state_derivatives import paths_with_derivatives
from femnn.cohesive.training.fit_critical_state import _first, tensors_of
from femnn.exceptions import ConvergenceError, ParameterError, WeightFileError


def cell(seed, spread=0.4, sliders=6):
    numbers = _first(sliders)
    return CriticalState(tensors_of(numbers + spread * np.random.default_rng(seed).normal(size=len(numbers)), sliders))


def changed(network, **numbers):
    """The same network with some numbers of its layer."""
    layer = network.tensors["layer"].copy()
    for name, value in numbers.items():
        layer[LAYER.index(name)] = value
    return CriticalState({**network.tensors, "layer": layer})


def largest_strengths(network):
    """What each slider bears at most, over h^(3/2), once its fabric helps: friction, and what opening takes."""
    sliders, layer = network.tensors["sliders"], network.tensors["layer"]
    strength, _, dilatancy, rate, neutral, virgin = sliders[:6]
    opening = rate * (farthest(layer) - neutral + virgin)
    return strength + np.maximum(dilatancy, _PRESSURE) * np.abs(opening)


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
    slip = np.linspace(0.0, 1.0, 400) ** 2 * 3000.0
    before = np.concatenate([np.zeros(1), 0.3 * np.sin(np.arange(1, 60))])
    ends = []
    for start in (np.zeros(60), before):
        along = np.concatenate([start, start[-1] + slip])
        opening, ratio = network.under_pressure(np.full((1, 460), 2.0), np.stack([along, 0.0 * along], axis=1)[None])
        ends.append((opening[0, -1], ratio[0, -1, 0]))
        assert (ratio[..., 0] <= largest_strengths(network).sum() * 1.05).all()
        assert abs(opening[0, -1] - opening[0, -2]) / (along[-1] - along[-2]) < 1e-6
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_dissipation_is_never_negative(seed):
    network = cell(seed)
    sliders, layer = network.tensors["sliders"], network.tensors["layer"]
    stiff, saturation, contact = sliders[0] / sliders[1], sliders[7], layer[LAYER.index("contact")]
    elastic = np.linspace(-0.4, 0.6, 200_001)
    pressures = -(np.array([_touch(e, layer)[0] for e in elastic]) ** 1.5)
    closing = np.append(0.0, np.cumsum(0.5 * (pressures[1:] + pressures[:-1]) * np.diff(elastic)))

    def energy(x, state):
        e, places = x[:, 0] - state[:, 0], state[:, -2 * len(stiff) :].reshape(len(state), -1, 2)
        h = np.array([_touch(value, layer)[0] for value in e])
        h = h[:, None]
        softened = np.sqrt(h * (contact + h) / (contact + 1.0)) * (1.0 + saturation) / (1.0 + saturation * h)
        springs = (softened * stiff * ((x[:, None, 1:] - places) ** 2).sum(axis=2)).sum(axis=1)
        return np.interp(e, elastic, closing) + 0.5 * springs

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


@pytest.mark.parametrize("faster", [1.0, 30.0])
@any_cell
def test_no_slider_opens_the_layer_by_more_than_it_bears(seed, faster):
    numbers = _first(6) + 0.6 * np.random.default_rng(seed).normal(size=len(_first(6)))
    # rates far beyond what friction pays
    numbers[18:24] += np.log(faster)
    tensors = tensors_of(numbers, 6)
    sliders, layer = tensors["sliders"], tensors["layer"]
    assert pressures(sliders, layer) <= _PRESSURE
    draws = np.random.default_rng(seed)
    state = np.zeros(CriticalState(tensors).state_size)
    for _ in range(400):
        # any state, whether sliding leads there or not
        state[0] = draws.uniform(-layer[LAYER.index("densest")], layer[LAYER.index("distance")])
        state[1:3] = draws.uniform(size=2)
        turns = draws.uniform(0.0, 2.0 * np.pi, 3)
        state[3:9] = (draws.uniform(size=3) ** 0.2 * [np.cos(turns), np.sin(turns)]).T.ravel()
        h = np.exp(draws.uniform(np.log(0.05), np.log(5.0)))
        xi = _distance(h, state, layer)[0] - state[0]
        assert xi <= farthest(layer)
        for k in range(6):
            radius, _, c1, c2, g1, g2, turn = _circle(k, xi, state, sliders, layer)
            way = np.linspace(0.0, 2.0 * np.pi, 60)
            borne = radius + c1 * np.cos(way) + c2 * np.sin(way)
            opened = sliders[3, k] * (xi - sliders[4, k] - turn + g1 * np.cos(way) + g2 * np.sin(way))
            for pressure in (1.0, 1.3, _PRESSURE):
                assert (borne >= pressure * opened - 1e-12).all()


@any_cell
def test_springs_carry_no_more_than_their_bound_of_the_pressure(seed):
    network, draws = cell(seed), np.random.default_rng(seed)
    sliders, layer = network.tensors["sliders"], network.tensors["layer"]
    pressure = np.exp(np.cumsum(draws.normal(size=(20, 60)), axis=1).clip(-3.0, 2.3))
    sliding = np.cumsum(0.1 * draws.normal(size=(20, 60, 2)), axis=1)
    opening, _ = network.under_pressure(pressure, sliding)
    state, carried = np.zeros((20, network.state_size)), []
    for point in range(60):
        traction, _, state = network.step(np.column_stack([opening[:, point], sliding[:, point]]), state)
        h = np.array([_touch(e, layer)[0] for e in opening[:, point] - state[:, 0]])
        carried.append(-traction[:, 0] / h**1.5)
    assert np.min(carried) > 1.0 - 1e-9
    assert 1.001 < np.max(carried) < pressures(sliders, layer)


def test_the_fabric_and_the_structure_follow_the_sliding_within_their_lengths():
    network = cell(0, spread=0.0)
    slip = np.linspace(0.0, 4.0, 401)
    state, fabrics = np.zeros((1, network.state_size)), []
    for s in slip:
        state = network.step(np.array([[0.2, s, 0.0]]), state)[2]
        fabrics.append(state[0, [1, 2, 5, 7]])
    missing = 1.0 - np.array(fabrics)
    # dy/ds = -y (1 - (1 - ε) y)/l with y = (1 - a)/2, a logistic curve: y/(1 - (1 - ε) y) goes with exp(-s/l)
    slow = 1.0 - network.tensors["layer"][LAYER.index("turning")]
    missing[:, 2:] /= 1.0 - slow * missing[:, 2:] / 2.0
    lengths = network.tensors["layer"][[LAYER.index("structure"), LAYER.index("compacted"), -2, -1]]
    # once all sliders slide
    np.testing.assert_allclose(np.log(missing[-1] / missing[200]), -2.0 / lengths, rtol=0.02)


def test_an_opposite_fabric_turns_slowly_and_a_little_way_back_leaves_it():
    network = changed(cell(0, spread=0.0), turning=0.02)
    length = network.tensors["layer"][len(LAYER)]
    back = np.linspace(0.0, 3.0, 601)[1:]
    state, fabrics = np.zeros((1, network.state_size)), []
    for s in (*np.linspace(0.0, 20.0, 400), *(20.0 - back)):
        state = network.step(np.array([[0.2, s, 0.0]]), state)[2]
        fabrics.append(state[0, 5])
    fabrics = np.array(fabrics[400:])
    assert fabrics[back < 0.3].min() > 0.7
    # the logistic curve from an opposite fabric to none; sliders begin to slide back up to 0.2 d later
    late = back[np.argmax(fabrics < 0.0)] - length * np.log(1.02 / 0.02)
    assert 0.0 < late < 0.2
    assert fabrics[-1] < -0.9


def test_a_layer_sheared_to_and_fro_stays_denser_than_one_sheared_far():
    network = cell(0, spread=0.0)
    turns = np.tile([1.0, -1.0], 8)
    way = np.concatenate([[0.0], np.cumsum(np.full(640, 0.025))])
    to_and_fro = np.concatenate([[0.0], np.cumsum(0.025 * np.repeat(turns, 40))])
    openings = []
    for slip in (way, to_and_fro):
        sliding = np.stack([slip, 0.0 * slip], axis=-1)[None]
        openings.append(network.under_pressure(np.ones((1, len(slip))), sliding)[0][0, -1])
    assert openings[0] > openings[1] + 0.05


def test_a_layer_that_is_sheared_back_contracts_and_bears_less_until_its_fabric_has_turned():
    network = changed(cell(0, spread=0.0), loosening=0.0, compaction=0.0)
    slip = np.concatenate([np.linspace(0.0, 20.0, 800), 20.0 - np.linspace(0.0, 20.0, 800)[1:]])
    opening, ratio = network.under_pressure(np.ones((1, 1599)), np.stack([slip, 0.0 * slip], axis=-1)[None])
    before, back = ratio[0, 799, 0], -ratio[0, 799:, 0]
    assert back[6] < 0.8 * before
    assert opening[0, 809] < opening[0, 799] - 0.01
    np.testing.assert_allclose(back[-1], before, rtol=0.01)
    np.testing.assert_allclose(opening[0, -1], opening[0, 799], atol=0.005)


def test_a_layer_that_slides_far_gets_looser_within_a_length():
    network = changed(cell(0, spread=0.0), loosening=0.05, compaction=0.0, loosened=20.0)
    slip = np.linspace(0.0, 300.0, 3001)
    sliding = np.stack([slip, 0.0 * slip], axis=-1)[None]
    opening, ratio = network.under_pressure(np.ones((1, 3001)), sliding)
    beyond = opening[0, -1] - opening[0, [400, 600, 800]]
    # what sliding asks for is followed within some diameters, which are over at 60; 1 - (1 - y)² of y = exp(-s/l)
    left = np.exp(-np.array([2.0, 3.0, 4.0]))
    np.testing.assert_allclose(beyond / beyond[0], (1.0 - (1.0 - left) ** 2) / (1.0 - (1.0 - left[0]) ** 2), rtol=0.03)
    # by the amount itself, which the layer follows a little late
    assert 0.05 * (1.0 - (1.0 - left[0]) ** 2) < beyond[0] < 0.05 * (1.0 - (1.0 - np.exp(-1.5)) ** 2)
    np.testing.assert_allclose(ratio[0, 600, 0], ratio[0, -1, 0], rtol=0.01)


def test_a_layer_sheared_to_and_fro_gets_denser_over_many_cycles_and_one_sheared_one_way_does_not():
    turns = 0.5 * np.concatenate([[0.0], np.tile([1.0, -1.0], 20)])
    to_and_fro = np.interp(np.arange(1601) / 40.0, np.arange(41), turns)
    one_way = np.linspace(0.0, np.abs(np.diff(to_and_fro)).sum(), 1601)
    ends = []
    for compaction in (0.0, 0.1):
        network = changed(cell(0, spread=0.0), compaction=compaction, compacted=5.0, loosened=2.0)
        for slip in (to_and_fro, one_way):
            sliding = np.stack([slip, 0.0 * slip], axis=-1)[None]
            ends.append(network.under_pressure(np.ones((1, len(slip))), sliding)[0][0, [80, -1]])
    before, far, denser, as_far = ends
    # after one cycle and after twenty
    assert denser[0] - denser[1] > before[0] - before[1] + 0.03
    np.testing.assert_allclose(as_far[1], far[1], atol=0.002)


def test_the_critical_state_is_denser_under_a_higher_pressure():
    pressure, slip = np.array([0.25, 4.0]), np.linspace(0.0, 100.0, 2001)
    sliding = np.stack([slip, 0.0 * slip], axis=-1) * np.ones((2, 1, 1))
    plastic = []
    for line in (0.0, 0.1):
        network = changed(cell(0, spread=0.0), line=line)
        layer = network.tensors["layer"]
        opening, ratio = network.under_pressure(pressure[:, None] * np.ones(2001), sliding)
        # springs carry little of the pressure
        h = pressure ** (2.0 / 3.0)
        elastic = (1.0 - h) / layer[0]
        plastic.append(opening[:, -1] - elastic)
        assert (ratio[:, -1, 0] > 0.2).all()
    expected = -0.1 * (h - 1.0) / (h + 1.0)
    np.testing.assert_allclose(plastic[1] - plastic[0], expected, atol=0.004)


def test_nothing_compresses_a_layer_below_the_densest_one():
    draws = np.random.default_rng(3)
    network = changed(cell(1), densest=0.02, compaction=0.3)
    sliding = np.cumsum(draws.choice([-1.0, 1.0], (10, 300, 1)) * draws.uniform(0.0, 2.0, (10, 300, 2)), axis=1)
    state = np.zeros((10, network.state_size))
    opening, _ = network.under_pressure(np.ones((10, 300)), sliding)
    least = 0.0
    for point in range(300):
        state = network.step(np.column_stack([opening[:, point], sliding[:, point]]), state)[2]
        least = min(least, network.opening(state).min())
    assert -0.02 - 1e-9 <= least < -0.01


@pytest.mark.parametrize("saturation", [0.7, 1.5, 4.0])
def test_what_a_layer_slides_before_it_yields_follows_the_stiffness_of_its_springs(saturation):
    network = changed(cell(0, spread=0.0), line=0.0)
    contact = network.tensors["layer"][LAYER.index("contact")]
    sliders = network.tensors["sliders"].copy()
    sliders[7] = saturation
    network = CriticalState({**network.tensors, "sliders": sliders})
    h = 4.0
    # s(h), of which h^(3/2)/s is what a spring reaches
    stiff = np.sqrt(h * (contact + h) / (contact + 1.0)) * (1.0 + saturation) / (1.0 + saturation * h)
    ratios = []
    for pressure, reach in ((1.0, 1.0), (8.0, h**1.5 / stiff)):
        slip = np.linspace(0.0, 0.003, 31) * reach
        sliding = np.stack([slip, 0.0 * slip], axis=-1)[None]
        ratios.append(network.under_pressure(np.full((1, 31), pressure), sliding)[1][0, 1:, 0])
    np.testing.assert_allclose(*ratios, rtol=0.02)


@pytest.mark.parametrize("seed", range(2))
def test_derivatives_along_paths_match_differences(seed):
    draws = np.random.default_rng(seed)
    pressure = np.exp(np.cumsum(0.4 * draws.normal(size=(4, 25)), axis=1))
    sliding = np.cumsum(0.06 * draws.normal(size=(4, 25, 2)), axis=1)
    tensors = cell(seed).tensors
    *answers, opening_by, ratio_by = paths_with_derivatives(pressure, sliding, **tensors)
    for answer, expected in zip(answers, CriticalState(tensors).under_pressure(pressure, sliding), strict=True):
        np.testing.assert_allclose(answer, expected, atol=1e-12)
    numbers = np.concatenate([values.ravel() for values in tensors.values()])
    split, shape = tensors["sliders"].size, tensors["sliders"].shape
    for i in range(len(numbers)):
        step = 1e-6 * max(abs(numbers[i]), 1e-3) * (np.arange(len(numbers)) == i)
        ahead, behind = (
            paths_with_derivatives(pressure, sliding, moved[:split].reshape(shape), moved[split:])[:2]
            for moved in (numbers + step, numbers - step)
        )
        for one, other, exact in zip(ahead, behind, (opening_by[..., i], ratio_by[..., i]), strict=True):
            off = np.abs((one - other) / (2.0 * step[i]) - exact)
            # a difference across the place where a slider begins to slide is no derivative
            assert np.quantile(off, 0.95) < 1e-4 * (np.abs(exact).max() + 1e-3)


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
        (lambda s, p: (s * np.where(np.arange(10) == 1, 40.0, 1.0)[:, None], p), "of the pressure of the contacts"),
        (lambda s, p: (s + np.where(np.arange(10) == 4, 0.1, 0.0)[:, None], p), "instead of zero"),
        (lambda s, p: (s + np.where(np.arange(10) == 6, 1.0, 0.0)[:, None], p), "nothing against the fabric"),
        (lambda s, p: (s + np.where(np.arange(10) == 7, 50.0, 0.0)[:, None], p), "springs would soften"),
        (lambda s, p: (-s, p), "is not positive"),
        (lambda s, p: (s, np.where(np.arange(15) == 8, 0.0, p)), "is not positive"),
        (lambda s, p: (s, np.where(np.arange(15) == 1, 1e3, p)), "soften under its pressure"),
        (lambda s, p: (s, np.where(np.arange(15) == 9, 0.0, p)), "would never turn"),
        (lambda s, p: (s[:5], p), r"instead of \(8 \+ f, k\)"),
        (lambda s, p: (s * np.nan, p), "not finite"),
    ],
)
def test_numbers_that_break_a_promise_are_refused(change, message):
    tensors = tensors_of(_first(4), 4)
    assert not promises_broken(tensors["sliders"], tensors["layer"])
    sliders, layer = change(tensors["sliders"], tensors["layer"])
    with pytest.raises(WeightFileError, match=message):
        CriticalState({"sliders": sliders, "layer": layer})
    with pytest.raises(WeightFileError, match="no tensors of a critical-state cell"):
        CriticalState({"sliders": sliders})
