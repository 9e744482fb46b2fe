"""Classical traction-separation laws against what is known about them, and the checks that all laws share."""

import numpy as np
import pytest
from support.cohesive_properties import (
    assert_dissipates,
    assert_rotates_with_shear,
    assert_state_is_kept,
    assert_tangent_is_consistent,
    assert_virgin_is_free,
    path_through,
)

import femnn
from femnn.cohesive.paths import KINDS, refined, respond, separation_paths
from femnn.cohesive.xu_needleman import XuNeedleman
from femnn.exceptions import ParameterError, StateError

# AS4/PEEK, Camanho & Davila (2002), Table 2
PEEK = (80e6, 100e6, 969.0, 1719.0)
LAWS = {
    "bilinear": femnn.BilinearCohesive(*PEEK),
    "bilinear, friction": femnn.BilinearCohesive(*PEEK, friction=0.5),
    "bilinear, soft contact": femnn.BilinearCohesive(*PEEK, stiffness=1e15, contact_stiffness=3e14, friction=0.3),
    "exponential": femnn.ExponentialCohesive(*PEEK),
    "exponential, friction": femnn.ExponentialCohesive(*PEEK, friction=0.5),
}
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def work(law, direction, reach=1.0, steps=8001):
    """Work of a straight path up to ``reach`` separation scales, J/m²."""
    distance = np.linspace(0.0, reach * law.separation_scale, steps)
    path = distance[:, None] * np.asarray(direction, dtype=float)
    tractions, _ = respond(law, path[None])
    power = (0.5 * (tractions[0, 1:] + tractions[0, :-1]) * np.diff(path, axis=0)).sum(axis=1)
    return power.sum(), tractions[0], path


@every_law
@pytest.mark.parametrize("kind", KINDS)
def test_tangents_match_differences(law, kind):
    assert_tangent_is_consistent(law, separation_paths(60, 40, law.separation_scale, kind, seed=3), 1e-7)


def test_the_reversible_law_has_consistent_tangents_too():
    law = XuNeedleman(*PEEK)
    assert_tangent_is_consistent(law, separation_paths(60, 20, law.separation_scale, "mixed", seed=3), 1e-7)


@every_law
def test_pure_modes_reach_strength_and_toughness(law):
    for direction, strength, toughness in (((1, 0, 0), PEEK[0], PEEK[2]), ((0, 0.6, 0.8), PEEK[1], PEEK[3])):
        energy, tractions, _ = work(law, direction, reach=4.0)
        assert energy == pytest.approx(toughness, rel=2e-4)
        assert np.linalg.norm(tractions, axis=1).max() == pytest.approx(strength, rel=1e-3)


@pytest.mark.parametrize("angle", [0.2, 0.6, 1.0, 1.4])
def test_bilinear_dissipates_the_toughness_of_benzeggagh_and_kenane(angle):
    law = LAWS["bilinear"]
    energy, tractions, _ = work(law, (np.cos(angle), np.sin(angle), 0.0), reach=2.0)
    share = np.sin(angle) ** 2  # of shear in the work: one stiffness for all directions
    assert energy == pytest.approx(PEEK[2] + (PEEK[3] - PEEK[2]) * share**2.284, rel=2e-4)
    criterion = (tractions[:, 0] / PEEK[0]) ** 2 + (tractions[:, 1] / PEEK[1]) ** 2
    assert criterion.max() == pytest.approx(1.0, rel=2e-3)


@pytest.mark.parametrize("angle", [0.2, 0.6, 1.0, 1.4])
def test_exponential_dissipates_along_the_linear_criterion(angle):
    law = LAWS["exponential"]
    _, tractions, path = work(law, (np.cos(angle), np.sin(angle), 0.0), reach=6.0)
    g = (0.5 * (tractions[1:] + tractions[:-1]) * np.diff(path, axis=0)).sum(axis=0)
    assert g[0] / PEEK[2] + g[1] / PEEK[3] == pytest.approx(1.0, rel=2e-4)


