"""Cells as laws: known answers, work, tangents against differences, symmetry, the reduced cell against the full one."""

import numpy as np
import pytest
import skfem

import femnn
from femnn.exceptions import DatasetError, LawError, MeshError, OutsideRangeError, ParameterError, WeightFileError
from femnn.multiscale.fe2 import (
    CellLaw,
    Composite,
    GatedLaw,
    PeriodicCell,
    RecurrentLaw,
    ReducedCellLaw,
    cell_with_inclusions,
    draw_strain_paths,
    follow,
    record_cell,
    rotations,
    simulate_cell_paths,
)
from femnn.multiscale.fe2.weighted_points import WeightedPoints

METAL = {"strength": 30e6, "isotropic": 1.5e8}


def stiff_inclusions(n=4, radius=0.3, centres=((0.5, 0.5, 0.5),), **more):
    """A cell whose matrix yields and whose inclusion does not."""
    mesh = cell_with_inclusions(n, centres, radius)
    young, strength = np.full(mesh.nelements, 3e9), np.full(mesh.nelements, METAL["strength"])
    young[mesh.subdomains["inclusion"]], strength[mesh.subdomains["inclusion"]] = 70e9, 1e12
    return PeriodicCell(mesh, femnn.J2(young, 0.3, strength, isotropic=METAL["isotropic"]), **more)


@pytest.fixture(scope="module")
def cell():
    return stiff_inclusions(rtol=1e-10)


@pytest.fixture(scope="module")
def trained(cell):
    """Paths of training, what the cell did along them, and a reduced cell."""
    paths = draw_strain_paths(3, steps=12)
    snapshots = record_cell(cell, paths, progress=False)
    options = {"modes": 16, "tol": 5e-3, "snapshots": snapshots, "on_outside": "ignore", "progress": False}
    return paths, snapshots, ReducedCellLaw.fit(cell, paths, **options)


def differences(update, strain, state, h=1e-7):
    columns = []
    for direction in np.eye(6):
        plus, minus = (update(strain + sign * h * direction, state) for sign in (1.0, -1.0))
        columns.append((plus - minus) / (2.0 * h))
    return np.stack(columns, axis=-1)


