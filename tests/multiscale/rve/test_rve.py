"""Cells of elastic blocks and cracks: known answers, Hill and Mandel, tangents, invariances, the RVE as a law."""

from functools import partial

import numpy as np
import pytest
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity
from support.gouge import Gouge

import femnn
from femnn.cohesive import Law, respond, separation_paths
from femnn.exceptions import ConvergenceError, FemnnWarning, MeshError, ParameterError, StateError
from femnn.interfaces import facet_newton_cotes
from femnn.multiscale.rve import RVE, CellSeries, RVELaw, Spring, block_network, echelon_cracks, follow, parallel_cracks

BILINEAR = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0, friction=0.5)
EXPONENTIAL = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0, friction=0.5)
# m; of a cell that does not snap back
SIZE, YOUNG = 1e-2, 300e9

laws = pytest.mark.parametrize("law", [BILINEAR, EXPONENTIAL, Gouge()], ids=lambda law: type(law).__name__)


def rve_of(law, cell=block_network, **options):
    """A cell that fits the law."""
    size, young = (300.0, 5e3) if isinstance(law, Gouge) else (SIZE, YOUNG)
    return RVE(cell(size, size), law, young, **options)


def path_of(law, points=30):
    """Opening, closing and shear to and fro; under a spring where the law is precompressed."""
    t = np.linspace(0.0, 1.0, points)
    if isinstance(law, Gouge):
        shear = np.interp(t, [0.0, 0.5, 1.0], [0.0, 1.0, 0.3])
        springs = [None] + [Spring(-1.0 - share, 0.2) for share in t[1:]]
        return np.column_stack([0.0 * t, shear]), springs
    scale = law.separation_scale
    opening = np.interp(t, [0.0, 0.4, 0.7, 1.0], [0.0, 0.3, -0.02, 0.2])
    shear = np.interp(t, [0.0, 0.3, 0.6, 1.0], [0.0, 0.05, 0.5, 0.2])
    return scale * np.column_stack([opening, shear]), None


# --- cells


CELLS = [
    parallel_cracks(3.0, 2.0),
    parallel_cracks(3.0, 2.0, (0.3, 0.6), shift=0.37),
    echelon_cracks(3.0, 2.0),
    block_network(3.0, 2.0),
    block_network(3.0, 2.0, 3, 3, angle=90.0, seed=2, mirror=True),
]
cells = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)


@cells
def test_elements_fill_the_cell_and_cracks_are_coinciding_faces(cell):
    x, y = cell.mesh.p[:, cell.mesh.t]
    area = 0.5 * ((x[0] - x[2]) * (y[1] - y[3]) - (x[1] - x[3]) * (y[0] - y[2]))
    assert (area > 0.0).all()
    assert area.sum() == pytest.approx(cell.width * cell.height)
    faces = [cell.mesh.p[:, side] for side in (cell.interface.minus_vertices, cell.interface.plus_vertices)]
    apart = faces[1] - faces[0]
    # across the seam the other face is one width away
    np.testing.assert_allclose(apart[0], cell.width * np.round(apart[0] / cell.width), atol=1e-9)
    np.testing.assert_allclose(apart[1], 0.0, atol=1e-9)
    # parts differ across a crack but at its tips, and are the same place without it
    minus, plus = cell.interface.minus_vertices, cell.interface.plus_vertices
    np.testing.assert_array_equal(cell.uncut[minus], cell.uncut[plus])
    assert (cell.part[minus] != cell.part[plus]).any(axis=1).all()
    # periodic: bottom and top have the same places modulo the width, once more than parts
    for side in (cell.bottom, cell.top):
        assert len(np.unique(cell.part[side])) == len(np.unique(np.round(np.mod(cell.mesh.p[0, side], 3.0), 9) % 3.0))