def test_equal_toughnesses_give_the_law_of_ortiz_and_pandolfi():
    law = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 969.0)
    beta, length = 100.0 / 80.0, 969.0 / (np.e * 80e6)
    separation = np.abs(separation_paths(200, 2, law.separation_scale, "mixed", seed=1)[:, 1])
    traction, _, _ = law.update(separation, law.initial_state(200))
    effective = np.sqrt(separation[:, 0] ** 2 + beta**2 * (separation[:, 1:] ** 2).sum(axis=1))
    scalar = np.e * 80e6 * effective / length * np.exp(-effective / length)
    expected = (scalar / effective)[:, None] * separation * [1.0, beta**2, beta**2]
    np.testing.assert_allclose(traction, expected, rtol=1e-10, atol=1e-3)


@every_law
def test_nothing_is_gained_on_any_path(law):
    assert_dissipates(law, separation_paths(1200, 60, law.separation_scale, "all", seed=11))


@every_law
def test_the_state_is_kept_and_points_are_independent(law):
    assert_state_is_kept(law, separation_paths(40, 30, law.separation_scale, "all", seed=5))


@every_law
def test_shear_directions_are_alike_and_the_virgin_interface_is_free(law):
    assert_rotates_with_shear(law, separation_paths(40, 30, law.separation_scale, "all", seed=6))
    assert_virgin_is_free(law)


def test_unloading_goes_to_the_origin_and_closing_is_a_penalty():
    law = LAWS["bilinear"]
    _, (t1, t2, t3) = path_through(law, [[2e-5, 0, 0], [1e-5, 0, 0], [-1e-7, 0, 0]])
    assert t2[0] == pytest.approx(t1[0] / 2)
    assert t3[0] == pytest.approx(-1e-7 * law.stiffness[2])


def test_a_broken_point_in_contact_slides_with_friction():
    law = LAWS["bilinear, friction"]
    far = 2 * law.separation_scale
    state, tractions = path_through(law, [[far, 0, 0], [-1e-7, 0, 0], [-1e-7, 1e-5, 0], [-1e-7, 1e-5, 1e-5], [0, 0, 0]])
    pressure = 1e-7 * law.stiffness[2]
    assert law.damage(state)[0] == 1.0
    assert tractions[2] == pytest.approx([-pressure, 0.5 * pressure, 0.0])
    assert np.hypot(*tractions[3][1:]) == pytest.approx(0.5 * pressure)
    assert tractions[4] == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


def test_nothing_heals_when_the_mode_changes():
    law = LAWS["bilinear"]
    paths = separation_paths(300, 40, law.separation_scale, "mixed", seed=9)
    state, before = law.initial_state(300), np.zeros(300)
    for step in range(40):
        state = law.update(paths[:, step], state).state
        assert (law.damage(state) >= before).all()
        before = law.damage(state)


def test_the_potential_of_xu_and_needleman_is_reversible_and_has_its_known_defect():
    law = XuNeedleman(*PEEK)
    for direction, toughness in (((1, 0, 0), PEEK[2]), ((0, 1, 0), PEEK[3])):
        assert work(law, direction, reach=4.0)[0] == pytest.approx(toughness, rel=1e-3)
    # normal traction is left after complete shear unless phi_t = phi_n
    sheared = law.update([[law.normal_length, 50 * law.shear_length, 0.0]], law.initial_state(1)).traction[0, 0]
    assert sheared == pytest.approx(PEEK[0] * (1 - PEEK[3] / PEEK[2]), rel=1e-6)


# --- paths


@pytest.mark.parametrize("kind", KINDS)
def test_paths_are_seeded_bounded_and_start_at_zero(kind):
    paths = separation_paths(200, 50, 2e-5, kind, seed=4)
    assert paths.shape == (200, 50, 3)
    np.testing.assert_array_equal(paths, separation_paths(200, 50, 2e-5, kind, seed=4))
    assert not np.array_equal(paths, separation_paths(200, 50, 2e-5, kind, seed=5))
    assert np.abs(paths[:, 0]).max() == 0.0
    assert paths[..., 0].min() >= -0.02 * 2e-5
    assert 0.5 * 2e-5 < np.abs(paths).max() <= 1.35 * 2e-5
    lengths = np.linalg.norm(np.diff(paths, axis=1), axis=2)
    assert np.quantile(lengths, 0.9) > 5 * np.quantile(lengths[lengths > 0], 0.1)


def test_paths_of_all_kinds_unload_and_close():
    for kind in ("cyclic", "mixed", "random"):
        opening = separation_paths(300, 60, 1.0, kind, seed=2)[..., 0]
        assert (opening < 0).any(axis=1).mean() > 0.2, kind
        assert (np.diff(opening, axis=1) < 0).any(axis=1).mean() > 0.5, kind


