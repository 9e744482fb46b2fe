"""An expensive law: slip on the twelve systems of a copper crystal, solved by Newton's method at every point."""

import numpy as np
from numba import njit

import femnn

#: Elastic constants C11, C12, C44 (Pa), strength of the slip systems at first and when saturated, hardening (Pa), slip
#: at its strength in a step, exponent of the rate.
COPPER = (168.4e9, 121.4e9, 75.4e9, 60.8e6, 109.5e6, 541.5e6, 1e-3, 20.0)

_MOST_ITERATIONS = 60
_TOLERANCE = 1e-12


def _slip_systems():
    """Strain (12, 6), Voigt with engineering shears, of unit slip on each {111}<110> system."""
    systems = []
    for normal in np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / np.sqrt(3.0):
        for i, j in ((1, 2), (0, 2), (0, 1)):
            # the two signs of j for which the direction lies in the plane
            direction = np.zeros(3)
            direction[i], direction[j] = 1.0, -np.sign(normal[i] * normal[j])
            s = np.outer(direction, normal) / np.sqrt(2.0)
            systems.append([s[0, 0], s[1, 1], s[2, 2], s[1, 2] + s[2, 1], s[0, 2] + s[2, 0], s[0, 1] + s[1, 0]])
    return np.array(systems)


SYSTEMS = _slip_systems()


@njit(cache=True, error_model="numpy", fastmath=True)
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] + a[4] * b[4] + a[5] * b[5]


@njit(cache=True, error_model="numpy")
def _invert(matrix):
    """A symmetric positive definite matrix (6, 6) in place, by Gauss and Jordan."""
    for k in range(6):
        pivot = 1.0 / matrix[k, k]
        matrix[k, k] = 1.0
        for j in range(6):
            matrix[k, j] *= pivot
        for i in range(6):
            if i != k:
                factor = matrix[i, k]
                matrix[i, k] = 0.0
                for j in range(6):
                    matrix[i, j] -= factor * matrix[k, j]


@njit(cache=True, error_model="numpy")
def _compliance(parameters):
    c11, c12, c44 = parameters[:3]
    compliance = np.zeros((6, 6))
    for i in range(3):
        for j in range(3):
            compliance[i, j] = -c12 / ((c11 - c12) * (c11 + 2.0 * c12))
        compliance[i, i] += 1.0 / (c11 - c12)
        compliance[i + 3, i + 3] = 1.0 / c44
    return compliance


@njit(cache=True, error_model="numpy")
def _starting_stress(elastic, strength, parameters, stress):
    """The elastic stress, its deviator cut to where slip is not too fast: from afar the power takes many steps."""
    c11, c12, c44 = parameters[:3]
    pressure = (c11 + 2.0 * c12) / 3.0 * (elastic[0] + elastic[1] + elastic[2])
    for i in range(3):
        stress[i] = c12 * (elastic[0] + elastic[1] + elastic[2]) + (c11 - c12) * elastic[i] - pressure
        stress[i + 3] = c44 * elastic[i + 3]
    largest = 0.0
    for a in range(12):
        largest = max(largest, np.abs(_dot(SYSTEMS[a], stress)) / strength)
    for i in range(6):
        stress[i] = stress[i] * min(1.0, 1.2 / largest) + (pressure if i < 3 else 0.0)


@njit(cache=True, error_model="numpy")
def _residual(stress, elastic, compliance, strength, parameters, slips, residual):
    """Strain of a stress and its slip, less what both must make up; its largest entry. Fills ``slips`` (12,), too."""
    step, exponent = parameters[6:]
    for i in range(6):
        residual[i] = -elastic[i]
        for j in range(6):
            residual[i] += compliance[i, j] * stress[j]
    for a in range(12):
        resolved = _dot(SYSTEMS[a], stress) / strength
        slips[a] = step * np.sign(resolved) * np.abs(resolved) ** exponent
        for i in range(6):
            residual[i] += slips[a] * SYSTEMS[a, i]
    return np.abs(residual).max()


@njit(cache=True, error_model="numpy")
def _fill_tangent(stress, slips, compliance, exponent, tangent):
    tangent[:] = compliance
    for a in range(12):
        if slips[a] != 0.0:
            slope = exponent * slips[a] / _dot(SYSTEMS[a], stress)
            for i in range(6):
                for j in range(6):
                    tangent[i, j] += slope * SYSTEMS[a, i] * SYSTEMS[a, j]
    _invert(tangent)


def slip(strain, state, parameters, stress, tangent, new_state):
    """One step at one point; ``state`` is the plastic strain (6,), Voigt, and the strength of the systems (Pa).

    Slip Δγ = γ₀ (|τ|/g)ⁿ sign τ on each system, with the strength g of the last step.
    """
    strength, exponent, compliance = state[6], parameters[7], _compliance(parameters)
    elastic, residual, change, slips = strain - state[:6], np.empty(6), np.empty(6), np.empty(12)
    _starting_stress(elastic, strength, parameters, stress)
    size = _residual(stress, elastic, compliance, strength, parameters, slips, residual)
    for _ in range(_MOST_ITERATIONS):
        _fill_tangent(stress, slips, compliance, exponent, tangent)
        if size < _TOLERANCE:
            break
        for i in range(6):
            change[i] = -_dot(tangent[i], residual)
        length, before = 1.0, size
        stress += change
        size = _residual(stress, elastic, compliance, strength, parameters, slips, residual)
        while size > before and length > 1e-3:
            length *= 0.5
            stress -= length * change
            size = _residual(stress, elastic, compliance, strength, parameters, slips, residual)
    if size >= _TOLERANCE:
        stress[:] = np.nan
    for i in range(6):
        new_state[i] = strain[i] - _dot(compliance[i], stress)
    new_state[6] += parameters[5] * max(0.0, 1.0 - strength / parameters[4]) * np.abs(slips).sum()


def copper():
    """The law, ready for :class:`femnn.Solid`.

    D. Peirce, R. J. Asaro, A. Needleman, "An analysis of nonuniform and localized deformation in ductile single
    crystals", Acta Metallurgica 30 (1982) 1087-1119, for small strains, with one strength for all systems.
    """
    return femnn.PointLaw(slip, COPPER, initial_state=[0.0] * 6 + [COPPER[3]])
