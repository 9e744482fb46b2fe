"""The examples, with small settings, against what is known about them; and the comparison that they share."""

import numpy as np
import pytest
import skfem
from scipy.linalg import eigh
from skfem.models.elasticity import lame_parameters, linear_elasticity
from support.example_files import example

import femnn
from femnn.exceptions import MeshError
from femnn.geometry import cooks_membrane, distorted_cube, kershaw
from femnn.integration.convergence import converged_stiffness
from femnn.integration.stiffness import elasticity_stiffness
from femnn.validation import rule_comparison as comparison
from femnn.validation.rule_comparison import LOAD, Structure, compare_rules, load_case, standard_rules


@pytest.fixture(scope="module")
def membrane():
    """Strongly distorted elements, with the boundaries `fixed` and `load`."""
    return cooks_membrane(6, 5, 2, thickness=8.0, distortion=0.3, seed=3)


@pytest.fixture(scope="module")
def structure(membrane):
    return Structure(membrane)


# --- poisson_swap


@pytest.fixture(scope="module")
def poisson(tmp_path_factory):
    out = tmp_path_factory.mktemp("poisson")
    module = example("poisson_swap")
    figures = module.main({"ElementHex1": (6, 12), "ElementHex2": (4, 8)}, out=out)
    assert (out / "poisson_swap.png").stat().st_size > 10_000
    return module, figures


@pytest.mark.parametrize(("element", "degree"), [("ElementHex1", 1), ("ElementHex2", 2)])
def test_poisson_converges_at_the_rates_of_theory(poisson, element, degree):
    module, figures = poisson
    for rule, record in figures[element].items():
        assert module.rates(record, "l2")[-1] == pytest.approx(degree + 1, abs=0.25), rule
        assert module.rates(record, "h1")[-1] == pytest.approx(degree, abs=0.15), rule


@pytest.mark.parametrize("element", ["ElementHex1", "ElementHex2"])
def test_adaptive_points_solve_poisson_as_well_as_the_default_rule(poisson, element):
    default, _, adaptive = poisson[1][element].values()
    np.testing.assert_allclose(adaptive["l2"], default["l2"], rtol=1e-3)
    np.testing.assert_allclose(adaptive["h1"], default["h1"], rtol=1e-4)
    assert (np.array(adaptive["points"]) < np.array(default["points"])).all()


def test_poisson_counts_the_points_of_all_groups(poisson):
    mesh = distorted_cube(6, 0.3, seed=1)
    expected = femnn.AdaptiveGauss(1e-2).count_points(femnn.hexahedra(mesh))
    assert poisson[1]["ElementHex1"]["AdaptiveGauss(0.01)"]["points"][0] == expected


# --- the comparison


def greatest_relative_error(mesh, rule):
    """max |λ| of (K_rule - K_ref) v = λ K_ref v over all elements, without their rigid motions."""
    hexahedra = femnn.hexahedra(mesh)
    references = converged_stiffness(hexahedra)[0]
    largest = 0.0
    for group in rule.groups(hexahedra):
        stiffness = elasticity_stiffness(hexahedra[group.cells], group.X, group.W)
        for k, reference in zip(stiffness, references[group.cells], strict=True):
            values, vectors = np.linalg.eigh(reference)
            strains = vectors[:, values > 1e-9 * values[-1]]
            assert strains.shape[1] == 18
            pencil = strains.T @ (k - reference) @ strains, strains.T @ reference @ strains
            largest = max(largest, np.abs(eigh(*pencil, eigvals_only=True)).max())
    return largest


@pytest.mark.parametrize("rule", [femnn.GaussLegendre(3), femnn.GaussLegendre(4), femnn.AdaptiveGauss(1e-2)], ids=repr)
def test_energy_errors_keep_the_bound_of_the_worst_element(membrane, structure, rule):
    epsilon = greatest_relative_error(membrane, rule)
    assert 0.0 < epsilon < 0.5
    found = structure.compare("", rule, 1e-3)
    assert 0.0 < found.energy_norm_error <= epsilon / (1.0 - epsilon)
    assert 0.0 < found.energy_error <= epsilon / (1.0 - epsilon)


