"""Cells of hexahedra: known answers, rotations, work, tangents, permeability, data sets and refusals in space."""

import json

import numpy as np
import pytest
import skfem
from click.testing import CliRunner
from support.gouge import Gouge

import femnn
from femnn.cli import main
from femnn.cohesive import respond
from femnn.exceptions import MeshError, ParameterError, WeightFileError
from femnn.multiscale.rve import (
    RVE,
    CellPermeability,
    CellSeries,
    CrackFilling,
    FaultCell,
    FaultCell3D,
    PathDataSet,
    ReducedRVE,
    RVELaw,
    Spring,
    WorkingRange,
    block_network,
    cell_of_mesh,
    draw_path,
    follow,
    joint_sets,
    law_named,
    parallel_cracks,
    simulate_paths,
)

EXPONENTIAL = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0, friction=0.5)
SPRINGS = femnn.BilinearCohesive(1e12, 1e12, 1e12, 1e12, stiffness=1e12)
SIZE, YOUNG, POISSON = 1e-2, 300e9, 0.25
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))

laws = pytest.mark.parametrize("law", [EXPONENTIAL, Gouge()], ids=lambda law: type(law).__name__)


def network(**options):
    """Eight half blocks in a band, of which four are a row."""
    return block_network(SIZE, SIZE, 2, 1, depth=SIZE, **options)


def rve_of(law, **options):
    if not isinstance(law, Gouge):
        return RVE(network(**options), law, YOUNG, POISSON)
    return RVE(block_network(300.0, 300.0, 2, 1, depth=300.0, **options), law, 5e3, POISSON)


def path_of(law, points=12):
    """Opening, closing and shear that turns; under a spring where the law is precompressed."""
    t = np.linspace(0.0, 1.0, points)
    shear = np.column_stack([np.sin(2.0 * t), 1.0 - np.cos(2.0 * t)])
    if isinstance(law, Gouge):
        return np.column_stack([0.0 * t, 0.5 * shear]), [None] + [Spring(-1.0 - share, 0.2) for share in t[1:]]
    opening = np.interp(t, [0.0, 0.4, 0.7, 1.0], [0.0, 0.3, -0.02, 0.2])
    return law.separation_scale * np.column_stack([opening, 0.3 * shear]), None


def rotation(seed):
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turned * np.linalg.det(turned)


def strain_of(normal):
    """Matrix (3, 6) from stresses by Voigt to the traction on a plane; its transpose gives strains of jumps."""
    matrix = np.zeros((3, 6))
    for k, (i, j) in enumerate(VOIGT):
        matrix[i, k] += normal[j]
        if i != j:
            matrix[j, k] += normal[i]
    return matrix


def stiffness_of_rock(young=YOUNG, poisson=POISSON):
    lmbda, mu = young * poisson / ((1 + poisson) * (1 - 2 * poisson)), young / (2 * (1 + poisson))
    stiffness = np.diag([2 * mu] * 3 + [mu] * 3)
    stiffness[:3, :3] += lmbda
    return stiffness


# --- cells


ZONES = [
    parallel_cracks(3.0, 2.0, (0.3, 0.6), 3, 6, shift=0.37, depth=1.5, slices=4),
    block_network(3.0, 2.0, 2, 2, depth=2.0),
    block_network(2.0, 2.0, 2, 2, 90.0, seed=2, mirror=True, depth=2.0),
    block_network(3.0, 2.0, 2, 1, (60.0, 110.0), depth=3.0, families=("flat", "x")),
]
VOLUMES = [
    joint_sets(rotation(3), [1.0, 2.0, 3.0]),
    joint_sets([[0.5, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.2]], 1.0, (True, True, False), count=2, refine=2),
]
cells = pytest.mark.parametrize("cell", ZONES + VOLUMES, ids=lambda cell: cell.name)


@cells
def test_hexahedra_fill_the_cell_and_cracks_are_coinciding_faces(cell):
    basis = skfem.Basis(cell.mesh, skfem.ElementHex1(), intorder=5)
    assert basis.dx.sum() == pytest.approx(cell.volume)
    minus, plus = cell.interface.minus_vertices, cell.interface.plus_vertices
    apart = (cell.mesh.p[:, plus] - cell.mesh.p[:, minus]).reshape(3, -1).T
    # across a seam the other face is some periods away
    turns = apart @ np.linalg.pinv(cell.periods)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
    np.testing.assert_allclose(apart, np.round(turns) @ cell.periods, atol=1e-9)
    np.testing.assert_array_equal(cell.uncut[minus], cell.uncut[plus])
    assert (cell.part[minus] != cell.part[plus]).any(axis=1).all()
    elements = femnn.InterfaceElements(cell.interface)
    up = elements.frames[:, :, 0] @ [-1e-6, -1e-9, 1.0]
    assert (up > 0.0).all()


