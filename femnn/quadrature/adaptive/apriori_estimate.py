"""An a-priori estimate of the directional errors by the theorem of residues, and the features that correct it.

On a line along ξ the stiffness is a rational function: a quartic polynomial over det J, a quadratic with the roots z₁,
z₂. By the theorem of residues n Gauss points err on it by exactly Σₖ R_n(zₖ) g(zₖ) g(zₖ)ᵀ/det J'(zₖ), where g holds
the gradients with cof J for J⁻ᵀ, and R_n(z) = 2 Q_n(z)/P_n(z) ≈ 2π ρ^-(2n+1) with ρ = |z + √(z² - 1)| (P. J. Davis,
P. Rabinowitz, Methods of Numerical Integration, 1984, section 4.6). The estimate sums the moduli over nine lines
through the element with Simpson's weights. Times one constant it is within a factor of two of the Error nearly always;
a small network corrects it.

Everything is written for one direction, a, which comes first. The two others, b and c, enter the estimate symmetrically
and the features in an order that the element itself sets, and twists and angles by their moduli: the features of the
three directions commute with the 48 symmetries of the cube. Arrays are (rows, BLOCK), see
:mod:`femnn.networks.vector_math`.
"""

import numpy as np

from femnn.geometry.hexahedron import SIGNS
from femnn.integration.kernels import _FAST, kernel_array
from femnn.networks.vector_math import BLOCK, vector_log2
from femnn.quadrature.adaptive.directional_errors import FEWEST, MOST
from femnn.system.compile import njit

#: Candidates: FEWEST..MOST points along a direction.
CANDIDATES = MOST - FEWEST + 1

#: Features of one direction: logarithms of two aspects and of the skewness, estimates on corner, middle and central
#: lines for 2, 4 and 8 points, four of the angles, twelve relative twists, the slopes of det J, and the material.
FEATURES = 32

#: From here on to the last but one, features are moduli of relative twists, zero for parallelepipeds.
FIRST_TWIST = 16

_KNOTS = (0, 2, 6)  # log estimates at 2, 4 and 8 points are features

_SIGNS = np.array(SIGNS)
_ZERO, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
_TENTH, _FIFTH = np.float32(0.1), np.float32(0.2)
_QUARTER, _NINTH4, _NINTH16 = np.float32(0.25), np.float32(4.0 / 36.0), np.float32(16.0 / 36.0)
_NEARLY_NONE, _TINY = np.float32(1e-8), np.float32(1e-36)
# Far below 2^_LEAST_LOG, and with the least ρ⁻² of a root at 1e8 no denormal number, which Intel's processors take a
# hundred times as long for.
_NEGLIGIBLE = np.float32(1e-21)
_PI_8 = np.float32(np.pi / 8.0)
_LEAST_LOG = np.float32(-60.0)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _modes(hexahedra, first, modes):
    """J₀ by columns (rows 0..8) and the twists (rows 9..20) of BLOCK elements from ``first`` on, scaled to size 1."""
    sums = np.empty(21)
    for b in range(BLOCK):
        e = min(first + b, hexahedra.shape[0] - 1)
        sums[:] = 0.0
        for a in range(8):
            x, y, z = _SIGNS[a, 0], _SIGNS[a, 1], _SIGNS[a, 2]
            for i in range(3):
                v = hexahedra[e, a, i] - hexahedra[e, 0, i]
                sums[i] += v * x
                sums[3 + i] += v * y
                sums[6 + i] += v * z
                sums[9 + i] += v * x * y
                sums[12 + i] += v * y * z
                sums[15 + i] += v * z * x
                sums[18 + i] += v * x * y * z
        size = 0.0
        for k in range(9):
            size += sums[k] * sums[k]
        size = 1.0 / np.sqrt(size)
        for k in range(21):
            modes[k, b] = np.float32(sums[k] * size)


