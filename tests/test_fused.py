"""The fused assembly: pattern, colours, equal bits, reuse."""

import numba
import numpy as np
import pytest
import skfem

import femnn
from femnn.assembly import pattern as patterns
from femnn.assembly.pattern import Pattern
from femnn.geometry.families import distorted_cube
from femnn.integration.stiffness import elasticity_stiffness

RULES = [femnn.GaussLegendre(2), femnn.GaussLegendre((1, 2, 3)), femnn.AdaptiveGauss(1e-5), femnn.CorrectedGauss()]


class OwnPoints(femnn.Rule):
    """Points of its own in every element."""

    def _groups(self, hexahedra):
        random = np.random.default_rng(0)
        n = len(hexahedra)
        half = np.arange(n) < n // 2
        return [
            femnn.CellGroup(
                cells, random.uniform(0.1, 0.9, (3, len(cells), nqp)), random.uniform(size=(len(cells), nqp))
            )
            for cells, nqp in ((np.flatnonzero(half), 5), (np.flatnonzero(~half), 9))
        ]


def from_elements(mesh, rule):
    """The sum of the element matrices, dense."""
    vertices = femnn.hexahedra(mesh)
    dofs = skfem.Dofs(mesh, skfem.ElementVector(skfem.ElementHex1())).element_dofs
    result = np.zeros((3 * mesh.nvertices,) * 2)
    for group in rule.groups(vertices):
        for row, matrix in enumerate(elasticity_stiffness(vertices[group.cells], group.X, group.W, 3.0, 0.2)):
            own = dofs[:, group.cells[row]]
            result[np.ix_(own, own)] += matrix
    return result


@pytest.mark.parametrize("rule", [*RULES, OwnPoints()], ids=repr)
def test_matrix_is_the_sum_of_the_elements(rule):
    mesh = distorted_cube(5, 0.3, seed=1)
    found = femnn.assemble_elasticity(mesh, rule, 3.0, 0.2)
    expected = from_elements(mesh, rule)
    assert np.abs(found - expected).max() < 1e-14 * np.abs(expected).max()
    assert found.has_sorted_indices
    found.check_format()


def test_vertices_may_be_numbered_in_any_order():
    mesh = distorted_cube(5, 0.3, seed=1)
    random = np.random.default_rng(2)
    new = random.permutation(mesh.nvertices)
    points = np.empty_like(mesh.p)
    points[:, new] = mesh.p
    shuffled = skfem.MeshHex(points, new[mesh.t][:, random.permutation(mesh.nelements)])
    found = femnn.assemble_elasticity(shuffled, RULES[0], 3.0, 0.2)
    expected = from_elements(shuffled, RULES[0])
    assert np.abs(found - expected).max() < 1e-14 * np.abs(expected).max()


def test_blocks_of_one_colour_share_no_vertex():
    mesh = distorted_cube(14, 0.0, seed=0)
    pattern = Pattern.of(mesh)
    assert len(pattern.blocks) - 1 == -(-mesh.nelements // patterns.BLOCK) > 4
    assert sorted(pattern.order) == list(range(mesh.nelements))
    for colour in range(len(pattern.colours) - 1):
        seen = np.zeros(mesh.nvertices, dtype=int)
        for block in range(pattern.colours[colour], pattern.colours[colour + 1]):
            members = pattern.order[pattern.blocks[block] : pattern.blocks[block + 1]]
            seen[np.unique(pattern.cells[members])] += 1
        assert seen.max() <= 1


def test_same_bits_for_any_number_of_threads():
    mesh = distorted_cube(14, 0.3, seed=5)
    results = []
    before = numba.get_num_threads()
    try:
        for threads in (1, before, before):
            numba.set_num_threads(threads)
            results.append(femnn.assemble_elasticity(mesh, femnn.AdaptiveGauss(1e-3), 1.0, 0.3))
    finally:
        numba.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other.data, results[0].data)


def test_pattern_serves_every_mesh_of_its_connectivity():
    first, second = (distorted_cube(4, 0.3, seed=seed) for seed in (1, 2))
    pattern = Pattern.of(first)
    reused = femnn.assemble_elasticity(second, RULES[0], 1.0, 0.3, pattern=pattern)
    np.testing.assert_array_equal(reused.data, femnn.assemble_elasticity(second, RULES[0], 1.0, 0.3).data)
    with pytest.raises(femnn.MeshError, match="it has 64 elements, this one 125"):
        femnn.assemble_elasticity(distorted_cube(5, 0.3, seed=1), RULES[0], 1.0, 0.3, pattern=pattern)


def test_vertices_without_elements_get_empty_rows():
    mesh = distorted_cube(3, 0.2, seed=1)
    points = np.concatenate([mesh.p, [[9.0], [9.0], [9.0]]], axis=1)
    found = femnn.assemble_elasticity(skfem.MeshHex(points, mesh.t, validate=False), RULES[0], 1.0, 0.3)
    assert found.shape == (3 * (mesh.nvertices + 1),) * 2
    assert found[-3:].nnz == 0
    assert abs(found[:-3, :-3] - femnn.assemble_elasticity(mesh, RULES[0], 1.0, 0.3)).max() == 0.0


def test_skipped_elements_add_nothing():
    mesh = distorted_cube(3, 0.0, seed=1)
    points = mesh.p.copy()
    points[:, mesh.t[0, 13]] = points[:, mesh.t[7, 13]]
    bad = skfem.MeshHex(points, mesh.t)
    with pytest.raises(femnn.FoldedElementError):
        femnn.assemble_elasticity(bad, RULES[0], 1.0, 0.3)
    with pytest.warns(femnn.FemnnWarning, match="of 27 elements are folded or degenerate and left out"):
        kept = femnn.assemble_elasticity(bad, RULES[0], 1.0, 0.3, on_folded="skip")
    assert np.isfinite(kept.data).all()
    rigid = np.tile([1.0, 0.0, 0.0], bad.nvertices)
    assert np.abs(kept @ rigid).max() < 1e-12


def test_what_is_no_rule_is_refused():
    with pytest.raises(femnn.ParameterError, match="3 is not a rule"):
        femnn.assemble_elasticity(distorted_cube(2, 0.1, seed=0), 3, 1.0, 0.3)


def test_too_many_neighbours_are_refused():
    # hexahedra stacked around one vertex, more than any mesh has
    n = 45
    cells = np.arange(8 * n).reshape(n, 8)
    cells[:, 0] = 0
    mesh = skfem.MeshHex(np.random.default_rng(0).uniform(size=(3, 8 * n)), cells.T, validate=False)
    with pytest.raises(femnn.MeshError, match="a vertex has 316 neighbours, itself included; more than 255"):
        Pattern.of(mesh)