class TestPeriodicCell:
    def test_a_homogeneous_cell_is_its_law(self):
        law = femnn.J2(3e9, 0.3, **METAL)
        path = draw_strain_paths(1, steps=8)
        cells = CellLaw(PeriodicCell(cell_with_inclusions(3, radius=0.2), law))
        np.testing.assert_allclose(
            follow(cells, path, progress=False), follow(law, path, progress=False), rtol=1e-9, atol=1.0
        )

    def test_a_laminate_has_the_stiffness_of_the_closed_formula(self):
        line = np.linspace(0.0, 1.0, 5)
        mesh = skfem.MeshHex.init_tensor(line, line, line)
        first = mesh.p[:, mesh.t].mean(axis=1)[0] < 0.25
        young, poisson = np.where(first, 70e9, 3e9), np.where(first, 0.2, 0.35)
        cell = PeriodicCell(mesh, femnn.LinearElastic(young, poisson))
        tangent = cell.respond(np.zeros(6), cell.initial_state()).tangent
        lame, mu = young * poisson / (1 + poisson) / (1 - 2 * poisson), young / 2 / (1 + poisson)
        along, ratio = lame + 2 * mu, lame / (lame + 2 * mu)
        # G. Backus, Journal of Geophysical Research 67 (1962) 4427-4440, layers across x
        across = 1.0 / np.mean(1.0 / along)
        expected = np.zeros((6, 6))
        expected[0, 0] = across
        expected[0, 1] = expected[0, 2] = across * np.mean(ratio)
        expected[1, 1] = np.mean(along - lame * ratio) + across * np.mean(ratio) ** 2
        expected[1, 2] = np.mean(lame - lame * ratio) + across * np.mean(ratio) ** 2
        expected[2, 2] = expected[1, 1]
        expected[3, 3], expected[4, 4] = np.mean(mu), 1.0 / np.mean(1.0 / mu)
        expected[5, 5] = expected[4, 4]
        expected = np.triu(expected) + np.triu(expected, 1).T
        np.testing.assert_allclose(tangent, expected, rtol=1e-8, atol=1e-6 * across)

    def test_stiffness_lies_between_the_bounds_of_voigt_and_reuss(self, cell):
        tangent = cell.respond(np.zeros(6), cell.initial_state()).tangent
        share = len(cell.mesh.subdomains["inclusion"]) / cell.mesh.nelements
        parts = [femnn.LinearElastic(young, 0.3) for young in (3e9, 70e9)]
        matrix, inclusion = (law.update(np.zeros((1, 6)), law.initial_state(1))[1][0] for law in parts)
        voigt = (1 - share) * matrix + share * inclusion
        reuss = np.linalg.inv((1 - share) * np.linalg.inv(matrix) + share * np.linalg.inv(inclusion))
        assert np.linalg.eigvalsh(voigt - tangent).min() > 0.0
        assert np.linalg.eigvalsh(tangent - reuss).min() > 0.0

    @pytest.mark.parametrize("cohesive", [None, femnn.BilinearCohesive(15e6, 20e6, 4e5, 6e5, stiffness=4e10)])
    def test_work_is_that_of_the_points_and_tangents_are_derivatives(self, cohesive):
        more = {} if cohesive is None else {"facets": "interface", "cohesive": cohesive}
        cell = stiff_inclusions(rtol=1e-11, **more)
        state, last = cell.initial_state(), np.zeros(6)
        for strain in draw_strain_paths(1, steps=6, amplitude=0.02)[0]:
            response = cell.respond(strain, state)
            # the work of the mean stress on any further strain is that of all stresses and tractions
            other = cell.displacement(strain, response.state) - cell.displacement(last, state)
            cell.problem.restore(cell.internal_states(state))
            force = cell.problem.internal_force(cell.displacement(strain, response.state))
            work = force @ other / cell.box.volume
            assert response.stress @ (strain - last) == pytest.approx(work, rel=1e-7)
            before, state, last = state, response.state, strain
        expected = differences(lambda e, s: cell.respond(e, s, tangent=False).stress, strain, before)
        np.testing.assert_allclose(response.tangent, expected, atol=2e-5 * np.abs(expected).max())
        if cohesive is not None:
            damage = cohesive.damage(cell.internal_states(state)[1][0])
            assert 0.1 < damage.max() < 1.0

    def test_opposite_faces_must_be_alike(self):
        mesh = skfem.MeshHex().refined(1)
        points = mesh.p.copy()
        points[1, np.flatnonzero((points[0] == 0.0) & (points[1] == 0.5) & (points[2] == 0.5))] += 0.1
        with pytest.raises(MeshError, match="images"):
            PeriodicCell(skfem.MeshHex(points, mesh.t), femnn.LinearElastic(1.0, 0.3))

    def test_an_interface_must_not_reach_the_faces(self):
        mesh = skfem.MeshHex().refined(1).with_boundaries({"middle": lambda x: x[0] == 0.5}, boundaries_only=False)
        law = femnn.BilinearCohesive(1e6, 1e6, 1e2, 1e2)
        with pytest.raises(MeshError, match="no interface reach them"):
            PeriodicCell(mesh, femnn.LinearElastic(1e9, 0.3), facets="middle", cohesive=law)

    def test_bad_input_is_refused(self, cell):
        with pytest.raises(ParameterError, match="small strains"):
            PeriodicCell(cell.mesh, femnn.NeoHooke(1.0, 0.3))
        with pytest.raises(ParameterError, match="go together"):
            PeriodicCell(cell.mesh, femnn.LinearElastic(1.0, 0.3), facets="interface")
        with pytest.raises(ParameterError, match="shape"):
            cell.respond(np.zeros(5), cell.initial_state())
        with pytest.raises(ParameterError, match="shape"):
            cell.respond(np.zeros(6), np.zeros(3))
        with pytest.raises(ParameterError, match="finite"):
            cell.respond(np.zeros(6), np.full(cell.state_size, np.nan))
        with pytest.raises(ParameterError, match="path"):
            follow(CellLaw(cell), np.zeros((4, 5)))
        with pytest.raises(ParameterError, match="finite"):
            follow(CellLaw(cell), np.full((4, 6), np.inf))
        with pytest.raises(ParameterError, match="radius"):
            cell_with_inclusions(3, radius=2.0)


