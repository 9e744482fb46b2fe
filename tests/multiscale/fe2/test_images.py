"""Symmetries of a cell: which there are, and that what a reduced cell learns by them is right."""

import numpy as np
import pytest

import femnn
from femnn.exceptions import ParameterError
from femnn.multiscale.fe2 import (
    Composite,
    PeriodicCell,
    ReducedCellLaw,
    cell_images,
    cell_with_inclusions,
    draw_strain_paths,
    follow,
    images_of,
    record_cell,
)
from femnn.validation import drive_cell, path_errors


@pytest.fixture(scope="module")
def breaking():
    """A ball that comes off a matrix that yields: all symmetries of the cube."""
    return Composite(cells=4, bond=25e6).cell()


class TestCellImages:
    def test_the_first_changes_nothing(self, breaking):
        images = cell_images(breaking)
        assert len(images) == 48
        assert np.array_equal(images[0].turn, np.eye(3))
        assert np.array_equal(images[0].vertices, np.arange(breaking.mesh.nvertices))

    def test_vertices_of_the_two_sides_of_an_interface_stay_on_their_sides(self, breaking):
        matrix, ball = (np.unique(breaking.mesh.t[:, cells]) for cells in breaking.mesh.subdomains.values())
        for image in cell_images(breaking):
            carried = np.isin(image.vertices[matrix], matrix).all() and np.isin(image.vertices[ball], ball).all()
            assert carried or np.isin(image.vertices[ball], matrix).all()

    def test_a_turned_path_gives_turned_stresses(self, breaking):
        path = draw_strain_paths(1, steps=6, seed=3)
        stresses = drive_cell(breaking, path)[0]
        for image in cell_images(breaking)[1::17]:
            found = drive_cell(breaking, image.strains(path[0])[None])[0]
            # of stresses by Voigt shear is not doubled
            doubled = np.where(np.arange(6) < 3, 1.0, 2.0)
            expected = image.strains(stresses[0] * doubled) / doubled
            assert path_errors(found, expected[None])[0] < 1e-5

    def test_displacements_along_a_turned_path_are_the_images(self, breaking):
        path = draw_strain_paths(1, steps=4, seed=5)
        own = np.stack([snapshot.u for snapshot in record_cell(breaking, path, progress=False)], axis=1)
        image = cell_images(breaking)[-1]
        moved, turned = images_of(breaking, image, own, path[0])
        computed = record_cell(breaking, turned[None], progress=False)
        expected = np.stack([snapshot.u for snapshot in computed], axis=1)
        assert np.abs(moved - expected).max() < 1e-5 * np.abs(expected).max()

    def test_a_strength_of_one_side_alone_takes_symmetries_away(self):
        mesh = cell_with_inclusions(4)
        strength = np.where(mesh.p[0, mesh.t].mean(axis=0) < 0.5, 30e6, 40e6)
        cell = PeriodicCell(mesh, femnn.J2(3e9, 0.3, strength))
        # elastic it is symmetric, and yields where the strain is large
        assert len(cell_images(cell)) == 48
        assert len(cell_images(cell, np.array([0.03, -0.01, -0.01, 0.02, 0.0, 0.01]))) == 8

    def test_a_longer_box_has_those_of_a_square_prism(self):
        import skfem

        mesh = skfem.MeshHex.init_tensor(np.linspace(0, 1, 3), np.linspace(0, 1, 3), np.linspace(0, 2, 5))
        assert len(cell_images(PeriodicCell(mesh, femnn.LinearElastic(3e9, 0.3)))) == 16


class TestReducedCellOfImages:
    def test_a_turned_path_of_training_is_as_near_as_the_path(self, breaking):
        paths = draw_strain_paths(2, steps=8, seed=1)
        snapshots = record_cell(breaking, paths, progress=False)
        options = {"tol": 5e-3, "snapshots": snapshots, "on_outside": "ignore", "progress": False}
        turned = np.stack([image.strains(paths[0]) for image in cell_images(breaking)[1::16]])
        expected = drive_cell(breaking, turned)[0]
        plain, imaged = (
            path_errors(follow(ReducedCellLaw.fit(breaking, paths, images=n, **options, modes=m), turned), expected)
            for n, m in ((1, 15), (48, 60))
        )
        assert imaged.max() < 0.02
        assert imaged.max() < 0.3 * plain.max()

    def test_snapshots_of_other_paths_are_refused(self, breaking):
        paths = draw_strain_paths(2, steps=4, seed=1)
        snapshots = record_cell(breaking, paths[:1], progress=False)
        with pytest.raises(ParameterError, match="4 snapshots and 8 strains"):
            ReducedCellLaw.fit(breaking, paths, images=4, modes=4, snapshots=snapshots, progress=False)