def test_patterns_have_the_cracks_that_they_say():
    length = {cell.name: np.linalg.norm(np.diff(cell.mesh.p[:, cell.interface.minus_vertices], axis=2), axis=0).sum()
              for cell in CELLS}  # fmt: skip
    assert length[CELLS[0].name] == pytest.approx(3.0)
    assert length[CELLS[1].name] == pytest.approx(6.0)
    # four cracks of 60 degrees through a band of 0.4
    assert length[CELLS[2].name] == pytest.approx(4 * 0.8 / np.sin(np.pi / 3))
    # tips of cracks en echelon are closed
    minus, plus = (
        CELLS[2].part[side] for side in (CELLS[2].interface.minus_vertices, CELLS[2].interface.plus_vertices)
    )
    assert (minus == plus).sum() == 8
    plain = block_network(3.0, 2.0, 4, 2, jitter=0.0)
    faces = np.linalg.norm(np.diff(plain.mesh.p[:, plain.interface.minus_vertices], axis=2), axis=0).sum()
    assert faces == pytest.approx(3 * 3.0 + 8 * 0.6 / np.sin(np.pi / 3))
    assert len(np.unique(plain.block)) == 8 + 2


def test_the_same_seed_gives_the_same_blocks():
    one, again, other = (block_network(1.0, 1.0, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.mesh.p, again.mesh.p)
    assert np.abs(one.mesh.p - other.mesh.p).max() > 0.01
    assert one.name == again.name != other.name


def test_patterns_out_of_the_cell_are_refused():
    for heights in ((1.2,), (0.0,), (0.5, -0.1)):
        with pytest.raises(ParameterError, match="cracks must be inside the cell"):
            parallel_cracks(1.0, 1.0, heights)
    with pytest.raises(ParameterError, match="list each crack once"):
        parallel_cracks(1.0, 1.0, (0.6, 0.3))
    for pattern in (echelon_cracks, block_network):
        with pytest.raises(ParameterError, match=r"band=1.0 .* inside the cell"):
            pattern(1.0, 1.0, band=1.0)
        with pytest.raises(ParameterError, match="angle=10"):
            pattern(1.0, 1.0, angle=10.0)
        with pytest.raises(ParameterError, match="width=0"):
            pattern(0.0, 1.0)
    with pytest.raises(ParameterError, match="columns=2"):
        parallel_cracks(1.0, 1.0, columns=2)
    with pytest.raises(ParameterError, match="only upright cracks"):
        block_network(1.0, 1.0, mirror=True)
    with pytest.raises(MeshError, match="folded"):
        block_network(1.0, 1.0, angle=20.0, jitter=0.3)


# --- known answers


@laws
def test_a_single_crack_is_the_law_in_series_with_the_blocks(law):
    size, young = (300.0, 5e3) if isinstance(law, Gouge) else (SIZE, YOUNG)
    rve = RVE(parallel_cracks(size, size, columns=4, rows=4), law, young, 0.2)
    shear = young / 2.4
    moduli = np.array([young * 0.8 / (1.2 * 0.6), shear]) / size
    first = law.update(np.zeros((1, 3)), law.initial_state(1)).traction[0, :2]
    # a path of the crack, and the one of the cell that it belongs to
    t = np.linspace(0.0, 1.0, 25)
    crack = np.zeros((25, 3))
    crack[:, 0] = np.interp(t, [0.0, 0.3, 1.0], [0.0, 0.02, -0.005]) * law.separation_scale
    crack[:, 1] = np.interp(t, [0.0, 0.6, 1.0], [0.0, 0.4, 0.1]) * law.separation_scale
    traction = respond(law, crack[None])[0][0, :, :2]
    response = follow(rve, crack[:, :2] + (traction - first) / moduli)
    np.testing.assert_allclose(response.traction, traction, atol=1e-9 * np.abs(traction).max())
    np.testing.assert_allclose(response.crack_separation, crack[:, :2], atol=1e-9 * law.separation_scale)


@laws
def test_stiff_blocks_give_the_law_back(law):
    size, young = (300.0, 1e8) if isinstance(law, Gouge) else (SIZE, 1e16)
    rve = RVE(parallel_cracks(size, size), law, young)
    path = path_of(law)[0]
    path *= 0.05 if isinstance(law, Gouge) else 1.0
    expected = respond(law, np.pad(path, ((0, 0), (0, 1)))[None])[0][0, :, :2]
    response = follow(rve, path)
    np.testing.assert_allclose(response.traction, expected, atol=2e-3 * np.abs(expected).max())
    np.testing.assert_allclose(response.crack_separation, path, atol=2e-3 * np.abs(path).max())


@pytest.mark.parametrize("young", [1e-300, 1e250])
def test_the_stiffness_of_blocks_is_proportional_to_their_modulus_of_any_size(young):
    one, other = (RVE(block_network(SIZE, SIZE), EXPONENTIAL, value).blocks.stiffness for value in (1.0, young))
    np.testing.assert_allclose(other / young, one, rtol=1e-9, atol=1e-12 * np.abs(one).max())


def test_blocks_and_cracks_share_the_separation():
    rve = rve_of(EXPONENTIAL)
    path = path_of(EXPONENTIAL)[0]
    response = follow(rve, path)
    blocks = rve.blocks
    strain = (blocks.strain(response.state.x, 0.0) * blocks.dx[:, None]).sum(axis=0) / rve.cell.width
    np.testing.assert_allclose(
        response.crack_separation[-1] + [strain[1], -strain[2]], path[-1], atol=1e-12 * np.abs(path).max()
    )


def test_a_network_of_springs_has_the_elastic_answer():
    # two flat cracks that never break are two springs in series with the blocks
    stiff = femnn.BilinearCohesive(1e12, 1e12, 1e12, 1e12, stiffness=1e14)
    rve = RVE(parallel_cracks(1e-2, 1e-2, (0.25, 0.7)), stiff, 200e9, 0.3)
    response = rve.update([1e-8, 2e-8], rve.initial_state())
    oedometer, shear = 200e9 * 0.7 / (1.3 * 0.4) / 1e-2, 200e9 / 2.6 / 1e-2
    expected = [1.0 / (1.0 / oedometer + 2e-14), 1.0 / (1.0 / shear + 2e-14)]
    np.testing.assert_allclose(response.tangent, np.diag(expected), rtol=1e-9, atol=1e-6 * expected[1])
    np.testing.assert_allclose(response.traction, expected * np.array([1e-8, 2e-8]), rtol=1e-9)


# --- Hill and Mandel, tangent


@laws
@pytest.mark.parametrize("driving", ["periodic", "affine"])
@pytest.mark.parametrize("pattern", [parallel_cracks, echelon_cracks, block_network])
def test_work_inside_is_work_of_the_homogenised_traction(law, driving, pattern):
    rve = rve_of(law, pattern, driving=driving)
    response = follow(rve, *path_of(law))
    assert response.hill_mandel.max() < 1e-8
    assert response.hill_mandel_tangent.max() < 1e-8
    # the gap is one of works that are not zero
    assert np.abs(response.inner_work).max() > 0.01 * np.abs(response.traction).max() * np.ptp(response.separation) / 30
    np.testing.assert_allclose(response.inner_work, response.work, atol=1e-8 * np.abs(response.work).max())


def test_unbalanced_jumps_show_in_the_gap():
    """The check can fail: tractions out of equilibrium do other work."""
    rve = rve_of(EXPONENTIAL)
    path = path_of(EXPONENTIAL)[0]
    before = follow(rve, path[:10]).state
    response = rve.update(path[10], before)
    step = response.state.x - before.x
    moved = response._replace(cracks=response.cracks._replace(traction=1.001 * response.cracks.traction))
    assert rve.inner_work(response, step) == pytest.approx(response.traction @ step[-2:], rel=1e-8)
    assert rve.inner_work(moved, step) != pytest.approx(response.traction @ step[-2:], rel=1e-5)


@laws
def test_the_tangent_is_the_derivative_of_the_traction(law):
    rve = rve_of(law)
    path, springs = path_of(law)
    errors = []
    for stop in (4, 9, 14, 19, 24):
        state = follow(rve, path[:stop], springs and springs[:stop]).state
        # off the kinks that paths of one mode run along
        there = state.separation + 1e-3 * law.separation_scale * np.array([0.31, 1.7])
        tangent = rve.update(there, state).tangent
        h = 1e-7 * law.separation_scale
        slopes = np.empty((2, 2))
        for j in range(2):
            step = h * np.eye(2)[j]
            slopes[:, j] = (rve.update(there + step, state).traction - rve.update(there - step, state).traction) / (
                2 * h
            )
        errors.append(np.abs(slopes - tangent).max() / np.abs(tangent).max())
    # one of five may have a point at a kink
    assert np.sort(errors)[3] < 1e-5


# --- meshes and invariances


def test_finer_meshes_change_less_and_less():
    law = Gouge()
    path, springs = path_of(law, 12)
    tractions = [
        follow(RVE(echelon_cracks(300.0, 300.0, 3, refine=n), law, 5e3), path, springs).traction for n in (1, 2, 4, 8)
    ]
    gaps = [np.abs(a - tractions[-1]).max() for a in tractions[:-1]]
    assert gaps[0] > 1.8 * gaps[1] > 3.2 * gaps[2]
    assert gaps[2] < 0.05 * np.abs(tractions[-1]).max()


@pytest.mark.parametrize("law", [EXPONENTIAL, Gouge()], ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("pattern", [parallel_cracks, echelon_cracks, block_network])
def test_shifting_the_pattern_along_the_interface_changes_nothing(law, pattern):
    path, springs = path_of(law)
    tractions = []
    for shift in (0.0, 0.1875, 0.7315):
        size, young = (300.0, 5e3) if isinstance(law, Gouge) else (SIZE, YOUNG)
        tractions.append(follow(RVE(pattern(size, size, shift=shift), law, young), path, springs).traction)
    for other in tractions[1:]:
        np.testing.assert_allclose(other, tractions[0], atol=1e-8 * np.abs(tractions[0]).max())


def test_two_periods_answer_as_one():
    law, (path, springs) = Gouge(), path_of(Gouge(), 10)
    one = RVE(echelon_cracks(150.0, 300.0, 2), law, 5e3)
    two = RVE(echelon_cracks(300.0, 300.0, 4), law, 5e3)
    a, b = (follow(rve, path, springs).traction for rve in (one, two))
    np.testing.assert_allclose(a, b, atol=1e-8)


def test_a_mirrored_pattern_knows_no_direction():
    law, (path, springs) = Gouge(), path_of(Gouge())
    for mirror in (True, False):
        rve = RVE(block_network(300.0, 300.0, angle=90.0, mirror=mirror), law, 5e3)
        there, back = (follow(rve, sign * path, springs).traction for sign in (1.0, -1.0))
        gap = np.abs(there - back * [1.0, -1.0]).max()
        assert gap < 1e-7 if mirror else gap > 1e-2


def test_affine_driving_is_stiffer():
    for pattern in (echelon_cracks, block_network):
        soft, stiff = (rve_of(EXPONENTIAL, pattern, driving=driving) for driving in ("periodic", "affine"))
        tangents = [rve.update([0.0, 0.0], rve.initial_state()).tangent for rve in (soft, stiff)]
        assert (np.linalg.eigvalsh(0.5 * (tangents[1] - tangents[0] + (tangents[1] - tangents[0]).T)) > 0.0).all()


def test_points_at_the_corners_serve_as_well():
    path, springs = path_of(Gouge(), 12)
    gauss, corners = (
        follow(rve_of(Gouge(), quadrature=quadrature), path, springs) for quadrature in (None, facet_newton_cotes(2))
    )
    assert corners.hill_mandel.max() < 1e-8
    np.testing.assert_allclose(corners.traction, gauss.traction, atol=0.15)


# --- precompressed cells, springs


@pytest.mark.parametrize("pattern", [parallel_cracks, echelon_cracks, block_network])
def test_a_virgin_precompressed_cell_is_in_equilibrium(pattern):
    rve = rve_of(Gouge(pressure=2.5), pattern)
    response = rve.update([0.0, 0.0], rve.initial_state())
    np.testing.assert_allclose(response.traction, [-2.5, 0.0], atol=1e-12)
    assert response.iterations == 0
    assert not response.state.x.any()
    stress = np.tile([-2.5, -2.5, 0.0], (rve.cell.mesh.nelements, 1))
    np.testing.assert_allclose(rve.stress(response.state), stress, atol=1e-12)
    assert not np.abs(rve.displacement(response.state)).max() > 1e-12


def test_a_law_that_starts_with_shear_is_refused():
    class Sheared(Gouge):
        def _update(self, separation, values):
            traction, tangent, values = super()._update(separation, values)
            return traction + np.array([0.0, 0.3, 0.0]), tangent, values

    with pytest.raises(ParameterError, match="blocks cannot balance its shear"):
        rve_of(Sheared())


def test_springs_hold_the_normal_direction():
    rve = rve_of(Gouge())
    shear = np.linspace(0.0, 0.8, 12)
    path = np.column_stack([np.full(12, 99.0), shear])
    path[0] = 0.0
    dead = follow(rve, path, [None] + 11 * [Spring(-0.6)])
    np.testing.assert_allclose(dead.traction[1:, 0], -0.6, atol=1e-9)
    spring = follow(rve, path, [None] + 11 * [Spring(-0.6, 3.0)])
    np.testing.assert_allclose(spring.traction[1:, 0] + 3.0 * spring.separation[1:, 0], -0.6, atol=1e-9)
    assert spring.separation[-1, 0] < dead.separation[-1, 0]
    # the opening that was found, prescribed
    again = follow(rve, spring.separation)
    np.testing.assert_allclose(again.traction, spring.traction, atol=1e-7)


# --- steps


class Bounded(femnn.ExponentialCohesive):
    """Has no answer beyond some opening."""

    def _update(self, separation, values):
        if separation[:, 0].max() > 5e-6:
            raise ParameterError("nobody knows what happens there")
        return super()._update(separation, values)


def test_a_step_that_fails_leaves_the_last_good_state():
    rve = rve_of(Bounded(80e6, 100e6, 969.0, 1719.0))
    state, path = rve.initial_state(), np.linspace(0.0, 2e-5, 21)[:, None] * [1.0, 0.3]
    kept = rve.pack(state).copy()
    with pytest.raises(ConvergenceError, match=r"no equilibrium beyond .* nobody knows") as caught:
        follow(rve, path)
    assert caught.value.x.shape == (2,)
    np.testing.assert_array_equal(rve.pack(state), kept)
    with pytest.warns(FemnnWarning, match="the path ends early"):
        stopped = follow(rve, path, on_failure="warn")
    assert 3 < len(stopped.separation) < 21
    assert "no equilibrium" in stopped.failure
    # the error knows how far the step came, which is not quite to its end
    reached = caught.value.x[0] / path[-1, 0] * 20
    assert len(stopped.separation) - 1 <= reached < len(stopped.separation)
    # the state is that of the last point, and goes on elsewhere
    np.testing.assert_array_equal(stopped.state.separation, stopped.separation[-1])
    back = rve.update(0.99 * stopped.separation[-1], stopped.state)
    assert 0.0 < back.traction[0] < stopped.traction[-1, 0]


def test_a_cell_that_snaps_back_relaxes_to_the_next_equilibrium():
    # soft blocks tear the crack apart at once
    rve = RVE(parallel_cracks(SIZE, SIZE, columns=4, rows=4), BILINEAR, 1e9)
    opening = np.linspace(0.0, 1.5, 30) * SIZE * 80e6 / 1e9
    response = follow(rve, np.column_stack([opening, 0.0 * opening]))
    assert response.traction[:, 0].max() > 0.9 * 80e6
    assert np.abs(response.traction[-1]).max() < 1.0
    assert response.hill_mandel.max() < 1e-8


def test_steps_are_cut_where_the_law_has_no_answer():
    class Fussy(femnn.ExponentialCohesive):
        """Knows no steps that are long."""

        def _virgin(self, n):
            return np.zeros((n, 4))

        def _update(self, separation, values):
            if np.abs(separation[:, 0] - values[:, 3]).max() > 1e-6:
                raise ParameterError("the step is too long")
            traction, tangent, new = super()._update(separation, np.ascontiguousarray(values[:, :3]))
            return traction, tangent, np.column_stack([new, separation[:, 0]])

    law = Fussy(80e6, 100e6, 969.0, 1719.0)
    plain = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0)
    cell = parallel_cracks(SIZE, SIZE, columns=4, rows=4)
    response, expected = (
        RVE(cell, each, YOUNG).update([5e-6, 1e-6], RVE(cell, each, YOUNG).initial_state()) for each in (law, plain)
    )
    assert response.cuts > 0 == expected.cuts
    np.testing.assert_allclose(response.traction, expected.traction, rtol=1e-8)


def test_states_are_plain_arrays():
    rve = rve_of(EXPONENTIAL)
    response = follow(rve, path_of(EXPONENTIAL)[0])
    packed = rve.pack(response.state)
    assert packed.ndim == 1
    again = rve.unpack(packed)
    goal = 1.1 * response.separation[-1]
    np.testing.assert_array_equal(rve.update(goal, again).traction, rve.update(goal, response.state).traction)
    with pytest.raises(StateError, match="this cell needs"):
        rve.unpack(packed[:-1])
    other = RVE(block_network(SIZE, SIZE), BILINEAR, YOUNG)
    with pytest.raises(ConvergenceError, match="the state belongs to"):
        other.update(goal, response.state)


def test_points_out_of_the_trained_range_are_flagged():
    law = femnn.RecurrentCohesive.load("default")
    rve = RVE(parallel_cracks(SIZE, SIZE, columns=3, rows=2), law, YOUNG)
    far = 1.5 * law.separation_scale * np.linspace(0.0, 1.0, 40)
    response = follow(rve, np.column_stack([far, 0.0 * far]))
    assert response.outside[0] == 0 < response.outside[-1]
    in_loop = RVELaw(rve)
    state = in_loop.initial_state(2)
    for opening in far[::3]:
        state = in_loop.update([[opening, 0.0, 0.0], [0.1 * opening, 0.0, 0.0]], state).state
    np.testing.assert_array_equal(state.outside, [True, False])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"young": -1.0}, "young=-1"),
        ({"young": 1e9, "poisson": 0.5}, "poisson=0.5"),
        ({"young": 1e9, "driving": "sideways"}, "driving='sideways'"),
        ({"young": 1e9, "rtol": 0.0}, "rtol=0"),
        ({"young": 1e9, "law": "default"}, "the law of the cracks is a str"),
    ],
)
def test_bad_parameters_of_a_cell(values, message):
    with pytest.raises(ParameterError, match=message):
        RVE(parallel_cracks(1.0, 1.0), **({"law": EXPONENTIAL} | values))


