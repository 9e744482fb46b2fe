"""The rules that the benchmarks compare, a line each, and what they make of single elements."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import skfem

import femnn
from femnn.integration import stiffness_error
from femnn.integration.convergence import CONVERGED, errors_and_reference

_CHUNK = 4096

# Displacement gradients of the six constant strains.
_STRAINS = np.array([np.eye(3)[[i]].T @ np.eye(3)[[j]] for i in range(3) for j in range(i, 3)])


class Candidate(NamedTuple):
    """One rule of a comparison.

    Attributes
    ----------
    name
    rule
        Called with Poisson's ratio.
    hourglass
        Called without arguments, gives what ``femnn.assemble_elasticity`` takes under this name; None for a plain rule.
        It serves isotropic linear elasticity alone.
    learned
        Whether networks choose points or weights.
    """

    name: str
    rule: Callable
    hourglass: Callable | None = None
    learned: bool = True

    def assembly(self, poisson):
        """Function of a mesh, Young's modulus and more arguments that gives its stiffness matrix."""
        rule, more = self.rule(poisson), {"hourglass": self.hourglass()} if self.hourglass else {}

        def assemble(mesh, young, **options):
            return femnn.assemble_elasticity(mesh, rule, young, poisson, **more, **options)

        return assemble


def _gauss(n):
    return Candidate(f"{n}×{n}×{n} Gauss", lambda poisson: femnn.GaussLegendre(n), learned=False)


def _adaptive(tol):
    return Candidate(f"AdaptiveGauss({tol:g})", lambda poisson: femnn.AdaptiveGauss(tol, poisson=poisson))


#: All of them, by the points that they take.
CANDIDATES = [
    _gauss(1),
    _gauss(2),
    Candidate("CorrectedGauss()", lambda poisson: femnn.CorrectedGauss()),
    Candidate("MovedGauss()", lambda poisson: femnn.MovedGauss()),
    Candidate("MovedGauss(patch=True)", lambda poisson: femnn.MovedGauss(patch=True)),
    Candidate("2×2×2 and hourglass", lambda poisson: femnn.GaussLegendre(2), hourglass=femnn.HourglassCorrection),
    _adaptive(1e-1),
    Candidate("Irons, 14 points", lambda poisson: femnn.Irons(), learned=False),
    _adaptive(1e-2),
    _gauss(3),
    Candidate("CorrectedGauss(3, patch)", lambda poisson: femnn.CorrectedGauss(3, patch=True)),
    _adaptive(1e-3),
    _adaptive(1e-4),
    _gauss(4),
]


def chosen(names):
    """The candidates of these names, or all if there are none."""
    return [candidate for candidate in CANDIDATES if not names or candidate.name in names]


def separate(hexahedra):
    """A mesh of the elements (n, 8, 3) that share no vertex: the rows of its matrix are those of the elements."""
    n = len(hexahedra)
    return skfem.MeshHex(
        np.ascontiguousarray(hexahedra.reshape(-1, 3).T), np.ascontiguousarray(np.arange(8 * n).reshape(n, 8).T)
    )


def element_matrices(hexahedra, assemble):
    """Stiffness (n, 24, 24) for young=1 of each element, row 3a + i, as :meth:`Candidate.assembly` gives it."""
    return assemble(separate(hexahedra), 1.0).data.reshape(len(hexahedra), 24, 24)


class References:
    """Elements with their converged stiffness.

    Attributes
    ----------
    hexahedra : (n, 8, 3)
    poisson
    gauss : (n, 3)
        Errors of 1×1×1, 2×2×2 and 3×3×3 Gauss points.
    doubt : (n,)
        By how much the last rules of the walk to convergence still differ.
    unsettled : int
        Elements so nearly folded that this is more than round-off.
    """

    def __init__(self, hexahedra, poisson=0.3):
        self.hexahedra, self.poisson = hexahedra, poisson
        self.gauss, self._matrices, self.doubt = errors_and_reference(hexahedra, 3, poisson)
        self.unsettled = int((self.doubt > CONVERGED).sum())

    def compare(self, candidate):
        """Error (n,) of each element, and the worst of their forces under constant strain, relative: the patch test."""
        assemble, errors, patch = candidate.assembly(self.poisson), [], 0.0
        for start in range(0, len(self.hexahedra), _CHUNK):
            part = slice(start, start + _CHUNK)
            own, x = self._matrices[part], self.hexahedra[part]
            found = element_matrices(x, assemble)
            errors.append(stiffness_error(found, own))
            patch = max(patch, _patch_test(x, found, own))
        return np.concatenate(errors), patch


def _patch_test(hexahedra, found, exact):
    """Largest relative error of the nodal forces, (n, 24, 24) each, that balance a constant strain."""
    # from the centre, so that far from the origin nothing cancels
    x = hexahedra - hexahedra.mean(axis=1, keepdims=True)
    fields = np.einsum("sij,eaj->eais", _STRAINS, x).reshape(len(x), 24, 6)
    forces = exact @ fields
    missed = np.abs(found @ fields - forces).max(axis=(1, 2))
    return float((missed / np.abs(forces).max(axis=(1, 2))).max())