class TestCellLaw:
    def test_one_macro_element_is_the_cell_driven_directly(self, cell):
        solid = femnn.Solid(skfem.MeshHex(), femnn.GaussLegendre(1), CellLaw(cell))
        strains = draw_strain_paths(1, steps=3)[0]
        direct = follow(CellLaw(cell), strains, progress=False)
        for strain, stress in zip(strains, direct, strict=True):
            gradient = np.array([[strain[0], strain[5] / 2, strain[4] / 2],
                                 [strain[5] / 2, strain[1], strain[3] / 2],
                                 [strain[4] / 2, strain[3] / 2, strain[2]]])  # fmt: skip
            solid.residual_and_tangent((gradient @ solid.points.p).T.ravel())
            found = solid.stresses((gradient @ solid.points.p).T.ravel())[0][0, 0]
            solid.commit()
            np.testing.assert_allclose(found, stress, rtol=1e-7, atol=1e-2)


class TestReducedCellLaw:
    def test_all_modes_and_points_are_the_full_cell(self):
        cell = stiff_inclusions(2, radius=0.2, centres=((0.25, 0.25, 0.25),), rtol=1e-10)
        law = ReducedCellLaw.fit(
            cell, draw_strain_paths(4, steps=12), modes=21, tol=1e-9, progress=False, on_outside="ignore"
        )
        # all that solutions of this symmetric cell can do
        assert law.report["projection"] < 1e-10
        unseen = draw_strain_paths(1, steps=6, seed=1)
        full, found = follow(CellLaw(cell), unseen, progress=False), follow(law, unseen, progress=False)
        np.testing.assert_allclose(found, full, atol=1e-5 * np.abs(full).max())

    def test_it_is_near_the_full_cell_with_fewer_points(self, cell, trained):
        _, _, law = trained
        unseen = draw_strain_paths(2, steps=12, amplitude=0.025, seed=1)
        full, found = follow(CellLaw(cell), unseen, progress=False), follow(law, unseen, progress=False)
        assert len(law.volumes) < 0.5 * 8 * cell.mesh.nelements
        assert np.linalg.norm(found - full) < 0.05 * np.linalg.norm(full)
        assert (law.volumes > 0.0).all()
        assert law.volumes.sum() == pytest.approx(cell.box.volume)

    def test_the_tangent_is_the_derivative_and_points_do_not_touch(self, trained):
        _, _, law = trained
        law.rtol = 1e-12
        strains = draw_strain_paths(3, steps=12, seed=2)
        state = law.initial_state(3)
        for k in range(6):
            stress, tangent, new = law.update(strains[:, k], state)
            before, state = state, new
        expected = differences(lambda e, s: law.update(e, s)[0], strains[:, 5], before)
        np.testing.assert_allclose(tangent, expected, atol=1e-5 * np.abs(expected).max())
        alone = law.update(strains[1:2, 5], before[1:2])[0]
        np.testing.assert_allclose(alone[0], stress[1], rtol=1e-8)
        law.rtol = 1e-6

    def test_cells_side_by_side_answer_as_alone_however_long_one_takes(self, trained):
        _, _, law = trained
        strains = draw_strain_paths(4, steps=4, seed=3)[:, 0] * np.array([0.0, 1e-3, 1.0, 1.5])[:, None]
        together = law.update(strains, law.initial_state(4))
        for k in range(4):
            alone = law.update(strains[k : k + 1], law.initial_state(1))
            for found, expected in zip(together, alone, strict=True):
                np.testing.assert_allclose(found[k], expected[0], rtol=1e-7, atol=1e-9 * np.abs(expected).max())

    def test_with_an_interface_it_follows_the_damage(self):
        law = femnn.BilinearCohesive(15e6, 20e6, 4e5, 6e5, stiffness=4e10)
        cell = stiff_inclusions(4, facets="interface", cohesive=law)
        paths = draw_strain_paths(2, steps=10, amplitude=0.02)
        reduced = ReducedCellLaw.fit(cell, paths, modes=18, tol=5e-3, progress=False)
        assert 0 < len(reduced.areas) < cell.elements.points
        assert reduced.areas.sum() == pytest.approx(cell.elements.dx.sum())
        full, found = follow(CellLaw(cell), paths, progress=False), follow(reduced, paths, progress=False)
        assert np.linalg.norm(found - full) < 0.03 * np.linalg.norm(full)

    def test_it_is_saved_with_what_it_belongs_to(self, cell, trained, tmp_path):
        paths, _, law = trained
        law.save(tmp_path / "cell")
        again = ReducedCellLaw.load(tmp_path / "cell", cell)
        np.testing.assert_array_equal(follow(again, paths, progress=False), follow(law, paths, progress=False))
        with pytest.raises(ParameterError, match="another mesh"):
            ReducedCellLaw.load(tmp_path / "cell", stiff_inclusions(3, radius=0.2))
        other = PeriodicCell(cell.mesh, femnn.J2(1e9, 0.3, 1e6))
        with pytest.raises(ParameterError, match="another law"):
            ReducedCellLaw.load(tmp_path / "cell", other)
        with pytest.raises(WeightFileError, match="kind"):
            RecurrentLaw.load(tmp_path / "cell")

    def test_strains_beyond_the_training_are_told(self, cell, trained):
        paths, snapshots, law = trained
        far = 3.0 * paths[:, :2] * (0.03 / np.abs(paths[:, :2]).max())
        law.on_outside, law.outside = "warn", 0
        with pytest.warns(femnn.exceptions.FemnnWarning, match="left the range"):
            follow(law, far, progress=False)
        assert law.outside > 0
        law.on_outside = "raise"
        with pytest.raises(OutsideRangeError, match="on_outside"):
            follow(law, far, progress=False)
        law.on_outside = "ignore"
        with pytest.raises(ParameterError, match="snapshots"):
            ReducedCellLaw.fit(cell, paths[:1], modes=4, snapshots=snapshots, progress=False)

    def test_a_run_of_the_cell_that_was_broken_off_goes_on(self, tmp_path):
        cell, paths = stiff_inclusions(3, radius=0.2), draw_strain_paths(2, steps=4)
        whole = record_cell(cell, paths, progress=False)
        record_cell(cell, paths[:1], tmp_path / "s", progress=False)
        again = record_cell(cell, paths, tmp_path / "s", progress=False)
        np.testing.assert_array_equal(again[5].u, whole[5].u)
        assert len(again) == 8
        other = draw_strain_paths(2, steps=4, seed=1)
        with pytest.raises(DatasetError, match="other paths"):
            record_cell(cell, other, tmp_path / "s", progress=False)
        with pytest.raises(ParameterError, match="not of these"):
            ReducedCellLaw.fit(cell, other, modes=3, snapshots=whole, progress=False)


