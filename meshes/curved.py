"""Parts of second order, whose nodes all lie on their curved sides: plane quadrilaterals and swept hexahedra.

gmsh makes quadrilaterals with nine nodes; hexahedra with 27 are stacks of these, bent by a closed formula. Lengths in
metres.
"""

import click
import meshio
import numpy as np
from sweeping import divide, plane_model

# Nodes of a hexahedron in VTK's order: level (bottom 0, middle 1, top 2) and place among the nine of a quadrilateral
_STACKED = (
    *((0, k) for k in range(4)),
    *((2, k) for k in range(4)),
    *((0, k) for k in range(4, 8)),
    *((2, k) for k in range(4, 8)),
    *((1, k) for k in range(4)),
    *((1, k) for k in (7, 5, 4, 6)),
    (0, 8),
    (2, 8),
    (1, 8),
)


def plate_with_holes():
    """A plate with three holes and a slanted end, quadrilaterals."""
    with plane_model(size=0.006) as gmsh:
        occ = gmsh.model.occ
        outline = [(0.0, 0.0), (0.1, 0.0), (0.12, 0.03), (0.1, 0.06), (0.0, 0.06)]
        points = [occ.addPoint(x, y, 0.0) for x, y in outline]
        lines = [occ.addLine(a, b) for a, b in zip(points, [*points[1:], points[0]], strict=True)]
        plate = [(2, occ.addPlaneSurface([occ.addCurveLoop(lines)]))]
        holes = [(0.02, 0.02, 0.006), (0.05, 0.038, 0.012), (0.09, 0.03, 0.008)]
        occ.cut(plate, [(2, occ.addDisk(x, y, 0, radius, radius)) for x, y, radius in holes])
        occ.synchronize()
        return _plane(*quadrilaterals(gmsh))


def gear_tooth():
    """A tooth with involute flanks and round feet on a part of its rim, quadrilaterals."""
    base, foot, tip, half = 0.0235, 0.0225, 0.0275, 0.062
    with plane_model(size=0.0011, algorithm=5) as gmsh:
        geo = gmsh.model.geo
        roll = np.linspace(0.0, np.sqrt((tip / base) ** 2 - 1.0), 9)
        radius = base * np.sqrt(1.0 + roll**2)
        angle = half - (roll - np.arctan(roll))
        centre = geo.addPoint(0.0, 0.0, 0.0)

        def at(radius, angle):
            return geo.addPoint(radius * np.sin(angle), radius * np.cos(angle), 0.0)

        right = [at(r, a) for r, a in zip(radius, angle, strict=True)]
        left = [at(r, -a) for r, a in zip(radius, angle, strict=True)]
        side = 0.16
        feet = {sign: (at(foot, sign * side), at(foot, sign * (half + 0.03))) for sign in (1, -1)}
        inner = {sign: at(0.017, sign * side) for sign in (1, -1)}
        round_right = geo.addSpline([feet[1][1], at(foot + 0.0002, half + 0.012), right[0]])
        round_left = geo.addSpline([left[0], at(foot + 0.0002, -half - 0.012), feet[-1][1]])
        loop = [
            geo.addCircleArc(inner[-1], centre, inner[1]),
            geo.addLine(inner[1], feet[1][0]),
            geo.addCircleArc(feet[1][0], centre, feet[1][1]),
            round_right,
            geo.addSpline(right),
            geo.addCircleArc(right[-1], centre, left[-1]),
            geo.addSpline(left[::-1]),
            round_left,
            geo.addCircleArc(feet[-1][1], centre, feet[-1][0]),
            geo.addLine(feet[-1][0], inner[-1]),
        ]
        geo.addPlaneSurface([geo.addCurveLoop(loop)])
        geo.synchronize()
        return _plane(*quadrilaterals(gmsh))


