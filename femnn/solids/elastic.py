"""Linear elasticity: isotropic, orthotropic, and any other stiffness; with logarithmic strains, Hencky's law."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.assembly.elasticity import isotropic_stiffness
from femnn.checks import floats, shaped
from femnn.exceptions import ParameterError
from femnn.solids.material import Material, moduli, parameter
from femnn.solids.tensors import in_logarithmic_strains
from femnn.system.compile import njit

# How far axes may be from a rotation, and a stiffness from symmetric, relative to its largest entry.
_CLOSE = 1e-8


@njit(cache=True, error_model="numpy")
def hooke(strain, state, parameters, stress, tangent, new_state):
    """σ = C (ε - α ΔT): C (36), α (6) and ΔT."""
    for i in range(6):
        stress[i] = 0.0
        for j in range(6):
            tangent[i, j] = parameters[6 * i + j]
            stress[i] += parameters[6 * i + j] * (strain[j] - parameters[36 + j] * parameters[42])


class _Linear(Material):
    functions = {"small": hooke, "finite": in_logarithmic_strains(hooke)}  # noqa: RUF012 - never changed

    def _prepare_stiffness(self, values, stiffness, expansion, kinematics):
        """``stiffness`` (6, 6) or (n, 6, 6), ``expansion`` six columns."""
        columns = list(np.moveaxis(stiffness.reshape(*stiffness.shape[:-2], 36), -1, 0))
        heated = any(np.any(column != 0.0) for column in expansion)
        columns += [*expansion, *([] if heated else [0.0])]
        self._prepare(values, columns, kinematics, conditions=("temperature",) if heated else ())


class LinearElastic(_Linear):
    """Isotropic linear elasticity; with finite strains Hencky's law, linear in ½ ln FᵀF.

    Parameters
    ----------
    young
        Young's modulus (Pa).
    poisson
        Poisson's ratio, between -1 and 1/2.
    expansion
        Coefficient of thermal expansion (1/K), see :meth:`femnn.Solid.set_temperature`.
    kinematics
        ``"small"`` or ``"finite"``.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> stress, _, _ = LinearElastic(210e9, 0.3, expansion=1e-5).update([[1e-3, 0, 0, 0, 0, 0]], np.zeros((1, 0)))
    >>> stress[0, :2].round(-3)
    array([2.82692e+08, 1.21154e+08])
    """

    def __init__(
        self, young: ArrayLike, poisson: ArrayLike, *, expansion: ArrayLike = 0.0, kinematics: str = "small"
    ) -> None:
        bulk, shear = moduli(young, poisson)
        bulk, shear = np.broadcast_arrays(bulk, shear)
        alpha = parameter("expansion", expansion, "(-inf, inf)")
        values = {"young": young, "poisson": poisson, "expansion": expansion, "kinematics": kinematics}
        stiffness = isotropic_stiffness(bulk - 2.0 / 3.0 * shear, shear)
        self._prepare_stiffness(values, stiffness, [alpha, alpha, alpha, 0.0, 0.0, 0.0], kinematics)


class Orthotropic(_Linear):
    """Linear elasticity with three planes of symmetry: wood, plies, rolled sheet.

    Parameters
    ----------
    young
        Young's moduli along the axes (3,) (Pa).
    poisson
        ν_23, ν_13, ν_12 (3,): the contraction along the second axis named over the stretch along the first.
    shear
        Shear moduli G_23, G_13, G_12 (3,) (Pa).
    axes
        Rows are the axes of the material in those of the mesh, (3, 3) or (n_elements, 3, 3); None for the same.
    expansion
        Coefficients of thermal expansion along the axes, a number or (3,) (1/K).
    kinematics
        ``"small"`` or ``"finite"``: logarithmic strains.

    Raises
    ------
    ParameterError
        If the stiffness is not positive definite, as ν_12² < E_1/E_2 and the like demand, or the axes are no rotation.

    Examples
    --------
    >>> law = Orthotropic((130e9, 9e9, 9e9), (0.4, 0.3, 0.3), (3e9, 5e9, 5e9))
    >>> stress, _, _ = law.update([[0, 0, 0, 0, 0, 1e-3]], np.zeros((1, 0)))
    >>> float(stress[0, 5].round())
    5000000.0
    """

    def __init__(
        self,
        young: ArrayLike,
        poisson: ArrayLike,
        shear: ArrayLike,
        *,
        axes: ArrayLike | None = None,
        expansion: ArrayLike = 0.0,
        kinematics: str = "small",
    ) -> None:
        E, G = (_three(name, value, "(0, inf)") for name, value in (("young", young), ("shear", shear)))
        nu_23, nu_13, nu_12 = _three("poisson", poisson, "(-inf, inf)")
        compliance = np.diag([*1.0 / E, *1.0 / G])
        for i, j, nu in ((1, 2, nu_23), (0, 2, nu_13), (0, 1, nu_12)):
            compliance[i, j] = compliance[j, i] = -nu / E[i]
        if (
            np.linalg.eigvalsh(compliance * np.sqrt(np.outer(1 / np.diag(compliance), 1 / np.diag(compliance)))).min()
            <= 0.0
        ):
            raise ParameterError(
                f"young={E.tolist()} with poisson={[nu_23, nu_13, nu_12]} is no stable material: some strain has no "
                "energy; check that each ν_ij is the contraction along j over the stretch along i"
            )
        turned = _bond(axes)
        stiffness = np.einsum("...pi,pq,...qj->...ij", turned, np.linalg.inv(compliance), turned)
        alpha = floats("expansion", expansion)
        alpha = np.full(3, alpha) if alpha.ndim == 0 else alpha
        along = _three("expansion", alpha, "(-inf, inf)")
        # strains of the mesh from those of the material
        alpha = np.einsum("...ij,j->...i", np.linalg.inv(turned), [*along, 0.0, 0.0, 0.0])
        values = {"young": young, "poisson": poisson, "shear": shear, "axes": axes, "expansion": expansion}
        self._prepare_stiffness(
            values | {"kinematics": kinematics}, stiffness, list(np.moveaxis(alpha, -1, 0)), kinematics
        )


class Anisotropic(_Linear):
    """Linear elasticity with any stiffness.

    Parameters
    ----------
    stiffness
        (6, 6) by Voigt (Pa), order xx, yy, zz, yz, xz, xy for engineering shear strains, or (n_elements, 6, 6);
        symmetric and positive definite.
    expansion
        Thermal strains per kelvin, a number for the same in all directions or (6,).
    kinematics
        ``"small"`` or ``"finite"``: logarithmic strains.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> Anisotropic(np.diag([3.0, 3, 3, 1, 1, 1])).update([[1, 0, 0, 0, 0, 2]], np.zeros((1, 0)))[0]
    array([[3., 0., 0., 0., 0., 2.]])
    """

    def __init__(self, stiffness: ArrayLike, *, expansion: ArrayLike = 0.0, kinematics: str = "small") -> None:
        C = floats("stiffness", stiffness)
        C = shaped("stiffness", C, (*C.shape[:1], 6, 6) if C.ndim == 3 else (6, 6))
        scale = np.abs(C).max()
        if np.abs(C - np.swapaxes(C, -1, -2)).max() > _CLOSE * scale or np.linalg.eigvalsh(C).min() <= 0.0:
            raise ParameterError(
                f"the stiffness is not symmetric positive definite: its least eigenvalue is "
                f"{np.linalg.eigvalsh(0.5 * (C + np.swapaxes(C, -1, -2))).min():g}; check units and order"
            )
        alpha = floats("expansion", expansion)
        alpha = np.array([alpha, alpha, alpha, 0.0, 0.0, 0.0]) if alpha.ndim == 0 else shaped("expansion", alpha, (6,))
        values = {"stiffness": stiffness, "expansion": expansion, "kinematics": kinematics}
        self._prepare_stiffness(values, C, list(alpha), kinematics)


def _three(name, values, interval):
    array = shaped(name, values, (3,), "one for each axis")
    return parameter(name, array, interval)


def _bond(axes):
    """Matrices (..., 6, 6) that turn engineering strains of the mesh into those of the material's axes."""
    if axes is None:
        return np.eye(6)
    Q = floats("axes", axes)
    Q = shaped("axes", Q, (*Q.shape[:1], 3, 3) if Q.ndim == 3 else (3, 3))
    if not np.abs(Q @ np.swapaxes(Q, -1, -2) - np.eye(3)).max() < _CLOSE:
        raise ParameterError("axes are no rotation: their rows must be unit vectors at right angles")
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    result = np.empty((*Q.shape[:-2], 6, 6))
    for r, (i, j) in enumerate(pairs):
        for c, (k, m) in enumerate(pairs):
            both = Q[..., i, k] * Q[..., j, m] + (Q[..., i, m] * Q[..., j, k] if k != m else 0.0)
            # strains ε_ij of the row, engineering ones of rows and columns of shear
            result[..., r, c] = both * (1.0 if r < 3 else 2.0) * (1.0 if c < 3 else 0.5)
    return result
