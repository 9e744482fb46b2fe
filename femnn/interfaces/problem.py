"""A linear elastic body cut by cohesive interfaces, as a problem for femnn's nonlinear solvers."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from femnn.exceptions import OutsideRangeError, ParameterError, StateError
from femnn.interfaces.elements import InterfaceElements, SparseSum
from femnn.io.atomic import atomic_write
from femnn.solvers.nonlinear.load_path import Heading

# Fields of a heading that are numbers, in the order of their arguments.
_HEADING = ("dt", "length", "longest", "dissipation")


class Restart(NamedTuple):
    """Where a run goes on: displacements (n,), time or load factor, heading of an arc-length path or None."""

    u: np.ndarray
    t: float
    heading: Heading | None


class CohesiveProblem:
    """Internal force and tangent of an elastic body with cohesive interfaces, and the history of these.

    Parameters
    ----------
    stiffness
        Matrix (n, n) of the elastic body on the split mesh: ``femnn.assemble_elasticity(interface.mesh, ...)``,
        ``skfem.asm(...)``.
    interfaces
        List of (elements, law): :class:`femnn.interfaces.elements.InterfaceElements` or
        :class:`femnn.interfaces.bases.InterfaceBases` with the law that holds there.
    on_outside
        What to do when unbroken points leave the range that a recurrent law was trained in: ``"continue"`` counts them
        in ``outside``, ``"stop"`` raises OutsideRangeError before the state is accepted.

    Attributes
    ----------
    states : list of State
        Accepted history, one for each interface.
    """

    def __init__(self, stiffness, interfaces, on_outside="continue"):
        if on_outside not in ("continue", "stop"):
            raise ParameterError(f"on_outside={on_outside!r} is unknown; choose 'continue' or 'stop'")
        if not interfaces:
            raise ParameterError("a cohesive problem needs at least one (elements, law)")
        self.interfaces, self.on_outside = list(interfaces), on_outside
        self.stiffness = csr_matrix(stiffness)
        fused = [elements for elements, _ in self.interfaces if isinstance(elements, InterfaceElements)]
        self._sum = SparseSum(self.stiffness, fused)
        self.states = [law.initial_state(elements.points) for elements, law in self.interfaces]
        self._tried = None

    def residual_and_tangent(self, u):
        """Internal force (n,) and tangent (n, n) at displacements (n,), reached from the accepted states."""
        force, blocks, others = self.stiffness @ u, [], []
        self._tried = []
        for (elements, law), state in zip(self.interfaces, self.states, strict=True):
            traction, tangent, state = law.update(elements.separation(u), state)
            force += elements.force(traction)
            if isinstance(elements, InterfaceElements):
                blocks.append(elements.blocks(tangent))
            else:
                others.append(elements.stiffness(tangent))
            self._tried.append(state)
        return force, sum(others, self._sum.plus(blocks))

    def internal_force(self, u):
        """The force alone."""
        force = self.stiffness @ u
        for (elements, law), state in zip(self.interfaces, self.states, strict=True):
            force += elements.force(law.update(elements.separation(u), state).traction)
        return force

    def commit(self):
        """Accept the states of the last evaluation by :meth:`residual_and_tangent`."""
        if self._tried is None:
            return
        outside = self._count_outside(self._tried)
        if outside > self.outside and self.on_outside == "stop":
            raise OutsideRangeError(
                f"{outside} of {sum(map(len, self._tried))} points have left the range that their law was trained in; "
                "train the law further out, or pass on_outside='continue' to go on with flagged points"
            )
        self.states, self._tried = self._tried, None

    def rollback(self):
        """Forget what was tried since the last commit."""
        self._tried = None

    @property
    def outside(self):
        """Number of points that have left the trained range of their law before they were broken.

        A crack opens as far as it likes: points whose damage is complete are not counted.
        """
        return self._count_outside(self.states)

    def _count_outside(self, states):
        return sum(
            int((state.outside & ~(law.damage(state) >= 1.0)).sum())
            for (_, law), state in zip(self.interfaces, states, strict=True)
        )

    def damage(self):
        """Damage of each interface's points, a list of (n, nqp) as its elements are."""
        return [
            law.damage(state).reshape(elements.dx.shape)
            for (elements, law), state in zip(self.interfaces, self.states, strict=True)
        ]

    def save(self, path, u, t, heading=None):
        """Write a restart file: displacements (n,), time or load factor, the history. Whole or not at all.

        ``heading`` is that of a :class:`femnn.solvers.nonlinear.load_path.Step` or LoadPath, for
        :func:`femnn.arc_length`.
        """
        arrays = {"u": np.asarray(u, dtype=np.float64), "t": np.float64(t)}
        if heading is not None:
            arrays |= {"heading_du": heading.du, "heading": np.array([getattr(heading, name) for name in _HEADING])}
        for number, state in enumerate(self.states):
            arrays |= {
                f"values{number}": state.values,
                f"outside{number}": state.outside,
                f"law{number}": np.array(state.law),
            }
        with atomic_write(Path(path)) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    def saver(self, path):
        """A ``callback`` for femnn's solvers: every accepted step is saved, so a failure leaves the last one behind."""
        return lambda step: self.save(path, step.u, step.t, step.heading)

    def load(self, path):
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
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            count = sum(name.startswith("values") for name in arrays)
            found = [(str(arrays[f"law{i}"]), arrays[f"values{i}"], arrays[f"outside{i}"]) for i in range(count)]
            u, t, heading = arrays["u"], float(arrays["t"]), None
            if "heading" in arrays:
                heading = Heading(arrays["heading_du"], *arrays["heading"].tolist())
        except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise StateError(f"{path} is no whole restart file: {error}; start from an older one") from error
        if len(found) != len(self.states) or len(u) != self.stiffness.shape[0]:
            raise StateError(
                f"{path} has {len(found)} interfaces and {len(u)} degrees of freedom, this problem {len(self.states)} "
                f"and {self.stiffness.shape[0]}; a restart goes with the mesh it was written for"
            )
        for (law, values, _), state in zip(found, self.states, strict=True):
            if law != state.law or values.shape != state.values.shape:
                raise StateError(
                    f"{path} holds {len(values)} points of {law}, this problem {len(state)} of {state.law}; a restart "
                    "goes with the laws and the mesh it was written for"
                )
        self.states = [type(state)(values, law, outside) for (law, values, outside), state in
                       zip(found, self.states, strict=True)]  # fmt: skip
        self._tried = None
        return Restart(u, t, heading)
