"""Poroelastic constants against known relations, and media that contradict themselves."""

import numpy as np
import pytest
from support.porous_problems import dual, single

from femnn.exceptions import ParameterError
from femnn.reservoir import ConsolidatingColumn, MandelSlab, PorousMedium


def test_undrained_constants_are_gassmanns():
    medium = single(young=14e9, porosity=0.19, fluid_bulk=3.3e9)
    grain, fluid, bulk, mu = 30e9, 3.3e9, medium.drained_bulk[0], medium.mu[0]
    exact = MandelSlab(medium, 1.0, 1.0, 1.0)
    # F. Gassmann (1951): K_u/(K_s − K_u) = K/(K_s − K) + K_f/(φ (K_s − K_f))
    ratio = bulk / (grain - bulk) + fluid / (0.19 * (grain - fluid))
    undrained = grain * ratio / (1.0 + ratio)
    assert exact.undrained_poisson == pytest.approx((3 * undrained - 2 * mu) / (2 * (3 * undrained + mu)))
    soft = 1.0 / bulk - 1.0 / grain
    assert exact.skempton == pytest.approx(soft / (soft + 0.19 * (1.0 / fluid - 1.0 / grain)))


def test_both_systems_together_are_the_single_medium():
    one, both = single().constants(3, 2), dual().constants(3, 2)
    np.testing.assert_allclose(both.biot.sum(axis=0), one.biot[0])
    np.testing.assert_allclose(both.storage.sum(axis=(0, 1)), one.storage[0, 0])
    assert (np.linalg.eigvalsh(both.storage[..., 0]) > 0.0).all()
    np.testing.assert_allclose(both.exchange, 1e-16 / 1e-3)
    np.testing.assert_allclose(both.mobility[1, :, :, 0], 1e-16 / 1e-3 * np.eye(2))


def test_biot_and_the_grains_say_the_same():
    bulk = single().drained_bulk[0]
    by_grains, by_biot = single(grain_bulk=30e9), single(grain_bulk=None, biot=1.0 - bulk / 30e9)
    for medium in (by_biot, single(biot=1.0 - bulk / 30e9)):
        np.testing.assert_allclose(medium.biot_coefficient, by_grains.biot_coefficient)
        np.testing.assert_allclose(medium.storage_coefficient, by_grains.storage_coefficient)
    rigid = single(grain_bulk=None)
    assert rigid.biot_coefficient == 1.0
    assert rigid.storage_coefficient == 0.2 / 2.2e9


def test_entries_may_differ_from_element_to_element():
    tensors = np.array([np.diag([1e-14, 1e-15]), np.diag([2e-14, 1e-15]), np.eye(2) * 1e-16])
    given = dual(young=[1e9, 2e9, 3e9], permeability=tensors, viscosity=[1e-3, 2e-3, 1e-3]).constants(3, 2)
    np.testing.assert_allclose(given.mu, np.array([1e9, 2e9, 3e9]) / 2.4)
    np.testing.assert_allclose(given.mobility[0, 0, 0], [1e-11, 1e-11, 1e-13])
    np.testing.assert_allclose(given.mobility[0, 1, 1], [1e-12, 0.5e-12, 1e-13])
    assert given.storage.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"young": 0.0}, "young is 0; it must be positive"),
        ({"young": [1e9, -1e9]}, r"young is -1e\+09 in element 1"),
        ({"young": np.inf}, "young is inf"),
        ({"poisson": 0.5}, "poisson is 0.5; it must be in"),
        ({"viscosity": 0.0}, "viscosity is 0"),
        ({"porosity": 1.0}, "porosity is 1"),
        ({"fluid_bulk": -1.0}, "fluid_bulk is -1"),
        ({"fluid_bulk": np.nan}, "fluid_bulk is nan"),
        ({"permeability": -1e-15}, "permeability is -1e-15; it must be zero or positive"),
        ({"permeability": [[1e-14, 0.0], [0.0, -1e-16]]}, "no negative eigenvalue"),
        ({"permeability": [[1e-14, 1e-15], [0.0, 1e-14]]}, "permeability tensor is symmetric"),
        ({"micro_permeability": np.nan}, "micro_permeability is nan"),
        ({"exchange": -1e-16}, "exchange is -1e-16"),
        ({"macro_fraction": 1.5}, r"macro_fraction \(psi\) is 1.5; it must be in \[0, 1\]"),
        ({"macro_fraction": [0.5, -0.1]}, "is -0.1 in element 1"),
        ({"grain_bulk": 0.5e9}, r"grains' bulk modulus is 5e\+08 Pa, but that of the drained skeleton .* 5.55556e\+08"),
        ({"grain_bulk": 30e9, "biot": 0.9}, "biot is 0.9, but the bulk moduli .* give 0.981481; give only one"),
        ({"grain_bulk": None, "biot": 1.1}, "biot is 1.1; it must be at most 1"),
        ({"grain_bulk": None, "biot": 0.15}, "Biot's coefficient is 0.15, not above the porosity 0.2"),
        ({"grain_bulk": 0.6e9}, "Biot's coefficient is 0.0740741, not above the porosity"),
        ({"young": "stiff"}, "young is no array of numbers"),
        ({"young": np.ones((2, 2))}, r"young has shape \(2, 2\)"),
    ],
)
def test_contradictions_are_refused(changed, message):
    with pytest.raises(ParameterError, match=message):
        dual(**changed)


def test_entries_that_do_not_fit_the_mesh_are_refused():
    with pytest.raises(ParameterError, match="young has 2 entries, the mesh 3 elements"):
        single(young=[1e9, 2e9]).constants(3, 2)
    with pytest.raises(ParameterError, match="permeability has 2 tensors, the mesh 3 elements"):
        single(permeability=np.tile(np.eye(2), (2, 1, 1))).constants(3, 2)
    with pytest.raises(ParameterError, match=r"shape \(2, 2\), the mesh has dimension 3"):
        single(permeability=np.eye(2)).constants(3, 3)


def test_closed_solutions_are_for_what_they_are_made_for():
    with pytest.raises(ParameterError, match="for uniform media"):
        ConsolidatingColumn(single(young=[1e9, 2e9]), 1.0, 1.0)
    with pytest.raises(ParameterError, match="one pore system"):
        MandelSlab(dual(), 1.0, 1.0, 1.0)


def test_values_of_unlike_numbers_of_elements_are_refused():
    with pytest.raises(ParameterError, match="values of young for 3, permeability for 2 elements"):
        PorousMedium(young=[1e9] * 3, poisson=0.2, permeability=[1e-14] * 2, porosity=0.2, fluid_bulk=2e9)
    with pytest.raises(ParameterError, match=r"grain_bulk has shape \(0,\)"):
        PorousMedium(young=1e9, poisson=0.2, permeability=1e-14, porosity=0.2, fluid_bulk=2e9, grain_bulk=[])