def test_patterns_have_the_cracks_that_they_say():
    def area(cell):
        return femnn.InterfaceElements(cell.interface).dx.sum()

    assert area(ZONES[0]) == pytest.approx(2 * 3.0 * 1.5)
    plain = block_network(3.0, 2.0, 2, 2, 90.0, jitter=0.0, depth=2.0, slices=2)
    assert area(plain) == pytest.approx(3 * 3.0 * 2.0 + 2 * 1.2 * 2.0 + 2 * 1.2 * 3.0)
    assert len(np.unique(plain.block)) == 2 * 2 * 2 + 2
    two = block_network(3.0, 2.0, 2, 2, 90.0, jitter=0.0, depth=2.0, slices=2, families=("flat", "x"))
    assert area(two) == pytest.approx(3 * 3.0 * 2.0 + 2 * 1.2 * 2.0)
    # joints of one family leave bars that go round the cell
    assert len(np.unique(two.block)) == 2 * 2 + 2
    joints = block_network(3.0, 2.0, 2, 1, 90.0, jitter=0.0, depth=2.0, slices=2, families=("x",))
    assert area(joints) == pytest.approx(2 * 1.2 * 2.0)
    sets = VOLUMES[0]
    assert area(sets) == pytest.approx(sets.volume * (1.0 + 1 / 2 + 1 / 3))
    assert len(np.unique(VOLUMES[1].block)) == 2 * 2


def test_the_plane_is_unchanged_by_a_depth_that_is_not_given():
    assert block_network(1.0, 1.0).name == "block_network(1.0, 1.0, 4, 2, 60.0, 0.6, 0.15, 0, 1, 0.0, False)"
    assert block_network(1.0, 1.0, angle=(60.0,)).mesh.dim() == 2


# --- known answers


@laws
def test_a_single_crack_is_the_law_in_series_with_the_blocks(law):
    size, young = (300.0, 5e3) if isinstance(law, Gouge) else (SIZE, YOUNG)
    rve = RVE(parallel_cracks(size, size, columns=3, rows=2, depth=0.7 * size), law, young, 0.2)
    shear = young / 2.4
    moduli = np.array([young * 0.8 / (1.2 * 0.6), shear, shear]) / size
    first = law.update(np.zeros((1, 3)), law.initial_state(1)).traction[0]
    t = np.linspace(0.0, 1.0, 15)
    crack = law.separation_scale * np.column_stack(
        [np.interp(t, [0.0, 0.3, 1.0], [0.0, 0.02, -0.005]), 0.4 * np.sin(2.0 * t), 0.2 * (1.0 - np.cos(3.0 * t))]
    )
    traction = respond(law, crack[None])[0][0]
    response = follow(rve, crack + (traction - first) / moduli)
    np.testing.assert_allclose(response.traction, traction, atol=1e-9 * np.abs(traction).max())
    np.testing.assert_allclose(response.crack_separation, crack, atol=1e-9 * law.separation_scale)


def test_a_cell_that_is_the_same_along_its_depth_answers_as_the_plane():
    plane = RVE(block_network(SIZE, SIZE, 2, 1, jitter=0.0), EXPONENTIAL, YOUNG, POISSON)
    solid = rve_of(EXPONENTIAL, angle=(60.0, 90.0), jitter=0.0, families=("flat", "x"))
    path = path_of(EXPONENTIAL)[0]
    path[:, 2] = 0.0
    # the first shear of the plane is along −x
    expected = follow(plane, path[:, :2] * [1.0, -1.0])
    response = follow(solid, path)
    scale = np.abs(expected.traction).max()
    np.testing.assert_allclose(response.traction[:, :2], expected.traction * [1.0, -1.0], atol=1e-9 * scale)
    np.testing.assert_allclose(response.traction[:, 2], 0.0, atol=1e-9 * scale)
    np.testing.assert_allclose(response.crack_separation[:, 1], -expected.crack_separation[:, 1], atol=1e-15)
    conduits = [CellPermeability(rve, CrackFilling(1e-5), 1e-17) for rve in (plane, solid)]
    tensors = [each.tensor(path.state) for each, path in zip(conduits, (expected, response), strict=True)]
    np.testing.assert_allclose(tensors[1][:2, :2] * [[1, -1], [-1, 1]], tensors[0], atol=1e-9 * tensors[0].max())


