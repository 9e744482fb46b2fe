"""Numba kernels of Burgers' equation: the sweep along the flow, and a few cells of a time step for reduced models."""

import numpy as np

from femnn.reduced.decoder_kernels import decoder_work, place_rows, slopes_of_rows
from femnn.reduced.manifold_kernels import count_features, features, slopes_of_features
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
def march_sampled(  # noqa: C901
    neighbours, base, lifted, widths, layers, decoder, roots, source, dt, h, share, viscosity, lag, q, most, enough
):
    """Fill coordinates ``q`` (steps + 1, n) after the first row; return the step that failed, or 0, and all iterations.

    ``neighbours`` (3, m): places of the chosen cells, of those before them along x and along y, among p nodes; (5, m)
    with those behind them for the viscous equation, see :func:`fluxes`. Values of u, then of v, at the nodes are base
    (2 p) + lifted (2 p, c) times q and the features of q, the last columns; or the rows of a ``decoder``, if it has
    any. ``share`` of a step is implicit: a half, or 1. Test functions serve ``lag`` steps, or until iterations converge
    too slowly with them.
    """
    m, p, n = neighbours.shape[1], len(base) // 2, q.shape[1]
    k = count_features(widths) if lifted.shape[1] > n else 0
    direct = lifted.shape[1] - k
    a, spread, iterations, age = share * dt / h, share * dt * viscosity / h**2, 0, lag
    curved = np.ascontiguousarray(lifted[:, direct:].T)
    free = np.zeros((2 * p, n))
    free[:, :direct] = lifted[:, :direct]
    # products with what is lifted are in its precision
    z, h_of_q, slopes = np.zeros(direct + k, lifted.dtype), np.zeros(k), np.zeros((k, n))
    raw, rough = np.empty(2 * p, lifted.dtype), np.empty((n, 2 * p), lifted.dtype)
    ahead, there, space = np.empty(n), np.empty(2 * p), decoder_work(decoder)
    flat, work = np.empty((2, widths.max())), np.empty((2, widths.max(), n + 1))
    tangent, w, known, residual = free.copy(), np.empty(2 * p), np.empty(2 * m), np.empty(2 * m)
    test, flux = np.empty((2 * m, n)), np.empty(2 * m)
    matrix, copy, right, moved = np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(2 * p)
    _place(base, lifted, q[0], widths, layers, h_of_q, z, flat, raw, decoder, space, w)
    fluxes(neighbours, w, a, spread, flux)
    for step in range(1, len(q)):
        for c in range(2 * m):
            cell = neighbours[0, c % m] + (p if c >= m else 0)
            known[c] = w[cell] - (1.0 / share - 1.0) * flux[c] + dt * source[c]
        new, one, two = q[step], q[step - 1], q[max(step - 2, 0)]
        three = q[max(step - 3, 0)]
        for i in range(n):
            # a parabola through the last three states, as soon as there are three
            new[i] = 3.0 * (one[i] - two[i]) + three[i] if step > 3 else 2.0 * one[i] - two[i]
        converged, is_stale, last = False, age >= lag, np.inf
        age += 1
        if is_stale:
            # where the steps that they serve have their middle
            for i in range(n):
                ahead[i] = new[i] + 0.5 * (lag - 1) * (new[i] - one[i])
        for _ in range(most):
            _place(base, lifted, new, widths, layers, h_of_q, z, flat, raw, decoder, space, w)
            fluxes(neighbours, w, a, spread, flux)
            for c in range(2 * m):
                cell = neighbours[0, c % m] + (p if c >= m else 0)
                residual[c] = roots[c % m] * (w[cell] + flux[c] - known[c])
            if is_stale:
                if len(decoder.places):
                    slopes_of_rows(decoder, ahead, space, tangent)
                elif k:
                    slopes_of_features(ahead, widths, layers, slopes, work)
                    np.dot(np.ascontiguousarray(slopes.T).astype(lifted.dtype), curved, rough)
                    for i in range(2 * p):
                        for j in range(n):
                            tangent[i, j] = free[i, j] + rough[j, i]
                _place(base, lifted, ahead, widths, layers, h_of_q, z, flat, raw, decoder, space, there)
                residual_slopes(neighbours, there, a, spread, tangent, roots, test)
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
            if is_stale:
                ahead[:] = new
        if not converged:
            return step, iterations
        # the last change is so small that the tangent tells what it does
        np.dot(tangent, right, moved)
        for i in range(2 * p):
            w[i] -= moved[i]
        fluxes(neighbours, w, a, spread, flux)
    return 0, iterations


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _place(base, lifted, q, widths, layers, h_of_q, z, work, raw, decoder, space, w):
    """Write the velocities at the nodes; ``z`` are coordinates and features."""
    if len(decoder.places):
        place_rows(decoder, q, space, w)
        return
    k, direct = len(h_of_q), len(z) - len(h_of_q)
    for i in range(direct):
        z[i] = q[i]
    if k:
        features(q, widths, layers, h_of_q, work)
        for i in range(k):
            z[direct + i] = h_of_q[i]
    np.dot(lifted, z, raw)
    for i in range(len(w)):
        w[i] = base[i] + raw[i]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def fluxes(neighbours, w, a, spread, flux):
    """Write what leaves each cell in the implicit share of a step, for u and for v.

    With three rows of neighbours that of the conservative equation; with five u u_x + v u_y and the viscous part.
    """
    m, p = neighbours.shape[1], len(w) // 2
    for c in range(m):
        own, west, south = neighbours[0, c], neighbours[1, c], neighbours[2, c]
        u, v = w[own], w[p + own]
        s, t = w[south], w[p + south]
        x, y = w[west], w[p + west]
        if neighbours.shape[0] == 3:
            flux[c] = 0.5 * a * (u * u - x * x + u * v - s * t)
            flux[m + c] = 0.5 * a * (v * v - t * t + u * v - x * y)
        else:
            east, north = neighbours[3, c], neighbours[4, c]
            around_u, around_v = x + s + w[east] + w[north], y + t + w[p + east] + w[p + north]
            flux[c] = a * (u * (u - x) + v * (u - s)) - spread * (around_u - 4.0 * u)
            flux[m + c] = a * (u * (v - y) + v * (v - t)) - spread * (around_v - 4.0 * v)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def residual_slopes(neighbours, w, a, spread, tangent, roots, test):
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
            if neighbours.shape[0] == 3:
                mixed = 0.5 * a * (u * dv + v * du)
                change_u = a * (u * du - x * dx) + mixed - 0.5 * a * (s * dt + t * ds)
                change_v = a * (v * dv - t * dt) + mixed - 0.5 * a * (x * dy + y * dx)
            else:
                east, north = neighbours[3, c], neighbours[4, c]
                around_u = dx + ds + tangent[east, i] + tangent[north, i]
                around_v = dy + dt + tangent[p + east, i] + tangent[p + north, i]
                change_u = a * (du * (u - x) + u * (du - dx) + dv * (u - s) + v * (du - ds))
                change_v = a * (du * (v - y) + u * (dv - dy) + dv * (v - t) + v * (dv - dt))
                change_u -= spread * (around_u - 4.0 * du)
                change_v -= spread * (around_v - 4.0 * dv)
            test[c, i] = root * (du + change_u)
            test[m + c, i] = root * (dv + change_v)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def sweep_viscous(states, n, a, spread, most, enough):
    """Fill ``states`` (steps + 1, 2 n²) after the first; return the first step that did not converge, or 0.

    Gauss and Seidel's iteration in the order of the flow: viscosity alone couples a node with those behind it.
    """
    nodes = n * n
    for step in range(1, len(states)):
        old, new = states[step - 1], states[step]
        new[:] = old
        converged = False
        for _ in range(most):
            change, size = 0.0, 0.0
            for j in range(1, n - 1):
                for i in range(1, n - 1):
                    k = j * n + i
                    u, v = new[k], new[nodes + k]
                    x, y, s, t = new[k - 1], new[nodes + k - 1], new[k - n], new[nodes + k - n]
                    around_u = x + s + new[k + 1] + new[k + n]
                    around_v = y + t + new[nodes + k + 1] + new[nodes + k + n]
                    r_u = u - old[k] + a * (u * (u - x) + v * (u - s)) - spread * (around_u - 4.0 * u)
                    r_v = v - old[nodes + k] + a * (u * (v - y) + v * (v - t)) - spread * (around_v - 4.0 * v)
                    uu, uv = 1.0 + a * (2.0 * u - x + v) + 4.0 * spread, a * (u - s)
                    vu, vv = a * (v - y), 1.0 + a * (2.0 * v - t + u) + 4.0 * spread
                    determinant = uu * vv - uv * vu
                    change_u = (vv * r_u - uv * r_v) / determinant
                    change_v = (uu * r_v - vu * r_u) / determinant
                    new[k], new[nodes + k] = u - change_u, v - change_v
                    change = max(change, abs(change_u) + abs(change_v))
                    size = max(size, abs(u) + abs(v))
            if change <= enough * size:
                converged = True
                break
        if not converged:
            return step
    return 0
