"""Loads and prescribed values of a porous body, as vectors of a moment."""

from typing import NamedTuple

import numpy as np
import skfem
from scipy.sparse import csr_matrix

from femnn.exceptions import MeshError, ParameterError
from femnn.reservoir.conditions import boundary, evaluate, per_axis, per_system
from femnn.reservoir.wells import probe


class Integral(NamedTuple):
    """∫ value · test function: the value is looked at in places x (dim, ...), and the matrix does the rest."""

    matrix: csr_matrix
    x: np.ndarray
    values: tuple
    what: str

    def at(self, t):
        values = [0.0 if value is None else value for value in self.values]
        return self.matrix @ np.concatenate([evaluate(value, self.x, t, self.what).ravel() for value in values])


class _Prescribed(NamedTuple):
    dofs: np.ndarray
    x: np.ndarray
    value: object
    what: str


class Loads:
    """The conditions of a body in the numbering of its unknowns: displacements, then the pressures of each system.

    Parameters
    ----------
    conditions : Conditions
    displacement, pressure
        scikit-fem's bases of the cells.
    systems
        Names of the pore systems.

    Attributes
    ----------
    prescribed_displacement, prescribed_pressure : (k,) int
        Degrees of freedom.
    rigid : list of (k,) int
        Degrees of freedom that are equal.
    drains : dict of list of (k,) int
        By boundary with prescribed pressure, one for each system: those of its degrees of freedom that no boundary
        named later prescribes. Within the system's own block.
    """

    def __init__(self, conditions, displacement, pressure, systems) -> None:
        self._mesh, self._systems = displacement.mesh, systems
        self._u, self._p = displacement, pressure
        self.ndof = displacement.N + len(systems) * pressure.N
        self._forces: list[Integral] = []
        self._inflows: list[list[Integral]] = [[] for _ in systems]
        self._held: list[_Prescribed] = []
        self._drained: list[_Prescribed] = []
        self._add_forces(conditions)
        self._add_inflows(conditions)
        self._prescribe(conditions)
        self.prescribed_displacement = _united(self._held)
        self.prescribed_pressure = _united(self._drained)
        self.rigid = self._plates(conditions.rigid)

    def force(self, t):
        """Forces (n_u,) at time t."""
        return sum((integral.at(t) for integral in self._forces), np.zeros(self._u.N))

    def inflow(self, t):
        """Volume that wells, fluxes and sources feed per time, (s, n_p)."""
        return np.array([sum((integral.at(t) for integral in system), np.zeros(self._p.N)) for system in self._inflows])

    def rate_of(self, well, t):
        """Rates (s,) of a well at time t."""
        x = np.asarray(well.x, dtype=float)
        what = f"rate of the well at {x.tolist()}"
        rates = per_system(well.rate, self._systems, what)
        return np.array([0.0 if rate is None else evaluate(rate, x[:, None], t, what)[0] for rate in rates])

    def prescribe(self, x, t, pressures=True):
        """Write the prescribed values of time t into ``x`` (ndof,)."""
        for prescribed in self._held + (self._drained if pressures else []):
            x[prescribed.dofs] = evaluate(prescribed.value, prescribed.x, t, prescribed.what)

    def _add_forces(self, conditions):
        for name, traction in conditions.traction.items():
            what = f"traction on {name!r}"
            values = per_axis(traction, self._mesh.dim(), what)
            self._forces += self._over_facets(self._u, name, values, what)
        if conditions.body_force is not None:
            values = per_axis(conditions.body_force, self._mesh.dim(), "body_force")
            self._forces.append(_integral(self._u, values, "body_force"))

    def _add_inflows(self, conditions):
        for name, flux in conditions.flux.items():
            what = f"flux into {name!r}"
            self._feed(
                per_system(flux, self._systems, what),
                lambda rate, n=name, w=what: self._over_facets(self._p, n, (rate,), w),
            )
        for well in conditions.wells:
            if well.rate is None:
                continue
            x = np.asarray(well.x, dtype=float)
            what = f"rate of the well at {x.tolist()}"
            matrix = csr_matrix(self._probe(x))
            self._feed(
                per_system(well.rate, self._systems, what),
                lambda rate, m=matrix, x=x, w=what: [Integral(m, x[:, None], (rate,), w)],
            )
        if conditions.source is not None:
            values = per_system(conditions.source, self._systems, "source")
            self._feed(values, lambda rate: [_integral(self._p, (rate,), "source")])

    def _feed(self, values, integrals):
        for inflows, rate in zip(self._inflows, values, strict=True):
            if rate is not None:
                inflows += integrals(rate)

    def _prescribe(self, conditions):
        dim, n_p = self._mesh.dim(), self._p.N
        for name, values in conditions.displacement.items():
            what = f"displacement of {name!r}"
            for axis, value in enumerate(per_axis(values, dim, what)):
                if value is not None:
                    dofs = self._along(name, axis)
                    self._held.append(_Prescribed(dofs, self._u.doflocs[:, dofs], value, what))
        self.drains, taken = {}, [np.zeros(n_p, dtype=bool) for _ in self._systems]
        for name, values in reversed(list(conditions.pressure.items())):
            what = f"pressure on {name!r}"
            dofs = self._dofs_on(self._p, name).all()
            self.drains[name] = []
            for system, value in enumerate(per_system(values, self._systems, what, alike=True)):
                drained = dofs[~taken[system][dofs]] if value is not None else dofs[:0]
                taken[system][drained] = True
                self.drains[name].append(drained)
                place = self._u.N + system * n_p + drained
                self._drained.append(_Prescribed(place, self._p.doflocs[:, drained], value, what))
        self._drained = [prescribed for prescribed in self._drained if len(prescribed.dofs)]

    def _plates(self, rigid):
        taken, plates = self.prescribed_displacement, []
        for name, axis in rigid.items():
            plates.append(self._along(name, axis))
            shared = np.intersect1d(plates[-1], taken)
            if len(shared):
                raise ParameterError(
                    f"{name!r} is rigid along axis {axis}, but {len(shared)} of its points are prescribed or rigid "
                    f"along it with another boundary, one at {self._u.doflocs[:, shared[0]].tolist()}; name only one"
                )
            taken = np.union1d(taken, plates[-1])
        return plates

    def _along(self, name, axis):
        dofs = self._dofs_on(self._u, name)
        if axis not in range(self._mesh.dim()):
            raise MeshError(f"boundary {name!r} has no axis {axis!r}; the axes are 0 to {self._mesh.dim() - 1}")
        return dofs.all([f"u^{axis + 1}"])

    def _dofs_on(self, basis, name):
        boundary(self._mesh, name)
        return basis.get_dofs(name)

    def _probe(self, x):
        return probe(self._p, x)

    def _over_facets(self, basis, name, values, what):
        """List of the integral over a named boundary."""
        facets = skfem.FacetBasis(
            self._mesh, basis.elem, facets=boundary(self._mesh, name), mapping=basis.mapping, intorder=4
        )
        return [_integral(facets, values, what)]


def _united(prescribed):
    return np.unique(np.concatenate([part.dofs for part in prescribed] or [np.empty(0, dtype=int)]))


def _integral(basis, values, what):
    """∫ values · test function over a basis of cells or facets."""
    x = np.asarray(basis.global_coordinates())
    components, points = len(values), x[0].size
    columns = np.arange(components * points).reshape(components, points)
    rows = np.repeat(basis.element_dofs, x.shape[2], axis=1)
    data = np.array([
        (np.asarray(shape[0]) * basis.dx).reshape(components, points) for shape in basis.basis
    ])  # fmt: skip
    rows = np.broadcast_to(rows[:, None], data.shape)
    columns = np.broadcast_to(columns, data.shape)
    matrix = csr_matrix((data.ravel(), (rows.ravel(), columns.ravel())), shape=(basis.N, components * points))
    matrix.eliminate_zeros()
    return Integral(matrix, x, values, what)
