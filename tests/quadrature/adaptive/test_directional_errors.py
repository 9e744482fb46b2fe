"""Directional errors, the energy measure, settling by integration, and the estimate that the network corrects."""

import numpy as np
import pytest
from scipy.linalg import eigh
from support.elements import stretched_to_the_brink
from support.properties import described_otherwise, moved

import femnn
from femnn.geometry import VERTICES
from femnn.integration import elasticity_stiffness, error_table, laplace_stiffness, tensor_gauss
from femnn.quadrature.adaptive.apriori_estimate import describe_directions
from femnn.quadrature.adaptive.by_integration import points_by_integration
from femnn.quadrature.adaptive.directional_errors import MEASURES, converged_points, directional_tables
from femnn.quadrature.adaptive.roots import least_log_rho, log_rho
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors, tensor_rule_tables


@pytest.fixture(scope="module")
def some():
    return femnn.distorted_hexahedra(60, (0.05, 0.35), seed=21, aspect=5.0, shear=0.3)


def test_roots_of_a_frustum():
    # x = (1 - ζ/2) ξ and y alike: det J = (1 - ζ/2)², a double root at ζ = 2, which is z = 3 on [-1, 1]
    frustum = VERTICES.copy()
    frustum[VERTICES[:, 2] == 1, :2] *= 0.5
    np.testing.assert_allclose(
        least_log_rho(frustum[None])[0], [np.log(1e4), np.log(1e4), np.log(3 + 8**0.5)], rtol=1e-3
    )


def test_complex_roots():
    # through three lattice values 1, 1/4, 1: det J = 1/4 + 3/4 z², roots ± i/√3
    root = 1j / np.sqrt(3.0)
    assert log_rho(1.0, 0.25, 1.0) == pytest.approx(np.log(abs(root + np.sqrt(root**2 - 1))))
    assert log_rho(1.0, 0.0, 1.0) == 0.0
    assert log_rho(1.0, 1.0, 1.0) == pytest.approx(np.log(1e4))


def test_errors_of_chosen_rules_are_those_of_the_public_measure(some):
    rules = np.random.default_rng(0).integers(2, 6, (len(some), 3))
    found = tensor_rule_errors(some, rules, 0.3, "entries")
    for e in range(0, len(some), 7):
        expected = femnn.integration_error(some[e : e + 1], femnn.GaussLegendre(tuple(rules[e])))
        assert found[e] == pytest.approx(expected[0], rel=1e-5, abs=1e-11)
    table, _ = error_table(some, 6)
    for n in (2, 4):
        equal = tensor_rule_errors(some, np.full((len(some), 3), n), 0.3, "entries")
        np.testing.assert_allclose(equal, table[:, n - 1], rtol=1e-5, atol=1e-11)


def test_tables_of_rules_hold_every_measure_and_material(some):
    random = np.random.default_rng(1)
    few, rules = some[:8], random.integers(2, 5, (8, 3, 3))
    poisson = np.tile([0.3, -0.2], (8, 1))
    tables = tensor_rule_tables(few, rules, poisson)
    for k, m in np.ndindex(3, 2):
        for number, measure in enumerate(MEASURES):
            alone = tensor_rule_errors(few, rules[:, k], poisson[:, m], measure)
            np.testing.assert_allclose(tables[:, m, number, k], alone, rtol=1e-9)
    turned = np.linalg.qr(random.normal(size=(8, 1, 3, 3)))[0]
    largest = tensor_rule_tables(few, rules, poisson, turned)
    assert (largest[:, :, 0] >= tables[:, :, 0] * (1 - 1e-9)).all()
    assert (largest[:, :, 0] > 1.01 * tables[:, :, 0]).any()


@pytest.mark.parametrize("poisson", [-0.4, 0.3, 0.499])
def test_energy_ratio_is_the_largest_generalised_eigenvalue(some, poisson):
    rule = (2, 3, 2)
    found = tensor_rule_errors(some[:6], np.tile(rule, (6, 1)), poisson, "energy")
    for e in range(6):
        change, exact = (
            elasticity_stiffness(some[e : e + 1], *tensor_gauss(*n), poisson=poisson)[0] for n in (rule, (24, 24, 24))
        )
        # without rigid modes: those are the six smallest of the exact stiffness
        modes = eigh(exact)[1][:, 6:]
        values = eigh(modes.T @ (change - exact) @ modes, modes.T @ exact @ modes, eigvals_only=True)
        assert found[e] == pytest.approx(np.abs(values).max(), rel=1e-6)


def test_energy_ratio_of_the_laplace_form(some):
    found = tensor_rule_errors(some[:4], np.full((4, 3), 2), 0.3, "laplace-energy")
    for e in range(4):
        rough, exact = (laplace_stiffness(some[e : e + 1], *tensor_gauss(n, n, n))[0] for n in (2, 24))
        modes = eigh(exact)[1][:, 1:]
        values = eigh(modes.T @ (rough - exact) @ modes, modes.T @ exact @ modes, eigvals_only=True)
        assert found[e] == pytest.approx(np.abs(values).max(), rel=1e-6)


