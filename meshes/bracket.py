"""A wall bracket with a gusset, folded from an unrolled plate."""

from itertools import pairwise

import numpy as np
from sweeping import divide, fading, join, mesh_plane, on_layer, plane_model, sweep


class Bracket:
    """Dimensions (m). s runs down the wall flange, round the bend and out along the shelf; z = 0 is the shelf's top."""

    wall, shelf, width = 0.100, 0.080, 0.080
    bend_radius = 0.012
    bend = 0.5 * np.pi * bend_radius
    thickness, free_thickness = 0.012, 0.007
    corner_radius = 0.006
    bolts = ((0.022, -0.022), (0.022, 0.022), (0.062, -0.024), (0.062, 0.024))  # (s, y)
    bolt_radius, head_radius = 0.0055, 0.0085
    meshed_radius = 0.0068  # of the bolt holes before they become cones
    pin = (wall + bend + 0.056, 0.0)
    pin_radius = 0.010
    rib_thickness, rib_wall, rib_shelf, rib_toe = 0.010, 0.056, 0.034, 0.006
    # elements along the gusset's foot on wall, bend and shelf, on its toes, and through it
    rib_counts = (14, 6, 8)
    toe_count, rib_layers = 2, 2
    corner_count, bolt_count, pin_count = 2, 16, 20  # a quarter turn, whole turns


def bracket():
    """Wall bracket: four countersunk bolt holes, a pin hole in the shelf, a gusset in the bend, tapered flanges."""
    points, quads, masks = bracket_plate()
    through = np.linspace(0.0, 1.0, 5)
    s, y = points.T
    layers = np.stack([place_on_bracket(*countersink(s, y, n), n) for n in through])
    plate = sweep(quads, layers, {"fixed": masks["bolts"], "load": masks["pin"]})
    plate.surfaces["wall"] = on_layer(layers, -1) & np.tile(s <= Bracket.wall + 1e-9, len(through))
    points, quads, _ = bracket_rib()
    y = np.linspace(-0.5, 0.5, Bracket.rib_layers + 1) * Bracket.rib_thickness
    layers = np.stack([flat_back(np.insert(points, 1, value, axis=1)) for value in y])
    return join([plate, sweep(quads, layers, {})])


def bracket_plate():
    """The unfolded flanges in (s, y), with a strip under the gusset whose quadrilaterals match it."""
    b = Bracket
    with plane_model(size=0.005, algorithm=5) as gmsh:
        occ = gmsh.model.occ
        outline = occ.addRectangle(
            0, -b.width / 2, 0, b.wall + b.bend + b.shelf, b.width, roundedRadius=b.corner_radius
        )
        bolts = [(2, occ.addDisk(*centre, 0, b.meshed_radius, b.meshed_radius)) for centre in b.bolts]
        pin = [(2, occ.addDisk(*b.pin, 0, b.pin_radius, b.pin_radius))]
        plate, _ = occ.cut([(2, outline)], bolts + pin)
        stations = b.wall + np.array([-b.rib_wall, 0.0, b.bend, b.bend + b.rib_shelf])
        half = b.rib_thickness / 2
        strips = [(2, occ.addRectangle(a, -half, 0, c - a, 2 * half)) for a, c in pairwise(stations)]
        occ.fragment(plate, strips)
        occ.synchronize()

        def curves(low, high, y_low=-1.0, y_high=1.0):
            box = (low - 1e-6, y_low - 1e-6, -1e-6, high + 1e-6, y_high + 1e-6, 1e-6)
            return [tag for _, tag in gmsh.model.getEntitiesInBoundingBox(*box, 1)]

        for (a, c), count in zip(pairwise(stations), b.rib_counts, strict=True):
            divide(gmsh, curves(a, c, -half, -half) + curves(a, c, half, half), count)
            strip = gmsh.model.getEntitiesInBoundingBox(a - 1e-6, -half - 1e-6, -1, c + 1e-6, half + 1e-6, 1, 2)
            gmsh.model.mesh.setTransfiniteSurface(strip[0][1])
        for station in stations:
            divide(gmsh, curves(station, station, -half, half), b.rib_layers)
        low, high = -b.width / 2, b.width / 2
        ends = (0.0, b.corner_radius), (stations[-1] + b.shelf - b.rib_shelf - b.corner_radius, 1.0)
        for a, c in ends:
            corners = curves(a, c, low, low + b.corner_radius) + curves(a, c, high - b.corner_radius, high)
            divide(gmsh, corners, b.corner_count)
        holes = {"bolts": [], "pin": []}
        for (s, y), r, name in [(c, b.meshed_radius, "bolts") for c in b.bolts] + [(b.pin, b.pin_radius, "pin")]:
            rim = curves(s - r, s + r, y - r, y + r)
            divide(gmsh, rim, b.pin_count if name == "pin" else b.bolt_count)
            holes[name] += rim
        return mesh_plane(gmsh, holes)


