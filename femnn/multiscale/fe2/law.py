"""Cells as laws of a solid, and laws of all kinds driven along paths of strain."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import checked, shaped
from femnn.exceptions import LawError, ParameterError
from femnn.multiscale.fe2.cell import PeriodicCell
from femnn.solids.laws import check_law

# Times that a step of a path is halved at most.
_MOST_CUTS = 6


class CellLaw:
    """A cell at every integration point of a :class:`femnn.Solid`: FE², the full one.

    Parameters
    ----------
    cell
        The cell of every point.

    Notes
    -----
    The state of a point is that of its cell, ``cell.state_size`` numbers. A cell that finds no equilibrium raises a
    LawError, which femnn's solvers answer with a shorter step.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.multiscale.fe2 import cell_with_inclusions
    >>> cell = PeriodicCell(cell_with_inclusions(3, radius=0.2), femnn.J2(3e9, 0.3, 60e6, isotropic=1e8))
    >>> solid = femnn.Solid(skfem.MeshHex(), femnn.GaussLegendre(2), CellLaw(cell))
    >>> solid.states[0].shape == (1, 8, cell.state_size)
    True
    """

    kinematics = "small"

    @checked()
    def __init__(self, cell: PeriodicCell) -> None:
        self.cell = cell

    def __repr__(self) -> str:
        return f"CellLaw({self.cell!r})"

    @checked(n="[0, inf)")
    def initial_state(self, n: int) -> np.ndarray:
        """State of ``n`` virgin points, (n, s)."""
        return np.tile(self.cell.initial_state(), (n, 1))

    @checked(strain="n 6", state="any")
    def update(
        self, strain: ArrayLike, state: ArrayLike, *, tangent: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Mean stress (n, 6), tangent (n, 6, 6) and new state (n, s), as :class:`femnn.ConstitutiveLaw` says.

        With ``tangent=False`` the tangent is left out, None, which saves six solutions for each point.

        Raises
        ------
        LawError
            If the cell of a point finds no equilibrium.
        """
        strain = np.asarray(strain, dtype=float)
        n = len(strain)
        state = shaped("the state", state, (n, self.cell.state_size))
        stress, tangents, new = np.empty((n, 6)), np.empty((n, 6, 6)) if tangent else None, np.empty_like(state)
        for k in range(n):
            try:
                response = self.cell.respond(strain[k], state[k], tangent=tangent)
            except LawError as error:
                raise LawError(f"at point {k} of {n}: {error}") from error
            stress[k], new[k] = response.stress, response.state
            if tangents is not None:
                tangents[k] = response.tangent
        return stress, tangents, new


@checked(strains="any")
def follow(law: Any, strains: ArrayLike, *, progress: bool = True) -> np.ndarray:
    """Stresses of a law along paths of strain, from the virgin state; laws that can leave their tangents out do so.

    Parameters
    ----------
    law
        Any :class:`femnn.ConstitutiveLaw` of small strains: a cell's, a reduced cell's, a trained one, the library's.
    strains : (steps, 6) or (n, steps, 6)
        One path, or paths that are followed side by side; all begin at zero strain, which is not among the steps.
    progress
        Show a bar, if stderr is a terminal.

    Returns
    -------
    (steps, 6) or (n, steps, 6)

    Raises
    ------
    ParameterError
        If the strains have another shape or are not finite, or the law is none of small strains.
    LawError
        If the law has no answer, however short the steps are.

    Examples
    --------
    >>> import femnn
    >>> path = np.linspace(0.0, 0.01, 6)[1:, None] * np.array([1.0, 0, 0, 0, 0, 0])
    >>> follow(femnn.J2(3e9, 0.3, 60e6), path, progress=False).shape
    (5, 6)
    """
    check_law(law)
    if law.kinematics != "small":
        raise ParameterError(f"{law!r} is a law of finite strains; pass one of small strains")
    paths = checked_paths(strains)
    state, last = law.initial_state(len(paths)), np.zeros((len(paths), 6))
    stresses = np.empty_like(paths)
    options = {"tangent": False} if "tangent" in inspect.signature(law.update).parameters else {}

    def answer(end: np.ndarray, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        stress, _, new = law.update(end, begin, **options)
        return np.asarray(stress), new

    for k in tqdm(range(paths.shape[1]), unit="step", disable=None if progress else True):
        stresses[:, k], state = in_halves(answer, last, paths[:, k], state)
        last = paths[:, k]
    return stresses if np.ndim(strains) == 3 else stresses[0]


def in_halves(
    answer: Callable[[np.ndarray, Any], tuple[np.ndarray, Any]],
    start: np.ndarray,
    end: np.ndarray,
    state: Any,
    cuts: int = _MOST_CUTS,
) -> tuple[np.ndarray, Any]:
    """Stress and state of ``answer(strain, state)`` at ``end``, in halves if there is none for the whole step."""
    try:
        return answer(end, state)
    except LawError:
        if cuts == 0:
            raise
    middle = 0.5 * (start + end)
    _, state = in_halves(answer, start, middle, state, cuts - 1)
    return in_halves(answer, middle, end, state, cuts - 1)


def driven(cell: PeriodicCell, strains: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stress (6,) and state of a virgin cell after each step of a path of strains (steps, 6), without the tangents."""

    def answer(strain: np.ndarray, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        response = cell.respond(strain, begin, tangent=False)
        return response.stress, response.state

    state, last = cell.initial_state(), np.zeros(6)
    for strain in strains:
        stress, state = in_halves(answer, last, strain, state)
        last = strain
        yield stress, state


def checked_paths(strains: ArrayLike) -> np.ndarray:
    """Paths (n, steps, 6) of one (steps, 6) or several; ParameterError if they are none."""
    paths = np.asarray(strains, dtype=float)
    if paths.ndim == 2:
        paths = paths[None]
    if paths.ndim != 3 or paths.shape[2] != 6 or not paths.size:
        raise ParameterError(
            f"the strains have shape {np.shape(strains)}; pass a path (steps, 6) or paths (n, steps, 6), Voigt order "
            "xx, yy, zz, yz, xz, xy with engineering shear strains"
        )
    if not np.isfinite(paths).all():
        path, step = np.argwhere(~np.isfinite(paths))[0][:2]
        raise ParameterError(f"the strain is not finite at step {step} of path {path}; pass finite numbers")
    return paths
