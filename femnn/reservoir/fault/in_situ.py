"""The state of a fault before anything is injected: what it went through, and the stress that it bears."""

import numpy as np

from femnn.exceptions import ParameterError

# Equal parts of the way to the stress in situ, and how often they are halved where Newton's method fails.
_PARTS, _MOST_PARTS, _MOST_ITERATIONS, _MOST_LENGTHS = 10, 320, 30, 5

# Missing traction over the largest one.
_ENOUGH = 1e-9

# m: nothing that a law resolves.
_TOUCH = 1e-15


def tractions(stress, x, frames):
    """Tractions (points, 3) of a stress on planes.

    Parameters
    ----------
    stress : (dim, dim)
        Effective, positive in tension, Pa; or a function of the places (dim, points) that gives (dim, dim, points).
    x : (dim, points)
    frames : (3, dim, points)
        Normal and shear directions.

    Raises
    ------
    ParameterError
        If the stress has another shape, is not finite or not symmetric.
    """
    dim, points = x.shape
    tensors = np.asarray(stress(x) if callable(stress) else stress, dtype=float)
    if tensors.shape not in ((dim, dim), (dim, dim, points)):
        raise ParameterError(
            f"the stress in situ has shape {tensors.shape}; give ({dim}, {dim}), or a function of the places (dim, n) "
            f"that gives ({dim}, {dim}, n)"
        )
    tensors = np.broadcast_to(tensors.reshape(dim, dim, -1), (dim, dim, points))
    size = np.abs(tensors).max()
    if not np.isfinite(size) or np.abs(tensors - tensors.swapaxes(0, 1)).max() > 1e-9 * size:
        raise ParameterError(
            "the stress in situ is not finite or not symmetric; give the effective stress tensor in Pa"
        )
    return np.einsum("jap,abp,bp->pj", frames, tensors, frames[0])


def driven_along(law, path, n):
    """State and separation of ``n`` points of a law that were led through the separations ``path`` (k, 3), m.

    Raises
    ------
    ParameterError
        If the path has another shape.
    """
    path = np.asarray(path, dtype=float)
    if path.ndim != 2 or path.shape[1] != 3:
        raise ParameterError(f"the history has shape {path.shape}; give separations (k, 3): opening and two shears, m")
    state, separation = law.initial_state(n), np.zeros((n, 3))
    for row in path:
        separation = np.tile(row, (n, 1))
        state = law.update(separation, state).state
    return state, separation


def loaded_to(law, wanted, state, separation):
    """Separation, state and traction of points that are brought from ``separation`` to a traction, step by step.

    Parameters
    ----------
    law : Law
    wanted : (n, 3)
        Pa.
    state : State
    separation : (n, 3)
        Where they are, m.

    Raises
    ------
    ParameterError
        If the law has no such traction at some point.
    """
    # points that are alike go together: an RVE in the loop is dear
    size = np.abs(wanted).max() or 1.0
    told = np.column_stack([np.round(wanted / size, 12), separation, state.values])
    _, first, same = np.unique(told, axis=0, return_index=True, return_inverse=True)
    wanted, separation, state = wanted[first], separation[first], state[first]
    begin, same = law.update(separation, state).traction, same.ravel()
    parts = _PARTS
    while True:
        result, missing = _ramped(law, begin, wanted, state, separation, parts)
        if result is not None:
            return tuple(own[same] for own in result)
        parts *= 2
        if parts > _MOST_PARTS:
            worst = int(missing.argmax())
            raise ParameterError(
                f"the law has no state with the traction in situ {wanted[worst].tolist()} Pa of point {worst}, which "
                f"{missing[worst]:.3g} Pa are missing to: the fault would slip or open by itself. Lower its shear "
                "stress, or give it more strength or friction"
            )


def _ramped(law, begin, wanted, state, separation, parts):
    # pressed first, then sheared: faces that touch bear no shear before
    pressed = np.column_stack([wanted[:, :1], begin[:, 1:]])
    size = np.abs(wanted).max()
    for start, end in ((begin, pressed), (pressed, wanted)):
        for share in np.linspace(0.0, 1.0, parts + 1)[1:]:
            separation, response, missing = _newton(law, start + share * (end - start), state, separation)
            if missing.max() > _ENOUGH * size:
                return None, missing
            state = response.state
    return (separation, state, response.traction), missing


def _newton(law, target, state, separation):
    """Newton's method at all points at once, each with its own line search on the missing traction."""
    response = law.update(separation, state)
    missing = np.linalg.norm(target - response.traction, axis=1)
    enough = _ENOUGH * np.abs(target).max()
    for _ in range(_MOST_ITERATIONS):
        if (missing <= enough).all():
            break
        tangent = response.tangent
        if not tangent[:, 0, 0].all():
            # faces that just touch have the stiffness of those that are pressed
            tangent = law.update(separation - _TOUCH * np.eye(3)[0], state).tangent
        # what slides has no stiffness along its way, which need not bring anything then
        step = np.einsum("pij,pj->pi", np.linalg.pinv(tangent, rcond=1e-12), target - response.traction)
        length = np.ones(len(separation))
        for _ in range(_MOST_LENGTHS):
            tried = separation + length[:, None] * step
            found = np.linalg.norm(target - law.update(tried, state).traction, axis=1)
            worse = (found > missing) & (missing > enough)
            if not worse.any():
                break
            length[worse] *= 0.5
        separation = separation + length[:, None] * step
        response = law.update(separation, state)
        missing = np.linalg.norm(target - response.traction, axis=1)
    return separation, response, missing