class TestWeightedPoints:
    def test_forces_and_their_derivatives_are_sums_over_points(self):
        rng = np.random.default_rng(0)
        modes, weights, tangents = rng.standard_normal((5, 3, 4)), rng.uniform(size=5), rng.standard_normal((5, 3, 3))
        expected = np.einsum("pim,pij,pjn,p->mn", modes, tangents, modes, weights)
        points = WeightedPoints(modes, weights)
        np.testing.assert_allclose(points.matrix(tangents), expected, rtol=1e-13)
        np.testing.assert_allclose(points.matrix(tangents, exact=False), expected, rtol=1e-5, atol=1e-5)
        # some of the points have what is expected of them
        known = np.where(np.arange(5)[:, None, None] < 3, tangents, 1.0)
        points.expect(known)
        np.testing.assert_allclose(points.matrix(tangents), expected, rtol=1e-12)
        np.testing.assert_allclose(points.matrix(known), WeightedPoints(modes, weights).matrix(known), rtol=1e-13)
        x, stress = rng.standard_normal((2, 4)), rng.standard_normal((10, 3))
        np.testing.assert_allclose(points.strains(x).reshape(2, 5, 3), np.einsum("pim,nm->npi", modes, x), rtol=1e-13)
        force = np.einsum("npi,pim,p->nm", stress.reshape(2, 5, 3), modes, weights)
        np.testing.assert_allclose(points.force(stress, 2), force, rtol=1e-12)


