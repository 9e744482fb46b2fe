"""Poroelastic bodies over all ranks: each assembles its own cells, PETSc solves the steps."""

from dataclasses import dataclass

import numpy as np
import skfem
from scipy.sparse import csr_array

from femnn.checks import checked
from femnn.exceptions import MeshError, ParameterError
from femnn.parallel.distributed_mesh import DistributedMesh
from femnn.parallel.ranks import together
from femnn.parallel.saddle import RankSaddleSolver
from femnn.parallel.sparse_sum import Unknowns
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.quadrature.rule import Rule
from femnn.reservoir.conditions import Conditions
from femnn.reservoir.loads import Loads
from femnn.reservoir.medium import PorousMedium
from femnn.reservoir.problem import PorousProblem
from femnn.reservoir.states import PorousState
from femnn.reservoir.wells import PressureWells, place_of, probe
from femnn.solvers.linear.saddle_point import require_held, rigid_motions


class RankPorousProblem(PorousProblem):
    """A poroelastic body over all ranks, used as :class:`femnn.reservoir.PorousProblem` is, by all of them together.

    Trilinear displacements and pressures on the ``skfem.MeshHex`` of a DistributedMesh. States have the unknowns of
    this rank, ghosts included, the same on ranks that share them; ``distributed.cells`` and ``distributed.vertices``
    tell where they are in the whole. :func:`femnn.reservoir.march` and :func:`femnn.reservoir.march_by_error` take the
    same steps on all ranks. Matrices, :meth:`volumes`, stresses and mean pressures are those of the own cells.

    Parameters
    ----------
    distributed
        :class:`femnn.parallel.DistributedMesh`, without interfaces.
    medium
        :class:`femnn.reservoir.PorousMedium` or ``DualPorousMedium``; entries that are given per element are those of
        the own cells, in the order of ``distributed.cells``.
    conditions
        :class:`femnn.reservoir.Conditions`, the same on all ranks, without rigid plates.
    theta
        As for one process.
    rule
        Default: ``AdaptiveGauss(calibrate="families")``, whose points depend on nothing but the cell, so that results
        are the same on any number of ranks.

    Raises
    ------
    MeshError
        If the mesh has interfaces or lacks a boundary that the conditions name, or a well is outside.
    ParameterError
        If the conditions have rigid plates, or medium or conditions do not fit the mesh.
    SingularMatrixError
        If the conditions leave a rigid motion free.

    Examples
    --------
    >>> import skfem
    >>> from femnn.parallel import DistributedMesh, RankPorousProblem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> mesh = skfem.MeshHex().refined(1).with_defaults()
    >>> pressed = {"traction": {"top": (0.0, 0.0, -1e6)}, "pressure": {"top": 0.0}}
    >>> held = {"bottom": (0.0, 0.0, 0.0)}
    >>> problem = RankPorousProblem(
    ...     DistributedMesh.of(mesh),
    ...     PorousMedium(young=1e9, poisson=0.2, permeability=1e-14),
    ...     Conditions(displacement=held, **pressed),
    ... )
    >>> start = problem.undrained()
    >>> state = problem.step(start, 3600.0)
    >>> bool(problem.balance(start, state).error.max() < 1e-8)
    True

    See Also
    --------
    femnn.parallel.checkpoint.save_state : a state as a file, from which any number of ranks goes on.
    """

    #: Whether the mesh may be cut along faults.
    is_cut = False

    @checked(rule="unchecked")
    def __init__(
        self,
        distributed: DistributedMesh,
        medium: PorousMedium,
        conditions: Conditions,
        *,
        theta: float = 1.0,
        rule: Rule | None = None,
    ) -> None:
        self.distributed = distributed
        _require_possible(distributed, conditions, self.is_cut)
        self._here = OwnPart.of(distributed, conditions)
        mesh = distributed.mesh.with_boundaries(self._here.facets)
        rule = AdaptiveGauss(calibrate="families") if rule is None else rule
        # nothing in here communicates
        with together(distributed.comm):
            super().__init__(
                mesh, medium, conditions, theta=theta, element=skfem.ElementHex1(), rule=rule, method="minres"
            )
        self._require_held()

    def __repr__(self) -> str:
        return f"RankPorousProblem({self.distributed!r}, {' and '.join(self.systems)})"

    @property
    def unknowns(self) -> tuple[Unknowns, Unknowns]:
        """Displacements and pressures."""
        return Unknowns(self.distributed, 3), Unknowns(self.distributed, len(self.systems), by_component=True)

    def _applied(self):
        u, p = self.displacement_basis, self.pressure_basis
        return (
            RankLoads(self._here, self.conditions, u, p, self.systems),
            RankWells(self._here, self.conditions.wells, p, self.systems, self.constants.mobility),
        )

    def _iterations(self):
        return RankSaddleSolver(self.distributed, self._stiffness, self._swelling, len(self.systems))

    def _require_held(self):
        x, comm = self.displacement_basis.doflocs, self.distributed.comm
        lows, highs = zip(*comm.allgather((x.min(axis=1), x.max(axis=1))), strict=True)
        low, high = np.min(lows, axis=0), np.max(highs, axis=0)
        own = self._closed.resisted(rigid_motions((x - low[:, None]) / (high - low).max()))
        rows = np.concatenate(comm.allgather(np.linalg.qr(own, mode="r")))
        require_held(rows, np.setdiff1d(np.arange(self.n_u), self._closed.prescribed))

    def residual(self, x: np.ndarray, state: PorousState, dt: float) -> np.ndarray:
        """As :meth:`femnn.reservoir.PorousProblem.residual`, the same on ranks that share an unknown; collective."""
        return self.summed(super().residual(x, state, dt))

    def summed(self, contributions: np.ndarray) -> np.ndarray:
        """The vector (n,) of displacements and pressures to which each rank gives ``contributions``; collective."""
        parts = zip(self.unknowns, (contributions[: self.n_u], contributions[self.n_u :]), strict=True)
        return np.concatenate([unknowns.sum(part) for unknowns, part in parts])

    @checked()
    def gathered(self, state: PorousState) -> PorousState | None:
        """A state in the order of the whole mesh on rank 0; None on others; collective.

        It is one of ``PorousProblem(mesh, medium, conditions, element=skfem.ElementHex1())``.
        """
        with together(self.distributed.comm):
            self._require_own(state)
        u = self.distributed.gathered(state.u)
        p = [self.distributed.gathered(pressure) for pressure in state.p]
        return None if u is None else PorousState(state.t, u, np.array(p))

    def _solve(self, state, dt, constraint):
        with together(self.distributed.comm):
            self._require_own(state)
        return super()._solve(state, dt, constraint)

    def _start(self, state, dt, constraint):
        with together(self.distributed.comm):
            # what cannot be evaluated on one rank stops all
            self.loads.force(state.t + dt)
            self.loads.inflow(state.t + self.theta * dt)
            return super()._start(state, dt, constraint)

    def _norm(self, field):
        own = field[: len(field) // len(self.distributed.vertices) * self.distributed.n_owned]
        return np.sqrt(self.distributed.comm.allreduce(float(own @ own)))

    def _whole(self, volumes):
        values = self.unknowns[1].sum(volumes.ravel()).reshape(volumes.shape)
        values[:, self.distributed.n_owned :] = 0.0
        return values

    def _total(self, sums):
        return self.distributed.comm.allreduce(sums)


@dataclass(frozen=True, eq=False)
class OwnPart:
    """What of the conditions belongs to this rank.

    Attributes
    ----------
    distributed : DistributedMesh
    vertices : dict of (k,) int
        On each boundary, those included that touch it on other ranks alone.
    facets : dict of (c,) int
        Of each boundary; one between two ranks is on the lower of them alone.
    wells : set of tuple
        Places of the wells in own cells; one between two ranks is on the lower of them alone.
    """

    distributed: DistributedMesh
    vertices: dict
    facets: dict
    wells: set

    @classmethod
    def of(cls, distributed, conditions):
        """Found by all ranks together.

        Raises
        ------
        MeshError
            On all ranks, if a boundary is not there, or a well is outside the mesh.
        """
        named = dict.fromkeys([
            *conditions.displacement, *conditions.traction, *conditions.pressure, *conditions.flux
        ])  # fmt: skip
        vertices = {name: distributed.vertices_on(name) for name in named}
        facets = {name: _facets_once(distributed, name) for name in named}
        return cls(distributed, vertices, facets, _wells_here(distributed, conditions.wells))

    def column(self, basis, x):
        """Shape functions at a well, (n_p, 1), 0 where another rank has it."""
        if tuple(np.asarray(x, dtype=float)) in self.wells:
            return probe(basis, x)
        return csr_array((basis.N, 1))


class RankLoads(Loads):
    """Loads of the own cells, and prescribed values of all unknowns of this rank."""

    def __init__(self, here, *args) -> None:
        self._here = here
        super().__init__(*args)

    def _dofs_on(self, basis, name):
        return basis.get_dofs(nodes=self._here.vertices[name])

    def _probe(self, x):
        return self._here.column(self._p, x)

    def _over_facets(self, basis, name, values, what):
        return super()._over_facets(basis, name, values, what) if len(self._here.facets[name]) else []


class RankWells(PressureWells):
    """Wells that hold a pressure, each in a cell of one rank; the pressures around them are found by all together."""

    def __init__(self, here, *args) -> None:
        self._here = here
        super().__init__(*args)

    def _probe(self, x):
        return self._here.column(self._basis, x)

    def _pressures_at_wells(self, p):
        return self._here.distributed.comm.allreduce(super()._pressures_at_wells(p))


def _require_possible(distributed, conditions, is_cut):
    if distributed.sides and not is_cut:
        raise MeshError(
            f"the mesh has {len(distributed.sides)} interfaces, a body without faults has none; pass its faults to "
            "femnn.parallel.RankFaultedReservoir"
        )
    if conditions.rigid:
        raise ParameterError(
            f"the boundaries {', '.join(map(repr, conditions.rigid))} are rigid, which on ranks none can be: "
            "prescribe the displacement or a traction, or run in one process"
        )


def _facets_once(distributed, name):
    """Facets (c,) of a boundary that this rank integrates over; collective."""
    corners = distributed.boundaries.get(name, np.empty((0, 4), dtype=int))
    keys = [tuple(key) for key in np.sort(distributed.vertices[corners], axis=1).tolist()]
    is_shared = np.zeros(len(distributed.vertices), dtype=bool)
    is_shared[distributed.n_owned :] = True
    for _, vertices in distributed.exchange.mirrors:
        is_shared[vertices] = True
    between = [key for key, shared in zip(keys, is_shared[corners].all(axis=1), strict=True) if shared]
    lower = set().union(*distributed.comm.allgather(between)[: distributed.comm.rank])
    kept = [place for place, key in enumerate(keys) if key not in lower]
    return distributed.facets(corners[kept])


def _wells_here(distributed, wells):
    """Places of the wells of this rank; collective."""
    basis = skfem.CellBasis(distributed.mesh, skfem.ElementHex1(), intorder=1)
    with together(distributed.comm):
        places = [tuple(place_of(basis, well.x).tolist()) for well in wells]
    found = distributed.comm.allgather([_is_inside(basis, place) for place in places])
    here = set()
    for place, ranks in zip(places, zip(*found, strict=True), strict=True):
        if not any(ranks):
            raise MeshError(f"the well at {list(place)} is outside the mesh, in the cells of none of the ranks")
        if ranks.index(True) == distributed.comm.rank:
            here.add(place)
    return here


def _is_inside(basis, place):
    try:
        probe(basis, place)
    except MeshError:
        return False
    return True
