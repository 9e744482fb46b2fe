"""Newton's method for time steps of reservoirs with faults, and what it says of a step that it cannot solve."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from femnn.exceptions import ConvergenceError, LawError, SingularMatrixError
from femnn.reservoir.fault.equations import StepEquations
from femnn.reservoir.fault.stability import StabilityMeasure
from femnn.solvers.linear.saddle_iteration import TangentIteration
from femnn.solvers.linear.saddle_point import FEW_OF_SADDLE, Constraint, Factor
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, iterate

# Relative residual that is a solution; iterations go on as long as they gain, because mass balances want all digits.
_ENOUGH = 1e-9

# Relative residual at which Newton's method ends where its corrections are iterated themselves.
_ITERATED = 1e-12

# The factors of an iteration serve the next where it gains this much.
_GAIN = 1e-3

_MOST_LENGTHS = 5


class ReservoirNewton(ABC):
    """Solves the equations of time steps, along facets or through cells, by factors that serve as long as they help.

    Parameters
    ----------
    equations
        Their ``evaluate(x, state, dt)`` gives the residual and a response, ``tangent(x, response, state, dt)`` its
        derivative.
    constraint : Constraint
        Of all unknowns.
    n_stiff : int
        Number of unknowns that forces belong to, the first of them.
    """

    def __init__(self, equations: Any, constraint: Constraint, n_stiff: int) -> None:
        self._equations, self._constraint, self._n_stiff = equations, constraint, n_stiff

    def solve(self, x, state, dt, max_iterations):
        """Unknowns, response and number of iterations of the step, where rounding stops Newton's method."""
        last = None

        def iterate_at(x, out, response):
            return Iterate(x, out, response, self._norm(scale, out), size)

        def is_solved(point, errors):
            if errors[-1] == 0.0 or (errors[-1] <= _ENOUGH and _gain(errors) > 0.5) or self._is_enough(errors[-1]):
                return True
            # what stalls above is no equilibrium, however little is missing
            return len(errors) > max_iterations and errors[-1] <= _ENOUGH

        def advance(point, errors):
            nonlocal factor, last
            last = point.response
            if _gain(errors) > _GAIN:
                factor = self._factored(point.x, point.response, state, dt)
            step = -self._correction(factor, point.residual)

            def evaluate(length):
                x = point.x + length * step
                return iterate_at(x, *self._tried(x, state, dt))

            return search(evaluate, lambda tried: tried.norm <= point.norm, most=_MOST_LENGTHS)

        try:
            out, response = self._tried(x, state, dt)
            factor = self._factored(x, response, state, dt)
            scale = factor.scale
            # not of the displacements found, by which a runaway would measure itself
            size = self._norm(scale, out) + self._size(x, factor)
            start = iterate_at(x, out, response)
            point, errors = iterate(start, is_solved, advance, max_iterations, "of the forces and volumes")
        except Diverged as cause:
            raise ConvergenceError(
                f"the step to t = {state.t + dt:.6g} s (dt = {dt:.6g} s) did not converge: after "
                f"{max(len(cause.residuals) - 1, 0)} iterations {cause}{_missing(cause.residuals)}{self._advice(last)}",
                state,
                np.array(cause.residuals),
                state.t,
            ) from cause
        return point.x, point.response, len(errors) - 1

    def _norm(self, scale, out):
        """Of what is free of a residual, in the scale of its rows."""
        return np.linalg.norm(scale * self._constraint.reduce(out))

    def _correction(self, factor, residual):
        """Of all unknowns."""
        return self._constraint.matrix @ factor.correction(self._constraint.reduce(residual))

    def _everywhere(self, holds):
        """Whether something holds in the whole body, of which this process has a part."""
        return holds

    def _tried(self, x, state, dt):
        """As the equations evaluate; Diverged where there is no answer."""
        if not self._everywhere(np.isfinite(x).all()):
            raise Diverged("the correction is not finite")
        try:
            return self._equations.evaluate(x, state, dt)
        except (LawError, ConvergenceError) as error:
            raise Diverged(f"the law of the fault has no answer on the way: {error}") from error

    def _factored(self, x, response, state, dt):
        """As :meth:`_factor`; Diverged where nothing holds the body."""
        tangent = self._equations.tangent(x, response, state, dt)
        try:
            return self._factor(tangent, response)
        except SingularMatrixError as error:
            raise Diverged(f"nothing holds the body any more: {error}") from error

    def _size(self, x, factor):
        """Scales of the residuals: stresses in situ, and all that is summed up in a residual."""
        scale = factor.scale
        free = factor.constraint.reduce(np.abs(x))
        return self._norm(scale, self._borne()) + np.linalg.norm(scale * (abs(factor.matrix) @ free))

    # what a kind of fault says for itself

    def _factor(self, tangent, response):
        """What solves with a tangent."""
        return Factor.of(tangent, self._constraint, self._n_stiff)

    def _is_enough(self, error):
        """Whether no smaller relative residual can be had."""
        return False

    @abstractmethod
    def _borne(self):
        """Sizes of the forces in situ, of all unknowns."""

    def _advice(self, response):
        """What a step that did not converge tells of its last response, None if there is none."""
        return "; take a shorter step, as femnn.reservoir.march does by itself"