def test_reference_solution_is_that_of_scikit_fem_with_many_points(membrane, structure):
    element = skfem.ElementVector(skfem.ElementHex1())
    basis = skfem.Basis(membrane, element, intorder=15)
    stiffness = linear_elasticity(*lame_parameters(210e9, 0.3)).assemble(basis)
    clamped = basis.get_dofs("fixed")
    solution = skfem.solve(*skfem.condense(stiffness, structure.case.force, D=clamped))
    largest = np.abs(solution).max()
    np.testing.assert_allclose(structure.displacement, solution[basis.nodal_dofs], atol=1e-7 * largest)
    assert structure.strain_energy == pytest.approx(0.5 * structure.case.force @ solution, rel=1e-7)


def test_solutions_of_the_rules_are_those_of_a_direct_solver(membrane, structure):
    rule = femnn.GaussLegendre(2)
    stiffness = femnn.assemble_elasticity(membrane, rule, 210e9, 0.3)
    solution = skfem.solve(*skfem.condense(stiffness, structure.case.force, I=structure.case.free))
    energy = 0.5 * structure.case.force @ solution
    found = structure.compare("", rule, 1e-3)
    assert found.energy_error == pytest.approx(abs(energy / structure.strain_energy - 1.0), rel=1e-6)
    missed = np.linalg.norm(solution[structure.dofs.nodal_dofs] - structure.displacement, axis=0).max()
    largest = np.linalg.norm(structure.displacement, axis=0).max()
    assert found.displacement_error == pytest.approx(missed / largest, rel=1e-6)


def test_errors_are_those_of_integration_error(membrane, structure):
    rule = femnn.AdaptiveGauss(1e-2)
    expected = femnn.integration_error(femnn.hexahedra(membrane), rule)
    found = structure.compare("", rule, 1e-2)
    # 30×30×30 points and the converged walk differ by round-off
    np.testing.assert_allclose(found.errors, expected, rtol=1e-6, atol=1e-11)
    assert found.elements_above == (expected >= 1e-2).sum()


def test_smallest_uniform_rule_meets_the_tolerance_and_one_point_less_does_not(structure):
    n, errors = structure.uniform(1e-3), structure.error_table
    assert (errors[:, n - 1] < 1e-3).all()
    assert not (errors[:, n - 2] < 1e-3).all()
    assert (errors[:, structure.uniform(1e-3, missed=10) - 1] >= 1e-3).sum() <= 10
    assert structure.uniform(1e9) == 2  # one point would do, but leaves zero-energy modes
    assert structure.uniform(1e-13) is None


def test_parallelepipeds_are_exact_with_every_rule():
    structure = Structure(kershaw(6, 1.0, 1.0))
    for result in compare_rules(structure, standard_rules(structure, 1e-3), 1e-3)[-2:]:
        assert result.points == 8 * 216
        assert result.error_worst < 1e-10
        assert result.displacement_error < 1e-10


def test_the_form_is_timed_only_when_asked_for_and_not_too_large(structure, monkeypatch):
    rule = femnn.GaussLegendre(2)
    timed, untimed = (structure.compare("", rule, 1e-3, forms) for forms in (True, False))
    monkeypatch.setattr(comparison, "MOST_POINTS", 100)
    too_large = structure.compare("", rule, 1e-3)
    assert min(timed.form_seconds, timed.seconds) > 0.0
    assert untimed.form_seconds is None
    assert too_large.form_seconds is None
    assert too_large.energy_error == timed.energy_error


# --- load cases


def test_the_load_is_five_kilonewtons_downwards(membrane):
    case = load_case(membrane)
    dofs = skfem.Dofs(membrane, skfem.ElementVector(skfem.ElementHex1())).nodal_dofs
    np.testing.assert_allclose(case.force[dofs].sum(axis=1), [0.0, 0.0, -LOAD], atol=1e-6 * LOAD)
    fixed = np.unique(membrane.facets[:, membrane.boundaries["fixed"]])
    assert set(case.free) == set(np.delete(dofs, fixed, axis=1).ravel())


def test_without_boundaries_the_weight_of_the_mesh_bends_it():
    mesh = skfem.MeshHex.init_tensor(np.linspace(0, 2.0, 5), np.linspace(0, 0.5, 3), np.linspace(0, 1.0, 3))
    case = load_case(mesh)
    assert "lowest 2% of its x extent" in case.description
    dofs = skfem.Dofs(mesh, skfem.ElementVector(skfem.ElementHex1())).nodal_dofs
    np.testing.assert_allclose(case.force[dofs].sum(axis=1), [0.0, -comparison.WEIGHT, 0.0], atol=1e-9)
    assert set(case.free) == set(dofs[:, mesh.p[0] > 0.01].ravel())