@pytest.mark.parametrize("cuts", [(True, False, False), (True, True, True)])
def test_sets_of_cracks_are_springs_in_series_with_the_rock(cuts):
    normals, spacing = rotation(1) @ np.diag([1.0, -1.0, 1.0]) + 0.2, np.array([5e-3, 8e-3, 1e-2])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    rve = RVE(joint_sets(normals, spacing, cuts), SPRINGS, YOUNG, POISSON)
    strain = np.array([1.0, -2.0, 3.0, 0.5, 0.4, 0.3]) * 1e-6
    response = rve.update(strain, rve.initial_state())
    compliance, opened = np.linalg.inv(stiffness_of_rock()), np.zeros((6, 6))
    for normal, distance in zip(normals[list(cuts)], spacing[list(cuts)], strict=True):
        opened += strain_of(normal).T @ strain_of(normal) / (1e12 * distance)
    expected = np.linalg.inv(compliance + opened)
    np.testing.assert_allclose(response.tangent, expected, atol=1e-12 * expected.max())
    np.testing.assert_allclose(response.traction, expected @ strain, atol=1e-12 * np.abs(expected @ strain).max())
    np.testing.assert_allclose(rve.crack_separation(response.state), opened @ response.traction, atol=1e-18)
    # stresses are the same everywhere
    stress = rve.stress(response.state)
    np.testing.assert_allclose(stress, np.tile(response.traction, (len(stress), 1)), atol=1e-6)


def test_a_rotated_volume_answers_with_the_rotated_stress():
    normals, turn = np.array([[0.3, 0.1, 1.0], [1.0, 0.2, 0.0], [0.1, 1.0, 0.0]]), rotation(5)
    rng = np.random.default_rng(0)
    strains = 0.01 * np.cumsum(rng.normal(size=(8, 3, 3)) + 0.3 * np.eye(3), axis=0)
    strains = 1e-2 * (strains + strains.transpose(0, 2, 1))
    law = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0)

    def tensors(values, engineering=False):
        half = 0.5 if engineering else 1.0
        matrices = np.zeros((len(values), 3, 3))
        for k, (i, j) in enumerate(VOIGT):
            matrices[:, i, j] = matrices[:, j, i] = values[:, k] * (half if i != j else 1.0)
        return matrices

    stresses, conduct = [], []
    for matrix in (np.eye(3), turn):
        rotated = matrix @ strains @ matrix.T
        path = np.column_stack([rotated[:, i, j] * (2.0 if i != j else 1.0) for i, j in VOIGT])
        rve = RVE(joint_sets(normals @ matrix.T, SIZE), law, 30e9, POISSON)
        response = follow(rve, path)
        stresses.append(matrix.T @ tensors(response.traction) @ matrix)
        tensor = CellPermeability(rve, CrackFilling(1e-5), 1e-18).tensor(response.state)
        conduct.append(matrix.T @ tensor @ matrix)
    np.testing.assert_allclose(stresses[1], stresses[0], atol=1e-8 * np.abs(stresses[0]).max())
    np.testing.assert_allclose(conduct[1], conduct[0], atol=1e-8 * np.abs(conduct[0]).max())


def test_stresses_of_a_volume_can_be_given():
    rve = RVE(joint_sets(np.eye(3), SIZE, (True, True, False)), SPRINGS, YOUNG, POISSON)
    springs = [Spring(-1e6), Spring(-2e6), None, Spring(0.0), Spring(0.5e6), Spring(0.0)]
    response = rve.update(np.full(6, 1e-6), rve.initial_state(), springs)
    np.testing.assert_allclose(np.delete(response.traction, 2), [-1e6, -2e6, 0.0, 0.5e6, 0.0], atol=1e-3)
    assert response.state.separation[2] == 1e-6
    with pytest.raises(ParameterError, match=r"a Spring or None for each of the 6: the strains xx, yy, zz, yz, xz, xy"):
        rve.update(np.zeros(6), rve.initial_state(), [Spring(0.0), None])


def test_a_cell_of_square_symmetry_answers_alike_along_both_axes():
    law, (path, springs) = Gouge(), path_of(Gouge(), 8)
    rve = rve_of(law, angle=90.0, mirror=True)
    response = follow(rve, path, springs)
    swapped = follow(rve, path[:, [0, 2, 1]], springs)
    np.testing.assert_allclose(swapped.traction[:, [0, 2, 1]], response.traction, atol=1e-7)
    backwards = follow(rve, path * [1.0, -1.0, 1.0], springs)
    np.testing.assert_allclose(backwards.traction * [1.0, -1.0, 1.0], response.traction, atol=1e-7)


# --- Hill and Mandel, tangent, states


@laws
@pytest.mark.parametrize("driving", ["periodic", "affine"])
def test_work_inside_is_work_of_the_homogenised_traction(law, driving):
    rve = RVE(rve_of(law).cell, law, 5e3 if isinstance(law, Gouge) else YOUNG, POISSON, driving=driving)
    response = follow(rve, *path_of(law, 8))
    assert response.hill_mandel.max() < 1e-8
    assert response.hill_mandel_tangent.max() < 1e-8
    assert np.abs(response.inner_work).max() > 1e-3 * np.abs(response.traction).max() * np.ptp(response.separation) / 8


def test_work_inside_a_volume_is_work_of_its_stress():
    law = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0)
    rve = RVE(joint_sets(np.eye(3), SIZE, count=2, refine=2), law, 30e9, POISSON)
    path = np.linspace(0.0, 4e-3, 6)[:, None] * np.array([1.0, -0.2, 0.1, 0.3, 0.5, 0.2])
    response = follow(rve, path)
    assert response.hill_mandel.max() < 1e-8
    assert response.hill_mandel_tangent.max() < 1e-8