class StepNewton(ReservoirNewton):
    """Solves the equations of time steps with faults along facets.

    Parameters
    ----------
    equations : StepEquations
    method
        As :class:`femnn.reservoir.fault.FaultedReservoir` takes it.

    Attributes
    ----------
    iteration : TangentIteration or None
        That solved the linear systems of the last step, where they are iterated.
    """

    def __init__(self, equations: StepEquations, method: str) -> None:
        self._points, self._porous = equations.points, equations.porous
        super().__init__(equations, self._porous.constraint, self._porous.n_u)
        is_large = len(self._points.x) == 3 and self._porous.constraint.matrix.shape[1] > FEW_OF_SADDLE
        self._iterates = method == "gmres" or (method == "auto" and is_large)
        self._measure: StabilityMeasure | None = None
        self.iteration: TangentIteration | None = None

    def solve(self, x, state, dt, max_iterations):
        """As :meth:`ReservoirNewton.solve`."""
        # a step depends on nothing but its state, so that runs go on from files as they would have without
        self.iteration = None
        return super().solve(x, state, dt, max_iterations)

    def _is_enough(self, error):
        return self._iterates and error <= _ITERATED

    def _advice(self, response):
        stability = None if response is None else self.stability(response.tangent[:, :3, :3])
        if stability is None:
            return ""
        told = f"; the smallest eigenvalue of rock and fault over those of bonded rock is {stability.smallest:.3g}"
        if stability.negative:
            told += (
                f", {stability.negative} of them negative: the fault weakens faster than the rock unloads and slips "
                "dynamically. Give it a viscosity or the damping by radiation with femnn.cohesive.ViscousCohesive, or "
                "the rock its inertia with density="
            )
        return told

    def stability(self, tangent):
        """:class:`Stability` for the law's tangents (points, 3, 3); None without an answer."""
        # the rock is factored for it, and what is dense has as many rows as the fault has separations
        if self._iterates:
            return None
        if self._measure is None:
            try:
                self._measure = StabilityMeasure(self._points, self._porous.stiffness, self._porous.constraint)
            except RuntimeError:
                return None
        return self._measure.of(tangent)

    def _factor(self, tangent, response):
        if not self._iterates:
            return super()._factor(tangent, response)
        porous = self._porous
        self.iteration = TangentIteration.of(
            tangent,
            porous.strained,
            porous.constraint,
            porous.n_u,
            porous.displacement_basis,
            len(porous.systems),
            porous.stiffness + self._equations.held_stiffness(response.tangent[:, :3, :3]),
            self.iteration,
        )
        return self.iteration

    def _borne(self):
        points = self._points
        in_situ = np.zeros((points.points, points.width))
        in_situ[:, :3] = np.abs(points.traction) * points.dx[:, None]
        return abs(points.operator).T @ in_situ.ravel()


def _missing(residuals):
    """What the last of the relative residuals lacks, in words."""
    return f"; the relative residual is {residuals[-1]:.3g}, {_ENOUGH:g} is asked for" if residuals else ""


def _gain(errors):
    """The last error over the one before, 0 for the first."""
    return errors[-1] / errors[-2] if len(errors) > 1 else 0.0
