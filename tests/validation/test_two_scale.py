"""A study of two scales goes on with what is in its folder, and with nothing else."""

import dataclasses

import numpy as np

from femnn.multiscale.fe2 import Composite
from femnn.validation import Sizes, TwoScales


def test_reduced_cell_and_plate_are_kept(tmp_path):
    composite, sizes = Composite(cells=3), Sizes(training=2, steps=8, modes=8, tol=1e-2)
    first, again = (TwoScales(composite, sizes, tmp_path, progress=False) for _ in range(2))
    law = first.reduced()
    np.testing.assert_array_equal(again.reduced().modes, law.modes)
    assert "reduced" in first.seconds
    assert "reduced" not in again.seconds
    # other sizes, and other paths, make another one
    for change in ({"modes": 6}, {"amplitude": 0.02}):
        other = TwoScales(composite, dataclasses.replace(sizes, **change), tmp_path, progress=False)
        assert not np.array_equal(other.reduced().modes, law.modes)
        assert "reduced" in other.seconds

    plate, kept = first.plate(1), again.plate(1)
    assert plate[2] == kept[2] > 0.0
    for found, expected in zip(kept[:2], plate[:2], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (np.diff(plate[1]) > 0.0).all()