@pytest.mark.parametrize("kind", ["cell", "reduced", "recurrent", "lstm", "gru"])
def test_tangents_may_be_left_out(kind, cell, trained):
    law = {"cell": lambda: CellLaw(cell), "reduced": lambda: trained[2]}.get(kind, lambda: learned(kind))()
    state = law.initial_state(2)
    for strain in draw_strain_paths(2, steps=4, seed=3).transpose(1, 0, 2)[:2]:
        stress, tangent, new = law.update(strain, state)
        without = law.update(strain, state, tangent=False)
        assert tangent.shape == (2, 6, 6)
        assert without[1] is None
        np.testing.assert_array_equal(without[0], stress)
        np.testing.assert_array_equal(without[2], new)
        state = new


def learned(kind):
    """A law of random numbers."""
    rng, elastic = np.random.default_rng(0), 1e9 * np.eye(6)
    if kind == "recurrent":
        units, openings = rng.standard_normal((2, 2, 3, 6)) / 3
        numbers, bonds = np.full(2, 0.1), np.tile([0.1, 2e-3, 1e-2, 0.5, 0.7], (2, 1))
        return RecurrentLaw(
            elastic, units, numbers, 0.03 * numbers, numbers, numbers, 1e9, openings=openings, bonds=bonds
        )
    gates = 4 if kind == "lstm" else 3
    shapes = {"weight_ih": (3 * gates, 6), "weight_hh": (3 * gates, 3), "bias_ih": 3 * gates, "bias_hh": 3 * gates}
    shapes |= {"head": (6, 3), "offset": 6}
    return GatedLaw(kind, elastic, {name: rng.standard_normal(shape) for name, shape in shapes.items()}, 0.1, 1e7)


