"""The contract between nonlinear solvers and problems, and the path of equilibria that a solver returns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from femnn.checks import brief, checked, integer
from femnn.exceptions import ParameterError


class NonlinearProblem(ABC):
    """A structure whose internal forces depend on its displacements and, where a law has memory, on its past.

    Between two commits every evaluation starts from the same state, whatever was tried before: a solver may try
    displacements that it then throws away. A class need not inherit from this one to be solved; it needs the methods.

    Problems on the same degrees of freedom add up: ``body + layer`` is a
    :class:`femnn.solvers.nonlinear.problem_sum.ProblemSum`.

    Attributes
    ----------
    points
        Where the degrees of freedom are, as :func:`femnn.solve` takes it; None if that is not known.

    Examples
    --------
    A spring that hardens, u + u³:

    >>> import femnn, numpy as np, scipy.sparse
    >>> from femnn.solvers.nonlinear import NonlinearProblem
    >>> class Spring(NonlinearProblem):
    ...     def residual_and_tangent(self, u):
    ...         return u + u**3, scipy.sparse.diags(1.0 + 3.0 * u**2).tocsr()
    >>> path = femnn.newton(Spring(), np.array([2.0]), steps=1, progress=False)
    >>> path.u.round(9)
    array([1.])
    """

    points: Any = None

    @property
    def boundaries(self) -> Mapping[str, np.ndarray]:
        """Degrees of freedom (k,) of every named boundary, three components a node, x first; none by default.

        :meth:`LoadPath.curve` is taken from them.
        """
        return {}

    def __add__(self, other: Any) -> "NonlinearProblem":
        # a sum is a problem, too
        from femnn.solvers.nonlinear.problem_sum import ProblemSum

        return ProblemSum([self, other])

    def __radd__(self, other: Any) -> "NonlinearProblem":
        from femnn.solvers.nonlinear.problem_sum import ProblemSum

        # sum() starts from 0
        return self if type(other) is int and other == 0 else ProblemSum([other, self])

    @abstractmethod
    def residual_and_tangent(self, u: np.ndarray) -> tuple[np.ndarray, Any]:
        """Internal force (n,) at the displacement ``u`` (n,), and its derivative there, a sparse matrix (n, n).

        Reached from the last committed state, which does not change. A law that cannot be evaluated raises an error of
        femnn, or gives values that are not finite: the solver then tries a smaller step.
        """

    def internal_force(self, u: np.ndarray) -> np.ndarray:
        """The force alone, where that is cheaper: the line search needs no tangent."""
        return self.residual_and_tangent(u)[0]

    def set_time(self, t: float) -> None:  # noqa: B027 - most problems do not depend on it
        """Take note of the t of the state that is sought next.

        :func:`femnn.newton` calls it before every step, :func:`femnn.arc_length` before every iteration.
        """

    @property
    def depends_on_time(self) -> bool:
        """Whether forces at one displacement differ with t; true of every class that has a ``set_time`` of its own."""
        return type(self).set_time is not NonlinearProblem.set_time

    def check_trial(self) -> None:  # noqa: B027
        """Raise an error of femnn if the state of the last evaluation must not be accepted; nothing changes."""

    def commit(self) -> None:  # noqa: B027 - there is nothing to do without memory
        """Accept the state of the last evaluation by :meth:`residual_and_tangent`."""

    def rollback(self) -> None:  # noqa: B027
        """Forget all that was tried since the last commit."""


# A step dissipates if this fraction of the external work, or more, is lost in it.
_DISSIPATES = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class Heading:
    """Direction and step length of an arc-length path: all that it takes to go on, besides ``u``, ``t`` and state.

    Attributes
    ----------
    du : (n,), dt : float
        The last step; zeros and the change of λ to begin with at the start.
    length, longest
        ‖Δu‖ of the next step, and the most it may become; 0 before the first.
    dissipation
        Energy that the next step is to lose; 0 to measure by length.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.solvers.nonlinear import Heading
    >>> heading = Heading(du=np.array([1e-3, 0.0]), dt=0.1, length=1e-3, longest=4e-3)
    >>> heading.fraction, heading.scaled(0.5).length
    (0.25, 0.0005)
    """

    du: np.ndarray
    dt: float
    length: float = 0.0
    longest: float = 0.0
    dissipation: float = 0.0

    def __repr__(self):
        target = f", {self.dissipation:.3g} J to lose" if self.dissipation else ""
        return f"heading of dt = {self.dt:.3g}, length {self.length:.3g} of at most {self.longest:.3g}{target}"

    @property
    def fraction(self) -> float:
        """Length relative to the longest."""
        return self.length / self.longest if self.longest else 1.0

    @checked()
    def scaled(self, factor: float) -> "Heading":
        """The same direction, ``factor`` times as far."""
        return replace(
            self, dt=factor * self.dt, length=factor * self.length, dissipation=factor * self.dissipation
        )  # fmt: skip

    @checked()
    def after(self, du: np.ndarray, dt: float, growth: float, length: float) -> "Heading":
        """The heading after a step of ``du`` and ``dt``, the next being ``growth`` times as long."""
        longest = self.longest or length
        return Heading(du, float(dt), min(growth * float(np.linalg.norm(du)), longest), longest)

    @checked()
    def dissipating(self, lost: float, work: float) -> "Heading":
        """The same, measured by dissipation if the last step lost energy worth the name."""
        if lost <= _DISSIPATES * abs(work):
            return self
        return replace(self, dissipation=float(lost * self.length / np.linalg.norm(self.du)))


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One state of equilibrium.

    Attributes
    ----------
    t
        Time, or load factor.
    u, force : (n,)
        Displacement and internal force: at prescribed degrees of freedom that is the load plus the reaction. None in
        the history of a :class:`LoadPath`, which would grow too large with them.
    iterations
    residuals : tuple of float
        Norm over what is free, before each iteration and after the last, relative to the forces.
    cuts
        Larger steps that were tried from the same state and failed.
    heading : Heading
        Of an arc-length path; None in the history.
    boundaries : dict
        In the history: mean displacement (3,) and summed force (3,) of every boundary that the problem names.

    Examples
    --------
    >>> import femnn, numpy as np, scipy.sparse
    >>> from femnn.solvers.nonlinear import NonlinearProblem
    >>> class Spring(NonlinearProblem):
    ...     def residual_and_tangent(self, u):
    ...         return u + u**3, scipy.sparse.diags(1.0 + 3.0 * u**2).tocsr()
    >>> step = femnn.newton(Spring(), np.array([2.0]), steps=2, progress=False).steps[0]
    >>> float(step.t), step.cuts, step.residuals[-1] < 1e-8
    (0.5, 0, True)
    """

    t: float
    u: np.ndarray | None
    force: np.ndarray | None
    iterations: int
    residuals: tuple
    cuts: int = 0
    heading: Heading | None = None
    boundaries: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None

    def lightened(self, boundaries: Mapping[str, np.ndarray] | None = None) -> "Step":
        """The step without its vectors, but for what they are on ``boundaries``, as a problem names them."""
        measured: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        u, force = self.u, self.force
        if u is None or force is None:
            return self
        for name, dofs in (boundaries or {}).items():
            by_component = [dofs[dofs % 3 == i] for i in range(3)]
            measured[name] = (
                np.array([u[own].mean() if len(own) else np.nan for own in by_component]),
                np.array([force[own].sum() for own in by_component]),
            )
        return replace(self, u=None, force=None, heading=None, boundaries=measured)

    def __repr__(self):
        cut = f", cut {self.cuts} times" if self.cuts else ""
        return f"t = {self.t:.6g}: {self.iterations} iterations to {self.residuals[-1]:.1e}{cut}"