@laws
def test_the_tangent_is_the_derivative_of_the_traction(law):
    rve = rve_of(law)
    path, springs = path_of(law)
    errors, h = [], 1e-7 * law.separation_scale
    for stop in (3, 6, 9):
        state = follow(rve, path[:stop], springs and springs[:stop]).state
        # off the kinks that paths of one mode run along
        there = state.separation + 1e-3 * law.separation_scale * np.array([0.31, 1.7, -0.9])
        tangent = rve.update(there, state).tangent
        ends = [[rve.update(there + sign * step, state).traction for sign in (1, -1)] for step in h * np.eye(3)]
        slopes = np.stack([(up - down) / (2 * h) for up, down in ends], axis=1)
        errors.append(np.abs(slopes - tangent).max() / np.abs(tangent).max())
    # one of three may have a point at a kink
    assert np.sort(errors)[1] < 1e-5


def test_a_path_goes_on_from_a_packed_state():
    rve = rve_of(Gouge())
    path, springs = path_of(Gouge())
    whole = follow(rve, path, springs)
    first = follow(rve, path[:5], springs[:5])
    again = rve.unpack(rve.pack(first.state).copy())
    second = follow(rve, path[5:], springs[5:], state=again)
    np.testing.assert_array_equal(np.vstack([first.traction, second.traction]), whole.traction)


def test_a_virgin_precompressed_cell_is_in_equilibrium():
    rve = rve_of(Gouge(pressure=2.5))
    response = rve.update(np.zeros(3), rve.initial_state())
    np.testing.assert_allclose(response.traction, [-2.5, 0.0, 0.0], atol=1e-12)
    assert response.iterations == 0
    np.testing.assert_allclose(rve.stress(response.state)[:, :3], -2.5, atol=1e-12)


def test_a_cell_in_space_is_a_law_with_two_shears(tmp_path):
    rve = rve_of(EXPONENTIAL)
    conduits = CellPermeability(rve, CrackFilling(1e-5), 1e-17)
    law = RVELaw(rve, conduits)
    goal = path_of(EXPONENTIAL)[0][3]
    response = law.update([goal, 0.0 * goal], law.initial_state(2))
    expected = rve.update(goal, rve.initial_state())
    np.testing.assert_array_equal(response.traction[0], expected.traction)
    np.testing.assert_array_equal(response.tangent[0], expected.tangent)
    conducted = law.predictions(response.state)
    tensor = conduits.tensor(expected.state)
    values, slopes = conducted["permeability_along"]
    assert values[0] == pytest.approx(0.5 * (tensor[1, 1] + tensor[2, 2]))
    assert slopes.shape == (2, 3)
    series = CellSeries(tmp_path / "cell.pvd", rve)
    series.write(0.0, expected)
    assert (tmp_path / "cell-cracks.pvd").exists()
    with pytest.raises(ParameterError, match="is a volume"):
        RVELaw(RVE(joint_sets(np.eye(3), SIZE), EXPONENTIAL, YOUNG))


def test_cells_between_hexahedra_answer_as_the_law_of_their_only_crack():
    mesh = skfem.MeshHex.init_tensor([0.0, SIZE], [0.0, SIZE], [-SIZE, 0.0, SIZE])
    mesh = mesh.with_boundaries({"glue": lambda x: x[2] == 0.0}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "glue")
    stiffness = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(2), young=YOUNG, poisson=POISSON)
    ends = [np.flatnonzero(interface.mesh.p[2] == z) for z in (-SIZE, SIZE)]
    held = np.concatenate([(3 * end[:, None] + np.arange(3)).ravel() for end in ends])
    moved = np.concatenate([np.zeros(12), np.tile([4e-6, -3e-6, 5e-6], 4)])
    law = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0)
    cell = parallel_cracks(1e-4, 1e-4, columns=3, rows=2, depth=1e-4)
    forces = []
    for own in (law, RVELaw(RVE(cell, law, 1e14))):
        problem = femnn.CohesiveProblem(stiffness, [(femnn.InterfaceElements(interface), own)])
        path = femnn.newton(problem, np.zeros(stiffness.shape[0]), held, moved, steps=3, progress=False)
        assert path.t == 1.0
        forces.append(problem.internal_force(path.u)[held])
    np.testing.assert_allclose(forces[1], forces[0], atol=1e-3 * np.abs(forces[0]).max())


def test_points_out_of_the_range_of_their_law_are_flagged():
    law = femnn.RecurrentCohesive.load("default")
    rve = RVE(parallel_cracks(SIZE, SIZE, columns=3, rows=2, depth=SIZE), law, YOUNG)
    far = 1.5 * law.separation_scale * np.linspace(0.0, 1.0, 12)
    response = follow(rve, far[:, None] * [1.0, 0.0, 1.0])
    assert response.outside[0] == 0 < response.outside[-1]


