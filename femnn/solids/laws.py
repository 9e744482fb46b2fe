"""Constitutive laws at the integration points of a solid: what one must offer, and laws written as Numba functions."""

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import numba
import numpy as np
from numba import prange, types
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, one_of, shaped
from femnn.exceptions import LawError, ParameterError
from femnn.system.compile import njit

#: Numbers of a strain or stress: Voigt, or all nine of a gradient.
SIZES = {"small": 6, "finite": 9}

_VECTOR, _MATRIX = types.float64[::1], types.float64[:, ::1]
_SIGNATURE = types.void(_VECTOR, _VECTOR, _VECTOR, _VECTOR, _MATRIX, _VECTOR)


class ConstitutiveLaw(Protocol):
    """The contract of a law for :class:`femnn.Solid`: a pure update, vectorised over points, in NumPy, torch or else.

    Attributes
    ----------
    kinematics
        ``"small"``: strains and stresses (n, 6) in Voigt order xx, yy, zz, yz, xz, xy with engineering shear strains,
        tangents (n, 6, 6). ``"finite"``: displacement gradients H_ij = ∂u_i/∂X_j (n, 3, 3), first Piola-Kirchhoff
        stresses P_ij (n, 3, 3), tangents ∂P_ij/∂H_kl (n, 3, 3, 3, 3).
    """

    kinematics: str

    def initial_state(self, n: int) -> np.ndarray:
        """State of ``n`` virgin points, an array (n, ...) of floats; (n, 0) for a law without memory."""

    def update(self, strain: np.ndarray, state: np.ndarray) -> tuple:
        """Stress, tangent and new state of n points; ``state``, that of the last equilibrium, is left as it is."""


class PointLaw:
    """A law written for one point, which Numba compiles into the assembly: nothing is stored but the state.

    Parameters
    ----------
    function
        ``function(strain, state, parameters, stress, tangent, new_state)`` in the subset of Python that Numba compiles.
        It reads the first three and fills the last three, all of them arrays: for small strains (6,), (s,), (p,), (6,),
        (6, 6), (s,); for finite strains gradient, stress and tangent are (9,), (9,), (9, 9), row by row. Where the law
        has no answer (a local iteration that fails) it fills ``stress`` with NaN or raises: the step is cut. A function
        is compiled once for all parameters; it is first called as it is, at two small strains, to see that it stays
        within its arrays.
    parameters
        Numbers of the material (p,).
    initial_state
        State of a virgin point (s,).
    kinematics
        ``"small"`` or ``"finite"``, see :class:`ConstitutiveLaw`.

    Raises
    ------
    ParameterError
        If these are no numbers, Numba cannot compile the function, or it reaches beyond its arrays.
    """

    @checked(function="unchecked", parameters="unchecked", initial_state="unchecked")
    def __init__(
        self,
        function: Callable,
        parameters: ArrayLike = (),
        *,
        initial_state: ArrayLike = (),
        kinematics: str = "small",
    ) -> None:
        self.kinematics = one_of("kinematics", kinematics, tuple(SIZES))
        self.parameters = _finite_vector(parameters, "parameters")
        self.virgin = _finite_vector(initial_state, "initial_state")
        self.function = getattr(function, "py_func", function)
        self.compiled = _compiled(function)
        self._check_places(self.function)

    @checked(n="[0, inf)")
    def initial_state(self, n: int) -> np.ndarray:
        """State of ``n`` virgin points, (n, s)."""
        return np.tile(self.virgin, (n, 1))

    def update(self, strain: ArrayLike, state: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stress, tangent and new state of n points, shaped as :class:`ConstitutiveLaw` says."""
        size = SIZES[self.kinematics]
        strain, shape = np.atleast_1d(floats("strain", strain, finite=False)), (6,) if size == 6 else (3, 3)
        n = len(strain)
        strain = shaped("strain", strain, (n, *shape)).reshape(n, size)
        state = shaped("state", state, (n, len(self.virgin)))
        stress, tangent, new_state = np.empty((n, size)), np.empty((n, size, size)), state.copy()
        _update(self.compiled, strain, state, self.parameters, stress, tangent, new_state)
        return stress.reshape(n, *shape), tangent.reshape(n, *shape, *shape), new_state

    def _check_places(self, function):
        """Raise ParameterError if the function reads or writes beyond its arrays: compiled, it would do so unseen."""
        size, state = SIZES[self.kinematics], len(self.virgin)
        for strain in (0.0, 1e-2):
            try:
                with np.errstate(all="ignore"):
                    function(
                        np.full(size, strain),
                        self.virgin.copy(),
                        self.parameters.copy(),
                        np.empty(size),
                        np.zeros((size, size)),
                        self.virgin.copy(),
                    )
            except IndexError as error:
                raise ParameterError(
                    f"the law {getattr(function, '__name__', function)!r} reaches beyond its arrays: {error}; it gets "
                    f"{size} numbers of strain, {state} of state and {len(self.parameters)} parameters"
                ) from error
            except Exception:  # a law may raise where it has no answer
                continue

    def __repr__(self) -> str:
        return f"PointLaw({self.compiled.__name__}, {self.kinematics} strains, state of {len(self.virgin)})"


def check_law(law):
    """Raise ParameterError unless ``law`` keeps the contract as far as can be seen without calling it."""
    missing = [name for name in ("initial_state", "update") if not callable(getattr(law, name, None))]
    if missing:
        raise ParameterError(
            f"{type(law).__name__} has no {' and no '.join(missing)}; see femnn.ConstitutiveLaw for what one must have"
        )
    one_of(f"{type(law).__name__}.kinematics", getattr(law, "kinematics", None), tuple(SIZES))


def virgin_state(law, n):
    """``law.initial_state(n)``, checked: (n, ...) finite floats."""
    try:
        state = floats("its answer", law.initial_state(n), finite=False)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(f"{type(law).__name__}.initial_state({n}) gives no array of numbers: {error}") from error
    if state.shape[:1] != (n,):
        raise ParameterError(
            f"{type(law).__name__}.initial_state({n}) has shape {state.shape}; it must give a row per point"
        )
    if not np.isfinite(state).all():
        raise ParameterError(f"{type(law).__name__}.initial_state({n}) is not finite; give finite numbers")
    return state


def updated(law, strain, state, cells):
    """``law.update`` for the points of a group, its answer checked: stress (n, size), tangent (n, size²), state (n, s).

    ``strain`` (n, size), ``state`` (n, ...); ``cells`` (n,) names the elements in errors.
    """
    n, size = strain.shape
    tensor = (6,) if size == 6 else (3, 3)
    answer = law.update(strain.reshape(n, *tensor), state.copy())
    try:
        parts = [floats("an answer", part, finite=False) for part in answer]
    except (TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(
            f"{type(law).__name__}.update must give arrays of stress, tangent and state: {error}"
        ) from error
    shapes, expected = [part.shape for part in parts], [(n, *tensor), (n, *tensor, *tensor), state.shape]
    if shapes != expected:
        raise ParameterError(
            f"{type(law).__name__}.update gives arrays of shapes {_listed(shapes)} for {n} points; stress, tangent and "
            f"state must have {_listed(expected)}"
        )
    parts = [part.reshape(n, -1) if part.size else part.reshape(n, 0) for part in parts]
    for part, name in zip(parts, ("stress", "tangent", "state"), strict=True):
        require_finite(part, name, cells)
    return parts


def require_finite(values, name, cells):
    """Raise LawError, which names the element, if ``values`` (n, ...) of points in ``cells`` (n,) are not finite."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise LawError(
            f"the law has no finite {name} at {len(bad)} of {len(values)} points, the first of them in element "
            f"{cells[bad[0]]}; take smaller steps or check the law"
        )


