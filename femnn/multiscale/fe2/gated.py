"""Stress-strain laws that are ordinary recurrent networks, LSTM or GRU, averaged over the rotations of a cell."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from femnn.checks import checked, one_of, shaped
from femnn.exceptions import ParameterError, WeightFileError
from femnn.io.weight_files import load_contents, save_weights
from femnn.multiscale.fe2.recurrent import HALF, SYMMETRIES, mean_over, rotations

KIND = "gated-stress-strain"

#: Kinds of cells, with the number of their gates and of the vectors that their state has.
GATED = {"lstm": (4, 2), "gru": (3, 1)}

#: What a network has, in the order of its arguments.
TENSORS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "head", "offset")


class GatedLaw:
    """A network of LSTM or GRU cells as a law of :class:`femnn.Solid`; made by ``fit_gated_law`` or :meth:`load`.

    With the strain ε by Mandel and the elastic stiffness C of the cell, the stress is

        σ = C ε - s/n Σ_Q Qᵀ (W h(Q ε) + b),

    averaged over the n rotations Q of the symmetry, each of which has a state h of its own: turning a strain path by
    one of them turns the stress. Elasticity of the virgin material, dissipation, and independence of the size of steps
    are learned from data only, unlike those of :class:`femnn.multiscale.fe2.RecurrentLaw`.

    Parameters
    ----------
    kind
        ``"lstm"`` or ``"gru"``.
    elastic : (6, 6)
        C (Pa), by Mandel's components; its mean over the symmetry counts.
    tensors
        ``"weight_ih"`` (gates · w, 6), ``"weight_hh"`` (gates · w, w), ``"bias_ih"`` and ``"bias_hh"`` (gates · w,) of
        the cells, gates in the order of PyTorch; ``"head"`` (6, w) and ``"offset"`` (6,), W and b.
    reach, scale
        Strain that counts as one; s (Pa).
    symmetry
        As of :class:`femnn.multiscale.fe2.RecurrentLaw`.
    card
        What it was trained on.

    Raises
    ------
    ParameterError
        If arrays do not fit together.

    Examples
    --------
    >>> shapes = {"weight_ih": (6, 6), "weight_hh": (6, 2), "bias_ih": 6, "bias_hh": 6, "head": (6, 2), "offset": 6}
    >>> law = GatedLaw("gru", 1e9 * np.eye(6), {name: np.ones(shape) for name, shape in shapes.items()}, 0.1, 1e7)
    >>> stress, tangent, state = law.update(np.zeros((1, 6)), law.initial_state(1))
    >>> stress.shape, tangent.shape, state.shape
    ((1, 6), (1, 6, 6), (1, 48))
    """

    kinematics = "small"

    @checked(elastic="6 6", tensors="unchecked", reach="(0, inf)", scale="(0, inf)", card="unchecked")
    def __init__(
        self,
        kind: str,
        elastic: ArrayLike,
        tensors: Mapping[str, np.ndarray],
        reach: float,
        scale: float,
        *,
        symmetry: str = "cubic",
        card: Mapping[str, Any] | None = None,
    ) -> None:
        one_of("kind", kind, tuple(GATED))
        one_of("symmetry", symmetry, tuple(SYMMETRIES))
        self.kind, self.symmetry, self.reach, self.scale = kind, symmetry, reach, scale
        self.card = dict(card or {})
        gates = GATED[kind][0]
        missing = [name for name in TENSORS if name not in tensors]
        if missing:
            raise ParameterError(f"the tensors have no {' and no '.join(missing)}; pass {', '.join(TENSORS)}")
        self.tensors = {name: np.asarray(tensors[name], dtype=float) for name in TENSORS}
        width = self.tensors["head"].shape[-1]
        shapes = ((gates * width, 6), (gates * width, width), (gates * width,), (gates * width,), (6, width), (6,))
        for name, shape in zip(TENSORS, shapes, strict=True):
            shaped(name, self.tensors[name], shape)
            if not np.isfinite(self.tensors[name]).all():
                raise ParameterError(f"{name} is not finite; train the network again")
        self.width, self._turns = width, rotations(symmetry)
        self.elastic = mean_over(self._turns, np.asarray(elastic, dtype=float))

    def __repr__(self) -> str:
        return f"GatedLaw({self.kind}, {self.width} cells, {self.symmetry} symmetry)"

    @checked(n="[0, inf)")
    def initial_state(self, n: int) -> np.ndarray:
        """State of ``n`` virgin points, (n, s)."""
        return np.zeros((n, len(self._turns) * GATED[self.kind][1] * self.width))

    @checked(strain="n 6", state="any")
    def update(
        self, strain: ArrayLike, state: ArrayLike, *, tangent: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Mean stress (n, 6), tangent (n, 6, 6) and new state (n, s), as :class:`femnn.ConstitutiveLaw` says.

        With ``tangent=False`` the tangent is left out, None, which saves most of the time.
        """
        strain = np.asarray(strain, dtype=float)
        n, turns = len(strain), self._turns
        state = shaped("the state", state, self.initial_state(n).shape)
        if not np.isfinite(state).all():
            raise ParameterError("the state is not finite; pass initial_state(n) or what update returned")
        mandel, count = strain * HALF, len(turns)
        turned = np.einsum("gij,nj->ngi", turns, mandel / self.reach).reshape(n * count, 6)
        step = _lstm if self.kind == "lstm" else _gru
        h, slope, new = step(turned, state.reshape(n * count, -1), self.tensors, tangent)
        head = self.tensors["head"]
        lost = (h @ head.T + self.tensors["offset"]).reshape(n, count, 6)
        stress = mandel @ self.elastic - np.einsum("gji,ngj->ni", turns, lost) * (self.scale / count)
        new = new.reshape(n, -1)
        if not tangent:
            return stress * HALF, None, new
        slope = np.matmul(head, slope).reshape(n, count, 6, 6)
        bent = np.einsum("gji,ngjk,gkl->nil", turns, slope, turns, optimize=True)
        matrix = self.elastic - bent * (self.scale / count / self.reach)
        return stress * HALF, matrix * HALF[:, None] * HALF, new

    # --- files

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``; returns the former."""
        numbers = {"width": self.width, "reach": self.reach, "scale": self.scale}
        card = {
            "kind": KIND,
            "what": f"{self!r}, a stress-strain law with memory",
            "architectures": {"law": {"kind": self.kind, "symmetry": self.symmetry, **numbers}},
            "trained_range": {"reach": self.reach},
            "data": self.card.get("data", {}),
            "training": self.card.get("training", {}),
            "test": self.card.get("test", {}),
        }
        return save_weights(path, {"elastic": self.elastic, **self.tensors}, card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike) -> "GatedLaw":
        """Read what :meth:`save` wrote.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged or of another kind.
        """
        contents = load_contents(path, KIND)
        fields, file = contents.part("architectures").part("law"), contents.file
        try:
            return cls(
                fields.text("kind"),
                contents.array("elastic", (6, 6)),
                {name: contents.arrays[name] for name in TENSORS if name in contents.arrays},
                fields.number("reach"),
                fields.number("scale"),
                symmetry=fields.text("symmetry"),
                card=contents.fields,
            )
        except ParameterError as error:
            raise WeightFileError(f"{file.path} holds no such law: {error}; {file.remedy}") from error


def _lstm(x, state, tensors, wanted):
    """Hidden vectors (m, w), their derivatives (m, w, 6) by x (m, 6) if they are wanted, and the new state."""
    h, c = np.split(state, 2, axis=1)
    gates = x @ tensors["weight_ih"].T + tensors["bias_ih"] + h @ tensors["weight_hh"].T + tensors["bias_hh"]
    enter, forget, candidate, leave = np.split(gates, 4, axis=1)
    enter, forget, candidate, leave = expit(enter), expit(forget), np.tanh(candidate), expit(leave)
    new = forget * c + enter * candidate
    bent = np.tanh(new)
    hidden, state = leave * bent, np.concatenate([leave * bent, new], axis=1)
    if not wanted:
        return hidden, None, state
    by_enter, by_forget, by_candidate, by_leave = np.split(tensors["weight_ih"], 4)
    slope = (forget * (1.0 - forget) * c)[..., None] * by_forget
    slope += (enter * (1.0 - enter) * candidate)[..., None] * by_enter
    slope += (enter * (1.0 - candidate**2))[..., None] * by_candidate
    slope = (leave * (1.0 - bent**2))[..., None] * slope + (leave * (1.0 - leave) * bent)[..., None] * by_leave
    return hidden, slope, state


def _gru(x, h, tensors, wanted):
    """Hidden vectors (m, w), their derivatives (m, w, 6) by x (m, 6) if they are wanted, and the new state."""
    reset, update, candidate = np.split(x @ tensors["weight_ih"].T + tensors["bias_ih"], 3, axis=1)
    reset_h, update_h, candidate_h = np.split(h @ tensors["weight_hh"].T + tensors["bias_hh"], 3, axis=1)
    reset, update = expit(reset + reset_h), expit(update + update_h)
    candidate = np.tanh(candidate + reset * candidate_h)
    new = (1.0 - update) * candidate + update * h
    if not wanted:
        return new, None, new
    by_reset, by_update, by_candidate = np.split(tensors["weight_ih"], 3)
    inner = by_candidate + (reset * (1.0 - reset) * candidate_h)[..., None] * by_reset
    slope = ((1.0 - update) * (1.0 - candidate**2))[..., None] * inner
    return new, slope + ((h - candidate) * update * (1.0 - update))[..., None] * by_update, new
