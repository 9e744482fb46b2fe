"""Labelled elements: drawn at random, integrated to convergence, kept with the recipe that makes them again.

A data set is one safetensors file whose header holds its recipe. It grows in parts beside the final file, so that an
interrupted run goes on where it stopped; every part depends on the recipe and its own elements alone, so neither
interruptions nor threads nor the number of workers change a bit.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import safetensors.numpy

from femnn.checks import brief, checked, floats, integer, number
from femnn.exceptions import DatasetError, ParameterError, warn
from femnn.geometry.mesh import hexahedra
from femnn.geometry.meshers import FAMILIES, family
from femnn.geometry.quality import of_unit_volume
from femnn.geometry.sampling import distorted_hexahedra
from femnn.geometry.validity import valid_elements
from femnn.integration.convergence import errors_and_reference
from femnn.integration.gauss import tensor_gauss
from femnn.integration.optimal_weights import optimal_weights, random_trials, weight_systems
from femnn.io.atomic import atomic_write
from femnn.io.guarded import Contents, GuardedFile, digest
from femnn.mesh_files import read_mesh
from femnn.tasks.run import run_tasks, task_name

#: Largest n of the Error table: what more points would be needed for is a job for refinement of the mesh.
MOST_CANDIDATES = 20

_PART = 1000


@dataclass(frozen=True)
class Recipe:
    """Everything that a data set depends on.

    Parameters
    ----------
    elements
        Number of hexahedra.
    displacement
        Pair (low, high), see :func:`femnn.distorted_hexahedra`.
    aspect, shear, structured, rotated
        Affine maps, missing twists and orientation of the distorted cubes, see :func:`femnn.distorted_hexahedra`.
    seed
        Of the sampling and of the random trials.
    poisson
        Poisson's ratio of the stiffness.
    trials
        Random weight vectors per element, the published search; 0 leaves it out.
    spread
        Half width of a trial's factors about 1.
    families
        Fraction of the elements that are taken of the families of :mod:`femnn.geometry.meshers`, of all alike.
    meshes
        Mesh files whose healthy cells, each once at most, take the place of half of the elements: pairs of a path and
        the sha256 of the file, see :func:`mesh_sources`.

    Examples
    --------
    >>> from femnn.networks import Recipe
    >>> recipe = Recipe(100, displacement=(0.05, 0.2), seed=3)
    >>> recipe.hexahedra().shape
    (100, 8, 3)
    >>> recipe.to_json() == Recipe(100, displacement=(0.05, 0.2), seed=3).to_json()
    True
    """

    elements: int
    displacement: tuple[float, float] = (0.05, 0.35)
    aspect: float = 1.0
    shear: float = 0.0
    structured: float = 0.0
    rotated: float = 0.0
    seed: int = 0
    poisson: float = 0.3
    trials: int = 0
    spread: float = 0.02
    families: float = 0.0
    meshes: tuple[tuple[str, str], ...] = ()

    #: Kind and version of the labels that belong to such a recipe.
    labels: ClassVar[str] = "1"

    #: Fields that a fingerprint is without where they have their defaults: runs begun before they were added go on.
    added_later: ClassVar[tuple[str, ...]] = ("families", "meshes")

    def __post_init__(self) -> None:
        integer("elements", self.elements, at_least=1)
        integer("trials", self.trials, at_least=0)
        number("spread", self.spread, "(0, 1)")
        number("families", self.families, "[0, 1]")
        number("poisson", self.poisson, "(-1, 0.5)")
        displacement = floats("displacement", self.displacement)
        if displacement.shape != (2,):
            raise ParameterError(f"displacement is {brief(self.displacement)}; pass a pair (low, high)")
        object.__setattr__(self, "displacement", tuple(displacement.tolist()))
        object.__setattr__(self, "meshes", tuple((str(path), str(sha256)) for path, sha256 in self.meshes))

    def hexahedra(self) -> np.ndarray:
        """The elements, shape (elements, 8, 3), those of families and meshes spread among the others.

        Raises
        ------
        DatasetError
            If a mesh file has changed since the recipe was written.
        """
        drawn = distorted_hexahedra(
            self.elements,
            self.displacement,
            self.seed,
            aspect=self.aspect,
            shear=self.shear,
            structured=self.structured,
            rotated=self.rotated,
        )
        random = np.random.default_rng([self.seed, 4])
        places = random.permutation(len(drawn))[: round(self.families * len(drawn))]
        for name, chosen in zip(FAMILIES, np.array_split(places, len(FAMILIES)), strict=True):
            if len(chosen):
                drawn[chosen] = of_unit_volume(family(name, len(chosen), int(random.integers(2**31))))
        if self.meshes:
            places, cells = self._mesh_cells()
            drawn[places] = of_unit_volume(cells)
        return drawn

    def from_meshes(self) -> np.ndarray:
        """Elements that are cells of the mesh files, (elements,) bool."""
        result = np.zeros(self.elements, dtype=bool)
        if self.meshes:
            result[self._mesh_cells()[0]] = True
        return result

    def _mesh_cells(self):
        """Places of the cells of the mesh files among the elements, and these cells."""
        cells = np.concatenate([_healthy_cells(path, sha256) for path, sha256 in self.meshes])
        random = np.random.default_rng([self.seed, 5])
        count = min(self.elements // 2, len(cells))
        return random.permutation(self.elements)[:count], cells[random.permutation(len(cells))[:count]]

    def to_json(self) -> str:
        """The recipe as text; equal recipes give equal text, and what is not asked for is not in it."""
        settings = {name: value for name, value in asdict(self).items() if value or name not in self.added_later}
        return json.dumps({**settings, "labels": self.labels}, sort_keys=True)


def mesh_sources(paths: Sequence[str | Path]) -> tuple[tuple[str, str], ...]:
    """Mesh files as :class:`Recipe` takes them: each path with the sha256 of the file's content."""
    return tuple((str(path), _sha256(path)) for path in paths)


