"""``separation_scale`` is what the contract of a law says: where the tougher of the two directions has softened."""

import numpy as np
import pytest

import femnn
from femnn.cohesive.xu_needleman import XuNeedleman

#: Strengths and toughnesses of opening and shear: either direction may be the tougher one, and any length may be.
MATERIALS = [(80e6, 100e6, 969.0, 1719.0), (1e6, 100e6, 969.0, 1719.0), (3.0, 2.0, 0.5, 40.0), (5.0, 5.0, 1e-4, 1e-5)]


def pulled(law, separation):
    """Tractions of pure opening and pure shear to a separation, from the virgin state."""
    moved = separation * np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.8]])
    traction = law.update(moved, law.initial_state(3)).traction
    return np.array([traction[0, 0], np.linalg.norm(traction[1, 1:]), np.linalg.norm(traction[2, 1:])])


@pytest.mark.parametrize("material", MATERIALS)
def test_the_bilinear_law_bears_nothing_from_its_scale_on_and_something_before(material):
    law = femnn.BilinearCohesive(*material)
    assert (pulled(law, 1.000001 * law.separation_scale) == 0.0).all()
    assert pulled(law, 0.999 * law.separation_scale).max() > 0.0
    lengths = 2.0 * np.array(material[2:]) / np.array(material[:2])
    assert law.separation_scale == pytest.approx(lengths.max())


@pytest.mark.parametrize("kind", [femnn.ExponentialCohesive, XuNeedleman])
@pytest.mark.parametrize("material", MATERIALS)
def test_laws_that_never_vanish_bear_a_hundredth_of_their_strength_at_their_scale(kind, material):
    law = kind(*material)
    normal, shear, _ = pulled(law, law.separation_scale) / np.array([material[0], material[1], material[1]])
    assert max(normal, shear) == pytest.approx(0.01, rel=1e-5)
