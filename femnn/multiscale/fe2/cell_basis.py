"""What a reduced cell is made of: modes of its fluctuations, and points of its interface."""

from collections.abc import Mapping

import numpy as np

from femnn.exceptions import ParameterError
from femnn.multiscale.fe2.images import cell_images, images_of
from femnn.reduced.pod import POD
from femnn.reduced.selection import point_weights
from femnn.reduced.snapshots import Snapshots

#: Random combinations of the integrals for each mode, of the solid and of the interface each; some five points for each
#: mode are chosen.
COMBINATIONS = 30

#: Displacements of the corners that are further off, over those of the strain, are those of another one.
OTHER = 1e-6


def require_driven(cell, columns, strains):
    """Raise unless displacements, in columns, are those of strains; fluctuations vanish at the corners."""
    corners = cell.corner_dofs
    expected = cell.affine[corners] @ strains.T
    away = np.abs(columns[corners] - expected).max(axis=0) > OTHER * np.abs(expected).max()
    if away.any():
        raise ParameterError(
            f"snapshot {int(np.flatnonzero(away)[0])} and {np.count_nonzero(away) - 1} others are not of these "
            "strains; pass the paths that were recorded, in their order"
        )


def imaged(cell, columns, paths, count):
    """Displacements and strains of ``count`` images of each path, and snapshots of one of them each."""
    known = cell_images(cell, paths.reshape(-1, 6)[np.linalg.norm(paths, axis=2).argmax()])
    rng, steps, found, learned = np.random.default_rng(0), paths.shape[1], [], Snapshots(cell.solid)
    for k, path in enumerate(paths):
        drawn = rng.choice(len(known), min(count, len(known)), replace=False)
        own = columns[:, k * steps : (k + 1) * steps]
        found += [images_of(cell, known[number], own, path) for number in drawn]
        learned.begin()
        for t, u in enumerate(found[-1][0].T, start=1):
            learned.append(u, t=float(t))
    moved, strains = zip(*found, strict=True)
    return np.concatenate(moved, axis=1), np.concatenate(strains), learned


def basis_of(cell, columns, strains, modes, energy, known_by):
    """The POD of unit strains, which lift, and fluctuation modes of unit mean strain; and its error of projection."""
    if isinstance(cell.solid.law, Mapping):
        raise ParameterError(
            "the cell has a law for each subdomain; reduced cells take one law, whose parameters may be arrays with "
            "one number for each element"
        )
    corners, columns = cell.corner_dofs, columns - cell.affine @ strains.T
    # elastic energy, so that a mode of unit norm is as much as a unit strain; that of the sound interface is a part of
    # it, or an inclusion that came off could slide and turn without any
    elastic = cell.virgin_tangent()
    unit = float(np.trace(cell.affine.T @ (elastic @ cell.affine))) / 6.0
    fluctuations = POD.fit(columns, elastic / unit, modes, energy, fixed=corners)
    both = np.concatenate([cell.affine, fluctuations.modes], axis=1)
    coefficients = np.concatenate([strains.T, fluctuations.project(columns)])
    basis = POD(
        both,
        fluctuations.singular_values,
        np.zeros(len(both)),
        corners,
        coefficients.min(axis=1),
        coefficients.max(axis=1),
        n_lifting=6,
        inner=elastic / unit,
        errors=fluctuations.errors,
        fingerprint=known_by,
    )
    return basis, fluctuations.errors["projection"]


class Joints:
    """Points of the interface that integrate the work of the tractions on the modes."""

    def __init__(self, jumps=None, areas=None, residual=0.0) -> None:
        self.jumps, self.areas, self.residual = jumps, areas, residual

    @classmethod
    def of(cls, cell, basis, snapshots, tol, progress):
        elements = cell.elements
        if elements is None:
            return cls()
        modes = np.stack([elements.separation(mode) for mode in basis.modes.T], axis=2)
        areas = elements.dx.ravel()

        def works():
            path = None
            for snapshot in snapshots:
                if snapshot.path != path:
                    path, state = snapshot.path, cell.cohesive.initial_state(elements.points)
                traction, _, state = cell.cohesive.update(modes @ basis.project(snapshot.u), state)
                yield np.einsum("pi,pir,p->rp", traction, modes, areas)

        found = point_weights(works(), areas, combinations=COMBINATIONS * basis.r, tol=0.4 * tol, progress=progress)
        return cls(modes[found.chosen], found.weights * areas[found.chosen], found.residual)