def _sha256(path):
    return hashlib.sha256(
        GuardedFile(Path(path), DatasetError, "mesh file", "choose another path").content()
    ).hexdigest()


def _healthy_cells(path, sha256):
    if _sha256(path) != sha256:
        raise DatasetError(
            f"{path} has changed since the data set was begun; choose another folder, or delete the data"
        )
    cells = hexahedra(read_mesh(path))
    healthy = valid_elements(cells, on_folded="skip")
    if len(healthy) == 0:
        raise DatasetError(f"all {len(cells)} cells of {path} are folded or degenerate; repair it, or leave it out")
    if len(healthy) < len(cells):
        warn(f"{len(cells) - len(healthy)} of {len(cells)} cells of {path} are folded or degenerate and left out")
    return cells[healthy]


@dataclass(frozen=True, eq=False, repr=False)
class LabelledElements:
    """Elements of a recipe, (n, 8, 3), with labels; the arrays of a subclass have a row for each element."""

    recipe: Any
    hexahedra: np.ndarray

    @classmethod
    def made(cls, path: str | Path, recipe: Any, label: Any, progress: bool = True, **where: Any) -> Any:
        """Read from ``path``, or labelled and kept there, see :func:`grow`."""
        names = [field.name for field in fields(cls)[1:]]
        return cls(recipe, **grow(path, recipe, label, names, progress, **where))

    def __len__(self) -> int:
        return len(self.hexahedra)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} elements, {self.recipe})"

    def __getitem__(self, rows: Any) -> Any:
        """The same data with some of the elements."""
        return replace(self, **{name: values[rows] for name, values in self.arrays().items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)[1:]}


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(LabelledElements):
    """Elements with Errors and best weights.

    Attributes
    ----------
    errors : (n, MOST_CANDIDATES)
        Error of n×n×n Gauss points, n = 1..MOST_CANDIDATES.
    doubt : (n,)
        Uncertainty of the reference, see :func:`femnn.integration.convergence.error_table`.
    weights : (n, 8)
        Exactly optimal weights at the 2×2×2 Gauss points.
    optimum : (n,)
        R_error of these: their Error over that of Gauss weights; 1 where Gauss is exact already.
    trial_weights : (n, 8), trial_optimum : (n,)
        The same for the best of the random trials; Gauss weights and 1 when the recipe has none.

    Examples
    --------
    >>> from femnn.networks import Recipe, make_dataset
    >>> data = make_dataset("cubes.safetensors", Recipe(20), progress=False)
    >>> data.errors.shape, data.weights.shape
    ((20, 20), (20, 8))
    >>> bool((data.optimum <= 1.0).all())
    True
    """

    errors: np.ndarray
    doubt: np.ndarray
    weights: np.ndarray
    optimum: np.ndarray
    trial_weights: np.ndarray
    trial_optimum: np.ndarray


@task_name("femnn.learning.datasets.label")
def label(hexahedra: np.ndarray, recipe: Recipe, first: int = 0) -> dict[str, np.ndarray]:
    """Labels of some elements of a data set, as a dict of the arrays of :class:`Dataset`.

    ``first`` is the index of ``hexahedra[0]`` in the whole data set, on which its random trials depend.
    """
    points, gauss = tensor_gauss(2, 2, 2)
    errors, references, doubt = errors_and_reference(hexahedra, MOST_CANDIDATES, recipe.poisson)
    matrices, targets = weight_systems(hexahedra, points, references, recipe.poisson)
    weights, least, _ = optimal_weights(matrices, targets, gauss)
    trial_weights, trial_least = random_trials(
        matrices, targets, gauss, recipe.trials, recipe.seed, recipe.spread, first
    )
    return {
        "hexahedra": hexahedra,
        "errors": errors,
        "doubt": doubt,
        "weights": weights,
        "optimum": _ratio(least, errors[:, 1]),
        "trial_weights": trial_weights,
        "trial_optimum": _ratio(trial_least, errors[:, 1]),
    }


def _ratio(error, standard):
    """R_error; 1 where the standard rule is not improved on, an exact one included."""
    return np.where(error < standard, error / standard, 1.0)


