"""Laws of others: functions of many points in NumPy or anything else, and functions of one that torch or JAX derive."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, integer, one_of, shaped
from femnn.exceptions import MissingExtraError, ParameterError
from femnn.solids.laws import SIZES

# Points that are derived at once, so that the memory of their derivatives stays small.
_CHUNK = 20_000


class BatchedLaw:
    """A function of many points as a law for :class:`femnn.Solid`.

    Parameters
    ----------
    function
        ``function(strain, state)`` of arrays (n, 6) or (n, 3, 3), see :class:`femnn.ConstitutiveLaw`, and (n, s). It
        gives stress, tangent and new state, or stress and tangent alone if there is no state; arrays of NumPy or
        whatever NumPy takes for one.
    initial_state
        Of a virgin point (s,).
    kinematics
        ``"small"`` or ``"finite"``.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> def spring(strain, state):
    ...     return 3.0 * strain, np.tile(3.0 * np.eye(6), (len(strain), 1, 1))
    >>> float(BatchedLaw(spring).update(np.ones((2, 6)), np.zeros((2, 0)))[0].max())
    3.0
    """

    @checked(initial_state="s", function="unchecked")
    def __init__(self, function: Callable, *, initial_state: ArrayLike = (), kinematics: str = "small") -> None:
        if not callable(function):
            raise ParameterError(f"the law is {brief(function)}; give a function of strain and state")
        self.kinematics = one_of("kinematics", kinematics, tuple(SIZES))
        self._function, self._virgin = function, np.asarray(initial_state, dtype=float)

    def initial_state(self, n: int) -> np.ndarray:
        """State of ``n`` virgin points, (n, s)."""
        return np.tile(self._virgin, (integer("n", n, 0), 1))

    def update(self, strain: ArrayLike, state: ArrayLike) -> tuple:
        """Stress, tangent and new state of n points, as :class:`femnn.ConstitutiveLaw` says."""
        strain, state = self._points(strain, state)
        answer = self._function(strain, state)
        if not isinstance(answer, tuple | list) or len(answer) not in (2, 3):
            raise ParameterError(f"{self!r} gives {brief(answer)}; it must give stress, tangent and new state")
        return (*answer, state) if len(answer) == 2 else tuple(answer)

    def _points(self, strain, state):
        strain = np.atleast_1d(floats("strain", strain, finite=False))
        shape = (6,) if self.kinematics == "small" else (3, 3)
        return shaped("strain", strain, (len(strain), *shape)), shaped("state", state, (len(strain), len(self._virgin)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self._function, '__name__', 'function')}, {self.kinematics} strains)"


class DerivedLaw(BatchedLaw):
    """A stress or an energy of one point, written with torch or JAX, whose tangent these derive.

    Parameters
    ----------
    function
        ``function(strain, state)`` of tensors (6,) or (3, 3), and (s,), with no loops over points: it is mapped over
        them. It gives the stress, or stress and new state; with ``energy=True`` the energy per volume, a scalar, whose
        derivative in the strain is the stress.
    energy
        What the function gives.
    library
        ``"torch"`` or ``"jax"``. JAX must compute in float64: ``jax.config.update("jax_enable_x64", True)``.
    initial_state, kinematics
        As for :class:`BatchedLaw`; an energy has no state.

    Raises
    ------
    ParameterError
    MissingExtraError
        If the library is not installed.

    Examples
    --------
    >>> law = DerivedLaw(lambda strain, state: 2.0 * strain @ strain, energy=True)
    >>> stress, tangent, _ = law.update(np.ones((1, 6)), np.zeros((1, 0)))
    >>> float(stress[0, 0]), float(tangent[0, 0, 0])
    (4.0, 4.0)
    """

    @checked(initial_state="s", function="unchecked")
    def __init__(
        self,
        function: Callable,
        *,
        energy: bool = False,
        library: str = "torch",
        initial_state: ArrayLike = (),
        kinematics: str = "small",
    ) -> None:
        super().__init__(function, initial_state=initial_state, kinematics=kinematics)
        self._library = one_of("library", library, ("torch", "jax"))
        if energy and len(self._virgin):
            raise ParameterError("an energy has no state; give a function of stress and new state, energy=False")
        self._mapped = _mapped(function, energy, _loaded(library))

    def update(self, strain: ArrayLike, state: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stress, tangent and new state of n points, as :class:`femnn.ConstitutiveLaw` says."""
        strains, states = self._points(strain, state)
        as_tensor = _loaded("torch").from_numpy if self._library == "torch" else _loaded("jax").numpy.asarray
        parts = []
        for start in range(0, len(strains), _CHUNK):
            rows = slice(start, start + _CHUNK)
            own = (as_tensor(np.ascontiguousarray(array[rows])) for array in (strains, states))
            tangent, (stress, new_state) = self._mapped(*own)
            parts.append([np.asarray(part, dtype=float) for part in (stress, tangent, new_state)])
        if not parts:
            return strains.copy(), np.zeros((0, *strains.shape[1:] * 2)), states.copy()
        stress, tangent, new_state = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return stress, tangent, new_state


def _mapped(function, energy, library):
    """A function of many points that gives tangents, and stresses with states beside them."""
    tools = library.func if hasattr(library, "func") else library
    stress = tools.grad(function) if energy else function

    def point(strain, state):
        answer = stress(strain, state)
        pair = answer if isinstance(answer, tuple) else (answer, state)
        return pair[0], pair

    return tools.vmap(tools.jacfwd(point, has_aux=True))


def _loaded(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise MissingExtraError(f"laws that {library} derives need it: pip install {library}") from error
