"""Traction-separation laws that are recurrent networks: drop-in for the classical ones."""

import copy
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, positive
from femnn.cohesive.classical import BilinearCohesive, ExponentialCohesive
from femnn.cohesive.law import Law, State
from femnn.cohesive.recurrent.cell import Cell
from femnn.cohesive.recurrent.critical_state import CriticalState
from femnn.cohesive.recurrent.isotropic import Isotropic
from femnn.cohesive.recurrent.microstructure import Microstructure
from femnn.cohesive.recurrent.minimal_state import MinimalState
from femnn.cohesive.recurrent.precompressed import Precompressed
from femnn.cohesive.recurrent.sequences import SequenceNetwork
from femnn.exceptions import ParameterError, WeightFileError, warn
from femnn.io.guarded import Contents
from femnn.io.weight_files import load_weights, locate, weight_file
from femnn.networks.perceptron import unprefixed

KIND = "cohesive-law"

#: The laws that come with femnn.
SHIPPED = ("default", "exponential", "grains", "fault-grains", "rve", "fault-cell")

#: Every network that :meth:`RecurrentCohesive.load` knows: what makes its cell from its tensors.
NETWORKS: dict[str, Callable[[Mapping[str, np.ndarray]], Cell]] = {
    "minimal-state": MinimalState,
    "isotropic": Isotropic,
    "critical-state": CriticalState,
    **{kind: partial(SequenceNetwork, kind) for kind in ("self-consistent", "lstm", "gru", "feed-forward")},
}

# Laws that a card may name as the one that was learned from.
_REFERENCES = {law.__name__: law for law in (BilinearCohesive, ExponentialCohesive)}


