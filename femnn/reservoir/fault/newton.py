"""Newton's method for a time step of a reservoir with a fault, and what it says of a step that it cannot solve."""

import numpy as np

from femnn.exceptions import ConvergenceError, LawError, SingularMatrixError
from femnn.reservoir.fault.equations import StepEquations
from femnn.reservoir.fault.stability import StabilityMeasure
from femnn.solvers.linear.saddle_iteration import TangentIteration
from femnn.solvers.linear.saddle_point import FEW_OF_SADDLE, Factor
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, iterate

# Relative residual that is a solution; iterations go on as long as they gain, because mass balances want all digits.
_ENOUGH = 1e-9

# Relative residual at which Newton's method ends where its corrections are iterated themselves.
_ITERATED = 1e-12

# The factors of an iteration serve the next where it gains this much.
_GAIN = 1e-3

_MOST_LENGTHS = 5


class StepNewton:
    """Solves the equations of time steps.

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
        self._equations, self._points, self._porous = equations, equations.points, equations.porous
        is_large = len(self._points.x) == 3 and self._porous.constraint.matrix.shape[1] > FEW_OF_SADDLE
        self._iterates = method == "gmres" or (method == "auto" and is_large)
        self._measure: StabilityMeasure | None = None
        self.iteration: TangentIteration | None = None

    def solve(self, x, state, dt, max_iterations):
        """Unknowns, response and number of iterations of the step, where rounding stops Newton's method."""
        constraint, last = self._porous.constraint, None

        def iterate_at(x, out, response):
            return Iterate(x, out, response, np.linalg.norm(scale * constraint.reduce(out)), size)

        def is_solved(point, errors):
            if errors[-1] == 0.0 or (errors[-1] <= _ENOUGH and _gain(errors) > 0.5):
                return True
            if self._iterates and errors[-1] <= _ITERATED:
                return True
            # what stalls above is no equilibrium, however little is missing
            return len(errors) > max_iterations and errors[-1] <= _ENOUGH

        def advance(point, errors):
            nonlocal factor, last
            last = point.response
            if _gain(errors) > _GAIN:
                factor = self._factor(point.x, point.response, state, dt)
            step = -(constraint.matrix @ factor.correction(constraint.reduce(point.residual)))

            def evaluate(length):
                x = point.x + length * step
                return iterate_at(x, *self._tried(x, state, dt))

            return search(evaluate, lambda tried: tried.norm <= point.norm, most=_MOST_LENGTHS)

        # a step depends on nothing but its state, so that runs go on from files as they would have without
        self.iteration = None
        try:
            out, response = self._tried(x, state, dt)
            factor = self._factor(x, response, state, dt)
            scale = factor.scale
            # not of the displacements found, by which a runaway would measure itself
            size = np.linalg.norm(scale * constraint.reduce(out)) + self._size(x, factor)
            start = iterate_at(x, out, response)
            point, errors = iterate(start, is_solved, advance, max_iterations, "of the forces and volumes")
        except Diverged as cause:
            raise ConvergenceError(
                f"the step to t = {state.t + dt:.6g} s (dt = {dt:.6g} s) did not converge: after "
                f"{max(len(cause.residuals) - 1, 0)} iterations {cause}{self._told(cause.residuals, last)}",
                state,
                np.array(cause.residuals),
                state.t,
            ) from cause
        return point.x, point.response, len(errors) - 1

    def _told(self, residuals, response):
        """What a step that did not converge says of its last iterate."""
        told = f"; the relative residual is {residuals[-1]:.3g}, {_ENOUGH:g} is asked for" if residuals else ""
        if response is None:
            return told
        stability = self.stability(response.tangent[:, :3, :3])
        if stability is None:
            return told
        told += f"; the smallest eigenvalue of rock and fault over those of bonded rock is {stability.smallest:.3g}"
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

    def _tried(self, x, state, dt):
        """As ``StepEquations.evaluate``; Diverged where there is no answer."""
        if not np.isfinite(x).all():
            raise Diverged("the correction is not finite")
        try:
            return self._equations.evaluate(x, state, dt)
        except (LawError, ConvergenceError) as error:
            raise Diverged(f"the law of the fault has no answer on the way: {error}") from error

    def _factor(self, x, response, state, dt):
        porous, tangent = self._porous, self._equations.tangent(x, response, state, dt)
        try:
            if not self._iterates:
                return Factor.of(tangent, porous.constraint, porous.n_u)
            basis, systems = porous.displacement_basis, len(porous.systems)
            self.iteration = TangentIteration.of(
                tangent,
                porous.strained,
                porous.constraint,
                porous.n_u,
                basis,
                systems,
                self._equations.held_stiffness(response.tangent[:, :3, :3]),
                self.iteration,
            )
            return self.iteration
        except SingularMatrixError as error:
            raise Diverged(f"nothing holds the body any more: {error}") from error

    def _size(self, x, factor):
        """Scales of the residuals: stresses in situ, and all that is summed up in a residual."""
        scale = factor.scale
        in_situ = np.zeros((self._points.points, self._points.operator.shape[0] // self._points.points))
        in_situ[:, :3] = np.abs(self._points.traction) * self._points.dx[:, None]
        borne = self._porous.constraint.reduce(abs(self._points.operator).T @ in_situ.ravel())
        free = factor.constraint.reduce(np.abs(x))
        return np.linalg.norm(scale * borne) + np.linalg.norm(scale * (abs(factor.matrix) @ free))


def _gain(errors):
    """The last error over the one before, 0 for the first."""
    return errors[-1] / errors[-2] if len(errors) > 1 else 0.0
