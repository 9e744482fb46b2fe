"""The elements of one material in a solid: its law evaluated at their points, and the state of these."""

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.element_matrices import TANGENT
from femnn.assembly.forces import internal_force
from femnn.assembly.fused import fill_matrix
from femnn.assembly.scatter import structure
from femnn.exceptions import ParameterError
from femnn.geometry.cells import determinants, kind_of_array
from femnn.integration.gauss import tensor_gauss
from femnn.integration.vector_kernels import LANES
from femnn.solids.bending import BendingElements
from femnn.solids.kernels import fill_strains, integrate_law
from femnn.solids.laws import SIZES, ConstitutiveLaw, PointLaw, require_answers, updated, virgin_state
from femnn.solids.tabulated_kernels import fill_tabulated_strains, integrate_tabulated_law
from femnn.system.memory import require_memory

_ZERO = np.zeros((1, 1))


def restricted(discretisation: Discretisation, cells: np.ndarray) -> Discretisation:
    """The same discretisation, integrated over some of its elements (k,) only."""
    chosen = np.zeros(len(discretisation.hexahedra), dtype=bool)
    chosen[cells] = True
    groups = []
    for group in discretisation.groups:
        keep = chosen[group.cells]
        if keep.any():
            X = group.X if group.X.ndim == 2 else group.X[:, keep]
            W = group.W if group.W.ndim == 1 else group.W[keep]
            groups.append(group._replace(cells=group.cells[keep], X=X, W=W))
    return discretisation.with_groups(groups)


class Region:
    """A law on some elements of a mesh.

    Parameters
    ----------
    law
        Checked already.
    discretisation
        Its groups hold the elements of the region, and no others.
    formulation
        One of :data:`femnn.assembly.formulations.FORMULATIONS`.
    plane
        ``"strain"`` or ``"stress"``.

    Raises
    ------
    ParameterError
        If law, formulation and elements do not go together.
    """

    def __init__(self, law: ConstitutiveLaw, discretisation: Discretisation, formulation: str, plane: str) -> None:
        self.law, self.discretisation = law, discretisation
        n, total = len(discretisation.hexahedra), discretisation.points.total
        if isinstance(law, PointLaw) and law.parameters.ndim == 2 and len(law.parameters) != n:
            raise ParameterError(
                f"{law!r} has parameters for {len(law.parameters)} elements, the mesh has {n}; give one row for each"
            )
        zeros = Coefficients(_ZERO, np.zeros(n, dtype=np.int64), 0)
        self.conditions: dict[str, Coefficients] = dict.fromkeys(getattr(law, "conditions", ()), zeros)
        if "length" in self.conditions:
            self.set_condition("length", Coefficients(_lengths(discretisation)[:, None], np.arange(n), 0))
            _require_small(law, np.concatenate([group.cells for group in discretisation.groups]), self.conditions)
        state = virgin_state(law, total)
        if isinstance(law, PointLaw) and state.shape != (total, len(law.virgin)):
            raise ParameterError(
                f"{law!r} has an initial state of shape {state.shape}; the compiled law writes "
                f"{(total, len(law.virgin))}"
            )
        self.shape = state.shape[1:]
        self.state = np.ascontiguousarray(state.reshape(total, -1))
        self.trial: np.ndarray | None = None
        self._numbers: Coefficients | None = None
        self.bending = None
        if formulation != "standard":
            self.bending = BendingElements(formulation, law, discretisation, plane)

    @property
    def size(self) -> int:
        """Numbers of a strain."""
        return SIZES[self.law.kinematics]

    def set_condition(self, name: str, values: Coefficients) -> None:
        """Take what the elements or points are to tell the law, if it asks for that."""
        if name in self.conditions:
            self.conditions[name], self._numbers = values, None

    def restore(self, state: np.ndarray) -> None:
        """Make a state (total, s) the committed one."""
        self.state, self.trial = state, None
        if self.bending is not None:
            self.bending.forget()

    def commit(self) -> None:
        """Make the state of the last evaluation the committed one."""
        if self.trial is not None:
            self.state, self.trial = self.trial, None
            if self.bending is not None:
                self.bending.commit()

    def strains(self, u: np.ndarray) -> np.ndarray:
        """What the law gets at displacement ``u``, (total, size)."""
        d: Any = self.discretisation
        if self.bending is not None:
            return self.bending.strains(u, self.state, self._parameters())
        strains = np.empty((d.points.total, self.size))
        if d.is_tabulated:
            places = d.points.tables, d.points.places, d.points.rows
            fill_tabulated_strains(d.hexahedra, d.pattern.cells, *places, u, LANES, strains)
        else:
            points = d.points.with_nodes(d.pattern.cells.shape[1])
            fill_strains(d.hexahedra, d.pattern.cells, points, d.points.rows, u, LANES, strains)
        return strains

    def stresses(self, u: np.ndarray) -> np.ndarray:
        """Stresses (total, size) from the committed state."""
        return self._responses(self.strains(u))[0]

    def evaluate(self, u: np.ndarray, wanted: bool) -> tuple[np.ndarray, csr_matrix | None]:
        """Internal force (n_dofs,) and tangent, None unless ``wanted``; the trial state is kept."""
        self.trial = None
        d, bending = self.discretisation, self.bending
        if isinstance(self.law, PointLaw):
            if bending is None:
                return self._integrated(u, wanted)
            force, matrix, self.trial = bending.integrated(u, self.state, self._parameters(), wanted)
            return force, matrix
        numbers = d.points.total * (2 * self.size + self.size**2 + self.state.shape[1])
        require_memory(8 * numbers, f"the response of {type(self.law).__name__} at {d.points.total:,} points")
        stress, tangent, trial = self._responses(self.strains(u))
        self.trial = trial
        if bending is not None:
            return bending.from_arrays(u, stress, tangent, self.state, wanted)
        force = internal_force(d, Coefficients(stress, d.points.rows, 1))
        if not wanted:
            return force, None
        coefficients = Coefficients(tangent, d.points.rows, 1)
        return force, fill_matrix(TANGENT, d.hexahedra, d.pattern, d.points, coefficients, d.dim)

    def _responses(self, strains):
        """Stress (total, size), tangent (total, size²) and new state by calls of the law, one for each group."""
        d = self.discretisation
        stress, tangent, trial = np.empty_like(strains), np.empty((len(strains), self.size**2)), self.state.copy()
        start = 0
        for group in d.groups:
            nqp = group.W.shape[-1]
            rows, cells = slice(start, start + group.n_points), np.repeat(group.cells, nqp)
            conditions = {
                name: own.values[own.rows[cells] + own.step * np.tile(np.arange(nqp), len(group.cells)), 0]
                for name, own in self.conditions.items()
            }
            state = self.state[rows].reshape(group.n_points, *self.shape)
            results = updated(self.law, strains[rows], state, cells, conditions)
            for array, part in zip((stress, tangent, trial), results, strict=True):
                array[rows] = part
            start += group.n_points
        return stress, tangent, trial

    def _parameters(self):
        """Parameters and conditions as the kernels read them."""
        if self._numbers is None:
            self._numbers = _joined(self._columns(), self.discretisation)
        return self._numbers

    def _columns(self):
        n = len(self.discretisation.hexahedra)
        # laws that are not compiled are called, and find theirs themselves
        own = self.law.parameters if isinstance(self.law, PointLaw) else np.zeros(1)
        rows = np.arange(n) if own.ndim == 2 else np.zeros(n, dtype=np.int64)
        return [Coefficients(np.atleast_2d(own), rows, 0), *self.conditions.values()]

    def _integrated(self, u, wanted):
        d = self.discretisation
        matrix = d.pattern.empty_matrix(d.dim) if wanted else None
        force, trial = np.zeros(d.dim * d.pattern.n_nodes), np.empty_like(self.state)
        failed = np.zeros(len(d.hexahedra), dtype=bool)
        if d.is_tabulated:
            integrate, points = integrate_tabulated_law, (d.points.tables, d.points.places)
        else:
            integrate, points = integrate_law, (d.points.with_nodes(d.pattern.cells.shape[1]),)
        integrate(
            self.law.compiled,
            tuple(self._parameters()),
            self.size,
            d.hexahedra,
            *structure(d.pattern),
            *points,
            d.points.rows,
            u,
            self.state,
            trial,
            LANES,
            matrix.data if wanted else np.empty(0),
            force,
            failed,
        )
        require_answers(failed)
        self.trial = trial
        return force, matrix