class RecurrentCohesive(Law):
    """A trained recurrent law. Make one with :meth:`load`.

    Its state is the hidden state of the network, its tangent the exact derivative in float64. Points outside the
    trained range are flagged in ``state.outside`` and answered all the same: see the notes.

    Attributes
    ----------
    network : str
        A name in :data:`NETWORKS`.
    card : dict
        What it is, how it was trained and tested.
    separation_scale, traction_scale : float
        Separation of complete softening, m; largest strength, Pa.
    microstructure : Microstructure or None
        Quantities that go into the traction's network or come out of one of their own.
    precompressed : Precompressed or None
        Of laws of precompressed layers, whose traction is (-p0, 0, 0) at zero separation and never tension. Those are
        in other units than SI where their data are; :meth:`rescaled` brings them there.

    Notes
    -----
    What holds by construction, and what was learned from data and holds as well as the test figures say:

    ==================================  =============  ===============  =========  ============  ===============
    property                            minimal-state  self-consistent  LSTM, GRU  feed-forward  isotropic
    ==================================  =============  ===============  =========  ============  ===============
    contact instead of penetration      construction   construction     constr.    construction  learned
    no traction at virgin zero          construction   construction     learned    learned       construction
    response free of the step size      construction   as steps vanish  learned    no memory     as steps vanish
    no negative dissipation             construction   learned          learned    no            learned
    the two shear directions are alike  construction   learned          learned    learned       construction
    ==================================  =============  ===============  =========  ============  ===============

    The virgin traction of a precompressed layer is -p0 in place of zero. The critical-state cell of such layers keeps
    by construction what :mod:`femnn.cohesive.recurrent.critical_state` lists, far beyond its data, too. Beyond the
    trained range the perceptron of the minimal-state cell sees the separation cut back to 1.4 separation scales;
    contact and friction go on as they are.
    The other networks extrapolate, but not those of precompressed layers: see
    :class:`femnn.cohesive.recurrent.precompressed.Precompressed`.

    Examples
    --------
    >>> law = RecurrentCohesive.load("default")
    >>> state = law.initial_state(1)
    >>> traction, tangent, state = law.update([[1e-5, 0.0, 0.0]], state)
    >>> traction.shape, tangent.shape, law.network
    ((1, 3), (1, 3, 3), 'minimal-state')
    """

    @checked()
    def __init__(self, networks: Mapping[str, Cell], card: Mapping, name: str, path: Path | None = None) -> None:
        self._networks, self.card, self._name = networks, card, name
        contents = Contents(weight_file(Path(name) if path is None else path), card)
        self.network = contents.part("architectures").part("traction").text("network")
        self.separation_scale = contents.number("separation_scale", above=0.0)
        self.traction_scale = contents.number("traction_scale", above=0.0)
        self._low, self._high = contents.part("trained_range").box("low", "high", 2)
        self.microstructure = Microstructure.of(contents.optional("microstructure"), networks)
        self._require_fitting(contents.file)
        # files that were written before have this name
        self.precompressed = Precompressed.of(contents.optional("frictional"))
        self._figures = _figures(contents.part("test"))
        self._learned_from = _reference(contents.part("data"))

    @classmethod
    def load(cls, name_or_path: str | os.PathLike) -> "RecurrentCohesive":
        """A law from a weight file: a shipped one by its name, or the path of a file.

        ``"default"`` is a minimal-state cell trained on ``BilinearCohesive`` with the values of AS4/PEEK and friction,
        ``"exponential"`` one trained on ``ExponentialCohesive`` with the same values; :meth:`reference` is that law.
        ``"grains"`` is an isotropic cell trained on the particle model of a sheared layer of grains, in units of their
        mean diameter and of the confining pressure: see :meth:`rescaled`; ``"fault-grains"`` a critical-state cell of
        such layers, for long slip and cycles; ``"rve"`` an isotropic cell trained on one cell of cracked rock whose
        cracks have the law ``"grains"``, in the same units, and ``"fault-cell"`` a critical-state cell of the mean of
        several larger ones, whose cracks have the law ``"fault-grains"``.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged, or holds no recurrent law.
        """
        is_shipped = isinstance(name_or_path, str) and name_or_path in SHIPPED
        source = f"cohesive-{name_or_path}" if is_shipped else name_or_path
        tensors, card = load_weights(source, KIND)
        path, _ = locate(source)
        file = weight_file(path)
        parts = Contents(file, card["architectures"], place="architectures.")
        with file.checked():
            kinds = {part: parts.part(part).text("network") for part in parts.fields}
            networks = {part: _network(kind, unprefixed(tensors, part)) for part, kind in kinds.items()}
            return cls(networks, card, f"RecurrentCohesive({path.stem!r}, sha256={card['sha256'][:12]})", path)

    def _require_fitting(self, file):
        """Raise WeightFileError unless the networks take and give what the microstructure says."""
        known = self.microstructure
        given, predicted = (0, 0) if known is None else (len(known.inputs), len(known.predicted))
        expected = {"traction": (3 + given + predicted, 3), "microstructure": (3 + given, predicted)}
        for part, network in self._networks.items():
            if (network.n_inputs, network.n_outputs) != expected.get(part):
                raise file.refused(
                    f"its network {part!r} takes {network.n_inputs} numbers and gives {network.n_outputs}, needed are "
                    f"{expected.get(part)}"
                )

    @checked()
    def rescaled(
        self, *, separation_scale: float | None = None, traction_scale: float | None = None
    ) -> "RecurrentCohesive":
        """This law in other units, or of another layer that is alike but for its scales.

        Parameters
        ----------
        separation_scale
            What one unit of the separation that the law was trained on becomes, m: for grains the mean diameter.
        traction_scale
            What one unit of traction becomes, Pa: for grains the confining pressure p0.

        Returns
        -------
        RecurrentCohesive
            T(δ) = traction_scale · t(δ / separation_scale), t being the response in units of the data.

        Raises
        ------
        ParameterError
            If a scale is not positive.
        """
        law = copy.copy(self)
        if separation_scale is not None:
            law.separation_scale = positive("separation_scale", separation_scale)
        if traction_scale is not None:
            law.traction_scale = positive("traction_scale", traction_scale)
        return law

    def reference(self) -> Law:
        """The classical law that this one was trained on; ParameterError if it was trained on other data."""
        if self._is_rescaled():
            raise ParameterError(f"{self.name} has other scales than the law it was trained on; ask the loaded law")
        if self._learned_from is None:
            described = self.card["data"].get("law")
            raise ParameterError(f"{self.name} was not trained on a classical law but on {described or 'other data'}")
        return self._learned_from

    def in_range(self, separation: np.ndarray) -> np.ndarray:
        """Points (n,) whose opening and sliding are in the trained range."""
        separation = self._shaped(separation)
        low, high = self._low * self.separation_scale, self._high * self.separation_scale
        # a rounding error beyond the border is no reason to flag a point
        slack = 1e-9 * self.separation_scale
        opening, sliding = separation[:, 0], np.linalg.norm(separation[:, 1:], axis=1)
        return (opening >= low[0] - slack) & (opening <= high[0] + slack) & (sliding <= high[1] + slack)

    def how_far(self, separation: ArrayLike) -> str:
        """Which of separations (n, 3) is the farthest outside the trained range, and by how much, in words.

        Examples
        --------
        >>> law = RecurrentCohesive.load("grains")
        >>> told = law.how_far(np.array([[0.0, 0.1, 0.0], [0.0, 4.0, 0.0]]))
        >>> told.partition(", its sliding ")[::2]
        ('farthest is point 1: its opening is 0 (trained: -0.182 to 0.549)', '4 (trained: to 2.19), 1.81 beyond')
        """
        values: np.ndarray = self._shaped(separation)
        scale = self.separation_scale
        if self.in_range(values).all():
            return ""
        opening, sliding = values[:, 0] / scale, np.linalg.norm(values[:, 1:], axis=1) / scale
        widths = self._high - np.minimum(self._low, 0.0)
        beyond = np.maximum(opening - self._high[0], self._low[0] - opening) / widths[0]
        point = int(np.argmax(np.maximum(beyond, (sliding - self._high[1]) / widths[1])))
        low, high = self._low * scale, self._high * scale
        own = scale * opening[point], scale * sliding[point]
        return (
            f"farthest is point {point}: its opening is {own[0]:.3g} (trained: {low[0]:.3g} to {high[0]:.3g})"
            f"{_beyond(max(own[0] - high[0], low[0] - own[0]))}, its sliding {own[1]:.3g} (trained: to {high[1]:.3g})"
            f"{_beyond(own[1] - high[1])}"
        )

    def damage(self, state: State) -> np.ndarray:
        """Damage of each point, (n,); NaN for networks that have no such number."""
        self._require_state(state)
        return self._networks["traction"].damage(state.values)

    def free_energy(self, separation: ArrayLike, state: State) -> np.ndarray:
        """Energy stored in each point, (n,), J/m², which only a minimal-state cell knows; ParameterError otherwise."""
        x, scales = self._checked(separation, state), (self.separation_scale, self.traction_scale)
        return self._networks["traction"].free_energy(x, state.values, *scales)

    def with_microstructure(self, values: ArrayLike) -> "RecurrentCohesive":
        """This law with measured quantities at its points.

        Parameters
        ----------
        values : (n, m)
            The inputs that ``microstructure.inputs`` names, in that order and in their units.

        Returns
        -------
        RecurrentCohesive
            For n points.
        """
        if self.microstructure is None:
            raise ParameterError(f"{self.name} takes no microstructure; it was trained on separations alone")
        law = copy.copy(self)
        law.microstructure = self.microstructure.at(values)
        return law

    def measured(self) -> "RecurrentCohesive":
        """This law with the microstructure that it predicts as inputs, to be given as measured."""
        if self.microstructure is None or not self.microstructure.predicted:
            raise ParameterError(f"{self.name} predicts no microstructure that could be measured instead")
        law = copy.copy(self)
        law.microstructure = self.microstructure.measured()
        law._name = f"{self._name} with measured microstructure"
        return law

    def predict_microstructure(self, separation: ArrayLike, state: State) -> np.ndarray:
        """Predicted quantities (n, p) that ``microstructure.predicted`` names, after a step to ``separation``."""
        if self.microstructure is None or not self.microstructure.predicted:
            raise ParameterError(f"{self.name} predicts no microstructure; it was trained on separations alone")
        x = self._checked(separation, state) / self.separation_scale
        return self.microstructure.predict(
            x if self.precompressed is None else self.precompressed.shown(x), state.values
        )

    @checked()
    def tensors(self, part: str = "traction") -> dict[str, np.ndarray]:
        """Arrays of the network ``part`` by name, as they were trained; empty if there is no such part."""
        network = self._networks.get(part)
        return dict(network.tensors) if network is not None else {}

    @property
    def name(self) -> str:
        """The file and the first digits of its hash; the scales of a law that was rescaled."""
        if not self._is_rescaled():
            return self._name
        return f"{self._name} at {self.separation_scale:.17g} m, {self.traction_scale:.17g} Pa"

    def __repr__(self):
        return f"{self.name}: {self.network}{self._figures}"

    def _is_rescaled(self):
        trained = self.card["separation_scale"], self.card["traction_scale"]
        return (self.separation_scale, self.traction_scale) != trained

    @property
    def _cell(self):
        """The traction's network, with microstructure and precompression around it."""
        cell = self._networks["traction"] if self.microstructure is None else self.microstructure
        return cell if self.precompressed is None else self.precompressed.around(cell)

    def _virgin(self, n):
        return np.zeros((n, self._cell.state_size))

    def _update(self, separation, values):
        return self._cell.update(separation, values, self.separation_scale, self.traction_scale)


