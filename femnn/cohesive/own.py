"""Laws of one's own, as functions: of one point and compiled, of many points in NumPy, in torch, or of damage alone."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, integer, positive
from femnn.cohesive.classical import DamageLaw
from femnn.cohesive.law import Law, State
from femnn.exceptions import LawError, ParameterError
from femnn.solids.compiled_law import law_callback
from femnn.solids.laws import update_points

# What of a function's constants tells laws apart, and has the same repr in every process.
_CONSTANTS = (bool, int, float, str, tuple)


class _OwnLaw(Law):
    """What laws from functions share: a name, a virgin state, a damage that is one of its numbers."""

    def __init__(self, function, separation_scale, initial_state, damage, name) -> None:
        if not callable(function):
            raise ParameterError(f"the law is {brief(function)}; pass a function")
        self.function, self.separation_scale = function, positive("separation_scale", separation_scale)
        self._start = np.atleast_1d(floats("initial_state", initial_state))
        if self._start.ndim != 1:
            raise ParameterError(f"initial_state has shape {self._start.shape}; pass the numbers of one virgin point")
        self._column = None if damage is None else integer("damage", damage, 0, len(self._start) - 1)
        self._own_name = _name_of(function) if name is None else str(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._own_name}, separation_scale={self.separation_scale!r})"

    def damage(self, state: State) -> np.ndarray:
        """Damage of each point, (n,): the number of the state that ``damage`` names; NaN if it names none."""
        if self._column is None:
            return super().damage(state)
        self._require_state(state)
        return state.values[:, self._column].copy()

    def _virgin(self, n):
        return np.tile(self._start, (n, 1))

    def _answers(self, answer, values):
        """Traction, tangent and state of a function, as arrays that fit and are finite."""
        n, names = len(values), ("traction", "tangent", "state")
        if not isinstance(answer, list | tuple) or len(answer) != 3:
            raise ParameterError(f"{self!r} gives {brief(answer)}; it must give traction, tangent and state")
        parts = [floats(f"its {name}", part, finite=False) for name, part in zip(names, answer, strict=True)]
        shapes = [(n, 3), (n, 3, 3), values.shape]
        for name, part, shape in zip(names, parts, shapes, strict=True):
            if part.shape != shape:
                raise ParameterError(f"{self!r} gives a {name} of shape {part.shape} for {n} points; needed is {shape}")
            bad = np.flatnonzero(~np.isfinite(part.reshape(n, -1)).all(axis=1))
            if len(bad):
                raise LawError(
                    f"{self!r} has no finite {name} at {len(bad)} of {n} points, the first of them {bad[0]}; take "
                    "smaller steps or check the law"
                )
        return tuple(np.ascontiguousarray(part) for part in parts)


class PointCohesive(_OwnLaw):
    """A cohesive law written for one point, which Numba compiles: as fast as those of femnn.

    Parameters
    ----------
    function
        ``function(separation, state, parameters, traction, tangent, new_state)`` in the subset of Python that Numba
        compiles. It reads the first three, (3,), (s,) and (p,), and fills the last three, (3,), (3, 3) and (s,):
        traction in Pa and its derivative ∂traction_i/∂separation_j at fixed old state in Pa/m; opening first, then the
        two shears. Where the law has no answer it fills ``traction`` with NaN: the step is cut.
    parameters
        Numbers of the material (p,).
    separation_scale
        Separation (m) at which the law has softened completely; what steps and differences are measured by.
    initial_state
        State of a virgin point (s,).
    damage
        Place in the state of a damage from 0 to 1, which :meth:`femnn.CohesiveProblem.damage` then gives; None if
        there is none.
    name
        Of the law in states and restart files: two laws of one name respond alike. Default: the function's name, a
        digest of its code, and the parameters.

    Raises
    ------
    ParameterError
        If values are not allowed, Numba cannot compile the function, or it reaches beyond its arrays.

    Examples
    --------
    A spring that breaks for good at an opening of 1 mm:

    >>> def glue(separation, state, parameters, traction, tangent, new_state):
    ...     new_state[0] = 1.0 if separation[0] > parameters[1] else state[0]
    ...     for i in range(3):
    ...         tangent[i, i] = parameters[0] * (1.0 - new_state[0])
    ...         traction[i] = tangent[i, i] * separation[i]
    >>> law = PointCohesive(glue, [1e12, 1e-3], separation_scale=1e-3, initial_state=[0.0], damage=0)
    >>> traction, tangent, state = law.update([[1e-4, 0.0, 0.0], [2e-3, 0.0, 0.0]], law.initial_state(2))
    >>> traction[:, 0].tolist(), law.damage(state).tolist()
    ([100000000.0, 0.0], [0.0, 1.0])

    See Also
    --------
    BatchCohesive, TorchCohesive, DamageCohesive
    """

    @checked(function="unchecked", parameters="unchecked", initial_state="unchecked", damage="unchecked")
    def __init__(
        self,
        function: Callable,
        parameters: ArrayLike = (),
        *,
        separation_scale: float,
        initial_state: ArrayLike = (),
        damage: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(function, separation_scale, initial_state, damage, name)
        self.parameters = np.atleast_1d(floats("parameters", parameters)).copy()
        if self.parameters.ndim != 1:
            raise ParameterError(f"parameters have shape {self.parameters.shape}; pass a list of numbers")
        if name is None:
            self._own_name += f", {self.parameters.tolist()}"
        plain = getattr(function, "py_func", function)
        self._compiled = law_callback(plain)
        self._check_places(plain)

    def _update(self, separation, values):
        n = len(separation)
        traction, tangent, new = np.empty((n, 3)), np.empty((n, 3, 3)), values.copy()
        update_points(self._compiled, separation, values, self.parameters[None], traction, tangent, new)
        return self._answers((traction, tangent, new), values)

    def _check_places(self, plain):
        """Raise ParameterError if the function reaches beyond its arrays: compiled, it would do so unseen."""
        for separation in (0.0, 1e-3 * self.separation_scale, self.separation_scale):
            arrays = (np.full(3, separation), self._start.copy(), self.parameters.copy())
            try:
                with np.errstate(all="ignore"):
                    plain(*arrays, np.empty(3), np.zeros((3, 3)), self._start.copy())
            except IndexError as error:
                raise ParameterError(
                    f"the law {self._own_name!r} reaches beyond its arrays: {error}; it gets 3 numbers of separation, "
                    f"{len(self._start)} of state and {len(self.parameters)} parameters"
                ) from error
            except Exception:  # a law may raise where it has no answer
                continue


class BatchCohesive(_OwnLaw):
    """A cohesive law as a function of many points at once, in NumPy or whatever takes and gives arrays.

    Parameters
    ----------
    function
        ``traction, tangent, new_state = function(separation, state)`` with arrays (n, 3), (n, s), and (n, 3),
        (n, 3, 3), (n, s), see :class:`PointCohesive`. It leaves what it gets as it is.
    separation_scale, initial_state, damage, name
        As for :class:`PointCohesive`.

    Examples
    --------
    >>> def spring(separation, state):
    ...     return 1e12 * separation, np.tile(1e12 * np.eye(3), (len(separation), 1, 1)), state
    >>> law = BatchCohesive(spring, separation_scale=1e-3)
    >>> law.update([[1e-4, 0.0, 0.0]], law.initial_state(1)).traction[0, 0].item()
    100000000.0
    """

    @checked(function="unchecked", initial_state="unchecked", damage="unchecked")
    def __init__(
        self,
        function: Callable,
        *,
        separation_scale: float,
        initial_state: ArrayLike = (),
        damage: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(function, separation_scale, initial_state, damage, name)

    def _update(self, separation, values):
        return self._answers(self.function(separation.copy(), values.copy()), values)


class TorchCohesive(_OwnLaw):
    """A cohesive law as a torch function of one point; the tangent is its exact derivative.

    Parameters
    ----------
    function
        ``traction, new_state = function(separation, state)`` with tensors (3,), (s,), and (3,), (s,) of float64, in
        operations that ``torch.func.vmap`` and ``jacfwd`` take: ``torch.where`` in place of ``if``.
    separation_scale, initial_state, damage, name
        As for :class:`PointCohesive`. A module has weights that its name does not tell: give it one.

    Examples
    --------
    >>> import torch
    >>> def fading(separation, state):
    ...     largest = torch.maximum(state[0], separation.norm())
    ...     return 1e12 * torch.exp(-largest / 1e-4) * separation, largest[None]
    >>> law = TorchCohesive(fading, separation_scale=1e-3, initial_state=[1e-9])
    >>> law.update([[1e-4, 0.0, 0.0]], law.initial_state(1)).traction.round(-5).tolist()
    [[36800000.0, 0.0, 0.0]]
    """

    @checked(function="unchecked", initial_state="unchecked", damage="unchecked")
    def __init__(
        self,
        function: Callable,
        *,
        separation_scale: float,
        initial_state: ArrayLike = (),
        damage: int | None = None,
        name: str | None = None,
    ) -> None:
        import torch  # only who uses it need wait for it

        super().__init__(function, separation_scale, initial_state, damage, name)

        def once(separation: Any, state: Any) -> tuple:
            traction, state = function(separation, state)
            return traction, (traction, state)

        self._torch, self._derived = torch, torch.func.vmap(torch.func.jacfwd(once, has_aux=True))

    def _update(self, separation, values):
        torch = self._torch
        tangent, (traction, state) = self._derived(torch.tensor(separation), torch.tensor(values))
        return self._answers(tuple(part.detach().numpy() for part in (traction, tangent, state)), values)


class DamageCohesive(DamageLaw):
    """Damage of one's own with the contact, friction and irreversibility of femnn's laws, :mod:`femnn.cohesive.damage`.

    Parameters
    ----------
    function
        ``damage, gradient = function(separation)``: for separations (n, 3) the damage (n,) that each asks for by
        itself, from 0 to 1, and its derivative (n, 3). The law keeps the largest damage that there was.
    normal_stiffness, shear_stiffness
        Of the virgin interface, Pa/m.
    separation_scale
        Separation (m) at which the law has softened completely.
    contact_stiffness
        Penalty against interpenetration, Pa/m; default: ``normal_stiffness``.
    friction
        Coulomb's coefficient of the damaged part.
    name
        As for :class:`PointCohesive`.

    Examples
    --------
    >>> def fading(separation):
    ...     size = np.linalg.norm(separation, axis=1)
    ...     intact = np.exp(-size / 1e-4)
    ...     return 1.0 - intact, (intact / (1e-4 * np.maximum(size, 1e-300)))[:, None] * separation
    >>> law = DamageCohesive(fading, 1e12, 1e12, separation_scale=1e-3, friction=0.3)
    >>> _, _, state = law.update([[1e-4, 0.0, 0.0]], law.initial_state(1))
    >>> law.damage(state).round(3).tolist()
    [0.632]
    """

    @checked(function="unchecked")
    def __init__(
        self,
        function: Callable,
        normal_stiffness: float,
        shear_stiffness: float,
        *,
        separation_scale: float,
        contact_stiffness: float | None = None,
        friction: float = 0.0,
        name: str | None = None,
    ) -> None:
        if not callable(function):
            raise ParameterError(f"the damage is {brief(function)}; pass a function")
        normal = positive("normal_stiffness", normal_stiffness)
        contact = normal if contact_stiffness is None else positive("contact_stiffness", contact_stiffness)
        shear, friction = positive("shear_stiffness", shear_stiffness), positive("friction", friction, zero=True)
        self.function, self.stiffness = function, (normal, shear, contact, friction)
        self.separation_scale = positive("separation_scale", separation_scale)
        self._own_name = _name_of(function) if name is None else str(name)

    def __repr__(self) -> str:
        return f"DamageCohesive({self._own_name}, {self.stiffness!r}, separation_scale={self.separation_scale!r})"

    def _target(self, separation):
        answer, n = self.function(separation.copy()), len(separation)
        if not isinstance(answer, list | tuple) or len(answer) != 2:
            raise ParameterError(f"{self!r} gives {brief(answer)}; it must give damage and gradient")
        damage, gradient = (
            floats(f"its {name}", part, finite=False) for name, part in zip(("damage", "gradient"), answer, strict=True)
        )
        if damage.shape != (n,) or gradient.shape != (n, 3):
            raise ParameterError(
                f"{self!r} gives damage {damage.shape} and gradient {gradient.shape} for {n} points; needed are ({n},) "
                f"and ({n}, 3)"
            )
        if n and not (0.0 <= damage.min() <= damage.max() <= 1.0 and np.isfinite(gradient).all()):
            raise LawError(
                f"{self!r} gives damage from {damage.min():.4g} to {damage.max():.4g}; it must be from 0 to 1 and its "
                "gradient finite"
            )
        return np.ascontiguousarray(damage), np.ascontiguousarray(gradient)


@checked(separation="n 3")
def tangent_error(law: Law, separation: ArrayLike, state: State | None = None, step: float = 1e-6) -> float:
    """Largest difference between the tangent of a law and differences of its tractions, over its largest entry.

    Parameters
    ----------
    law
    separation
        (n, 3), m; away from kinks, where there is no derivative.
    state
        History of the n points; None for virgin ones.
    step
        Of the central differences, over the separation scale.

    Examples
    --------
    >>> import femnn
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> tangent_error(law, [[1e-5, 2e-6, -3e-6]]) < 1e-6
    True
    """
    separation = np.asarray(separation, dtype=float)
    if not separation.size:
        raise ParameterError(f"separation has shape {separation.shape}; pass (n, 3) of at least one point")
    state = law.initial_state(len(separation)) if state is None else state
    tangent, width = law.update(separation, state).tangent, positive("step", step) * law.separation_scale
    slopes = [
        (law.update(separation + move, state).traction - law.update(separation - move, state).traction) / (2.0 * width)
        for move in width * np.eye(3)
    ]
    return float(np.abs(np.stack(slopes, axis=2) - tangent).max() / np.abs(tangent).max())


def _name_of(function):
    """Name of a function and a digest of its code and constants: another body under the same name is another law."""
    plain = getattr(function, "py_func", function)
    code, name = getattr(plain, "__code__", None), getattr(plain, "__qualname__", type(plain).__qualname__)
    if code is None:
        return name
    outer = [cell.cell_contents for cell in plain.__closure__ or ()]
    constants = [c for c in (*code.co_consts, *(plain.__defaults__ or ()), *outer) if isinstance(c, _CONSTANTS)]
    digest = hashlib.sha256(repr((code.co_code.hex(), constants, code.co_names)).encode()).hexdigest()
    return f"{name}-{digest[:8]}"
