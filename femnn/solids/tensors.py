"""Principal axes and logarithmic strains at a point, for laws that Numba compiles.

A law in logarithmic strains, T(E) with E = ½ ln FᵀF, becomes one of finite strains by

    S = 2 T : ∂E/∂C,   ℂ = 4 (∂E/∂C : ∂T/∂E : ∂E/∂C + T : ∂²E/∂C²),   P = F S

(C. Miehe, N. Apel, M. Lambrecht, CMAME 191 (2002) 5383-5425). In principal axes the derivatives of E are divided
differences of ½ ln, which are written here without cancellation, also where stretches are equal.
"""

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
        for p in range(2):
            for q in range(p + 1, 3):
                if matrix[p, q] == 0.0:
                    continue
                ratio = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
                t = (1.0 if ratio >= 0.0 else -1.0) / (abs(ratio) + np.sqrt(1.0 + ratio * ratio))
                c = 1.0 / np.sqrt(1.0 + t * t)
                s = t * c
                for k in range(3):
                    x, y = matrix[k, p], matrix[k, q]
                    matrix[k, p], matrix[k, q] = c * x - s * y, s * x + c * y
                for k in range(3):
                    x, y = matrix[p, k], matrix[q, k]
                    matrix[p, k], matrix[q, k] = c * x - s * y, s * x + c * y
                    x, y = axes[k, p], axes[k, q]
                    axes[k, p], axes[k, q] = c * x - s * y, s * x + c * y
    for i in range(3):
        values[i] = matrix[i, i]


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
    basis, half = np.empty((9, 9)), np.empty((9, 9))
    for a in range(3):
        for i in range(3):
            along = 0.0
            for k in range(3):
                along += deformation[i, k] * axes[k, a]
            for b in range(3):
                for j in range(3):
                    basis[3 * a + b, 3 * i + j] = along * axes[j, b]
    for r in range(9):
        stress[r] = 0.0
    for m in range(9):
        for r in range(9):
            stress[r] += second[m // 3, m % 3] * basis[m, r]
        for r in range(9):
            half[m, r] = 0.0
        for n in range(9):
            if moduli[m, n] != 0.0:
                for r in range(9):
                    half[m, r] += moduli[m, n] * basis[n, r]
    for r in range(9):
        for s in range(9):
            tangent[r, s] = 0.0
    for m in range(9):
        for r in range(9):
            for s in range(9):
                tangent[r, s] += basis[m, r] * half[m, s]
    for j in range(3):
        for k in range(3):
            total = 0.0
            for a in range(3):
                for b in range(3):
                    total += axes[j, a] * second[a, b] * axes[k, b]
            for i in range(3):
                tangent[3 * i + j, 3 * i + k] += total


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
def from_logarithmic(deformation, excess, axes, conjugate, slopes, stress, tangent):
    """P (9,) and ∂P/∂F (9, 9) of T (6,) and ∂T/∂E (6, 6) by Voigt."""
    rotation, forces = np.empty((9, 9)), np.zeros((3, 3))
    second, moduli, half = np.empty((3, 3)), np.empty((9, 9)), np.zeros((9, 9))
    first = np.empty((3, 3))
    for a in range(3):
        for b in range(3):
            first[a, b] = _slope(excess[a], excess[b])
            for i in range(3):
                for j in range(3):
                    rotation[3 * a + b, 3 * i + j] = axes[i, a] * axes[j, b]
                    forces[a, b] += axes[i, a] * axes[j, b] * conjugate[VOIGT[i, j]]
            second[a, b] = 2.0 * first[a, b] * forces[a, b]
    for m in range(9):
        for n in range(9):
            for r in range(9):
                half[m, n] += rotation[m, r] * slopes[VOIGT[r // 3, r % 3], VOIGT[n // 3, n % 3]]
    for m in range(9):
        for n in range(9):
            total = 0.0
            for s in range(9):
                total += half[m, s] * rotation[n, s]
            moduli[m, n] = 4.0 * first[m // 3, m % 3] * first[n // 3, n % 3] * total
    # 4 T : ∂²E/∂C², symmetric in both pairs: each of the four orders has a quarter of it
    for p in range(3):
        for q in range(3):
            for s in range(3):
                value = forces[p, s] * _curvature(excess[p], excess[q], excess[s])
                # X_pq Y_qs and Y_pq X_qs
                for m, n in ((3 * p + q, 3 * q + s), (3 * q + s, 3 * p + q)):
                    m_swapped, n_swapped = 3 * (m % 3) + m // 3, 3 * (n % 3) + n // 3
                    moduli[m, n] += value
                    moduli[m_swapped, n] += value
                    moduli[m, n_swapped] += value
                    moduli[m_swapped, n_swapped] += value
    push_forward(deformation, axes, second, moduli, stress, tangent)
