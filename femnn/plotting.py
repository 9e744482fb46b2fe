"""Pictures with matplotlib, without pyplot and its global state: safe in scripts, servers and threads."""

import os
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D, proj3d
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from numpy.typing import ArrayLike
from skfem import MeshHex

from femnn.io.atomic import atomic_write

#: Colour of cells without a value.
PLAIN = (0.75, 0.79, 0.83, 1.0)

# Above this many faces their edges would be all that one sees.
_MOST_FACES_WITH_EDGES = 8_000


def draw_surface(
    axes: Axes3D,
    mesh: MeshHex,
    values: ArrayLike | None = None,
    displacement: ArrayLike | None = None,
    norm: Normalize | None = None,
    cmap: str | Colormap = "viridis",
    **kw: Any,
) -> Poly3DCollection:
    """Draw the boundary of a hexahedral mesh, each face in the colour of its cell.

    Parameters
    ----------
    axes
        Matplotlib axes with ``projection="3d"``. Their limits are set to the mesh, their frame is switched off. Light
        falls from above the viewer's shoulder: call ``axes.view_init`` before.
    mesh
        A ``skfem.MeshHex``.
    values : (n_elements,)
        One number per cell; without it all faces are grey, and so are those of cells whose value is NaN.
    displacement : (3, n_vertices)
        Added to the vertices, so magnify it before.
    norm, cmap
        As elsewhere in matplotlib; without ``norm`` the colours span the finite ``values``.
    **kw
        Passed on to ``Poly3DCollection``: ``linewidth`` and ``edgecolor`` for instance.

    Returns
    -------
    Poly3DCollection
        ``figure.colorbar(draw_surface(...))`` shows the scale of ``values``.
    """
    facets = mesh.boundary_facets()
    if not len(facets):
        # elements that coincide have no surface: show all faces
        facets = np.arange(mesh.nfacets)
    cells = mesh.f2t[0, facets]
    vertices = mesh.p if displacement is None else mesh.p + np.asarray(displacement)
    polygons = vertices.T[mesh.facets[:, facets].T]
    values = np.full(mesh.nelements, np.nan) if values is None else np.asarray(values, dtype=float)
    norm = _spanning(values) if norm is None else norm
    cmap = colormaps[cmap] if isinstance(cmap, str) else cmap
    colours = _colours(values[cells], norm, cmap)
    colours[:, :3] *= _brightness(polygons, axes)[:, None]
    crowded = len(facets) > _MOST_FACES_WITH_EDGES
    # faces without edges of their own colour show hairlines of background between them
    style = {"linewidth": 0.15, "edgecolor": colours if crowded else (0.0, 0.0, 0.0, 0.5)}
    surface = Poly3DCollection(polygons, facecolors=colours, cmap=cmap, norm=norm, **{**style, **kw})
    axes.add_collection3d(surface)
    _frame(axes, polygons.reshape(-1, 3))
    return surface


def save(figure: Figure, path: str | os.PathLike, dpi: float = 150) -> None:
    """Write ``figure`` as the PNG file ``path``, whole or not at all; its folder is made if need be."""
    FigureCanvasAgg(figure)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)


def _spanning(values):
    finite = values[np.isfinite(values)]
    return Normalize(finite.min(), finite.max()) if len(finite) else Normalize(0.0, 1.0)


def _colours(values, norm, cmap):
    """RGBA of each face, (n, 4)."""
    finite = np.isfinite(values)
    colours = np.tile(PLAIN, (len(values), 1))
    colours[finite] = cmap(norm(values[finite]))
    return colours


def _brightness(polygons, axes):
    """Light on each face, (n,), 0.6 where it grazes to 1; the same from both sides, because folded cells show two."""
    normals = np.cross(polygons[:, 2] - polygons[:, 0], polygons[:, 3] - polygons[:, 1])
    lengths = np.linalg.norm(normals, axis=1)
    azimuth, elevation = np.radians(axes.azim - 30.0), np.radians(min(axes.elev + 20.0, 85.0))
    light = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    cosine = np.divide(np.abs(normals @ light), lengths, out=np.ones(len(normals)), where=lengths > 0)
    return 0.6 + 0.4 * cosine


def _frame(axes, points):
    """Equal scales on the three axes, no frame around them, as large as the axes allow from this point of view."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6 * (high - low).max())
    axes.set(**{f"{name}lim": (m - h, m + h) for name, m, h in zip("xyz", middle, half, strict=True)})
    axes.set_axis_off()
    zoom = 1.0
    for _ in range(3):  # perspective: the size in the picture is not quite proportional to the zoom
        axes.set_box_aspect(half, zoom=zoom)
        x, y, _ = proj3d.proj_transform(*points.T, axes.get_proj())
        in_axes = axes.transLimits.transform(np.stack([x, y], axis=1))
        zoom *= 0.49 / max(np.abs(in_axes - 0.5).max(), 1e-3)
    axes.set_box_aspect(half, zoom=zoom)
