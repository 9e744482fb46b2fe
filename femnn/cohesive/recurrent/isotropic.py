"""The isotropic cell: a self-consistent recurrent cell of scalars and vectors, with its tangent.

For responses that depend on the history alone and not on where in its plane the interface has slid to, such as those
of a sheared layer of grains. Self-consistent as the cell of Bonatti & Mohr (J. Mech. Phys. Solids 158 (2022) 104697):
over a step of length L in direction d, each state goes a share 1 - exp(-α L) of its way to a target, so that the
response does not depend on the size of straight steps beyond how far rates and targets change over one.

States are scalars h and vectors v in the plane of shear. A perceptron gives rates α and the targets b + a d_n of h and
a d_s of v. It sees h, d's normal component, the opening half way, |v|² and v · d: products in place of
vectors, so that turning or mirroring the shear turns and mirrors the answer, whatever the weights. Answers are read by
a second perceptron of h, |v|² and the opening: scalars less their value for the virgin interface, and vectors Σ c v,
which are zero for it. So zero separation of the virgin interface is answered by zeros exactly.

Where a step is 0, so is d: L = √(|move|² + ε²), and a share of L - ε keeps a pause from changing anything. The part
along the move, a (1 - exp(-α L)) move / L, is smooth there, so that the tangent of a point at rest has a stiffness.
Microstructure enters both perceptrons: scalars as they are, vectors p as |p|², p · d, and in the targets.

Evaluated by the Numba loop of :mod:`femnn.cohesive.recurrent.isotropic_numba`, or by torch where a cell sees or answers
microstructure.
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from femnn.cohesive.recurrent.cell import Cell
from femnn.cohesive.recurrent.isotropic_numba import even, steps
from femnn.exceptions import WeightFileError


class Isotropic(Cell):
    """A trained isotropic cell.

    Its inputs are the separation (3), in separation scales, then ``s`` scalars, then ``v`` vectors of two columns each;
    its answers the scalars and then the vectors. The state is h, the vectors, and the separation before.

    Parameters
    ----------
    tensors
        As the ``state_dict`` of :class:`femnn.cohesive.recurrent.isotropic_torch.IsotropicCell` names them: ``lengths``
        (2,) of opening and sliding by which moves are measured, ``fine`` (1,) the smallest opening that is resolved,
        ``extras`` (2,): s and v, ``scale`` of scalar and ``bound`` of vector answers; weights and biases of the layers
        ``gate``, ``move``, ``hidden``, ``head``, ``mix``; ``log_rate``.

    Raises
    ------
    WeightFileError
        If tensors are missing or do not fit each other.
    """

    def __init__(self, tensors: Mapping[str, ArrayLike]) -> None:
        self.tensors = {name: np.asarray(array, np.float64) for name, array in tensors.items()}
        try:
            t = self.tensors
            self.scalars, self.vectors = (int(count) for count in t["extras"])
            # every state has a rate, and the gate sees every vector twice
            self.arrows = t["gate.weight"].shape[1] - len(t["log_rate"]) - 3 - self.scalars - 2 * self.vectors
            self.states = len(t["log_rate"]) - self.arrows
            self._check_shapes()
        except (KeyError, ValueError, IndexError) as error:
            raise WeightFileError(
                f"these are no tensors of an isotropic cell: {error}; fetch the file again"
            ) from error
        self.n_inputs = 3 + self.scalars + 2 * self.vectors
        self.n_outputs = len(self.tensors["scale"]) + 2 * len(self.tensors["bound"])
        self.state_size = self.states + 2 * self.arrows + 3

    def _check_shapes(self):
        """ValueError if an array does not fit: the loop reads them without a check."""
        t, s, m, v = self.tensors, self.states, self.arrows, self.vectors
        width, seen, scalars, vectors = len(t["gate.bias"]), self.scalars + v, len(t["scale"]), len(t["bound"])
        expected = {
            "lengths": (2,), "fine": (1,), "scale": (scalars,), "bound": (vectors,), "log_rate": (s + m,),
            "gate.weight": (width, s + 2 * m + 3 + seen + v), "gate.bias": (width,),
            "move.weight": (3 * s + 2 * m + m * v, width), "move.bias": (3 * s + 2 * m + m * v,),
            "hidden.weight": (width, s + m + 2 + seen), "hidden.bias": (width,), "head.weight": (scalars, width),
            "mix.weight": (m * vectors, width), "mix.bias": (m * vectors,),
        }  # fmt: skip
        for name, shape in expected.items():
            if t[name].shape != shape or min(s, m) < 0:
                raise ValueError(f"{name} {t[name].shape} instead of {shape}")

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_step"}

    def step(self, x, state):
        return self._step(np.ascontiguousarray(x), np.ascontiguousarray(state))

    @cached_property
    def _step(self):
        t, s, m = self.tensors, self.states, self.arrows
        if self.scalars or self.vectors or len(t["scale"]) != 1 or len(t["bound"]) != 1:
            # loads torch, which the shipped laws do without
            from femnn.cohesive.recurrent.as_module import module_of, step_of

            return step_of(module_of("isotropic", t))
        gate, move, hidden = t["gate.weight"], t["move.weight"], t["hidden.weight"]
        still, moving = np.r_[:s, s + m : s + 2 * m], np.r_[s : s + m, s + 2 * m : s + 2 * m + 3]
        read = np.concatenate([t["head.weight"] * t["scale"][:, None], t["mix.weight"]])
        # the loop reads what the hidden layer differs from that of the virgin interface
        virgin = t["hidden.bias"] / np.sqrt(1.0 + t["hidden.bias"] ** 2)
        layers = (
            (even(gate[:, still]), even(gate[:, moving]), even(t["gate.bias"])),
            (even(move), even(t["move.bias"])),
            (even(hidden), even(t["hidden.bias"])),
            (even(read), even(np.concatenate([[0.0], t["mix.bias"] + t["mix.weight"] @ virgin]))),
        )
        lengths, rates = t["lengths"], np.exp(t["log_rate"])
        numbers = (1.0 / lengths[0], 1.0 / lengths[1], 1.0 / t["fine"][0], t["bound"][0])
        return lambda x, state: steps(x, state, layers, rates, numbers, s, m)
