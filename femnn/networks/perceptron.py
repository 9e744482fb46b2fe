"""Multilayer perceptrons that NumPy evaluates, with a compiled activation: trained networks at work."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, instance, one_of
from femnn.exceptions import ParameterError, WeightFileError
from femnn.networks.activations import silu, single_sigmoid, single_silu
from femnn.system.blas import one_blas_thread

T = TypeVar("T")

# Rows evaluated at a time: 10⁶ rows need no more memory than these, and the values of a layer stay in the cache.
ROWS = 512

# Rows from which BLAS is held to one thread: fewer it does not share out, and a call may cost no more than they.
_MANY = 16


def _sigmoid(z: np.ndarray) -> None:
    # 1/(1 + exp(-z)) = (1 + tanh(z/2))/2, which cannot overflow and is faster than exp
    z *= 0.5
    np.tanh(z, out=z)
    z += 1.0
    z *= 0.5


def _tanh(z: np.ndarray) -> None:
    np.tanh(z, out=z)


def _relu(z: np.ndarray) -> None:
    np.maximum(z, 0.0, out=z)


def _silu(z: np.ndarray) -> None:
    # layers are contiguous: a view, no copy
    silu(z.reshape(-1))


def _elu(z: np.ndarray) -> None:
    # clipped, so that what is not taken does not overflow
    z[...] = np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0)))


def _prelu(z: np.ndarray, slope: np.ndarray) -> None:
    z *= np.where(z > 0.0, 1.0, slope)


# Each works in place, so that a layer costs one array.
ACTIVATIONS: dict[str, Callable[..., None]] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": _relu,
    "silu": _silu,
    "elu": _elu,
    "prelu": _prelu,
}

# The same in float32, and with the bias of the layer.
_SINGLE: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {"sigmoid": single_sigmoid, "silu": single_silu}

# How the names of trained tensors begin; the others are the standardisation, which is measured.
TRAINED = ("weight", "bias", "slope")


@dataclass(frozen=True)
class Architecture:
    """Shape of a multilayer perceptron with one activation function and a linear output layer.

    Parameters
    ----------
    inputs, outputs
        Numbers of features and of predicted values, at least 1.
    hidden
        Widths of the hidden layers; ``()`` is an affine map.
    activation
        ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"silu"`` (x · sigmoid(x)), ``"elu"`` or ``"prelu"`` (a ReLU with a
        trained slope for negative values, one for each layer), after every hidden layer.

    Raises
    ------
    ParameterError
        If a width is no positive integer or the activation is unknown.

    Examples
    --------
    >>> print(Architecture(18, 8, (50, 50), "sigmoid"))
    18-50-50-8 sigmoid
    """

    inputs: int
    outputs: int
    hidden: tuple[int, ...]
    activation: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", _width("inputs", self.inputs))
        object.__setattr__(self, "outputs", _width("outputs", self.outputs))
        if isinstance(self.hidden, str) or not np.iterable(self.hidden):
            raise ParameterError(
                f"hidden={brief(self.hidden)} is no sequence of layer widths; pass (50, 50) for instance"
            )
        hidden = tuple(_width(f"hidden[{layer}]", width) for layer, width in enumerate(self.hidden))
        object.__setattr__(self, "hidden", hidden)
        one_of("activation", self.activation, tuple(ACTIVATIONS))

    @classmethod
    @checked(fields="unchecked")
    def from_dict(cls, fields: Mapping[str, Any]) -> "Architecture":
        """Read what `to_dict` wrote; ParameterError if fields are missing, unknown or out of range."""
        expected = set(cls.__dataclass_fields__)
        if not isinstance(fields, Mapping) or set(fields) != expected:
            names = sorted(fields) if isinstance(fields, Mapping) else repr(fields)
            raise ParameterError(f"an architecture has the fields {sorted(expected)}, but these are {names}")
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """Fields as JSON can hold them."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of all layers, input and output included."""
        return (self.inputs, *self.hidden, self.outputs)

    @property
    def layers(self) -> int:
        """Number of affine maps."""
        return len(self.hidden) + 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor of such a network, by its name.

        ``weight{k}`` is (outputs, inputs) of layer k, ``bias{k}`` is (outputs,); the four arrays of the standardisation
        are (inputs,) and (outputs,). ``slope{k}`` is (1,), of the hidden layers of a ``"prelu"`` network alone.
        """
        widths = self.widths
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.layers):
            shapes[f"weight{layer}"] = (widths[layer + 1], widths[layer])
            shapes[f"bias{layer}"] = (widths[layer + 1],)
            if self.activation == "prelu" and layer < self.layers - 1:
                shapes[f"slope{layer}"] = (1,)
        shapes["input_mean"] = shapes["input_scale"] = (self.inputs,)
        shapes["output_mean"] = shapes["output_scale"] = (self.outputs,)
        return shapes

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.widths))} {self.activation}"


@checked(features="any", targets="any")
def standardisation(features: ArrayLike, targets: ArrayLike | None = None) -> dict[str, np.ndarray]:
    """Means and standard deviations by which a network standardises its input and scales its output.

    A column that does not vary keeps the scale 1, so that it becomes zero instead of a division by zero.

    Parameters
    ----------
    features
        Shape (n, inputs).
    targets
        Shape (n, outputs); without them the output is left as the last layer gives it.

    Returns
    -------
    dict
        ``input_mean``, ``input_scale`` (inputs,) and, with targets, ``output_mean``, ``output_scale`` (outputs,).

    Raises
    ------
    ParameterError
        If an array is not two-dimensional, is empty, or holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.networks import standardisation
    >>> scales = standardisation(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scales["input_mean"], scales["input_scale"]
    (array([2., 5.]), array([1., 1.]))
    """
    result = {}
    for side, values in (("input", features), ("output", targets)):
        if values is None:
            continue
        columns = np.asarray(values, dtype=np.float64)
        if columns.ndim != 2 or len(columns) == 0:
            raise ParameterError(
                f"the {side}s have shape {columns.shape}; standardisation needs (rows, columns), rows > 0"
            )
        mean, scale = columns.mean(axis=0), columns.std(axis=0)
        if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
            column = int(np.flatnonzero(~(np.isfinite(mean) & np.isfinite(scale)))[0])
            raise ParameterError(f"{side} column {column} holds NaN or infinity; remove such rows before training")
        # rounding gives a constant column a tiny scale instead of none
        constant = scale <= 1e-12 * np.abs(mean)
        result[f"{side}_mean"], result[f"{side}_scale"] = mean, np.where(constant, 1.0, scale)
    return result


class Perceptron:
    """A trained multilayer perceptron: standardise, affine maps with activations between them, scale back.

    Parameters
    ----------
    architecture
        Shape of the network.
    tensors
        The arrays that `Architecture.shapes` names: ``weight0``, ``bias0``, ..., ``input_mean``, ``input_scale``,
        ``output_mean``, ``output_scale``. The arrays of the standardisation may be left out (mean 0, scale 1).

    Raises
    ------
    ParameterError
        If a tensor is missing, unknown, of the wrong shape, not finite, or a scale is not positive.

    Examples
    --------
    >>> line = Perceptron(Architecture(1, 1, (), "tanh"), {"weight0": [[2.0]], "bias0": [1.0]})
    >>> line([[3.0]]).tolist()
    [[7.0]]
    """

    @checked(tensors="unchecked")
    def __init__(self, architecture: Architecture, tensors: Mapping[str, ArrayLike]) -> None:
        instance("tensors", tensors, Mapping)
        complete = with_standardisation(architecture, tensors)
        defect = _defect(complete, architecture)
        if defect:
            raise ParameterError(f"these are no tensors of a {architecture} perceptron: {defect}")
        self.architecture = architecture
        self._tensors = {name: _frozen(complete[name]) for name in architecture.shapes}
        self._compute = {name: np.asarray(values, dtype=np.float64) for name, values in self._tensors.items()}
        self._single: list[tuple[np.ndarray, np.ndarray]] = []

    @classmethod
    @checked(tensors="unchecked")
    def from_tensors(
        cls,
        tensors: Mapping[str, np.ndarray],
        architecture: Architecture,
        prefix: str = "",
        source: str = "the weight file",
    ) -> "Perceptron":
        """One network out of the tensors of a weight file, in which several may live side by side.

        Parameters
        ----------
        tensors
            All tensors of the file.
        architecture
            Shape of the network that is wanted.
        prefix
            Its name in the file: ``"classifier"`` takes ``"classifier.weight0"`` and so on; ``""`` takes the tensors
            whose names have no prefix.
        source
            What to call the file in an error.

        Raises
        ------
        WeightFileError
            If a tensor is missing, of the wrong shape, or not finite.
        """
        named = unprefixed(tensors, prefix)
        defect = _defect(named, architecture, prefix)
        if defect:
            raise WeightFileError(
                f"{source} does not hold a {architecture} perceptron: {defect}; "
                "fetch the file again, or train it again with this version of femnn"
            )
        return cls(architecture, named)

    @checked()
    def tensors(self, prefix: str = "") -> dict[str, np.ndarray]:
        """The (read-only) arrays under the names of `Architecture.shapes`, each with ``prefix`` and a dot before it."""
        return prefixed(self._tensors, prefix)

    @checked()
    def in_single_precision(self) -> "Perceptron":
        """The same network with layers in float32, which is twice as fast and right to some 1e-6 of its outputs."""
        single, t = Perceptron(self.architecture, self._tensors), self._compute
        folded, last = dict(t), f"{self.architecture.layers - 1}"
        # scaled by the layers themselves: some passes less over inputs and outputs
        folded["weight0"] = t["weight0"] / t["input_scale"]
        folded["bias0"] = t["bias0"] - folded["weight0"] @ t["input_mean"]
        scale = t["output_scale"]
        folded[f"weight{last}"] = folded[f"weight{last}"] * scale[:, None]
        folded[f"bias{last}"] = folded[f"bias{last}"] * scale + t["output_mean"]
        single._single = [
            (folded[f"weight{layer}"].astype(np.float32), folded[f"bias{layer}"].astype(np.float32))
            for layer in range(self.architecture.layers)
        ]
        return single

    @checked()
    def __call__(self, features: ArrayLike) -> np.ndarray:
        """Evaluate, in float64 unless the network is one :meth:`in_single_precision`.

        Parameters
        ----------
        features
            Shape (n, inputs). A row with NaN gives a row of NaN (of zeros and NaN behind a ReLU).

        Returns
        -------
        numpy.ndarray
            Shape (n, outputs), float64.

        Raises
        ------
        ParameterError
            If the features have another shape.
        """
        features = self._features(features)
        result = np.empty((len(features), self.architecture.outputs))
        with one_blas_thread() if len(features) >= _MANY else nullcontext():
            for start in range(0, len(features), ROWS):
                self._evaluate(features[start : start + ROWS], result[start : start + ROWS])
        return result

    @checked(lanes="[1, inf)")
    def in_lanes(self, features: ArrayLike, lanes: int) -> np.ndarray:
        """Evaluate into blocks of ``lanes`` rows of features side by side, as kernels read them.

        Parameters
        ----------
        features
            Shape (n, inputs). The last row is repeated where the last block is not full.
        lanes
            Rows of a block, at least 1.

        Returns
        -------
        numpy.ndarray
            Shape (n / lanes rounded up, outputs lanes): the first output of all rows of a block, the second, ...
            float32 if the network is one :meth:`in_single_precision`.

        Examples
        --------
        >>> line = Perceptron(Architecture(1, 2, (), "tanh"), {"weight0": [[2.0], [0.0]], "bias0": [1.0, 5.0]})
        >>> line.in_lanes([[3.0], [4.0], [5.0]], 2)
        array([[ 7.,  9.,  5.,  5.],
               [11., 11.,  5.,  5.]])
        """
        features = self._features(features)
        blocks = -(-len(features) // lanes)
        fill = blocks * lanes - len(features)
        if fill:
            features = np.concatenate([features, np.repeat(features[-1:], fill, axis=0)])
        weight, bias = self._last()
        result = np.empty((blocks, len(bias), lanes), dtype=weight.dtype)
        step = max(1, ROWS // lanes)
        with one_blas_thread() if len(features) >= _MANY else nullcontext():
            for start in range(0, blocks, step):
                values = self._hidden(features[start * lanes : (start + step) * lanes])
                np.matmul(weight, values.reshape(-1, lanes, values.shape[1]).mT, out=result[start : start + step])
                result[start : start + step] += bias[:, None]
        return result.reshape(blocks, len(bias) * lanes)

    def _features(self, features: ArrayLike) -> np.ndarray:
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != self.architecture.inputs:
            raise ParameterError(
                f"features have shape {features.shape}, but this network takes (n, {self.architecture.inputs}); "
                "compute them with the features that it was trained on"
            )
        return features

    def _evaluate(self, features: np.ndarray, result: np.ndarray) -> None:
        values = self._hidden(features)
        if self._single:
            weight, bias = self._single[-1]
            np.add(values @ weight.T, bias, out=result)
            return
        tensors, last = self._compute, self.architecture.layers - 1
        np.matmul(values, tensors[f"weight{last}"].T, out=result)
        result += tensors[f"bias{last}"]
        result *= tensors["output_scale"]
        result += tensors["output_mean"]

    def _hidden(self, features: np.ndarray) -> np.ndarray:
        """What the last layer sees of these features, standardised features if it is the only one."""
        if self._single:
            return self._single_hidden(features)
        tensors = self._compute
        values = (features - tensors["input_mean"]) / tensors["input_scale"]
        for layer in range(self.architecture.layers - 1):
            values = values @ tensors[f"weight{layer}"].T
            self._activate(values, tensors[f"bias{layer}"], layer)
        return values

    def _last(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias of the last layer, which scale the outputs."""
        if self._single:
            return self._single[-1]
        tensors, last = self._compute, self.architecture.layers - 1
        scale = tensors["output_scale"]
        return tensors[f"weight{last}"] * scale[:, None], tensors[f"bias{last}"] * scale + tensors["output_mean"]

    def _activate(self, values: np.ndarray, bias: np.ndarray, layer: int) -> None:
        activation = self.architecture.activation
        values += bias
        ACTIVATIONS[activation](values, *([self._compute[f"slope{layer}"]] if activation == "prelu" else []))

    def _single_hidden(self, features: np.ndarray) -> np.ndarray:
        values, activation = features.astype(np.float32), self.architecture.activation
        for layer, (weight, bias) in enumerate(self._single[:-1]):
            values = values @ weight.T
            if activation in _SINGLE:
                _SINGLE[activation](values, bias)
            else:
                self._activate(values, bias, layer)
        return values

    def __repr__(self) -> str:
        # the standardisation is measured, not trained: it does not count
        trained = sum(values.size for name, values in self._tensors.items() if name.startswith(TRAINED))
        return f"Perceptron({self.architecture}, {trained} parameters)"


def prefixed(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    """Names with ``prefix`` and a dot before them (unchanged for the empty one): one network of several in a file."""
    return {f"{prefix}.{name}" if prefix else name: values for name, values in tensors.items()}


def unprefixed(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    """The tensors that `prefixed` named, under their own names again; those of other networks are left out."""
    if not prefix:
        return {name: values for name, values in tensors.items() if "." not in name}
    start = f"{prefix}."
    return {name.removeprefix(start): values for name, values in tensors.items() if name.startswith(start)}


def with_standardisation(architecture: Architecture, tensors: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
    """The tensors, with mean 0 and scale 1 (float64) where an array of the standardisation is missing."""
    identity = {
        name: (np.ones if name.endswith("scale") else np.zeros)(shape)
        for name, shape in architecture.shapes.items()
        if name.endswith(("_mean", "_scale"))
    }
    return {**identity, **tensors}


def _width(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool | np.timedelta64) or value < 1:
        raise ParameterError(f"{name}={brief(value)} is no layer width; it must be an integer of at least 1")
    return int(value)


def _frozen(values: ArrayLike) -> np.ndarray:
    """A copy that nobody can change: float32 stays float32, everything else becomes float64."""
    values = np.asarray(values)
    copy = np.array(values, dtype=np.float32 if values.dtype == np.float32 else np.float64, order="C")
    copy.flags.writeable = False
    return copy


def _defect(tensors: Mapping[str, ArrayLike], architecture: Architecture, prefix: str = "") -> str | None:
    """The first reason why ``tensors`` are no such network, in words; None if they are one."""
    shapes = architecture.shapes
    strangers = sorted(set(tensors) - set(shapes))
    if strangers:
        return f"{next(iter(prefixed({strangers[0]: None}, prefix)))} is none of its tensors"
    for name, shape in shapes.items():
        full = f"{prefix}.{name}" if prefix else name
        if name not in tensors:
            return f"{full} {shape} is missing"
        defect = _array_defect(np.asarray(tensors[name]), shape, positive=name.endswith("_scale"))
        if defect:
            return f"{full} {defect}"
    return None


def _array_defect(values: np.ndarray, shape: tuple[int, ...], positive: bool) -> str | None:
    if values.shape != shape:
        return f"has shape {values.shape} instead of {shape}"
    if values.dtype.kind not in "fiu":
        return f"holds {values.dtype} instead of real numbers"
    finite = np.isfinite(values)
    if not finite.all():
        return f"holds {values[~finite][0]} at {tuple(map(int, np.argwhere(~finite)[0]))}"
    if positive and (values <= 0).any():
        return f"holds the scale {values[values <= 0][0]:g}, which must be positive"
    return None
