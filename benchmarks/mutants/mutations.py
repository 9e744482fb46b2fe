"""The mutations: a room, a file, a text that occurs once in it, what takes its place, the tests that must notice.

A text is as long as it needs to be found once, and no longer. Whoever changes such a line changes it here as well:
``tests/end_to_end/test_mutants.py`` says which has lost its place.
"""

from benchmarks.mutants.running import Mutation

_ERROR, _OPTIMUM = "tests/integration/test_error.py", "tests/integration/test_optimal_weights.py"
_VALIDITY, _PATCH = "tests/geometry/test_validity.py", "tests/quadrature/test_patch_conditions.py"
_CALIBRATION, _HELD_OUT = "tests/quadrature/adaptive/test_calibration.py", "tests/networks/test_held_out.py"
_CLASSICAL, _SCALE = "tests/cohesive/test_classical.py", "tests/cohesive/test_separation_scale.py"
_GAPS, _CELL = "tests/multiscale/rve/test_hill_mandel.py", "tests/multiscale/rve/test_rve.py"
_SPACE = "tests/multiscale/rve/test_space.py"
_GRAINS, _LAYER = "tests/multiscale/grains/test_layer.py", "tests/cohesive/training/test_precompressed.py"
_MEDIUM, _POROUS = "tests/reservoir/test_medium.py", "tests/reservoir/test_problem.py"
_FAULT, _RESTART = "tests/reservoir/fault/test_problem.py", "tests/io/test_restart.py"

