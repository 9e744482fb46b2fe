"""The state of a fault before anything is injected: what it went through, and the stress that it bears."""

import numpy as np

from femnn.exceptions import ParameterError
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Iterate, iterate
from femnn.solvers.nonlinear.step_control import SmallestStepFailed, walk

# Equal parts of the way to the stress in situ, and the smallest where Newton's method fails: five times halved.
_PARTS, _SMALLEST = 10, 1.0 / 330.0

_MOST_ITERATIONS, _MOST_LENGTHS = 30, 5

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
    size = np.abs(tensors).max(initial=0.0)
    if not np.isfinite(size) or np.abs(tensors - tensors.swapaxes(0, 1)).max(initial=0.0) > 1e-9 * size:
        raise ParameterError(
            "the stress in situ is not finite or not symmetric; give the effective stress tensor in Pa"
        )
    return np.einsum("jap,abp,bp->pj", frames, tensors, frames[0])


def require_start(law, t):
    """ParameterError if a law depends on time and starts at another one than ``t``, s."""
    start = getattr(law, "start", t)
    if law.depends_on_time and start != t:
        raise ParameterError(
            f"the state starts at t = {t:g} s, the fault's law at {start:g} s: the rate of the first step would be "
            f"wrong; pass start={t:g} to the law"
        )


def brought_in_situ(fault, x, frames):
    """Separation, state and traction of the points of a fault at ``x`` (dim, points) after its history, in situ.

    Raises
    ------
    ParameterError
        If the stress in situ pulls the fault open, or its law cannot bear it.
    """
    law = fault.law
    path = np.zeros((0, 3)) if fault.history is None else fault.history
    state, separation = driven_along(law, path, x.shape[1])
    if fault.stress is None:
        return separation, state, law.update(separation, state).traction
    wanted = tractions(fault.stress, x, frames)
    if (wanted[:, 0] > 0.0).any():
        worst = int(wanted[:, 0].argmax())
        raise ParameterError(
            f"the stress in situ pulls the fault open at {x[:, worst].tolist()} with {wanted[worst, 0]:.4g} "
            "Pa; give effective stresses that are negative in compression"
        )
    return loaded_to(law, wanted, state, separation)


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
    if not len(wanted):
        return separation, state, law.update(separation, state).traction
    # points that are alike go together: an RVE in the loop is dear
    size = np.abs(wanted).max() or 1.0
    told = np.column_stack([np.round(wanted / size, 12), separation, state.values])
    _, first, same = np.unique(told, axis=0, return_index=True, return_inverse=True)
    wanted, separation, state = wanted[first], separation[first], state[first]
    begin = law.update(separation, state).traction
    # pressed first, then sheared: faces that touch bear no shear before
    pressed = np.column_stack([wanted[:, :1], begin[:, 1:]])
    try:
        separation, response = _ramped(law, begin, pressed, separation, state)
        separation, response = _ramped(law, pressed, wanted, separation, response.state)
    except SmallestStepFailed as failed:
        missing = failed.cause.residuals[-1]
        worst = int(missing.argmax())
        raise ParameterError(
            f"the law has no state with the traction in situ {wanted[worst].tolist()} Pa of point {first[worst]}: "
            f"{missing[worst]:.3g} Pa are missing, the fault would slip or open by itself. Lower its shear stress, or "
            "give it more strength or friction"
        ) from failed.cause
    return tuple(values[same.ravel()] for values in (separation, response.state, response.traction))


def _ramped(law, begin, end, separation, state):
    """Separation and response of points whose traction goes from ``begin`` to ``end`` (n, 3), in equal steps."""

    def attempt(part):
        return _loaded(law, begin + part * (end - begin), separation, state)

    for _, point, _ in walk(attempt, 0.0, np.linspace(0.0, 1.0, _PARTS + 1)[1:], _SMALLEST):
        separation, state = point.x, point.response.state
    return separation, point.response


def _loaded(law, target, separation, state):
    """Newton's method for the traction ``target`` at all points at once, each with a length of its own."""
    enough = _ENOUGH * np.abs(target).max()

    def iterate_at(separation):
        response = law.update(separation, state)
        missing = target - response.traction
        return Iterate(separation, missing, response, np.linalg.norm(missing, axis=1))

    def advance(point, errors):
        tangent = point.response.tangent
        if not tangent[:, 0, 0].all():
            # faces that just touch have the stiffness of those that are pressed
            tangent = law.update(point.x - _TOUCH * np.eye(3)[0], state).tangent
        # what slides has no stiffness along its way, which need not bring anything then
        step = np.einsum("pij,pj->pi", np.linalg.pinv(tangent, rcond=1e-12), point.residual)
        return search(
            lambda length: iterate_at(point.x + length[:, None] * step),
            lambda tried: (tried.norm <= point.norm) | (point.norm <= enough),
            most=_MOST_LENGTHS,
            shape=point.norm.shape,
        )

    start = iterate_at(separation)
    return iterate(start, lambda _, errors: (errors[-1] <= enough).all(), advance, _MOST_ITERATIONS, "Pa")[0]
