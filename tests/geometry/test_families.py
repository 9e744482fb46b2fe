"""The families of meshes against closed forms: volumes, face areas, named boundaries, no folded element."""

import numpy as np
import pytest
import skfem
from support.forms import area, volume

import femnn
from femnn.exceptions import ParameterError
from femnn.geometry import (
    cooks_membrane,
    distorted_cube,
    kershaw,
    mirrored_cube,
    signed_volume,
    thick_sphere,
    twisted_beam,
)

CUBE_FACES = {"left": (0, 0), "right": (0, 1), "front": (1, 0), "back": (1, 1), "bottom": (2, 0), "top": (2, 1)}


def determinants(mesh, points=5):
    """det J at points × points × points of every element, vertices included: shape (nelements, points³)."""
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 1, points)] * 3)).reshape(3, -1)
    return mesh.mapping().detDF(lattice)


def distance_from_parallelepiped(mesh):
    """Largest distance, over the longest edge, between a vertex and where three others would put it in a brick."""
    x = mesh.p[:, mesh.t].transpose(2, 1, 0)
    corner, a, b, c = x[:, 7], x[:, 4], x[:, 5], x[:, 6]
    expected = np.stack([a + b + c - 2 * corner, a + b - corner, a + c - corner, b + c - corner], axis=1)
    longest = np.linalg.norm(np.stack([a, b, c], axis=1) - corner[:, None], axis=2).max(axis=1)
    return np.linalg.norm(expected - x[:, :4], axis=2).max(axis=1) / longest


