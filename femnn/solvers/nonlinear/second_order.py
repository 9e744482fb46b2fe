"""Structures that move: implicit steps of mass, damping and internal forces, for full and reduced problems alike."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse

from femnn.checks import brief, called, checked, vector
from femnn.exceptions import ParameterError
from femnn.integration.gauss import gauss_legendre
from femnn.solvers.linear.degrees_of_freedom import prescribe
from femnn.solvers.linear.solver import solve
from femnn.solvers.nonlinear.equilibrium import Equilibrium
from femnn.solvers.nonlinear.load_path import NonlinearProblem
from femnn.solvers.nonlinear.newton import newton


@dataclass(frozen=True, eq=False)
class Motion:
    """A state of motion.

    Attributes
    ----------
    u, v, a : (n,)
        Displacement, velocity and acceleration.
    t : float
        Time, s.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.solvers.nonlinear import Motion
    >>> start = Motion(u=np.zeros(3), v=np.array([1.0, 0.0, 0.0]), a=np.zeros(3))
    >>> start.t, start.v
    (0.0, array([1., 0., 0.]))
    """

    u: np.ndarray
    v: np.ndarray
    a: np.ndarray
    t: float = 0.0

    def __repr__(self) -> str:
        return f"Motion({len(self.u)} unknowns, t = {self.t:.6g})"


class SecondOrder:
    """M ü + C u̇ + f(u) = F(t), step by step with :func:`femnn.solvers.march`.

    Generalised α (J. Chung, G. M. Hulbert, Journal of Applied Mechanics 60 (1993) 371-375): second order, and what the
    steps do not resolve is damped to ``spectral_radius`` of itself in each. Radius 1 damps nothing and is the midpoint
    rule: symplectic, it keeps linear and angular momentum and energies of quadratic form exactly; the energy of a
    nonlinear structure oscillates without drift while steps resolve the motion.

    With ``average_points`` the internal force of a step is its mean along the straight way from the displacement before
    to that after (G. R. W. Quispel, D. I. McLaren, J. Phys. A 41 (2008) 045206): the work of the force is then the
    change of its energy, whatever that is, and kinetic and strain energy stay up to the tolerance of the iterations and
    the quadrature in time, of which two or three points are enough. Linear momentum stays, angular momentum does not.

    Parameters
    ----------
    problem
        A :class:`femnn.NonlinearProblem`: :class:`femnn.Solid`, a :class:`femnn.reduced.ReducedProblem`, or any object
        with its methods.
    mass, damping
        Sparse matrices (n, n); no damping if None.
    load
        External force: a vector (n,) that is constant, or a function of t that gives one; none if None.
    fixed
        Degrees of freedom that are held, as in :func:`femnn.solve`.
    spectral_radius
        Of the shortest oscillations, in [0, 1].
    average_points
        Gauss points of the mean of the internal force over a step, each of which takes an evaluation; 1 takes the force
        of the mean displacement. More go with ``spectral_radius=1`` and with laws that derive from an energy: what laws
        with memory would keep of a step is not that of its end.
    rtol, atol, max_iterations, solver
        As in :func:`femnn.newton`; forces of inertia are measured with the others.

    Raises
    ------
    ParameterError
        If arguments do not fit together.

    Examples
    --------
    An oscillator whose period is 2π:

    >>> from scipy.sparse import eye_array
    >>> from femnn.solvers import march
    >>> class Spring(NonlinearProblem):
    ...     def residual_and_tangent(self, u):
    ...         return u, eye_array(1).tocsr()
    >>> oscillator = SecondOrder(Spring(), eye_array(1).tocsr())
    >>> end = march(oscillator.step, oscillator.start([1.0]), np.linspace(0.0, 2 * np.pi, 201), progress=False)
    >>> bool(abs(end.u[0] - 1.0) < 1e-3), bool(abs(oscillator.kinetic_energy(end) + 0.5 * end.u[0] ** 2 - 0.5) < 1e-12)
    (True, True)
    """

    @checked(
        load="any",
        spectral_radius="[0, 1]",
        average_points="[1, 10]",
        rtol="(0, 1)",
        atol="[0, inf)",
        max_iterations="[1, inf)",
    )
    def __init__(
        self,
        problem: Any,
        mass: Any,
        damping: Any = None,
        load: ArrayLike | Callable[[float], ArrayLike] | None = None,
        fixed: Any = None,
        *,
        spectral_radius: float = 1.0,
        average_points: int = 1,
        rtol: float = 1e-8,
        atol: float = 0.0,
        max_iterations: int = 20,
        solver: Callable = solve,
    ) -> None:
        missing = [name for name in ("residual_and_tangent", "commit", "rollback") if not hasattr(problem, name)]
        if missing:
            raise ParameterError(
                f"{type(problem).__name__} has no {' and no '.join(missing)}; pass a femnn.NonlinearProblem"
            )
        self.problem, self.mass = problem, _matrix("mass", mass)
        n = self.mass.shape[0]
        self.damping = csr_array((n, n)) if damping is None else _matrix("damping", damping, n)
        self.fixed = np.flatnonzero(prescribe(n, fixed, 0.0)[1])
        self._load = load
        # weights of the end of a step in the means of acceleration and of displacement
        self._at_a = (2.0 - spectral_radius) / (spectral_radius + 1.0)
        self._at_u = 1.0 / (spectral_radius + 1.0)
        self._gamma = 0.5 + self._at_a - self._at_u
        self._beta = 0.25 * (1.0 + self._at_a - self._at_u) ** 2
        # weights of the evaluations of the internal force, and of the end of a step in their displacements
        self._along = [(1.0, self._at_u)]
        if average_points > 1:
            _require_energy(problem, spectral_radius)
            shares, weights = gauss_legendre(average_points)
            self._along = list(zip(weights, shares, strict=True))
        self._solve = partial(
            newton,
            fixed=self.fixed,
            steps=1,
            rtol=rtol,
            atol=atol,
            max_iterations=max_iterations,
            min_step=1.0,
            solver=solver,
            progress=False,
        )
        self._solver = solver
        self._known: tuple[float, Any] = (0.0, None)
        self.iterations = 0

    @property
    def n_dofs(self) -> int:
        """Number of unknowns."""
        return self.mass.shape[0]

    @checked(u="any", v="any")
    def start(self, u: ArrayLike | None = None, v: ArrayLike | None = None, t: float = 0.0) -> Motion:
        """The state of motion at a displacement and a velocity (n,), at rest if None; its acceleration follows."""
        n = self.n_dofs
        u = np.zeros(n) if u is None else vector(u, n, "the displacement").copy()
        v = np.zeros(n) if v is None else vector(v, n, "the velocity").copy()
        force = self._external(t) - self.problem.residual_and_tangent(u)[0] - self.damping @ v
        self.problem.rollback()
        answer = called("solver", self._solver, self.mass, force, self.fixed, np.zeros(len(self.fixed)))
        return Motion(u, v, np.asarray(getattr(answer, "x", answer)), t)

    @checked(dt="(0, inf)")
    def step(self, state: Motion, dt: float) -> Motion:
        """The state after ``dt``; pass this method to :func:`femnn.solvers.march`.

        Raises
        ------
        ConvergenceError
            If Newton's method finds no equilibrium; the state of laws with memory is that of before.
        """
        trial = _Trial(self, state, dt)
        path = self._solve(
            trial, self._external(state.t + self._at_u * dt), values=state.u[self.fixed], initial=state.u
        )
        self.iterations += path.iterations
        acceleration, velocity = trial.rates(path.u)
        return Motion(path.u, velocity, acceleration, state.t + dt)

    @checked()
    def kinetic_energy(self, state: Motion) -> float:
        """½ v · M v."""
        return 0.5 * float(state.v @ (self.mass @ state.v))

    def _inertia(self, trial):
        """What mass and damping add to the tangent of a step; the same as long as steps have one length."""
        if self._known[0] != trial.dt:
            damping = self._at_u * trial.to_velocity * self.damping
            self._known = trial.dt, csr_array(damping + self._at_a * trial.to_acceleration * self.mass)
        return self._known[1]

    def _external(self, t):
        if self._load is None:
            return np.zeros(self.n_dofs)
        return vector(called("load", self._load, t) if callable(self._load) else self._load, self.n_dofs, "load")


class _Balance(Equilibrium):
    """Equilibrium with forces of inertia, which cancel the others: residuals are measured by what cancels."""

    def measure(self, *forces):
        return max(super().measure(*forces), self.problem.size)


class _Trial(NonlinearProblem):
    """Forces of a step as they depend on the displacement at its end."""

    equilibrium = _Balance

    def __init__(self, motion, state, dt) -> None:
        self.motion, self.state, self.dt = motion, state, dt
        self.points = getattr(motion.problem, "points", None)
        self.size = 0.0
        self.to_velocity = motion._gamma / (motion._beta * dt)
        self.to_acceleration = 1.0 / (motion._beta * dt**2)

    def rates(self, u):
        """Acceleration and velocity at the end of the step, after Newmark."""
        m, s, dt = self.motion, self.state, self.dt
        acceleration = self.to_acceleration * (u - s.u - dt * s.v) - (0.5 / m._beta - 1.0) * s.a
        return acceleration, s.v + dt * ((1.0 - m._gamma) * s.a + m._gamma * acceleration)

    def residual_and_tangent(self, u):
        m = self.motion
        force, tangent = 0.0, m._inertia(self)
        for weight, share in m._along:
            own, matrix = m.problem.residual_and_tangent(self._between(u, share))
            force, tangent = force + weight * own, tangent + weight * share * csr_array(matrix)
        return self._complete(u, force), tangent

    def internal_force(self, u):
        m = self.motion
        if not hasattr(m.problem, "internal_force"):
            return self.residual_and_tangent(u)[0]
        return self._complete(
            u, sum(weight * m.problem.internal_force(self._between(u, share)) for weight, share in m._along)
        )

    def commit(self):
        self.motion.problem.commit()

    def rollback(self):
        self.motion.problem.rollback()

    def _between(self, u, share):
        return share * u + (1.0 - share) * self.state.u

    def _complete(self, u, force):
        m, s = self.motion, self.state
        acceleration, velocity = self.rates(u)
        mean_a = m._at_a * acceleration + (1.0 - m._at_a) * s.a
        mean_v = m._at_u * velocity + (1.0 - m._at_u) * s.v
        inertia = m.mass @ mean_a
        self.size = max(self.size, float(np.linalg.norm(force)), float(np.linalg.norm(inertia)))
        return force + inertia + m.damping @ mean_v


def _require_energy(problem, spectral_radius):
    """Raise ParameterError where a mean of the internal force has no meaning."""
    if spectral_radius != 1.0:
        raise ParameterError(
            f"average_points keep the energy, spectral_radius={spectral_radius:g} takes some of it; choose one of them"
        )
    # the states of a solid are a list of arrays, those of a reduced one an array
    if any(np.size(state) for state in getattr(problem, "states", ())):
        raise ParameterError(
            f"the law of {problem!r} has memory, so that its force derives from no energy; pass average_points=1"
        )


def _matrix(name, matrix, n=None):
    if (
        not issparse(matrix)
        or matrix.ndim != 2
        or matrix.shape[0] != matrix.shape[1]
        or n not in (None, matrix.shape[0])
    ):
        raise ParameterError(
            f"{name} is {brief(matrix)}; pass a square sparse matrix{'' if n is None else f' of {n} rows'}, such as "
            "femnn.assemble_mass gives for one component"
        )
    array = csr_array(matrix)
    if not np.isfinite(array.data).all():
        raise ParameterError(f"{name} is not finite")
    return array
