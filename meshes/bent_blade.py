"""A turbine blade: a straightened section, swept along the span while it bends, twists and tapers."""

import numpy as np
from sweeping import divide, join, mesh_plane, on_layer, plane_model, sweep


class Blade:
    """Dimensions (m, rad)."""

    height, root_chord, tip_chord = 0.150, 0.070, 0.042
    thickness = 0.26  # of the chord, before the taper in u
    camber, twist = 0.16, np.radians(48.0)
    lean, sweep_back = 0.022, 0.010


def bent_blade():
    """Bent, twisted and tapered blade, thick at the root, its layers crowded towards root and tip."""
    (u, v), quads, masks = blade_section()
    even = np.linspace(0.0, 1.0, 25)
    span = even - 0.09 * np.sin(2 * np.pi * even) * (1.2 - 0.4 * even)
    layers = np.stack([place_on_blade(u, v, h) for h in span])
    blade = sweep(quads, layers, {"pressure": masks["pressure"], "suction": masks["suction"]})
    blade.surfaces |= {"root": on_layer(layers, 0), "tip": on_layer(layers, -1)}
    return join([blade])


def half_thickness(u):
    """Half the section's thickness over the chord: both edges are round, the trailing one sharper."""
    return Blade.thickness * np.sqrt(u * (1 - u)) * (1 - 0.55 * u)


def blade_section():
    """The straightened section in (u, v), u along the chord from the leading edge, both over the chord."""
    u = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, 41))
    with plane_model(size=0.05, algorithm=5) as gmsh:
        geo = gmsh.model.geo
        leading, trailing = geo.addPoint(0, 0, 0), geo.addPoint(1, 0, 0)
        sides = []
        for sign in (1, -1):
            inner = [geo.addPoint(a, sign * half_thickness(a), 0) for a in u[1:-1]]
            sides.append(geo.addSpline([leading, *inner, trailing]))
        geo.addPlaneSurface([geo.addCurveLoop([sides[0], -sides[1]])])
        geo.synchronize()
        divide(gmsh, sides, 36, ends=0.4)
        points, quads, masks = mesh_plane(gmsh, {"suction": sides[:1], "pressure": sides[1:]})
    return points.T, quads, masks


def place_on_blade(u, v, h):
    """Points of the section at the share ``h`` of the span."""
    b = Blade
    chord = b.root_chord + (b.tip_chord - b.root_chord) * h
    # the root flares into its fillet, the tip is thinner than the middle
    v = v * (1.0 - 0.35 * h + 0.55 * np.exp(-h / 0.06))
    slope = 4 * b.camber * (1 - h / 3) * (1 - 2 * u)
    rise = 4 * b.camber * (1 - h / 3) * u * (1 - u)
    length = np.sqrt(1 + slope**2)
    x, y = chord * (u - 0.4 - v * slope / length), chord * (rise + v / length)
    angle = b.twist * h
    turned = np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y])
    x, y = turned + np.array([[b.sweep_back * np.sin(np.pi * h)], [b.lean * h**2]])
    return np.stack([x, y, np.full_like(x, b.height * h)], axis=1)