# --- permeability


@pytest.mark.parametrize("cuts", [(True, False, False), (False, True, True), (True, True, True)])
def test_sets_of_cracks_conduct_by_the_cubic_law(cuts):
    normals, spacing = rotation(2) + 0.1, np.array([5e-3, 8e-3, 1e-2])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    rve = RVE(joint_sets(normals, spacing, cuts), SPRINGS, YOUNG)
    tensor = CellPermeability(rve, CrackFilling(1e-5), 1e-16).tensor(rve.initial_state())
    expected = 1e-16 * np.eye(3)
    for normal, distance in zip(normals[list(cuts)], spacing[list(cuts)], strict=True):
        expected += 1e-15 / (12.0 * distance) * (np.eye(3) - np.outer(normal, normal))
    np.testing.assert_allclose(tensor, expected, rtol=0.0, atol=1e-12 * expected.max())
    np.testing.assert_array_equal(tensor, tensor.T)


def test_a_flat_crack_conducts_along_and_not_across():
    rve = RVE(parallel_cracks(SIZE, SIZE, (0.3, 0.7), 3, 5, depth=SIZE), EXPONENTIAL, YOUNG)
    conduits = CellPermeability(rve, CrackFilling(1e-5), 1e-16)
    tensor = conduits.tensor(rve.initial_state())
    along = 1e-16 + 2 * 1e-15 / 12.0 / SIZE
    np.testing.assert_allclose(tensor, np.diag([1e-16, along, along]), rtol=1e-9, atol=1e-25)
    assert conduits.aperture(tensor) == pytest.approx(2 ** (1 / 3) * 1e-5)


def test_permeability_of_a_network_is_symmetric_positive_definite_and_free_of_the_seam():
    tensors = []
    for shift in (0.0, 0.42):
        rve = rve_of(EXPONENTIAL, shift=shift)
        conduits = CellPermeability(rve, CrackFilling(1e-5), 1e-16)
        state = rve.update([3e-6, 2e-6, -1e-6], rve.initial_state()).state
        tensors.append(conduits.tensor(state))
        assert (np.linalg.eigvalsh(tensors[-1] - 1e-16 * np.eye(3)) > 0.0).all()
        assert (np.linalg.eigvalsh(tensors[-1] - conduits.tensor(rve.initial_state())) > 0.0).all()
    np.testing.assert_allclose(tensors[1], tensors[0], rtol=1e-8, atol=1e-8 * np.abs(tensors[0]).max())


def test_tight_rock_between_wide_cracks_keeps_its_digits():
    cell = parallel_cracks(SIZE, SIZE, (0.3, 0.7), 3, 5, depth=SIZE)
    rve, wide = RVE(cell, EXPONENTIAL, YOUNG), CrackFilling(1e-4)
    # twelve powers of ten between cracks and blocks
    tensor = CellPermeability(rve, wide, 1e-23).tensor(rve.initial_state())
    assert tensor[0, 0] == pytest.approx(1e-23, rel=1e-6)
    with pytest.raises(ParameterError, match=r"the cracks conduct up to .* times what the blocks around them do"):
        CellPermeability(rve, wide, 1e-28).tensor(rve.initial_state())


# --- one's own meshes


def cube(n=4):
    return skfem.MeshHex().refined(2) if n == 4 else skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 3)


def test_a_mesh_of_ones_own_is_the_cell_of_its_pattern():
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(-SIZE, 0.0, 4)] * 2, np.linspace(5.0 * SIZE, 6.0 * SIZE, 5))
    mesh = mesh.with_boundaries({"joint": lambda x: np.isclose(x[2], 5.5 * SIZE)}, boundaries_only=False)
    plane = ((0.0, 0.0, 5.5 * SIZE), (0.0, 0.0, 2.0))
    pattern = parallel_cracks(SIZE, SIZE, columns=3, rows=4, depth=SIZE)
    goal = np.array([1e-6, 2e-6, -1e-6])
    tractions = [
        RVE(cell, EXPONENTIAL, YOUNG).update(goal, RVE(cell, EXPONENTIAL, YOUNG).initial_state()).traction
        for cell in (pattern, cell_of_mesh(mesh, ["joint"]), cell_of_mesh(mesh, [plane]))
    ]
    for other in tractions[1:]:
        np.testing.assert_allclose(other, tractions[0], rtol=1e-9)
    # cracks may lie where a volume ends and begins again
    sets = [joint_sets(np.eye(3), 1.0), cell_of_mesh(cube(3), [(np.zeros(3), axis) for axis in np.eye(3)], volume=True)]
    tangents = [RVE(cell, SPRINGS, YOUNG).update(np.zeros(6), RVE(cell, SPRINGS, YOUNG).initial_state()).tangent
                for cell in sets]  # fmt: skip
    np.testing.assert_allclose(tangents[1], tangents[0], atol=1e-9 * tangents[0].max())