def test_bad_paths_of_a_cell():
    rve = rve_of(EXPONENTIAL, parallel_cracks)
    with pytest.raises(ParameterError, match="two finite numbers"):
        rve.update([np.nan, 0.0], rve.initial_state())
    with pytest.raises(ParameterError, match=r"\(k, 2\) is needed"):
        follow(rve, np.zeros((4, 3)))
    with pytest.raises(ParameterError, match="1 springs for 2 points"):
        follow(rve, np.zeros((2, 2)), [None])


# --- the RVE in the loop


def strip(law, cells=4):
    """A block of quadrilaterals on another with an interface between them, its top pulled and sheared."""
    axis = np.linspace(0.0, 4e-2, cells + 1)
    mesh = skfem.MeshQuad.init_tensor(axis, np.linspace(-1e-2, 1e-2, 3))
    mesh = mesh.with_boundaries({"glue": lambda x: np.abs(x[1]) < 1e-9}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "glue")
    basis = skfem.Basis(interface.mesh, skfem.ElementVector(skfem.ElementQuad1()), intorder=3)
    stiffness = linear_elasticity(*lame_parameters(YOUNG, 0.25)).assemble(basis)
    problem = femnn.CohesiveProblem(stiffness, [(femnn.InterfaceElements(interface), law)])
    ends = [np.flatnonzero(np.abs(interface.mesh.p[1] - y) < 1e-9) for y in (-1e-2, 1e-2)]
    fixed = np.concatenate([2 * end + i for end in ends for i in range(2)])
    pulled = np.concatenate([np.zeros(2 * len(ends[0])), np.full(len(ends[1]), -2e-6), 5e-6 * axis[::1] / 4e-2])
    path = femnn.newton(
        problem, np.zeros(stiffness.shape[0]), fixed, pulled, steps=6, progress=False,
        solver=partial(femnn.solve, method="splu"),
    )  # fmt: skip
    return path, problem


