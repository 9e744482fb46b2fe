"""Meshes as meshers make them: sound, seeded, of the shapes that give each family its name."""

import numpy as np
import pytest
import skfem
from support.forms import volume

from femnn.exceptions import ParameterError
from femnn.geometry import (
    VALID,
    aspect,
    classify,
    distance_from_parallelepiped,
    hexahedra,
    measure_connectivity,
    relative_warp,
    scaled_jacobian,
)
from femnn.geometry.meshers import FAMILIES, family, family_mesh, subdivided, tetrahedral_quality
from femnn.geometry.meshers.cells import Cells, grid
from femnn.geometry.meshers.tetrahedra import Part, draw_part, tetrahedra_in

REGULAR = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])


@pytest.mark.parametrize("name", FAMILIES)
def test_meshes_are_sound(name):
    for seed in range(3):
        mesh = family_mesh(name, seed, cells=400)
        assert 80 < mesh.nelements < 2000
        assert (classify(hexahedra(mesh)) == VALID).all()
        found = measure_connectivity(mesh)
        assert (found.parts, found.hinged_parts) == (1, 1)
        faults = found.duplicates, found.hanging_vertices, found.coincident_vertices, found.loose_vertices
        assert not any(len(fault) for fault in faults)


@pytest.mark.parametrize("name", FAMILIES)
def test_cells_of_a_family_are_healthy_and_seeded(name):
    cells = family(name, 300, seed=4)
    assert cells.shape == (300, 8, 3)
    assert (classify(cells) == VALID).all()
    np.testing.assert_array_equal(cells, family(name, 300, seed=4))
    assert not np.array_equal(cells, family(name, 300, seed=5))


def test_families_have_the_shapes_they_are_named_for():
    cells = {name: family(name, 600, seed=7) for name in FAMILIES}
    warp = {name: np.median(distance_from_parallelepiped(x)) for name, x in cells.items()}
    # four hexahedra of a tetrahedron are far from parallelepipeds, prisms split in three are half as far
    assert warp["subdivided tetrahedra"] == pytest.approx(0.56, abs=0.03)
    assert warp["subdivided quadrilaterals"] == pytest.approx(0.355, abs=0.03)
    assert warp["mapped"] < 0.1
    flat = aspect(cells["boundary layers"])
    assert np.mean(flat > 10.0) > 0.5
    assert 300.0 < flat.max() < 3000.0
    assert np.median(aspect(cells["octrees"])) < 5.0
    for x in cells.values():
        assert np.quantile(scaled_jacobian(x), 0.01) > 0.01


def test_four_hexahedra_fill_a_tetrahedron_and_share_one_warp():
    random = np.random.default_rng(3)
    corners = random.normal(size=(4, 3))
    mesh = subdivided(corners, np.array([[0, 1, 2, 3]])).mesh()
    assert mesh.nelements == 4
    assert mesh.nvertices == 15
    assert volume(mesh) == pytest.approx(abs(np.linalg.det(corners[1:] - corners[0])) / 6.0, rel=1e-12)
    lengths = np.linalg.norm(relative_warp(hexahedra(mesh)), axis=(1, 2))
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-12)


def test_tetrahedral_quality_of_known_shapes():
    flat = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1e-9]])
    corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    points = np.concatenate([REGULAR, flat, corner])
    quality = tetrahedral_quality(points, np.arange(12).reshape(3, 4))
    # of the corner: 12 (1/2)^(2/3) over three edges of 1 and three of 2
    np.testing.assert_allclose(quality, [1.0, 0.0, 12.0 * 0.5 ** (2 / 3) / 9.0], atol=1e-5)


def test_tetrahedra_fill_their_part():
    sizes = np.array([1.0, 0.7, 0.5])
    brick = Part("brick", lambda x: (np.abs(x) - sizes).max(axis=1), np.array([-sizes, sizes]))
    points, tetrahedra = tetrahedra_in(brick, 0.3, np.random.default_rng(0))
    x = points[tetrahedra]
    assert np.abs(np.linalg.det(x[:, 1:] - x[:, :1])).sum() / 6.0 == pytest.approx(8.0 * sizes.prod(), rel=1e-9)
    assert np.quantile(tetrahedral_quality(points, tetrahedra), 0.01) > 0.2


def test_tetrahedra_are_as_round_as_an_optimiser_leaves_them():
    quality = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        quality.append(tetrahedral_quality(*tetrahedra_in(draw_part(random), 0.4, random)))
    quality = np.concatenate(quality)
    assert np.median(quality) > 0.75
    assert np.quantile(quality, 0.01) > 0.1


def test_points_move_only_as_far_as_no_cell_folds():
    block = grid(*[np.arange(4.0)] * 3)
    target = block.points.copy()
    inner = np.flatnonzero(~block.on_skin())
    # one vertex beyond its neighbour, which folds its cells; another a little aside
    target[inner[0]] += [1.7, 0.0, 0.0]
    target[inner[-1]] += [0.0, 0.1, 0.0]
    assert Cells(target, block.cells).folded().any()
    moved = block.moved(target)
    assert not moved.folded().any()
    step = np.linalg.norm(moved.points - block.points, axis=1)
    assert 0.3 < step[inner[0]] < 1.0
    np.testing.assert_allclose(np.delete(step, inner), 0.0)


def test_meshes_come_in_scikit_fem_s_handedness():
    mesh = family_mesh("swept", 1, cells=200)
    plain = skfem.MeshHex()
    centre = np.full((3, 1), 0.5)
    assert np.sign(mesh.mapping().detDF(centre)).max() == np.sign(plain.mapping().detDF(centre)).max()


@pytest.mark.parametrize(
    "call",
    [
        lambda: family("tetrahedra", 10, 0),
        lambda: family("swept", 0, 0),
        lambda: family("swept", 10, -1),
        lambda: family_mesh("swept", 0, cells=10),
        lambda: family_mesh("no such", 0),
    ],
)
def test_bad_arguments_are_named(call):
    with pytest.raises(ParameterError):
        call()
