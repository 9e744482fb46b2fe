"""What a cell says about itself after a step is what the step gave, whatever the shape of the cell."""

import numpy as np
import pytest

import femnn
from femnn.multiscale.rve import RVE, block_network, parallel_cracks

LAW = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0, friction=0.5)


@pytest.mark.parametrize("pattern", [parallel_cracks, block_network])
def test_the_traction_of_a_state_is_that_of_the_step_to_it(pattern):
    # twice as wide as high: forces are per width
    rve = RVE(pattern(2e-2, 1e-2), LAW, 300e9)
    state = rve.initial_state()
    for share in (0.02, 0.05):
        response = rve.update(share * LAW.separation_scale * np.array([1.0, 0.6]), state)
        state = response.state
        np.testing.assert_allclose(rve.traction(state), response.traction, rtol=1e-9)