def countersink(s, y, n):
    """Move points of the unfolded plate to or from the bolts so that the inner half of each hole is a cone."""
    b = Bracket
    widening = np.interp(n, [0.0, 0.5, 1.0], [b.head_radius, b.bolt_radius, b.bolt_radius]) - b.meshed_radius
    for centre in b.bolts:
        away = np.stack([s - centre[0], y - centre[1]])
        distance = np.linalg.norm(away, axis=0)
        move = widening * fading(distance - b.meshed_radius, 0.009) / distance
        s, y = s + move * away[0], y + move * away[1]
    return s, y


def place_on_bracket(s, y, n):
    """Points (x, y, z) of the folded plate; n runs from the inner face (0) to the outer (1)."""
    b = Bracket
    angle = np.clip((s - b.wall) / b.bend_radius, 0.0, 0.5 * np.pi)
    outward = np.stack([-np.cos(angle), -np.sin(angle)])
    up, out = np.maximum(b.wall - s, 0.0), np.maximum(s - b.wall - b.bend, 0.0)
    inner = b.bend_radius * (1.0 + outward) + np.stack([out, up])
    share = np.clip(up / b.wall + out / b.shelf, 0.0, 1.0)
    x, z = inner + n * tapered(share) * outward
    return flat_back(np.stack([x, y, z], axis=1))


def tapered(share):
    """Thickness of a flange at the share of its length from the bend."""
    return Bracket.free_thickness + (Bracket.thickness - Bracket.free_thickness) * np.cos(0.5 * np.pi * share) ** 2


def flat_back(points):
    """Lean the wall flange, gusset included, so that its back is the plane x = -thickness and its front tapers."""
    b = Bracket
    up = np.clip((points[:, 2] - b.bend_radius) / b.wall, 0.0, 1.0)
    return points + np.outer(tapered(up) - b.thickness, [1.0, 0.0, 0.0])


def bracket_rib():
    """The gusset's side in (x, z); its foot has the same points as the strip of the plate."""
    b, r = Bracket, Bracket.bend_radius
    with plane_model(size=0.0042) as gmsh:
        geo = gmsh.model.geo
        corners = [
            (0, r + b.rib_wall),
            (0, r),
            (r, 0),
            (r + b.rib_shelf, 0),
            (r + b.rib_shelf, b.rib_toe),
            (b.rib_toe, r + b.rib_wall),
        ]
        p = [geo.addPoint(x, z, 0) for x, z in corners]
        foot = [geo.addLine(p[0], p[1]), geo.addCircleArc(p[1], geo.addPoint(r, r, 0), p[2]), geo.addLine(p[2], p[3])]
        toes = [geo.addLine(p[3], p[4]), geo.addLine(p[5], p[0])]
        # a slightly hollow free edge, as gussets are cut
        edge = geo.addSpline([p[4], geo.addPoint(0.0205, 0.0315, 0), p[5]])
        geo.addPlaneSurface([geo.addCurveLoop([*foot, toes[0], edge, toes[1]])])
        geo.synchronize()
        for curve, count in zip(foot, b.rib_counts, strict=True):
            divide(gmsh, [curve], count)
        divide(gmsh, toes, b.toe_count)
        return mesh_plane(gmsh, {"foot": foot})