def test_cracks_of_ones_own_mesh_that_are_refused():
    mesh, up = cube(), (0.0, 0.0, 1.0)
    level = ((0.0, 0.0, 0.5), up)
    refused = {
        "does not follow facets: the plane .* cuts 16 elements, the first of them": [((0.0, 0.0, 0.4), up)],
        "cracks 0 and 2 overlap: facet .* and 15 others": [level, ((0.5, 0.5, 0.5), (1.0, 0.0, 0.0)), level],
        "has no facet of the mesh": [((0.0, 0.0, 7.0), up)],
        "on bottom or top of the cell": [((0.0, 0.0, 1.0), up)],
        "the mesh has no boundary 'joint'": ["joint"],
    }
    for message, cracks in refused.items():
        with pytest.raises(MeshError, match=message):
            cell_of_mesh(mesh, cracks)
    with pytest.raises(ParameterError, match="list the name, facets or plane of each crack"):
        cell_of_mesh(mesh, "joint")
    with pytest.raises(ParameterError, match="a point and a normal of 3 numbers"):
        cell_of_mesh(mesh, [((0.0, 0.0), up)])
    with pytest.raises(MeshError, match="at least three elements"):
        cell_of_mesh(cube(2), [level])
    odd = mesh.p.copy()
    odd[2, (odd[0] == 1.0) & (odd[2] == 0.25)] += 0.01
    with pytest.raises(MeshError, match="have no partner on the opposite side"):
        cell_of_mesh(skfem.MeshHex(odd, mesh.t), [level])


# --- the hyper-reduced cell


def turning(seed, points=16):
    """Shear in a direction that turns, under some pressure."""
    rng, t = np.random.default_rng(seed), np.linspace(0.0, 1.0, points)
    angle = rng.uniform(0.0, 2.0 * np.pi) + rng.uniform(-2.0, 2.0) * t
    steps = np.diff(t, prepend=0.0)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    path = np.column_stack([0.0 * t, 0.8 * steps.cumsum(axis=0)])
    return path, [None] + [Spring(-rng.uniform(0.5, 2.0))] * (points - 1)


@pytest.fixture(scope="module")
def reduced():
    full = rve_of(Gouge(), angle=90.0, mirror=True)
    paths, springs = zip(*(turning(seed) for seed in range(5)), strict=True)
    return full, ReducedRVE.fit(full, paths, springs, modes=24, progress=False)


def test_a_reduced_cell_answers_unseen_paths_as_the_full_one(reduced):
    full, few = reduced
    assert few.modes.shape == (full.n_jumps, 24)
    assert len(few.chosen) < 0.5 * full.elements.points
    area = full.elements.dx.ravel()
    assert few.weights @ area[few.chosen] == pytest.approx(area.sum())
    assert (few.weights > 0.0).all()
    path, springs = turning(100)
    expected, response = follow(full, path, springs), follow(few, path, springs)
    gap = np.linalg.norm(response.traction - expected.traction) / np.linalg.norm(expected.traction)
    assert gap < 0.05
    # Hill and Mandel hold on the modes
    assert response.hill_mandel.max() < 1e-8
    assert response.hill_mandel_tangent.max() < 1e-8
    conduits = CellPermeability(full, CrackFilling.of_grains(1.0, 10.0, 0.4), 1e-6)
    tensors = [conduits.tensor(state) for state in (few.lifted(response.state), expected.state)]
    np.testing.assert_allclose(tensors[0], tensors[1], atol=0.02 * tensors[1].max())
    np.testing.assert_allclose(
        response.crack_separation, expected.crack_separation, atol=0.05 * np.abs(expected.crack_separation).max()
    )


def test_a_reduced_cell_is_a_law_and_goes_on_from_a_packed_state(reduced):
    few = reduced[1]
    path, springs = turning(101)
    whole = follow(few, path, springs)
    first = follow(few, path[:7], springs[:7])
    second = follow(few, path[7:], springs[7:], state=few.unpack(few.pack(first.state)))
    np.testing.assert_array_equal(second.traction, whole.traction[7:])
    goal = whole.separation[3]
    law = RVELaw(few)
    np.testing.assert_array_equal(
        law.update([goal], law.initial_state(1)).traction[0], few.update(goal, few.initial_state()).traction
    )
    with pytest.raises(ParameterError, match=r"do not fit a cell of \d+ jumps"):
        ReducedRVE(reduced[0], few.modes[:-1], few.chosen, few.weights)