# by file: old text, new text, tests, and why none can notice where that is so
_KERNELS = {
    "femnn/integration/kernels.py": [
        ("mu * moments[3 * a + j, 3 * b + i]", "mu * moments[3 * a + i, 3 * b + j]",
         f"{_ERROR}::test_elasticity_equals_scikit_fem"),
        ("weight = weights[q] / abs(determinant)", "weight = weights[q] / determinant",
         f"{_ERROR}::test_elasticity_equals_scikit_fem"),
        ("                scaled[k] = 0.0\n", "                scaled[k] += 0.0\n",
         f"{_ERROR}::test_elasticity_equals_scikit_fem"),
        ("weights[rule, q] * abs(determinant) * values[a]", "weights[rule, q] * determinant * values[a]",
         f"{_ERROR}::test_mass_sums_to_the_volume"),
        ("largest = max(largest, abs(reference[i, j]))", "largest = max(largest, reference[i, i] * 0.5)",
         f"{_ERROR}::test_error_is_what_the_paper_defines"),
    ],
    "femnn/integration/vector_kernels.py": [
        ("inverses[72 + q] = points[24 + q] * abs(determinant)", "inverses[72 + q] = points[24 + q] * determinant",
         "tests/assembly/test_fused.py::test_matrix_is_the_sum_of_the_elements"),
        ("slopes[0], slopes[1], slopes[2] = 4.0 * x - 3.0, 4.0 - 8.0 * x, 4.0 * x - 1.0",
         "slopes[0], slopes[1], slopes[2] = 4.0 * x - 3.0, 4.0 - 8.0 * x, 4.0 * x - 3.0",
         "tests/assembly/test_fused_forms.py::test_isotropic_elasticity_with_a_field_of_young"),
    ],
    "femnn/assembly/element_matrices.py": [
        ("place = 3 * i + j if strains.shape[1] == 9", "place = 3 * j + i if strains.shape[1] == 9",
         "tests/solids/test_solid.py::test_strains_are_those_of_scikit_fem_in_the_order_of_the_groups"),
    ],
}  # fmt: skip
_CERTIFICATES = {
    "femnn/integration/optimal_weights.py": [
        ("return error - dual @ (matrix @ weights - target) <= _GAP * error", "return True",
         f"{_OPTIMUM}::test_what_is_not_optimal_is_not_proven"),
        ("if not np.abs(dual).max() <= 1.0:", "if not np.abs(dual).max() <= 3.0:",
         f"{_OPTIMUM}::test_what_is_not_optimal_is_not_proven"),
        ("if not unbalanced[q] <= _BALANCED *", "if not unbalanced[q] <= 1e300 *",
         f"{_OPTIMUM}::test_what_is_not_optimal_is_not_proven"),
        ("proven[e] = initial <= negligible", "proven[e] = True",
         f"{_OPTIMUM}::test_an_optimum_that_is_not_reached_is_not_proven"),
        ("proven[e] = _is_proven(matrix, residuals, move, dual)", "proven[e] = True",
         f"{_OPTIMUM}::test_a_descent_that_ends_early_proves_nothing"),
        ("residuals + initial * shifts, move, dual)", "residuals, move, dual)",
         f"{_OPTIMUM}::test_the_optimum_of_symmetric_elements_is_that_of_a_linear_programme_and_proven"),
    ],
    "femnn/quadrature/patch_conditions.py": [
        ("_ROUND_OFF = 1e-14", "_ROUND_OFF = 1e-12",
         f"{_PATCH}::test_every_function_counts_however_small_the_warp"),
        ("_MOST_INDEPENDENT = 13", "_MOST_INDEPENDENT = 12",
         f"{_PATCH}::test_every_function_counts_however_small_the_warp"),
    ],
}  # fmt: skip
_VALIDITIES = {
    "femnn/geometry/validity.py": [
        ("DEGENERATE_SHARE = 1e-9", "DEGENERATE_SHARE = 1e-7",
         f"{_VALIDITY}::test_the_threshold_of_degenerate_elements_is_where_it_says"),
        ("if least < -zero:", "if least < zero:",
         f"{_VALIDITY}::test_collapsed_and_flat_elements_are_degenerate"),
        ("values[i, j, 1] = 2.0 * values[i, j, 1]", "values[i, j, 1] = 1.0 * values[i, j, 1]",
         f"{_VALIDITY}::test_bernstein_coefficients_enclose_the_determinant"),
        ("ab, bc = 0.5 * (a + b), 0.5 * (b + c)", "ab, bc = 0.5 * (a + b), 0.5 * (a + c)",
         f"{_VALIDITY}::test_verdict_agrees_with_dense_sampling"),
        ("if total < 0.0:", "if total > 0.0:",
         f"{_VALIDITY}::test_collapsed_and_flat_elements_are_degenerate"),
        ("np.sign(values[low]) == np.sign(values[high])", "np.sign(values[low]) != np.sign(values[high])",
         f"{_VALIDITY}::test_error_names_element_numbers_and_next_step"),
    ],
}  # fmt: skip
_CALIBRATIONS = {
    "femnn/quadrature/adaptive/calibration.py": [
        ("np.ceil((len(table) + 1) * CONFIDENCES[vouched])", "np.ceil(len(table) * CONFIDENCES[vouched])",
         _CALIBRATION),
        ("np.ceil((n + 1) * CONFIDENCES) <= n", "np.ceil(n * CONFIDENCES) <= n", _CALIBRATION),
        ("np.maximum(cautions[a], np.minimum(quantiles, CAUTIONS[-1]))", "np.minimum(quantiles, CAUTIONS[-1])",
         _CALIBRATION),
        ("n = min(len(both[0]) for both in", "n = max(len(both[0]) for both in", _CALIBRATION),
        ("int(np.ceil(position))", "int(np.floor(position))",
         _CALIBRATION),
        ("np.append(CAUTIONS[1:], np.inf)[last]", "CAUTIONS[last]",
         "tests/quadrature/adaptive/test_rule.py::test_scores_are_the_least_caution_that_gives_enough_points"),
    ],
    "femnn/quadrature/adaptive/train.py": [
        ("families(data.recipe, _REPORTS, n // 2)", "families(data.recipe, _CALIBRATES, n // 2)",
         f"{_HELD_OUT}::test_elements_of_the_directional_networks"),
        ("np.random.SeedSequence([recipe.seed, seed]).generate_state(6)", "np.full(6, recipe.seed)",
         f"{_HELD_OUT}::test_elements_of_the_directional_networks"),
    ],
    "femnn/quadrature/corrected/train.py": [
        ("dataset[:first], dataset[first:second], dataset[second:]",
         "dataset[:first], dataset[first:second], dataset[first:]",
         f"{_HELD_OUT}::test_elements_of_corrected_weights_and_of_the_published_classifier"),
        ("dataset[:first], dataset[first:second],", "dataset[:first], dataset[:second],",
         f"{_HELD_OUT}::test_elements_of_corrected_weights_and_of_the_published_classifier"),
    ],
    "femnn/quadrature/corrected/train_patch.py": [
        ("recipe.seed + 1_000_003", "recipe.seed",
         f"{_HELD_OUT}::test_elements_of_the_weights_that_pass_the_patch_test"),
    ],
    "femnn/quadrature/moved/train.py": [
        ("distorted_hexahedra(_TESTED, (0.05, 0.35), int(seeds[0]))",
         "distorted_hexahedra(_TESTED, (0.05, 0.35), recipe.seed)",
         f"{_HELD_OUT}::test_elements_of_moved_points"),
        ("np.random.default_rng(seeds[1])", "np.random.default_rng([recipe.seed, 1])",
         f"{_HELD_OUT}::test_elements_of_moved_points",
         "the training draws a permutation from this generator first, so that no element is the same"),
    ],
    "femnn/assembly/hourglass/train.py": [
        ("recipe.seed + 1_000_003", "recipe.seed", f"{_HELD_OUT}::test_elements_of_the_hourglass_correction"),
    ],
    "femnn/cli/train_cohesive.py": [
        ("options.seed + UNSEEN", "options.seed", f"{_HELD_OUT}::test_paths_of_a_classical_law"),
        ("data[: paths * 9 // 10], data[paths * 9 // 10 :]", "data[: paths * 9 // 10], data[paths * 8 // 10 :]",
         f"{_HELD_OUT}::test_paths_of_a_classical_law"),
    ],
    "femnn/cli/train_layer.py": [
        (" & np.isin(data.path, data.path[unseen])", "", f"{_HELD_OUT}::test_paths_of_a_layer"),
    ],
    "femnn/cohesive/training/precompressed_data.py": [
        ("np.flatnonzero(np.isin(groups, part)) for part in parts",
         "np.flatnonzero(np.isin(groups, parts[0])) for _ in parts",
         f"{_HELD_OUT}::test_paths_of_a_layer"),
        ("y[..., 0].var(axis=0, ddof=1)", "y[..., 0].var(axis=0, ddof=0)",
         f"{_LAYER}::test_scatter_of_few_samples_is_that_of_their_deviation"),
        ("y[..., 1:3].var(axis=0, ddof=1)", "y[..., 1:3].var(axis=0, ddof=0)",
         f"{_LAYER}::test_scatter_of_few_samples_is_that_of_their_deviation"),
    ],
}  # fmt: skip
_LAWS = {
    "femnn/cohesive/damage.py": [
        (" and intact >= shear * (e1 * e1 + e2 * e2)", "",
         f"{_CLASSICAL}::test_damage_waits_where_it_would_give_energy"),
        ("radius = friction * contact * -opening / shear if closed", "radius = contact * -opening / shear if closed",
         f"{_CLASSICAL}::test_a_broken_point_in_contact_slides_with_friction"),
        ("tangent[1, 2] -= turn * u1 * u2", "tangent[1, 2] += turn * u1 * u2",
         f"{_CLASSICAL}::test_tangents_match_differences"),
        ("traction[2] = shear * (s2 - d * new[SLIP2])", "traction[2] = shear * (s2 - d * new[SLIP1])",
         f"{_CLASSICAL}::test_shear_directions_are_alike_and_the_virgin_interface_is_free"),
    ],
    "femnn/cohesive/classical.py": [
        ("float((2.0 * toughnesses / strengths).max())", "float((2.0 * toughnesses / strengths).min())", _SCALE),
        ("7.638352 * max(self.normal_length, self.shear_length)", "7.638352 * self.normal_length", _SCALE),
        ("(g2 - g1) * fraction**exponent) / (stiffness * onset)", "(g2 - g1) * fraction) / (stiffness * onset)",
         f"{_CLASSICAL}::test_bilinear_dissipates_the_toughness_of_benzeggagh_and_kenane"),
    ],
    "femnn/cohesive/xu_needleman.py": [
        ("2.525507 * self.shear_length)", "7.638352 * self.shear_length)", _SCALE),
    ],
    "femnn/cohesive/law.py": [
        ("state.outside | ~self.in_range(checked)", "~self.in_range(checked)",
         "tests/cohesive/recurrent/test_law.py::test_points_outside_the_trained_range_are_flagged_and_answered"),
    ],
    "femnn/cohesive/recurrent/minimal_state.py": [
        ("target[k] = 1.0 - left", "target[k] = 1.0 - 0.999 * left",
         "tests/cohesive/recurrent/test_law.py::test_the_shipped_laws_meet_their_numbers"),
    ],
    "femnn/interfaces/frames.py": [
        ("np.cross(normal, frames[..., 1, :])", "np.cross(frames[..., 1, :], normal)",
         "tests/interfaces/test_frames.py"),
        ("np.abs(normal[..., :1]) < 0.9", "np.abs(normal[..., :1]) < 2.0", "tests/interfaces/test_frames.py"),
    ],
}  # fmt: skip
_HOMOGENISATION = {
    "femnn/multiscale/rve/response.py": [
        ("abs(work - inner) / scale if scale > 0.0 else 0.0", "0.0", _GAPS),
        ("np.abs(rve.inner_tangent(response) - response.tangent).max() / stiffest", "0.0", _GAPS),
        ("largest = np.maximum(largest, [", "largest = np.array([", _GAPS),
    ],
    "femnn/multiscale/rve/rve.py": [
        ("sheared = frames * normal[..., -1:] + frames", "sheared = frames * normal[..., -1:] - frames",
         f"{_CELL}::test_blocks_and_cracks_share_the_separation"),
        ("bulk = (stress * strain).sum(axis=1) @ blocks.dx",
         "bulk = 0.9999 * (stress * strain).sum(axis=1) @ blocks.dx",
         f"{_CELL}::test_work_inside_is_work_of_the_homogenised_traction"),
        ("return max(-float(traction[0]), 0.0)", "return 0.0",
         f"{_CELL}::test_a_virgin_precompressed_cell_is_in_equilibrium"),
    ],
    "femnn/multiscale/rve/equilibrium.py": [
        ("forces(x, pressure)[self._n :] / self._measure", "forces(x, pressure)[self._n :] / self._blocks.cell.volume",
         f"{_CELL}::test_a_single_crack_is_the_law_in_series_with_the_blocks"),
    ],
    "femnn/multiscale/rve/blocks.py": [
        ("driven[:, j, k] += 0.5 * p[i]", "driven[:, j, k] += 0.4 * p[i]",
         f"{_SPACE}::test_sets_of_cracks_are_springs_in_series_with_the_rock"),
    ],
    "femnn/multiscale/rve/embedded.py": [
        ("np.einsum(\"nqij,nq->nij\"", "1.01 * np.einsum(\"nqij,nq->nij\"",
         f"{_SPACE}::test_inclined_embedded_cracks_are_springs_in_series_with_the_rock"),
    ],
    "femnn/multiscale/rve/permeability.py": [
        ("aperture**3 / 12.0 * dx", "aperture**3 / 10.0 * dx",
         "tests/multiscale/rve/test_dataset.py::test_straight_cracks_conduct_by_the_cubic_law"),
    ],
    "femnn/multiscale/grains/measures.py": [
        ("return -total / (area * (top - bottom))", "return total / (area * (top - bottom))",
         f"{_GRAINS}::test_love_weber_finds_the_stress_of_a_cubic_packing_in_any_slice"),
        ("(2.0 * radius - plane)", "(3.0 * radius - plane)",
         f"{_GRAINS}::test_porosity_counts_the_part_of_each_sphere_inside"),
        ("(180.0 * (1.0 - porosity) ** 2)", "(180.0 * (1.0 - porosity))",
         f"{_GRAINS}::test_permeability_of_equal_spheres_is_that_of_carman"),
    ],
}  # fmt: skip
_COEFFICIENTS = {
    "femnn/reservoir/medium.py": [
        ("(self.biot_coefficient - self.porosity) * self._grain_compliance()",
         "self.biot_coefficient * self._grain_compliance()", f"{_MEDIUM}::test_undrained_constants_are_gassmanns"),
        ("diagonal * fluid + pairs * grains", "diagonal * (fluid + grains)", "tests/reservoir/test_storage.py"),
        ("self.young / (3.0 * (1.0 - 2.0 * self.poisson))", "self.young / (3.0 * (1.0 - self.poisson))",
         f"{_MEDIUM}::test_undrained_constants_are_gassmanns"),
        ("return self.exchange / self.viscosity", "return self.exchange",
         f"{_MEDIUM}::test_both_systems_together_are_the_single_medium"),
        ("_tensor(permeability, n, dim) / viscosity", "_tensor(permeability, n, dim) / viscosity[0]",
         f"{_MEDIUM}::test_entries_may_differ_from_element_to_element"),
        ("            fractions * self.biot_coefficient,",
         "            np.ones_like(fractions) * self.biot_coefficient,",
         f"{_MEDIUM}::test_both_systems_together_are_the_single_medium"),
    ],
    "femnn/reservoir/fault/points.py": [
        ("return self.shares * (strains[:, 0] - before[:, 0])",
         "return strains[:, 0] - before[:, 0] + 0.0 * self.shares",
         "tests/reservoir/fault/test_shares.py"),
        ("leaked[i] = dt * value * difference", "leaked[i] = 2.0 * dt * value * difference",
         f"{_FAULT}::test_steady_leak_off_is_that_of_resistances_in_a_row"),
    ],
    "femnn/reservoir/fault/flow.py": [
        ("aperture**3 / (12.0 * self.spacing)", "aperture**3 / (6.0 * self.spacing)",
         f"{_FAULT}::test_cores_follow_their_formulas"),
    ],
}  # fmt: skip
_RESTARTS = {
    "femnn/reservoir/fault/output.py": [
        ('leak_off=file.array("leak_off", (None, n)),', 'leak_off=0.0 * file.array("leak_off", (None, n)),',
         f"{_FAULT}::test_a_run_goes_on_from_its_restart_file_as_if_it_had_not_stopped"),
        ('rate=file.array("rate", (n, 3)),', 'rate=0.0 * file.array("rate", (n, 3)),',
         f"{_FAULT}::test_a_run_goes_on_from_its_restart_file_as_if_it_had_not_stopped"),
    ],
    "femnn/reservoir/output.py": [
        ('t, u, p = file.number("t"),', "t, u, p = 0.0,",
         "tests/reservoir/test_output.py::test_a_run_goes_on_from_its_restart_file_as_if_it_had_not_stopped"),
    ],
    "femnn/io/restart.py": [
        ('if header.pop("sha256") != _digest(header, arrays):', 'if header.pop("sha256") is None:',
         "tests/io/test_restart_digest.py"),
        ('if header["version"] > VERSION:', 'if header["version"] > VERSION + 99:',
         f"{_RESTART}::test_headers_of_other_files_are_refused"),
        ('if header["kind"] != kind:', 'if header["kind"] == "":',
         f"{_RESTART}::test_headers_of_other_files_are_refused"),
    ],
    "femnn/interfaces/problem.py": [
        ("loaded.law != state.law or loaded.values.shape", "loaded.values.shape",
         "tests/end_to_end/test_cohesive_beams.py::test_a_restart_goes_on_as_if_nothing_had_happened"),
    ],
    "femnn/tasks/run.py": [
        ("json.dumps([module, name, str(version), described])", "json.dumps([module, name, described])",
         "tests/tasks/test_run.py::test_other_arguments_functions_and_versions_are_refused"),
    ],
    "femnn/networks/training.py": [
        ("np.random.SeedSequence([seed, epoch])", "np.random.SeedSequence([seed, 0])",
         "tests/networks/test_training.py::test_every_row_is_seen_once_per_epoch_in_a_new_order"),
    ],
}  # fmt: skip

#: All mutations, in the order of the table.
MUTATIONS = [
    Mutation(room, file, old, new, tests if isinstance(tests, tuple) else (tests,), *why)
    for room, files in (
        ("kernels", _KERNELS),
        ("certificates", _CERTIFICATES),
        ("validity", _VALIDITIES),
        ("calibration and held-out", _CALIBRATIONS),
        ("laws", _LAWS),
        ("homogenisation", _HOMOGENISATION),
        ("poroelastic coefficients", _COEFFICIENTS),
        ("restarts", _RESTARTS),
    )
    for file, changes in files.items()
    for old, new, tests, *why in changes
]
