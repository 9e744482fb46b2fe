"""Constitutive laws at the integration points of a solid: what one must offer, and laws written as Numba functions."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, one_of, shaped
from femnn.exceptions import LawError, ParameterError
from femnn.solids.compiled_law import compiled_law
from femnn.system.compile import njit

#: What a solid can tell its laws beside strains: change of temperature (K), time (s), edge of a cube as large as the
#: element (m).
CONDITIONS = ("temperature", "time", "length")

#: Numbers of a strain or stress: Voigt, or all nine of a gradient.
SIZES = {"small": 6, "finite": 9}


class ConstitutiveLaw(Protocol):
    """The contract of a law for :class:`femnn.Solid`: a pure update, vectorised over points, in NumPy, torch or else.

    Attributes
    ----------
    kinematics
        ``"small"``: strains and stresses (n, 6) in Voigt order xx, yy, zz, yz, xz, xy with engineering shear strains,
        tangents (n, 6, 6). ``"finite"``: displacement gradients H_ij = ∂u_i/∂X_j (n, 3, 3), first Piola-Kirchhoff
        stresses P_ij (n, 3, 3), tangents ∂P_ij/∂H_kl (n, 3, 3, 3, 3).
    conditions
        A law that has this attribute, names among ``"temperature"``, ``"time"`` and ``"length"``, is called with one
        keyword (n,) for each: see :class:`PointLaw`.

    Examples
    --------
    A law with a modulus that softens with the strain, in NumPy:

    >>> import numpy as np
    >>> from femnn.solids import ConstitutiveLaw
    >>> class Softening:
    ...     kinematics = "small"
    ...     def initial_state(self, n):
    ...         return np.zeros((n, 0))
    ...     def update(self, strain, state):
    ...         modulus = 1e9 / (1.0 + np.square(strain))
    ...         tangent = modulus * (1.0 - np.square(strain)) / (1.0 + np.square(strain))
    ...         return modulus * strain, tangent[:, :, None] * np.eye(6), state
    >>> law: ConstitutiveLaw = Softening()
    >>> stress, tangent, state = law.update(np.full((2, 6), 1e-3), law.initial_state(2))
    >>> stress.shape, tangent.shape
    ((2, 6), (2, 6, 6))
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
        Numbers of the material (p,), or (n, p) with a row for each element of the mesh.
    initial_state
        State of a virgin point (s,).
    kinematics
        ``"small"`` or ``"finite"``, see :class:`ConstitutiveLaw`.
    conditions
        What the function finds behind its parameters, in this order: ``"temperature"``, the change of it that
        :meth:`femnn.Solid.set_temperature` gives; ``"time"``, that of :meth:`femnn.Solid.set_time`; ``"length"``, the
        edge of a cube of the element's volume.

    Raises
    ------
    ParameterError
        If these are no numbers, Numba cannot compile the function, or it reaches beyond its arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.solids import PointLaw
    >>> def spring(strain, state, parameters, stress, tangent, new_state):
    ...     for i in range(6):
    ...         stress[i] = parameters[0] * strain[i]
    ...         tangent[i, i] = parameters[0]
    >>> law = PointLaw(spring, [1e9])
    >>> stress, tangent, state = law.update(np.full((2, 6), 1e-3), law.initial_state(2))
    >>> float(stress[0, 0])
    1000000.0

    See Also
    --------
    femnn.solids.BatchedLaw, femnn.solids.DerivedLaw
    """

    #: Length of elements that the law is made for at most (m), a number or (n_elements,).
    largest_length: ArrayLike = np.inf

    @checked(function="unchecked", parameters="unchecked", initial_state="unchecked")
    def __init__(
        self,
        function: Callable,
        parameters: ArrayLike = (),
        *,
        initial_state: ArrayLike = (),
        kinematics: str = "small",
        conditions: Sequence[str] = (),
    ) -> None:
        self.kinematics = one_of("kinematics", kinematics, tuple(SIZES))
        self.parameters = _finite_array(parameters, "parameters", (1, 2))
        self.virgin = _finite_array(initial_state, "initial_state", (1,))
        self.conditions = tuple(one_of("a condition", name, CONDITIONS) for name in conditions)
        self._function = function
        self.compiled = compiled_law(function)
        self._check_places(self.function)

    @property
    def function(self) -> Callable:
        """The function as it was written."""
        return getattr(self._function, "py_func", self._function)

    @checked(n="[0, inf)")
    def initial_state(self, n: int) -> np.ndarray:
        """State of ``n`` virgin points, (n, s)."""
        return np.tile(self.virgin, (n, 1))

    def update(
        self, strain: ArrayLike, state: ArrayLike, **conditions: ArrayLike
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stress, tangent and new state of n points, shaped as :class:`ConstitutiveLaw` says.

        ``conditions`` are numbers or (n,), 0 where they are left out. A law with parameters for each element takes as
        many points as it has rows.
        """
        size = SIZES[self.kinematics]
        strain, shape = np.atleast_1d(floats("strain", strain, finite=False)), (6,) if size == 6 else (3, 3)
        n = len(strain)
        strain = shaped("strain", strain, (n, *shape)).reshape(n, size)
        state = shaped("state", state, (n, len(self.virgin)))
        stress, tangent, new_state = np.empty((n, size)), np.empty((n, size, size)), state.copy()
        update_points(self.compiled, strain, state, self._rows(n, conditions), stress, tangent, new_state)
        return stress.reshape(n, *shape), tangent.reshape(n, *shape, *shape), new_state

    def _at(self, elements: np.ndarray) -> "PointLaw":
        """The law with the parameters of these elements (n,), one row each."""
        if self.parameters.ndim == 1:
            return self
        law = copy(self)
        law.parameters = self.parameters[elements]
        return law

    def _rows(self, n, conditions):
        """Parameters and conditions of n points, (n, p), or (1, p) if they are the same."""
        unknown = sorted(set(conditions) - set(self.conditions))
        if unknown:
            known = ", ".join(self.conditions) or "none"
            raise ParameterError(f"{self!r} has no condition {unknown[0]!r}; it has: {known}")
        own = np.atleast_2d(self.parameters)
        if self.parameters.ndim == 2 and len(own) != n:
            raise ParameterError(
                f"{self!r} has parameters of {len(own)} elements and gets {n} points; pass a point for each"
            )
        columns = [
            np.atleast_1d(floats(f"the {name}", conditions.get(name, 0.0), finite=False)) for name in self.conditions
        ]
        length = max([len(own), *map(len, columns)])
        if length not in (1, n) or any(len(column) not in (1, n) for column in columns):
            raise ParameterError(f"the conditions of {self!r} need one number, or one for each of {n} points")
        columns = [np.broadcast_to(column, length)[:, None] for column in columns]
        return np.ascontiguousarray(np.hstack([np.broadcast_to(own, (length, own.shape[1])), *columns]))

    def _check_places(self, function):
        """Raise ParameterError if the function reads or writes beyond its arrays: compiled, it would do so unseen."""
        size, state = SIZES[self.kinematics], len(self.virgin)
        parameters = np.append(np.atleast_2d(self.parameters)[0], np.zeros(len(self.conditions)))
        for strain in (0.0, 1e-2):
            try:
                with np.errstate(all="ignore"):
                    function(
                        np.full(size, strain),
                        self.virgin.copy(),
                        parameters.copy(),
                        np.empty(size),
                        np.zeros((size, size)),
                        self.virgin.copy(),
                    )
            except IndexError as error:
                raise ParameterError(
                    f"the law {getattr(function, '__name__', function)!r} reaches beyond its arrays: {error}; it gets "
                    f"{size} numbers of strain, {state} of state and {len(parameters)} parameters"
                ) from error
            except Exception:  # a law may raise where it has no answer
                continue

    def __repr__(self) -> str:
        name = getattr(getattr(self._function, "py_func", self._function), "__name__", "law")
        return f"PointLaw({name}, {self.kinematics} strains, state of {len(self.virgin)})"


