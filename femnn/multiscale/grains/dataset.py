"""The shipped responses of layers of grains, and how far samples differ along the same path."""

import os
from pathlib import Path

import numpy as np

from femnn.checks import checked
from femnn.exceptions import DatasetError
from femnn.io.path_data import PathDataSet

#: The data sets that come with femnn.
SHIPPED = Path(__file__).resolve().parents[2] / "data" / "grain-paths.npz"
SHIPPED_FAULT = SHIPPED.with_name("fault-grain-paths.npz")


@checked()
def load(path: str | os.PathLike | None = None) -> PathDataSet:
    """A data set; default: the shipped one, whose columns :func:`femnn.multiscale.grains.run.simulate_grains` lists.

    Raises
    ------
    DatasetError
        If a file is missing, damaged or of another kind.

    Examples
    --------
    >>> from femnn.multiscale.grains import load
    >>> data = load()
    >>> data.separation.shape, data.main_seed
    ((320, 140, 3), 0)
    """
    return PathDataSet.load(SHIPPED if path is None else path)


@checked()
def load_fault(path: str | os.PathLike | None = None) -> PathDataSet:
    """A data set of paths of a fault; default: the shipped one, as :func:`simulate_fault_grains` makes it.

    Raises
    ------
    DatasetError
        If a file is missing, damaged or of another kind.

    Examples
    --------
    >>> from femnn.multiscale.grains import load_fault
    >>> data = load_fault()
    >>> data.separation.shape[1:], len(set(data.seed.tolist())) > 1
    ((160, 3), True)
    """
    return PathDataSet.load(SHIPPED_FAULT if path is None else path)


@checked()
def scatter(data: PathDataSet) -> dict[str, float]:
    """Scatter between samples along the same command: root mean squares over the points of all shared paths.

    ``ratio`` is that of t_s/t_n (both components), ``log_normal`` that of ln t_n, each about the mean of the samples;
    points at which a sample carries less than a twentieth of p0 are left out, they number ``open``.

    Examples
    --------
    >>> from femnn.multiscale.grains import load, scatter
    >>> sorted(scatter(load()))
    ['log_normal', 'open', 'ratio']
    """
    # imports torch, which reading the data set does not need
    from femnn.cohesive.training import precompressed_data as layers

    samples = [layers.layer_data(data, rows) for rows in data.repeated()]
    if not samples:
        raise DatasetError("no two rows follow the same path; scatter between samples needs paths under several seeds")
    errors = layers.scatter(samples)
    pressed = [(layers.targets(sample)[..., 3] > 0.0).all(axis=0) for sample in samples]
    return {"ratio": errors["ratio"], "log_normal": errors["ln_normal"], "open": float(1.0 - np.mean(pressed))}
