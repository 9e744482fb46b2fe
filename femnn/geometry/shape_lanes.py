"""Numba kernels for the shapes of many elements side by side, one to a lane of the vector unit.

The same as :mod:`femnn.geometry.shape_kernels` finds for single elements, operation by operation.
Arrays hold rows of _LANES numbers, see :mod:`femnn.integration.element_lanes`.
"""

import math

import numpy as np

from femnn.system.compile import njit

_LANES = 64

# J₀ with a determinant below this share of the product of its columns' lengths is singular.
_SINGULAR = 1e-14

# Rotations of Jacobi's method end where the squares off the diagonal are below this share of those on it.
_DIAGONAL, _MOST_SWEEPS = 1e-33, 12


@njit(cache=True, error_model="numpy")
def _gather(hexahedra, first, end, vertices):
    """An eighth of the coordinates about the last vertex into rows 3a + i; the last element fills up the lanes."""
    for b in range(_LANES):
        e = min(first + b, end - 1)
        for a in range(7):
            for i in range(3):
                vertices[_LANES * (3 * a + i) + b] = 0.125 * (hexahedra[e, a, i] - hexahedra[e, 7, i])


@njit(cache=True, error_model="numpy")
def _modes(vertices, linear, twist):
    """J₀ and h, rows 3i + k and 4i + k."""
    for i in range(3):
        for b in range(_LANES):
            x0, x1, x2, x3 = (
                vertices[_LANES * i + b],
                vertices[_LANES * (3 + i) + b],
                vertices[_LANES * (6 + i) + b],
                vertices[_LANES * (9 + i) + b],
            )
            x4, x5, x6 = (
                vertices[_LANES * (12 + i) + b],
                vertices[_LANES * (15 + i) + b],
                vertices[_LANES * (18 + i) + b],
            )
            linear[_LANES * (3 * i) + b] = x0 + x1 + x2 - x3 + x4 - x5 - x6
            linear[_LANES * (3 * i + 1) + b] = x0 + x1 - x2 + x3 - x4 + x5 - x6
            linear[_LANES * (3 * i + 2) + b] = x0 - x1 + x2 + x3 - x4 - x5 + x6
            twist[_LANES * (4 * i) + b] = x0 + x1 - x2 - x3 - x4 - x5 + x6
            twist[_LANES * (4 * i + 1) + b] = x0 - x1 - x2 + x3 + x4 - x5 - x6
            twist[_LANES * (4 * i + 2) + b] = x0 - x1 + x2 - x3 - x4 + x5 - x6
            twist[_LANES * (4 * i + 3) + b] = x0 - x1 - x2 - x3 + x4 + x5 + x6


@njit(cache=True, error_model="numpy")
def _invert(linear, inverse, singular):
    """J₀⁻¹ and where there is none."""
    for b in range(_LANES):
        a0, b0, c0 = linear[b], linear[_LANES + b], linear[_LANES * 2 + b]
        a1, b1, c1 = linear[_LANES * 3 + b], linear[_LANES * 4 + b], linear[_LANES * 5 + b]
        a2, b2, c2 = linear[_LANES * 6 + b], linear[_LANES * 7 + b], linear[_LANES * 8 + b]
        u0, u1, u2 = b1 * c2 - c1 * b2, b2 * c0 - c2 * b0, b0 * c1 - c0 * b1
        v0, v1, v2 = c1 * a2 - a1 * c2, c2 * a0 - a2 * c0, c0 * a1 - a0 * c1
        w0, w1, w2 = a1 * b2 - b1 * a2, a2 * b0 - b2 * a0, a0 * b1 - b0 * a1
        determinant = a0 * u0 + a1 * u1 + a2 * u2
        inverse[b], inverse[_LANES + b], inverse[_LANES * 2 + b] = u0 / determinant, u1 / determinant, u2 / determinant
        inverse[_LANES * 3 + b], inverse[_LANES * 4 + b], inverse[_LANES * 5 + b] = (
            v0 / determinant,
            v1 / determinant,
            v2 / determinant,
        )
        inverse[_LANES * 6 + b], inverse[_LANES * 7 + b], inverse[_LANES * 8 + b] = (
            w0 / determinant,
            w1 / determinant,
            w2 / determinant,
        )
        square = (a0 * a0 + a1 * a1 + a2 * a2) * (b0 * b0 + b1 * b1 + b2 * b2) * (c0 * c0 + c1 * c1 + c2 * c2)
        singular[b] = not abs(determinant) > _SINGULAR * np.sqrt(square)


