"""Responses of layers of grains along many paths as one data set: an npz file and its card, and the shipped one."""

import hashlib
import json
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from femnn.exceptions import DatasetError
from femnn.io.atomic import atomic_write
from femnn.multiscale.grains.measures import mismatch

#: The data set that comes with femnn.
SHIPPED = Path(__file__).resolve().parents[2] / "data" / "grain-paths.npz"

_FORMAT = "femnn grain paths 1"


@dataclass(frozen=True, eq=False)
class GrainPaths:
    """What layers of grains did: n rows, each a sample that was driven along a path of k points.

    Units: mean grain diameter d, confining pressure p0. Components: normal, first shear, second shear; tractions are
    positive in tension, and every path starts near (-1, 0, 0). All quantities of a point are means over the same last
    part of its increment.

    Attributes
    ----------
    separation, traction, love_weber : (n, k, 3)
        Of the top slab against the bottom; by the forces on the slabs; by the contacts in between.
    porosity, coordination, permeability : (n, k)
        Share, contacts per grain, d² (Kozeny-Carman).
    fabric : (n, k, 3, 3)
        Mean n ⊗ n of the contact normals.
    inertial, mismatch, unbalanced : (n, k)
        Quasi-static checks, see :class:`femnn.multiscale.grains.layer.GrainRecord`.
    love_weber_mismatch : (n,)
        Median over the points of the distance of the two tractions over their size.
    seed, path : (n,) int
        Of the sample; number of the commanded path, the same under another seed.
    control, kind : (n,) str
        See :data:`femnn.multiscale.grains.commands.CONTROLS` and ``KINDS``.
    about : dict
        The card.
    """

    separation: np.ndarray
    traction: np.ndarray
    love_weber: np.ndarray
    porosity: np.ndarray
    coordination: np.ndarray
    permeability: np.ndarray
    fabric: np.ndarray
    inertial: np.ndarray
    mismatch: np.ndarray
    unbalanced: np.ndarray
    love_weber_mismatch: np.ndarray
    seed: np.ndarray
    path: np.ndarray
    control: np.ndarray
    kind: np.ndarray
    about: dict

    def __len__(self):
        return len(self.separation)

    def __getitem__(self, rows):
        """Some of the rows."""
        return GrainPaths(**{name: values[rows] for name, values in self.arrays().items()}, about=self.about)

    def arrays(self):
        """All arrays by name."""
        return {own.name: getattr(self, own.name) for own in fields(self) if own.name != "about"}

    @classmethod
    def of_records(cls, records, labels, about):
        """Of dicts of arrays, one a path, and dicts ``seed``, ``path``, ``control``, ``kind``, one a path."""
        columns = {name: np.stack([np.float32(own[name]) for own in records]) for name in records[0]}
        columns["love_weber_mismatch"] = np.median(mismatch(columns["traction"], columns["love_weber"]), axis=1)
        for name in ("seed", "path"):
            columns[name] = np.array([own[name] for own in labels], dtype=np.int32)
        for name in ("control", "kind"):
            columns[name] = np.array([own[name] for own in labels], dtype="U16")
        return cls(**columns, about=about)


def scatter(data):
    """How far samples differ along the same command: root mean squares over the points of all shared paths, a dict.

    ``ratio`` is that of t_s/t_n (both components), ``log_normal`` that of ln t_n, each about the mean of the samples;
    points at which a sample carries less than a twentieth of p0 are left out, they number ``open``.
    """
    # these import torch, which reading the data set does not need
    from femnn.cohesive.training import precompressed_data as frictional_data
    from femnn.cohesive.training.records import PathRecords

    records = PathRecords.of(data)
    samples = [records.data(rows) for rows in records.repeated()]
    if not samples:
        raise DatasetError("no two rows follow the same path; scatter between samples needs paths under several seeds")
    found = frictional_data.scatter(samples)
    pressed = [(frictional_data.targets(own)[..., 3] > 0.0).all(axis=0) for own in samples]
    return {"ratio": found["ratio"], "log_normal": found["ln_normal"], "open": float(1.0 - np.mean(pressed))}


def save(path, data):
    """Write a data set and its card ``PATH.json`` beside it; the card gets the hash of the file."""
    path = Path(path)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **data.arrays())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sizes = {"rows": len(data), "points": data.separation.shape[1]}
    card = {"format": _FORMAT, **data.about, **sizes, "sha256": digest}
    with atomic_write(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return path


def load(path=None):
    """A data set; default: the shipped one.

    Raises
    ------
    DatasetError
        If a file is missing, damaged or of another kind.
    """
    path = SHIPPED if path is None else Path(path)
    card_path = path.with_suffix(".json")
    try:
        about = json.loads(card_path.read_text(encoding="utf-8"))
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} and its card {card_path.name} cannot be read: {error}; make them with `femnn simulate grains`"
        ) from error
    if about.get("format") != _FORMAT:
        raise DatasetError(f"{card_path} is of format {about.get('format')!r}, not {_FORMAT!r}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != about.get("sha256"):
        raise DatasetError(
            f"{path} has the hash {digest[:12]}, its card says {str(about.get('sha256'))[:12]}; one of them is damaged "
            "or of another run: make both again"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {own.name: file[own.name] for own in fields(GrainPaths) if own.name != "about"}
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is no data set of grains: {error}") from error
    return GrainPaths(**arrays, about=about)
