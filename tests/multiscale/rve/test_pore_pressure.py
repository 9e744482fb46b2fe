"""Pore pressure in blocks and cracks of a cell: hand calculations, effective stress, Hill and Mandel."""

import numpy as np
import pytest

import femnn
from femnn.exceptions import ParameterError
from femnn.multiscale.rve import RVE, ReducedRVE, Spring, block_network, follow, joint_sets, parallel_cracks

# normal and shear stiffness of faces that are pressed, Pa/m
FACES = 1e13
STIFF = femnn.ContactCohesive(FACES, friction=0.5)
GLUE = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0, friction=0.5)
SIZE, YOUNG, POISSON, BIOT = 1e-2, 300e9, 0.25, 0.6
# of a block that is held sideways
CONSTRAINED = YOUNG * (1.0 - POISSON) / ((1.0 + POISSON) * (1.0 - 2.0 * POISSON))


def test_a_pressed_crack_and_its_porous_blocks_open_as_a_hand_calculation_says():
    load, pressure = 20e6, 7e6
    cell = RVE(parallel_cracks(SIZE, SIZE), STIFF, YOUNG, POISSON, biot=BIOT)
    start = cell.update([0.0, 0.0], cell.initial_state(), Spring(-load)).state
    response = cell.update([0.0, 0.0], start, Spring(-load), pressure=pressure)
    # the faces bear the load less the pressure, the blocks are strained by Biot's effective stress
    assert response.traction[0] == pytest.approx(pressure - load, rel=1e-9)
    crack, blocks = (pressure - load) / FACES, SIZE * (BIOT * pressure - load) / CONSTRAINED
    assert cell.crack_separation(response.state)[0] == pytest.approx(crack, rel=1e-9)
    assert response.state.separation[0] == pytest.approx(crack + blocks, rel=1e-9)
    # mean stresses are effective: -load upwards, what Poisson's ratio makes of the strain sideways
    vertical, sideways = cell.stress(response.state)[:, 1], cell.stress(response.state)[:, 0]
    np.testing.assert_allclose(vertical, pressure - load, rtol=1e-9)
    ratio = POISSON / (1.0 - POISSON)
    np.testing.assert_allclose(sideways, ratio * (BIOT * pressure - load) + (1.0 - BIOT) * pressure, rtol=1e-9)


def test_under_a_held_opening_pressure_moves_load_from_the_faces_to_the_water():
    pressure, shut = 7e6, -1e-6
    cell = RVE(parallel_cracks(SIZE, SIZE), STIFF, YOUNG, POISSON, biot=BIOT)
    response = cell.update([shut, 0.0], cell.initial_state(), pressure=pressure)
    # springs one behind the other: t' = k crack = M (shut - crack)/h + (1 - biot) p
    series = 1.0 / (1.0 / FACES + SIZE / CONSTRAINED)
    wanted = series * (shut + (1.0 - BIOT) * pressure * SIZE / CONSTRAINED)
    assert response.traction[0] == pytest.approx(wanted, rel=1e-9)


def test_a_fault_slips_at_the_pressure_that_coulomb_says():
    load, shear = 20e6, 4e6
    cell = RVE(parallel_cracks(SIZE, SIZE), STIFF, YOUNG, POISSON, biot=BIOT)
    state = cell.update([0.0, 0.0], cell.initial_state(), Spring(-load)).state
    # sheared until the faces bear 4 MPa, then filled
    modulus = YOUNG / (2.0 * (1.0 + POISSON))
    reach = shear * (SIZE / modulus + 1.0 / FACES)
    state = cell.update([0.0, reach], state, Spring(-load)).state
    assert cell.traction(state)[1] == pytest.approx(shear, rel=1e-6)
    limit = load - shear / 0.5
    below, above = (cell.update([0.0, reach], state, Spring(-load), pressure=p) for p in (0.99 * limit, 1.01 * limit))
    assert below.traction[1] == pytest.approx(shear, rel=1e-6)
    assert above.traction[1] == pytest.approx(0.5 * (load - 1.01 * limit), rel=1e-6)


@pytest.mark.parametrize("driving", ["periodic", "affine"])
def test_with_incompressible_grains_only_effective_stress_counts(driving):
    cell = RVE(block_network(SIZE, SIZE), GLUE, YOUNG, driving=driving)
    path = np.column_stack([np.linspace(0.0, 4e-6, 6), np.linspace(0.0, 8e-6, 6)])
    dry, wet = (follow(cell, path, pressures=own) for own in (None, np.linspace(0.0, 30e6, 6)))
    np.testing.assert_allclose(wet.traction, dry.traction, rtol=1e-12)
    assert wet.state.pressure == 30e6