def test_energy_does_not_depend_on_pose_size_or_names(some):
    rules = np.full((len(some), 3), 2)
    expected = tensor_rule_errors(some, rules, 0.3, "energy")
    for other in (described_otherwise(some, 13), moved(some, seed=3, size=50.0)):
        np.testing.assert_allclose(tensor_rule_errors(other, rules, 0.3, "energy"), expected, rtol=1e-8)


def test_directions_add_up_to_the_error(some):
    tables = directional_tables(some, np.full((len(some), 1), 0.3))[:, 0]
    for measure in ("entries", "energy"):
        own = tables[:, MEASURES.index(measure)]
        for rule in ((2, 2, 2), (3, 2, 4), (4, 4, 4)):
            parts = np.stack([own[:, axis, n - 2] for axis, n in enumerate(rule)], axis=1)
            whole = tensor_rule_errors(some, np.tile(rule, (len(some), 1)), 0.3, measure)
            assert (whole < 1.3 * parts.sum(axis=1) + 1e-11).all(), "but for products, the triangle inequality"
            assert (whole > 0.3 * parts.max(axis=1)).all()


def test_largest_over_orientations_is_at_least_the_given_one(some):
    poisson = np.full((len(some), 1), 0.3)
    turned = np.random.default_rng(0).normal(size=(len(some), 1, 3, 3))
    turned = np.linalg.qr(turned)[0]
    given, largest = directional_tables(some, poisson), directional_tables(some, poisson, turned)
    assert (largest >= given * (1 - 1e-9)).all()
    assert (largest[:, :, 0] > 1.01 * given[:, :, 0]).mean() > 0.05
    np.testing.assert_allclose(largest[:, :, 1], given[:, :, 1], rtol=1e-6, atol=1e-11)


def test_residue_estimate_follows_the_error(some):
    own = directional_tables(some, np.full((len(some), 1), 0.3))[:, 0, 0]
    _, estimates = describe_directions(some)
    for n in range(4):
        known = own[:, :, n] > 1e-10
        offset = np.log10(own[:, :, n][known]) - np.log10(2.0) * estimates[:, :, n][known]
        # one constant is left open; the bound C ρ^-2n alone scatters over decades
        assert offset.std() < 0.35
        assert np.ptp(offset) < 2.0


def test_residue_estimate_where_two_roots_meet():
    # tapered by nearly the same factor along ξ and ζ: the residues do not cancel although the roots meet
    tapered = VERTICES.copy() - 0.5
    tapered[:, 0] *= 1.0 - 0.5 * tapered[:, 1]
    tapered[:, 2] *= 1.0 - 0.504 * tapered[:, 1]
    own = directional_tables(tapered[None], [[0.3]])[0, 0, 0, 1, :3]
    offset = np.log10(own) - np.log10(2.0) * describe_directions(tapered[None])[1][0, 1, :3]
    assert (np.abs(offset - 2.0) < 0.7).all()


def test_features_commute_with_symmetries_and_ignore_pose(some):
    features, estimates = describe_directions(some)
    turned = moved(some, seed=5, size=1e-3)
    for other in describe_directions(turned):
        assert np.isfinite(other).all()
    np.testing.assert_allclose(describe_directions(turned)[1], estimates, atol=2e-3)
    # the cube's axes change places with the directions
    from femnn.geometry import symmetries

    for g in (5, 13, 31):
        axes = np.abs(symmetries()[g]).argmax(axis=0)
        found = describe_directions(described_otherwise(some, g))
        np.testing.assert_allclose(found[0], features[:, axes], atol=2e-3)
        np.testing.assert_allclose(found[1], estimates[:, axes], atol=2e-3)


@pytest.mark.parametrize("measure", MEASURES)
def test_rules_by_integration_keep_the_tolerance_at_little_cost(some, measure):
    for tolerance in (1e-2, 1e-5):
        points, met = points_by_integration(some, tolerance, 0.3, measure)
        assert met.all()
        assert (tensor_rule_errors(some, points, 0.3, measure) < tolerance).all()
        equal, _ = points_by_integration(some, tolerance, 0.3, measure, anisotropic=False)
        assert (equal == equal[:, :1]).all()
        assert (points <= equal).all()
        fewer = np.maximum(equal - 1, 2)
        assert (tensor_rule_errors(some, fewer, 0.3, measure) >= 0.8 * tolerance)[equal[:, 0] > 2].all()


def test_nearly_folded_elements_get_rules_by_integration():
    brink = stretched_to_the_brink(8e-4)
    points, met = points_by_integration(brink, 1e-3, 0.3, "entries")
    assert met.all()
    assert points.max() > 10
    for e in range(len(brink)):
        rule = femnn.GaussLegendre(tuple(points[e]))
        assert femnn.integration_error(brink[e : e + 1], rule, reference=40)[0] < 1e-3


def test_converged_points_see_what_is_nearly_folded(some):
    assert converged_points(some)[1].all()
    assert not converged_points(stretched_to_the_brink(1e-4))[1].any()
