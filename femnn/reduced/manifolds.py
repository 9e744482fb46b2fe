"""Curved subspaces: the first coordinates of a global basis are free, the others follow from them.

Kolmogorov's widths of a travelling front fall so slowly that many modes are needed; the coefficients of most of these
are functions of the first few. :class:`QuadraticManifold` fits these by quadratic polynomials (J. Barnett, C. Farhat,
J. Comput. Phys. 464 (2022) 111348), :class:`NetworkClosure` by a perceptron (J. Barnett, C. Farhat, Y. Maday, J.
Comput. Phys. 492 (2023) 112420).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.exceptions import DatasetError, ParameterError
from femnn.io.weight_files import load_weights, save_weights
from femnn.networks.perceptron import Architecture, Perceptron
from femnn.reduced.manifold_kernels import features_of_rows, slopes_at

KIND = "reduced-closure"

# Penalties of a fit, relative to the largest square of a feature, of which the best on held-out snapshots is taken.
_RIDGES = 10.0 ** np.arange(-12.0, -1.0)
_HELD_OUT = 0.1


class Manifold:
    """States a = (q, offset + output · h(q)) in the coefficients of a global basis: ``n`` are free, r - n follow.

    The features h are few: a reduced model that needs a few cells multiplies their modes with ``output`` beforehand, so
    that r no longer matters.

    Parameters
    ----------
    n
        Free coordinates.
    output : (r - n, m)
        What multiplies the features.
    offset : (r - n,)
    size
        Root of the mean square of |q| over the snapshots.
    widths, layers
        Hidden layers of a network, flat, as ``manifold_kernels`` takes them; of none, the features are the products
        q_i q_j, i ≤ j.

    Examples
    --------
    >>> from femnn.reduced import Manifold
    >>> flat = Manifold.linear(2, size=1.0)
    >>> flat.lift([0.5, 0.4]), flat.tangent([0.5, 0.4])
    (array([0.5, 0.4]), array([[1., 0.],
           [0., 1.]]))

    See Also
    --------
    femnn.reduced.QuadraticManifold, femnn.reduced.NetworkClosure : those that bend
    """

    @checked(n="[1, inf)", output="k m", offset="k", size="(0, inf)", widths="int l", layers="p")
    def __init__(
        self,
        n: int,
        output: np.ndarray,
        offset: np.ndarray,
        size: float,
        widths: ArrayLike = (),
        layers: ArrayLike = (),
    ) -> None:
        self.n, self.output, self.offset, self.size = n, output, offset, size
        self.widths = np.array([n, *np.asarray(widths, dtype=np.int64)])
        self.layers = np.ascontiguousarray(layers, dtype=float)

    @classmethod
    @checked(n="[1, inf)", size="(0, inf)")
    def linear(cls, n: int, size: float) -> "Manifold":
        """The flat one: no coordinates but the free ones."""
        return cls(n, np.zeros((0, n * (n + 1) // 2)), np.zeros(0), size)

    @property
    def r(self) -> int:
        """All coefficients."""
        return self.n + len(self.offset)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n} coordinates, {self.r - self.n} that follow)"

    @checked(q="any")
    def lift(self, q: ArrayLike) -> np.ndarray:
        """Coefficients (r,) of coordinates (n,), or rows (number, r) of (number, n)."""
        rows = self._rows(q)
        h = features_of_rows(rows, self.widths, self.layers)
        a = np.concatenate([rows, self.offset + h @ self.output.T], axis=1)
        return a[0] if np.ndim(q) == 1 else a

    @checked(q="any")
    def tangent(self, q: ArrayLike) -> np.ndarray:
        """Derivative (r, n) of :meth:`lift` at coordinates (n,)."""
        if np.ndim(q) != 1:
            raise ParameterError(f"q has shape {np.shape(q)}; a tangent is that of one point, ({self.n},)")
        slopes = slopes_at(self._rows(q)[0], self.widths, self.layers)
        return np.concatenate([np.eye(self.n), self.output @ slopes])

    @checked(a="any")
    def project(self, a: ArrayLike) -> np.ndarray:
        """Coordinates of coefficients (r,) or rows of them: the first ``n``, as the snapshots were fitted."""
        a = np.asarray(a, dtype=float)
        if a.shape[-1:] != (self.r,):
            raise ParameterError(f"a has shape {a.shape}; pass {self.r} coefficients along the last axis")
        return a[..., : self.n]

    def _rows(self, q):
        q = np.atleast_2d(np.asarray(q, dtype=float))
        if q.ndim != 2 or q.shape[1] != self.n:
            raise ParameterError(f"q has shape {q.shape}; pass ({self.n},) or (number, {self.n})")
        return np.ascontiguousarray(q)


class QuadraticManifold(Manifold):
    """Coefficients beyond the first ``n`` as quadratic polynomials of these, without constant and linear terms.

    See :meth:`fit`.

    Examples
    --------
    >>> q = np.random.default_rng(0).uniform(-1.0, 1.0, (50, 2))
    >>> a = np.stack([q[:, 0], q[:, 1], q[:, 0] * q[:, 1]], axis=1)
    >>> manifold = QuadraticManifold.fit(a, 2)
    >>> manifold.lift([0.5, 0.4]).round(6).tolist()
    [0.5, 0.4, 0.2]
    """

    @classmethod
    @checked(coefficients="m r", n="[1, inf)", seed="[0, inf)")
    def fit(cls, coefficients: ArrayLike, n: int, *, seed: int = 0) -> "QuadraticManifold":
        """Least squares with a penalty that is chosen on a tenth of the snapshots, and then used with all.

        Parameters
        ----------
        coefficients : (m, r)
            Of snapshots in a global basis, a row each.
        n
            Free coordinates, fewer than r.
        seed
            Which snapshots are held out.

        Raises
        ------
        DatasetError
            If there are fewer than ten snapshots.
        """
        q, rest = split_coordinates(coefficients, n)
        size, scale = size_of(q), np.maximum(np.abs(q).max(axis=0), 1e-300)
        h = features_of_rows(np.ascontiguousarray(q / scale), np.array([n]), np.zeros(0))
        held_out = held_out_rows(len(q), seed)
        errors = [_missed(h, rest, held_out, ridge) for ridge in _RIDGES]
        output = _ridge(h, rest, _RIDGES[int(np.argmin(errors))])
        i, j = np.triu_indices(n)
        return cls(n, output / (scale[i] * scale[j]), np.zeros(rest.shape[1]), size)


class NetworkClosure(Manifold):
    """Coefficients beyond the first ``n`` as a perceptron of these; trained by
    :func:`femnn.reduced.fit_closure.fit_closure`.

    Parameters
    ----------
    network
        Perceptron with the activation "silu" or "tanh", from n to r - n values.
    size
        Root of the mean square of |q| over the snapshots.
    card
        What is known of its training.

    Examples
    --------
    >>> tensors = {"weight0": [[1.0]], "bias0": [0.0], "weight1": [[2.0]], "bias1": [0.5]}
    >>> closure = NetworkClosure(Perceptron(Architecture(1, 1, (1,), "tanh"), tensors), size=1.0)
    >>> closure.lift([0.0]).tolist(), closure.tangent([0.0]).tolist()
    ([0.0, 0.5], [[1.0], [2.0]])
    """

    @checked()
    def __init__(self, network: Perceptron, size: float, card: Mapping[str, Any] | None = None) -> None:
        shape = network.architecture
        if shape.activation not in ("silu", "tanh") or not shape.hidden:
            raise ParameterError(f"the network is {shape}; pass one with hidden layers and the activation silu or tanh")
        tensors = {name: np.asarray(values, dtype=float) for name, values in network.tensors().items()}
        # the standardisation of the input goes into the first layer, the scale of the output into the last
        first = tensors["weight0"] / tensors["input_scale"]
        tensors["bias0"] = tensors["bias0"] - first @ tensors["input_mean"]
        tensors["weight0"] = first
        last = len(shape.hidden)
        scale = tensors["output_scale"]
        flat = [tensors[f"{part}{layer}"].ravel() for layer in range(last) for part in ("weight", "bias")]
        super().__init__(
            shape.inputs,
            scale[:, None] * tensors[f"weight{last}"],
            scale * tensors[f"bias{last}"] + tensors["output_mean"],
            size,
            shape.hidden,
            # the first number says which activation
            np.concatenate([[1.0 if shape.activation == "tanh" else 0.0], *flat]),
        )
        self.network, self.card = network, dict(card or {})

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``; returns the former."""
        card = {
            "kind": KIND,
            "what": f"{self.r - self.n} coefficients of a reduced basis from the first {self.n}, {self.network}",
            "architectures": {"closure": self.network.architecture.to_dict()},
            "trained_range": "states near the snapshots",
            "data": {"size": self.size},
            "training": self.card.get("training", {}),
            "test": self.card.get("test", {}),
        }
        return save_weights(path, self.network.tensors("closure"), card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike) -> "NetworkClosure":
        """Read what :meth:`save` wrote; WeightFileError if it is damaged or of another kind."""
        tensors, card = load_weights(path, KIND)
        shape = Architecture.from_dict(card["architectures"]["closure"])
        network = Perceptron.from_tensors(tensors, shape, "closure", str(path))
        return cls(network, card["data"]["size"], {"training": card["training"], "test": card["test"]})


