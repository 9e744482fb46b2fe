"""Faulted reservoirs over all ranks: each has the points of the faults that its own cells touch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from femnn.checks import checked
from femnn.cohesive.law import State
from femnn.exceptions import MeshError, ParameterError
from femnn.parallel.distributed_mesh import DistributedMesh
from femnn.parallel.porous import RankPorousProblem
from femnn.parallel.ranks import petsc, together
from femnn.parallel.tangent import RankTangents
from femnn.quadrature.rule import Rule
from femnn.reservoir.conditions import Conditions
from femnn.reservoir.fault.equations import StepEquations
from femnn.reservoir.fault.limits import Limits, require_beside_all
from femnn.reservoir.fault.newton import StepNewton
from femnn.reservoir.fault.points import Fault, FaultPoints
from femnn.reservoir.fault.problem import FaultedReservoir
from femnn.reservoir.fault.several import SeveralLaws
from femnn.reservoir.fault.states import FaultedState, FaultFields, FaultSites
from femnn.reservoir.medium import PorousMedium
from femnn.solvers.nonlinear.newton_core import Diverged

# Fields of a fault whose points are along the last axis; along the first one in all others.
_BY_POINT_LAST = ("x", "pressure", "leak_off", "along")


class RankFaultedReservoir(FaultedReservoir):
    """A porous body with faults over all ranks, used as :class:`femnn.reservoir.fault.FaultedReservoir` is.

    All ranks call its methods together. Trilinear displacements and pressures on the ``skfem.MeshHex`` of a
    DistributedMesh; states have the unknowns of this rank, ghosts included, and the points of its own pairs of facets.
    :meth:`fields`, :attr:`sites` and :meth:`outside` are those of the whole faults, on all ranks, so that a
    :class:`femnn.reservoir.fault.FaultHistory` finds the same events as in one process. Stresses are those of the own
    cells, :meth:`tangent` is what own cells and points give.

    Parameters
    ----------
    distributed
        :class:`femnn.parallel.DistributedMesh` with the faults as its interfaces, ``paired=True``.
    medium
        :class:`femnn.reservoir.PorousMedium` or ``DualPorousMedium``; entries that are given per element are those of
        the own cells, in the order of ``distributed.cells``.
    conditions
        :class:`femnn.reservoir.Conditions`, the same on all ranks, without rigid plates.
    fault
        A :class:`femnn.reservoir.fault.Fault` for each interface of the mesh, in its order, each with its part of the
        interface that is here: ``Fault(distributed.interface(0), law, core)``.
    rule
        As :class:`femnn.parallel.RankPorousProblem` takes it.
    max_iterations, density, largest_slip, slip_error, on_outside, on_fracture
        As for one process. Rank 0 alone warns.

    Attributes
    ----------
    porous : RankPorousProblem
        The body alone.
    numbers : (points,) int64
        Of the own points in the whole faults, where they come one fault after the other, as in one process.
    n_points : int
        Of the whole faults.

    Raises
    ------
    MeshError
        If the two cells of a pair of facets are on different ranks, or as :class:`RankPorousProblem` says.
    ParameterError
        If the faults are not those of the mesh, or as for one process.

    Notes
    -----
    Newton's method takes the same way on all ranks. Its linear systems are solved as those of one process with
    ``method="gmres"``, with PETSc's GAMG in place of its multigrid; :meth:`stability` is None, as it is there.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.parallel import DistributedMesh, RankFaultedReservoir
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault
    >>> mesh = skfem.MeshHex().refined(1).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> interface = femnn.Interface.split(mesh, "fault")
    >>> distributed = DistributedMesh.of(interface.mesh, interfaces=[interface], paired=True)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> reservoir = RankFaultedReservoir(
    ...     distributed,
    ...     PorousMedium(young=1e9, poisson=0.2, permeability=1e-14),
    ...     Conditions(
    ...         displacement={"left": (0.0, 0.0, 0.0), "right": (0.0, None, None)}, pressure={"right": 1e5}
    ...     ),
    ...     Fault(distributed.interface(0), law, ConstantCore(1e-18, 1.0)),
    ... )
    >>> state = reservoir.step(reservoir.initial_state(), 3600.0)
    >>> state.t, reservoir.fields(state).separation.shape
    (3600.0, (16, 3))

    See Also
    --------
    femnn.parallel.checkpoint.save_state : a state as a file, from which any number of ranks goes on.
    """

    porous: RankPorousProblem

    @checked(rule="unchecked", max_iterations="[1, inf)", largest_slip="(0, inf]", slip_error="(0, inf]")
    def __init__(
        self,
        distributed: DistributedMesh,
        medium: PorousMedium,
        conditions: Conditions,
        fault: Fault | Sequence[Fault],
        *,
        rule: Rule | None = None,
        max_iterations: int = 25,
        density: float | None = None,
        largest_slip: float = np.inf,
        slip_error: float = np.inf,
        on_outside: str = "warn",
        on_fracture: str = "warn",
    ) -> None:
        self.distributed = distributed
        super().__init__(
            medium,
            conditions,
            fault,
            rule=rule,
            method="gmres",
            max_iterations=max_iterations,
            density=density,
            largest_slip=largest_slip,
            slip_error=slip_error,
            on_outside=on_outside,
            on_fracture=on_fracture,
        )
        per_facet = self.points.per_facet
        counts = self._total(np.array([len(pairs) for pairs, _, _ in distributed.sides]))
        firsts = per_facet * (np.cumsum(counts) - counts)
        self.n_points = int(per_facet * counts.sum())
        self.numbers = np.concatenate([
            first + (per_facet * pairs[:, None] + np.arange(per_facet)).ravel()
            for first, (pairs, _, _) in zip(firsts, distributed.sides, strict=True)
        ])  # fmt: skip
        self._order = np.argsort(np.concatenate(distributed.comm.allgather(self.numbers)))
        self._sites = self._whole_sites(firsts, per_facet * counts)

    def __repr__(self) -> str:
        return f"RankFaultedReservoir({self.distributed!r}, {self.points.points} of {self.n_points} points)"

    @property
    def sites(self) -> FaultSites:
        """The points of the whole faults, on all ranks."""
        return self._sites

    @checked()
    def initial_state(self, t: float = 0.0) -> FaultedState:
        """As in one process, of this rank."""
        return super().initial_state(t)

    @checked()
    def fields(self, state: FaultedState) -> FaultFields:
        """Fields of the whole faults, on all ranks in the order of one process; collective."""
        with together(self.distributed.comm):
            own = self.own_fields(state)
        return FaultFields(
            *(self._of_all(part, -1 if name in _BY_POINT_LAST else 0) for name, part in own._asdict().items())
        )

    @checked()
    def own_fields(self, state: FaultedState) -> FaultFields:
        """Fields at the points of this rank."""
        return super().fields(state)

    @checked(state="unchecked")
    def check(self, state: FaultedState) -> None:
        """Raise StateError on all ranks unless a state is of this reservoir; collective."""
        with together(self.distributed.comm):
            super().check(state)

    @checked()
    def gathered(self, state: FaultedState) -> FaultedState | None:
        """A state in the order of the whole mesh on rank 0; None on others; collective.

        It is one of ``FaultedReservoir(medium, conditions, faults, element=skfem.ElementHex1())``, whose faults are the
        whole ones.
        """
        self.check(state)
        u, velocity, *p = (self.distributed.gathered(own) for own in (state.u, state.velocity, *state.p))
        history = state.history
        values, outside = self._of_all(history.values, 0), self._of_all(history.outside, 0)
        traction, rate = self._of_all(state.traction, 0), self._of_all(state.rate, 0)
        leak_off, along = self._of_all(state.leak_off, -1), self._of_all(state.along, -1)
        if u is None:
            return None
        return FaultedState(
            state.t, u, np.array(p), State(values, self._law_name(), outside), traction, rate, leak_off, along,
            state.slip_error, velocity,
        )  # fmt: skip

    def _law_name(self):
        """Of the state of the law of the whole faults."""
        if len(self.faults) == 1:
            return self.points.law.name
        counts = [part.stop - part.start for part in self.sites.parts]
        return SeveralLaws([fault.law for fault in self.faults], counts).name

    def _of_all(self, values, axis):
        """Values at the points of the whole faults, from those at own points."""
        whole = np.concatenate(self.distributed.comm.allgather(np.asarray(values)), axis=axis)
        return np.take(whole, self._order, axis=axis)

    def _whole_sites(self, firsts, counts):
        points = self.points
        parts = [slice(int(first), int(first + count)) for first, count in zip(firsts, counts, strict=True)]
        return FaultSites(
            parts, self._of_all(points.x, -1), self._of_all(points.dx, 0), self._of_all(points.shear_modulus, 0)
        )

    def _body(self, medium, conditions, element, rule):
        with together(self.distributed.comm):
            _require_whole(self.distributed, self.faults)
            require_beside_all(self.faults, conditions.wells)
        return CutBody(self.distributed, medium, conditions, rule=rule)

    def _brought_in_situ(self):
        with together(self.distributed.comm):
            return FaultPoints(self.faults, self.porous)

    def _pieces(self):
        labels = _labels(self.distributed)
        count = self.distributed.comm.allreduce(int(labels.max()), op=max) + 1
        return [labels == part for part in range(count)] if count > 1 else []

    def _step_equations(self):
        return RankStepEquations(self.points, self.porous, self._mass)

    def _step_newton(self, method):
        return RankStepNewton(self._equations, method)

    def _limits_that(self, on_outside, on_fracture):
        return RankLimits(self.points, self.porous, on_outside, on_fracture)

    def _greatest(self, value):
        return self.distributed.comm.allreduce(value, op=max)

    def _total(self, sums):
        return self.distributed.comm.allreduce(sums)

    def _whole(self, volumes):
        return self.porous._whole(volumes)

    def _prescribed(self, state, dt):
        with together(self.distributed.comm):
            # what cannot be evaluated on one rank stops all
            self.porous.loads.force(state.t + dt)
            self.porous.loads.inflow(state.t + dt)
            return super()._prescribed(state, dt)


class CutBody(RankPorousProblem):
    """The body of a faulted reservoir: its mesh is cut along the faults."""

    is_cut = True


class RankStepEquations(StepEquations):
    """The equations of a step over all ranks; tangents are what own cells and points give."""

    def _respond(self, x, state, dt):
        # what the law of one rank raises, all raise: all take the shorter step
        with together(self.porous.distributed.comm):
            return super()._respond(x, state, dt)

    def _summed(self, added):
        return self.porous.summed(added)


class RankStepNewton(StepNewton):
    """Newton's method that all ranks take alike."""

    _porous: RankPorousProblem

    def __init__(self, equations: RankStepEquations, method: str) -> None:
        super().__init__(equations, method)
        self._tangents = RankTangents(self._porous, equations.mass is not None)

    def _norm(self, scale, out):
        return self._tangents.norm(scale, out)

    def _correction(self, factor, residual):
        return factor.correction(residual)

    def _everywhere(self, holds):
        return all(self._porous.distributed.comm.allgather(bool(holds)))

    def _factored(self, x, response, state, dt):
        equations = self._equations
        body, fault = equations.of_body(state, dt), equations.of_fault(x, response, dt)
        held = equations.held_stiffness(response.tangent[:, :3, :3])
        try:
            self.iteration = self._tangents.iteration(body, fault, held, self.iteration)
        except petsc().Error as error:
            raise Diverged(f"PETSc cannot set up the iteration: {error}") from error
        self._parts = body, fault
        return self.iteration

    def _size(self, x, factor):
        scale = factor.scale
        free = np.abs(x)
        free[self._porous.constraint.prescribed] = 0.0
        summed = sum(abs(part) @ free for part in self._parts)
        return self._norm(scale, self._porous.summed(self._borne())) + self._norm(scale, self._porous.summed(summed))