def test_hill_and_mandel_hold_with_pores():
    cell = RVE(block_network(SIZE, SIZE, seed=2), GLUE, YOUNG, biot=BIOT)
    shear = np.linspace(0.0, 1.5e-5, 12)
    springs = [None] + 11 * [Spring(-30e6)]
    response = follow(cell, np.column_stack([0.0 * shear, shear]), springs, pressures=np.linspace(0.0, 20e6, 12))
    assert response.hill_mandel.max() < 1e-8
    assert response.hill_mandel_tangent.max() < 1e-8
    np.testing.assert_allclose(response.traction[1:, 0], np.linspace(0.0, 20e6, 12)[1:] - 30e6, rtol=1e-9)


def test_states_keep_their_pressure_and_bad_ones_are_refused():
    cell = RVE(parallel_cracks(SIZE, SIZE, columns=3, rows=2), GLUE, YOUNG, biot=BIOT)
    state = cell.update([1e-6, 0.0], cell.initial_state(), pressure=3e6).state
    again = cell.unpack(cell.pack(state))
    assert again.pressure == 3e6
    np.testing.assert_array_equal(cell.traction(again), cell.traction(state))
    assert "biot=0.6" in cell.name
    assert "biot" not in RVE(cell.cell, GLUE, YOUNG).name
    with pytest.raises(ParameterError, match="biot"):
        RVE(cell.cell, GLUE, YOUNG, biot=1.5)
    with pytest.raises(ParameterError, match="pressure"):
        cell.update([1e-6, 0.0], cell.initial_state(), pressure=np.nan)
    with pytest.raises(ParameterError, match="pressures"):
        follow(cell, np.zeros((3, 2)), pressures=[0.0, 1.0])


def test_blocks_in_space_that_are_filled_swell():
    stiff = femnn.ContactCohesive(FACES, friction=0.5)
    whole = block_network(SIZE, SIZE, depth=SIZE, slices=2, count=2, rows=1, angle=90.0, refine=1, jitter=0.0)
    cell = RVE(whole, stiff, YOUNG, POISSON, biot=BIOT)
    load, pressure = 20e6, 7e6
    pressed = cell.update([0.0, 0.0, 0.0], cell.initial_state(), Spring(-load), pressure=pressure)
    assert pressed.traction[0] == pytest.approx(pressure - load, rel=1e-8)
    dry = cell.update([0.0, 0.0, 0.0], cell.initial_state(), Spring(pressure - load))
    # blocks feel the share 1 - b of the pressure as a tension of their own
    assert pressed.state.separation[0] < dry.state.separation[0]


def test_a_volume_under_pressure_strains_as_its_faces_and_blocks_do():
    spacing, load, pressure = 0.01, 20e6, 7e6
    cell = RVE(joint_sets([[1.0, 0.0], [0.0, 1.0]], spacing), STIFF, YOUNG, POISSON, biot=BIOT)
    springs = [Spring(-load), Spring(-load), Spring(0.0)]
    response = cell.update(np.zeros(3), cell.initial_state(), springs, pressure=pressure)
    np.testing.assert_allclose(response.traction, [pressure - load, pressure - load, 0.0], atol=1e-3)
    # plane strain: what both directions of a block are strained by Biot's effective stress, and what faces give
    block = (BIOT * pressure - load) * (1.0 + POISSON) * (1.0 - 2.0 * POISSON) / YOUNG
    wanted = block + (pressure - load) / (FACES * spacing)
    np.testing.assert_allclose(response.state.separation[:2], wanted, rtol=1e-7)


def test_a_reduced_cell_bears_pressures_as_the_whole_one():
    full = RVE(block_network(SIZE, SIZE), GLUE, YOUNG, biot=BIOT)
    path = np.linspace(0.0, 4e-6, 10)[:, None] * np.array([1.0, 0.5])
    reduced, pressures = ReducedRVE.fit(full, [path], modes=6, progress=False), np.linspace(0.0, 5e6, 10)
    found, wanted = (follow(cell, path, pressures=pressures).traction for cell in (reduced, full))
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()
