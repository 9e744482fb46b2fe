"""Elements with their directional errors: what the directional networks learn from."""

import json
from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from femnn.geometry.families import cooks_membrane, distorted_cube, kershaw
from femnn.geometry.mesh import hexahedra
from femnn.integration.directions import FLOOR, MEASURES, converged_points, directional_tables
from femnn.learning.datasets import Recipe, grow
from femnn.learning.directional import extended, material_feature
from femnn.learning.residues import CANDIDATES, FEATURES, describe_directions

#: Poisson's ratios that the networks are trained for.
LEAST_POISSON, MOST_POISSON = -0.5, 0.4999

# Elements that are taken of one structured mesh at most.
_OF_ONE_MESH = 100

_ARRAYS = ("hexahedra", "poisson", "errors")

# A directional error below this is mostly round-off: nothing to learn from.
_KNOWN = 10.0 * FLOOR


@dataclass(frozen=True)
class DirectionalRecipe(Recipe):
    """A :class:`~femnn.learning.datasets.Recipe` whose labels are directional errors.

    Every element is labelled for two materials: ``poisson``, and a ratio drawn for it. The Error is the larger one of
    the element as it lies and turned at random.

    Parameters
    ----------
    meshed
        Share of elements that are taken from structured meshes, see :func:`mesh_elements`. There the roots of det J
        meet or part exactly, which random elements never do.
    """

    meshed: float = 0.0

    def hexahedra(self):
        """The elements, shape (elements, 8, 3), those of meshes spread among the others."""
        drawn = super().hexahedra()
        random = np.random.default_rng([self.seed, 1])
        places = random.permutation(len(drawn))[: round(self.meshed * len(drawn))]
        if len(places):
            drawn[places] = mesh_elements(len(places), random)
        return drawn

    def to_json(self):
        """The recipe as text; equal recipes give equal text."""
        return json.dumps({**asdict(self), "labels": "directions-1"}, sort_keys=True)


@dataclass(frozen=True)
class DirectionalData:
    """Labelled elements.

    Attributes
    ----------
    recipe : DirectionalRecipe
    hexahedra : (n, 8, 3)
    poisson : (n, 2)
    errors : (n, 2, 4, 3, CANDIDATES) float32
        For each material, measure and direction; see :func:`femnn.integration.directions.directional_tables`.
    """

    recipe: DirectionalRecipe
    hexahedra: np.ndarray
    poisson: np.ndarray
    errors: np.ndarray

    def __len__(self):
        return len(self.hexahedra)

    def __getitem__(self, rows):
        """The same data with some of its elements."""
        return DirectionalData(self.recipe, self.hexahedra[rows], self.poisson[rows], self.errors[rows])

    def rows(self, measure):
        """Features (6 n, FEATURES) and corrections (6 n, CANDIDATES): two materials, three directions; Laplace half."""
        features, estimates = describe_directions(self.hexahedra)
        # the Laplace form has no material
        materials = 1 if measure.startswith("laplace") else self.poisson.shape[1]
        described, targets = [], []
        for m in range(materials):
            column = np.broadcast_to(material_feature(self.poisson[:, m])[:, None, None], (len(self), 3, 1))
            described.append(np.concatenate([features, column], axis=2))
            errors = self.errors[:, m, MEASURES.index(measure)].astype(float)
            targets.append(np.where(errors > _KNOWN, np.log2(errors), np.nan) - estimates)
        described = np.concatenate(described).reshape(-1, FEATURES)
        return described.astype(np.float32), extended(np.concatenate(targets).reshape(-1, CANDIDATES))


def mesh_elements(n, random):
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


def label_directions(hexahedra, recipe, first=0):
    """Labels of some elements of a recipe, arrays by name; elements that are not settled are left out."""
    hexahedra = hexahedra[converged_points(hexahedra)[1]]
    random = np.random.default_rng([recipe.seed, first])
    n = len(hexahedra)
    near = MOST_POISSON - 10.0 ** random.uniform(-4.0, -0.5, n)
    anywhere = random.uniform(LEAST_POISSON, MOST_POISSON, n)
    drawn = np.where(random.uniform(size=n) < 0.5, anywhere, near)
    poisson = np.stack([np.full(n, recipe.poisson), drawn], axis=1)
    turned = Rotation.from_quat(random.normal(size=(n, 4))).as_matrix()[:, None]
    errors = directional_tables(hexahedra, poisson, turned).astype(np.float32)
    return {"hexahedra": hexahedra, "poisson": poisson, "errors": errors}


def make_directional_data(path, recipe, progress=True):
    """As :func:`femnn.learning.datasets.make_dataset`, with directional errors as labels."""
    return DirectionalData(recipe, **grow(path, recipe, label_directions, _ARRAYS, progress))
