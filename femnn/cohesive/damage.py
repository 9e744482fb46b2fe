"""Damage, contact and friction at a point, as all irreversible laws of femnn have them, classical or learned.

Unloading goes back to the origin along the secant; a damaged point in contact slides with friction. With the damage d,
the slip γ and the Macaulay bracket ⟨·⟩ the free energy is

    Ψ = (1 − d) [½ Kn ⟨δn⟩² + ½ Ks |δs|²] + ½ Kc ⟨−δn⟩² + d ½ Ks |δs − γ|²

and the tractions are its derivatives. It is the interface of Alfano & Sacco (Int. J. Numer. Meth. Engng 68 (2006)
542-582): a share 1 − d of every point is intact, a share d is cracked and follows Coulomb's law with elastic stick.
Dissipation is

    D = (½ Kn ⟨δn⟩² + ½ Ks |δs|² − ½ Ks |δs − γ|²) ḋ + d Ks (δs − γ)·γ̇  ≥  0

since d only grows, and only while its factor is positive; slip follows the frictional traction. This holds whatever
function of the separation the damage is driven by, so also for one that was learned.
"""

import numpy as np

from femnn.system.compile import njit

#: Columns of a point's history: damage, slip in the two shear directions.
DAMAGE, SLIP1, SLIP2 = range(3)


@njit(cache=True, error_model="numpy")
def respond(separation, values, target, gradient, stiffness):
    """Traction (n, 3), tangent (n, 3, 3) and new values (n, 3).

    ``target`` (n,) is the damage that the separation alone asks for, ``gradient`` (n, 3) its derivative; ``stiffness``
    is (Kn, Ks, Kc, friction).
    """
    n = separation.shape[0]
    traction, tangent, new = np.empty((n, 3)), np.empty((n, 3, 3)), np.empty((n, 3))
    for k in range(n):
        _respond(separation[k], values[k], target[k], gradient[k], stiffness, traction[k], tangent[k], new[k])
    return traction, tangent, new


@njit(cache=True, error_model="numpy")
def _respond(separation, old, target, gradient, stiffness, traction, tangent, new):
    normal, shear, contact, friction = stiffness
    opening, s1, s2 = separation
    closed = opening < 0.0
    # elastic part of the sliding of the cracked share: a return to Coulomb's cone
    e1, e2 = s1 - old[SLIP1], s2 - old[SLIP2]
    length = np.sqrt(e1 * e1 + e2 * e2)
    radius = friction * contact * -opening / shear if closed else 0.0
    sticking = length <= radius and radius > 0.0
    u1 = u2 = 0.0
    if not sticking:
        if length > 0.0:
            u1, u2 = e1 / length, e2 / length
        e1, e2 = radius * u1, radius * u2
    new[SLIP1], new[SLIP2] = s1 - e1, s2 - e2

    intact = shear * (s1 * s1 + s2 * s2)
    if not closed:
        intact += normal * opening * opening
    grows = target > old[DAMAGE] and intact >= shear * (e1 * e1 + e2 * e2)
    d = target if grows else old[DAMAGE]
    new[DAMAGE] = d

    traction[0] = contact * opening if closed else (1.0 - d) * normal * opening
    traction[1] = shear * (s1 - d * new[SLIP1])
    traction[2] = shear * (s2 - d * new[SLIP2])

    tangent[:] = 0.0
    tangent[0, 0] = contact if closed else (1.0 - d) * normal
    tangent[1, 1] = tangent[2, 2] = (1.0 - d) * shear
    if sticking:
        tangent[1, 1] += d * shear
        tangent[2, 2] += d * shear
    elif radius > 0.0:
        turn = d * shear * radius / length
        tangent[1, 1] += turn * (1.0 - u1 * u1)
        tangent[2, 2] += turn * (1.0 - u2 * u2)
        tangent[1, 2] -= turn * u1 * u2
        tangent[2, 1] -= turn * u1 * u2
        tangent[1, 0] -= d * friction * contact * u1
        tangent[2, 0] -= d * friction * contact * u2
    if grows:
        for j in range(3):
            if not closed:
                tangent[0, j] -= normal * opening * gradient[j]
            tangent[1, j] -= shear * new[SLIP1] * gradient[j]
            tangent[2, j] -= shear * new[SLIP2] * gradient[j]


def free_energy(separation, values, stiffness):
    """Ψ of each point, (n,), J/m²."""
    normal, shear, contact, _ = stiffness
    opening, sliding = np.maximum(separation[:, 0], 0.0), (separation[:, 1:] ** 2).sum(axis=1)
    elastic = ((separation[:, 1:] - values[:, SLIP1:]) ** 2).sum(axis=1)
    d = values[:, DAMAGE]
    return 0.5 * (
        (1 - d) * (normal * opening**2 + shear * sliding)
        + contact * np.minimum(separation[:, 0], 0.0) ** 2
        + d * shear * elastic
    )