def require_answers(failed):
    """Raise LawError, which names an element, if the compiled law ``failed`` (n,) in some."""
    if failed.any():
        raise LawError(
            f"the law has no finite stress, tangent or state in {failed.sum()} of {len(failed)} elements, the "
            f"first of them {np.flatnonzero(failed)[0]}; take smaller steps or check the law"
        )


def _listed(shapes):
    return ", ".join(map(str, shapes)) or "none"


def _finite_vector(numbers, name):
    values = np.atleast_1d(floats(f"{name} of the law", numbers, finite=False).copy())
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ParameterError(f"{name} of the law are {brief(numbers)}; give a list of finite numbers")
    return values


def _compiled(function):
    plain = getattr(function, "py_func", function)
    if not callable(plain):
        raise ParameterError(f"the law is {brief(plain)}; give a function")
    return _callback(plain)


@lru_cache(maxsize=64)
def _callback(plain):
    """The C function of a law: once for all parameters."""
    name = getattr(plain, "__name__", repr(plain))
    try:
        law = njit(error_model="numpy")(plain)

        def guarded(strain, state, parameters, stress, tangent, new_state):
            # a C function cannot raise: what it has written by then would pass for its answer
            try:
                law(strain, state, parameters, stress, tangent, new_state)
            except Exception:
                stress[:] = np.nan

        guarded.__name__ = name
        # a C function has one type for all laws, so that the assembly is compiled once and not for every law
        return numba.cfunc(_SIGNATURE, error_model="numpy")(guarded)
    except Exception as error:  # the compiler lets through whatever it stumbles over
        raise ParameterError(f"Numba cannot compile the law {name!r}: {error}") from error


@njit(parallel=True, cache=True)
def _update(law, strains, states, parameters, stresses, tangents, new_states):
    for chunk in prange((strains.shape[0] + 63) // 64):
        for k in range(64 * chunk, min(strains.shape[0], 64 * chunk + 64)):
            # what a law leaves out
            stresses[k] = np.nan
            tangents[k] = 0.0
            law(strains[k], states[k], parameters, stresses[k], tangents[k], new_states[k])