def check_law(law):
    """Raise ParameterError unless ``law`` keeps the contract as far as can be seen without calling it."""
    missing = [name for name in ("initial_state", "update") if not callable(getattr(law, name, None))]
    if missing:
        raise ParameterError(
            f"{type(law).__name__} has no {' and no '.join(missing)}; see femnn.ConstitutiveLaw for what one must have"
        )
    one_of(f"{type(law).__name__}.kinematics", getattr(law, "kinematics", None), tuple(SIZES))
    for name in getattr(law, "conditions", ()):
        one_of(f"a condition of {type(law).__name__}", name, CONDITIONS)


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


def updated(law, strain, state, cells, conditions=None):
    """``law.update`` for the points of a group, its answer checked: stress (n, size), tangent (n, size²), state (n, s).

    ``strain`` (n, size), ``state`` (n, ...); ``cells`` (n,) are the elements; ``conditions`` (n,) by name.
    """
    n, size = strain.shape
    tensor = (6,) if size == 6 else (3, 3)
    own = law._at(cells) if isinstance(law, PointLaw) else law
    answer = own.update(strain.reshape(n, *tensor), state.copy(), **(conditions or {}))
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


def _finite_array(numbers, name, axes):
    values = np.atleast_1d(floats(f"{name} of the law", numbers, finite=False).copy())
    if values.ndim not in axes or not np.isfinite(values).all():
        rows = ", or a row of them for each element" if 2 in axes else ""
        raise ParameterError(f"{name} of the law are {brief(numbers)}; give a list of finite numbers{rows}")
    return np.ascontiguousarray(values)


@njit(over="strains", grain=64, cache=True)
def update_points(begin, end, law, strains, states, parameters, stresses, tangents, new_states):
    for k in range(begin, end):
        # what a law leaves out
        stresses[k] = np.nan
        tangents[k] = 0.0
        own = parameters[min(np.int64(k), parameters.shape[0] - 1)]
        law(strains[k], states[k], own, stresses[k], tangents[k], new_states[k])