class TestRecurrentLaw:
    @pytest.fixture(params=[0, 2], ids=["yields", "breaks"])
    def law(self, request):
        rng = np.random.default_rng(0)
        elastic = 1e9 * (np.eye(6) + 0.3 * np.pad(np.ones((3, 3)), (0, 3)))
        return RecurrentLaw(
            elastic, rng.standard_normal((3, 3, 6)) / 3, [0.1, 0.2, 0.1], [3e-3, 6e-3, 1e-2], [0.05] * 3, [0.1] * 3,
            1e9,
            openings=rng.standard_normal((request.param, 3, 6)) / 3,
            bonds=np.tile([0.1, 2e-3, 1e-2, 0.5, 0.7], (request.param, 1)),
        )  # fmt: skip

    def test_turning_a_path_turns_the_stress(self, law):
        path = draw_strain_paths(1, steps=10)[0]
        half = np.array([1.0] * 3 + [np.sqrt(0.5)] * 3)
        stress = follow(law, path, progress=False)
        assert np.abs(stress - follow(law, path, progress=False)[:1]).max() > 0.0
        for turn in rotations("cubic"):
            turned = path * half @ turn.T / half
            expected = stress / half @ turn.T * half
            np.testing.assert_allclose(follow(law, turned, progress=False), expected, atol=1e-9 * np.abs(stress).max())

    def test_rotations_are_a_group_that_keeps_lengths(self):
        turns = rotations("cubic")
        np.testing.assert_allclose(np.einsum("gij,gkj->gik", turns, turns), np.tile(np.eye(6), (24, 1, 1)), atol=1e-14)
        products = np.einsum("gij,hjk->ghik", turns, turns).reshape(-1, 6, 6)
        distance = np.abs(products[:, None] - turns[None]).max(axis=(2, 3))
        assert (distance.min(axis=1) < 1e-12).all()
        assert len(rotations("none")) == 1

    def test_the_tangent_is_the_derivative_and_units_dissipate(self, law):
        state, _last, _work = law.initial_state(1), np.zeros(6), 0.0
        for strain in draw_strain_paths(1, steps=12)[0]:
            _stress, tangent, new = law.update(strain[None], state)
            expected = differences(lambda e, s: law.update(e, s)[0], strain[None], state)
            np.testing.assert_allclose(tangent, expected, atol=1e-6 * np.abs(expected).max())
            if not len(law.openings):
                np.testing.assert_allclose(tangent[0], tangent[0].T, atol=1e-9 * np.abs(tangent).max())
            state, _last = new, strain
        plastic = law.plastic_lengths(state)
        assert (plastic >= 0.0).all()
        assert plastic.max() > 0.0

    def test_bonds_break_in_opening_alone_and_do_not_heal(self):
        law = RecurrentLaw(
            1e9 * np.eye(6), 1e-9 * np.ones((1, 3, 6)), [1.0], [1.0], [1.0], [1.0], 1e9,
            openings=[[[1.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1.0], [0, 0, 0, 0, 1.0, 0]]],
            bonds=[[0.5, 1e-3, 5e-3, 0.5, 0.0]], symmetry="none",
        )  # fmt: skip
        sizes = np.array([-0.01, 5e-4, 0.01, 5e-4, -0.01])
        stiffness = follow(law, sizes[:, None] * np.eye(6)[0], progress=False)[:, 0] / sizes
        expected = 1e9 * (1.0 - 0.5 * (1.0 - np.exp(-9e-3 / 5e-3)))
        np.testing.assert_allclose(stiffness, [1e9, 1e9, expected, expected, 1e9], rtol=1e-12)
        # half as much is lost in sliding, whatever its sign and under pressure, too
        sheared = np.sqrt(2.0) * np.array([1e-4, 0.01, -0.01, -0.005])[:, None] * np.eye(6)[5]
        sheared[2:, 0] = -0.01
        stiffness = follow(law, sheared, progress=False)[:, 5] / sheared[:, 5] * 2.0
        left = 1e9 * (1.0 - 0.25 * (1.0 - np.exp(-9e-3 / 5e-3)))
        np.testing.assert_allclose(stiffness, [1e9, left, left, left], rtol=1e-12)

    def test_a_gap_that_plastic_flow_has_opened_closes_later(self):
        unit, bond = np.zeros((1, 3, 6)), np.zeros((1, 3, 6))
        unit[0, 0, 0], bond[0, 0, 0] = 1.0, 1.0
        law = RecurrentLaw(
            1e9 * np.eye(6), unit, [1.0], [1e-3], [1e-6], [1e-6], 1e9, openings=bond,
            bonds=[[0.5, 1e-4, 1e-6, 1.0, -1.0]], symmetry="none",
        )  # fmt: skip
        # plastic strain 9e-3, which counts as an opening here; back to an elastic strain of no stress
        stress = follow(law, np.array([[0.01], [0.009]]) * np.eye(6)[0], progress=False)[:, 0]
        np.testing.assert_allclose(stress, 1e9 * np.array([1e-3 - 0.5 * 0.019, -0.5 * 0.018]), rtol=1e-4)

    def test_short_steps_change_little(self, law):
        path = draw_strain_paths(1, steps=40)[0]
        ends = [follow(law, draw_strain_paths(1, steps=40 * k)[0], progress=False)[k - 1 :: k] for k in (1, 2, 10)]
        errors = [np.linalg.norm(end - ends[2]) / np.linalg.norm(ends[2]) for end in ends[:2]]
        assert errors[1] < 0.75 * errors[0] < 0.05
        assert len(path) == 40

    def test_it_learns_a_metal_and_is_saved(self, tmp_path):
        from femnn.multiscale.fe2.fit_recurrent import fit_recurrent_law
        from femnn.networks.options import TrainingOptions

        metal, paths = femnn.J2(3e9, 0.3, 30e6, isotropic=1e8), draw_strain_paths(16, steps=12)
        elastic = metal.update(np.zeros((1, 6)), metal.initial_state(1))[1][0]
        stresses = follow(metal, paths, progress=False)
        options = TrainingOptions(learning_rate=2e-2, batch_size=8, epochs=20, threads=1)
        law, _ = fit_recurrent_law(paths, stresses, elastic, units=4, options=options, progress=False)
        unseen = draw_strain_paths(2, steps=12, seed=1, amplitude=0.025)
        expected, found = follow(metal, unseen, progress=False), follow(law, unseen, progress=False)
        assert np.linalg.norm(found - expected) < 0.15 * np.linalg.norm(expected)
        law.save(tmp_path / "law")
        again = RecurrentLaw.load(tmp_path / "law")
        np.testing.assert_array_equal(follow(again, unseen, progress=False), found)
        with pytest.warns(femnn.exceptions.FemnnWarning, match="left the range"):
            again.update([[0.5, -0.25, -0.25, 0, 0, 0]], again.initial_state(1))
        again.on_outside = "raise"
        with pytest.raises(OutsideRangeError, match="further out"):
            again.update([[0.5, -0.25, -0.25, 0, 0, 0]], again.initial_state(1))
        with pytest.raises(DatasetError, match="too few"):
            fit_recurrent_law(paths[:2], stresses[:2], elastic, options=options)
        with pytest.raises(ParameterError, match="equal"):
            fit_recurrent_law(paths, stresses[:, :3], elastic, options=options)

    def test_numbers_that_would_give_energy_are_refused(self):
        with pytest.raises(ParameterError, match="positive"):
            RecurrentLaw(np.eye(6), np.ones((1, 3, 6)), [-1.0], [1.0], [1.0], [1.0], 1.0)