def _joined(columns, discretisation):
    """Several Coefficients side by side: one row for all, one for each element, or one for each point."""
    n = len(discretisation.hexahedra)
    if any(part.step for part in columns):
        points = discretisation.points
        cells = np.repeat(np.arange(n), points.counts)
        within = np.arange(points.total) - np.repeat(np.cumsum(points.counts) - points.counts, points.counts)
        values = np.hstack([part.values[part.rows[cells] + part.step * within] for part in columns])
        ordered = np.empty_like(values)
        ordered[points.rows[cells] + within] = values
        return Coefficients(ordered, points.rows, 1)
    if all(len(part.values) == 1 for part in columns):
        return Coefficients(
            np.ascontiguousarray(np.hstack([part.values for part in columns])), np.zeros(n, dtype=np.int64), 0
        )
    values = np.hstack([part.values[part.rows] for part in columns])
    return Coefficients(np.ascontiguousarray(values), np.arange(n), 0)


def _require_small(law, cells, conditions):
    """Raise ParameterError if elements are larger than the law allows."""
    length = conditions["length"].values[cells, 0]
    largest = np.asarray(getattr(law, "largest_length", np.inf))
    largest = largest[cells] if largest.ndim else np.full(len(cells), largest)
    wrong = np.flatnonzero(~(length < largest))
    if len(wrong):
        first = wrong[0]
        raise ParameterError(
            f"element {cells[first]} has the size {length[first]:.3g} m; it and {len(wrong) - 1} more of {len(cells)} "
            f"are not below {largest[first]:.3g} m, the most for {law!r}: larger ones snap back by themselves; refine "
            "the mesh there"
        )


def _lengths(discretisation):
    """Edges (n,) of squares or cubes that have the sizes of the elements."""
    x = discretisation.hexahedra
    kind = kind_of_array(x)
    points, weights = tensor_gauss(*[1 + (kind.dim * kind.degree) // 2] * kind.dim)
    return (np.abs(determinants(x, points)) @ weights) ** (1.0 / kind.dim)
