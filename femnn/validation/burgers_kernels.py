"""Numba kernels of Burgers' equation: the sweep along the flow, and a few cells of a time step for reduced models."""

from femnn.system.compile import njit

_FAST = {"reassoc", "contract", "nsz", "arcp"}


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
