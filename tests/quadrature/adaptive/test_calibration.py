"""The conformal rank of a calibration, number by number, and what it is taken over."""

import numpy as np
import pytest

from femnn.quadrature.adaptive.calibration import CAUTIONS, CONFIDENCES, TOLERANCES, Calibration


def table(values):
    """Scores (2, n, tolerances) that are the same for both kinds of rules and all tolerances."""
    return np.broadcast_to(np.asarray(values)[None, :, None], (2, len(values), len(TOLERANCES)))


@pytest.mark.parametrize(("n", "ends_at"), [(98, 0.98), (99, 0.99), (100, 0.99), (199, 0.995)])
def test_the_rank_counts_the_element_that_is_still_to_come(n, ends_at):
    # the k-th smallest of n, k = the least whole number not below (n + 1) confidence, and none beyond the n-th
    drawn = np.random.default_rng(n).permutation(np.linspace(0.01, 3.9, n))
    calibration = Calibration.of([table(drawn)])
    assert calibration.confidences[-1] == ends_at
    ascending = np.sort(drawn)
    for column, confidence in enumerate(calibration.confidences):
        rank = next(k for k in range(1, n + 1) if k >= (n + 1) * confidence - 1e-9)
        np.testing.assert_array_equal(calibration.cautions[:, :, column], ascending[rank - 1])


def test_every_family_keeps_the_promise_whatever_their_order():
    hard, easy = table(np.linspace(1.0, 3.0, 999)), table(np.linspace(0.0, 0.5, 999))
    for order in ((hard, easy), (easy, hard), (easy, hard, easy)):
        np.testing.assert_array_equal(Calibration.of(order).cautions, Calibration.of([hard]).cautions)


def test_a_calibration_saves_no_points_and_ends_with_the_largest_caution():
    calibration = Calibration.of([table(np.full(999, -np.inf))])
    assert (calibration.cautions == 0.0).all()
    calibration = Calibration.of([table(np.full(999, np.inf))])
    assert (calibration.cautions == CAUTIONS[-1]).all()
    assert len(calibration.confidences) == len(CONFIDENCES)


def test_the_smallest_family_limits_what_all_can_vouch_for():
    small, large = table(np.linspace(0.0, 1.0, 98)), table(np.linspace(0.0, 1.0, 999))
    for families in ((small, large), (large, small)):
        assert Calibration.of(families).confidences[-1] == 0.98


@pytest.mark.parametrize("order", [1, -1])
def test_between_two_tolerances_the_larger_caution_counts(order):
    # cautions that grow with the tolerance, or fall
    of_tolerances = np.linspace(0.5, 3.0, len(TOLERANCES))[::order]
    scores = np.broadcast_to(of_tolerances, (2, 999, len(TOLERANCES)))
    calibration = Calibration.of([scores])
    for i, tolerance in enumerate(TOLERANCES):
        assert calibration.caution(tolerance, 0.99, True) == of_tolerances[i]
    for i in range(len(TOLERANCES) - 1):
        between = np.sqrt(TOLERANCES[i] * TOLERANCES[i + 1])
        assert calibration.caution(between, 0.99, False) == of_tolerances[i : i + 2].max()