def test_cells_in_the_loop_answer_as_the_law_of_their_only_crack():
    law = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0)
    cell = parallel_cracks(1e-4, 1e-4, columns=3, rows=2)
    classical, in_loop = strip(law), strip(RVELaw(RVE(cell, law, 1e14)))
    forces = [problem.internal_force(path.u) for path, problem in (classical, in_loop)]
    # cells are softer than their crack by that of the blocks
    softer = 100e6 / law.stiffness[0] * 1e-4 * law.stiffness[0] / 1e14
    assert softer < 1e-4 * law.separation_scale
    np.testing.assert_allclose(forces[1], forces[0], atol=1e-3 * np.abs(forces[0]).max())
    assert in_loop[0].t == classical[0].t == 1.0
    iterations = [sum(step.iterations for step in path.steps) for path, _ in (classical, in_loop)]
    assert iterations[1] <= 1.2 * iterations[0]
    damage = in_loop[1].damage()[0]
    assert (damage > 0.0).all()
    assert (damage < 1.0).all()


def test_a_law_of_cells_keeps_the_contract():
    law = RVELaw(RVE(block_network(SIZE, SIZE), EXPONENTIAL, YOUNG))
    assert isinstance(law, Law)
    paths = separation_paths(3, 12, 0.5 * EXPONENTIAL.separation_scale, "monotonic", seed=3)
    paths[..., 2] = 0.0
    state = law.initial_state(3)
    for step in range(11):
        state = law.update(paths[:, step], state).state
    kept = state.values.copy()
    first, again = (law.update(paths[:, 11], state) for _ in range(2))
    np.testing.assert_array_equal(state.values, kept)
    np.testing.assert_array_equal(first.traction, again.traction)
    np.testing.assert_array_equal(first.state.values, again.state.values)
    part = law.update(paths[[2, 0], 11], state[np.array([2, 0])])
    np.testing.assert_array_equal(part.traction, first.traction[[2, 0]])
    assert not first.traction[:, 2].any()
    with pytest.raises(ParameterError, match="plane strain cell"):
        law.update([[0.0, 0.0, 1e-6]], law.initial_state(1))
    with pytest.raises(StateError, match="the state belongs to"):
        law.update(paths[:, 0], EXPONENTIAL.initial_state(3))
    bounded = RVELaw(rve_of(Bounded(80e6, 100e6, 969.0, 1719.0), parallel_cracks))
    with pytest.raises(ConvergenceError, match="no equilibrium"):
        bounded.update([[1e-4, 0.0, 0.0]], bounded.initial_state(1))