def test_a_mesh_that_stands_on_a_corner_is_clamped_further_up():
    mesh = skfem.MeshHex()
    tilt = np.linalg.qr(np.array([[1.0, 1.0, 1.0], [0.0, 1.0, -1.0], [1.0, 0.0, 0.0]]).T)[0].T
    mesh = skfem.MeshHex(tilt @ mesh.refined(3).p, mesh.refined(3).t)
    assert Structure(mesh).strain_energy > 0.0


def test_a_part_that_is_not_held_is_named():
    cube = skfem.MeshHex().refined(1)
    shift = np.array([[9.0], [0.0], [0.0]])
    apart = skfem.MeshHex(np.hstack([cube.p, cube.p + shift]), np.hstack([cube.t, cube.t + 27]))
    with pytest.raises(MeshError, match="with element 8 is not held: 0 of its vertices"):
        Structure(apart)


def test_meshes_too_large_to_factor_are_refused():
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0, 1, 33)] * 3)
    with pytest.raises(MeshError, match="32768 elements"):
        Structure(mesh)


# --- bracket_elasticity


def test_bracket_example_compares_all_its_rules(membrane, tmp_path):
    figures = example("bracket_elasticity").main(membrane, tol=1e-2, out=tmp_path)
    assert list(figures) == [
        *(f"GaussLegendre({n})" for n in (2, 3, 4)),
        *(f"AdaptiveGauss({tol})" for tol in ("0.1", "0.01", "0.001", "0.0001")),
        "CorrectedGauss()",
    ]
    adaptive = [figure for name, figure in figures.items() if name.startswith("Adaptive")]
    # a tighter tolerance costs points and gains accuracy, in the elements and in the solution
    assert (np.diff([figure["points"] for figure in adaptive]) > 0).all()
    for key in ("error_worst", "energy_norm_error", "energy_error"):
        assert (np.diff([figure[key] for figure in adaptive]) < 0).all(), key
    assert figures["CorrectedGauss()"]["points"] == 8 * membrane.nelements
    assert (tmp_path / "bracket_elasticity.png").stat().st_size > 10_000


# --- train_from_nothing


def test_networks_trained_from_nothing_do_their_work(tmp_path):
    figures = example("train_from_nothing").main(elements=2_400, epochs=50, unseen=600, out=tmp_path)
    assert figures["exact"] > 0.85
    assert figures["within_one"] > 0.98
    # calibrated for 5 % on 200 elements, counted on 600: both scatter
    assert figures["violations"] < 0.09
    assert figures["points_over_oracle"] < 1.15
    assert figures["sent_on"] > 0.25
    assert figures["share_below_1"] > 0.8
    assert figures["mean_r_error"] < 0.998
    assert (tmp_path / "train_from_nothing.png").stat().st_size > 10_000


