"""Numba kernels of Burgers' equation: the sweep along the flow, and a few cells of a time step for reduced models."""

import numpy as np

from femnn.reduced.manifold_kernels import features, slopes_of_features
from femnn.reduced.small_systems import solve_in_place
from femnn.system.compile import njit

_FAST = {"reassoc", "contract", "nsz", "arcp"}

# What a change must shrink to from one iteration to the next, else the residual is linearised anew.
_SHRINKS = 0.3


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def sweep(states, n, h, dt, inflow, production, most, enough):
    """Fill ``states`` (steps + 1, 2 n²) after the first; return the first step that did not converge, or 0."""
    a, cells = 0.5 * dt / h, n * n
    for step in range(1, len(states)):
        old, new = states[step - 1], states[step]
        for k in range(cells):
            i = k % n
            u, v = old[k], old[cells + k]
            # what is known of the two equations: the past, the inflow and the neighbours before this cell
            known_u = u - 0.5 * a * u * (u + v) + dt * production[i]
            known_v = v - 0.5 * a * v * (u + v)
            if i > 0:
                p, q, p_old, q_old = new[k - 1], new[cells + k - 1], old[k - 1], old[cells + k - 1]
                known_u += 0.5 * a * (p * p + p_old * p_old)
                known_v += 0.5 * a * (p * q + p_old * q_old)
            else:
                known_u += a * inflow * inflow
            if k >= n:
                p, q, p_old, q_old = new[k - n], new[cells + k - n], old[k - n], old[cells + k - n]
                known_u += 0.5 * a * (p * q + p_old * q_old)
                known_v += 0.5 * a * (q * q + q_old * q_old)
            converged = False
            for _ in range(most):
                r_u = u + 0.5 * a * u * (u + v) - known_u
                r_v = v + 0.5 * a * v * (u + v) - known_v
                uu, uv = 1.0 + a * (u + 0.5 * v), 0.5 * a * u
                vu, vv = 0.5 * a * v, 1.0 + a * (v + 0.5 * u)
                determinant = uu * vv - uv * vu
                change_u = (vv * r_u - uv * r_v) / determinant
                change_v = (uu * r_v - vu * r_u) / determinant
                u -= change_u
                v -= change_v
                if abs(change_u) + abs(change_v) <= enough * (abs(u) + abs(v)):
                    converged = True
                    break
            if not converged:
                return step
            new[k], new[cells + k] = u, v
    return 0


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def march_sampled(neighbours, base, lifted, widths, layers, roots, source, dt, h, lag, q, most, enough):  # noqa: C901
    """Fill coordinates ``q`` (steps + 1, n) after the first row; return the step that failed, or 0, and all iterations.

    ``neighbours`` (3, m): places of the chosen cells, of those before them along x and along y, among p nodes. Values
    of u, then of v, at the nodes are base (2 p) + lifted (2 p, n + k) times q and the k features of q, if there are
    any. Test functions serve ``lag`` steps, or until iterations converge too slowly with them.
    """
    m, p, n = neighbours.shape[1], len(base) // 2, q.shape[1]
    k = lifted.shape[1] - n
    a, iterations, age = 0.5 * dt / h, 0, lag
    free, curved = np.ascontiguousarray(lifted[:, :n]), np.ascontiguousarray(lifted[:, n:])
    z, slopes = np.zeros(n + k), np.zeros((k, n))
    flat, work = np.empty((2, widths.max())), np.empty((2, widths.max(), n + 1))
    tangent, w, known, residual = free.copy(), np.empty(2 * p), np.empty(2 * m), np.empty(2 * m)
    test, flux = np.empty((2 * m, n)), np.empty(2 * m)
    matrix, copy, right, moved = np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(2 * p)
    _place(base, lifted, q[0], widths, layers, z, flat, w)
    _fluxes(neighbours, w, a, flux)
    for step in range(1, len(q)):
        for c in range(2 * m):
            cell = neighbours[0, c % m] + (p if c >= m else 0)
            known[c] = w[cell] - flux[c] + dt * source[c]
        new, one, two = q[step], q[step - 1], q[max(step - 2, 0)]
        three = q[max(step - 3, 0)]
        for i in range(n):
            # a parabola through the last three states, as soon as there are three
            new[i] = 3.0 * (one[i] - two[i]) + three[i] if step > 3 else 2.0 * one[i] - two[i]
        converged, is_stale, last = False, age >= lag, np.inf
        age += 1
        for _ in range(most):
            _place(base, lifted, new, widths, layers, z, flat, w)
            _fluxes(neighbours, w, a, flux)
            for c in range(2 * m):
                cell = neighbours[0, c % m] + (p if c >= m else 0)
                residual[c] = roots[c % m] * (w[cell] + flux[c] - known[c])
            if is_stale:
                if k:
                    slopes_of_features(new, widths, layers, slopes, work)
                    np.dot(curved, slopes, tangent)
                    tangent += free
                _test_functions(neighbours, w, a, tangent, roots, test)
                np.dot(test.T, test, matrix)
                age = 1
            np.dot(residual, test, right)
            copy[:] = matrix
            solve_in_place(copy, right)
            square = 0.0
            for i in range(n):
                new[i] -= right[i]
                square += right[i] ** 2
            iterations += 1
            if square <= enough**2:
                converged = True
                break
            is_stale, last = square > _SHRINKS**2 * last, square
        if not converged:
            return step, iterations
        # the last change is so small that the tangent tells what it does
        np.dot(tangent, right, moved)
        for i in range(2 * p):
            w[i] -= moved[i]
        _fluxes(neighbours, w, a, flux)
    return 0, iterations


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _place(base, lifted, q, widths, layers, z, work, w):
    """Write the velocities at the nodes; ``z`` are coordinates and features."""
    n = len(q)
    z[:n] = q
    if len(z) > n:
        features(q, widths, layers, z[n:], work)
    np.dot(lifted, z, w)
    for i in range(len(w)):
        w[i] += base[i]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _fluxes(neighbours, w, a, flux):
    """Write what flows out of each cell in half a step, for u and for v."""
    m, p = neighbours.shape[1], len(w) // 2
    for c in range(m):
        own, west, south = neighbours[0, c], neighbours[1, c], neighbours[2, c]
        u, v = w[own], w[p + own]
        s, t = w[south], w[p + south]
        x, y = w[west], w[p + west]
        flux[c] = 0.5 * a * (u * u - x * x + u * v - s * t)
        flux[m + c] = 0.5 * a * (v * v - t * t + u * v - x * y)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _test_functions(neighbours, w, a, tangent, roots, test):
    """Write the derivative of the residuals, each times the root of its weight."""
    m, p, n = neighbours.shape[1], len(w) // 2, tangent.shape[1]
    for c in range(m):
        own, west, south, root = neighbours[0, c], neighbours[1, c], neighbours[2, c], roots[c]
        u, v = w[own], w[p + own]
        s, t = w[south], w[p + south]
        x, y = w[west], w[p + west]
        for i in range(n):
            du, dv = tangent[own, i], tangent[p + own, i]
            ds, dt = tangent[south, i], tangent[p + south, i]
            dx, dy = tangent[west, i], tangent[p + west, i]
            mixed = 0.5 * a * (u * dv + v * du)
            test[c, i] = root * (du + a * (u * du - x * dx) + mixed - 0.5 * a * (s * dt + t * ds))
            test[m + c, i] = root * (dv + a * (v * dv - t * dt) + mixed - 0.5 * a * (x * dy + y * dx))