@njit(over="hexahedra", grain=_LANES, cache=True, error_model="numpy")
def fill_warps(begin, end, hexahedra, inverses, warps):
    """J₀⁻¹ into ``inverses`` (n, 3, 3) and J₀⁻¹h into ``warps`` (n, 3, 4), infinite where J₀ is singular."""
    vertices, linear, twist = np.empty(21 * _LANES), np.empty(9 * _LANES), np.empty(12 * _LANES)
    inverse, singular = np.empty(9 * _LANES), np.empty(_LANES, dtype=np.bool_)
    warp = np.empty(12 * _LANES)
    for first in range(begin, end, _LANES):
        _gather(hexahedra, first, end, vertices)
        _modes(vertices, linear, twist)
        _invert(linear, inverse, singular)
        for i in range(3):
            for k in range(4):
                for b in range(_LANES):
                    warp[_LANES * (4 * i + k) + b] = (
                        inverse[_LANES * (3 * i) + b] * twist[_LANES * k + b]
                        + inverse[_LANES * (3 * i + 1) + b] * twist[_LANES * (4 + k) + b]
                        + inverse[_LANES * (3 * i + 2) + b] * twist[_LANES * (8 + k) + b]
                    )
        for b in range(min(_LANES, end - first)):
            e = first + b
            for i in range(3):
                for k in range(3):
                    inverses[e, i, k] = inverse[_LANES * (3 * i + k) + b]
                for k in range(4):
                    warps[e, i, k] = np.inf if singular[b] else warp[_LANES * (4 * i + k) + b]


# taken in, so that the distances of the rows are constants
@njit(cache=True, error_model="numpy", forceinline=True)
def _rotate(matrix, vectors, active, p, q, tangents, cosines):
    """One rotation of Jacobi's method in active lanes, which makes entry (p, q) of symmetric matrices vanish."""
    r = 3 - p - q
    for b in range(_LANES):
        entry = matrix[_LANES * (3 * p + q) + b]
        ratio = (matrix[_LANES * (4 * q) + b] - matrix[_LANES * (4 * p) + b]) / (2.0 * entry)
        tangent = math.copysign(1.0, ratio) / (abs(ratio) + np.sqrt(ratio * ratio + 1.0))
        rotates = (active[b] > 0.0) & (entry != 0.0)
        tangents[b] = tangent if rotates else 0.0
        cosines[b] = 1.0 / np.sqrt(tangents[b] * tangents[b] + 1.0)
    for b in range(_LANES):
        tangent, cosine, entry = tangents[b], cosines[b], matrix[_LANES * (3 * p + q) + b]
        sine = tangent * cosine
        first, second = matrix[_LANES * (3 * r + p) + b], matrix[_LANES * (3 * r + q) + b]
        matrix[_LANES * (4 * p) + b] -= tangent * entry
        matrix[_LANES * (4 * q) + b] += tangent * entry
        kept = 0.0 if active[b] > 0.0 else entry
        one, other = cosine * first - sine * second, sine * first + cosine * second
        matrix[_LANES * (3 * p + q) + b], matrix[_LANES * (3 * q + p) + b] = kept, kept
        matrix[_LANES * (3 * r + p) + b], matrix[_LANES * (3 * p + r) + b] = one, one
        matrix[_LANES * (3 * r + q) + b], matrix[_LANES * (3 * q + r) + b] = other, other
    for i in range(3):
        for b in range(_LANES):
            sine = tangents[b] * cosines[b]
            first, second = vectors[_LANES * (3 * i + p) + b], vectors[_LANES * (3 * i + q) + b]
            vectors[_LANES * (3 * i + p) + b] = cosines[b] * first - sine * second
            vectors[_LANES * (3 * i + q) + b] = sine * first + cosines[b] * second


