"""A solid with a constitutive law at its integration points: internal forces, tangents and a state to roll back."""

from collections.abc import Sequence

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.element_matrices import TANGENT
from femnn.assembly.forces import internal_force
from femnn.assembly.formulations.choice import ONE_POINT, require_formulation
from femnn.assembly.fused import fill_matrix
from femnn.assembly.groups import check_rule
from femnn.assembly.pattern import Pattern
from femnn.assembly.scatter import structure
from femnn.checks import checked, floats, vector
from femnn.exceptions import ParameterError, StateError
from femnn.integration.vector_kernels import LANES
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import CellGroup, Rule
from femnn.solids.bending import BendingElements
from femnn.solids.kernels import fill_strains, integrate_law
from femnn.solids.laws import SIZES, ConstitutiveLaw, PointLaw, check_law, require_answers, updated, virgin_state
from femnn.solids.tabulated_kernels import fill_tabulated_strains, integrate_tabulated_law
from femnn.system.memory import require_memory


class Solid:
    """A body of one material, ready for :func:`femnn.newton`.

    Parameters
    ----------
    mesh, rule, element, on_folded, pattern
        As in :func:`femnn.assemble_elasticity`: any rule, adaptive ones too.
    formulation
        ``"standard"``, or one that bends or does not lock, as in :func:`femnn.assemble_elasticity`, see the notes.
    law
        A :class:`femnn.PointLaw`, which is compiled into the assembly, or any object that keeps
        :class:`femnn.ConstitutiveLaw`: it is called once for each group of the rule with all points of the group.

    Attributes
    ----------
    points
        The mesh, which tells the solvers where the degrees of freedom are.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError, MemoryError

    Notes
    -----
    *Mean dilatation* gives the law strains whose dilatation is the element's mean: ε + (θ̄ - θ)/3, or with finite
    strains (J̄/J)^{1/3} F with J̄ the ratio of the element's volumes. Both derive from an energy where the law has one;
    their tangents are consistent, and symmetric for such laws (J. C. Simo, R. L. Taylor, K. S. Pister, CMAME 51 (1985)
    177-208; E. A. de Souza Neto et al., IJSS 33 (1996) 3277-3296 take J at the centre, which makes them unsymmetric).

    *Incompatible modes* are brought to equilibrium in each element at every evaluation, so that forces depend on
    displacements and committed state alone; it takes a :class:`femnn.PointLaw`. With finite strains the elements may
    buckle by themselves under strong compression (P. Wriggers, S. Reese, CMAME 135 (1996) 201-209).

    *Stabilised* and *learned* elements evaluate the law once, at their mean strain; ``rule`` is then not used. Their
    twists have the stiffness of the virgin law, so that bodies of one plastic element across the thickness are too
    stiff in bending once they yield: two or more show it.

    *Quadrilaterals* are in plane strain: the law gets strains of three dimensions, those out of the plane zero, and
    what it answers out of the plane is a stress but no force. They and curved hexahedra have the standard formulation.
    """

    def __init__(
        self,
        mesh: skfem.Mesh,
        rule: Rule,
        law: ConstitutiveLaw,
        *,
        formulation: str = "standard",
        element: skfem.Element | None = None,
        on_folded: str = "raise",
        pattern: Pattern | None = None,
    ) -> None:
        check_law(law)
        self.law, self.points = law, mesh
        self.formulation = require_formulation(formulation, element)
        if formulation in ONE_POINT:
            check_rule(rule)
            rule = GaussLegendre(1)
        self.discretisation = Discretisation.of(mesh, rule, element, on_folded, pattern)
        self._bending = None
        if self.formulation != "standard" and self.discretisation.is_tabulated:
            raise ParameterError(
                f"formulation={self.formulation!r} of a solid is made for straight hexahedra with trilinear shape "
                "functions; on these cells pass formulation='standard' and an element of degree 2 against locking"
            )
        if formulation != "standard":
            self._bending = BendingElements(formulation, law, self.discretisation)
        total = self.discretisation.points.total
        state = virgin_state(law, total)
        if isinstance(law, PointLaw) and state.shape != (total, len(law.virgin)):
            raise ParameterError(
                f"{law!r} has an initial state of shape {state.shape}; the compiled law writes "
                f"{(total, len(law.virgin))}"
            )
        self._shape = state.shape[1:]
        self._state = np.ascontiguousarray(state.reshape(total, -1))
        self._trial = None

    @property
    def n_dofs(self) -> int:
        """Degrees of freedom: one per node and dimension, numbered like those of ``skfem.ElementVector(element)``."""
        return self.discretisation.dim * self.discretisation.pattern.n_nodes

    @property
    def groups(self) -> list[CellGroup]:
        """The groups of the rule; ``groups[i].cells`` are the elements of ``states[i]``."""
        return self.discretisation.groups

    @property
    def states(self) -> list[np.ndarray]:
        """The committed state: a copy (m, nqp, ...) for each group of the rule."""
        return self._per_group(self._state.reshape(len(self._state), *self._shape).copy())

    @checked(states="any")
    def restore(self, states: Sequence[ArrayLike]) -> None:
        """Make ``states``, as :attr:`states` gave them, the committed state.

        Raises
        ------
        StateError
            If they are those of another mesh, rule or law; nothing is changed then.
        """
        arrays = [floats("a state", state, finite=False) for state in states]
        shapes, expected = [array.shape for array in arrays], [state.shape for state in self.states]
        if shapes != expected:
            raise StateError(f"the states have the shapes {shapes}, this solid {expected}; restore what it gave itself")
        committed = np.empty_like(self._state)
        for view, array in zip(self._per_group(committed), arrays, strict=True):
            view[:] = array.reshape(view.shape)
        self._state, self._trial = committed, None
        if self._bending is not None:
            self._bending.forget()

    def strains(self, u: ArrayLike) -> list[np.ndarray]:
        """Strains (m, nqp, 6) or displacement gradients (m, nqp, 3, 3) at displacement ``u``, for each group."""
        strains = self._strains(self._displacement(u))
        return self._per_group(strains if strains.shape[1] == 6 else strains.reshape(-1, 3, 3))

    def stresses(self, u: ArrayLike) -> list[np.ndarray]:
        """Stresses at displacement ``u`` from the committed state, for each group; nothing changes."""
        strains, stresses = self._strains(self._displacement(u)), []
        for strain, state, group in zip(
            self._per_group(strains), self._per_group(self._state), self.groups, strict=True
        ):
            m, nqp = strain.shape[:2]
            stress = self._updated(strain, state, group)[0]
            stresses.append(stress.reshape(m, nqp, *((6,) if stress.shape[1] == 6 else (3, 3))))
        return stresses

    def residual_and_tangent(self, u: ArrayLike) -> tuple[np.ndarray, csr_matrix]:
        """Internal force (n_dofs,) and tangent (csr_matrix) at displacement ``u``, from the committed state.

        Raises
        ------
        LawError
            If stress, tangent or state are not finite somewhere; the committed state is that of before.
        """
        if isinstance(self.law, PointLaw):
            return self._integrated(u, tangent=True)
        stress, tangent = self._evaluated(u)
        d = self.discretisation
        if self._bending is not None:
            return self._bending.from_arrays(self._displacement(u), stress, tangent, self._state, tangent_too=True)
        coefficients = Coefficients(tangent, d.points.rows, 1)
        matrix = fill_matrix(TANGENT, d.hexahedra, d.pattern, d.points, coefficients, d.dim)
        return internal_force(d, Coefficients(stress, d.points.rows, 1)), matrix

    def internal_force(self, u: ArrayLike) -> np.ndarray:
        """Internal force (n_dofs,) alone, as :meth:`residual_and_tangent`."""
        if isinstance(self.law, PointLaw):
            return self._integrated(u, tangent=False)[0]
        stress, tangent = self._evaluated(u)
        if self._bending is not None:
            return self._bending.from_arrays(self._displacement(u), stress, tangent, self._state, tangent_too=False)[0]
        return internal_force(self.discretisation, Coefficients(stress, self.discretisation.points.rows, 1))

    def commit(self) -> None:
        """Make the state of the last evaluation the committed one."""
        if self._trial is not None:
            self._state, self._trial = self._trial, None
            if self._bending is not None:
                self._bending.commit()

    def rollback(self) -> None:
        """Forget the last evaluation."""
        self._trial = None

    def _per_group(self, values):
        return self.discretisation.points.per_group(values, self.groups)

    def _displacement(self, u):
        return vector(u, self.n_dofs, "the displacement")

    def _strains(self, u):
        d = self.discretisation
        if self._bending is not None:
            return self._bending.strains(u, self._state)
        strains = np.empty((d.points.total, SIZES[self.law.kinematics]))
        if d.is_tabulated:
            places = d.points.tables, d.points.places, d.points.rows
            fill_tabulated_strains(d.hexahedra, d.pattern.cells, *places, u, LANES, strains)
        else:
            fill_strains(d.hexahedra, d.pattern.cells, d.points[:3], d.points.rows, u, LANES, strains)
        return strains

    def _updated(self, strain, state, group):
        m, nqp = strain.shape[:2]
        state = state.reshape(m * nqp, *self._shape)
        return updated(self.law, strain.reshape(m * nqp, -1), state, np.repeat(group.cells, nqp))

    def _evaluated(self, u):
        """Stress (total, size) and tangent (total, size²) by calls of the law; the trial state is kept."""
        self._trial = None
        u, total, size = self._displacement(u), self.discretisation.points.total, SIZES[self.law.kinematics]
        numbers = total * (2 * size + size**2 + self._state.shape[1])
        require_memory(8 * numbers, f"the response of {type(self.law).__name__} at {total:,} points")
        strains = self._strains(u)
        stress, tangent, trial = np.empty_like(strains), np.empty((len(strains), size**2)), np.empty_like(self._state)
        views = (self._per_group(values) for values in (strains, self._state, stress, tangent, trial))
        for strain, state, *results, group in zip(*views, self.groups, strict=True):
            for view, part in zip(results, self._updated(strain, state, group), strict=True):
                view[:] = part.reshape(view.shape)
        self._trial = trial
        return stress, tangent

    def _integrated(self, u, tangent):
        """Internal force and tangent (or None) through the compiled law; the trial state is kept."""
        self._trial = None
        d, u = self.discretisation, self._displacement(u)
        if self._bending is not None:
            force, matrix, self._trial = self._bending.integrated(u, self._state, tangent)
            return force, matrix
        matrix = d.pattern.empty_matrix(d.dim) if tangent else None
        force, trial = np.zeros(self.n_dofs), np.empty_like(self._state)
        failed = np.zeros(len(d.hexahedra), dtype=bool)
        integrate = integrate_tabulated_law if d.is_tabulated else integrate_law
        integrate(
            self.law.compiled,
            self.law.parameters,
            SIZES[self.law.kinematics],
            d.hexahedra,
            *structure(d.pattern),
            *((d.points.tables, d.points.places) if d.is_tabulated else (d.points[:3],)),
            d.points.rows,
            u,
            self._state,
            trial,
            LANES,
            matrix.data if tangent else np.empty(0),
            force,
            failed,
        )
        require_answers(failed)
        self._trial = trial
        return force, matrix
