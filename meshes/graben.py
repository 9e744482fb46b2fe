"""A graben under a seal: three compartments of rock between two faults that dip towards each other and end inside.

The layers of the compartment in the middle have sunk, so that sand ends against seal on both faults. The plane section
is unstructured; swept along the strike, the faults bend and the layers bulge.
"""

from itertools import pairwise

import numpy as np
from sweeping import join, mesh_plane, on_layer, plane_model, sweep


class Graben:
    """Dimensions (m)."""

    width, length, height = 1000.0, 600.0, 500.0
    # of the faults: place at the level 0, m per m of height (60 degrees), levels of the tips, extent along the strike
    place, dip, tips, strike = 240.0, 1.0 / np.tan(np.pi / 3.0), 160.0, 400.0
    # top and bottom of the sand in the outer compartments, and how far it has sunk in the middle
    top, bottom, throw = 60.0, -60.0, 45.0
    # how far the faults bend along the strike, and how far the layers bulge
    bend, bulge = 30.0, 15.0
    layers = 24
    # lengths of the edges at the faults and far away
    near, far = 15.0, 38.0


def graben(coarser=1.0):
    """With the sides of the block, the parts ``west`` and ``east`` of faults that may slip, and cells of ``sand``."""
    g = Graben
    (x, z), quads, masks = graben_section(coarser)
    # even, so that a layer ends in the middle
    y = np.linspace(-0.5 * g.length, 0.5 * g.length, 2 * round(0.5 * g.layers / coarser) + 1)
    layers = np.stack([np.stack(place_in_graben(x, np.full_like(x, own), z), axis=1) for own in y])
    sides = {name: masks[name] for name in ("left", "right", "bottom", "top")}
    # the edges of a fault are its tips: a cell beyond them is whole again
    along = np.abs(y) <= 0.5 * g.strike
    faults = {
        name: (along[:, None] & (masks[name] & (np.abs(z) <= g.tips + 1e-9))).ravel() for name in ("west", "east")
    }
    block = sweep(quads, layers, sides)
    block.surfaces |= {"front": on_layer(layers, 0), "back": on_layer(layers, -1)}
    block.inner |= faults
    u, w = np.mean([x[quads], z[quads]], axis=2)
    sunk = np.where(np.abs(u) < g.place + g.dip * w, g.throw, 0.0)
    block.regions["sand"] = np.tile((w > g.bottom - sunk) & (w < g.top - sunk), len(y) - 1)
    return join([block])


def graben_section(coarser):
    """Points (2, n) of the section, quadrilaterals, and masks of the points on its sides and on the faults."""
    g = Graben
    half, low, high = 0.5 * g.width, -0.5 * g.height, 0.5 * g.height
    outside, inside = (g.bottom, g.top), (g.bottom - g.throw, g.top - g.throw)
    levels = sorted({low, -g.tips, *outside, *inside, g.tips, high})
    with plane_model(size=coarser * g.far) as gmsh:
        geo = gmsh.model.geo
        upright = {}
        for name, sign, is_fault in (("left", -1, False), ("west", -1, True), ("east", 1, True), ("right", 1, False)):
            upright[name] = {}
            for h in levels if is_fault else (low, *outside, high):
                x = sign * (g.place + g.dip * h) if is_fault else sign * half
                # cells are divided once more
                upright[name][h] = geo.addPoint(x, h, 0.0, 2.0 * coarser * (g.near if is_fault else g.far))
        lines = {}

        def line(a, b):
            """Curve between two points; negative where it runs the other way."""
            if (b, a) in lines:
                return -lines[b, a]
            if (a, b) not in lines:
                lines[a, b] = geo.addLine(a, b)
            return lines[a, b]

        def path(points, begin, end):
            """Curves along a fault or side from one height to another."""
            heights = [h for h in sorted(points, reverse=begin > end) if min(begin, end) <= h <= max(begin, end)]
            return [line(points[a], points[b]) for a, b in pairwise(heights)]

        parts = (("left", "west", outside), ("west", "east", inside), ("east", "right", outside))
        for first, second, sand in parts:
            a, b = upright[first], upright[second]
            for begin, end in zip((low, *sand), (*sand, high), strict=True):
                loop = [line(a[begin], b[begin]), *path(b, begin, end), line(b[end], a[end]), *path(a, end, begin)]
                geo.addPlaneSurface([geo.addCurveLoop(loop)])
        geo.synchronize()
        curves = {name: path(points, low, high) for name, points in upright.items()}
        for name, h in (("bottom", low), ("top", high)):
            curves[name] = [line(upright[a][h], upright[b][h]) for a, b, _ in parts]
        points, quads, masks = mesh_plane(gmsh, {name: np.abs(own) for name, own in curves.items()})
    return points.T, quads, masks


def place_in_graben(x, y, z):
    """Points of the section at the place ``y`` along the strike: nothing moves on the sides of the block."""
    g = Graben
    wave, inner_z = np.cos(np.pi * y / g.length) ** 2, 1.0 - (2.0 * z / g.height) ** 2
    inner_x = 1.0 - (2.0 * x / g.width) ** 2
    bent = x + g.bend * np.sin(2.0 * np.pi * y / g.length) * inner_x
    return bent, y, z + g.bulge * wave * inner_z * np.cos(np.pi * x / g.width)
