"""Elements of a solid that bend or do not lock: what :class:`femnn.Solid` asks instead of the standard kernels."""

import numpy as np
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.elasticity import isotropic_stiffness
from femnn.assembly.element_matrices import ISOTROPIC, TANGENT
from femnn.assembly.formulations.choice import KINDS, ONE_POINT, require_points
from femnn.assembly.formulations.learned import learned_twists
from femnn.assembly.formulations.stiffness import twists_of
from femnn.assembly.points import Points
from femnn.assembly.scatter import structure
from femnn.exceptions import ParameterError
from femnn.integration.gauss import tensor_gauss
from femnn.integration.vector_kernels import LANES
from femnn.quadrature.rule import CellGroup
from femnn.solids.bending_kernels import CALL, STRAINS, TAKE, integrate_bending, integrate_stabilised
from femnn.solids.laws import SIZES, ConstitutiveLaw, PointLaw, require_answers, updated
from femnn.system.memory import require_memory

# How far a stiffness may be from isotropic, relative to its largest entry.
_ISOTROPIC = 1e-8


class BendingElements:
    """The elements of a formulation other than ``"standard"``.

    Parameters
    ----------
    formulation
        One of :data:`femnn.assembly.formulations.FORMULATIONS`.
    law, discretisation
        Of the solid; one point an element for the formulations of one point.

    Raises
    ------
    ParameterError
        If law or rule are none for this formulation.
    """

    def __init__(self, formulation: str, law: ConstitutiveLaw, discretisation: Discretisation) -> None:
        require_points(discretisation.groups, formulation)
        self.law, self.discretisation, self.kind = law, discretisation, KINDS[formulation]
        self.one_point = formulation in ONE_POINT
        n = len(discretisation.hexahedra)
        if formulation == "incompatible" and not isinstance(law, PointLaw):
            raise ParameterError(
                f"formulation='incompatible' iterates in every element and needs a compiled law, {type(law).__name__} "
                "is called once for all points; pass a femnn.PointLaw, or formulation='stabilised'"
            )
        self._modes = self._trial = np.zeros((n if formulation == "incompatible" else 0, 9))
        if self.one_point:
            require_memory(8 * 144 * n, f"the stabilisation of {n:,} elements")
            cells = np.concatenate([group.cells for group in discretisation.groups])
            self._mean_points = Points.of([CellGroup(cells, *tensor_gauss(2, 2, 2))], n)
            self._twists = self._twists_of(formulation)

    def _twists_of(self, formulation):
        d, stiffness = self.discretisation, _virgin(self.law)
        if formulation != "learned":
            rows = np.zeros(len(d.hexahedra), dtype=int)
            return twists_of(formulation, TANGENT, d.hexahedra, self._mean_points, stiffness, rows)
        lmbda, mu = stiffness[0, 1], stiffness[0, 21]
        distance = np.abs(stiffness.reshape(6, 6) - isotropic_stiffness(lmbda, mu)).max()
        if distance > _ISOTROPIC * np.abs(stiffness).max():
            raise ParameterError(
                f"formulation='learned' is trained for isotropic materials, the tangent of {type(self.law).__name__} "
                f"without strain differs from the nearest by {distance:g}; pass formulation='stabilised'"
            )
        material = Coefficients(np.array([[lmbda, mu]]), np.zeros(len(d.hexahedra), dtype=int), 0)
        return learned_twists(formulation, ISOTROPIC, d, material)

    def commit(self) -> None:
        """Take the modes of the last evaluation as those to start from."""
        self._modes = self._trial

    def forget(self) -> None:
        """Start the search for the modes from zero, as a restored solid does."""
        self._modes = self._trial = np.zeros_like(self._modes)

    def strains(self, u: np.ndarray, state: np.ndarray) -> np.ndarray:
        """What the law gets at displacement ``u``, (total, size)."""
        if self.kind == KINDS["incompatible"]:
            # the modes are where the stresses of the law put them
            return self._run(CALL, u, state, False)[2]
        return self._run(STRAINS, u, state, False)[2]

    def integrated(self, u: np.ndarray, state: np.ndarray, tangent: bool) -> tuple:
        """Internal force, tangent or None, and trial state through the compiled law."""
        force, matrix, _, trial = self._run(CALL, u, state, tangent)
        return force, matrix, trial

    def from_arrays(
        self, u: np.ndarray, stress: np.ndarray, tangent: np.ndarray, state: np.ndarray, tangent_too: bool
    ) -> tuple[np.ndarray, csr_matrix | None]:
        """Internal force and tangent from stresses and tangents that a batched law gave at :meth:`strains`."""
        return self._run(TAKE, u, state, tangent_too, stress, tangent)[:2]

    def _run(self, task, u, state, tangent_too, stress=None, tangent=None):
        d, size = self.discretisation, SIZES[self.law.kinematics]
        total = d.points.total
        require_memory(8 * total * (2 * size + size**2), f"stresses and tangents at {total:,} points")
        matrix = d.pattern.empty_matrix(3) if tangent_too else None
        force, trial, strains = np.zeros(3 * d.pattern.n_nodes), np.empty_like(state), np.empty((total, size))
        stress = np.empty((total, size)) if stress is None else stress
        tangent = np.empty((total, size**2)) if tangent is None else tangent
        failed = np.zeros(len(d.hexahedra), dtype=bool)
        compiled, parameters = _callable(self.law)
        modes = np.zeros_like(self._modes)
        common = (compiled, parameters, d.hexahedra, *structure(d.pattern))
        responses = (strains, stress, tangent, LANES, matrix.data if tangent_too else np.empty(0), force, failed)
        if self.one_point:
            mean_points = self._mean_points[:3]
            integrate_stabilised(task, *common, mean_points, d.points.rows, u, state, trial, self._twists, *responses)
        else:
            integrate_bending(
                self.kind, task, *common, d.points[:3], d.points.rows, u, state, trial, self._modes, modes, *responses
            )
        require_answers(failed)
        if task == CALL and tangent_too:
            self._trial = modes
        return force, matrix, strains, trial


def _virgin(law):
    """The stiffness (1, 36) of a law at zero strain, Voigt."""
    size = SIZES[law.kinematics]
    state = law.initial_state(1)
    _, tangent, _ = updated(law, np.zeros((1, size)), np.asarray(state, dtype=float), np.zeros(1, dtype=int))
    if size == 9:
        pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
        tensor = tangent.reshape(3, 3, 3, 3)
        tangent = np.array([[tensor[i, j, k, m] for k, m in pairs] for i, j in pairs])
    tangent = tangent.reshape(6, 6)
    if np.abs(tangent - tangent.T).max() > 1e-6 * np.abs(tangent).max() or np.linalg.eigvalsh(tangent).min() <= 0.0:
        raise ParameterError(
            f"the tangent of {type(law).__name__} without strain is not symmetric positive definite, and cannot "
            "stabilise an element; pass formulation='mean-dilatation' or 'standard'"
        )
    return np.ascontiguousarray(tangent).reshape(1, 36)


def _callable(law):
    """Compiled function and parameters of a law; for laws that are not compiled, those of one that is never called."""
    if isinstance(law, PointLaw):
        return law.compiled, law.parameters
    return _NEVER.compiled, _NEVER.parameters


def _never(strain, state, parameters, stress, tangent, new_state):
    stress[0] = strain[0]


_NEVER = PointLaw(_never)
