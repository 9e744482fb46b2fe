"""Patches of eight distorted cells under loads whose exact displacements are known: bending and twisting.

A displacement that is quadratic in the position and satisfies Navier's equations is exact on a body of any shape if its
tractions act on the surface; nothing has to be resolved. Nine of them stand for what an element of a structure does:
bending σ_ii = x_j (i ≠ j) in the axes of the patch, and twisting. What a formulation makes of them on coarse, distorted
cells is its *bending error*: the distance of the nodal displacements from the exact ones, rigid motions apart, relative
to these.
"""

from typing import Any, NamedTuple

import numpy as np
import skfem

from femnn.assembly.elasticity import assemble_elasticity
from femnn.checks import checked
from femnn.geometry.hexahedron import VERTICES, jacobian, shape_functions, shape_gradients
from femnn.integration.gauss import tensor_gauss
from femnn.integration.lame import lame_parameters
from femnn.quadrature.gauss import GaussLegendre

#: Nodes of a patch, of which some arrangements leave some out; states.
NODES, STATES = 36, 9

# Arrangements of the eight cells.
_SHAPES = ((2, 2, 2), (4, 2, 1), (8, 1, 1))

# Cells less healthy than this, by the least det J over the mean, are drawn again.
_LEAST_JACOBIAN = 0.1


class Patches(NamedTuple):
    """Patches of eight cells.

    Attributes
    ----------
    nodes : (n, 36, 3)
        Positions, zeros where an arrangement has fewer nodes.
    cells : (n, 8, 8) int
        Nodes of each cell.
    used : (n, 36) bool
    frames : (n, 3, 3)
        Orthonormal axes of the bending, in columns.
    poisson : (n,)
    """

    nodes: np.ndarray
    cells: np.ndarray
    used: np.ndarray
    frames: np.ndarray
    poisson: np.ndarray

    def mesh(self) -> skfem.MeshHex:
        """All patches in one mesh, one after another, without the nodes that are not used."""
        firsts = np.cumsum(self.used.sum(axis=1)) - self.used.sum(axis=1)
        cells = (self.cells + firsts[:, None, None]).reshape(-1, 8)
        return skfem.MeshHex(self.nodes[self.used].T.copy(), cells.T.copy())


@checked(displacement="[0, 0.5]", aspect="[1, inf)", shear="[0, inf)")
def distorted_patches(
    n: int, seed: int, *, displacement: float = 0.35, aspect: float = 10.0, shear: float = 0.6
) -> Patches:
    """Draw patches: nodes of a regular one moved by U(-d, d), d up to ``displacement``, then stretched and sheared.

    In every other patch nodes move along one axis only, as in the bars of textbooks. Poisson's ratio is uniform up to
    0.4 in six of ten patches, elsewhere 1 - 2ν is log-uniform down to 0.002.

    Parameters
    ----------
    n, seed
        Number of patches, and what they depend on.
    displacement, aspect, shear
        Largest d; largest stretch of an axis, and shear of two.
    """
    random = np.random.default_rng(seed)
    nodes, frames = np.zeros((n, NODES, 3)), np.empty((n, 3, 3))
    cells, used = np.empty((n, 8, 8), dtype=np.int64), np.zeros((n, NODES), dtype=bool)
    poisson = np.where(
        random.uniform(size=n) < 0.6,
        random.uniform(0.0, 0.4, n),
        0.5 * (1.0 - np.exp(random.uniform(np.log(2e-3), np.log(0.4), n))),
    )
    corners = np.concatenate([tensor_gauss(3, 3, 3)[0], VERTICES.T], axis=1)
    for i in range(n):
        shape = np.array(_SHAPES[i % len(_SHAPES)])
        grid = skfem.MeshHex.init_tensor(*(np.arange(k + 1.0) - 0.5 * k for k in shape))
        while True:
            amount = random.uniform(0.0, displacement)
            moves = random.uniform(-amount, amount, grid.p.T.shape)
            if random.uniform() < 0.5:
                moves *= np.eye(3)[random.integers(3)]
            stretches = np.exp(random.uniform(-0.5, 0.5, 3) * np.log(aspect))
            upper = np.triu(random.uniform(-shear, shear, (3, 3)), 1) * (random.uniform() < 0.5)
            turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
            affine = turn @ np.diag(stretches) @ (np.eye(3) + upper) / np.cbrt(stretches.prod())
            x = (grid.p.T + moves) @ affine.T
            vertices = x[grid.t.T]
            determinants = np.linalg.det(jacobian(vertices, corners)) * np.sign(np.linalg.det(affine))
            determinants *= np.sign(determinants.mean())
            if determinants.min() > _LEAST_JACOBIAN * determinants.mean():
                break
        left, _, right = np.linalg.svd(affine)
        nodes[i, : len(x)], used[i, : len(x)], cells[i], frames[i] = x, True, grid.t.T, left @ right
    return Patches(nodes, cells, used, frames, poisson)


