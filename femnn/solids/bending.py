"""Elements of a solid that bend or do not lock: what :class:`femnn.Solid` asks instead of the standard kernels."""

from copy import copy

import numpy as np
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.elasticity import isotropic_stiffness
from femnn.assembly.element_matrices import ISOTROPIC, TANGENT
from femnn.assembly.formulations.choice import KINDS, ONE_POINT, require_cells, require_points
from femnn.assembly.formulations.learned import learned_twists
from femnn.assembly.formulations.stiffness import twists_of
from femnn.assembly.points import Points
from femnn.assembly.scatter import structure
from femnn.exceptions import ParameterError
from femnn.integration.gauss import tensor_gauss
from femnn.integration.vector_kernels import LANES
from femnn.quadrature.rule import CellGroup
from femnn.solids.bending_kernels import CALL, PLANE_INCOMPATIBLE, STRAINS, TAKE, columns_of, integrate_bending
from femnn.solids.compiled_law import compiled_law
from femnn.solids.laws import SIZES, ConstitutiveLaw, PointLaw, require_answers, updated
from femnn.solids.stabilised_kernels import integrate_stabilised
from femnn.solids.tabulated_bending import integrate_tabulated_bending
from femnn.system.memory import require_memory

# How far a stiffness may be from isotropic, relative to its largest entry.
_ISOTROPIC = 1e-8


class BendingElements:
    """The elements of a formulation other than ``"standard"``.

    Parameters
    ----------
    formulation
        One of :data:`femnn.assembly.formulations.FORMULATIONS`.
    law, discretisation, plane
        Of the solid; one point an element for the formulations of one point.

    Raises
    ------
    ParameterError
        If law or rule are none for this formulation.
    """

    def __init__(self, formulation: str, law: ConstitutiveLaw, discretisation: Discretisation, plane: str) -> None:
        if discretisation.is_tabulated:
            require_cells(formulation, discretisation, plane)
            if formulation == "stabilised":
                raise ParameterError(
                    "formulation='stabilised' of quadrilaterals is made for linear elasticity, "
                    "femnn.assemble_elasticity; a Solid of them has 'incompatible', which bends and does not lock"
                )
        else:
            require_points(discretisation.groups, formulation)
        self.law, self.discretisation, self.kind = law, discretisation, KINDS[formulation]
        self.one_point = formulation in ONE_POINT
        n = len(discretisation.hexahedra)
        if formulation == "incompatible" and not isinstance(law, PointLaw):
            raise ParameterError(
                f"formulation='incompatible' iterates in every element and needs a compiled law, {type(law).__name__} "
                "is called once for all points; pass a femnn.PointLaw, or formulation='stabilised'"
            )
        dim, modes = discretisation.dim, discretisation.dim if formulation == "incompatible" else 0
        if dim == 2 and modes:
            self.kind = PLANE_INCOMPATIBLE
        self._columns = columns_of(dim, discretisation.pattern.cells.shape[1], modes)
        self._modes = self._trial = np.zeros((n if modes else 0, dim * modes))
        if self.one_point:
            require_memory(8 * 144 * n, f"the stabilisation of {n:,} elements")
            cells = np.concatenate([group.cells for group in discretisation.groups])
            self._mean_points = Points.of([CellGroup(cells, *tensor_gauss(2, 2, 2))], n)
            self._twists = self._twists_of(formulation)

    def _twists_of(self, formulation):
        d = self.discretisation
        stiffness, rows = _virgin(self.law, len(d.hexahedra))
        if formulation != "learned":
            return twists_of(formulation, TANGENT, d.hexahedra, self._mean_points, stiffness, rows)
        lmbda, mu = stiffness[:, 1], stiffness[:, 21]
        distance = np.abs(stiffness.reshape(-1, 6, 6) - isotropic_stiffness(lmbda, mu)).max()
        if distance > _ISOTROPIC * np.abs(stiffness).max():
            raise ParameterError(
                f"formulation='learned' is trained for isotropic materials, the tangent of {type(self.law).__name__} "
                f"without strain differs from the nearest by {distance:g}; pass formulation='stabilised'"
            )
        material = Coefficients(np.stack([lmbda, mu], axis=1), rows, 0)
        return learned_twists(formulation, ISOTROPIC, d, material)

    def commit(self) -> None:
        """Take the modes of the last evaluation as those to start from."""
        self._modes = self._trial

    def forget(self) -> None:
        """Start the search for the modes from zero, as a restored solid does."""
        self._modes = self._trial = np.zeros_like(self._modes)

    def strains(self, u: np.ndarray, state: np.ndarray, numbers: Coefficients) -> np.ndarray:
        """What the law gets at displacement ``u``, (total, size); ``numbers`` are its parameters and conditions."""
        if len(self._modes):
            # the modes are where the stresses of the law put them
            return self._run(CALL, u, state, numbers, False)[2]
        return self._run(STRAINS, u, state, numbers, False)[2]

    def integrated(self, u: np.ndarray, state: np.ndarray, numbers: Coefficients, tangent: bool) -> tuple:
        """Internal force, tangent or None, and trial state through the compiled law."""
        force, matrix, _, trial = self._run(CALL, u, state, numbers, tangent)
        return force, matrix, trial

    def from_arrays(
        self, u: np.ndarray, stress: np.ndarray, tangent: np.ndarray, state: np.ndarray, tangent_too: bool
    ) -> tuple[np.ndarray, csr_matrix | None]:
        """Internal force and tangent from stresses and tangents that a batched law gave at :meth:`strains`."""
        return self._run(TAKE, u, state, _NO_NUMBERS, tangent_too, stress, tangent)[:2]

    def _run(self, task, u, state, numbers, tangent_too, stress=None, tangent=None):
        d, size = self.discretisation, SIZES[self.law.kinematics]
        total = d.points.total
        require_memory(8 * total * (2 * size + size**2), f"stresses and tangents at {total:,} points")
        matrix = d.pattern.empty_matrix(d.dim) if tangent_too else None
        force, trial, strains = np.zeros(d.dim * d.pattern.n_nodes), np.empty_like(state), np.empty((total, size))
        stress = np.empty((total, size)) if stress is None else stress
        tangent = np.empty((total, size**2)) if tangent is None else tangent
        failed = np.zeros(len(d.hexahedra), dtype=bool)
        compiled = self.law.compiled if isinstance(self.law, PointLaw) else compiled_law(_never)
        if numbers is _NO_NUMBERS:
            numbers = numbers._replace(rows=np.zeros(len(d.hexahedra), dtype=np.int64))
        modes = np.zeros_like(self._modes)
        common = (compiled, tuple(numbers), d.hexahedra, *structure(d.pattern))
        responses = (strains, stress, tangent, LANES, matrix.data if tangent_too else np.empty(0), force, failed)
        if self.one_point:
            mean_points = self._mean_points[:3]
            integrate_stabilised(task, *common, mean_points, d.points.rows, u, state, trial, self._twists, *responses)
        else:
            integrate = integrate_tabulated_bending if d.is_tabulated else integrate_bending
            points = (d.points.tables, d.points.places) if d.is_tabulated else (d.points[:3],)
            states = (u, state, trial, self._modes, modes)
            integrate(self.kind, task, *common, *points, d.points.rows, self._columns, *states, *responses)
        require_answers(failed)
        if task == CALL and tangent_too:
            self._trial = modes
        return force, matrix, strains, trial


