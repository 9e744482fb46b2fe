"""Traction-separation laws that are recurrent networks: drop-in for the classical ones."""

import warnings

import numpy as np

from femnn.cohesive.classical import BilinearCohesive, ExponentialCohesive
from femnn.cohesive.law import Law
from femnn.cohesive.microstructure import Microstructure
from femnn.cohesive.minimal_state import MinimalState
from femnn.cohesive.sequences import SequenceNetwork
from femnn.exceptions import FemnnWarning, ParameterError, WeightFileError
from femnn.learning.checkpoints import load_weights, locate
from femnn.learning.perceptron import unprefixed

KIND = "cohesive-law"

#: The laws that come with femnn.
SHIPPED = ("default", "exponential")

#: Every network that :meth:`RecurrentCohesive.load` knows.
NETWORKS = ("minimal-state", "self-consistent", "lstm", "gru", "feed-forward")

# Laws that a card may name as the one that was learned from.
_REFERENCES = {law.__name__: law for law in (BilinearCohesive, ExponentialCohesive)}


class RecurrentCohesive(Law):
    """A trained recurrent law. Make one with :meth:`load`.

    Its state is the hidden state of the network, its tangent the exact derivative in float64. Points outside the
    trained range are flagged in ``state.outside`` and answered all the same: see the notes.

    Attributes
    ----------
    network : str
        ``"minimal-state"``, ``"self-consistent"``, ``"lstm"``, ``"gru"`` or ``"feed-forward"``.
    card : dict
        What it is, how it was trained and tested.
    separation_scale, traction_scale : float
        Separation of complete softening, m; largest strength, Pa.
    microstructure : Microstructure or None
        Quantities that go into the traction's network or come out of one of their own.

    Notes
    -----
    What holds by construction, and what was learned from data and holds as well as the test figures say:

    ==================================  =============  ===============  =========  ============
    property                            minimal-state  self-consistent  LSTM, GRU  feed-forward
    ==================================  =============  ===============  =========  ============
    contact instead of penetration      construction   construction     constr.    construction
    no traction at virgin zero          construction   construction     learned    learned
    response free of the step size      construction   as steps vanish  learned    no memory
    no negative dissipation             construction   learned          learned    no
    the two shear directions are alike  construction   learned          learned    learned
    ==================================  =============  ===============  =========  ============

    Beyond the trained range the perceptron of the minimal-state cell sees the separation cut back to 1.4 separation
    scales; contact and friction go on as they are. The other networks extrapolate.
    """

    def __init__(self, networks, card, name):
        self._networks, self.card, self._name = networks, card, name
        self.network = card["architectures"]["traction"]["network"]
        self.separation_scale = float(card["separation_scale"])
        self.traction_scale = float(card["traction_scale"])
        self._low, self._high = (np.asarray(card["trained_range"][side]) for side in ("low", "high"))
        self.microstructure = Microstructure.of(card.get("microstructure"), networks)

    @classmethod
    def load(cls, name_or_path):
        """A law from a weight file: a shipped one by its name, or the path of a file.

        ``"default"`` is a minimal-state cell trained on ``BilinearCohesive`` with the values of AS4/PEEK and friction,
        ``"exponential"`` one trained on ``ExponentialCohesive`` with the same values; :meth:`reference` is that law.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged, or holds no recurrent law.
        """
        given = f"cohesive-{name_or_path}" if name_or_path in SHIPPED else name_or_path
        tensors, card = load_weights(given, KIND)
        path, _ = locate(given)
        try:
            scales = float(card["separation_scale"]), float(card["traction_scale"])
            networks = {
                part: _network(fields["network"], unprefixed(tensors, part), scales)
                for part, fields in card["architectures"].items()
            }
            return cls(networks, card, f"RecurrentCohesive({path.stem!r}, sha256={card['sha256'][:12]})")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise WeightFileError(
                f"{path} has a card that describes no recurrent law: {error!r}; fetch it again"
            ) from error

    def reference(self):
        """The classical law that this one was trained on; ParameterError if it was trained on other data."""
        described = self.card["data"].get("law") or {}
        if described.get("name") not in _REFERENCES:
            raise ParameterError(f"{self.name} was not trained on a classical law but on {described or 'other data'}")
        return _REFERENCES[described["name"]](**described["parameters"])

    def outside(self, separation):
        """Points (n,) whose opening or sliding is outside the trained range."""
        low, high = self._low * self.separation_scale, self._high * self.separation_scale
        # a rounding error beyond the border is no reason to flag a point
        slack = 1e-9 * self.separation_scale
        opening, sliding = separation[:, 0], np.linalg.norm(separation[:, 1:], axis=1)
        return (opening < low[0] - slack) | (opening > high[0] + slack) | (sliding > high[1] + slack)

    def damage(self, state):
        """Damage of each point, (n,); NaN for networks that have no such number."""
        traction = self._networks["traction"]
        return traction.damage(state.values) if isinstance(traction, MinimalState) else super().damage(state)

    def free_energy(self, separation, state):
        """Energy stored in each point, (n,), J/m², which only a minimal-state cell knows; ParameterError otherwise."""
        traction = self._networks["traction"]
        if not isinstance(traction, MinimalState):
            raise ParameterError(f"a {self.network} network has no free energy; only minimal-state cells do")
        return traction.free_energy(self._checked(separation, state), state.values)

    def with_microstructure(self, values):
        """This law with given quantities at its points.

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
        law = RecurrentCohesive(self._networks, self.card, self._name)
        law.microstructure = self.microstructure.given(values)
        return law

    def predict_microstructure(self, separation, state):
        """Predicted quantities (n, p) that ``microstructure.predicted`` names, after a step to ``separation``."""
        if self.microstructure is None or not self.microstructure.predicted:
            raise ParameterError(f"{self.name} predicts no microstructure; it was trained on separations alone")
        return self.microstructure.predict(self._checked(separation, state) / self.separation_scale, state.values)

    def tensors(self, part="traction"):
        """Arrays of the network ``part`` by name, as they were trained; empty if there is no such part."""
        network = self._networks.get(part)
        return dict(network.tensors) if network is not None else {}

    @property
    def name(self):
        """The file and the first digits of its hash."""
        return self._name

    def __repr__(self):
        test = self.card["test"].get("random", {})
        figures = f", mean error {test['mean']:.2%} of the peak on random paths" if "mean" in test else ""
        return f"{self._name}: {self.network}{figures}"

    def _virgin(self, n):
        if self.microstructure is not None:
            return self.microstructure.initial(n)
        traction = self._networks["traction"]
        return traction.initial(n) if isinstance(traction, MinimalState) else np.zeros((n, traction.state_size))

    def _update(self, separation, values):
        traction = self._networks["traction"]
        if isinstance(traction, MinimalState):
            return traction.update(separation, values)
        step = traction.step if self.microstructure is None else self.microstructure.step
        y, dy, values = step(separation / self.separation_scale, values)
        return self.traction_scale * y, self.traction_scale / self.separation_scale * dy[:, :, :3], values


def warn_outside(law, state):
    """Give a FemnnWarning that counts the points which have left the trained range; their number."""
    count = int(np.count_nonzero(state.outside))
    if count:
        warnings.warn(
            f"{count} of {len(state)} points have left the range that {law.name} was trained in",
            FemnnWarning,
            stacklevel=2,
        )
    return count


def _network(kind, tensors, scales):
    return MinimalState(tensors, *scales) if kind == "minimal-state" else SequenceNetwork(kind, tensors)
