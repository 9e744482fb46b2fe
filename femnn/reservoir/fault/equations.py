"""The equations of one time step of a reservoir with a fault: residual and tangent of body and points together."""

from typing import Any

import numpy as np
from scipy.sparse import block_diag, bsr_array, csr_array

from femnn.reservoir.fault.points import FaultPoints
from femnn.reservoir.problem import PorousProblem


class StepEquations:
    """Forces and volumes out of balance at the end of an implicit Euler step.

    Parameters
    ----------
    points : FaultPoints
    porous : PorousProblem
        On the split mesh.
    mass : (n_u, n_u) sparse or None
        Of the rock; None leaves each step in equilibrium.
    """

    def __init__(self, points: FaultPoints, porous: PorousProblem, mass: csr_array | None) -> None:
        self.points, self.porous, self.mass = points, porous, mass
        self._porous_tangent: tuple[tuple, Any] = ((), None)

    def evaluate(self, x, state, dt):
        """Residual (n,) and :class:`PointResponse` at the unknowns ``x`` a step ``dt`` after ``state``."""
        response = self._respond(x, state, dt)
        return self.porous.residual(x, state, dt) + self._summed(self._added(x, response, state, dt)), response

    def _respond(self, x, state, dt):
        points = self.points
        points.law.set_time(state.t + dt)
        return points.respond(points.strains(x), points.strains(state.x), state.history, dt)

    def _added(self, x, response, state, dt):
        """What fault and inertia add to the residual of the body."""
        points = self.points
        added = points.operator.T @ (response.force * points.dx[:, None]).ravel()
        if self.mass is not None:
            n_u = self.porous.n_u
            added[:n_u] += self.mass @ ((x[:n_u] - state.u) / dt - state.velocity) / dt
        if response.conductance.any():
            added += points.gained_along(points.flows_along(x, response.conductance), dt)
        return added

    def _summed(self, added):
        """Over the whole body, of what this process adds."""
        return added

    def tangent(self, x, response, state, dt):
        """Derivative (n, n) of the residual where the points answered ``response``."""
        return csr_array(self.of_body(state, dt) + self.of_fault(x, response, dt))

    def of_body(self, state, dt):
        """The part of the tangent that a step's length and open wells determine, kept until they change."""
        made_for = dt, self.porous.open_wells(state.t, dt)
        if self._porous_tangent[0] != made_for:
            tangent = self.porous.tangent(dt, state.t + dt)
            if self.mass is not None:
                empty = csr_array((tangent.shape[0] - self.porous.n_u,) * 2)
                tangent = tangent + csr_array(block_diag([self.mass / dt**2, empty]))
            self._porous_tangent = made_for, tangent
        return self._porous_tangent[1]

    def of_fault(self, x, response, dt):
        """The part of the tangent that the points of the fault answer for."""
        points = self.points
        blocks = response.tangent * points.dx[:, None, None]
        n = len(blocks)
        middle = bsr_array((blocks, np.arange(n), np.arange(n + 1)), shape=(points.operator.shape[0],) * 2)
        tangent = points.operator.T @ (middle @ points.operator)
        along = points.tangent_along(x, response, dt)
        return csr_array(tangent if along is None else tangent + along)

    def held_stiffness(self, tangent):
        """Of what the law's tangents (points, 3, 3) hold, (n_u, n_u): positive, whatever weakens or rubs.

        The friction of faces that slide couples the shear to the compression one way, which makes the symmetric part of
        the tangent indefinite; GMRES takes a triangle into account by itself.
        """
        points, n_u = self.points, self.porous.n_u
        held = 0.5 * (tangent + tangent.swapaxes(1, 2)) * points.dx[:, None, None]
        held[:, 0, 1:] = held[:, 1:, 0] = 0.0
        values, axes = np.linalg.eigh(held)
        held = np.ascontiguousarray((axes * np.maximum(values, 0.0)[:, None, :]) @ axes.swapaxes(1, 2))
        width, count = points.width, np.arange(points.points)
        rows = (width * count[:, None] + np.arange(3)).ravel()
        separations = csr_array(points.operator[rows][:, :n_u])
        blocks = bsr_array((held, count, np.arange(points.points + 1)), shape=(len(rows), len(rows)))
        return csr_array(separations.T @ (blocks @ separations))