# --- files


def test_a_cell_has_no_time_for_laws_that_ask_for_one():
    with pytest.raises(ParameterError, match=r"depends on the rate, but a cell has no time.*ViscousCohesive\(RVELaw"):
        RVELaw(RVE(block_network(SIZE, SIZE), femnn.cohesive.ViscousCohesive(EXPONENTIAL, 1e9), YOUNG))


def test_series_have_blocks_and_cracks(tmp_path):
    import meshio

    rve = rve_of(Gouge())
    series = CellSeries(tmp_path / "cell.pvd", rve)
    path, springs = path_of(Gouge(), 4)
    response = follow(rve, path, springs, callback=series.write)
    blocks = meshio.read(tmp_path / "cell-0003.vtu")
    assert len(blocks.cells[0].data) == rve.cell.mesh.nelements
    u = rve.displacement(response.state).reshape(-1, 2)
    np.testing.assert_allclose(blocks.point_data["displacement"][:, :2], u)
    np.testing.assert_allclose(blocks.cell_data["stress"][0], rve.stress(response.state))
    cracks = meshio.read(tmp_path / "cell-cracks-0003.vtu")
    assert len(cracks.cells[0].data) == len(rve.cell.interface)
    pressure = -cracks.cell_data["traction"][0][:, 0]
    assert (pressure > 0.0).all()
    assert (tmp_path / "cell-cracks.pvd").exists()