@checked()
def make_dataset(path: str | Path, recipe: Recipe, progress: bool = True, **where: Any) -> Dataset:
    """Label the elements of ``recipe`` and write them to ``path``; go on where an earlier run stopped.

    Parameters
    ----------
    path
        A ``.safetensors`` file. Parts are kept in ``PATH.parts`` until all are there.
    recipe : Recipe
    progress
        Show a progress bar, if stderr is a terminal.
    where
        ``workers`` or ``scheduler`` of :func:`femnn.tasks.run.run_tasks`; by default this process labels the elements.

    Returns
    -------
    Dataset
        Read from ``path`` if it is there already.

    Raises
    ------
    DatasetError
        If ``path`` or its parts were made with another recipe, or are damaged.
    TaskError
        If elements cannot be labelled.

    Examples
    --------
    >>> from femnn.networks import Recipe, make_dataset
    >>> data = make_dataset("labels.safetensors", Recipe(20, displacement=(0.1, 0.2)), progress=False)
    >>> data.errors.shape
    (20, 20)
    """
    return Dataset.made(path, recipe, label, progress, **where)


def grow(path, recipe, label, names, progress=True, **where):
    """Arrays by name, read from ``path``, or labelled part by part and kept there.

    ``label(hexahedra, recipe, first)`` gives the arrays ``names`` of some elements of the recipe; otherwise as
    :func:`make_dataset`.
    """
    path = Path(path)
    if path.exists():
        return _read(path, recipe, names)[0]
    parts = path.with_name(path.name + ".parts")
    hexahedra = recipe.hexahedra()
    tasks = {
        f"{first:08d}": {"hexahedra": hexahedra[first : first + _PART], "recipe": recipe, "first": first}
        for first in range(0, recipe.elements, _PART)
    }
    where = {"workers": 0, **where}
    outcome = run_tasks(label, tasks, parts, version=recipe.to_json(), progress=progress, **where).require_all()
    labelled = [outcome.load(key) for key in tasks]
    arrays = {name: np.concatenate([part[name] for part in labelled]) for name in names}
    _write(path, arrays, recipe)
    shutil.rmtree(parts)
    return arrays


@checked()
def load_dataset(path: str | Path, recipe: Recipe | None = None) -> Dataset:
    """Read a data set; with ``recipe``, insist that it was made with that one.

    Raises
    ------
    DatasetError
        If the file is missing, damaged, foreign, or made with another recipe.

    Examples
    --------
    >>> from femnn.exceptions import DatasetError
    >>> from femnn.networks import Recipe, load_dataset, make_dataset
    >>> data = make_dataset("seed-0.safetensors", Recipe(20), progress=False)
    >>> load_dataset("seed-0.safetensors").errors.shape
    (20, 20)

    A file of another recipe is refused:

    >>> try:
    ...     load_dataset("seed-0.safetensors", Recipe(20, seed=1))
    ... except DatasetError as error:
    ...     print("seed" in str(error))
    True
    """
    arrays, header = _read(Path(path), recipe, [field.name for field in fields(Dataset)[1:]])
    file = _guarded(Path(path))
    settings = file.card(header["recipe"])
    with file.checked():
        settings.pop("labels")
        made_with = Recipe(**settings)
    _require_rows(file, arrays, made_with)
    return Dataset(made_with, **arrays)


def _write(file, arrays, recipe):
    arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    header = {
        "format": "femnn-dataset",
        "recipe": recipe.to_json(),
        "sha256": digest(arrays, recipe.to_json()),
        "femnn": metadata.version("femnn"),
    }
    with atomic_write(file) as temporary:
        temporary.write_bytes(safetensors.numpy.save(arrays, header))


def _guarded(path):
    return GuardedFile(path, DatasetError, "data set", "choose another path, or delete it to make it again")


def _read(path, recipe, names):
    """Arrays by name, and the header that says what they are."""
    file = _guarded(path)
    arrays, header = file.tensors()
    if header.get("format") != "femnn-dataset" or not {"recipe", "sha256"} <= set(header):
        raise DatasetError(f"{path} is no data set of femnn; choose another path, or delete the file")
    if recipe is not None and header["recipe"] != recipe.to_json():
        raise DatasetError(
            f"{path} was made with the recipe {header['recipe']}, wanted is {recipe.to_json()}; "
            "choose another path, or delete it to make it again"
        )
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DatasetError(f"{path} lacks {', '.join(missing)}; delete it to make it again")
    sha256 = digest(arrays, header["recipe"])
    if sha256 != header["sha256"]:
        raise DatasetError(
            f"{path} is damaged: its sha256 is {sha256}, it should be {header['sha256']}; delete it to make it again"
        )
    if recipe is not None:
        _require_rows(file, arrays, recipe)
    return arrays, header


def _require_rows(file, arrays, recipe):
    """Raise DatasetError unless all arrays have a row for the same elements: those of the recipe that have labels."""
    rows = len(Contents(file, {}, arrays).array("hexahedra", (None, 8, 3)))
    for name, values in arrays.items():
        if values.shape[:1] != (rows,) or not 0 < rows <= recipe.elements:
            raise file.refused(
                f"{name} has shape {values.shape}, there are {rows} elements, and its recipe has {recipe.elements}"
            )
