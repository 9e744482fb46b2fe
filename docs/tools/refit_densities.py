"""Fit the densities of the training cells in the shipped weights of CorrectedGauss anew; their networks stay.

Run it after ``femnn/networks/trained_density.py`` was changed: ``python docs/tools/refit_densities.py --out runs``. The
cells of the training are drawn again from its recipe, and are the same: their bounds must be
those in the file, but for round-off. The
figures of the card are measured anew, because the density decides which elements are corrected. The labels of the
elements that report are kept in the folder, where ``femnn train weights`` finds them too.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

from femnn.geometry.coordinates import invariant_coordinates
from femnn.geometry.sampling import distorted_hexahedra
from femnn.geometry.symmetry import canonical_pose
from femnn.io.guarded import CARD_HASH
from femnn.io.weight_files import install
from femnn.networks.element_data import make_dataset
from femnn.networks.features import features_named
from femnn.networks.model_card import save_tested
from femnn.networks.trained_density import TrainedDensity
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import load_networks, save_networks
from femnn.quadrature.corrected.rule import KIND, PATCH_KIND, CorrectedGauss
from femnn.quadrature.corrected.train import WEIGHTS_RECIPE, split, weights_test
from femnn.quadrature.corrected.train_patch import PATCH_RECIPE, patch_test

# What is written anew with every file.
_OWN = ("format", "version", "architectures", "sha256", "femnn", CARD_HASH)


def main(folder):
    """Refit both files in ``folder``, and install them."""
    path = folder / KIND
    labelled = make_dataset(path.with_name(f"{KIND}-data.safetensors"), WEIGHTS_RECIPE)
    training, _, held_out = split(labelled)
    described = features_named("invariant")(training.hexahedra)[0]
    refit(path, KIND, described, partial(weights_test, held_out=held_out))

    described = invariant_coordinates(canonical_pose(PATCH_RECIPE.hexahedra())[0])

    def test(untested):
        card = load_networks(untested).card["data"]
        unseen = distorted_hexahedra(card["test"], (0.05, 0.35), card["test_seed"])
        return patch_test(CorrectedGauss(3, patch=True, weights=untested), unseen)

    refit(folder / PATCH_KIND, PATCH_KIND, described, test)


def refit(path, name, described, test):
    """Write the shipped weights ``name`` with a density of the features ``described`` (n, k) to ``path``; install."""
    weights = load_networks(name)
    bounds = TrainedRange.of(described).tensors()
    for bound, values in bounds.items():
        if not np.allclose(values, weights.tensors[bound], rtol=0.0, atol=1e-12):
            sys.exit(f"{bound} of {name} is not that of the cells of its recipe; train it again with femnn train")
    kept = {tensor: values for tensor, values in weights.tensors.items() if not tensor.startswith("density.")}
    card = {field: value for field, value in weights.card.items() if field not in _OWN}
    tensors = kept | TrainedDensity.of(described).tensors()
    save = partial(save_networks, networks=weights.networks, tensors=tensors)
    saved, figures = save_tested(path, card, save, test)
    print(name, figures)
    install(saved, name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of data set and weight files")
    main(parser.parse_args().out)