def test_refined_paths_run_through_the_same_points():
    paths = separation_paths(20, 15, 1e-5, "random", seed=1)
    fine = refined(paths, 10)
    assert fine.shape == (20, 141, 3)
    np.testing.assert_allclose(fine[:, ::10], paths, rtol=0, atol=1e-20)
    np.testing.assert_allclose(fine[:, 5::10], (paths[:, 1:] + paths[:, :-1]) / 2, rtol=1e-12, atol=1e-20)


def test_steps_that_do_not_unload_may_be_of_any_length():
    law = LAWS["bilinear, friction"]
    paths = separation_paths(100, 20, law.separation_scale, "monotonic", seed=1)
    coarse, fine = respond(law, paths)[0], respond(law, refined(paths, 10))[0]
    np.testing.assert_allclose(fine[:, ::10], coarse, rtol=1e-9, atol=1.0)


# --- bad input


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"normal_strength": -1.0}, "normal_strength=-1.0"),
        ({"shear_toughness": np.nan}, "shear_toughness=nan"),
        ({"stiffness": 1e12}, "too low"),
        ({"exponent": 0.5}, "at least 1"),
        ({"friction": -0.1}, "friction=-0.1"),
        ({"contact_stiffness": 0.0}, "contact_stiffness=0.0"),
    ],
)
def test_impossible_parameters_are_refused(keywords, message):
    names = ("normal_strength", "shear_strength", "normal_toughness", "shear_toughness")
    with pytest.raises(ParameterError, match=message):
        femnn.BilinearCohesive(**{**dict(zip(names, PEEK, strict=True)), **keywords})


def test_wrong_separations_and_states_are_refused():
    law = LAWS["bilinear"]
    state = law.initial_state(2)
    with pytest.raises(ParameterError, match=r"point 1 is .*nan"):
        law.update([[0, 0, 0], [0, np.nan, 0]], state)
    with pytest.raises(ParameterError, match=r"shape \(2, 2\)"):
        law.update(np.zeros((2, 2)), state)
    with pytest.raises(StateError, match="3 separations, but a state of 2"):
        law.update(np.zeros((3, 3)), state)
    with pytest.raises(StateError, match="belongs to BilinearCohesive"):
        LAWS["exponential"].update(np.zeros((2, 3)), state)
    with pytest.raises(StateError, match="initial_state"):
        law.update(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ParameterError, match="number of points=-1 is not allowed"):
        law.initial_state(-1)


@pytest.mark.parametrize(
    "keywords", [{"n": 0}, {"steps": 1}, {"scale": 0.0}, {"kind": "spiral"}, {"closing": -1.0}, {"seed": -1}]
)
def test_impossible_paths_are_refused(keywords):
    with pytest.raises(ParameterError, match=next(iter(keywords))):
        separation_paths(**{"n": 3, "steps": 5, "scale": 1.0, **keywords})


@pytest.mark.parametrize("kind", [femnn.BilinearCohesive, femnn.ExponentialCohesive])
def test_damage_waits_where_it_would_give_energy(kind):
    # slid to one side, then pressed hard and dragged to the other: the stuck part bears more than the intact one, so
    # that damage would set energy free, though the separation alone asks for more of it
    law = kind(80e6, 100e6, 969.0, 1719.0, friction=0.5)
    there, back = 0.1 * law.separation_scale, -0.11 * law.separation_scale
    slid = law.update([[0.0, there, 0.0]], law.initial_state(1)).state
    _, shear, contact, friction = law.stiffness
    pressed = -1.1 * (there - back) * shear / (friction * contact)
    dragged = law.update([[pressed, back, 0.0]], slid)
    assert 0.0 < law.damage(slid)[0] < 1.0
    alone = law.update([[0.0, back, 0.0]], law.initial_state(1)).state
    assert law.damage(alone)[0] > law.damage(slid)[0]
    assert law.damage(dragged.state)[0] == law.damage(slid)[0]
    # it grows again where nothing is stuck
    freed = law.update([[0.0, back, 0.0]], dragged.state).state
    assert law.damage(freed)[0] == pytest.approx(law.damage(alone)[0])
