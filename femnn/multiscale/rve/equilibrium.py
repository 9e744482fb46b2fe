"""The search for the equilibrium of a cell: Newton's method on the jumps of its cracks, and what helps it."""

from typing import NamedTuple

import numpy as np

from femnn.exceptions import FemnnError
from femnn.multiscale.rve.state import CellResponse, CellState
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, diverging, iterate

# Where residuals end, over the products they are sums of.
_ROUNDING = 1e-15

# Residuals over the forces of the cracks that are good enough where they fall no further.
_STAGNANT = 1e-9

# Stiffness that keeps loose blocks where they are, over that of the blocks themselves.
_LOOSE = 1e-12

# Lengths of a step that are tried, each this part of the one before.
_MOST_LENGTHS, _FACTOR = 5, 0.4

# Of Newton's method before the cell is relaxed as often.
_TRIES = 25


class HeldBySprings(NamedTuple):
    """Springs on entries (f,) of what drives a cell: loads (f,), Pa, and stiffnesses (f,)."""

    entries: np.ndarray
    load: np.ndarray
    stiffness: np.ndarray


class CellEquilibrium:
    """Blocks and cracks of a cell in equilibrium.

    Parameters
    ----------
    blocks : femnn.multiscale.rve.blocks.Blocks
    elements : femnn.InterfaceElements
        Of the cracks.
    law
        Of the cracks.
    rtol, max_iterations
        See :class:`femnn.multiscale.rve.rve.RVE`.
    """

    def __init__(self, blocks, elements, law, rtol, max_iterations) -> None:
        self._blocks, self._elements, self._law = blocks, elements, law
        self._rtol, self._max_iterations = rtol, max_iterations
        self._measure, self._n = blocks.cell.measure, blocks.n_jumps
        self._rigidity = np.abs(blocks.stiffness)
        self._places = self._pattern()

    def forces(self, x, pressure):
        """Forces of blocks and their first stress on jumps and on what drives the cell (n,); per metre in the plane.

        Of effective stresses: total ones plus the pore pressure, which is alike in blocks and cracks.
        """
        return self._blocks.stiffness @ x + self._blocks.force(pressure)

    def reach(self, separation, state, springs, pressure):
        """CellResponse of one part of a step; Diverged if there is no equilibrium.

        ``springs`` are :class:`HeldBySprings` of the entries of the separation that are not prescribed, with effective
        loads; ``pressure`` is that of the pores.
        """
        n, measure = self._n, self._measure
        held = n + springs.entries
        free = np.append(np.arange(n), held)

        def iterate_at(x):
            residual, *answer = self._evaluate(x, state.cracks, springs, pressure)
            return Iterate(x, residual, answer, np.linalg.norm(residual[free]))

        def is_solved(point, norms):
            forces = np.linalg.norm(point.response[1])
            # where rounding keeps it from falling further, it is small enough before
            stagnates = len(norms) > 1 and norms[-1] >= 0.5 * norms[-2] and norms[-1] <= _STAGNANT * forces
            return norms[-1] <= self._rtol * forces + self._rounding(point.x, pressure) or stagnates

        def advance(point, norms):
            # Newton's method circles about kinks of laws that soften there: relax for a while, then try it again
            relaxes = (len(norms) - 1) % (2 * _TRIES) >= _TRIES
            tangent = point.response[0].tangent
            matrix = self._matrix(_positive(tangent) if relaxes else tangent)
            matrix[held, held] += measure * springs.stiffness
            step = np.zeros(len(point.x))
            chosen = matrix[np.ix_(free, free)] if len(held) else matrix[:n, :n]
            step[free] = self._solved(chosen, point.residual[free])
            return search(
                lambda length: iterate_at(point.x - length * step),
                lambda tried: relaxes or tried.norm < point.norm,
                most=_MOST_LENGTHS,
                factor=_FACTOR,
            )

        start = iterate_at(self._begun(separation, state, springs, pressure))
        (x, _, (tried, _), *_), norms = iterate(start, is_solved, advance, self._max_iterations, "N/m")
        follow = self._following(self._matrix(tried.tangent))
        new = CellState(x, follow, tried.state, pressure)
        return CellResponse(self.traction(x, pressure), self.homogenised(follow), new, tried, len(norms) - 1, 0)

    def traction(self, x, pressure):
        """Homogenised effective traction (m,)."""
        return self.forces(x, pressure)[self._n :] / self._measure

    def _begun(self, separation, state, springs, pressure):
        """Start of the search for an equilibrium: jumps follow as they did before."""
        step, entries = separation - state.separation, springs.entries
        if len(entries):
            # what springs act on is as unknown as the jumps are
            tangent = self.homogenised(state.follow)
            step[entries] = 0.0
            stiffness = tangent[np.ix_(entries, entries)] + np.diag(springs.stiffness)
            if state.follow.any() and (np.linalg.eigvalsh(0.5 * (stiffness + stiffness.T)) > 0.0).all():
                lacking = springs.load - self.traction(state.x, pressure)[entries]
                lacking -= springs.stiffness * state.separation[entries] + tangent[entries] @ step
                step[entries] = np.linalg.solve(stiffness, lacking)
        return state.x + np.append(state.follow @ step, step)

    def _evaluate(self, x, cracks, springs, pressure):
        """Residual (n,), the response of the cracks and their force on the jumps; Diverged if they have none."""
        with diverging(FemnnError, ArithmeticError):
            tried = self._law.update(self._elements.separation(self._blocks.jumps(x)), cracks)
        residual = self.forces(x, pressure)
        force = self._blocks.work_of_jumps(self._elements.force(tried.traction))
        residual[: self._n] += force
        held = self._n + springs.entries
        residual[held] += self._measure * (springs.stiffness * x[held] - springs.load)
        if not (np.isfinite(residual).all() and np.isfinite(tried.tangent).all()):
            raise Diverged("the response of the cracks is not finite")
        return residual, tried, force

    def _rounding(self, x, pressure):
        return _ROUNDING * np.linalg.norm(self._rigidity @ np.abs(x) + np.abs(self._blocks.force(pressure)))

    def _matrix(self, tangent):
        """Stiffness (n, n) of blocks and cracks."""
        rows, entries = self._places
        n = self._n
        of_cracks = np.bincount(rows, self._elements.blocks(tangent).ravel()[entries], minlength=n * n)
        matrix = self._blocks.stiffness.copy()
        matrix[:n, :n] += of_cracks.reshape(n, n)
        return matrix

    def homogenised(self, follow):
        """Tangent (m, m) of a cell whose jumps follow the macro-separation so."""
        n, stiffness = self._n, self._blocks.stiffness[self._n :]
        return (stiffness[:, n:] + stiffness[:, :n] @ follow) / self._measure

    def _following(self, matrix):
        """Derivative (n_jumps, m) of the jumps by the macro-separation."""
        n = self._n
        matrix, right = matrix[:n, :n], -matrix[:n, n:]
        follow = self._solved(matrix, right)
        # what holds loose blocks in place is no part of the tangent
        return follow + self._solved(matrix, right - matrix @ follow)

    def _solved(self, matrix, right):
        """Solution of a dense system of the first unknowns."""
        loose = matrix.copy()
        # blocks between open cracks, or on sliding ones, have next to no stiffness of their own
        loose[np.diag_indices(len(loose))] += _LOOSE * self._blocks.stiffness.diagonal()[: len(loose)]
        with diverging(np.linalg.LinAlgError):
            solution = np.linalg.solve(loose, right)
        if not np.isfinite(solution).all():
            raise Diverged("the stiffness of the cell is singular")
        return solution

    def _pattern(self):
        """Places in the matrix of the jumps of entries of the elements' matrices, and which entries go there."""
        jumps = self._blocks.jump_of_dof
        rows = np.repeat(jumps[self._elements.dofs], self._elements.dofs.shape[1], axis=1).ravel()
        columns = np.tile(jumps[self._elements.dofs], self._elements.dofs.shape[1]).ravel()
        entries = np.flatnonzero((rows >= 0) & (columns >= 0))
        return self._n * rows[entries] + columns[entries], entries


def _positive(tangent):
    """Symmetric positive definite tangents (n, 3, 3) of the same size."""
    sizes, modes = np.linalg.eigh(0.5 * (tangent + tangent.transpose(0, 2, 1)))
    sizes = np.maximum(np.abs(sizes), 1e-3 * np.abs(sizes).max(axis=1, keepdims=True))
    return np.einsum("nij,nj,nkj->nik", modes, sizes, modes)
