"""Train the network of :mod:`femnn.quadrature.moved.network` on R_error itself, with no labels but exact stiffness."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from femnn.geometry.coordinates import TWISTS, modes, relative_warp
from femnn.geometry.hexahedron import SIGNS
from femnn.geometry.sampling import distorted_hexahedra
from femnn.geometry.symmetry import vertex_permutations, weighted_poses
from femnn.integration.convergence import errors_and_reference
from femnn.integration.lame import lame_parameters
from femnn.networks.element_data import LabelledElements
from femnn.networks.perceptron import Architecture
from femnn.networks.training import train_perceptron
from femnn.quadrature.adaptive.data import DirectionalRecipe
from femnn.quadrature.moved.network import FEATURES, MOST_LOGARITHM, MOST_MOVE, OUTPUTS, describe
from femnn.quadrature.moved.projection import GAUSS_POINTS
from femnn.quadrature.patch_functions import EQUATIONS, nodal_values
from femnn.tasks.run import task_name

# Below it float32, in which the loss is computed, knows too little of the Error. The moves are predicted over the size
# of the warp squared, so an element of less warp teaches the same when its warp is enlarged.
_LEAST_ERROR = 2e-3

# Parallelepipeds but for round-off teach nothing.
_NO_ERROR = 1e-10

# Elements whose reference doubts more than this are so nearly folded that nothing should be learnt from them.
_DOUBT = 1e-8

_FIRST_MOVES = 0.2

# Of the projection while training, in float32. After one step a network learns to profit from what is left to project:
# it reaches a loss of 0.58 where the rule has 0.74.
_STEPS, _REGULAR = 2, 1e-5


@dataclass(frozen=True)
class MovedRecipe(DirectionalRecipe):
    """A :class:`~femnn.quadrature.adaptive.data.DirectionalRecipe` whose labels are exact stiffness matrices.

    Parameters
    ----------
    cubes
        Fraction of elements that are cubes with displaced vertices as in the published experiment.
    """

    cubes: float = 0.0

    labels = "moved-3"

    def hexahedra(self) -> np.ndarray:
        """The elements, shape (elements, 8, 3)."""
        drawn = super().hexahedra()
        random = np.random.default_rng([self.seed, 2])
        places = random.permutation(len(drawn))[: round(self.cubes * len(drawn))]
        if len(places):
            drawn[places] = distorted_hexahedra(len(places), self.displacement, int(random.integers(2**31)))
        return drawn


@dataclass(frozen=True, eq=False, repr=False)
class MovedData(LabelledElements):
    """Elements with their exact stiffness.

    Attributes
    ----------
    hexahedra : (n, 8, 3)
        In a pose drawn by the weights of its poses, about the origin, the central parallelepiped with the volume 8.
    references : (n, 24, 24) float32
        Their exact stiffness for Young's modulus 1.
    gauss : (n,)
        Σ |k - k_exact| of 2×2×2 Gauss points.
    """

    references: np.ndarray
    gauss: np.ndarray

    def rows(self, patch: bool) -> list[np.ndarray]:
        """Rows for the training: features (n, FEATURES), size of the warp, vertices, references, 1 / gauss, float32.

        With ``patch`` the functions of the patch test at 27 nodes as well, (n, 27, 13).
        """
        features, size = describe(self.hexahedra)
        arrays = [features, size, self.hexahedra, self.references, 1.0 / self.gauss]
        if patch:
            arrays.append(nodal_values(relative_warp(self.hexahedra)))
        return [np.ascontiguousarray(values, dtype=np.float32) for values in arrays]


def make_moved_data(path: str | Path, recipe: MovedRecipe, progress: bool = True, **where: Any) -> MovedData:
    """As :func:`femnn.networks.element_data.make_dataset`; elements from which nothing can be learnt are left out."""
    return MovedData.made(path, recipe, _label, progress, **where)


@task_name("femnn.learning.moved_training._label")
def _label(hexahedra, recipe, first=0):
    drawn = _in_drawn_poses(hexahedra, np.random.default_rng([recipe.seed, 3, first]))
    standard = errors_and_reference(drawn, 2, recipe.poisson)[0][:, 1]
    warped = standard > _NO_ERROR
    scaled = _scaled(drawn[warped], np.sqrt(np.maximum(1.0, 1.5 * _LEAST_ERROR / standard[warped])))
    errors, references, doubt = errors_and_reference(scaled, 2, recipe.poisson)
    chosen = (errors[:, 1] > _LEAST_ERROR) & (doubt < _DOUBT)
    gauss = errors[:, 1] * np.abs(references).max(axis=(1, 2))
    return {
        "hexahedra": scaled[chosen],
        "references": references[chosen].astype(np.float32),
        "gauss": gauss[chosen],
    }


def _scaled(hexahedra, enlarged):
    """The elements about the origin, central parallelepipeds of volume 8, with their warp enlarged by factors (n,)."""
    _, linear, twist = modes(hexahedra)
    size = np.cbrt(np.abs(np.linalg.det(linear)))
    vertices = SIGNS @ linear.transpose(0, 2, 1) + enlarged[:, None, None] * (TWISTS @ twist.transpose(0, 2, 1))
    return vertices / size[:, None, None]


def _in_drawn_poses(hexahedra, random):
    """The elements in poses drawn by their weights: the network must know all poses that it may see."""
    until = weighted_poses(relative_warp(hexahedra)).cumsum(axis=1)
    pose = (until < random.uniform(size=(len(hexahedra), 1)) * until[:, -1:]).sum(axis=1)
    return np.take_along_axis(hexahedra, vertex_permutations()[pose][:, :, None], axis=1)


def train_moved(training, validation, options, patch, hidden=(96, 96, 96), activation="silu", **run):
    """Train the network; ``run`` goes to :func:`femnn.networks.training.train`.

    Parameters
    ----------
    training, validation
        Elements with their stiffness.
    options
        See :class:`femnn.networks.training.TrainingOptions`.
    patch
        Let the moves be projected onto the patch test while training.

    Returns
    -------
    network : Perceptron
        From FEATURES numbers to OUTPUTS.
    history : History
    """
    architecture, scales, loss = moved_network(training.recipe, hidden, activation)
    return train_perceptron(architecture, scales, loss, training.rows(patch), validation.rows(patch), options, **run)


def moved_network(recipe, hidden=(96, 96, 96), activation="silu"):
    """Architecture, standardisation and loss of the network, for elements of a recipe."""
    # the moves of a fresh network are small, because Gauss points are a good place to start from
    scales = {"output_scale": np.full(OUTPUTS, _FIRST_MOVES)}
    return Architecture(FEATURES, OUTPUTS, hidden, activation), scales, MeanRError(recipe.poisson)


def _constant(values):
    return torch.tensor(np.array(values), dtype=torch.float32)


class MeanRError:
    """Mean R_error of predicted moves."""

    def __init__(self, poisson) -> None:
        self._strains = _constant(_strain_root(poisson))
        self._signs, self._gauss = _constant(SIGNS), _constant(GAUSS_POINTS)
        self._regular = _REGULAR * torch.eye(EQUATIONS)

    def __call__(self, moves, size, vertices, references, inverses, nodal=None):
        scaled = size[:, None, None] ** 2 * moves.reshape(-1, 8, 4)
        points = self._gauss + MOST_MOVE * torch.tanh(scaled[..., :3] / MOST_MOVE)
        weights = torch.exp(MOST_LOGARITHM * torch.tanh(scaled[..., 3] / MOST_LOGARITHM))
        if nodal is not None:
            points, weights = self._projected(nodal, points, weights)
        stiffness = self._stiffness(vertices, points, weights, exact_volume=nodal is not None)
        return ((stiffness - references).abs().sum(dim=(1, 2)) * inverses).mean()

    def _stiffness(self, vertices, points, weights, exact_volume):
        gradients, determinants = self._gradients(vertices, points)
        if not exact_volume:
            exact = self._gradients(vertices, self._gauss.expand_as(points))[1].sum(dim=1)
            weights = weights * (exact / (weights * determinants).sum(dim=1))[:, None]
        roots = gradients * (weights / determinants).sqrt()[..., None, None]
        # rows: point and strain; columns: vertex and component
        strains = (roots @ self._strains).reshape(-1, 8, 8, 6, 3).permute(0, 1, 3, 2, 4).reshape(-1, 48, 24)
        return strains.transpose(1, 2) @ strains

    def _gradients(self, vertices, points):
        """|det J| ∂N_a/∂x_i up to one sign, (n, 8, 8, 3), and |det J|, (n, 8)."""
        s = self._signs
        factors = 1.0 + points[:, :, None, :] * s
        p, q, r = factors.unbind(dim=3)
        slopes = torch.stack([s[:, 0] * q * r, s[:, 1] * p * r, s[:, 2] * p * q], dim=3) / 8.0
        columns = torch.einsum("eai,eqak->keqi", vertices, slopes)
        cofactors = _cofactors(columns)
        determinants = (columns[0] * cofactors[0]).sum(dim=2)
        return slopes @ torch.stack(cofactors, dim=2), determinants.abs()

    def _projected(self, nodal, points, weights):
        """:func:`femnn.quadrature.moved.projection.project` in a fixed number of steps."""
        exact = _interpolated(nodal, self._gauss.expand_as(points))[:, :, 3].sum(dim=1)
        for _ in range(_STEPS):
            functions = _interpolated(nodal, points)
            residual = (weights[..., None] * functions[:, :, 3]).sum(dim=1) - exact
            scaled = torch.cat([weights[..., None, None] * functions[:, :, :3], functions[:, :, 3:]], dim=2)
            scaled = scaled.reshape(-1, 32, EQUATIONS)
            factor = torch.linalg.cholesky(scaled.transpose(1, 2) @ scaled + self._regular)
            step = (scaled @ torch.cholesky_solve(residual[..., None], factor)).reshape(-1, 8, 4)
            points, weights = points - step[..., :3], weights - step[..., 3]
        # an early network may be far from the manifold; where it is not, the bounds change nothing
        return points.clamp(-0.99, 0.99), weights.clamp_min(0.05)


def _interpolated(nodal, points):
    """Slopes along the three axes and values at points (n, 8, 3) of functions with values (n, 27, k): (n, 8, 4, k)."""
    x = points[..., None]
    values = torch.cat([0.5 * x * (x - 1.0), 1.0 - x * x, 0.5 * x * (x + 1.0)], dim=3)
    slopes = torch.cat([x - 0.5, -2.0 * x, x + 0.5], dim=3)
    axes = [[slopes if axis == k else values for axis in range(3)] for k in range(4)]
    basis = torch.stack([_product(*(table[:, :, k] for k, table in enumerate(tables))) for tables in axes], dim=2)
    return (basis.flatten(1, 2) @ nodal).unflatten(1, (8, 4))


def _product(x, y, z):
    return (x[..., :, None, None] * y[..., None, :, None] * z[..., None, None, :]).flatten(start_dim=2)


def _cofactors(columns):
    """Columns of cof J from those of J."""
    return [torch.linalg.cross(columns[(k + 1) % 3], columns[(k + 2) % 3]) for k in range(3)]


def _strain_root(poisson):
    """A matrix (3, 18) R with Σ_p (g R)_p ⊗ (g R)_p = the stiffness between gradients g, p the first of (6, 3)."""
    lmbda, mu = lame_parameters(1.0, poisson)
    elasticity = np.diag([2.0 * mu] * 3 + [mu] * 3)
    elasticity[:3, :3] += lmbda
    strains = np.zeros((6, 3, 3))
    strains[range(3), range(3), range(3)] = 1.0
    for row, (i, j) in enumerate(((0, 1), (1, 2), (2, 0)), start=3):
        strains[row, i, j] = strains[row, j, i] = 1.0
    return np.einsum("rp,rij->jpi", np.linalg.cholesky(elasticity), strains).reshape(3, 18)