def test_a_reduced_cell_that_was_saved_answers_alike_and_knows_its_cell(reduced, tmp_path):
    full, few = reduced
    file = few.save(tmp_path / "cell")
    path, springs = turning(102, 6)
    again = ReducedRVE.load(file, rve_of(Gouge(), angle=90.0, mirror=True))
    np.testing.assert_array_equal(follow(again, path, springs).traction, follow(few, path, springs).traction)
    cell = block_network(300.0, 300.0, 2, 1, depth=300.0, angle=90.0, mirror=True)
    others = {
        "law": RVE(cell, EXPONENTIAL, 5e3, POISSON),
        "stiffness": RVE(cell, Gouge(), 6e3, POISSON),
        "mesh": RVE(block_network(310.0, 300.0, 2, 1, depth=300.0, angle=90.0, mirror=True), Gouge(), 5e3, POISSON),
    }
    for name, other in others.items():
        with pytest.raises(ParameterError, match=rf"made for a cell with another {name}"):
            ReducedRVE.load(file, other)
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(WeightFileError, match="cell"):
        ReducedRVE.load(file, full)


def test_all_modes_and_points_are_the_full_cell():
    full = rve_of(EXPONENTIAL)
    every = ReducedRVE(full, np.eye(full.n_jumps), np.arange(full.elements.points), np.ones(full.elements.points))
    path = path_of(EXPONENTIAL, 6)[0]
    expected, response = follow(full, path), follow(every, path)
    np.testing.assert_allclose(response.traction, expected.traction, atol=1e-8 * np.abs(expected.traction).max())
    np.testing.assert_allclose(response.crack_separation, expected.crack_separation, atol=1e-14)


# --- embedded cracks


def box(n):
    return skfem.MeshHex.init_tensor(*[np.linspace(0.0, SIZE, n + 1)] * 3)


