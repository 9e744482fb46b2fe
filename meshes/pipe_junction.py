"""A reducing pipe tee: an unrolled run with a hole, rolled up, and the branch on the hole's rim."""

import numpy as np
from sweeping import divide, fading, join, mesh_plane, on_layer, plane_model, sweep


class Tee:
    """Reducing tee NPS 6 × 4, schedule 80 (ASME B36.10 walls, B16.9 lengths), in m."""

    run_length, run_outer, run_wall = 0.286, 0.08415, 0.01097
    branch_height, branch_outer, branch_wall = 0.130, 0.05715, 0.00856
    # radii at the middle of the walls: the unrolled run is meshed there
    run = run_outer - run_wall / 2
    branch = branch_outer - branch_wall / 2


def pipe_junction():
    """Reducing pipe tee: two cylinders whose walls meet in a mitre along their intersection."""
    (x, u), quads, masks = tee_run()
    through = np.linspace(0.0, 1.0, 5)
    rim = masks["rim"]
    phi = np.arctan2(Tee.run * np.sin(u / Tee.run), x)
    # the spline through the rim is off the intersection by a micrometre; put it there
    x[rim], u[rim] = unrolled_rim(phi[rim], 0.5)
    layers = np.stack([place_on_run(x, u, phi, tau) for tau in through])
    run = sweep(quads, layers, {"inlet": x < 1e-9 - Tee.run_length / 2, "outlet": x > Tee.run_length / 2 - 1e-9})
    run.surfaces |= {"inner": on_layer(layers, 0), "outer": on_layer(layers, -1)}
    phi = np.sort(phi[rim])
    # rings crowd towards the crotch
    rise = np.linspace(0.0, 1.0, 13) ** 1.3
    around, up = len(phi), len(rise)
    node = np.arange(around * up).reshape(up, around)
    quads = np.stack([node[:-1], np.roll(node[:-1], -1, 1), np.roll(node[1:], -1, 1), node[1:]], axis=2).reshape(-1, 4)
    layers = np.stack([place_on_branch(phi, rise, tau) for tau in through])
    top = np.repeat(rise == 1.0, around)
    branch = sweep(quads, layers, {"branch": top})
    branch.surfaces |= {"inner": on_layer(layers, 0), "outer": on_layer(layers, -1)}
    return join([run, branch])


def radii(tau):
    """Radii of run and branch at the share ``tau`` of the wall, 0 inside and 1 outside."""
    return Tee.run_outer - (1 - tau) * Tee.run_wall, Tee.branch_outer - (1 - tau) * Tee.branch_wall


def unrolled_rim(phi, tau):
    """Where the two cylinders meet at the angle phi about the branch, unrolled onto the middle of the run's wall."""
    run, branch = radii(tau)
    return branch * np.cos(phi), Tee.run * np.arcsin(branch * np.sin(phi) / run)


def tee_run():
    """The run unrolled at the middle of its wall, (x, u), with the rim of the branch cut out."""
    half_length, half_girth = Tee.run_length / 2, np.pi * Tee.run
    with plane_model(size=0.0105) as gmsh:
        geo = gmsh.model.geo
        corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
        p = [geo.addPoint(a * half_length, c * half_girth, 0) for a, c in corners]
        sides = [geo.addLine(p[i], p[(i + 1) % 4]) for i in range(4)]
        angles = np.linspace(0.0, 2 * np.pi, 96, endpoint=False)
        q = [geo.addPoint(x, u, 0) for x, u in zip(*unrolled_rim(angles, 0.5), strict=True)]
        rim = [geo.addSpline([*q[i : i + 24], q[(i + 24) % 96]]) for i in range(0, 96, 24)]
        geo.addPlaneSurface([geo.addCurveLoop(sides), geo.addCurveLoop(rim)])
        geo.synchronize()
        divide(gmsh, [sides[0], sides[2]], 26)
        divide(gmsh, [sides[1], sides[3]], 44)
        divide(gmsh, rim, 12)
        points, quads, masks = mesh_plane(gmsh, {"rim": rim})
    return points.T.copy(), quads, masks


def place_on_run(x, u, phi, tau):
    """Points (x, y, z) of the run; near the rim they follow the intersection of the two cylinders at ``tau``."""
    theta = u / Tee.run
    distance = np.hypot(x, Tee.run * np.sin(theta)) - Tee.branch
    share = np.where(np.abs(theta) < np.pi / 2, fading(distance, Tee.run - Tee.branch), 0.0)
    (x1, u1), (x0, u0) = unrolled_rim(phi, tau), unrolled_rim(phi, 0.5)
    x, theta = x + share * (x1 - x0), (u + share * (u1 - u0)) / Tee.run
    run, _ = radii(tau)
    return np.stack([x, run * np.sin(theta), run * np.cos(theta)], axis=1)


def place_on_branch(phi, rise, tau):
    """Points of the branch, ring by ring: from the intersection (rise 0) to the end face (rise 1)."""
    run, branch = radii(tau)
    x, y = branch * np.cos(phi), branch * np.sin(phi)
    z = np.sqrt(run**2 - y**2) + rise[:, None] * (Tee.branch_height - np.sqrt(run**2 - y**2))
    return np.stack(np.broadcast_arrays(x, y, z), axis=2).reshape(-1, 3)
