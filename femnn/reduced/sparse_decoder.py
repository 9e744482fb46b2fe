"""A curved manifold of all unknowns: one hidden layer, and outputs each of which reads a few units.

The decoder of an autoencoder whose last layer is masked: a value needs the hidden units of its surroundings alone, so
that a reduced model on a few cells evaluates a few units (Y. Kim, Y. Choi, D. Widemann, T. Zohdi, J. Comput. Phys. 451
(2022) 110841).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse

from femnn.checks import brief, checked, instance
from femnn.exceptions import ParameterError
from femnn.io.weight_files import load_contents, save_weights
from femnn.networks.perceptron import Architecture, Perceptron
from femnn.reduced.decoder_kernels import PartOfDecoder, part_of_decoder
from femnn.reduced.manifold_kernels import features_of_rows, slopes_at

KIND = "reduced-decoder"

# Gauss-Newton iterations of a projection, and the relative change after which they end.
_MOST, _ENOUGH = 50, 1e-8


class SparseDecoder:
    """States x = offset + output · silu(weight z + bias) of coordinates z (n,), with a sparse ``output``.

    Trained by :func:`femnn.reduced.fit_autoencoder.fit_autoencoder`, or drawn and fitted by
    :func:`femnn.reduced.random_feature_decoder`.

    Parameters
    ----------
    weight : (units, n), bias : (units,)
    output
        Sparse (N, units).
    offset : (N,)
    encoder
        Perceptron from the products of ``modes`` with a state to its coordinates.
    modes : (N, r)
    size
        Root of the mean square of |z| over the snapshots.
    card
        What is known of the training.

    Examples
    --------
    >>> scales = {"weight0": [[1.0]], "bias0": [0.0]}
    >>> encoder = Perceptron(Architecture(1, 1, (), "silu"), scales)
    >>> output = csr_array(np.array([[2.0, 0.0], [0.0, 1.0]]))
    >>> decoder = SparseDecoder([[1.0], [-1.0]], [0.0, 0.0], output, [0.0, 1.0], encoder, [[1.0], [0.0]], 1.0)
    >>> x = decoder.lift([0.5])
    >>> bool(np.allclose(decoder.project(x), 0.5))
    True
    >>> decoder.part([1]).values[:2]  # one unit is enough for the second value
    array([1., 0.], dtype=float32)
    """

    @checked(weight="u n", bias="u", offset="k", modes="k r", size="(0, inf)")
    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike,
        output: Any,
        offset: ArrayLike,
        encoder: Perceptron,
        modes: ArrayLike,
        size: float,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self.weight, self.bias, self.offset, self.modes = (
            np.ascontiguousarray(values, dtype=float) for values in (weight, bias, offset, modes)
        )
        if not issparse(output) or output.shape != (len(self.offset), len(self.bias)):
            raise ParameterError(
                f"output is {brief(output)}; pass a sparse matrix of shape {(len(self.offset), len(self.bias))}"
            )
        self.output = csr_array(output)
        self.encoder, self.size, self.card = instance("encoder", encoder, Perceptron), size, dict(card or {})
        shape = self.encoder.architecture
        if (shape.inputs, shape.outputs) != (self.modes.shape[1], self.n):
            raise ParameterError(f"the encoder is {shape}; it must go from {self.modes.shape[1]} to {self.n} values")
        self._widths, self._layers = _layer(self.weight, self.bias)

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return self.weight.shape[1]

    def __repr__(self) -> str:
        units, most = len(self.bias), int(np.diff(self.output.indptr).max())
        return (
            f"SparseDecoder({self.n} coordinates, {units} units, at most {most} for each of {len(self.offset)} values)"
        )

    @checked(z="any")
    def lift(self, z: ArrayLike) -> np.ndarray:
        """States (N,) of coordinates (n,), or rows (number, N) of (number, n)."""
        rows = np.ascontiguousarray(np.atleast_2d(np.asarray(z, dtype=float)))
        if rows.shape[1] != self.n:
            raise ParameterError(f"z has shape {np.shape(z)}; pass ({self.n},) or (number, {self.n})")
        states = (self.output @ features_of_rows(rows, self._widths, self._layers).T).T + self.offset
        return states[0] if np.ndim(z) == 1 else states

    @checked(z="n")
    def tangent(self, z: np.ndarray) -> np.ndarray:
        """Derivative (N, n) of :meth:`lift`."""
        if len(z) != self.n:
            raise ParameterError(f"z has shape {z.shape}; pass ({self.n},)")
        return self.output @ slopes_at(z, self._widths, self._layers)

    @checked(x="k")
    def encode(self, x: np.ndarray) -> np.ndarray:
        """Coordinates (n,) of a state by the encoder alone, which are near those of :meth:`project`."""
        if x.shape != self.offset.shape:
            raise ParameterError(f"x has shape {x.shape}; pass {self.offset.shape}")
        return self.encoder((x @ self.modes)[None])[0].copy()

    @checked(x="k")
    def project(self, x: np.ndarray) -> np.ndarray:
        """Coordinates (n,) of the nearest state: by the encoder, and by Gauss and Newton's method from there."""
        z = self.encode(x)
        missed = float(np.linalg.norm(x - self.lift(z)))
        for _ in range(_MOST):
            step = np.linalg.lstsq(self.tangent(z), x - self.lift(z), rcond=None)[0]
            length = 1.0
            while (least := float(np.linalg.norm(x - self.lift(z + length * step)))) > missed and length > 1e-3:
                length *= 0.5
            if least > missed:
                break
            z, missed = z + length * step, least
            if np.linalg.norm(step) <= _ENOUGH * self.size:
                break
        return z

    @checked(rows="int k")
    def part(self, rows: ArrayLike) -> PartOfDecoder:
        """What the values ``rows`` (k,) need: the units that they read, no others."""
        rows = np.asarray(rows, dtype=np.int64)
        output = self.output[rows]
        units = np.unique(output.indices)
        return part_of_decoder(self.weight[units], self.bias[units], output[:, units], self.offset[rows])

    # --- files

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``; returns the former."""
        tensors = {
            "weight": self.weight,
            "bias": self.bias,
            "offset": self.offset,
            "modes": self.modes,
            "output.data": self.output.data,
            "output.indices": self.output.indices.astype(np.int64),
            "output.indptr": self.output.indptr.astype(np.int64),
            **self.encoder.tensors("encoder"),
        }
        card = {
            "kind": KIND,
            "what": f"decoder and encoder of {len(self.offset)} values, {self!r}",
            "architectures": {"encoder": self.encoder.architecture.to_dict()},
            "trained_range": "states near the snapshots",
            "data": {"size": self.size},
            "training": self.card.get("training", {}),
            "test": self.card.get("test", {}),
        }
        return save_weights(path, tensors, card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike) -> "SparseDecoder":
        """Read what :meth:`save` wrote; WeightFileError if it is damaged or of another kind."""
        contents = load_contents(path, KIND)
        file, card, tensors = contents.file, contents.fields, contents.arrays
        shape = Architecture.from_dict(card["architectures"]["encoder"])
        offset = contents.array("offset", (None,))
        indptr = contents.array("output.indptr", (len(offset) + 1,), np.int64)
        indices = contents.array("output.indices", (None,), np.int64)
        bias = contents.array("bias", (None,))
        with file.checked():
            data = contents.array("output.data", (len(indices),))
            output = csr_array((data, indices, indptr), shape=(len(offset), len(bias)))
            output.check_format(full_check=True)
        return cls(
            contents.array("weight", (len(bias), shape.outputs)),
            bias,
            output,
            offset,
            Perceptron.from_tensors(tensors, shape, "encoder", str(path)),
            contents.array("modes", (len(offset), shape.inputs)),
            contents.part("data").number("size"),
            {"training": card["training"], "test": card["test"]},
        )


def blocks_of(count: int, blocks: ArrayLike, neighbours: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Blocks (g, b) and the numbers (g, s) of blocks that each reads, if they are a partition of ``count`` values.

    Examples
    --------
    >>> blocks, neighbours = blocks_of(4, [[0, 1], [2, 3]], [[0], [1]])
    >>> blocks.shape, neighbours.shape
    ((2, 2), (2, 1))
    """
    blocks, neighbours = np.asarray(blocks, dtype=np.int64), np.asarray(neighbours, dtype=np.int64)
    if not np.array_equal(np.sort(blocks.ravel()), np.arange(count)):
        raise ParameterError(f"the blocks do not hold each of {count} values once; pass a partition of them")
    if neighbours.min() < 0 or neighbours.max() > len(blocks):
        raise ParameterError(f"neighbours must be from 0 to {len(blocks)}, which stands for none")
    return blocks, neighbours


