"""Principal axes and logarithmic strains at a point, for laws that Numba compiles.

A law in logarithmic strains, T(E) with E = ½ ln FᵀF, becomes one of finite strains by

    S = 2 T : ∂E/∂C,   ℂ = 4 (∂E/∂C : ∂T/∂E : ∂E/∂C + T : ∂²E/∂C²),   P = F S

(C. Miehe, N. Apel, M. Lambrecht, CMAME 191 (2002) 5383-5425). In principal axes the derivatives of E are divided
differences of ½ ln, which are written here without cancellation, also where stretches are equal.
"""

from collections.abc import Callable

import numpy as np

from femnn.system.compile import njit

_MOST_SWEEPS, _ROUNDING = 30, 1e-34

# Relative distance of eigenvalues below which second divided differences are summed as a series.
_NEAR = 1e-2

#: Rows and columns of the components in Voigt order, and where each of nine components is in it.
ROW, COLUMN = np.array([0, 1, 2, 1, 0, 0]), np.array([0, 1, 2, 2, 2, 1])
VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


@njit(cache=True, error_model="numpy")
def principal_axes(matrix, values, axes):
    """Eigenvalues (3,) and axes (columns) of a symmetric matrix (3, 3), which is overwritten, by Jacobi rotations."""
    for i in range(3):
        for j in range(3):
            axes[i, j] = 1.0 if i == j else 0.0
    for _ in range(_MOST_SWEEPS):
        off = matrix[0, 1] ** 2 + matrix[0, 2] ** 2 + matrix[1, 2] ** 2
        if not off > _ROUNDING * (matrix[0, 0] ** 2 + matrix[1, 1] ** 2 + matrix[2, 2] ** 2):
            break
        for p, q in ((0, 1), (0, 2), (1, 2)):
            if matrix[p, q] != 0.0:
                _rotate(matrix, axes, p, q)
    for i in range(3):
        values[i] = matrix[i, i]


@njit(cache=True, error_model="numpy")
def _rotate(matrix, axes, p, q):
    """Turn axes ``p`` and ``q`` so that the entry between them vanishes."""
    ratio = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
    t = (1.0 if ratio >= 0.0 else -1.0) / (abs(ratio) + np.sqrt(1.0 + ratio * ratio))
    c = 1.0 / np.sqrt(1.0 + t * t)
    s = t * c
    for k in range(3):
        x, y = matrix[k, p], matrix[k, q]
        matrix[k, p], matrix[k, q] = c * x - s * y, s * x + c * y
        x, y = axes[k, p], axes[k, q]
        axes[k, p], axes[k, q] = c * x - s * y, s * x + c * y
    for k in range(3):
        x, y = matrix[p, k], matrix[q, k]
        matrix[p, k], matrix[q, k] = c * x - s * y, s * x + c * y


@njit(cache=True, error_model="numpy")
def _turned(matrix, basis, work, result):
    """basisᵀ · matrix · basis, all (9, 9)."""
    for i in range(9):
        for j in range(9):
            work[i, j] = 0.0
            result[i, j] = 0.0
    for i in range(9):
        for k in range(9):
            if matrix[i, k] != 0.0:
                for j in range(9):
                    work[i, j] += matrix[i, k] * basis[k, j]
    for k in range(9):
        for i in range(9):
            for j in range(9):
                result[i, j] += basis[k, i] * work[k, j]