class RankLimits(Limits):
    """Tells on all ranks when one leaves what the model describes; rank 0 alone warns."""

    @property
    def _comm(self):
        return self._porous.distributed.comm

    def _total(self, count):
        return self._comm.allreduce(int(count))

    def _at_largest(self, values: np.ndarray, told: Callable[[int], Any]) -> Any:
        sizes = self._comm.allgather(float(values.max(initial=-np.inf)))
        owner = int(np.argmax(sizes))
        return self._comm.bcast(told(int(values.argmax())) if self._comm.rank == owner else None, root=owner)

    def _warn(self, message):
        if self._comm.rank == 0:
            super()._warn(message)


def _require_whole(distributed, faults):
    """MeshError or ParameterError unless the faults are those of a mesh, with both sides of each facet here."""
    if len(faults) != len(distributed.sides):
        raise ParameterError(
            f"there are {len(faults)} faults for the {len(distributed.sides)} interfaces of the mesh; pass "
            "DistributedMesh.of(..., interfaces=[...], paired=True) that of each fault, and "
            "Fault(distributed.interface(number), ...) for each"
        )
    for number, (fault, (_, minus, plus)) in enumerate(zip(faults, distributed.sides, strict=True)):
        interface = fault.interface
        if not (np.array_equal(interface.minus_vertices, minus) and np.array_equal(interface.plus_vertices, plus)):
            raise ParameterError(
                f"fault {number} is not on interface {number} of the mesh; pass Fault(distributed.interface({number}), "
                "...), in the order of the interfaces"
            )
        cut = int((interface.plus < 0).sum())
        if cut:
            raise MeshError(
                f"{cut} of {len(minus)} pairs of facets of fault {number} have their two cells on different ranks; "
                "pass paired=True to DistributedMesh.of or partition"
            )


def _labels(distributed):
    """Which part of a mesh in pieces each vertex of this rank belongs to, (k,); collective."""
    corners = distributed.mesh.t
    first, rest = np.repeat(corners[:1], len(corners) - 1, axis=0).ravel(), corners[1:].ravel()
    n = corners.max() + 1
    count, label = connected_components(coo_array((np.ones(len(first)), (first, rest)), shape=(n, n)), directed=False)
    # parts of ranks that share a vertex are one
    comm = distributed.comm
    begin = comm.exscan(count) or 0
    owned = np.where(np.arange(n) < distributed.n_owned, begin + label, 0)
    at_owner = distributed.exchange.update(owned[:, None].astype(np.int64))[:, 0]
    total = comm.allreduce(count)
    links = np.unique(np.stack([begin + label, at_owner]), axis=1)
    links = np.concatenate(comm.allgather(links), axis=1)
    whole = coo_array((np.ones(links.shape[1]), (links[0], links[1])), shape=(total, total))
    return connected_components(whole, directed=False)[1][begin + label]