def sparse_output(factors: np.ndarray, blocks: np.ndarray, neighbours: np.ndarray, units: int) -> csr_array:
    """Factors (g, s units, b) as a sparse matrix from the ``units`` of all blocks to all values.

    Examples
    --------
    >>> sparse_output(np.ones((2, 1, 2)), np.array([[0, 1], [2, 3]]), np.array([[0], [1]]), 1).toarray().tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    columns = unit_columns(len(blocks), neighbours, units)
    rows = np.broadcast_to(blocks[:, None], factors.shape)
    columns = np.broadcast_to(columns[:, :, None], factors.shape)
    kept = columns >= 0
    return csr_array((factors[kept], (rows[kept], columns[kept])), shape=(blocks.size, len(blocks) * units))


def unit_columns(g: int, neighbours: np.ndarray, units: int) -> np.ndarray:
    """Numbers (g, s units) of the units that each block reads; -1 for those of no block.

    Examples
    --------
    >>> unit_columns(2, np.array([[0, 1], [1, 2]]), 2).tolist()
    [[0, 1, 2, 3], [2, 3, -1, -1]]
    """
    columns = units * neighbours[:, :, None] + np.arange(units)
    return np.where(neighbours[:, :, None] < g, columns, -1).reshape(g, -1)


def _layer(weight, bias):
    """One hidden layer with the activation silu, flat."""
    widths = np.array([weight.shape[1], len(bias)])
    return widths, np.concatenate([[0.0], weight.ravel(), bias])
