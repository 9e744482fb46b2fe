"""Why a stiffness matrix has no inverse: which parts can move without a force, and where."""

from collections.abc import Callable
from typing import NoReturn

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from femnn.exceptions import SingularMatrixError
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.degrees_of_freedom import named
from femnn.solvers.linear.system import Operator

# Energy of a rigid motion over that of an arbitrary one of the same size, below which nothing holds the part. One held
# vertex of a million leaves 1e-7, rounding 1e-16.
_HELD = 1e-13

# Share of a motion that may not be rigid, if it is called so.
_RIGID = 1e-3

# ‖K v‖ over ‖|K| |v|‖ of a motion that no stiffness resists, to rounding.
_NO_FORCE = 1e-15


def check_held(operator: Operator, matrix: BlockRows, modes: np.ndarray) -> None:
    """Raise if a connected part of the structure can move along one of the modes without a force.

    Parameters
    ----------
    operator
    matrix : (m, m) blocks
        The same in blocks of a node.
    modes : (m · components, k) float64
        See :func:`femnn.solvers.linear.near_null_space.near_null_space`.

    Raises
    ------
    SingularMatrixError
        With the degrees of freedom of the first such part.
    """
    is_free = operator.is_free.reshape(matrix.n, matrix.rows)
    modes = modes * is_free.reshape(-1, 1)
    n_parts, part = _parts(matrix, is_free.any(axis=1))
    forces = np.stack([matrix @ mode for mode in np.ascontiguousarray(modes.T)], axis=1)
    diagonal = operator.diagonal[:, None]
    k = modes.shape[1]
    if n_parts == 1:
        energies, scales = (modes.T @ forces)[None], (modes.T @ (diagonal * modes))[None]
    else:
        energies, scales = np.empty((n_parts, k, k)), np.empty((n_parts, k, k))
        rows = np.repeat(part, matrix.rows)
        for i, j in np.ndindex(k, k):
            energies[:, i, j] = np.bincount(rows, modes[:, i] * forces[:, j], n_parts)
            scales[:, i, j] = np.bincount(rows, modes[:, i] * diagonal[:, 0] * modes[:, j], n_parts)
    for p in range(n_parts):
        loose = _without_force(energies[p], scales[p])
        if loose:
            moving = np.flatnonzero(is_free & (part == p)[:, None])
            how = "its constant is" if k == 1 else f"{loose} of its {k} rigid motions are"
            where = "the structure" if n_parts == 1 else f"one of {n_parts} parts that are not connected"
            raise SingularMatrixError(
                f"K is singular: {where}, with {named(moving)}, is not held, {how} free; add to `fixed` what holds it",
                moving,
            )


def free_motion(matrix: csr_array, solve: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A motion that no stiffness resists, found by inverse iteration.

    Parameters
    ----------
    matrix : (m, m)
    solve
        Applies the inverse of the factors of ``matrix``, or of one very near to it.

    Returns
    -------
    (m,) float64
        With 1 as its largest entry, and 0 where it is below a tenth of that or something resists it: all 0 if there is
        none. NaN where the factors tell nothing.
    """
    unit = _unit(matrix)
    motion = solve(np.random.default_rng(0).uniform(-1.0, 1.0, matrix.shape[0]) / unit) / unit
    largest = np.abs(motion).max()
    if not np.isfinite(largest):
        return np.full(len(motion), np.nan)
    motion /= largest
    moves = (np.abs(motion) >= 0.1) & (not is_resisted(matrix, unit * motion))
    motion = unit * motion
    return np.where(moves, motion / np.abs(motion).max(), 0.0)


def is_resisted(matrix: csr_array, motion: np.ndarray) -> bool:
    """Whether a stiffness (m, m) resists a motion (m,) by more than rounding."""
    unit = _unit(matrix)
    forces, sizes = unit * (matrix @ motion), unit * (abs(matrix) @ np.abs(motion))
    return bool(np.linalg.norm(forces) > _NO_FORCE * np.linalg.norm(sizes))


def _unit(matrix):
    """Units in which the diagonal is one: rows of any size say alike whether they are resisted."""
    diagonal = np.abs(matrix.diagonal())
    return 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))


def explain_factors(matrix: csr_array, dofs: np.ndarray, modes: np.ndarray) -> NoReturn:
    """Raise the reason why a condensed matrix could not be factored; ``modes`` (m, k) are its rigid motions.

    Raises
    ------
    SingularMatrixError
        With the degrees of freedom that move freely.
    """
    diagonal = np.abs(matrix.diagonal())
    shifted = matrix + diags_array(1e-14 * np.maximum(diagonal, 1e-14 * diagonal.max() + np.finfo(float).tiny))
    try:
        factors = splu(shifted.tocsc())
        motion = free_motion(matrix, lambda b: factors.solve(factors.solve(b)))
    except RuntimeError:
        motion = np.zeros(len(dofs))
    raise_singular(dofs, motion if motion.any() else np.full(len(dofs), np.nan), modes)


def raise_singular(dofs: np.ndarray, motion: np.ndarray, modes: np.ndarray) -> NoReturn:
    """Raise SingularMatrixError, which says how ``dofs`` (m,) can move without a force.

    ``motion`` (m,) is 0 for those that cannot, ``modes`` (m, k) are the rigid motions there.
    """
    moves = motion != 0.0
    moving = dofs[moves]
    raise SingularMatrixError(
        f"K is singular to working precision: {named(moving)} can move without a force"
        f"{_kind(motion[moves], modes[moves])}",
        moving,
    )


def _kind(motion, modes):
    """What sort of mechanism a motion (m,) is, and what to do about it: ``modes`` (m, k) are rigid motions."""
    if modes.shape[1] > 1 and np.isfinite(motion).all() and len(motion) > modes.shape[1]:
        rigid = modes @ np.linalg.lstsq(modes, motion, rcond=None)[0]
        if np.linalg.norm(motion - rigid) <= _RIGID * np.linalg.norm(motion):
            return (
                ", a rigid motion of a part: it hangs on a hinge or only touches the rest; join it by whole facets, or "
                "hold it with `fixed`"
            )
        return (
            ", and deform: a zero-energy mode (hourglass), as too few integration points leave it, or several parts "
            "that hang on hinges; take a rule of more points, or hold them with `fixed`"
        )
    return "; hold them with `fixed`, or look for a mechanism (too few integration points, parts that only touch)"


def _parts(matrix, nodes):
    """Number of connected parts of the ``nodes`` (n,) bool, and the part of each; the others are in the last."""
    pattern = csr_array((np.ones(matrix.n_blocks, dtype=bool), matrix.columns, matrix.starts), shape=(matrix.n,) * 2)
    if not nodes.all():
        pattern = pattern[nodes][:, nodes]
    n_parts, found = connected_components(pattern, directed=False)
    part = np.full(matrix.n, n_parts - 1)
    part[nodes] = found
    return n_parts, part


def _without_force(energy, scale):
    """Number of independent combinations of the modes that cost no energy."""
    sizes, directions = np.linalg.eigh(scale)
    independent = sizes > 1e-12 * sizes[-1]
    sizes, directions = sizes[independent], directions[:, independent]
    relative = directions.T @ energy @ directions / np.sqrt(np.outer(sizes, sizes))
    return int((np.linalg.svd(relative, compute_uv=False) < _HELD).sum())