@njit(cache=True, error_model="numpy")
def _with_axis_first(modes, axis, result):
    """The modes with ``axis`` first: rows J_a, J_b, J_c, h_ab, h_bc, h_ca, h_abc, three each."""
    for k in range(3):
        source = (axis + k) % 3
        for i in range(3):
            for b in range(BLOCK):
                result[3 * k + i, b] = modes[3 * source + i, b]
                result[9 + 3 * k + i, b] = modes[9 + 3 * source + i, b]
    for i in range(3):
        for b in range(BLOCK):
            result[18 + i, b] = modes[18 + i, b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _amplitude(re, im, uu, uv, vv, uw, vw, ww, side0, side1, side2, ends):
    """Sum of the squared gradients at a root: real polynomials in it, from products of the coefficients of cof J."""
    size, square, two = re * re + im * im, re * re - im * im, re + re
    end = uu + two * uv + size * vv + (square + square) * uw + two * size * vw + size * size * ww
    return ends * abs(end) + (_ONE + size) * abs(side0 + two * side1 + size * side2)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _line(m, y, z, line):
    """Of both roots on the line at (y, z): estimate for 2 points into rows 0, 1 and ρ⁻² into rows 2, 3 of ``line``."""
    one_y, one_z, yz = _ONE + y * y, _ONE + z * z, y * z
    for b in range(BLOCK):
        # ∂x/∂a is constant along the line, ∂x/∂b = p + a q, ∂x/∂c = r + a s
        a0 = m[0, b] + y * m[9, b] + z * m[15, b] + yz * m[18, b]
        a1 = m[1, b] + y * m[10, b] + z * m[16, b] + yz * m[19, b]
        a2 = m[2, b] + y * m[11, b] + z * m[17, b] + yz * m[20, b]
        p0, p1, p2 = m[3, b] + z * m[12, b], m[4, b] + z * m[13, b], m[5, b] + z * m[14, b]
        q0, q1, q2 = m[9, b] + z * m[18, b], m[10, b] + z * m[19, b], m[11, b] + z * m[20, b]
        r0, r1, r2 = m[6, b] + y * m[12, b], m[7, b] + y * m[13, b], m[8, b] + y * m[14, b]
        s0, s1, s2 = m[15, b] + y * m[18, b], m[16, b] + y * m[19, b], m[17, b] + y * m[20, b]
        u0, u1, u2 = p1 * r2 - p2 * r1, p2 * r0 - p0 * r2, p0 * r1 - p1 * r0
        v0 = p1 * s2 - p2 * s1 + q1 * r2 - q2 * r1
        v1 = p2 * s0 - p0 * s2 + q2 * r0 - q0 * r2
        v2 = p0 * s1 - p1 * s0 + q0 * r1 - q1 * r0
        w0, w1, w2 = q1 * s2 - q2 * s1, q2 * s0 - q0 * s2, q0 * s1 - q1 * s0
        # det J = quadratic a² + linear a + constant
        constant = a0 * u0 + a1 * u1 + a2 * u2
        linear = a0 * v0 + a1 * v1 + a2 * v2
        quadratic = a0 * w0 + a1 * w1 + a2 * w2
        # a root at infinity is put far away instead: the polynomial part of the integrand keeps its error
        quadratic += np.copysign(_NEARLY_NONE * abs(constant), quadratic)
        # the squares of the three cross products are real polynomials in the root
        uu, vv, ww = u0 * u0 + u1 * u1 + u2 * u2, v0 * v0 + v1 * v1 + v2 * v2, w0 * w0 + w1 * w1 + w2 * w2
        uv, uw, vw = u0 * v0 + u1 * v1 + u2 * v2, u0 * w0 + u1 * w1 + u2 * w2, v0 * w0 + v1 * w1 + v2 * w2
        f0, f1, f2 = r1 * a2 - r2 * a1, r2 * a0 - r0 * a2, r0 * a1 - r1 * a0
        g0, g1, g2 = s1 * a2 - s2 * a1, s2 * a0 - s0 * a2, s0 * a1 - s1 * a0
        ff, fg, gg = f0 * f0 + f1 * f1 + f2 * f2, f0 * g0 + f1 * g1 + f2 * g2, g0 * g0 + g1 * g1 + g2 * g2
        d0, d1, d2 = p1 * a2 - p2 * a1, p2 * a0 - p0 * a2, p0 * a1 - p1 * a0
        e0, e1, e2 = q1 * a2 - q2 * a1, q2 * a0 - q0 * a2, q0 * a1 - q1 * a0
        side0 = one_z * ff + one_y * (d0 * d0 + d1 * d1 + d2 * d2)
        side1 = one_z * fg + one_y * (d0 * e0 + d1 * e1 + d2 * e2)
        side2 = one_z * gg + one_y * (e0 * e0 + e1 * e1 + e2 * e2)
        ends = one_y * one_z
        discriminant = linear * linear - (quadratic + quadratic) * (constant + constant)
        root = np.sqrt(abs(discriminant))
        is_real = discriminant >= _ZERO
        shifted = -_HALF * (linear + np.copysign(root, linear))
        middle, imaginary = -_HALF * linear / quadratic, _HALF * root / quadratic
        imaginary = _ZERO if is_real else imaginary
        near = constant / shifted if is_real else middle
        far = shifted / quadratic if is_real else middle
        first = _amplitude(near, imaginary, uu, uv, vv, uw, vw, ww, side0, side1, side2, ends)
        second = _amplitude(far, imaginary, uu, uv, vv, uw, vw, ww, side0, side1, side2, ends)
        # sum and product of one root and the conjugate of the other: what the two residues have in common
        sum_re = -linear / quadratic if is_real else middle + middle
        sum_im = imaginary + imaginary
        product_re = constant / quadratic if is_real else middle * middle - imaginary * imaginary
        product_im = sum_im * middle
        product = np.sqrt(product_re * product_re + product_im * product_im)
        square_re = sum_re * sum_re - sum_im * sum_im - product_re - product_re
        square_im = sum_re * sum_im + sum_re * sum_im - product_im - product_im
        cube_re, cube_im = product_re * sum_re - product_im * sum_im, product_re * sum_im + product_im * sum_re
        fourth_re, fourth_im = product_re * product_re - product_im * product_im, product_re * product_im
        common_re = uu + sum_re * uv + product_re * vv + square_re * uw + cube_re * vw + fourth_re * ww
        common_im = sum_im * uv + product_im * vv + square_im * uw + cube_im * vw + (fourth_im + fourth_im) * ww
        common_re = ends * common_re + (_ONE + product) * (side0 + sum_re * side1 + product_re * side2)
        common_im = ends * common_im + (_ONE + product) * (sum_im * side1 + product_im * side2)
        both = first * second + _TINY
        alike = min((common_re / both) * common_re + (common_im / both) * common_im, _ONE)
        for k in range(2):
            re = near if k == 0 else far
            im2 = imaginary * imaginary
            left, right = np.sqrt((re + _ONE) * (re + _ONE) + im2), np.sqrt((re - _ONE) * (re - _ONE) + im2)
            half_sum = _HALF * (left + right)
            rho = half_sum + np.sqrt(max(half_sum * half_sum - _ONE, _ZERO))
            # near a double root two residues that are alike cancel: their sum stays finite
            slope = np.sqrt(abs(discriminant) + _TENTH * alike * quadratic * quadratic * left * right + _TINY)
            decay = _ONE / (rho * rho)
            line[k, b] = (first if k == 0 else second) / slope * (decay * decay / rho)
            line[2 + k, b] = decay


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_line(line, total, group):
    """Add the estimates of a line for 2, 3, ... points to rows ``group`` of ``total`` (3, CANDIDATES, BLOCK)."""
    for n in range(CANDIDATES):
        for b in range(BLOCK):
            total[group, n, b] += line[0, b] + line[1, b]
        for b in range(BLOCK):
            line[0, b] = max(line[0, b], _NEGLIGIBLE) * line[2, b]
            line[1, b] = max(line[1, b], _NEGLIGIBLE) * line[3, b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _shape(m, rows, positive):
    """Shape of the element as the first direction sees it: ``rows`` (19, BLOCK) directly, and the first four rows of
    ``positive`` to be taken the logarithm of."""
    for b in range(BLOCK):
        a0, a1, a2 = m[0, b], m[1, b], m[2, b]
        b0, b1, b2 = m[3, b], m[4, b], m[5, b]
        c0, c1, c2 = m[6, b], m[7, b], m[8, b]
        aa, bb, cc = a0 * a0 + a1 * a1 + a2 * a2, b0 * b0 + b1 * b1 + b2 * b2, c0 * c0 + c1 * c1 + c2 * c2
        ab, ac, bc = a0 * b0 + a1 * b1 + a2 * b2, a0 * c0 + a1 * c1 + a2 * c2, b0 * c0 + b1 * c1 + b2 * c2
        u0, u1, u2 = b1 * c2 - b2 * c1, b2 * c0 - b0 * c2, b0 * c1 - b1 * c0
        v0, v1, v2 = c1 * a2 - c2 * a1, c2 * a0 - c0 * a2, c0 * a1 - c1 * a0
        w0, w1, w2 = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
        det = a0 * u0 + a1 * u1 + a2 * u2
        inverse = _ONE / det
        # components along (a, b, c) of the twists ab, bc, ca, abc
        p0, p1, p2 = m[9, b], m[10, b], m[11, b]
        q0, q1, q2 = m[12, b], m[13, b], m[14, b]
        r0, r1, r2 = m[15, b], m[16, b], m[17, b]
        s0, s1, s2 = m[18, b], m[19, b], m[20, b]
        x_ab = inverse * (u0 * p0 + u1 * p1 + u2 * p2)
        y_ab = inverse * (v0 * p0 + v1 * p1 + v2 * p2)
        z_ab = inverse * (w0 * p0 + w1 * p1 + w2 * p2)
        x_bc = inverse * (u0 * q0 + u1 * q1 + u2 * q2)
        y_bc = inverse * (v0 * q0 + v1 * q1 + v2 * q2)
        z_bc = inverse * (w0 * q0 + w1 * q1 + w2 * q2)
        x_ca = inverse * (u0 * r0 + u1 * r1 + u2 * r2)
        y_ca = inverse * (v0 * r0 + v1 * r1 + v2 * r2)
        z_ca = inverse * (w0 * r0 + w1 * r1 + w2 * r2)
        x_abc = inverse * (u0 * s0 + u1 * s1 + u2 * s2)
        y_abc = inverse * (v0 * s0 + v1 * s1 + v2 * s2)
        z_abc = inverse * (w0 * s0 + w1 * s1 + w2 * s2)
        slope_b, slope_c = abs(x_ab + z_bc), abs(x_ca + y_bc)
        cos_ab, cos_ac = ab / np.sqrt(aa * bb), ac / np.sqrt(aa * cc)
        # b is the one along which det J grows more; what else differs decides where both are the same, as in a prism
        first = slope_b + _TENTH * abs(z_ab) + _FIFTH * abs(y_ab) + _FIFTH * abs(y_abc) + _TENTH * abs(cos_ab)
        second = slope_c + _TENTH * abs(y_ca) + _FIFTH * abs(z_ca) + _FIFTH * abs(z_abc) + _TENTH * abs(cos_ac)
        kept = first + _TENTH * bb / (bb + cc) > second + _TENTH * cc / (bb + cc)
        rows[0, b] = abs(cos_ab if kept else cos_ac)
        rows[1, b] = abs(cos_ac if kept else cos_ab)
        rows[2, b] = abs(bc) / np.sqrt(bb * cc)
        rows[3, b] = ab * ac * bc / (aa * bb * cc)
        rows[4, b] = abs(x_bc)
        rows[5, b] = abs(x_abc)
        rows[6, b] = abs(x_ab if kept else x_ca)
        rows[7, b] = abs(x_ca if kept else x_ab)
        rows[8, b] = abs(y_ab if kept else z_ca)
        rows[9, b] = abs(z_ca if kept else y_ab)
        rows[10, b] = abs(z_ab if kept else y_ca)
        rows[11, b] = abs(y_ca if kept else z_ab)
        rows[12, b] = abs(y_bc if kept else z_bc)
        rows[13, b] = abs(z_bc if kept else y_bc)
        rows[14, b] = abs(y_abc if kept else z_abc)
        rows[15, b] = abs(z_abc if kept else y_abc)
        rows[16, b] = abs(y_ab + z_ca)
        rows[17, b] = slope_b if kept else slope_c
        rows[18, b] = slope_c if kept else slope_b
        positive[0, b] = aa * aa / (bb * cc)
        positive[1, b] = (bb if kept else cc) / (cc if kept else bb)
        positive[2, b] = det * det / (aa * bb * cc)
        positive[3, b] = (
            u0 * u0 + u1 * u1 + u2 * u2 + v0 * v0 + v1 * v1 + v2 * v2 + w0 * w0 + w1 * w1 + w2 * w2
        ) / abs(det)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _sums(total, positive):
    """Estimates from the sums over corner, edge-middle and central lines, rows 4 on of ``positive``."""
    for k in range(3):
        knot = _KNOTS[k]
        for b in range(BLOCK):
            positive[4 + 3 * k, b] = total[2, knot, b] * _QUARTER + _TINY
            positive[5 + 3 * k, b] = total[1, knot, b] * _QUARTER + _TINY
            positive[6 + 3 * k, b] = total[0, knot, b] + _TINY
    for n in range(CANDIDATES):
        for b in range(BLOCK):
            positive[13 + n, b] = (
                _NINTH4 * _QUARTER * total[2, n, b] + _NINTH4 * total[1, n, b] + _NINTH16 * total[0, n, b] + _TINY
            )


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _relative_to_reference(positive, first, last, result, row):
    """Rows ``first`` to ``last`` of the logarithms over that of the reference size, from ``row`` of ``result`` on."""
    for k in range(last - first):
        for b in range(BLOCK):
            result[row + k, b] = max(positive[first + k, b] - positive[3, b], _LEAST_LOG)


@njit(over="features", grain=1, cache=True, error_model="numpy", fastmath=_FAST)
def _describe(begin, end, hexahedra, features, estimates):
    modes, rotated = np.empty((21, BLOCK), dtype=np.float32), np.empty((21, BLOCK), dtype=np.float32)
    line, total = np.empty((4, BLOCK), dtype=np.float32), np.empty((3, CANDIDATES, BLOCK), dtype=np.float32)
    positive, exponents = np.empty((13 + CANDIDATES, BLOCK), dtype=np.float32), np.empty(BLOCK, dtype=np.float32)
    bits = positive.view(np.int32)
    for block in range(begin, end):
        _modes(hexahedra, BLOCK * np.int64(block), modes)
        for axis in range(3):
            _with_axis_first(modes, axis, rotated)
            total[:] = _ZERO
            for i in range(3):
                for j in range(3):
                    _line(rotated, np.float32(i - 1), np.float32(j - 1), line)
                    _add_line(line, total, abs(i - 1) + abs(j - 1))
            rows = features[block, axis]
            _shape(rotated, rows[12:31], positive)
            _sums(total, positive)
            for row in range(positive.shape[0]):
                vector_log2(positive, bits, row, exponents)
            for k in range(3):
                for b in range(BLOCK):
                    rows[k, b] = positive[k, b]
            _relative_to_reference(positive, 4, 13, rows, 3)
            _relative_to_reference(positive, 13, 13 + CANDIDATES, estimates[block, axis], 0)


def describe_blocks(hexahedra: np.ndarray, rows: int = FEATURES) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`describe_directions` gives, by blocks of elements; the last element fills up the last block.

    Returns
    -------
    features : (blocks, 3, rows, BLOCK) float32
        Zero from that of the material on.
    estimates : (blocks, 3, CANDIDATES, BLOCK) float32
    """
    blocks = -(-len(hexahedra) // BLOCK)
    features = np.zeros((blocks, 3, rows, BLOCK), dtype=np.float32)
    estimates = np.empty((blocks, 3, CANDIDATES, BLOCK), dtype=np.float32)
    _describe(kernel_array(hexahedra), features, estimates)
    return features, estimates


def describe_directions(hexahedra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The features of each direction of each element, and its a-priori estimates.

    Returns
    -------
    features : (n, 3, FEATURES - 1) float32
        All but the last feature, which is of the material.
    estimates : (n, 3, CANDIDATES) float32
        log₂ of the a-priori estimate for FEWEST, FEWEST + 1, ... points along the direction.
    """
    features, estimates = (
        np.ascontiguousarray(values.transpose(0, 3, 1, 2)).reshape(-1, *values.shape[1:3])[: len(hexahedra)]
        for values in describe_blocks(hexahedra)
    )
    return np.ascontiguousarray(features[:, :, : FEATURES - 1]), estimates
