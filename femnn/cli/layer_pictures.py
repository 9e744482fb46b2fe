"""Pictures of laws of precompressed layers on paths that they have not seen."""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from femnn.cli.train_layer import unseen_rows
from femnn.cohesive.training.data import responses
from femnn.cohesive.training.precompressed_data import layer_data, targets
from femnn.plotting import save


def draw_unseen(path, data, laws, most=4):
    """Draw unseen paths, those that other samples follow too before the others.

    Parameters
    ----------
    path
        Of the picture.
    data : femnn.io.path_data.PathDataSet
    laws : dict
        By the name that the legend has for them.
    most
        Number of paths.
    """
    rows = unseen_rows(data)
    shared = np.array([(data.path == data.path[row]).sum() for row in rows])
    rows = rows[np.argsort(-shared, kind="stable")][:most]
    figure = Figure(figsize=(1.0 + 3.4 * len(rows), 7.2), layout="constrained")
    axes = figure.subplots(3, len(rows), squeeze=False, sharex="col", sharey="row")
    for column, row in zip(axes.T, rows, strict=True):
        _draw_path(column, data, row, laws)
    for line, label in zip(axes, ("separation, d", "ln(t_n / p0)", "t_s / t_n, first component"), strict=True):
        line[0].set_ylabel(label)
    for line in axes[:2, 0]:
        line.legend(fontsize=7)
    save(figure, path)


def _draw_path(axes, data, row, laws):
    path = layer_data(data, [row])
    points = np.arange(path.separations.shape[1])
    for component, label in enumerate(("opening", "first shear", "second shear")):
        axes[0].plot(points, path.separations[0, :, component], label=label)
    samples = targets(layer_data(data, np.flatnonzero(data.path == data.path[row])))
    answers = {"record": targets(path)[0]}
    answers |= {name: targets(replace(path, tractions=responses(law, path)))[0] for name, law in laws.items()}
    for line in (0, 1):
        low, high = samples[..., line].min(axis=0), samples[..., line].max(axis=0)
        axes[1 + line].fill_between(points, low, high, color="0.85", label=f"{len(samples)} samples")
        for name, answer in answers.items():
            style = {"color": "black", "linewidth": 2} if name == "record" else {"linewidth": 1.2}
            axes[1 + line].plot(points, answer[:, line], label=name, **style)
    axes[2].set_xlabel("point of the path")
    axes[0].set_title(f"path {data.path[row]}", fontsize=9)
