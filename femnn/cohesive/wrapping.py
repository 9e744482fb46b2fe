"""Laws around another law: they keep numbers of their own behind its history, and leave the rest to it."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import instance
from femnn.cohesive.law import Law, State


class WrappingLaw(Law):
    """A law with another one beneath.

    Parameters
    ----------
    law : Law
        The one beneath.
    """

    #: Numbers of its own in the state of a point, behind those of the law beneath.
    columns: int

    def __init__(self, law: Law) -> None:
        self.law, self.separation_scale = instance("law", law, Law), law.separation_scale

    def set_time(self, t: float) -> None:
        """Take note of the time of the state that is sought next, also for the law beneath."""
        self.law.set_time(t)

    def in_range(self, separation: np.ndarray) -> np.ndarray:
        """As the law beneath."""
        return self.law.in_range(separation)

    def how_far(self, separation: ArrayLike) -> str:
        """As the law beneath."""
        return self.law.how_far(separation)

    def damage(self, state: State) -> np.ndarray:
        """As the law beneath."""
        self._require_state(state)
        return self.law.damage(self._beneath(state.values))

    def _beneath(self, values):
        """State of the law beneath in values (n, k) of this one, without flags."""
        own = np.ascontiguousarray(values[:, : -self.columns])
        return State(own, self.law.name, np.zeros(len(values), dtype=bool))