@njit(cache=True, error_model="numpy")
def _dyads(left, right, basis):
    """Rows 3 a + b hold left_a ⊗ right_b, of the columns of two matrices (3, 3)."""
    for row in range(9):
        for column in range(9):
            basis[row, column] = left[column // 3, row // 3] * right[column % 3, row % 3]


@njit(cache=True, error_model="numpy")
def stretches(gradient, scale, deformation, excess, axes):
    """F = (1 + H)/scale, the eigenvalues of FᵀF less one, and their axes; det F."""
    for i in range(3):
        for j in range(3):
            deformation[i, j] = (gradient[3 * i + j] + (1.0 if i == j else 0.0)) / scale
    matrix = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            # FᵀF - 1 from the gradient: without the digits that a 1 costs
            total = (gradient[3 * i + j] + gradient[3 * j + i]) + (1.0 - scale * scale if i == j else 0.0)
            for k in range(3):
                total += gradient[3 * k + i] * gradient[3 * k + j]
            matrix[i, j] = total / (scale * scale)
    principal_axes(matrix, excess, axes)
    f = deformation
    return (
        f[0, 0] * (f[1, 1] * f[2, 2] - f[1, 2] * f[2, 1])
        - f[0, 1] * (f[1, 0] * f[2, 2] - f[1, 2] * f[2, 0])
        + f[0, 2] * (f[1, 0] * f[2, 1] - f[1, 1] * f[2, 0])
    )


@njit(cache=True, error_model="numpy")
def push_forward(deformation, axes, second, moduli, stress, tangent):
    """P (9,) = F S and ∂P/∂F (9, 9) of S (3, 3) and ℂ = 2 ∂S/∂C (9, 9), both in the principal axes."""
    basis, work, along = np.empty((9, 9)), np.empty((9, 9)), np.empty((3, 3))
    for i in range(3):
        for a in range(3):
            along[i, a] = 0.0
            for k in range(3):
                along[i, a] += deformation[i, k] * axes[k, a]
    _dyads(along, axes, basis)
    _turned(moduli, basis, work, tangent)
    for r in range(9):
        stress[r] = 0.0
        for m in range(9):
            stress[r] += second[m // 3, m % 3] * basis[m, r]
    # and S in the axes of the mesh, for each direction
    for m in range(9):
        for r in range(9):
            value = second[m // 3, m % 3] * axes[r // 3, m // 3] * axes[r % 3, m % 3]
            for i in range(3):
                tangent[3 * i + r // 3, 3 * i + r % 3] += value


@njit(cache=True, error_model="numpy")
def _slope(x, y):
    """First divided difference of ½ ln at 1 + x and 1 + y."""
    ratio = (x - y) / (1.0 + y)
    return (0.5 * np.log1p(ratio) / ratio if ratio != 0.0 else 0.5) / (1.0 + y)


@njit(cache=True, error_model="numpy")
def _curvature(x, y, z):
    """Second divided difference of ½ ln at 1 + x, 1 + y and 1 + z."""
    low, high = min(x, y, z), max(x, y, z)
    middle = x + y + z - low - high
    mean = 1.0 + (x + y + z) / 3.0
    if high - low > _NEAR * mean:
        return (_slope(high, middle) - _slope(middle, low)) / (high - low)
    a, b, c = (low + 1.0) / mean - 1.0, (middle + 1.0) / mean - 1.0, (high + 1.0) / mean - 1.0
    # Σ (-1)^(n - 1)/(2 n) h(n - 2), h the complete homogeneous polynomials of a, b, c
    total, one, two, three = 0.0, 1.0, 1.0, 1.0
    for n in range(2, 11):
        total += (0.5 if n % 2 else -0.5) / n * three
        one *= a
        two = b * two + one
        three = c * three + two
    return total / mean**2


@njit(cache=True, error_model="numpy")
def logarithmic_strain(gradient, deformation, excess, axes, strain):
    """Write E (6,) by Voigt, with engineering shear strains; False if the point is inverted."""
    if not stretches(gradient, 1.0, deformation, excess, axes) > 0.0:
        return False
    for r in range(6):
        total = 0.0
        for a in range(3):
            total += 0.5 * np.log1p(excess[a]) * axes[ROW[r], a] * axes[COLUMN[r], a]
        strain[r] = total if r < 3 else 2.0 * total
    return True


@njit(cache=True, error_model="numpy")
def _add_curvatures(excess, forces, moduli):
    """Add 4 T : ∂²E/∂C², symmetric in both pairs: each of the four orders has a quarter of it."""
    for p in range(3):
        for q in range(3):
            for s in range(3):
                value = forces[p, s] * _curvature(excess[p], excess[q], excess[s])
                # X_pq Y_qs, and Y_pq X_qs
                first, second = 3 * p + q, 3 * q + s
                for m, n in ((first, second), (second, first)):
                    m_swapped, n_swapped = 3 * (m % 3) + m // 3, 3 * (n % 3) + n // 3
                    moduli[m, n] += value
                    moduli[m_swapped, n] += value
                    moduli[m, n_swapped] += value
                    moduli[m_swapped, n_swapped] += value


@njit(cache=True, error_model="numpy")
def from_logarithmic(deformation, excess, axes, conjugate, slopes, stress, tangent):
    """P (9,) and ∂P/∂F (9, 9) of T (6,) and ∂T/∂E (6, 6) by Voigt."""
    basis, work, moduli = np.empty((9, 9)), np.empty((9, 9)), np.empty((9, 9))
    forces, second, first = np.zeros((3, 3)), np.empty((3, 3)), np.empty(9)
    for r in range(9):
        for s in range(9):
            # in place, until it has been turned
            tangent[r, s] = slopes[VOIGT[r // 3, r % 3], VOIGT[s // 3, s % 3]]
            basis[r, s] = axes[r // 3, s // 3] * axes[r % 3, s % 3]
    _turned(tangent, basis, work, moduli)
    for m in range(9):
        a, b = m // 3, m % 3
        first[m] = _slope(excess[a], excess[b])
        for r in range(9):
            forces[a, b] += basis[r, m] * conjugate[VOIGT[r // 3, r % 3]]
        second[a, b] = 2.0 * first[m] * forces[a, b]
    for m in range(9):
        for n in range(9):
            moduli[m, n] *= 4.0 * first[m] * first[n]
    _add_curvatures(excess, forces, moduli)
    push_forward(deformation, axes, second, moduli, stress, tangent)


def in_logarithmic_strains(law: Callable) -> Callable:
    """The law of finite strains that a compiled law of small ones is in logarithmic strains, for one point."""

    def finite(gradient, state, parameters, stress, tangent, new_state):
        deformation, excess, axes = np.empty((3, 3)), np.empty(3), np.empty((3, 3))
        strain, conjugate, slopes = np.empty(6), np.empty(6), np.empty((6, 6))
        if logarithmic_strain(gradient, deformation, excess, axes, strain):
            law(strain, state, parameters, conjugate, slopes, new_state)
            from_logarithmic(deformation, excess, axes, conjugate, slopes, stress, tangent)

    return finite
