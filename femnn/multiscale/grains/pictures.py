"""Pictures of layers of grains and of what they did along a path, drawn onto matplotlib's axes."""

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import EllipseCollection
from matplotlib.colors import Normalize
from scipy.spatial import cKDTree

_FIRST, _SECOND, _THIRD = "#0072b2", "#d55e00", "#009e73"


def contact_counts(place, radius, width):
    """Number of grains that each one touches, (n,); grains of the slabs touch each other, too.

    Parameters
    ----------
    place, radius : (n, 3), (n,)
    width : float
        Period along the first two axes.
    """
    height = place[:, 2].max() - place[:, 2].min() + 4.0 * radius.max()
    inside = np.column_stack([place[:, :2] % width, place[:, 2] - place[:, 2].min()])
    pairs = cKDTree(inside, boxsize=[width, width, height]).query_pairs(2.0 * radius.max(), output_type="ndarray")
    gap = inside[pairs[:, 0]] - inside[pairs[:, 1]]
    gap[:, :2] -= width * np.round(gap[:, :2] / width)
    touching = pairs[np.linalg.norm(gap, axis=1) < radius[pairs].sum(axis=1)]
    return np.bincount(touching.ravel(), minlength=len(place))


def draw_grains(axes, place, radius, free, width, cmap="viridis"):
    """Draw a sample from the side: free grains in the colour of their number of contacts, slabs grey, far ones pale.

    Parameters
    ----------
    axes
        Matplotlib axes; limits, labels and aspect are set.
    place, radius, free, width
        See :func:`femnn.multiscale.grains.layer.sample_grains`; the third axis is normal to the layer.

    Returns
    -------
    EllipseCollection
        ``figure.colorbar`` shows its scale.
    """
    norm = Normalize(0.0, 9.0)
    colours = colormaps[cmap](norm(contact_counts(place, radius, width)))[:, :3]
    colours[~free] = 0.6
    depth = place[:, 1:2] % width / width * 0.7
    colours = colours * (1.0 - depth) + depth
    order = np.argsort(-depth[:, 0])
    size = 2.0 * radius[order]
    drawn = EllipseCollection(
        size, size, np.zeros(len(size)), units="xy", facecolors=colours[order], edgecolors=(0.0, 0.0, 0.0, 0.4),
        offsets=np.column_stack([place[order, 0] % width, place[order, 2]]), offset_transform=axes.transData,
        linewidths=0.3, cmap=cmap, norm=norm,
    )  # fmt: skip
    axes.add_collection(drawn)
    axes.set(xlim=(-0.7, width + 0.7), ylim=(place[:, 2].min() - 0.7, place[:, 2].max() + 0.7), aspect="equal")
    axes.set(xlabel="x / d", ylabel="z / d")
    return drawn


def draw_response(axes, response):
    """Draw what a layer did along a path over the way that it was sheared.

    Parameters
    ----------
    axes
        Five matplotlib axes: stress ratio; opening; pressure; contacts per grain and porosity; fabric.
    response : PathResponse
        From :func:`femnn.multiscale.grains.layer.run_path`, or a row of a data set.
    """
    ratio, opening, normal, contacts, fabric = axes
    shear = response.separation[:, 1:]
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(shear, axis=0), axis=1))])
    pressure = np.maximum(-response.traction[:, 0], 1e-9)
    ratio.plot(way, response.traction[:, 1] / pressure, color=_FIRST, label="$t_x/t_n$")
    ratio.plot(way, response.traction[:, 2] / pressure, color=_SECOND, label="$t_y/t_n$")
    ratio.plot(way, response.love_weber[:, 1] / pressure, ":", color="black", label="by contacts")
    opening.plot(way, response.separation[:, 0], color=_FIRST, label="opening / d")
    normal.plot(way, pressure, color=_FIRST, label="$t_n/p_0$")
    normal.plot(way, -response.love_weber[:, 0], ":", color="black", label="by contacts")
    contacts.plot(way, response.coordination, color=_FIRST, label="contacts per grain")
    contacts.plot(way, 10.0 * response.porosity, color=_THIRD, label="10 × porosity")
    fabric.plot(way, -response.fabric[:, 0, 1], color=_FIRST, label="$-F_{nx}$")
    fabric.plot(way, -response.fabric[:, 0, 2], color=_SECOND, label="$-F_{ny}$")
    fabric.plot(way, response.fabric[:, 0, 0] - 1.0 / 3.0, color=_THIRD, label="$F_{nn} - 1/3$")
    for panel in axes:
        panel.set_xlabel("shear path / d")
        # above the curves, which fill their panels
        panel.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
