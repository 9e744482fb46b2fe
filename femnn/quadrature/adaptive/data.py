"""Elements with their directional errors: the data of the directional networks."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from femnn.geometry.families import cooks_membrane, distorted_cube, kershaw
from femnn.geometry.mesh import hexahedra
from femnn.networks.element_data import LabelledElements, Recipe
from femnn.quadrature.adaptive.apriori_estimate import CANDIDATES, describe_directions
from femnn.quadrature.adaptive.directional_errors import (
    FEWEST,
    FLOOR,
    MEASURES,
    MOST,
    converged_points,
    directional_tables,
)
from femnn.quadrature.adaptive.fit import Rows, extended
from femnn.quadrature.adaptive.network import material_feature
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_tables
from femnn.tasks.run import task_name

#: Poisson's ratios that the networks are trained for.
LEAST_POISSON, MOST_POISSON = -0.5, 0.4999

# Elements that are taken of one structured mesh at most.
_OF_ONE_MESH = 100

# Tensor rules that are labelled for each element, the last two with equal numbers of points.
_RULES = 6

# A directional error below this is mostly round-off: nothing to learn from.
_KNOWN = 10.0 * FLOOR


@dataclass(frozen=True)
class DirectionalRecipe(Recipe):
    """A :class:`~femnn.networks.element_data.Recipe` whose labels are directional errors.

    Every element is labelled for two materials: ``poisson``, and a ratio drawn for it. The Error is the larger one of
    the element as it lies and turned at random.

    Parameters
    ----------
    meshed
        Fraction of elements that are taken from structured meshes, see :func:`mesh_elements`. There the roots of det J
        meet or part exactly, which random elements never do.
    """

    meshed: float = 0.0

    labels = "directions-2"

    def hexahedra(self) -> np.ndarray:
        """The elements, shape (elements, 8, 3), those of meshes spread among the others."""
        drawn = super().hexahedra()
        random = np.random.default_rng([self.seed, 1])
        # cells of a user's files are few: they stay
        free = np.flatnonzero(~self.from_meshes())
        places = random.permutation(free)[: round(self.meshed * len(free))]
        if len(places):
            drawn[places] = mesh_elements(len(places), random)
        return drawn


@dataclass(frozen=True, eq=False, repr=False)
class DirectionalData(LabelledElements):
    """Elements with directional errors, and errors of whole rules.

    Attributes
    ----------
    poisson : (n, 2)
    errors : (n, 2, 4, 3, CANDIDATES) float32
        For each material, measure and direction; see
        :func:`femnn.quadrature.adaptive.directional_errors.directional_tables`.
    rules : (n, rules, 3) int64
        Tensor rules as a choice may take them.
    rule_errors : (n, 2, 4, rules) float32
        Their errors: how the directions add up.
    """

    poisson: np.ndarray
    errors: np.ndarray
    rules: np.ndarray
    rule_errors: np.ndarray

    def of_files(self) -> np.ndarray:
        """Elements that are cells of the mesh files of the recipe, (n,) bool; some elements of it were left out."""
        asked = self.recipe.from_meshes()
        if not asked.any():
            return np.zeros(len(self), dtype=bool)
        cells = {cell.tobytes() for cell in self.recipe.hexahedra()[asked]}
        return np.array([cell.tobytes() in cells for cell in self.hexahedra])

    def rows(self, measure: str) -> Rows:
        """The rows that train a network for ``measure``, one for each element and material; Laplace has no material."""
        features, estimates = describe_directions(self.hexahedra)
        picks = self.rules - FEWEST
        # estimates at the rules, (n, rules, 3)
        offsets = np.take_along_axis(estimates, picks.swapaxes(1, 2), axis=2).swapaxes(1, 2)
        number, parts = MEASURES.index(measure), []
        for m in range(1 if measure.startswith("laplace") else self.poisson.shape[1]):
            column = np.broadcast_to(material_feature(self.poisson[:, m])[:, None, None], (len(self), 3, 1))
            corrections = _log_known(self.errors[:, m, number]) - estimates
            part = Rows(
                np.concatenate([features, column], axis=2),
                extended(corrections.reshape(-1, CANDIDATES)).reshape(corrections.shape),
                picks,
                offsets,
                _log_known(self.rule_errors[:, m, number]),
            )
            parts.append(part)
        joined = Rows(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        return Rows(*(v if v is joined.picks else v.astype(np.float32) for v in joined))


def _log_known(errors):
    """log₂ of errors, NaN where they are round-off."""
    errors = errors.astype(float)
    return np.where(errors > _KNOWN, np.log2(errors), np.nan)


def mesh_elements(n: int, random: np.random.Generator) -> np.ndarray:
    """Elements (n, 8, 3) of structured meshes in equal parts: distorted cubes, Kershaw's mesh and Cook's membrane, each
    drawn from mild to strong distortion."""
    parts = []
    # so many of one mesh, which repeats its shapes
    for _ in range(-(-n // (3 * _OF_ONE_MESH))):
        seed = int(random.integers(2**31))
        meshes = (
            distorted_cube(6, random.uniform(0.05, 0.35), seed),
            kershaw(12, *random.uniform(0.2, 0.9, 2)),
            cooks_membrane(10, 8, 3, random.uniform(2.0, 20.0), max(0.0, random.uniform(-0.1, 0.3)), seed),
        )
        for mesh in meshes:
            vertices = hexahedra(mesh)
            parts.append(vertices[random.permutation(len(vertices))[:_OF_ONE_MESH]])
    return np.concatenate(parts)[random.permutation(sum(map(len, parts)))[:n]]


@task_name("femnn.learning.directional_data.label_directions")
def label_directions(hexahedra: np.ndarray, recipe: DirectionalRecipe, first: int = 0) -> dict[str, np.ndarray]:
    """Labels of some elements of a recipe, arrays by name; elements without a good reference are left out."""
    hexahedra = hexahedra[converged_points(hexahedra)[1]]
    random = np.random.default_rng([recipe.seed, first])
    n = len(hexahedra)
    near = MOST_POISSON - 10.0 ** random.uniform(-4.0, -0.5, n)
    anywhere = random.uniform(LEAST_POISSON, MOST_POISSON, n)
    drawn = np.where(random.uniform(size=n) < 0.5, anywhere, near)
    poisson = np.stack([np.full(n, recipe.poisson), drawn], axis=1)
    rotations = Rotation.from_quat(random.normal(size=(n, 4))).as_matrix()[:, None]
    errors = directional_tables(hexahedra, poisson, rotations)
    rules = _likely_rules(errors, random)
    rule_errors = tensor_rule_tables(hexahedra, rules, poisson, rotations)
    return {
        "hexahedra": hexahedra,
        "poisson": poisson,
        "errors": errors.astype(np.float32),
        "rules": rules,
        "rule_errors": rule_errors.astype(np.float32),
    }


def _likely_rules(errors, random):
    """Tensor rules (n, _RULES, 3) that keep each direction below a fraction of some tolerance, in a drawn measure."""
    n, materials, measures = errors.shape[:3]
    rules = np.empty((n, _RULES, 3), dtype=np.int64)
    for k in range(_RULES):
        drawn = errors[np.arange(n), random.integers(materials, size=n), random.integers(measures, size=n)]
        shares = 10.0 ** random.uniform(-8.5, -0.5, (n, 1)) * random.uniform(0.2, 1.0, (n, 3))
        meets = drawn <= shares[:, :, None]
        rules[:, k] = np.where(meets.any(axis=2), meets.argmax(axis=2) + FEWEST, MOST)
    rules[:, -2:] = rules[:, -2:].max(axis=2, keepdims=True)
    return rules


def make_directional_data(path, recipe, progress=True, **where):
    """As :func:`femnn.networks.element_data.make_dataset`, with directional errors as labels."""
    return DirectionalData.made(path, recipe, label_directions, progress, **where)
