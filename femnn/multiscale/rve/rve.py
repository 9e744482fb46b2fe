"""A meso-scale cell of elastic blocks and cracks under a macro-separation, and its homogenised response.

The top of a zone moves against its bottom by the macro-separation (opening and shear, two shears in space); a volume is
strained. Blocks are linear and condensed to the jumps of the cracks once, so that Newton's method works on these alone.
Hill and Mandel's condition ties the scales: per unit W of interface, traction · separation is the virtual work inside,

    T·δΔ = (1/W) (∫ σ:δε dV + ∫ t·δ[u] dA),

and so is stress · strain per unit of volume; T, σ and t are all total, or all plus the pore pressure, which is one in
blocks and cracks. It is checked with stresses and tractions of all integration points (C. B.
Hirschberger et al., Engng Fract. Mech. 76 (2009) 793-812; K. Wang and W. C. Sun, CMAME 334 (2018) 337-380).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked
from femnn.cohesive.law import Law, State
from femnn.exceptions import ConvergenceError, ParameterError, StateError
from femnn.interfaces.elements import InterfaceElements
from femnn.multiscale.rve.blocks import VOIGT, Blocks
from femnn.multiscale.rve.cut import Cell
from femnn.multiscale.rve.embedded import EmbeddedCracks
from femnn.multiscale.rve.equilibrium import CellEquilibrium, HeldBySprings
from femnn.multiscale.rve.state import CellResponse, CellState, Spring
from femnn.solvers.nonlinear.equilibrium import Diverged
from femnn.solvers.nonlinear.step_control import SmallestStepFailed, walk

_NUMBERS = {2: "two", 3: "three", 6: "six"}

# Shear of a law's virgin traction that is taken for noise, over the normal one.
_NOISE = 0.05


class RVE:
    """A representative cell of an interface, or of a volume of cracked rock.

    Everything that drives a cell has m entries: opening and shear of a zone in the plane (2), opening and two shears of
    one in space (3), along ``cell.axes``; strains of a volume by Voigt with engineering shears (3 in the plane, 6). Its
    traction then is the homogenised traction of a zone, the mean stress of a volume.

    Parameters
    ----------
    cell
        From :mod:`femnn.multiscale.rve.cells`.
    law
        Of the cracks, any :class:`femnn.cohesive.law.Law`. One whose virgin traction is a pressure is precompressed:
        the blocks then start with that pressure, so that the virgin cell is in equilibrium.
    young, poisson
        Of the blocks, Pa; numbers or arrays (nelements,).
    biot
        Biot's coefficient of the blocks, above 0 and at most 1, where their pores have a pressure.
    driving
        ``"periodic"`` or ``"affine"``, see :class:`femnn.multiscale.rve.blocks.Blocks`.
    quadrature
        On the cracks, as :class:`femnn.InterfaceElements` takes it; default two Gauss points an axis.
    rtol
        A cell is in equilibrium if the residual on the jumps is so much less than the forces of the cracks.
    max_iterations
        Beyond which a step is cut. Where 25 of Newton's method find nothing, because laws have kinks or the cell snaps
        back, the next 25 relax the cell with positive stiffnesses, towards an equilibrium further on; and so on.
    min_step
        Smallest part of a step.

    Raises
    ------
    ParameterError
        If a value is not allowed, the virgin traction of the law has a shear, which blocks of different directions
        cannot balance, or the law depends on time: a cell takes a step in parts, and knows no time for them.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.rve import RVE, parallel_cracks
    >>> glue = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> rve = RVE(parallel_cracks(1e-2, 1e-2, columns=3, rows=2), glue, young=300e9)
    >>> response = rve.update([1e-6, 0.0], rve.initial_state())
    >>> response.tangent.shape, rve.separations(response.state).shape
    ((2, 2), (6, 3))
    """

    @checked(law="unchecked", biot="(0, 1]")
    def __init__(
        self,
        cell: Cell,
        law: Law,
        young: ArrayLike,
        poisson: ArrayLike = 0.25,
        *,
        biot: float = 1.0,
        driving: str = "periodic",
        quadrature: tuple[np.ndarray, np.ndarray] | None = None,
        rtol: float = 1e-11,
        max_iterations: int = 125,
        min_step: float = 1.0 / 256.0,
    ) -> None:
        if not isinstance(law, Law):
            raise ParameterError(f"the law of the cracks is a {type(law).__name__}; pass a femnn.cohesive.law.Law")
        if law.depends_on_time:
            raise ParameterError(
                f"the cracks of the cell have the law {law.name}, which depends on the rate, but a cell has no time to "
                "give it; pass the cell its law without the rate, and ViscousCohesive(RVELaw(...)) to the fault"
            )
        for name, value in (("rtol", rtol), ("min_step", min_step)):
            if not 0.0 < value < 1.0:
                raise ParameterError(f"{name}={value!r} is not allowed; it must be between 0 and 1")
        self.cell, self.law, self.min_step = cell, law, min_step
        if cell.planes and quadrature is not None:
            raise ParameterError("embedded cracks have points of their own; leave out the quadrature")
        embedded = EmbeddedCracks(cell, young, poisson) if cell.planes else None
        # InterfaceElements, or what takes their place
        self.elements: Any = embedded or InterfaceElements(cell.interface, quadrature)
        self.blocks: Any = Blocks(cell, young, poisson, driving, _pressure(law), embedded, biot)
        self.n_jumps, self.n_driven = self.blocks.n_jumps, self.blocks.n_driven
        self.tolerances = rtol, int(max_iterations)
        self._equilibrium = CellEquilibrium(self.blocks, self.elements, law, *self.tolerances)
        self._opening_of = self._homogenisation()
        # entries of the traction that a pressure reduces
        voigt = VOIGT[cell.dim] if cell.height is None else [(0, k) for k in range(self.n_driven)]
        self._alike = np.array([float(i == j) for i, j in voigt])
        porous = "" if biot == 1.0 else f", biot={biot:g}"
        young, poisson = (value if np.ndim(value) == 0 else "per element" for value in (young, poisson))
        self.name = f"RVE({cell.name}, {law.name}, young={young!r}, poisson={poisson!r}, driving={driving!r}{porous})"

    def __repr__(self):
        return self.name

    # --- states

    def initial_state(self) -> CellState:
        """The virgin cell, closed."""
        n, m = self.n_jumps, self.n_driven
        return CellState(np.zeros(n + m), np.zeros((n, m)), self.law.initial_state(self.elements.points))

    @checked()
    def pack(self, state: CellState) -> np.ndarray:
        """A plain array (k,) of a state: x, follow, pressure, values of the law by point, flags of its range."""
        cracks = state.cracks
        return np.concatenate([state.x, state.follow.ravel(), [state.pressure], cracks.values.ravel(), cracks.outside])

    @checked()
    def unpack(self, values: np.ndarray) -> CellState:
        """The state in such an array; StateError if it is of another cell."""
        n_points, n, m = self.elements.points, self.n_jumps, self.n_driven
        width = self.law.initial_state(1).values.shape[1]
        ends = np.cumsum([n + m, m * n, 1, n_points * width, n_points])
        if np.shape(values) != (ends[-1],):
            raise StateError(
                f"the array of the state has shape {np.shape(values)}, this cell needs {(ends[-1],)}; pass what pack "
                "gave for the same cell and law"
            )
        x, follow, pressure, history, outside = np.split(np.array(values), ends[:-1])
        cracks = State(history.reshape(n_points, width), self.law.name, outside > 0.5)
        return CellState(x, follow.reshape(n, m), cracks, float(pressure[0]))

    # --- steps

    @checked(separation="any", spring="unchecked", pressure="(-inf, inf)")
    def update(
        self,
        separation: ArrayLike,
        state: CellState,
        spring: Spring | Sequence[Spring | None] | None = None,
        *,
        pressure: float = 0.0,
    ) -> CellResponse:
        """Equilibrium of the cell after its next step; ``state`` is left as it is.

        Parameters
        ----------
        separation : (m,)
            At the end of the step. Of a zone: opening and shears of the top against the bottom, m, along the axes of
            the cell. In the plane the shear direction is the normal turned by 90 degrees (−x with y up), in space they
            are x and y, as in the frames of femnn's interfaces. Of a volume: its mean strain.
        state : CellState
            At its beginning.
        spring : Spring
            If there is one, the opening is an unknown, not prescribed; or one, or None, for each of the m entries: the
            stresses of a volume may be given so. Their loads are total tractions or stresses.
        pressure
            Of the pores at the end of the step, Pa, in excess of what the virgin cell has: the same in blocks and
            cracks, so that it is drained or has had time. Faces of cracks are pushed apart by all of it, blocks are
            strained by Biot's coefficient times it.

        Returns
        -------
        CellResponse

        Raises
        ------
        ParameterError
            If the separation or the springs do not fit the cell.
        ConvergenceError
            If no equilibrium is found though the step was cut to ``min_step``; ``x`` is the macro-separation reached,
            ``t`` its place on the step.
        """
        goal = np.asarray(separation, dtype=float)
        if goal.shape != (self.n_driven,) or not np.isfinite(goal).all():
            raise ParameterError(
                f"separation={brief(separation)} is not allowed; pass {_NUMBERS[self.n_driven]} finite numbers, "
                f"{self.driven_by}"
            )
        springs = self._held_by(spring)
        start = state.separation.copy()
        began, alike = state.pressure, self._alike[springs.entries]
        held = self.traction(state)[springs.entries] - began * alike + springs.stiffness * start[springs.entries]
        iterations = cuts = 0

        def attempt(end):
            nonlocal iterations
            filled = began + end * (pressure - began)
            pulled = springs._replace(load=held + end * (springs.load - held) + filled * alike)
            try:
                return self._equilibrium.reach(start + end * (goal - start), state, pulled, filled)
            except Diverged as diverged:
                iterations += len(diverged.residuals)
                raise

        try:
            for _, response, halved in walk(attempt, 0.0, [1.0], self.min_step):
                state, iterations, cuts = response.state, iterations + response.iterations, cuts + halved
        except SmallestStepFailed as failed:
            raise ConvergenceError(
                f"the cell has no equilibrium beyond {failed.t:.4g} of the step to {self.driven_by} "
                f"{', '.join(f'{each:.6g}' for each in goal)} ({failed.cause}); the last one is kept. Take smaller "
                "steps or stiffer blocks: soft blocks snap back where their cracks soften",
                state.separation.copy(),
                np.array(failed.cause.residuals),
                failed.t,
            ) from failed.cause
        return response._replace(iterations=iterations, cuts=cuts)

    @property
    def driven_by(self) -> str:
        """What drives the cell, in words."""
        if self.cell.height is not None:
            return "opening and shear" if self.n_driven == 2 else "opening and two shears"
        return f"the strains {', '.join('xyz'[i] + 'xyz'[j] for i, j in VOIGT[self.cell.dim])}"

    def _held_by(self, spring):
        """The springs, by the entries that they hold."""
        each = list(spring) if isinstance(spring, list | tuple) and not isinstance(spring, Spring) else [spring]
        if len(each) not in (1, self.n_driven) or not all(one is None or isinstance(one, Spring) for one in each):
            raise ParameterError(
                f"spring={brief(spring)} is not allowed; pass a Spring for the opening, or a Spring or None for each "
                f"of the {self.n_driven}: {self.driven_by}"
            )
        entries = [k for k, one in enumerate(each) if one is not None]
        load, stiffness = (np.array([each[k][i] for k in entries], dtype=float) for i in (0, 1))
        return HeldBySprings(np.array(entries, dtype=int), load, stiffness)

    @checked()
    def traction(self, state: CellState) -> np.ndarray:
        """Homogenised effective traction (m,) of a state, Pa; the mean effective stress of a volume.

        The total one is less by the pore pressure: the normal traction, and each direct stress.
        """
        return self._equilibrium.traction(state.x, state.pressure)

    @checked()
    def crack_separation(self, state: CellState) -> np.ndarray:
        """Part of what drives the cell (m,) that the cracks bear: opening and shears, m, or strains; the rest is in the
        blocks."""
        return self._opening_of @ self.separations(state).ravel()

    @checked()
    def separations(self, state: CellState) -> np.ndarray:
        """Separation (points, 3) of the cracks, m."""
        return self.elements.separation(self.blocks.jumps(state.x))

    @checked()
    def inner_work(self, response: CellResponse, step: np.ndarray) -> float:
        """Virtual work of stresses and crack tractions for a step (n,) of x, J/m² of interface, J/m³ of a volume."""
        blocks, x, pressure = self.blocks, response.state.x, response.state.pressure
        stress = blocks.initial_stress(pressure) + blocks.stress(blocks.strain(x, pressure))
        strain, jump = self._inside(step)
        bulk = (stress * strain).sum(axis=1) @ blocks.dx
        cracks = (response.cracks.traction * jump).sum(axis=1) @ self.elements.dx.ravel()
        return float(bulk + cracks) / self.cell.measure

    @checked()
    def inner_tangent(self, response: CellResponse) -> np.ndarray:
        """The tangent (m, m) again, from the stiffnesses of all integration points, Pa/m."""
        m = self.n_driven
        modes = [self._inside(mode) for mode in np.vstack([response.state.follow, np.eye(m)]).T]
        tangent = np.empty((m, m))
        for i, (strain, jump) in enumerate(modes):
            for j, (other_strain, other_jump) in enumerate(modes):
                bulk = (strain * self.blocks.stress(other_strain)).sum(axis=1) @ self.blocks.dx
                pulled = np.einsum("nij,nj->ni", response.cracks.tangent, other_jump)
                tangent[i, j] = bulk + (jump * pulled).sum(axis=1) @ self.elements.dx.ravel()
        return tangent / self.cell.measure

    def opening_of_jumps(self) -> np.ndarray:
        """Matrix (m, n_jumps) of :meth:`crack_separation`."""
        unit = np.zeros(self.n_jumps + self.n_driven)
        columns = []
        for k in range(self.n_jumps):
            unit[k] = 1.0
            columns.append(self._opening_of @ self.elements.separation(self.blocks.jumps(unit)).ravel())
            unit[k] = 0.0
        return np.stack(columns, axis=1)

    def _inside(self, step):
        """Strains and separations of the cracks at all integration points for a step (n,) of x."""
        blocks = self.blocks
        return blocks.strain_of(step), self.elements.separation(blocks.jumps(step))

    @checked()
    def displacement(self, state: CellState) -> np.ndarray:
        """Displacements (ndof,) of the mesh, numbered as ``skfem.ElementVector`` of linear elements does."""
        return self.blocks.displacement(state.x, state.pressure)

    @checked()
    def stress(self, state: CellState) -> np.ndarray:
        """Mean stress of each element, (nelements, 3 or 6), Pa: xx, yy, xy or xx, yy, zz, yz, xz, xy.

        Effective: plus the pore pressure.
        """
        blocks = self.blocks
        strained = blocks.stress(blocks.strain(state.x, state.pressure))
        stress = blocks.initial_stress(state.pressure) + strained
        shares = blocks.dx.reshape(self.cell.mesh.nelements, -1)
        means = (shares[..., None] * stress.reshape(*shares.shape, -1)).sum(axis=1)
        return means / shares.sum(axis=1, keepdims=True)

    def _homogenisation(self):
        """Matrix (m, 3·points): ∫ sym([u] ⊗ n) of the cracks, as part of what drives the cell."""
        dim = self.cell.dim
        frames = self.elements.frames.reshape(-1, 3, dim)
        normal = frames[:, None, 0]
        fraction = self.elements.dx.ravel()[:, None] / self.cell.measure
        if self.cell.height is None:
            strains = [
                frames[..., i] * normal[..., j] + (frames[..., j] * normal[..., i] if i != j else 0.0)
                for i, j in VOIGT[dim]
            ]
            return np.stack([fraction * strain for strain in strains]).reshape(len(strains), -1)
        # twice the sym. product with the vertical, of which the vertical part is there twice
        sheared = frames * normal[..., -1:] + frames[..., -1:] * normal
        sheared[..., -1] = frames[..., -1] * normal[..., -1]
        displaced = np.moveaxis(fraction[..., None] * sheared, -1, 0).reshape(dim, -1)
        return self.cell.axes @ displaced


def _pressure(law):
    """Pressure that a virgin law bears; ParameterError if it bears a shear, too."""
    traction = law.update(np.zeros((1, 3)), law.initial_state(1)).traction[0]
    shear = np.linalg.norm(traction[1:])
    if shear > _NOISE * abs(traction[0]):
        raise ParameterError(
            f"the virgin traction of {law.name} is {traction} at zero separation: blocks cannot balance its shear on "
            "cracks of different directions; take a law that starts without traction or under pressure alone"
        )
    return max(-float(traction[0]), 0.0)