def _states(poisson):
    """A (n, 9, 3, 3, 3) of u_i = A_ijk x_j x_k / 2: bending σ_ii = x_j for i ≠ j, and three twists."""
    tensors = np.zeros((len(poisson), STATES, 3, 3, 3))
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    for s, (i, j) in enumerate(pairs):
        k, t = 3 - i - j, tensors[:, s]
        t[:, i, i, j] = t[:, i, j, i] = 1.0
        t[:, j, i, i] = -1.0
        t[:, j, j, j] = t[:, k, j, k] = t[:, k, k, j] = -poisson
        t[:, j, k, k] = poisson
    for s, factors in enumerate(((1, -1, 0), (0, 1, -1), (1, 1, 1))):
        for i, factor in enumerate(factors):
            j, k = (m for m in range(3) if m != i)
            tensors[:, 6 + s, i, j, k] = tensors[:, 6 + s, i, k, j] = factor
    return tensors


def exact_states(patches: Patches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodal forces and exact displacements (n, 9, 108) of the states, and rigid motions (n, 108, 6), orthonormal.

    Forces do unit work on their displacements; displacements are free of rigid motions.
    """
    n = len(patches.nodes)
    x = patches.nodes[np.arange(n)[:, None, None], patches.cells].reshape(8 * n, 8, 3)
    points, weights = tensor_gauss(3, 3, 3)
    matrices = jacobian(x, points)
    volumes = weights * np.abs(np.linalg.det(matrices))
    slopes = np.einsum("akq,eqki->eqai", shape_gradients(points), np.linalg.inv(matrices))
    positions = np.einsum("aq,eai->eqi", shape_functions(points), x)
    each = volumes.reshape(n, -1)
    centres = np.einsum("nq,nqi->ni", each, positions.reshape(n, -1, 3)) / each.sum(axis=1)[:, None]
    positions -= np.repeat(centres, 8, axis=0)[:, None]
    turned = np.einsum(
        "nia,njb,nkc,nsabc->nsijk", *[patches.frames] * 3, _states(patches.poisson), optimize=True
    )  # fmt: skip
    gradients = np.einsum("esijk,eqk->eqsij", np.repeat(turned, 8, axis=0), positions)
    lmbda, mu = (np.repeat(c, 8)[:, None, None, None, None] for c in lame_parameters(np.ones(n), patches.poisson))
    traces = np.einsum("eqsii->eqs", gradients)[..., None, None] * np.eye(3)
    stresses = lmbda * traces + mu * (gradients + np.swapaxes(gradients, -1, -2))
    nodal = np.einsum("eqsij,eqaj,eq->esai", stresses, slopes, volumes, optimize=True).reshape(n, 8, STATES, 8, 3)
    work = np.einsum("eqsij,eqsij,eq->es", stresses, gradients, volumes, optimize=True).reshape(n, 8, -1).sum(axis=1)
    forces = np.zeros((n, STATES, NODES, 3))
    for cell in range(8):
        for a in range(8):
            forces[np.arange(n), :, patches.cells[:, cell, a]] += nodal[:, cell, :, a]
    relative = (patches.nodes - centres[:, None]) * patches.used[:, :, None]
    exact = 0.5 * np.einsum("nsijk,naj,nak->nsai", turned, relative, relative, optimize=True)
    scale = 1.0 / np.sqrt(work)[:, :, None]
    forces, exact = scale * forces.reshape(n, STATES, -1), scale * exact.reshape(n, STATES, -1)
    rigid = np.zeros((n, NODES, 3, 6))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        rigid[:, :, i, i] = patches.used
        rigid[:, :, j, 3 + i], rigid[:, :, k, 3 + i] = -relative[:, :, k], relative[:, :, j]
    rigid = np.linalg.qr(rigid.reshape(n, 3 * NODES, 6))[0]
    forces -= np.einsum("nsa,nak,nbk->nsb", forces, rigid, rigid, optimize=True)
    exact -= np.einsum("nsa,nak,nbk->nsb", exact, rigid, rigid, optimize=True)
    return forces, exact, rigid


@checked(formulation="unchecked")
def bending_errors(patches: Patches, formulation: Any = "standard") -> np.ndarray:
    """Bending error (n, 9) of every state on every patch with one of :data:`femnn.assembly.formulations.FORMULATIONS`.

    Examples
    --------
    >>> errors = bending_errors(distorted_patches(10, seed=0), "incompatible")
    >>> errors.shape
    (10, 9)
    """
    mesh = patches.mesh()
    poisson = np.repeat(patches.poisson, 8)
    matrix = assemble_elasticity(mesh, GaussLegendre(2), np.ones(len(poisson)), poisson, formulation=formulation)
    forces, exact, rigid = exact_states(patches)
    errors, first = np.empty((len(patches.nodes), STATES)), 0
    for i, used in enumerate(patches.used):
        size = 3 * used.sum()
        block, rows = matrix[first : first + size, first : first + size].toarray(), np.repeat(used, 3)
        first += size
        motions = rigid[i, rows]
        block += block.diagonal().max() * motions @ motions.T
        found = np.linalg.solve(block, forces[i][:, rows].T).T
        errors[i] = np.linalg.norm(found - exact[i][:, rows], axis=1) / np.linalg.norm(exact[i], axis=1)
    return errors
