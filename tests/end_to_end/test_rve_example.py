"""The example from a cell to its law, with small settings: a law of a layer, a cell of it, a law of the cell."""

from dataclasses import replace

import numpy as np
import pytest
from support.example_files import example
from support.precompressed_layer import layer_paths, layer_tractions

from femnn.cohesive.training import fit_precompressed_law, path_data
from femnn.cohesive.training.fit_precompressed import OPTIONS
from femnn.exceptions import ParameterError
from femnn.multiscale.rve import FaultCell, PathDataSet, law_named

SMALL = {"states": 6, "arrows": 3, "width": 12}


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    """Weight file of a law of a layer, trained for seconds on a small model of one."""
    paths = layer_paths(80, 30, seed=3)
    data = path_data(paths, layer_tractions(paths))
    file = tmp_path_factory.mktemp("layer") / "cohesive-layer"
    options = replace(OPTIONS["isotropic"], epochs=12)
    fit_precompressed_law(file, "isotropic", data[:70], data[70:], {}, options, progress=False, **SMALL)
    return str(file.with_suffix(".safetensors"))


def test_the_example_goes_from_a_cell_to_its_law(layer, tmp_path):
    module = example("rve_to_law")
    cell = FaultCell.around(law_named(layer), count=2, rows=1, refine=1)
    figures = module.main(
        layer, cell=cell, paths=10, unseen=3, points=12, epochs=4, workers=0, out=tmp_path, progress=False
    )
    assert figures["traction"] < 1.0
    assert figures["times faster"] > 1.0
    for name in ("rve-to-law-cell.png", "rve-to-law.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    assert (tmp_path / "rve-to-law-cracks-0011.vtu").exists()
    learned, unseen = (PathDataSet.load(tmp_path / folder / "rve-paths.npz") for folder in ("rve", "rve-unseen"))
    # a law that has hardly been trained may leave a cell without equilibrium
    assert len(learned) >= 8
    assert len(unseen) >= 2
    assert max(learned.hill_mandel.max(), unseen.hill_mandel.max()) < 1e-8
    # with the law that is there now nothing is trained
    again = module.main(
        layer, second=tmp_path / "cohesive-rve.safetensors", cell=cell, unseen=3, points=12, workers=0, out=tmp_path,
        progress=False,
    )  # fmt: skip
    assert again["traction"] == figures["traction"]
    np.testing.assert_array_equal(module.UNSEEN_SEED, unseen.about["paths"]["seed"])


def test_the_example_in_space_shears_its_cell_both_ways(tmp_path):
    figures = example("cracked_zone").main("classical-default", points=9, out=tmp_path, progress=False)
    assert (tmp_path / "cracked_zone.png").stat().st_size > 10_000
    assert (tmp_path / "cracked-zone-cracks-0008.vtu").exists()
    ratio = figures["ratio"]
    # first along x alone, then along y
    np.testing.assert_allclose(ratio[:5, 1], 0.0, atol=1e-6)
    assert ratio[-1, 1] > 0.1
    assert figures["hill_mandel"].max() < 1e-8
    across, *along = figures["permeability"].T
    assert (np.array(along) > across).all()


@pytest.mark.parametrize("numbers", [{"paths": 2}, {"unseen": 0}, {"points": 1}])
def test_too_few_paths_are_refused_before_anything_is_simulated(numbers, tmp_path):
    with pytest.raises(ParameterError, match="are too few: at least 3 paths to learn"):
        example("rve_to_law").main("no such law", out=tmp_path, **numbers)
    assert list(tmp_path.iterdir()) == []