def split_coordinates(coefficients: ArrayLike, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The first ``n`` columns, and the others; an error if one of the two would be none, or there are few rows."""
    coefficients = np.asarray(coefficients, dtype=float)
    if len(coefficients) < 10:
        raise DatasetError(f"{len(coefficients)} snapshots are too few to fit and to hold some out; pass 10 or more")
    if n >= coefficients.shape[1]:
        raise ParameterError(f"n={n} leaves none of the {coefficients.shape[1]} coefficients to follow; pass fewer")
    return coefficients[:, :n], coefficients[:, n:]


def held_out_rows(count: int, seed: int) -> np.ndarray:
    """Which (count,) rows are held out: a tenth, drawn by ``seed``."""
    drawn = np.random.default_rng(seed).permutation(count)
    return np.isin(np.arange(count), drawn[: max(1, round(_HELD_OUT * count))])


def size_of(q: np.ndarray) -> float:
    """Root of the mean square of the rows; DatasetError if they vanish."""
    size = float(np.sqrt((q**2).sum(axis=1).mean()))
    if not size > 0.0:
        raise DatasetError("the first coefficients of all snapshots are zero: there is nothing to fit")
    return size


def _ridge(h, rest, ridge):
    gram = h.T @ h
    # coordinates that vanish make features that do, whose factors are zero then
    return np.linalg.lstsq(gram + ridge * gram.diagonal().max() * np.eye(len(gram)), h.T @ rest, rcond=1e-15)[0].T


def _missed(h, rest, held_out, ridge):
    output = _ridge(h[~held_out], rest[~held_out], ridge)
    return float(np.linalg.norm(rest[held_out] - h[held_out] @ output.T))