def _virgin(law, n):
    """Stiffnesses (m, 36) of a law at zero strain, Voigt, and which of them each of ``n`` elements has."""
    size = SIZES[law.kinematics]
    own, rows = law, np.zeros(n, dtype=int)
    if isinstance(law, PointLaw) and law.parameters.ndim == 2:
        distinct, rows = np.unique(law.parameters, axis=0, return_inverse=True)
        own, rows = copy(law), rows.reshape(-1)
        own.parameters = distinct
    m = rows.max() + 1
    state = np.asarray(own.initial_state(m), dtype=float)
    lengths = {name: np.ones(m) for name in getattr(law, "conditions", ()) if name == "length"}
    _, tangent, _ = updated(own, np.zeros((m, size)), state, np.arange(m), lengths)
    if size == 9:
        pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
        tensor = tangent.reshape(m, 3, 3, 3, 3)
        tangent = np.stack([tensor[:, i, j, k, l] for i, j in pairs for k, l in pairs], axis=1)
    tangent = tangent.reshape(m, 6, 6)
    skew = np.abs(tangent - tangent.transpose(0, 2, 1)).max()
    if skew > 1e-6 * np.abs(tangent).max() or np.linalg.eigvalsh(tangent).min() <= 0.0:
        raise ParameterError(
            f"the tangent of {type(law).__name__} without strain is not symmetric positive definite, and cannot "
            "stabilise an element; pass formulation='mean-dilatation' or 'standard'"
        )
    return np.ascontiguousarray(tangent).reshape(m, 36), rows


def _never(strain, state, parameters, stress, tangent, new_state):
    stress[0] = strain[0]


# Numbers for laws that are not compiled.
_NO_NUMBERS = Coefficients(np.zeros((1, 1)), np.zeros(1, dtype=np.int64), 0)
