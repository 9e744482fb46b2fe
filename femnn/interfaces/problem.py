"""A linear elastic body cut by cohesive interfaces, as a problem for femnn's nonlinear solvers."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix, issparse

from femnn.assembly.discretisation import dofs_of_boundaries
from femnn.checks import brief, floats, instance, number, one_of, require_path, shaped, vector
from femnn.cohesive.law import Law, State
from femnn.exceptions import OutsideRangeError, ParameterError, StateError, warn
from femnn.interfaces.bases import InterfaceBases
from femnn.interfaces.elements import InterfaceElements, SparseSum
from femnn.io.restart import read_restart, write_restart
from femnn.solvers.nonlinear.load_path import Heading, NonlinearProblem, Step

_KIND = "state of a cohesive problem"

# Fields of a heading that are numbers, in the order of their arguments.
_HEADING = ("dt", "length", "longest", "dissipation")


class Restart(NamedTuple):
    """State to go on from: displacements (n,), time or load factor, heading of an arc-length path or None.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.interfaces import Restart
    >>> state = Restart(np.zeros(24), 0.5, None)
    >>> state.t, state.heading is None
    (0.5, True)
    """

    u: np.ndarray
    t: float
    heading: Heading | None


class CohesiveProblem(NonlinearProblem):
    """Internal force and tangent of an elastic body with cohesive interfaces, and the history of these.

    Parameters
    ----------
    stiffness
        Matrix (n, n) of the elastic body on the split mesh: ``femnn.assemble_elasticity(interface.mesh, ...)``,
        ``skfem.asm(...)``. None for the interfaces alone, to be added to a body: ``femnn.Solid(interface.mesh, ...) +
        femnn.CohesiveProblem(None, [...])``.
    interfaces
        List of (elements, law): :class:`femnn.interfaces.elements.InterfaceElements` or
        :class:`femnn.interfaces.bases.InterfaceBases` with the law that holds there.
    on_outside
        Action when unbroken points leave the range that a recurrent law was trained in: ``"warn"`` counts them in
        ``outside`` and warns at the first of them, ``"raise"`` raises OutsideRangeError before the state is accepted.

    Attributes
    ----------
    states : list of State
        Accepted history, one for each interface.

    Examples
    --------
    >>> import numpy as np, femnn, skfem
    >>> mesh = skfem.MeshHex().refined(1)
    >>> mesh = mesh.with_boundaries({"glue": lambda x: np.isclose(x[0], 0.5)}, boundaries_only=False)
    >>> interface = femnn.Interface.split(mesh, "glue")
    >>> bulk = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(2), 210e9, 0.3)
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> problem = femnn.CohesiveProblem(bulk, [(femnn.InterfaceElements(interface), law)])
    >>> residual, tangent = problem.residual_and_tangent(np.zeros(bulk.shape[0]))
    >>> float(abs(residual).max())
    0.0
    """

    def __init__(
        self,
        stiffness: Any,
        interfaces: Sequence[tuple[InterfaceElements | InterfaceBases, Law]],
        *,
        on_outside: str = "warn",
    ) -> None:
        if not isinstance(interfaces, list | tuple) or not interfaces:
            raise ParameterError(f"interfaces={brief(interfaces)} is not allowed; pass at least one (elements, law)")
        for pair in interfaces:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise ParameterError(f"{brief(pair)} among the interfaces is no pair; pass (elements, law)")
            instance("elements of an interface", pair[0], InterfaceElements, InterfaceBases)
            if not callable(getattr(pair[1], "initial_state", None)) or not callable(getattr(pair[1], "update", None)):
                raise ParameterError(f"{brief(pair[1])} among the interfaces is no law; pass a femnn.cohesive.Law")
        if stiffness is None:
            n = max(elements.ndof for elements, _ in interfaces)
            stiffness = csr_matrix((n, n))
        entries = floats("stiffness", stiffness.data if issparse(stiffness) else stiffness)
        if not issparse(stiffness):
            stiffness = entries
        if stiffness.ndim != 2:
            raise ParameterError(f"stiffness is {brief(stiffness)}; pass a sparse matrix of the split mesh")
        self.interfaces = list(interfaces)
        self.on_outside = one_of("on_outside", on_outside, ("warn", "raise"))
        self.stiffness = csr_matrix(stiffness)
        self._fused = [
            elements if isinstance(elements, InterfaceElements) else elements.fused for elements, _ in self.interfaces
        ]
        self._sum = SparseSum(self.stiffness, [jumps for jumps in self._fused if jumps is not None])
        self.states = [law.initial_state(elements.points) for elements, law in self.interfaces]
        self._tried: list[State] | None = None
        self._reached: np.ndarray | None = None

    @property
    def depends_on_time(self) -> bool:
        """Whether a law does."""
        return any(getattr(law, "depends_on_time", False) for _, law in self.interfaces)

    def set_time(self, t: float) -> None:
        """Tell the laws the time, or load factor, of the state that is sought next."""
        t = number("t", t)
        for _, law in self.interfaces:
            if hasattr(law, "set_time"):
                law.set_time(t)

    def residual_and_tangent(self, u: ArrayLike) -> tuple[np.ndarray, csr_matrix]:
        """Internal force (n,) and tangent (n, n) at displacements (n,), reached from the accepted states."""
        u = shaped("the displacement", u, self.stiffness.shape[:1])
        force, blocks, others = self.stiffness @ u, [], []
        self._tried, self._reached = [], u
        for (elements, law), jumps, state in zip(self.interfaces, self._fused, self.states, strict=True):
            traction, tangent, state = law.update(elements.separation(u), state)
            force += elements.force(traction)
            if jumps is not None:
                blocks.append(jumps.blocks(tangent))
            else:
                others.append(elements.stiffness(tangent))
            self._tried.append(state)
        return force, sum(others, self._sum.plus(blocks))

    def internal_force(self, u: ArrayLike) -> np.ndarray:
        """The force alone."""
        u = shaped("the displacement", u, self.stiffness.shape[:1])
        force = self.stiffness @ u
        for (elements, law), state in zip(self.interfaces, self.states, strict=True):
            force += elements.force(law.update(elements.separation(u), state).traction)
        return force

    @property
    def n_dofs(self) -> int:
        """Degrees of freedom of the split mesh."""
        return self.stiffness.shape[0]

    @cached_property
    def boundaries(self) -> dict[str, np.ndarray]:
        """Degrees of freedom (k,) of every named boundary of the split mesh; empty for elements of scikit-fem."""
        elements = self.interfaces[0][0]
        if not isinstance(elements, InterfaceElements) or elements.dim != 3:
            return {}
        return dofs_of_boundaries(elements.interface.mesh, skfem.ElementHex1())

    def check_trial(self) -> None:
        """Raise OutsideRangeError if :meth:`commit` would, by ``on_outside="raise"``."""
        if self._tried is None or self.on_outside != "raise":
            return
        now = self._count_outside(self._tried)
        if now > self.outside:
            raise OutsideRangeError(f"{self._left_range(now)}, or pass on_outside='warn' to go on with flagged points")

    def commit(self) -> None:
        """Accept the states of the last evaluation by :meth:`residual_and_tangent`."""
        if self._tried is None:
            return
        self.check_trial()
        now = self._count_outside(self._tried)
        if now > self.outside == 0:
            warn(f"{self._left_range(now)}, or pass on_outside='raise' to stop there")
        self.states, self._tried = self._tried, None

    def _left_range(self, now):
        far = [law.how_far(elements.separation(self._reached)) for elements, law in self.interfaces]
        where = next((f" ({text})" for text in far if text), "")
        return (
            f"{now} of {sum(map(len, self.states))} points have left the range that their law was trained in{where}; "
            "train the law further out"
        )

    def restore(self, states: Sequence[State]) -> None:
        """Make ``states``, as ``problem.states`` gave them, the accepted history.

        Raises
        ------
        StateError
            If they are those of other laws or of another number of points; nothing is changed then.
        """
        own = list(states) if isinstance(states, list | tuple) else []
        if len(own) != len(self.states) or not all(isinstance(state, State) for state in own):
            raise StateError(f"{brief(states)} are no states of {len(self.states)} interfaces; pass problem.states")
        for given, state in zip(own, self.states, strict=True):
            if given.law != state.law or given.values.shape != state.values.shape:
                raise StateError(
                    f"there are {len(given)} points of {given.law}, this problem has {len(state)} of {state.law}; "
                    "restore what it gave itself"
                )
        self.states, self._tried = own, None

    def rollback(self) -> None:
        """Forget what was tried since the last commit."""
        self._tried = None

    @property
    def outside(self) -> int:
        """Number of points that have left the trained range of their law before they were broken.

        A crack opens as far as it likes: points whose damage is complete are not counted.
        """
        return self._count_outside(self.states)

    def _count_outside(self, states):
        return sum(
            int((state.outside & ~(law.damage(state) >= 1.0)).sum())
            for (_, law), state in zip(self.interfaces, states, strict=True)
        )

    def damage(self) -> list[np.ndarray]:
        """Damage of each interface's points, a list of (n, nqp) as its elements are."""
        return [
            law.damage(state).reshape(elements.dx.shape)
            for (elements, law), state in zip(self.interfaces, self.states, strict=True)
        ]

    def viscous_work(self) -> list[float]:
        """Work (J) that the viscosity of each interface has taken, 0 without a :class:`femnn.cohesive.ViscousCohesive`.

        To be compared with what the cracks took: a regularisation should be small beside it.
        """
        return [
            float(law.viscous_work(state) @ elements.dx.ravel()) if hasattr(law, "viscous_work") else 0.0
            for (elements, law), state in zip(self.interfaces, self.states, strict=True)
        ]

    def save(self, path: str | os.PathLike, u: ArrayLike, t: float, heading: Heading | None = None) -> None:
        """Write a restart file: displacements (n,), time or load factor, the history. Whole or not at all.

        ``heading`` is that of a :class:`femnn.solvers.nonlinear.load_path.Step` or LoadPath, for
        :func:`femnn.arc_length`.
        """
        require_path("path", path)
        if heading is not None:
            instance("heading", heading, Heading)
        scalars: dict[str, float | str] = {"t": number("t", t)}
        arrays = {"u": vector(u, self.stiffness.shape[0], "the displacement")}
        if heading is not None:
            arrays |= {"heading_du": heading.du, "heading": np.array([getattr(heading, name) for name in _HEADING])}
        for i, state in enumerate(self.states):
            scalars[f"law{i}"] = state.law
            arrays |= {f"values{i}": state.values, f"outside{i}": state.outside}
        write_restart(path, _KIND, scalars, arrays)

    def saver(self, path: str | os.PathLike) -> Callable[[Step], None]:
        """A ``callback`` for femnn's solvers: every accepted step is saved, so a failure leaves the last one behind."""

        def save(step: Step) -> None:
            assert step.u is not None  # accepted steps have it while callbacks run
            self.save(path, step.u, step.t, step.heading)

        return save

    def load(self, path: str | os.PathLike) -> Restart:
        """Take up the history of a restart file.

        Returns
        -------
        Restart
            ``(u, t, heading)`` to go on from.

        Raises
        ------
        StateError
            If the file is damaged, or is of other laws or another number of points; nothing is changed then.
        """
        file = read_restart(require_path("path", path), _KIND)
        u, t, heading = file.array("u", (None,)), file.number("t"), None
        if "heading" in file.arrays:
            heading = Heading(file.array("heading_du", u.shape), *file.array("heading", (len(_HEADING),)).tolist())
        states = []
        for i in range(sum(name.startswith("values") for name in file.arrays)):
            values = file.array(f"values{i}", (None, None))
            states.append(State(values, file.text(f"law{i}"), file.array(f"outside{i}", (len(values),), bool)))
        if len(states) != len(self.states) or len(u) != self.stiffness.shape[0]:
            raise StateError(
                f"{path} has {len(states)} interfaces and {len(u)} degrees of freedom, this problem {len(self.states)} "
                f"and {self.stiffness.shape[0]}; a restart goes with the mesh it was written for"
            )
        for loaded, state in zip(states, self.states, strict=True):
            if loaded.law != state.law or loaded.values.shape != state.values.shape:
                raise StateError(
                    f"{path} holds {len(loaded)} points of {loaded.law}, this problem {len(state)} of {state.law}; a "
                    "restart goes with the laws and the mesh it was written for"
                )
        self.states, self._tried = states, None
        return Restart(u, t, heading)
