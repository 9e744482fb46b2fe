"""What a cubature has to integrate: the internal forces of a problem, projected on its modes, candidate by candidate.

Candidates are the points of a rule, or the cells, each with its share of all integrals.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from femnn.checks import brief, called, floats
from femnn.exceptions import ParameterError
from femnn.geometry.cells import HEXAHEDRON, QUADRILATERAL, determinants, kind_of_array
from femnn.geometry.cells import cells as cells_of
from femnn.quadrature.rule import CellGroup
from femnn.reduced import fingerprint
from femnn.reduced.forms import FormProblem
from femnn.solids.solid import Solid


def integrands_of(problem: Any, modes: np.ndarray, by: str, state: np.ndarray) -> "Integrands":
    """The integrands of a problem, or of a function ``problem(u)`` that gives them, tried at a ``state`` (n,)."""
    if isinstance(problem, Solid):
        return SolidIntegrands(problem, modes, by)
    if isinstance(problem, FormProblem):
        return FormIntegrands(problem, modes, by)
    if callable(problem):
        return GivenIntegrands(problem, by, state)
    raise ParameterError(
        f"the problem is {brief(problem)}; pass a femnn.Solid, a femnn.reduced.FormProblem or a function of a state "
        "that gives the integrals (k, cells) of each cell"
    )


class Integrands(ABC):
    """Integrals of all candidates at given states.

    Attributes
    ----------
    groups : list of CellGroup
        Of the rule; candidates follow each other in their order.
    volumes : (candidates,)
    mesh_cells : (n, nodes, dim), or None
        What the rule will be asked about.
    law, rule : str
        Fingerprints.
    count : int
        Integrals of a candidate at a state.
    """

    count: int
    groups: list[CellGroup]
    volumes: np.ndarray
    mesh_cells: np.ndarray | None = None
    law = rule = ""

    def begin(self):  # noqa: B027 - most integrands have no past
        """Forget the past of all points: a new path."""

    @abstractmethod
    def rows(self, states):
        """Integrals (states, k, candidates) at columns of states (n, states)."""

    def tangents(self, states):  # noqa: B027 - not all have them
        """Reduced tangents (states, k, k) at these columns, or None."""


class SolidIntegrands(Integrands):
    """Virtual work of the stresses of a solid on the strains of the modes."""

    def __init__(self, solid, modes, by) -> None:
        require_one_law_at_points(solid)
        self.solid, self.modes, self.by, self.count = solid, modes, by, modes.shape[1]
        self.groups, self.mesh_cells = solid.groups, solid.discretisation.hexahedra
        self.volumes_of_points = volumes(self.mesh_cells, self.groups)
        self.volumes = self._gathered(self.volumes_of_points)
        self.law, self.rule = fingerprint.of_law(solid.law), fingerprint.of_groups(solid.groups)
        self.virgin = [state.copy() for state in solid.states]
        self.has_memory = any(state.size for state in self.virgin)

    def begin(self):
        if self.has_memory:
            self.solid.restore(self.virgin)

    def rows(self, states):
        stresses = []
        for u in states.T:
            stresses.append(_flat(self.solid.stresses(u)))
            self._commit(u)
        result = np.empty((states.shape[1], self.modes.shape[1], len(self.volumes)))
        for j, mode in enumerate(self.modes.T):
            strain = _flat(self.solid.strains(mode))
            for s, stress in enumerate(stresses):
                result[s, j] = self._gathered(np.einsum("pk,pk->p", stress, strain) * self.volumes_of_points)
        return result

    def tangents(self, states):
        # laws with memory have the tangent of a step, not of a state
        if self.has_memory:
            return None
        return np.stack([self.modes.T @ (self.solid.residual_and_tangent(u)[1] @ self.modes) for u in states.T])

    def _commit(self, u):
        if self.has_memory:
            self.solid.internal_force(u)
            self.solid.commit()

    def _gathered(self, values):
        return values if self.by == "points" else _per_cell(values, self.groups)


def require_one_law_at_points(solid: Solid) -> None:
    """Raise ParameterError unless the stress of the solid at a point depends on the strain and state there alone."""
    reason = None
    if solid.formulation != "standard":
        reason = f"has formulation={solid.formulation!r}, whose strains are not those of single points"
    elif kind_of_array(solid.discretisation.hexahedra) not in (HEXAHEDRON, QUADRILATERAL):
        reason = f"is made of cells of a {type(solid.points).__name__}, and such with straight edges are needed"
    elif isinstance(solid.law, Mapping):
        reason = f"has {len(solid.law)} laws"
    elif conditions := getattr(solid.law, "conditions", ()):
        reason = f"has a law that depends on {' and '.join(conditions)}"
    if reason:
        raise ParameterError(
            f"the solid {reason}: reduced models take one law of strain and state, with formulation='standard'"
        )


class FormIntegrands(Integrands):
    """Internal forces of the cells of a form."""

    def __init__(self, problem, modes, by) -> None:
        if by != "cells":
            raise ParameterError("forms of scikit-fem are integrated cell by cell; pass by='cells'")
        self.problem, self.modes, self.groups, self.count = problem, modes, problem.groups, modes.shape[1]
        self.mesh_cells = cells_of(problem.mesh)
        self.volumes = np.concatenate([basis.dx.sum(axis=1) for basis in problem.bases])
        self.law = fingerprint.of_forms(problem.residual, problem.parameters)
        self.rule = fingerprint.of_groups(problem.groups)

    def rows(self, states):
        result = np.empty((states.shape[1], self.modes.shape[1], len(self.volumes)))
        for s, u in enumerate(states.T):
            start = 0
            for force, basis in zip(self.problem.contributions(u), self.problem.bases, strict=True):
                at = self.modes[basis.element_dofs]  # (functions, cells, r)
                result[s, :, start : start + len(force)] = np.einsum("cf,fcr->rc", force, at)
                start += len(force)
        return result

    def tangents(self, states):
        return np.stack([self.modes.T @ (self.problem.residual_and_tangent(u)[1] @ self.modes) for u in states.T])


class GivenIntegrands(Integrands):
    """What a function of the user gives for each cell."""

    def __init__(self, function, by, state) -> None:
        if by != "cells":
            raise ParameterError("integrals that a function gives are those of cells; pass by='cells'")
        shape = np.shape(called("the function of the integrals", function, state))
        self.function, self.volumes = function, np.ones(shape[-1:] or 0)
        self.count = shape[0] if len(shape) == 2 else 1
        self.groups = [CellGroup(np.arange(len(self.volumes)), np.full((1, 1), 0.5), np.ones(1))]
        self.law = getattr(function, "__name__", type(function).__name__)

    def rows(self, states):
        found = []
        for u in states.T:
            values = floats("the integrals", called("the function of the integrals", self.function, u))
            if values.ndim != 2 or values.shape[1] != len(self.volumes):
                raise ParameterError(
                    f"the function of the integrals gives shape {values.shape}; expected is (k, {len(self.volumes)}), "
                    "a row for each integral and a column for each cell"
                )
            found.append(values)
        return np.stack(found)


def volumes(hexahedra, groups):
    """|det J| times the weight at all points, group after group."""
    parts = []
    for group in groups:
        x = hexahedra[group.cells]
        if group.X.ndim == 2:
            jacobians = determinants(x, group.X)
        else:
            kind = kind_of_array(x)
            gradients = kind.gradients(group.X.reshape(kind.dim, -1)).reshape(*x.shape[1:], *group.X.shape[1:])
            jacobians = np.linalg.det(np.einsum("eni,njeq->eqij", x, gradients))
        parts.append((np.abs(jacobians) * group.W).ravel())
    return np.concatenate(parts)


def _flat(values):
    """Arrays (m, nqp, ...) of groups as one (points, numbers)."""
    return np.concatenate([array.reshape(array.shape[0] * array.shape[1], -1) for array in values])


def _per_cell(values, groups):
    """Sums over the points of each cell, in the order of the groups."""
    sums, start = [], 0
    for group in groups:
        sums.append(values[start : start + group.n_points].reshape(len(group.cells), -1).sum(axis=1))
        start += group.n_points
    return np.concatenate(sums)