def test_networks_that_correct_nothing_are_reported_all_the_same(tmp_path, capsys):
    script = example("train_from_nothing")
    figures = {"exact": 0.1, "within_one": 0.2, "violations": 0.0, "points_over_oracle": 2.0, "seconds": 1.0}
    script.report({**figures, "sent_on": 0.0, "share_below_1": 0.0, "mean_r_error": 1.0}, 1e-3)
    assert "corrects no element" in capsys.readouterr().out
    script.plot((np.array([2, 3]), np.array([3, 3])), np.empty(0), 1e-3, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 5_000


# --- train_with_what


def test_methods_of_training_side_by_side(tmp_path, capsys):
    script = example("train_with_what")
    results = script.main(("l-bfgs", "adam"), elements=600, passes=16.0, most=64.0, seeds=2, out=tmp_path)
    said = capsys.readouterr().out
    assert list(results) == ["l-bfgs", "adam"]
    for name, result in results.items():
        assert result["figures"].shape == (2,)
        for end in result["ends"]:
            assert end.best.best < 0.7 * end.courses[0].chosen[0]
            assert end.settled or end.courses[-1].passes[-1] >= 64.0
        assert f"{name}: mean R_error" in said
    # few elements, a short training: weights need not be better than those of Gauss yet, but not far from them
    assert 0.9 < results["adam"]["figures"].mean() < 1.05
    assert (tmp_path / "train_with_what.png").stat().st_size > 10_000
    with pytest.raises(femnn.exceptions.ParameterError, match="no method adamm; there are: descent-exact, "):
        script.main(("adamm",), out=tmp_path)


# --- hyperelastic_block


@pytest.fixture(scope="module")
def rubber():
    return example("hyperelastic_block")


def test_ogden_stress_is_the_derivative_of_its_energy(rubber):
    random = np.random.default_rng(0)
    deformation = np.eye(3)[:, :, None, None] + 0.1 * random.normal(size=(3, 3, 4, 2))

    def energy(values):
        gradient = np.moveaxis(values, (0, 1), (-2, -1))
        stretches = np.sqrt(np.linalg.eigvalsh(np.swapaxes(gradient, -1, -2) @ gradient))
        log_volume = np.log(np.linalg.det(gradient))
        terms = zip(rubber.MODULI, rubber.EXPONENTS, strict=True)
        springs = sum(m / a * ((stretches**a).sum(axis=-1) - 3.0) - m * log_volume for m, a in terms)
        return springs + 0.5 * rubber.BULK * log_volume**2

    found = rubber.stress(deformation)
    for i, j in np.ndindex(3, 3):
        step = np.zeros_like(deformation)
        step[i, j] = 1e-6
        expected = (energy(deformation + step) - energy(deformation - step)) / 2e-6
        np.testing.assert_allclose(found[i, j], expected, atol=1e-8)


def test_adaptive_points_spare_evaluations_of_a_dear_law(rubber, tmp_path):
    figures = rubber.main(n=2, out=tmp_path)
    uniform = max((own for name, own in figures.items() if "×" in name), key=lambda own: own["points"])
    entries, energy = list(figures.values())[-2:]
    assert energy["evaluations"] < entries["evaluations"] < uniform["evaluations"]
    assert entries["error"] < 1e-3
    assert energy["error"] < 1e-2
    assert (tmp_path / "hyperelastic_block.png").stat().st_size > 10_000


# --- hyper_reduced_beam


def test_a_beam_is_reduced_and_so_are_forms_on_the_bases_of_its_cubature(tmp_path):
    figures = example("hyper_reduced_beam").main((8, 3, 3), 8, (8, 14), (1e-3, 3e-4), 1, out=tmp_path)
    few, many = figures[8], figures[14]
    assert many["worst"] < 1e-2
    assert many["worst"] < few["worst"]
    assert few["points"] < many["points"] < 0.2 * 8 * 72
    # scikit-fem's forms on the same points, solved by a loop of the example's own
    assert figures["by forms"] < 1e-6
    assert (tmp_path / "hyper_reduced_beam.png").stat().st_size > 10_000


# --- two_scale_plate


def test_a_plate_of_cells_is_pulled_with_three_laws(tmp_path):
    from femnn.validation import Sizes

    sizes = Sizes(training=3, steps=10, modes=10, tol=1e-2, data=12, units=4, epochs=4)
    full, reduced, recurrent = example("two_scale_plate").main(3, sizes, across=1, unseen=1, out=tmp_path)
    assert full["force"] == full["path"] == 0.0
    assert reduced["force"] < 0.02
    assert reduced["path"] < 0.05
    assert recurrent["force"] < 0.2
    assert (tmp_path / "two_scale_plate.png").stat().st_size > 10_000


# --- burgers_manifold


def test_a_travelling_shock_is_reduced_in_three_ways(tmp_path):
    figures = example("burgers_manifold").main(20, 30, 20, 120, 4, epochs=60, out=tmp_path)
    assert figures["linear"]["error"] < 0.02
    assert figures["4 local bases, tensors"]["error"] < 0.02
    assert figures["network closure"]["error"] < 0.05
    assert figures["network closure"]["cells"] <= 60
    assert (tmp_path / "burgers_manifold.png").stat().st_size > 10_000


# --- flow_memory


def test_networks_remember_a_flow_better_than_galerkin(tmp_path):
    figures = example("flow_memory").main(128, 150, ("gru",), seeds=2, epochs=30, weights=1000, out=tmp_path)
    for errors in figures.values():
        assert errors["projection"] < errors["gru"] < errors["Galerkin projection"]
    assert (tmp_path / "flow_memory.png").stat().st_size > 10_000


# --- pendulum_from_film


def test_the_equation_of_a_bar_is_found_in_its_film(tmp_path):
    figures = example("pendulum_from_film").main(1, modes=40, units=150, rounds=4, out=tmp_path)
    assert set(figures["found"]) == {"sin z", "z'"}
    assert figures["found"]["sin z"] == pytest.approx(figures["truth"]["sin z"], rel=0.02)
    assert figures["found"]["z'"] == pytest.approx(figures["truth"]["z'"], rel=0.25)
    assert (tmp_path / "pendulum_from_film.png").stat().st_size > 10_000
