"""The gaps of Hill and Mandel that a path publishes are measured: works and tangents that differ show in them."""

import numpy as np
import pytest

import femnn
from femnn.multiscale.rve import RVE, follow, parallel_cracks

LAW = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0, friction=0.5)
PATH = LAW.separation_scale * np.array([[0.02, 0.01], [0.05, 0.04], [0.09, 0.05]])


class WrongInside(RVE):
    """A cell whose stresses and tractions do more work than its homogenised traction, and whose stiffness is larger."""

    more = 0.0

    def inner_work(self, response, step):
        return (1.0 + self.more) * super().inner_work(response, step)

    def inner_tangent(self, response):
        return (1.0 + self.more) * super().inner_tangent(response)


@pytest.mark.parametrize("more", [1e-3, 1e-2])
def test_gaps_of_a_path_are_those_between_inside_and_outside(more):
    cell = WrongInside(parallel_cracks(1e-2, 1e-2), LAW, 300e9)
    assert follow(cell, PATH).hill_mandel.max() < 1e-8
    cell.more = more
    response = follow(cell, PATH)
    steps = np.diff(np.vstack([np.zeros(2), response.separation]), axis=0)
    size = np.maximum.accumulate(np.linalg.norm(response.traction, axis=1)) * np.linalg.norm(steps, axis=1)
    work = (response.traction * steps).sum(axis=1)
    np.testing.assert_allclose(response.work, work, rtol=1e-12)
    np.testing.assert_allclose(response.hill_mandel, more * np.abs(work) / size, rtol=1e-4)
    largest = np.abs(response.tangent).max(axis=(1, 2))
    stiffest = np.maximum.accumulate(largest)
    np.testing.assert_allclose(response.hill_mandel_tangent, more * largest / stiffest, rtol=1e-4)
