"""The neo-Hookean law of the blocks, for one point."""

import numpy as np


def neo_hooke(gradient, state, parameters, stress, tangent, new_state):
    """P = μ (F - F⁻ᵀ) + λ ln J F⁻ᵀ, J. Bonet, R. D. Wood, Nonlinear Continuum Mechanics (2008), section 6.4.3."""
    lame, shear = parameters
    f = gradient.copy()
    f[0], f[4], f[8] = f[0] + 1.0, f[4] + 1.0, f[8] + 1.0
    back = np.empty(9)  # F⁻ᵀ
    for i in range(3):
        for j in range(3):
            a, b, c, d = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
            back[3 * i + j] = f[3 * a + c] * f[3 * b + d] - f[3 * a + d] * f[3 * b + c]
    determinant = f[0] * back[0] + f[1] * back[1] + f[2] * back[2]
    if determinant <= 0.0:
        stress[:] = np.nan
        return
    back /= determinant
    pressure = lame * np.log(determinant)
    for p in range(9):
        stress[p] = shear * (f[p] - back[p]) + pressure * back[p]
        for q in range(9):
            i, j, k, m = p // 3, p % 3, q // 3, q % 3
            tangent[p, q] = lame * back[p] * back[q] + (shear - pressure) * back[3 * i + m] * back[3 * k + j]
        tangent[p, p] += shear