def elbow():
    """A quarter bend of a pipe, 0.1 m wide with a wall of 0.012 m, hexahedra."""
    outer, wall, bend = 0.05, 0.012, 0.09
    with plane_model(size=0.012) as gmsh:
        occ = gmsh.model.occ
        occ.cut([(2, occ.addDisk(0, 0, 0, outer, outer))], [(2, occ.addDisk(0, 0, 0, outer - wall, outer - wall))])
        occ.synchronize()
        divide(gmsh, [tag for _, tag in gmsh.model.getEntities(1)], 24)
        points, cells = quadrilaterals(gmsh)
    angles = np.linspace(0.0, 0.5 * np.pi, 2 * 10 + 1)

    def place(angle):
        away = bend + points[:, 0]
        return np.stack([away * np.cos(angle), points[:, 1], away * np.sin(angle)], axis=1)

    return _stacked(np.stack([place(angle) for angle in angles]), cells)


def angle_bracket():
    """A bent strip with a hole in each leg, two hexahedra thick."""
    leg, width, radius, thickness = 0.05, 0.04, 0.008, 0.006
    bend = 0.5 * np.pi * radius
    with plane_model(size=0.006, algorithm=5) as gmsh:
        occ = gmsh.model.occ
        strip = [(2, occ.addRectangle(0, -width / 2, 0, 2 * leg + bend, width))]
        holes = [(leg / 2, 0.008), (leg + bend + leg / 2, 0.006)]
        rims = [(2, occ.addDisk(s, 0, 0, size, size)) for s, size in holes]
        pieces, _ = occ.cut(strip, rims)
        # the two lines of the bend are edges of cells
        lines = [(1, occ.addLine(*(occ.addPoint(s, y, 0) for y in (-width, width)))) for s in (leg, leg + bend)]
        occ.fragment(pieces, lines)
        occ.synchronize()
        surfaces = gmsh.model.getEntities(2)
        used = {abs(tag) for _, tag in gmsh.model.getBoundary(surfaces, combined=False)}
        gmsh.model.removeEntities([(1, tag) for _, tag in gmsh.model.getEntities(1) if tag not in used])
        points, cells = quadrilaterals(gmsh)
    s, y = points.T

    def place(depth):
        angle = np.clip((s - leg) / radius, 0.0, 0.5 * np.pi)
        before, after = np.maximum(leg - s, 0.0), np.maximum(s - leg - bend, 0.0)
        size = radius + depth
        return np.stack([size * np.sin(angle) - before, y, -size * (1.0 - np.cos(angle)) + depth - after], axis=1)

    return _stacked(np.stack([place(depth) for depth in np.linspace(0.0, thickness, 5)]), cells)


CURVED = {
    "plate_with_holes": plate_with_holes,
    "gear_tooth": gear_tooth,
    "elbow": elbow,
    "angle_bracket": angle_bracket,
}


def quadrilaterals(gmsh):
    """Points (n, 2) and quadrilaterals with nine nodes (m, 9) of the model."""
    gmsh.model.mesh.generate(2)
    gmsh.model.mesh.setOrder(2)
    kinds = gmsh.model.mesh.getElementTypes(2)
    if list(kinds) != [10]:
        raise click.ClickException(f"gmsh left cells of the types {list(kinds)} besides quadrilaterals (10)")
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    nodes = gmsh.model.mesh.getElementsByType(10)[1].reshape(-1, 9)
    used, cells = np.unique(nodes, return_inverse=True)
    place = np.empty(int(tags.max()) + 1, dtype=int)
    place[tags] = np.arange(len(tags))
    return coordinates.reshape(-1, 3)[place[used], :2], cells.reshape(-1, 9)


def _plane(points, cells):
    return meshio.Mesh(np.round(np.insert(points, 2, 0.0, axis=1), 9), [("quad9", cells)])


def _stacked(layers, cells):
    """Hexahedra between every second of the layers (2 k + 1, n, 3)."""
    n = layers.shape[1]
    nodes = [
        np.stack([cells[:, k] + n * (bottom + level) for level, k in _STACKED], axis=1)
        for bottom in range(0, len(layers) - 1, 2)
    ]
    return meshio.Mesh(np.round(layers.reshape(-1, 3), 9), [("hexahedron27", np.concatenate(nodes))])
