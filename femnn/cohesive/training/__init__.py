"""Training of recurrent laws with torch: from a classical law, or from responses of grains or of a cell.

:func:`fit_law` learns any :class:`PathData`, which :func:`read_paths` takes from files; :func:`fit_precompressed_law`
learns layers that start under pressure, whose responses come in data sets of paths, through :func:`layer_data`.
"""

from femnn.cohesive.training.data import PathData, accuracy, responses, unseen
from femnn.cohesive.training.fit import fit_law, options_for
from femnn.cohesive.training.fit_critical_state import fit_critical_state_law, structure_errors
from femnn.cohesive.training.fit_precompressed import fit_precompressed_law
from femnn.cohesive.training.measured import read_paths, split
from femnn.cohesive.training.precompressed_data import layer_data, path_data, rms_errors, scatter, targets

__all__ = [
    "PathData", "accuracy", "fit_critical_state_law", "fit_law", "fit_precompressed_law", "layer_data", "options_for",
    "path_data", "read_paths", "responses", "rms_errors", "scatter", "split", "structure_errors", "targets", "unseen",
]  # fmt: skip