FAMILIES = {
    "kershaw": lambda: kershaw(6),
    "steep kershaw": lambda: kershaw(12, 0.05, 0.8),
    "mildly distorted cube": lambda: distorted_cube(5, 0.1),
    "strongly distorted cube": lambda: distorted_cube(6, 0.4, seed=1),
    "cook": lambda: cooks_membrane(6, 5),
    "distorted cook": lambda: cooks_membrane(8, nz=2, thickness=5.0, distortion=0.3),
    "mirrored cube": lambda: mirrored_cube(8, 0.35, seed=2),
    "beam": lambda: twisted_beam(12, 2),
    "distorted beam": lambda: twisted_beam(10, 3, 2, distortion=0.3),
    "sphere": lambda: thick_sphere(3, 2),
    "distorted sphere": lambda: thick_sphere(4, distortion=0.3, seed=1),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_no_element_folds(family):
    determinant = determinants(FAMILIES[family]())
    assert (determinant < 0).all() or (determinant > 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_named_boundaries_are_the_whole_surface_once(family):
    mesh = FAMILIES[family]()
    named = np.concatenate(list(mesh.boundaries.values()))
    np.testing.assert_array_equal(np.sort(named), np.sort(mesh.boundary_facets()))


@pytest.mark.parametrize(
    "family", ["kershaw", "steep kershaw", "mildly distorted cube", "strongly distorted cube", "mirrored cube"]
)
def test_cubes_fill_the_unit_cube(family):
    mesh = FAMILIES[family]()
    assert volume(mesh) == pytest.approx(1.0, rel=1e-12)
    for name, (axis, value) in CUBE_FACES.items():
        assert area(mesh, name) == pytest.approx(1.0, rel=1e-12)
        np.testing.assert_allclose(mesh.p[axis, mesh.facets[:, mesh.boundaries[name]]], value, atol=1e-15)


def test_kershaw_is_uniform_at_epsilon_one():
    uniform = skfem.MeshHex.init_tensor(*[np.linspace(0, 1, 7)] * 3)
    np.testing.assert_allclose(kershaw(6, 1.0, 1.0).p, uniform.p, atol=1e-15)


def test_kershaw_layers_are_squeezed_to_alternating_ends():
    mesh = kershaw(6, epsilon_y=0.3, epsilon_z=0.6)
    lowest = {axis: [] for axis in (1, 2)}
    for station in range(7):
        for axis, heights in lowest.items():
            plane = mesh.p[axis, np.isclose(mesh.p[0], station / 6)]
            heights.append(np.unique(plane.round(12))[1])
    # the uniform height 1/6 times epsilon where squeezed to 0, times 2 - epsilon where squeezed to 1
    low, high, middle = 0.3 / 6, 1.7 / 6, 1 / 6
    np.testing.assert_allclose(lowest[1], [low, low, high, middle, low, high, high], rtol=1e-10)
    low, high = 0.6 / 6, 1.4 / 6
    np.testing.assert_allclose(lowest[2], [low, low, high, middle, low, high, high], rtol=1e-10)


def test_kershaw_is_symmetric_under_half_a_turn():
    points = kershaw(6, 0.2, 0.5).p.T
    turned = 1.0 - points
    order = [np.lexsort(np.round(p, 10).T) for p in (points, turned)]
    np.testing.assert_allclose(points[order[0]], turned[order[1]], atol=1e-12)


def test_distortion_is_bounded_and_reproducible():
    plain, moved = distorted_cube(4, 0.0), distorted_cube(4, 0.2, seed=7)
    step = np.abs(moved.p - plain.p) * 4
    assert 0.15 < step.max() <= 0.2
    np.testing.assert_array_equal(moved.p, distorted_cube(4, 0.2, seed=7).p)
    assert not np.array_equal(moved.p, distorted_cube(4, 0.2, seed=8).p)


def test_moves_are_uniform_where_nothing_folds():
    plain, moved = distorted_cube(12, 0.0), distorted_cube(12, 0.1)
    inside = ((plain.p > 0.01) & (plain.p < 0.99)).all(axis=0)
    step = (moved.p - plain.p)[:, inside] * 12
    assert step.mean() == pytest.approx(0.0, abs=0.003)
    assert step.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.03)


def test_one_element_cube_cannot_be_distorted():
    np.testing.assert_array_equal(distorted_cube(1, 0.4).p, distorted_cube(1, 0.0).p)


@pytest.mark.parametrize(("nz", "thickness", "distortion"), [(1, 1.0, 0.0), (2, 5.0, 0.3), (3, 0.01, 0.2)])
def test_cook_has_the_classical_panel_s_size(nz, thickness, distortion):
    mesh = cooks_membrane(6, 4, nz, thickness, distortion)
    assert mesh.nelements == 24 * nz
    assert volume(mesh) == pytest.approx(48 * (44 + 16) / 2 * thickness, rel=1e-12)
    assert area(mesh, "fixed") == pytest.approx(44 * thickness, rel=1e-12)
    assert area(mesh, "load") == pytest.approx(16 * thickness, rel=1e-12)
    assert area(mesh, "lower") == pytest.approx(np.hypot(48, 44) * thickness, rel=1e-12)
    assert area(mesh, "upper") == pytest.approx(np.hypot(48, 16) * thickness, rel=1e-12)
    assert area(mesh, "top") == pytest.approx(1440, rel=1e-12)


def test_cook_s_corners():
    mesh = cooks_membrane(3, distortion=0.3)
    for corner in [(0, 0, 0), (48, 44, 0), (48, 60, 1), (0, 44, 1)]:
        assert np.linalg.norm(mesh.p.T - corner, axis=1).min() < 1e-12


def test_only_distortion_survives_refinement():
    smooth = [np.median(distance_from_parallelepiped(cooks_membrane(n))) for n in (4, 16)]
    rough = [np.median(distance_from_parallelepiped(cooks_membrane(n, distortion=0.2))) for n in (4, 16)]
    assert smooth[1] < 0.35 * smooth[0]
    assert rough[1] > 0.6 * rough[0]


def test_mirrored_cubes_repeat_the_same_shapes():
    coarse, fine = (femnn.hexahedra(mirrored_cube(n, 0.3, seed=3)) for n in (4, 12))
    volumes = [np.sort(np.abs(signed_volume(x))) for x in (coarse, fine)]
    np.testing.assert_allclose(np.repeat(volumes[0], 27), 27 * volumes[1], rtol=1e-12)


def test_the_beam_turns_by_a_right_angle():
    mesh = twisted_beam(20, 2, 1, distortion=0.2)
    ends = [mesh.p[:, np.unique(mesh.facets[:, mesh.boundaries[name]])] for name in ("fixed", "load")]
    np.testing.assert_allclose([np.ptp(end, axis=1) for end in ends], [[0, 1.1, 0.32], [0, 0.32, 1.1]], atol=1e-12)
    # opposite edges of a ruled element enclose less than the twisted body: the volume comes from below
    volumes = [volume(twisted_beam(n)) for n in (12, 24, 48)]
    missing = 1.0 - np.array(volumes) / (12 * 1.1 * 0.32)
    np.testing.assert_allclose(missing[:-1] / missing[1:], 4.0, rtol=0.02)


@pytest.mark.parametrize("distortion", [0.0, 0.25])
def test_the_sphere_tends_to_its_volume_and_surfaces(distortion):
    exact = {"volume": np.pi * 7 / 6, "inner": np.pi / 2, "outer": 2 * np.pi, "x": 3 * np.pi / 4, "z": 3 * np.pi / 4}
    missed = []
    for n in (6, 12):
        mesh = thick_sphere(n, 4, distortion)
        found = {name: area(mesh, name) if name != "volume" else volume(mesh) for name in exact}
        missed.append([exact[name] / found[name] - 1.0 for name in exact])
        for name, radius in (("inner", 1.0), ("outer", 2.0)):
            np.testing.assert_allclose(
                np.linalg.norm(mesh.p[:, np.unique(mesh.facets[:, mesh.boundaries[name]])], axis=0), radius
            )
    np.testing.assert_allclose(np.divide(*missed), 4.0, atol=0.1 if distortion == 0.0 else 0.6)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda: kershaw(8), "8"),
        (lambda: kershaw(0), "0"),
        (lambda: kershaw(6, epsilon_y=0.0), "epsilon_y = 0.0"),
        (lambda: kershaw(6, epsilon_z=1.5), "epsilon_z = 1.5"),
        (lambda: distorted_cube(2.0, 0.1), "n=2.0"),
        (lambda: distorted_cube(2, -0.1), "-0.1"),
        (lambda: distorted_cube(2, float("nan")), "nan"),
        (lambda: cooks_membrane(4, ny=0), "ny=0"),
        (lambda: cooks_membrane(4, nz=True), "nz=True"),
        (lambda: cooks_membrane(4, thickness=0.0), "thickness = 0.0"),
        (lambda: cooks_membrane(4, distortion=0.6), "0.6"),
        (lambda: mirrored_cube(6, 0.3), "n = 6"),
        (lambda: mirrored_cube(4, 0.5), "0.5"),
        (lambda: twisted_beam(12, 0), "ny=0"),
        (lambda: twisted_beam(12, distortion=-0.1), "-0.1"),
        (lambda: thick_sphere(2, layers=1.5), "layers=1.5"),
        (lambda: thick_sphere(2, distortion=0.9), "0.9"),
    ],
)
def test_bad_arguments_say_value_and_next_step(call, value):
    with pytest.raises(ParameterError, match="pass ") as error:
        call()
    assert value in str(error.value)
