"""The isotropic cell: a self-consistent recurrent cell of scalars and vectors, evaluated with NumPy in float64.

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
"""

import numpy as np

from femnn.exceptions import WeightFileError

#: Moves below this many lengths of the cell count as rest.
EPSILON = 1e-6
#: Points evaluated at a time.
BLOCK = 64


class Isotropic:
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

    def __init__(self, tensors):
        self.tensors = {name: np.asarray(array, np.float64) for name, array in tensors.items()}
        try:
            t = self.tensors
            self.scalars, self.vectors = (int(count) for count in t["extras"])
            # every state has a rate, and the gate sees every vector twice
            self.arrows = t["gate.weight"].shape[1] - len(t["log_rate"]) - 3 - self.scalars - 2 * self.vectors
            self.states = len(t["log_rate"]) - self.arrows
            self.inputs = 3 + self.scalars + 2 * self.vectors
            self.state_size = self.states + 2 * self.arrows + 3
            self.outputs = len(t["scale"]) + 2 * len(t["bound"])
            self.step(np.zeros((1, self.inputs)), np.zeros((1, self.state_size)))
        except (KeyError, ValueError, IndexError) as error:
            raise WeightFileError(
                f"these are no tensors of an isotropic cell: {error}; fetch the file again"
            ) from error

    def step(self, x, state):
        """Outputs (n, outputs), their derivatives (n, outputs, inputs) and the new state (n, state_size)."""
        y, dy = np.empty((len(x), self.outputs)), np.empty((len(x), self.outputs, self.inputs))
        new = np.empty_like(state)
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            y[rows], dy[rows], new[rows] = self._block(x[rows], state[rows])
        return y, dy, new

    # A pair (values (n, k), derivatives (n, inputs, k)) goes through all that follows: forward mode.

    def _block(self, x, state):
        h, flat, before = np.split(state, [self.states, self.states + 2 * self.arrows], axis=1)
        old = flat.reshape(len(x), self.arrows, 2)
        unit = np.eye(self.inputs)
        p, dp = x[:, 3 + self.scalars :].reshape(len(x), self.vectors, 2), unit[:, 3 + self.scalars :]
        dp = np.broadcast_to(dp.reshape(self.inputs, self.vectors, 2), (len(x), self.inputs, self.vectors, 2))
        fixed = x[:, 3 : 3 + self.scalars], _over(unit[:, 3 : 3 + self.scalars], x)
        squares = (p**2).sum(-1), 2.0 * (p[:, None] * dp).sum(-1)
        h, new = self._advance(x, h, old, before, (p, dp), fixed, squares)
        y, dy = self._read(x, h, new, fixed, squares)
        kept = np.concatenate([h[0], new[0].reshape(len(x), -1), x[:, :3]], axis=1)
        return y, dy.transpose(0, 2, 1), kept

    def _advance(self, x, h, old, before, vectors, fixed, squares):
        """New scalars and new vectors, each with derivatives."""
        t, (p, dp) = self.tensors, vectors
        by_x = np.zeros((self.inputs, 3))
        by_x[:3] = np.diag(1.0 / t["lengths"][[0, 1, 1]])
        move = (x[:, :3] - before) * np.diag(by_x)
        length = np.sqrt((move**2).sum(1) + EPSILON**2)[:, None]
        direction = move / length
        d_length = (direction @ by_x.T)[:, :, None]
        d_direction = (by_x - d_length * direction[:, None]) / length[:, None]
        across, d_across = direction[:, 1:], d_direction[:, :, 1:]
        along = (old * across[:, None]).sum(-1), (old[:, None] * d_across[:, :, None]).sum(-1)
        p_along = (
            (p * across[:, None]).sum(-1),
            ((p[:, None] * d_across[:, :, None] + dp * across[:, None, None]).sum(-1)),
        )
        place = self._place(0.5 * (x[:, 0] + before[:, 0]), 0.5)
        seen = _joined(
            _still(h, self.inputs), along, _still((old**2).sum(-1), self.inputs), (direction[:, :1],
            d_direction[:, :, :1]), place, fixed, p_along, squares,
        )  # fmt: skip
        raw, target, drive, pull = self._split(_dense(_algebraic(_dense(seen, t, "gate")), t, "move"))
        root = np.sqrt(raw[0] ** 2 + 1.0)
        rate = np.exp(t["log_rate"]) * (raw[0] + root)
        d_rate = raw[1] * (rate / root)[:, None]
        stretch, s = length - EPSILON, self.states
        gone = -np.expm1(-rate * stretch)
        d_gone = (1.0 - gone)[:, None] * (d_rate * stretch[:, None] + rate[:, None] * d_length)
        share = -np.expm1(-rate * length) / length
        d_share = (1.0 - share * length)[:, None] * (d_rate * length[:, None] + rate[:, None] * d_length)
        d_share = (d_share - share[:, None] * d_length) / length[:, None]
        pushed, d_pushed = drive[0] * share, drive[1] * share[:, None] + drive[0][:, None] * d_share
        d_new_h = target[1] * gone[:, None, :s] + (target[0] - h)[:, None] * d_gone[..., :s]
        d_new_h += d_pushed[..., :s] * move[:, None, :1] + pushed[:, None, :s] * by_x[:, :1]
        new_h = h + (target[0] - h) * gone[:, :s] + pushed[:, :s] * move[:, :1], d_new_h
        gone, d_gone, pushed, d_pushed = gone[:, s:], d_gone[..., s:], pushed[:, s:], d_pushed[..., s:]
        pull, d_pull = (each.reshape(*each.shape[:-1], self.arrows, self.vectors) for each in pull)
        pulled, d_pulled = pull @ p, d_pull @ p[:, None] + pull[:, None] @ dp
        to, d_to = pulled - old, d_pulled
        new = old + gone[..., None] * to + pushed[..., None] * move[:, None, 1:]
        d_new = d_gone[..., None] * to[:, None] + gone[:, None, :, None] * d_to
        d_new += d_pushed[..., None] * move[:, None, None, 1:] + pushed[:, None, :, None] * by_x[:, None, 1:]
        return new_h, (new, d_new)

    def _read(self, x, h, arrows, fixed, squares):
        """Answers and their derivatives."""
        t, (v, dv) = self.tensors, arrows
        sizes = (v**2).sum(-1), 2.0 * (v[:, None] * dv).sum(-1)
        hidden = _algebraic(_dense(_joined(h, sizes, self._place(x[:, 0], 1.0), fixed, squares), t, "hidden"))
        known = h[0].shape[1] + self.arrows + 2
        virgin = _joined(_still(np.zeros((len(x), known)), self.inputs), fixed, squares)
        virgin = _algebraic(_dense(virgin, t, "hidden"))
        head = t["head.weight"].T * t["scale"]
        answers = [(now - then) @ head for now, then in zip(hidden, virgin, strict=True)]
        mix, d_mix = (each.reshape(*each.shape[:-1], len(t["bound"]), self.arrows) for each in _dense(hidden, t, "mix"))
        mixed, d_mixed = mix @ v, d_mix @ v[:, None] + mix[:, None] @ dv
        root = 1.0 / np.sqrt(1.0 + (mixed**2).sum(-1, keepdims=True))
        turn = (mixed[:, None] * d_mixed).sum(-1, keepdims=True) * (root**3)[:, None]
        bound = t["bound"][:, None]
        d_mixed = bound * (d_mixed * root[:, None] - mixed[:, None] * turn)
        mixed = bound * mixed * root
        return (
            np.concatenate([answers[0], mixed.reshape(len(x), -1)], axis=1),
            np.concatenate([answers[1], d_mixed.reshape(len(x), self.inputs, -1)], axis=2),
        )

    def _place(self, opening, slope):
        """What the cell sees of the opening, whose derivative by that of the point is ``slope``."""
        coarse, fine = self.tensors["lengths"][0], self.tensors["fine"][0]
        z = opening / fine
        root = 1.0 / np.sqrt(1.0 + z * z)
        derivative = np.zeros((len(opening), self.inputs, 2))
        derivative[:, 0, 0], derivative[:, 0, 1] = slope / coarse, slope * root**3 / fine
        return np.stack([opening / coarse, z * root], axis=1), derivative

    def _split(self, pair):
        both = self.states + self.arrows
        ends = np.cumsum([both, self.states, both])
        return list(zip(*(np.split(each, ends, axis=-1) for each in pair), strict=True))


def _over(derivative, x):
    return np.broadcast_to(derivative, (len(x), *derivative.shape))


def _still(values, inputs):
    """Values that the inputs do not change."""
    return values, np.zeros((len(values), inputs, values.shape[1]))


def _joined(*pairs):
    return tuple(np.concatenate(each, axis=-1) for each in zip(*pairs, strict=True))


def _dense(pair, tensors, name):
    weight = tensors[f"{name}.weight"].T
    return pair[0] @ weight + tensors[f"{name}.bias"], pair[1] @ weight


def _algebraic(pair):
    root = 1.0 / np.sqrt(1.0 + pair[0] ** 2)
    return pair[0] * root, pair[1] * (root**3)[:, None]