class Curve(NamedTuple):
    """What a boundary did along a load path.

    Attributes
    ----------
    t : (steps,)
        Time or load factor of every state.
    displacement : (steps,)
        Mean displacement of the boundary in the component asked for (m).
    force : (steps,)
        Sum of the internal forces there (N): load plus reaction.
    """

    t: np.ndarray
    displacement: np.ndarray
    force: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class LoadPath:
    """The states that a nonlinear solver found.

    Attributes
    ----------
    u : (n,), t : float
        Displacement at the last state of equilibrium, and the time (load factor) there: what a solver goes on from as
        ``initial`` and ``start``.
    steps : tuple of Step
        How each state was found.
    heading : Heading
        What :func:`femnn.arc_length` goes on with; None for other solvers.

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh, rule = skfem.MeshHex().refined(1), femnn.GaussLegendre(2)
    >>> body = femnn.Solid(mesh, rule, femnn.NeoHooke(1e6, 0.3))
    >>> weight = femnn.assemble_body_force(mesh, rule, (0.0, 0.0, -1e4))
    >>> held = (3 * (mesh.p[2] == 0.0).nonzero()[0][:, None] + [0, 1, 2]).ravel()
    >>> path = femnn.newton(body, weight, held, steps=2, progress=False)
    >>> float(path.t), len(path.steps), path.cuts
    (1.0, 2, 0)
    """

    u: np.ndarray
    t: float
    steps: tuple
    heading: Heading | None = None

    @property
    def iterations(self) -> int:
        """Of all accepted steps."""
        return sum(step.iterations for step in self.steps)

    @property
    def cuts(self) -> int:
        """Steps that failed and were tried again, smaller."""
        return sum(step.cuts for step in self.steps)

    def curve(self, boundary: str, component: int) -> Curve:
        """Force over displacement of a named boundary of the mesh, one row for each step.

        Parameters
        ----------
        boundary
            Name of a boundary of the mesh that the problem was made with.
        component
            0, 1 or 2: x, y or z.

        Raises
        ------
        ParameterError
            If the problem had no such boundary; the names are listed.
        """
        component = integer("component", component, 0, 2)
        names = set() if not self.steps or not self.steps[0].boundaries else set(self.steps[0].boundaries)
        if not isinstance(boundary, str) or boundary not in names:
            known = ", ".join(map(repr, sorted(names))) or "none"
            raise ParameterError(
                f"the problem of this path has no boundary {brief(boundary)}; there are: {known}. Name boundaries by "
                "mesh.with_boundaries(...) before the problem is made, or pass a femnn.LoadCurve as callback"
            )
        rows = [(step.t, *(part[component] for part in step.boundaries[boundary])) for step in self.steps]
        return Curve(*np.array(rows).T)

    def __repr__(self):
        return f"{len(self.steps)} steps to t = {self.t:.6g}, {self.iterations} iterations, {self.cuts} cuts"