@njit(cache=True, error_model="numpy")
def _diagonalise(matrix, vectors, active, tangents, cosines):
    """Eigenvalues on the diagonals of symmetric matrices (rows 3i + j), eigenvectors in the columns of ``vectors``."""
    vectors[:] = 0.0
    for k in range(3):
        vectors[_LANES * 4 * k : _LANES * (4 * k + 1)] = 1.0
    active[:] = 1.0
    for _ in range(_MOST_SWEEPS):
        waiting = 0.0
        for b in range(_LANES):
            off = matrix[_LANES + b] ** 2 + matrix[_LANES * 5 + b] ** 2 + matrix[_LANES * 6 + b] ** 2
            on = matrix[b] ** 2 + matrix[_LANES * 4 + b] ** 2 + matrix[_LANES * 8 + b] ** 2
            active[b] = active[b] if off > _DIAGONAL * on else 0.0
            waiting += active[b]
        if waiting == 0.0:
            break
        _rotate(matrix, vectors, active, 0, 1, tangents, cosines)
        _rotate(matrix, vectors, active, 1, 2, tangents, cosines)
        _rotate(matrix, vectors, active, 0, 2, tangents, cosines)


@njit(cache=True, error_model="numpy")
def _take_logarithms(matrix, logs):
    """Half the logarithms of the diagonal, less their mean."""
    for b in range(_LANES):
        largest, mean = max(matrix[b], matrix[_LANES * 4 + b], matrix[_LANES * 8 + b]), 0.0
        for k in range(3):
            # a flat element has a zero eigenvalue: very far away is far enough
            logs[_LANES * k + b] = 0.5 * math.log(max(matrix[_LANES * (4 * k) + b], 1e-30 * largest + 1e-300))
            mean += logs[_LANES * k + b] / 3.0
        for k in range(3):
            logs[_LANES * k + b] -= mean


@njit(over="hexahedra", grain=_LANES, cache=True, error_model="numpy")
def fill_metrics(begin, end, hexahedra, metrics):
    """Entries (ξξ, ηη, ζζ, ξη, ηζ, ζξ) of ½ log J₀ᵀJ₀ without its trace into ``metrics`` (n, 6)."""
    vertices, linear, twist = np.empty(21 * _LANES), np.empty(9 * _LANES), np.empty(12 * _LANES)
    matrix, vectors, active = np.empty(9 * _LANES), np.empty(9 * _LANES), np.empty(_LANES)
    logs, tangents, cosines = np.empty(3 * _LANES), np.empty(_LANES), np.empty(_LANES)
    for first in range(begin, end, _LANES):
        _gather(hexahedra, first, end, vertices)
        _modes(vertices, linear, twist)
        for i in range(3):
            for j in range(3):
                for b in range(_LANES):
                    matrix[_LANES * (3 * i + j) + b] = (
                        linear[_LANES * i + b] * linear[_LANES * j + b]
                        + linear[_LANES * (3 + i) + b] * linear[_LANES * (3 + j) + b]
                        + linear[_LANES * (6 + i) + b] * linear[_LANES * (6 + j) + b]
                    )
        _diagonalise(matrix, vectors, active, tangents, cosines)
        _take_logarithms(matrix, logs)
        for b in range(min(_LANES, end - first)):
            for m in range(6):
                i, j = m % 3, (m % 3 + m // 3) % 3
                total = 0.0
                for k in range(3):
                    total += (
                        vectors[_LANES * (3 * i + k) + b] * logs[_LANES * k + b] * vectors[_LANES * (3 * j + k) + b]
                    )
                metrics[first + b, m] = total
