"""Learned rules on meshes of parts that the project ships, where nobody has the published ones."""

import numpy as np
import pytest
import skfem

import femnn
from femnn.integration.convergence import converged_stiffness, error_table, smallest_points
from femnn.integration.error import error_against
from femnn.io import data_folder
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors


@pytest.fixture(scope="module", params=["bracket", "bent_blade"])
def elements(request):
    """A tenth of the elements of a part."""
    mesh = skfem.MeshHex.load(data_folder("meshes") / f"{request.param}.vtu")
    return femnn.hexahedra(mesh)[::10]


@pytest.fixture(scope="module")
def references(elements):
    return converged_stiffness(elements)[0]


def test_adaptive_needs_far_fewer_points(elements):
    errors, _ = error_table(elements, 12)
    uniform = smallest_points(errors, 1e-3).max()
    rule = femnn.AdaptiveGauss(1e-3)
    missed = tensor_rule_errors(elements, rule.points_per_axis(elements), 0.3, "entries") / 1e-3
    assert uniform**3 * len(elements) > 2.0 * rule.count_points(elements)
    assert np.mean(missed >= 1.0) < 0.01
    assert missed.max() < 3.0


@pytest.mark.parametrize(
    ("rule", "standard"),
    [
        (femnn.MovedGauss(), femnn.GaussLegendre(2)),
        (femnn.MovedGauss(patch=True), femnn.GaussLegendre(2)),
        (femnn.CorrectedGauss(3, patch=True), femnn.GaussLegendre(3)),
    ],
    ids=repr,
)
def test_corrected_rules_reduce_the_error(elements, references, rule, standard):
    before, after = (error_against(elements, each, references) for each in (standard, rule))
    distorted = before > 1e-6
    ratio = (after / before)[distorted].mean()
    assert ratio < 1.0
