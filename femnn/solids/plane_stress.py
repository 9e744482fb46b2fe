"""Plane stress of any law: the strains out of the plane that leave no stress there, found at each point."""

from collections.abc import Callable

import numpy as np

from femnn.checks import brief
from femnn.exceptions import ParameterError
from femnn.solids.laws import ConstitutiveLaw, PointLaw
from femnn.system.compile import njit

# Of the local iteration: most corrections, and the stress out of the plane that is none, relative to that in it.
_MOST, _ENOUGH = 40, 1e-12


class PlaneStress(PointLaw):
    """A law of small strains on a thin sheet: the stresses zz, yz and xz are zero.

    Newton's method finds the strains zz, yz and xz that bring this about, from those of the last equilibrium; the
    tangent is condensed (E. A. de Souza Neto, D. Perić, D. R. J. Owen, Computational Methods for Plasticity (2008),
    section 9.2.2). It is what ``Solid(..., plane="stress")`` makes of its laws.

    Parameters
    ----------
    law
        A :class:`PointLaw` of small strains, one of the library or one's own.

    Attributes
    ----------
    law

    Raises
    ------
    ParameterError
        If the law is of finite strains, or not one of points.

    Notes
    -----
    State: that of the law, and behind it the strains zz, yz and xz (with engineering shear strains). Where a law gives
    no stress, or the iteration does not end, the step is cut.

    Examples
    --------
    >>> import femnn
    >>> sheet = PlaneStress(femnn.LinearElastic(210e9, 0.3))
    >>> stress, tangent, state = sheet.update([[1e-3, 0, 0, 0, 0, 0]], sheet.initial_state(1))
    >>> stress[0, :3].round(-3) + 0.0
    array([2.30769e+08, 6.92310e+07, 0.00000e+00])
    >>> float(state[0, 0].round(9))  # it grows thinner
    -0.000428571
    """

    def __init__(self, law: ConstitutiveLaw) -> None:
        if not isinstance(law, PointLaw):
            raise ParameterError(
                f"plane stress is found at each point of a femnn.PointLaw, this is {brief(law)}; let a law that is "
                "called for many points give plane stresses itself, with plane='strain'"
            )
        if law.kinematics != "small":
            raise ParameterError(
                f"{law!r} has finite strains, plane stress is made for small ones; use one layer of hexahedra, free on "
                "both sides"
            )
        self.law, self.largest_length = law, law.largest_length
        compiled = law._function if hasattr(law._function, "py_func") else njit(error_model="numpy")(law._function)
        super().__init__(
            in_plane_stress(compiled, len(law.virgin)),
            law.parameters,
            initial_state=np.concatenate([law.virgin, np.zeros(3)]),
            conditions=law.conditions,
        )

    def __repr__(self) -> str:
        return f"PlaneStress({self.law!r})"


def in_plane_stress(law: Callable, size: int) -> Callable:
    """The function of one point that a compiled law of small strains, with ``size`` numbers of state, is in a sheet."""

    def sheet(strain, state, parameters, stress, tangent, new_state):
        full, slopes, answer, correction = strain.copy(), np.empty((6, 6)), np.empty(6), np.empty(3)
        full[2:5] = state[size:]
        for _ in range(_MOST):
            new_state[:] = state
            slopes[:] = 0.0
            answer[:] = np.nan
            law(full, state[:size], parameters, answer, slopes, new_state[:size])
            for i in range(3):
                correction[i] = answer[2 + i]
            if not condense(slopes, correction):
                break
            if is_sheet(answer, correction, full):
                new_state[size:] = full[2:5]
                stress[:] = 0.0
                tangent[:] = 0.0
                for i in (0, 1, 5):
                    stress[i] = answer[i]
                    for j in (0, 1, 5):
                        tangent[i, j] = slopes[i, j]
                return
            for i in range(3):
                full[2 + i] -= correction[i]
        stress[:] = np.nan

    return sheet


@njit(cache=True, error_model="numpy")
def is_sheet(stress, correction, strain):
    """Whether a stress (6,) is that of a sheet, or no ``correction`` (3,) of the ``strain`` (6,) brings it nearer."""
    within = max(abs(stress[0]), abs(stress[1]), abs(stress[5]))
    if max(abs(stress[2]), abs(stress[3]), abs(stress[4])) <= _ENOUGH * within:
        return True
    # a sheet that expands freely has no stress to compare with
    largest = 0.0
    for i in range(6):
        largest = max(largest, abs(strain[i]))
    return max(abs(correction[0]), abs(correction[1]), abs(correction[2])) <= _ENOUGH * largest


@njit(cache=True, error_model="numpy")
def condense(tangent, right):
    """Eliminate zz, yz and xz from a tangent (6, 6) and solve for ``right`` (3,), in place; False if it is singular."""
    for k in range(3):
        pivot = 2 + k
        best = pivot
        for i in range(pivot + 1, 5):
            if abs(tangent[i, pivot]) > abs(tangent[best, pivot]):
                best = i
        if not abs(tangent[best, pivot]) > 0.0:
            return False
        right[k], right[best - 2] = right[best - 2], right[k]
        for j in range(6):
            tangent[pivot, j], tangent[best, j] = tangent[best, j], tangent[pivot, j]
        _eliminate(tangent, right, pivot)
    return True


@njit(cache=True, error_model="numpy")
def _eliminate(tangent, right, pivot):
    factor = 1.0 / tangent[pivot, pivot]
    right[pivot - 2] *= factor
    for j in range(6):
        tangent[pivot, j] *= factor
    for i in range(6):
        if i != pivot:
            factor = tangent[i, pivot]
            if 2 <= i < 5:
                right[i - 2] -= factor * right[pivot - 2]
            for j in range(6):
                tangent[i, j] -= factor * tangent[pivot, j]