@checked()
def warn_outside(law: Law, state: State) -> int:
    """Give a FemnnWarning that counts the points which have left the trained range; their number.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive.recurrent import warn_outside
    >>> law = femnn.RecurrentCohesive.load("default")
    >>> warn_outside(law, law.initial_state(4))
    0
    """
    count = int(np.count_nonzero(state.outside))
    if count:
        warn(f"{count} of {len(state)} points have left the range that {law.name} was trained in")
    return count


def _figures(test):
    """Errors of the test of a card, in words for the printed law; empty if it has none of these."""
    for name in ("random", "unseen"):
        if name in test.fields and "mean" in test.part(name).fields:
            return f", mean error {test.part(name).number('mean', 0.0):.2%} of the peak on {name} paths"
    if "unseen" in test.fields and "ln_normal" in test.part("unseen").fields:
        logarithm, ratio = (test.part("unseen").number(name, 0.0) for name in ("ln_normal", "ratio"))
        return f", rms error {logarithm:.3f} of ln t_n and {ratio:.3f} of t_s/t_n on unseen paths"
    return ""


def _reference(data):
    """The classical law that the data of a card come from; None if they come from something else, told in words."""
    law = None if isinstance(data.fields.get("law"), str) else data.optional("law")
    if law is None or law.text("name") not in _REFERENCES:
        return None
    parameters = law.part("parameters")
    return _REFERENCES[law.text("name")](**{name: parameters.number(name) for name in parameters.fields})


def _network(kind, tensors):
    if kind not in NETWORKS:
        raise WeightFileError(f"there is no network {kind!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[kind](tensors)


def _beyond(length):
    """How far a separation is outside its range, in words; nothing for one inside."""
    return f", {length:.3g} beyond" if length > 0.0 else ""
