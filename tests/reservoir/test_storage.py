"""Storage of two pore systems, entry by entry: fluid stays in its system, grains are squeezed by both."""

import numpy as np
from support.porous_problems import dual


def test_grains_couple_the_pressures_of_both_systems():
    medium = dual()
    psi = np.array([medium.macro_fraction[0], 1.0 - medium.macro_fraction[0]])
    fluid = medium.porosity[0] / medium.fluid_bulk[0]
    grains = (medium.biot_coefficient[0] - medium.porosity[0]) / medium.grain_bulk[0]
    assert grains > 0.01 * fluid
    expected = np.diag(psi) * fluid + np.outer(psi, psi) * grains
    np.testing.assert_allclose(medium.constants(1, 2).storage[..., 0], expected, rtol=1e-12)
    # equal pressures store in each system its share of what the single medium stores
    single = medium.constants(1, 2).storage[..., 0] @ np.ones(2)
    np.testing.assert_allclose(single, psi * (fluid + grains), rtol=1e-12)
