"""A periodic cell of hexahedra under a macroscopic strain: homogenised stress, consistent tangent, state."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from femnn.checks import brief, checked, shaped
from femnn.cohesive.law import Law, State
from femnn.exceptions import FemnnError, LawError, ParameterError
from femnn.geometry.mesh import require_hexahedra
from femnn.interfaces.elements import InterfaceElements
from femnn.interfaces.problem import CohesiveProblem
from femnn.interfaces.split import Interface
from femnn.multiscale.fe2.fluctuations import FluctuationSolver
from femnn.multiscale.fe2.periodicity import PeriodicBox
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule
from femnn.solids.laws import ConstitutiveLaw
from femnn.solids.solid import Solid
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, diverging, iterate

# Most iterations of Newton's method and lengths of its line search.
_MOST, _LENGTHS = 25, 5

# Strains below this part of the largest so far are not what residuals are measured by.
_LEAST = 1e-3

# Residuals of the linear systems of an iteration, and of the tangent.
_LOOSE, _TIGHT = 1e-4, 1e-7


class CellResponse(NamedTuple):
    """Answer of a cell to a macroscopic strain.

    Attributes
    ----------
    stress : (6,)
        Mean stress (Pa), Voigt order xx, yy, zz, yz, xz, xy.
    tangent : (6, 6), or None
        Its derivative by the strain, with the fluctuations condensed; None if it was not wanted.
    state : (s,)
        New state: fluctuations of the independent vertices, internal variables.
    iterations : int

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import PeriodicCell, cell_with_inclusions
    >>> cell = PeriodicCell(cell_with_inclusions(3, radius=0.2), femnn.LinearElastic(3e9, 0.3))
    >>> response = cell.respond([1e-3, 0, 0, 0, 0, 0], cell.initial_state())
    >>> response.stress.shape, response.tangent.shape
    ((6,), (6, 6))
    """

    stress: np.ndarray
    tangent: np.ndarray | None
    state: np.ndarray
    iterations: int


class PeriodicCell:
    """A box of one or several materials whose displacements are E·x and a periodic fluctuation.

    Parameters
    ----------
    mesh
        ``skfem.MeshHex`` of a box whose opposite faces have the same vertices; holes are allowed.
    law
        Of small strains, as for :class:`femnn.Solid`: one, whose parameters may be arrays (n_elements,), or a dict by
        subdomain.
    rule
        Of integration; 2×2×2 Gauss points if None.
    facets, cohesive
        Name or indices of facets where the mesh is split, and the cohesive law there: both or none. They must not reach
        the faces of the box.
    rtol
        Of the forces, relative to those at the vertices of the faces.

    Attributes
    ----------
    solid : Solid
        Of the mesh, which is split where there is an interface.
    box : PeriodicBox
    affine : (n_dofs, 6)
        Displacements of unit strains.
    corner_dofs : (24,)
        Degrees of freedom of the corners of the box, whose fluctuations are zero.

    Raises
    ------
    MeshError
        If opposite faces are not alike.
    ParameterError
        If arguments do not fit together.

    Notes
    -----
    Stresses are means over the box, Σ = 1/V ∂W/∂E, so that the work of the macroscopic stress is the mean work of the
    stresses and of the tractions of the interface (R. Hill, JMPS 11 (1963) 357-372). The tangent is that of the step,
    with the fluctuations condensed: C = (K_EE - K_Ew K_ww⁻¹ K_wE)/V (C. Miehe, A. Koch, Archive of Applied Mechanics 72
    (2002) 300-317).

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import cell_with_inclusions
    >>> mesh = cell_with_inclusions(4)
    >>> young = np.full(mesh.nelements, 3e9)
    >>> young[mesh.subdomains["inclusion"]] = 70e9
    >>> cell = PeriodicCell(mesh, femnn.LinearElastic(young, 0.3))
    >>> response = cell.respond([1e-3, 0, 0, 0, 0, 0], cell.initial_state())
    >>> bool(3e9 < response.tangent[0, 0] < 70e9)
    True
    """

    @checked(law="unchecked", facets="unchecked", rtol="(0, 1)")
    def __init__(
        self,
        mesh: Any,
        law: ConstitutiveLaw | dict,
        *,
        rule: Rule | None = None,
        facets: Any = None,
        cohesive: Law | None = None,
        rtol: float = 1e-7,
    ) -> None:
        if (facets is None) != (cohesive is None):
            raise ParameterError(
                "facets and cohesive go together: where the mesh is split, and by which law it is held"
            )
        self.rtol = rtol
        self.elements: InterfaceElements | None = None
        if facets is not None:
            require_hexahedra(mesh)
            self.elements = InterfaceElements(Interface.split(mesh, facets))
            mesh = self.elements.interface.mesh
        self.cohesive = cohesive
        self.box = PeriodicBox.of(mesh)
        self.mesh = mesh
        laws = law.values() if isinstance(law, dict) else [law]
        for own in laws:
            if getattr(own, "kinematics", None) != "small":
                raise ParameterError(f"{brief(own)} is no law of small strains, which a periodic cell needs")
        self.solid = Solid(mesh, rule or GaussLegendre(2), law)
        self.problem: Any = self.solid
        if self.elements is not None and cohesive is not None:
            self.problem = self.solid + CohesiveProblem(None, [(self.elements, cohesive)])
        self.affine = affine_displacements(mesh.p - self.box.origin[:, None])
        self.n_fluctuations = 3 * self.box.coordinates.shape[1]
        # row of the fluctuations for each degree of freedom of the mesh
        self._rows = (3 * self.box.master[:, None] + np.arange(3)).ravel()
        self._fixed = 3 * self.box.corner + np.arange(3)
        self.corner_dofs = np.flatnonzero(np.isin(self._rows, self._fixed))
        self._virgin = self._packed(np.zeros(self.n_fluctuations), self.problem.states)
        virgin = self.virgin_tangent()
        self._stiffness = float(np.linalg.norm(virgin @ self.affine)) / np.sqrt(6.0)
        self._solver = FluctuationSolver(virgin, self._rows, self._fixed, self.box.coordinates)

    def __repr__(self) -> str:
        held = f", {len(self.elements.interface)} facets with {self.cohesive!r}" if self.elements is not None else ""
        return f"PeriodicCell({self.mesh.nelements:,} hexahedra, {self.n_fluctuations:,} fluctuations{held})"

    @property
    def state_size(self) -> int:
        """Numbers of a state."""
        return len(self._virgin)

    def initial_state(self) -> np.ndarray:
        """The virgin state (s,)."""
        return self._virgin.copy()

    def virgin_tangent(self) -> csr_array:
        """Tangent (n_dofs, n_dofs) of the virgin cell, solid and interface, at rest."""
        self.problem.restore(self.internal_states(self._virgin))
        tangent = self.problem.residual_and_tangent(np.zeros(self.solid.n_dofs))[1]
        self.problem.rollback()
        return csr_array(tangent)

    @checked(strain="6", state="s")
    def respond(self, strain: ArrayLike, state: ArrayLike, *, tangent: bool = True) -> CellResponse:
        """Stress, tangent and new state at a macroscopic strain (6,) that is reached from a state in one step.

        Parameters
        ----------
        strain : (6,)
            Voigt order xx, yy, zz, yz, xz, xy, with engineering shear strains.
        state : (s,)
            At the beginning of the step; it is left as it is.
        tangent
            False leaves the tangent out, which saves six solutions.

        Raises
        ------
        ParameterError
            If strain or state are not finite or of another shape.
        LawError
            If there is no equilibrium that Newton's method finds; take smaller steps.
        """
        strain, state = np.asarray(strain, dtype=float), self._checked_state(state)
        old, internal = self._unpacked(state)
        self._restore(internal)
        try:
            point, errors = iterate(
                self._iterate_at(strain, old), lambda found, _: found.error <= self.rtol, self._advance, _MOST
            )
        except Diverged as diverged:
            self.problem.rollback()
            raise LawError(
                f"the cell finds no equilibrium at the strain {brief(strain.tolist())}: {diverged}; take smaller steps"
            ) from diverged
        force, matrix = point.response
        stress = self.affine.T @ force / self.box.volume
        condensed = self._condensed(matrix) if tangent else None
        self.problem.commit()
        return CellResponse(stress, condensed, self._packed(point.x[6:], self.problem.states), len(errors) - 1)

    @checked(state="s", strain="6")
    def displacement(self, strain: ArrayLike, state: ArrayLike) -> np.ndarray:
        """Displacements (n_dofs,) of the vertices of the mesh at a strain and the state that was reached there."""
        fluctuation, _ = self._unpacked(self._checked_state(state))
        return self.affine @ np.asarray(strain, dtype=float) + fluctuation[self._rows]

    @checked(state="s")
    def internal_states(self, state: ArrayLike) -> list:
        """The states of solid and interface in a state of the cell, as their ``restore`` takes them."""
        return self._unpacked(self._checked_state(state))[1]

    # --- one evaluation

    def _iterate_at(self, strain, fluctuation):
        with diverging(FemnnError, ArithmeticError):
            u = self.affine @ strain + fluctuation[self._rows]
            force, matrix = self.problem.residual_and_tangent(u)
        residual = -np.bincount(self._rows, force, minlength=self.n_fluctuations)
        residual[self._fixed] = 0.0
        # at rest there is no force; then what a small strain would give is the measure
        size = max(float(np.linalg.norm(force)), _LEAST * self._stiffness * float(np.linalg.norm(strain)), 1e-300)
        return Iterate(
            np.concatenate([strain, fluctuation]), residual, (force, matrix), float(np.linalg.norm(residual)), size
        )

    def _advance(self, point, errors):
        with diverging(FemnnError, ArithmeticError):
            step = self._solver.solve(point.response[1], point.residual[:, None], _LOOSE)[:, 0]

        def evaluate(length):
            return self._iterate_at(point.x[:6], point.x[6:] + length * step)

        def accepts(found):
            # the first step from another strain may raise the residual
            return len(errors) == 1 or found.error <= max(point.error, self.rtol)

        return search(evaluate, accepts, most=_LENGTHS)

    def _condensed(self, matrix):
        by_strain = matrix @ self.affine
        coupling = np.stack(
            [np.bincount(self._rows, column, minlength=self.n_fluctuations) for column in by_strain.T], axis=1
        )
        coupling[self._fixed] = 0.0
        fluctuations = self._solver.solve(matrix, -coupling, _TIGHT)
        moved = self.affine + fluctuations[self._rows]
        # from both sides, so that what the linear solver leaves counts twice
        return moved.T @ (matrix @ moved) / self.box.volume

    # --- states

    def _restore(self, internal):
        self.problem.restore(internal)

    def _checked_state(self, state):
        state = shaped("the state of the cell", state, (self.state_size,))
        if not np.isfinite(state).all():
            raise ParameterError("the state of the cell is not finite; pass initial_state() or what respond returned")
        return state

    def _packed(self, fluctuation, states):
        solid, interface = (states[0], states[1][0]) if self.elements is not None else (states, None)
        parts = [fluctuation, *(array.ravel() for array in solid)]
        if interface is not None:
            parts += [interface.values.ravel(), interface.outside.astype(float)]
        return np.concatenate(parts)

    def _unpacked(self, state):
        place = self.n_fluctuations
        fluctuation, solid = state[:place], []
        for own in self.solid.states:
            solid.append(state[place : place + own.size].reshape(own.shape))
            place += own.size
        if self.elements is None:
            return fluctuation, solid
        virgin = self.cohesive.initial_state(self.elements.points)
        values = state[place : place + virgin.values.size].reshape(virgin.values.shape)
        outside = state[place + values.size :] > 0.5
        return fluctuation, [solid, [State(values.copy(), virgin.law, outside)]]


def affine_displacements(x: np.ndarray) -> np.ndarray:
    """Displacements (3 n, 6) of points x (3, n) under each unit strain by Voigt, without rotation."""
    columns = np.zeros((x.shape[1], 3, 6))
    for i in range(3):
        columns[:, i, i] = x[i]
    for k, (i, j) in enumerate(((1, 2), (0, 2), (0, 1)), start=3):
        columns[:, i, k], columns[:, j, k] = 0.5 * x[j], 0.5 * x[i]
    return columns.reshape(-1, 6)