class TestGatedLaw:
    @pytest.fixture(params=["lstm", "gru"])
    def law(self, request):
        rng, gates = np.random.default_rng(0), {"lstm": 4, "gru": 3}[request.param]
        shapes = {"weight_ih": (5 * gates, 6), "weight_hh": (5 * gates, 5), "bias_ih": 5 * gates, "bias_hh": 5 * gates}
        shapes |= {"head": (6, 5), "offset": 6}
        tensors = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        return GatedLaw(request.param, 1e9 * np.eye(6), tensors, 0.05, 2e7)

    def test_turning_a_path_turns_the_stress(self, law):
        path, half = draw_strain_paths(1, steps=6)[0], np.array([1.0] * 3 + [np.sqrt(0.5)] * 3)
        stress = follow(law, path, progress=False)
        for turn in rotations("cubic"):
            expected = stress / half @ turn.T * half
            found = follow(law, path * half @ turn.T / half, progress=False)
            np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(stress).max())

    def test_the_tangent_is_the_derivative_and_memory_counts(self, law):
        state = law.initial_state(1)
        for strain in draw_strain_paths(1, steps=4)[0]:
            _, tangent, new = law.update(strain[None], state)
            expected = differences(lambda e, s: law.update(e, s)[0], strain[None], state, h=1e-6)
            np.testing.assert_allclose(tangent, expected, atol=1e-6 * np.abs(expected).max())
            state = new
        afresh = law.update(strain[None], law.initial_state(1))[0]
        assert np.abs(afresh - law.update(strain[None], state)[0]).max() > 1e3

    def test_it_is_what_was_trained_and_is_saved(self, tmp_path):
        import torch

        from femnn.multiscale.fe2.fit_gated import fit_gated_law
        from femnn.networks.options import TrainingOptions

        metal, paths = femnn.J2(3e9, 0.3, 30e6, isotropic=1e8), draw_strain_paths(16, steps=8)
        elastic = metal.update(np.zeros((1, 6)), metal.initial_state(1))[1][0]
        stresses = follow(metal, paths, progress=False)
        options = TrainingOptions(learning_rate=1e-2, batch_size=8, epochs=10, threads=1)
        before = torch.random.get_rng_state()
        for kind in ("lstm", "gru"):
            law, history = fit_gated_law(paths, stresses, elastic, kind=kind, width=8, options=options, progress=False)
            # the law in NumPy has the loss that the network in torch had
            order = np.random.default_rng([0, 17]).permutation(16)[:2]
            errors = follow(law, paths[order], progress=False) - stresses[order]
            weights = np.array([1.0] * 3 + [2.0] * 3)
            loss = (errors**2 * weights).sum(axis=(1, 2)) / (stresses[order] ** 2 * weights).sum(axis=(1, 2))
            assert loss.mean() == pytest.approx(history.best_loss, rel=1e-3)
            law.save(tmp_path / kind)
            again = GatedLaw.load(tmp_path / kind)
            np.testing.assert_array_equal(follow(again, paths, progress=False), follow(law, paths, progress=False))
        assert torch.equal(before, torch.random.get_rng_state())
        with pytest.raises(WeightFileError, match="kind"):
            RecurrentLaw.load(tmp_path / "gru")
        with pytest.raises(DatasetError, match="too few"):
            fit_gated_law(paths[:2], stresses[:2], elastic)

    def test_tensors_that_are_none_are_refused(self, law):
        with pytest.raises(ParameterError, match="no head"):
            GatedLaw(law.kind, law.elastic, {k: v for k, v in law.tensors.items() if k != "head"}, 1.0, 1.0)
        with pytest.raises(ParameterError, match="weight_hh"):
            GatedLaw(law.kind, law.elastic, law.tensors | {"weight_hh": np.ones((3, 3))}, 1.0, 1.0)
        with pytest.raises(ParameterError, match="not finite"):
            GatedLaw(law.kind, law.elastic, law.tensors | {"offset": np.full(6, np.nan)}, 1.0, 1.0)
        with pytest.raises(ParameterError, match="finite"):
            law.update(np.zeros((1, 6)), np.full(law.initial_state(1).shape, np.nan))


def test_paths_of_the_full_cell_are_tasks_that_a_later_run_goes_on_with(tmp_path):
    composite, options = Composite(cells=4, bond=2e7), {"steps": 5, "seed": 3, "workers": 0, "progress": False}
    first = simulate_cell_paths(composite, tmp_path, paths=1, **options)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    strains, stresses, seconds = simulate_cell_paths(composite, tmp_path, paths=2, **options)
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    assert len(kept) == 1
    np.testing.assert_array_equal(strains, draw_strain_paths(2, steps=5, seed=3))
    np.testing.assert_array_equal(stresses[:1], first[1])
    expected = follow(CellLaw(composite.cell()), strains, progress=False)
    np.testing.assert_allclose(stresses, expected, atol=1e-6 * np.abs(expected).max())
    assert seconds > 0.0


def test_a_path_without_equilibrium_is_told():
    class Stubborn:
        kinematics = "small"

        def initial_state(self, n):
            return np.zeros((n, 0))

        def update(self, strain, state):
            raise LawError("no")

    with pytest.raises(LawError):
        follow(Stubborn(), np.ones((1, 6)), progress=False)
