"""The contract that every traction-separation law keeps: a law is a pure update of many points at once."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, integer
from femnn.exceptions import ParameterError, StateError
from femnn.system.memory import require_memory


@dataclass(frozen=True, eq=False, repr=False)
class State:
    """History of a law at its integration points; laws read it and return a new one, nobody changes it.

    Attributes
    ----------
    values : (n, k) float64
        History of each point.
    law : str
        The law it belongs to.
    outside : (n,) bool
        Points whose separation has left the range that the law was trained in; never true for classical laws.

    Examples
    --------
    >>> import femnn
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> state = law.initial_state(3)
    >>> len(state), state.outside
    (3, array([False, False, False]))
    """

    values: np.ndarray
    law: str
    outside: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self):
        return f"State({len(self)} points of {self.law}, {np.count_nonzero(self.outside)} outside)"

    def __getitem__(self, points) -> "State":
        """The state of some of the points."""
        try:
            return State(self.values[points], self.law, self.outside[points])
        except (IndexError, TypeError) as error:
            raise ParameterError(f"points={brief(points)} choose none of the {len(self)} points: {error}") from error


class Response(NamedTuple):
    """Answer of a law.

    Attributes
    ----------
    traction : (n, 3)
        Pa; along the normal, then the two shear directions; work-conjugate to the separation.
    tangent : (n, 3, 3)
        Consistent tangent, ∂traction_i/∂separation_j at fixed old state, Pa/m.
    state : State
        New history.

    Examples
    --------
    >>> import femnn
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> response = law.update([[1e-6, 0.0, 0.0]], law.initial_state(1))
    >>> response.traction.shape, response.tangent.shape
    ((1, 3), (1, 3, 3))
    """

    traction: np.ndarray
    tangent: np.ndarray
    state: State


class Law(ABC):
    """A traction-separation law.

    A subclass answers :meth:`_update` for arrays that are known to fit; the checks live here.

    Attributes
    ----------
    separation_scale : float
        Separation (m) at which the law has softened completely, in the tougher of the two directions.
    depends_on_time : bool
        Whether the traction after a step differs with its length in time, see :meth:`set_time`.

    Examples
    --------
    A law without memory, elastic in all directions:

    >>> import numpy as np
    >>> from femnn.cohesive import Law
    >>> class Elastic(Law):
    ...     separation_scale = 1e-3
    ...     def _virgin(self, n):
    ...         return np.zeros((n, 0))
    ...     def _update(self, separation, values):
    ...         return 1e12 * separation, np.tile(1e12 * np.eye(3), (len(separation), 1, 1)), values
    >>> law = Elastic()
    >>> law.update([[1e-6, 0.0, 0.0]], law.initial_state(1)).traction
    array([[1000000.,       0.,       0.]])

    See Also
    --------
    femnn.cohesive.PointCohesive, femnn.cohesive.BatchCohesive : laws made of a function
    """

    separation_scale: float
    depends_on_time: bool = False

    def initial_state(self, n: int) -> State:
        """State of ``n`` virgin points; ParameterError unless n is a count, MemoryError if it is too large."""
        n = integer("the number of points", n, at_least=0)
        require_memory(25 * n, f"the state of {n:,} points")
        return State(self._virgin(n), self.name, np.zeros(n, dtype=bool))

    def update(self, separation: ArrayLike, state: State) -> Response:
        """Traction, tangent and new state of every point.

        Parameters
        ----------
        separation : (n, 3)
            Opening (positive) and two shears in the frame of the interface, m, at the end of the step.
        state : State
            At its beginning; it is left as it is.

        Returns
        -------
        Response
            ``(traction (n, 3), tangent (n, 3, 3), state)``.

        Raises
        ------
        ParameterError
            If a separation is not finite or the array has another shape.
        StateError
            If the state belongs to another law or has another number of points.
        """
        checked = self._checked(separation, state)
        traction, tangent, values = self._update(checked, state.values)
        return Response(traction, tangent, State(values, state.law, state.outside | ~self.in_range(checked)))

    @checked()  # noqa: B027 - most laws do not depend on the rate
    def set_time(self, t: float) -> None:
        """Take note of the time of the state that is sought next; solvers call it before every step."""

    def in_range(self, separation: np.ndarray) -> np.ndarray:
        """Points (n,) bool whose separation (n, 3) is in the trained range of the law; all for a classical law."""
        return np.ones(len(self._shaped(separation)), dtype=bool)

    def how_far(self, separation: ArrayLike) -> str:
        """Which of separations (n, 3) is the farthest outside the trained range, and by how much, in words.

        Empty where all are inside it, as they always are for a classical law.
        """
        self._shaped(separation)
        return ""

    def damage(self, state: State) -> np.ndarray:
        """Damage of each point, 0 (virgin) to 1 (no cohesion left), (n,); NaN where a law has no such number."""
        self._require_state(state)
        return np.full(len(state), np.nan)

    @property
    def name(self) -> str:
        """The name in states and restart files: two laws of one name respond alike."""
        return repr(self)

    @abstractmethod
    def _virgin(self, n):
        """Values of the virgin state, (n, k)."""

    @abstractmethod
    def _update(self, separation, values):
        """Traction, tangent and new values for separations that are finite and a state that fits."""

    def _checked(self, separation, state):
        separation = np.ascontiguousarray(self._shaped(separation))
        finite = np.isfinite(separation).all(axis=1)
        if not finite.all():
            point = int(np.flatnonzero(~finite)[0])
            raise ParameterError(
                f"the separation of point {point} is {separation[point]}, {np.count_nonzero(~finite)} of "
                f"{len(separation)} points are not finite; the displacements have diverged, take a smaller step"
            )
        self._require_state(state)
        if len(state) != len(separation):
            raise StateError(
                f"{len(separation)} separations, but a state of {len(state)} points; a state goes with the points it "
                "was made for"
            )
        return separation

    def _shaped(self, separation):
        """Separations (n, 3) as floats, finite or not."""
        separation = floats("separation", separation, finite=False)
        if separation.ndim != 2 or separation.shape[1] != 3:
            raise ParameterError(
                f"separation has shape {separation.shape}, but (n, 3) is needed: the opening and two shears of each "
                "point; in two dimensions fill the second shear with zeros"
            )
        return separation

    def _require_state(self, state):
        """Raise StateError unless ``state`` is one of this law, with the columns that its kernels read."""
        if not isinstance(state, State):
            raise StateError(f"state is {type(state).__name__}; pass law.initial_state(n) or what update returned")
        if not isinstance(state.law, str) or state.law != self.name:
            owner = state.law if isinstance(state.law, str) else brief(state.law)
            raise StateError(f"the state belongs to {owner}, not to {self.name}; pass this law's initial_state(n)")
        virgin, values, outside = self._virgin(0), state.values, state.outside
        arrays = isinstance(values, np.ndarray) and isinstance(outside, np.ndarray)
        if not arrays or values.dtype != virgin.dtype or outside.dtype != np.bool_ or not values.ndim == virgin.ndim:
            raise StateError(
                f"the state holds {brief(values)} and {brief(outside)}; pass law.initial_state(n) or what update "
                "returned"
            )
        if values.shape[1:] != virgin.shape[1:] or outside.shape != values.shape[:1]:
            raise StateError(
                f"the state holds values {values.shape} and outside {outside.shape}, a state of {self.name} "
                f"{('n', *virgin.shape[1:])} and (n,); pass law.initial_state(n) or what update returned"
            )
        if not np.isfinite(values).all():
            raise StateError("the state is not finite; pass law.initial_state(n) or what update returned")
