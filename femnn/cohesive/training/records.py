"""Files of responses along paths, as particle models and RVEs leave them: one row a path, no pickle."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from femnn.cohesive.training.precompressed_data import path_data
from femnn.exceptions import DatasetError

_OPTIONAL = ("porosity", "coordination", "fabric")


@dataclass(frozen=True)
class PathRecords:
    """Responses of one or several samples.

    Attributes
    ----------
    separation, traction : (n, k, 3)
        Dimensionless: see :func:`femnn.cohesive.training.precompressed_data.path_data`.
    seed : (n,)
        Of the sample.
    path : (n,)
        Number of the commanded path: the same number in other samples is the same command.
    porosity, coordination : (n, k) or None
    fabric : (n, k, 3, 3) or None
    about : dict
        Where they come from.
    """

    separation: np.ndarray
    traction: np.ndarray
    seed: np.ndarray
    path: np.ndarray
    porosity: np.ndarray | None = None
    coordination: np.ndarray | None = None
    fabric: np.ndarray | None = None
    about: dict = field(default_factory=dict)

    @classmethod
    def of(cls, records):
        """From any object that has these attributes, such as what reads the shipped data set."""
        optional = {name: getattr(records, name, None) for name in _OPTIONAL}
        about = getattr(records, "about", {})
        return cls(records.separation, records.traction, records.seed, records.path, **optional, about=about)

    @classmethod
    def load(cls, file):
        """From a file of NumPy (``.npz``), and its card (``.json``) if there is one.

        ``seed`` and ``path`` may be missing, then every row is a path by itself.

        Raises
        ------
        DatasetError
            If it cannot be read or lacks separations or tractions.
        """
        file = Path(file)
        try:
            with np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise DatasetError(f"{file} cannot be read as arrays of NumPy: {error}; make it again") from error
        missing = [name for name in ("separation", "traction") if name not in arrays]
        if missing:
            raise DatasetError(f"{file} has no {missing[0]}; it has {', '.join(arrays) or 'nothing'}")
        n = len(arrays["separation"])
        seed, path = arrays.get("seed", np.zeros(n, int)), arrays.get("path", np.arange(n))
        optional = {name: arrays.get(name) for name in _OPTIONAL}
        card = file.with_suffix(".json")
        try:
            about = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {"file": file.name}
        except (OSError, ValueError) as error:
            raise DatasetError(f"the card {card} cannot be read: {error}; make it again, or remove it") from error
        return cls(arrays["separation"], arrays["traction"], seed, path, **optional, about=about)

    def __len__(self):
        return len(self.separation)

    @property
    def fixed(self):
        """Seed of the sample that most paths were run on."""
        seeds, counts = np.unique(self.seed, return_counts=True)
        return seeds[counts.argmax()]

    def data(self, rows):
        """Some of the paths as training data."""
        optional = {name: getattr(self, name) for name in _OPTIONAL}
        optional = {name: values if values is None else values[rows] for name, values in optional.items()}
        return path_data(self.separation[rows], self.traction[rows], **optional, about=self.about)

    def repeated(self):
        """Rows of each commanded path that was run on several samples, a list of arrays."""
        rows = [np.flatnonzero(self.path == number) for number in np.unique(self.path)]
        return [each for each in rows if len(np.unique(self.seed[each])) > 1]
