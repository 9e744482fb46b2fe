"""Tools for networks: perceptrons, features of elements, data sets, training, weight files; no particular network.

A trained network is a :class:`Perceptron`, which NumPy evaluates; :func:`load_networks` reads it from a weight file.
:class:`TrainedRange` and :class:`TrainedDensity` say which inputs it may be asked about. Training needs torch and is
imported from its modules, :mod:`femnn.networks.training`, :mod:`femnn.networks.torch_perceptron` and
:mod:`femnn.networks.torch_line_search`, the optimizers that torch lacks.

>>> from femnn.networks import load_networks
>>> load_networks("quadrature-weights").networks["regressor"]
Perceptron(18-50-50-50-50-50-8 sigmoid, 11558 parameters)
"""

from femnn.networks.element_data import Dataset, Recipe, load_dataset, make_dataset
from femnn.networks.features import Features, features_named, features_of
from femnn.networks.options import History, TrainingOptions
from femnn.networks.perceptron import Architecture, Perceptron, standardisation
from femnn.networks.trained_density import TrainedDensity
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import Networks, load_networks, save_networks

__all__ = [
    "Architecture",
    "Dataset",
    "Features",
    "History",
    "Networks",
    "Perceptron",
    "Recipe",
    "TrainedDensity",
    "TrainedRange",
    "TrainingOptions",
    "features_named",
    "features_of",
    "load_dataset",
    "load_networks",
    "make_dataset",
    "save_networks",
    "standardisation",
]
