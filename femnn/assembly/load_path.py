"""What a nonlinear solver asks of a problem, and the path of equilibria that it gives back."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np


class NonlinearProblem(ABC):
    """A structure whose internal forces depend on its displacements and, where a law has memory, on its past.

    Between two commits every evaluation starts from the same state, whatever was tried before: a solver may try
    displacements that it then throws away. A class need not inherit from this one to be solved; it needs the methods.
    """

    @abstractmethod
    def residual_and_tangent(self, u):
        """Internal force (n,) at the displacement ``u`` (n,), and its derivative there, a sparse matrix (n, n).

        Reached from the last committed state, which does not change. A law that cannot be evaluated raises an error of
        femnn, or gives values that are not finite: the solver then tries a smaller step.
        """

    def internal_force(self, u):
        """The force alone, where that is cheaper: the line search needs no tangent."""
        return self.residual_and_tangent(u)[0]

    def commit(self):  # noqa: B027 - there is nothing to do without memory
        """Accept the state of the last evaluation by :meth:`residual_and_tangent`."""

    def rollback(self):  # noqa: B027
        """Forget all that was tried since the last commit."""


@dataclass(frozen=True, repr=False)
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
    """

    t: float
    u: np.ndarray | None
    force: np.ndarray | None
    iterations: int
    residuals: tuple
    cuts: int = 0

    def lightened(self):
        """The step without its vectors."""
        return replace(self, u=None, force=None)

    def __repr__(self):
        cut = f", cut {self.cuts} times" if self.cuts else ""
        return f"t = {self.t:.6g}: {self.iterations} iterations to {self.residuals[-1]:.1e}{cut}"


@dataclass(frozen=True, repr=False)
class LoadPath:
    """What a nonlinear solver found.

    Attributes
    ----------
    u : (n,), t : float
        Displacement at the last state of equilibrium, and the time (load factor) there: what a solver goes on from as
        ``initial`` and ``start``.
    steps : tuple of Step
        How each state was found.
    """

    u: np.ndarray
    t: float
    steps: tuple = field(repr=False)

    @property
    def iterations(self):
        """Of all accepted steps."""
        return sum(step.iterations for step in self.steps)

    @property
    def cuts(self):
        """Steps that failed and were tried again, smaller."""
        return sum(step.cuts for step in self.steps)

    def __repr__(self):
        return f"{len(self.steps)} steps to t = {self.t:.6g}, {self.iterations} iterations, {self.cuts} cuts"
