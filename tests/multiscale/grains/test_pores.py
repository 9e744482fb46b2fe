"""Networks of pores of packings: a known permeability, the image, and what is refused."""

import sys

import numpy as np
import pytest

from femnn.exceptions import MissingExtraError, ParameterError
from femnn.multiscale.grains import network_permeability
from femnn.multiscale.grains.pores import _image


def cubic(n=4):
    """Spheres of diameter 1 that touch, in a simple cubic lattice."""
    place = np.stack(np.meshgrid(*3 * [np.arange(n) + 0.5], indexing="ij"), axis=-1).reshape(-1, 3)
    free = (place[:, 2] > 1.0) & (place[:, 2] < n - 1.0)
    return {"place": place, "radius": np.full(len(place), 0.5), "free": free, "width": float(n)}


def test_the_image_leaves_what_spheres_leave():
    void = _image(cubic()["place"], np.full(64, 0.5), 4.0, 0.0, 4.0, 1.0 / 24.0)
    assert void.shape == (96, 96, 96)
    assert void.mean() == pytest.approx(1.0 - np.pi / 6.0, abs=4e-3)
    # across the border of the period as inside
    moved = _image(cubic()["place"] + [0.3, 0.0, 0.0], np.full(64, 0.5), 4.0, 0.0, 4.0, 1.0 / 24.0)
    assert moved.mean() == pytest.approx(void.mean(), abs=4e-3)


def test_a_cubic_packing_conducts_as_a_solution_of_stokes_flow():
    pytest.importorskip("openpnm")
    pytest.importorskip("porespy")
    found = network_permeability(cubic(), resolution=16)
    # k = 2 a²/(9 c K) with the drag K = 42.14 at c = π/6: A. A. Zick, G. M. Homsy, J. Fluid Mech. 115 (1982) 13-26
    exact = 2.0 * 0.25 / (9.0 * np.pi / 6.0 * 42.14)
    np.testing.assert_allclose(found["permeability"][1:], exact, rtol=0.2)
    assert found["permeability"][1] == pytest.approx(found["permeability"][2], rel=0.02)
    assert found["kozeny_carman"] == pytest.approx(exact, rel=0.25)


def test_packings_that_cannot_be_are_refused():
    grains = cubic()
    with pytest.raises(ParameterError, match=r"place has shape \(4,\)"):
        network_permeability(grains | {"place": np.zeros(4)})
    with pytest.raises(ParameterError, match="1 of 64 grains are free"):
        network_permeability(grains | {"free": np.arange(64) == 0})
    with pytest.raises(ParameterError, match="width"):
        network_permeability(grains | {"width": -1.0})
    with pytest.raises(ParameterError, match="grains have no 'radius'"):
        network_permeability({"place": grains["place"]})
    with pytest.raises(ParameterError, match="grains"):
        network_permeability(None)
    with pytest.raises(ParameterError, match="resolution"):
        network_permeability(grains, resolution=1.0)
    wide = grains | {"place": 20.0 * grains["place"], "width": 80.0}
    with pytest.raises(ParameterError, match="lower the resolution"):
        network_permeability(wide, resolution=64)


def test_without_the_libraries_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openpnm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'femnn\[pores\]'"):
        network_permeability(cubic(), resolution=6)
