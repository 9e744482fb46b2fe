"""Of what a fault opens, each pore system fills its share of Biot's coefficient."""

import numpy as np
from support.fault_problems import reservoir
from support.porous_problems import dual


def test_systems_share_what_opens_as_they_share_biots_coefficient():
    problem = reservoir(medium=dual(macro_fraction=0.3))
    points = problem.points
    before = np.zeros((points.points, 7))
    strains = before.copy()
    strains[:, 0] = np.linspace(1e-4, 2e-3, points.points)
    opened = points.opened(strains, before)
    np.testing.assert_allclose(opened.sum(axis=0), strains[:, 0], rtol=1e-12)
    np.testing.assert_allclose(opened[0], 0.3 * strains[:, 0], rtol=1e-12)
    # closing again gives it back
    np.testing.assert_allclose(points.opened(before, strains), -opened, rtol=1e-12)
