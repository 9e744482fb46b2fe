"""The contract between a recurrent law and the network behind it."""

from abc import ABC, abstractmethod

import numpy as np

from femnn.exceptions import ParameterError


class Cell(ABC):
    """One step of a recurrent network at many points at once.

    Separations x (n, 3), followed by columns of microstructure where a cell takes them, are in units of the separation
    scale, answers y in those of the traction scale. The virgin state is zero.

    Attributes
    ----------
    tensors : dict of np.ndarray
        As they were trained, float64; empty for a cell that is made of others.
    n_inputs, n_outputs : int
        Columns of x and of y.
    state_size : int
        Numbers that a point remembers.

    Examples
    --------
    A cell without memory, elastic in the units of its scales:

    >>> import numpy as np
    >>> from femnn.cohesive.recurrent import Cell
    >>> class Spring(Cell):
    ...     tensors, state_size = {}, 0
    ...     def step(self, x, state):
    ...         return x, np.tile(np.eye(3), (len(x), 1, 1)), state
    >>> traction, tangent, state = Spring().update(np.array([[1e-6, 0.0, 0.0]]), np.zeros((1, 0)), 1e-5, 1e8)
    >>> traction
    array([[10000000.,        0.,        0.]])
    """

    tensors: dict[str, np.ndarray]
    n_inputs: int = 3
    n_outputs: int = 3
    state_size: int

    @abstractmethod
    def step(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Answers (n, outputs), their derivatives (n, outputs, inputs) and the new state (n, state_size)."""

    def update(
        self, separation: np.ndarray, state: np.ndarray, separation_scale: float, traction_scale: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Traction (n, 3), tangent (n, 3, 3) and new state of separations (n, 3), in the units of the scales."""
        y, dy, state = self.step(separation / separation_scale, state)
        return traction_scale * y, traction_scale / separation_scale * dy[:, :, :3], state

    def damage(self, state: np.ndarray) -> np.ndarray:
        """Damage of each point, (n,); NaN for cells that have no such number."""
        return np.full(len(state), np.nan)

    def free_energy(
        self, separation: np.ndarray, state: np.ndarray, separation_scale: float, traction_scale: float
    ) -> np.ndarray:
        """Energy stored in each point, (n,); ParameterError for cells that do not know it."""
        raise ParameterError(f"a network of {type(self).__name__} has no free energy; only minimal-state cells do")