def test_a_flat_embedded_crack_answers_as_one_along_facets():
    plane = ((0.0, 0.0, 0.4 * SIZE), (0.0, 0.0, 1.0))
    pair = (
        cell_of_mesh(box(4), [plane], embedded=True),
        parallel_cracks(SIZE, SIZE, (0.4,), columns=3, rows=5, depth=SIZE),
    )
    path = path_of(EXPONENTIAL, 8)[0]
    rves = [RVE(cell, EXPONENTIAL, YOUNG, POISSON) for cell in pair]
    embedded, along_facets = (follow(rve, path) for rve in rves)
    scale = np.abs(along_facets.traction).max()
    np.testing.assert_allclose(embedded.traction, along_facets.traction, atol=1e-9 * scale)
    np.testing.assert_allclose(embedded.crack_separation, along_facets.crack_separation, atol=1e-15)
    assert embedded.hill_mandel.max() < 1e-8
    assert embedded.hill_mandel_tangent.max() < 1e-8
    tensors = [
        CellPermeability(rve, CrackFilling(1e-5), 1e-17).tensor(response.state)
        for rve, response in zip(rves, (embedded, along_facets), strict=True)
    ]
    np.testing.assert_allclose(tensors[0], tensors[1], atol=1e-9 * tensors[1].max())
    # grains press on it from the start
    pressed = RVE(pair[0], Gouge(pressure=2.5), 5e3)
    response = pressed.update(np.zeros(3), pressed.initial_state())
    np.testing.assert_allclose(response.traction, [-2.5, 0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize("n", [3, 4])
def test_inclined_embedded_cracks_are_springs_in_series_with_the_rock(n):
    normal = np.array([1.0, 0.0, 1.0]) / np.sqrt(2.0)
    distance = SIZE / np.sqrt(2.0)
    # one plane, and where it goes on
    planes = [((0.43 * SIZE, 0.0, 0.0), normal), ((1.43 * SIZE, 0.0, 0.0), normal)]
    rve = RVE(cell_of_mesh(box(n), planes, volume=True, embedded=True), SPRINGS, YOUNG, POISSON)
    response = rve.update(np.array([1.0, -2.0, 3.0, 0.5, 0.4, 0.3]) * 1e-6, rve.initial_state())
    opened = strain_of(normal).T @ strain_of(normal) / (1e12 * distance)
    expected = np.linalg.inv(np.linalg.inv(stiffness_of_rock()) + opened)
    np.testing.assert_allclose(response.tangent, expected, atol=1e-12 * expected.max())
    tensor = CellPermeability(rve, CrackFilling(1e-5), 1e-17).tensor(rve.initial_state())
    conducted = 1e-17 * np.eye(3) + 1e-15 / (12.0 * distance) * (np.eye(3) - np.outer(normal, normal))
    np.testing.assert_allclose(tensor, conducted, atol=1e-12 * conducted.max())


def test_embedded_cracks_that_are_refused(tmp_path):
    level = ((0.0, 0.0, 0.4 * SIZE), (0.0, 0.0, 1.0))
    upright = ((0.4 * SIZE, 0.0, 0.0), (1.0, 0.0, 0.0))
    with pytest.raises(MeshError, match="4 elements are cut by two embedded cracks"):
        RVE(cell_of_mesh(box(4), [level, upright], embedded=True, volume=True), SPRINGS, YOUNG)
    with pytest.raises(MeshError, match=r"embedded cracks end at .* facets of the sides"):
        cell_of_mesh(box(4), [upright], embedded=True)
    with pytest.raises(ParameterError, match="for hexahedra"):
        cell_of_mesh(skfem.MeshQuad().refined(2), [((0.0, 0.4), (0.0, 1.0))], embedded=True)
    rve = RVE(cell_of_mesh(box(4), [level], embedded=True), SPRINGS, YOUNG)
    with pytest.raises(ParameterError, match="no facets to write"):
        CellSeries(tmp_path / "cell.pvd", rve)


def test_patterns_that_are_refused():
    with pytest.raises(ParameterError, match="the cracks overlap"):
        joint_sets([[0.0, 0.0, 1.0], [0.0, 1e-5, 1.0], [1.0, 0.0, 0.0]], 1.0)
    with pytest.raises(ParameterError, match="pass one vector for each set"):
        joint_sets(np.ones((2, 3)), 1.0)
    with pytest.raises(ParameterError, match="one of them True"):
        joint_sets(np.eye(3), 1.0, (False, False, False))
    with pytest.raises(ParameterError, match="take 3 or more in all"):
        joint_sets(np.eye(3), 1.0, refine=2)
    with pytest.raises(ParameterError, match="spacing=-1"):
        joint_sets(np.eye(3), [1.0, -1.0, 1.0])
    with pytest.raises(ParameterError, match="slices=1"):
        block_network(1.0, 1.0, depth=1.0, slices=1)
    with pytest.raises(ParameterError, match="without a depth"):
        block_network(1.0, 1.0, slices=3)
    with pytest.raises(ParameterError, match="families="):
        block_network(1.0, 1.0, families=("round",))
    with pytest.raises(ParameterError, match="two for a cell with a depth"):
        block_network(1.0, 1.0, angle=(60.0, 70.0))
    with pytest.raises(MeshError, match="has no cracks"):
        block_network(1.0, 1.0, families=())


# --- paths, data set


def test_paths_in_space_turn_the_shear_of_those_in_the_plane():
    working = WorkingRange(shear=2.0, pressure=1.0, stiffness=30.0, precompressed=True)
    straight = 0
    for number in range(30):
        path, plane = (draw_path(number, 40, working, 1, shears) for shears in (2, 1))
        assert path.separation.shape == (40, 3)
        np.testing.assert_array_equal(path.load, plane.load)
        np.testing.assert_array_equal(path.separation[:, 0], plane.separation[:, 0])
        steps = np.linalg.norm(np.diff(path.separation[:, 1:], axis=0), axis=1)
        np.testing.assert_allclose(steps, np.abs(np.diff(plane.separation[:, 1])), atol=1e-12)
        straight += np.linalg.matrix_rank(path.separation[:, 1:], tol=1e-9) < 2
    assert 4 <= straight <= 18


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rve")
    cell = FaultCell3D.around(law_named("classical-default"))
    return (
        folder,
        cell,
        *simulate_paths("classical-default", folder, cell, paths=6, points=10, workers=0, progress=False),
    )


def test_the_data_set_has_two_shears_and_goes_on(made):
    folder, cell, data, failures = made
    assert not failures
    assert data.separation.shape == (6, 10, 3)
    assert data.permeability.shape == (6, 10, 3, 3)
    assert np.abs(data.separation[..., 2]).max() > 0.0
    assert data.hill_mandel.max() < 1e-8
    card = json.loads((folder / "rve-paths.json").read_text())
    assert card["command"] == (
        "femnn simulate rve --law classical-default --paths 6 --points 10 --seed 0 --slices 2 --count 2 --rows 1"
    )
    again, _ = simulate_paths("classical-default", folder, cell, paths=6, points=10, workers=0, progress=False)
    assert again.about["sha256"] == data.about["sha256"]


def test_the_command_makes_the_data_set_and_trains_its_law(made, tmp_path):
    arguments = ["simulate", "rve", "--law", "classical-default", "--out", str(tmp_path), "--paths", "2", "--json"]
    result = CliRunner().invoke(main, [*arguments, "--slices", "2", "--points", "10", "--workers", "0"])
    assert result.exit_code == 0, result.output
    assert PathDataSet.load(tmp_path / "rve-paths.npz").permeability.shape == (2, 10, 3, 3)
    assert json.loads(result.stdout)["cell"]["slices"] == 2


def test_a_cell_in_space_has_blocks_of_the_size_of_those_in_the_plane():
    law = law_named("classical-default")
    plane, space = FaultCell.around(law), FaultCell3D.around(law, count=3, slices=2)
    assert space.size / space.count == pytest.approx(plane.size / plane.count)
    np.testing.assert_allclose(space.rve(law).cell.periods[1, 1], 2 * space.size / 3)
    assert (plane.shears, space.shears) == (1, 2)
