"""Least-squares Petrov-Galerkin: coefficients that make the residual of the full problem least.

Where a tangent is not symmetric, Galerkin's projection minimises nothing and may be unstable. Here the test functions
are W = K V, the derivative of the residual, so that Wᵀ R = 0 is the condition for the least ‖R‖² over what is free (K.
Carlberg, C. Bou-Mosleh, C. Farhat, IJNME 86 (2011) 155-181). Hyper-reduction sums Wᵀ R over chosen cells, with test
functions that are exact there (S. Grimberg, C. Farhat, R. Tezaur, C. Bou-Mosleh, IJNME 122 (2021) 1846-1874): these
need the tangents of the neighbours, too.
"""

from typing import ClassVar

import numpy as np

from femnn.quadrature.fixed import FixedGroups
from femnn.quadrature.rule import CellGroup, Rule
from femnn.reduced.forms import FormProblem
from femnn.reduced.integrands import FormIntegrands
from femnn.solvers.nonlinear.equilibrium import Equilibrium


class Balance(Equilibrium):
    """Equilibrium of a problem that knows its load itself: residuals are measured by what cancels in them."""

    def measure(self, *forces):
        return max(super().measure(*forces), self.problem.size)


class LeastSquaresCells:
    """Forms on chosen cells, tested by the derivative of the residual, which their neighbours add to.

    Attributes
    ----------
    size : float
        Norm of the larger of internal and external forces, tested, at the last evaluation.
    """

    def __init__(self, problem, basis, rule, force) -> None:
        self.problem, dofs = problem.on_cells(FixedGroups(problem.groups) if rule is None else rule)
        self.around, around = problem.on_cells(_Around(problem, dofs))
        self.inside = np.searchsorted(around, dofs)
        self.modes, self.offset = basis.modes[around], basis.offset[around]
        # reactions are no part of the residual
        self.is_free = ~np.isin(dofs, basis.fixed)
        self.force = force[dofs] * _shares(self.problem, problem, dofs)
        self.cells = sum(part.nelems for part in self.problem.bases)
        self.states, self.evaluations, self.size, self.t = np.empty((0, 0)), 0, 0.0, 1.0

    def __repr__(self) -> str:
        return f"least squares of forms in {self.cells} cells"

    def reset(self):
        """There is nothing to remember."""

    commit = rollback = reset

    def evaluate(self, q, tangent):
        self.evaluations += self.cells
        u = self.offset + self.modes @ q
        tests = self.around.derivative(u) @ self.modes
        tests = tests[self.inside] * self.is_free[:, None]
        own = u[self.inside]
        internal, external = tests.T @ self.problem.internal_force(own), self.t * (tests.T @ self.force)
        self.size = max(float(np.linalg.norm(internal)), float(np.linalg.norm(external)))
        if not tangent:
            return internal - external, None
        return internal - external, tests.T @ (self.problem.derivative(own) @ self.modes[self.inside])


class LeastSquaresIntegrands(FormIntegrands):
    """Shares of cells in the tested forces, internal and external, and in the matrix of the least squares."""

    def __init__(self, problem, basis, by, force) -> None:
        super().__init__(problem, basis.modes, by)
        self.count = basis.r * (basis.r + 2)
        self.force = force / np.maximum(_counts(problem, np.arange(problem.n_dofs)), 1)
        self.is_free = np.ones(problem.n_dofs)
        self.is_free[basis.fixed] = 0.0
        # columns of the matrix are weighed by how far its coefficients go
        spread = np.maximum(np.abs(basis.low), np.abs(basis.high))
        self.scales = np.maximum(spread, 1e-3 * spread.max())

    def rows(self, states):
        return np.stack([self._at(u) for u in states.T])

    def tangents(self, states):
        """The forces are measured as they are: what they move is not their inverse tangent."""

    def _at(self, u):
        tests = (self.problem.derivative(u) @ self.modes) * self.is_free[:, None]
        r = tests.shape[1]
        result, start = np.empty((r * (r + 2), len(self.volumes))), 0
        parts = zip(self.problem.contributions(u), self.problem.cell_tangents(u), self.problem.bases, strict=True)
        for forces, tangents, basis in parts:
            dofs, end = basis.element_dofs.T, start + basis.nelems  # (cells, functions)
            at = tests[dofs]
            turned = np.einsum("cij,cjr->cir", tangents, self.modes[dofs] * self.scales)
            result[:r, start:end] = np.einsum("cir,ci->rc", at, forces)
            result[r : 2 * r, start:end] = np.einsum("cir,ci->rc", at, self.force[dofs])
            result[2 * r :, start:end] = np.einsum("cir,cis->rsc", at, turned).reshape(r * r, -1)
            start = end
        return result


class _Around(Rule):
    """The points of a problem in all cells that touch some degrees of freedom."""

    cell_kinds = FixedGroups.cell_kinds
    leaves_out: ClassVar[bool] = True

    def __init__(self, problem: FormProblem, dofs: np.ndarray) -> None:
        self._kept = []
        for group, basis in zip(problem.groups, problem.bases, strict=True):
            touches = np.isin(basis.element_dofs, dofs).any(axis=0)
            X = group.X if group.X.ndim == 2 else group.X[:, touches]
            W = group.W if group.W.ndim == 1 else group.W[touches]
            if touches.any():
                self._kept.append(CellGroup(group.cells[touches], X, W))

    def _groups(self, hexahedra):
        return self._kept


def _counts(problem, dofs):
    """How many cells each of ``dofs`` (k,) of a problem has."""
    all_dofs = np.concatenate([basis.element_dofs.ravel() for basis in problem.bases])
    return np.bincount(all_dofs, minlength=problem.n_dofs)[dofs]


def _shares(part, whole, dofs):
    """Sum of the weights of the cells at each degree of freedom of ``part``, over the number of all cells there."""
    volumes = np.zeros(whole.mesh.nelements)
    for basis in whole.bases:
        volumes[basis.tind] = basis.dx.sum(axis=1)
    sums = np.zeros(part.n_dofs)
    for basis in part.bases:
        factors = np.tile(basis.dx.sum(axis=1) / volumes[basis.tind], basis.Nbfun)
        sums += np.bincount(basis.element_dofs.ravel(), factors, part.n_dofs)
    return sums / _counts(whole, dofs)
