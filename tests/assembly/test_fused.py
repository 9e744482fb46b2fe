"""The fused assembly: pattern, colours, equal bits, reuse."""

from types import SimpleNamespace

import numba
import numpy as np
import pytest
import skfem
from support.rules import OwnPoints

import femnn
from femnn.assembly import Pattern
from femnn.assembly import pattern as pattern_module
from femnn.assembly.blocks import ELEMENTS, _colours
from femnn.geometry import distorted_cube
from femnn.integration.stiffness import elasticity_stiffness

RULES = [
    femnn.GaussLegendre(2),
    femnn.GaussLegendre((1, 2, 3)),
    femnn.Irons(),
    femnn.AdaptiveGauss(1e-5),
    femnn.CorrectedGauss(),
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


@pytest.mark.parametrize("element", [skfem.ElementHex1(), skfem.ElementHex2()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("shuffled", [False, True])
def test_blocks_of_one_colour_share_no_node(element, shuffled):
    mesh = distorted_cube(14 if isinstance(element, skfem.ElementHex1) else 5, 0.0, seed=0)
    if shuffled:
        random = np.random.default_rng(0)
        new = random.permutation(mesh.nvertices)
        points = np.empty_like(mesh.p)
        points[:, new] = mesh.p
        mesh = skfem.MeshHex(points, new[mesh.t][:, random.permutation(mesh.nelements)])
    pattern = Pattern.of(mesh, element)
    blocks = pattern.blocks
    assert len(blocks.elements) - 1 == -(-mesh.nelements // ELEMENTS[pattern.cells.shape[1]]) > 4
    assert sorted(blocks.order) == list(range(mesh.nelements))
    opened = np.zeros(pattern.n_nodes, dtype=int)
    for colour in range(len(blocks.colours) - 1):
        seen = np.zeros(pattern.n_nodes, dtype=int)
        for block in range(blocks.colours[colour], blocks.colours[colour + 1]):
            members = blocks.order[blocks.elements[block] : blocks.elements[block + 1]]
            nodes = blocks.nodes[blocks.starts[block] : blocks.starts[block + 1]]
            np.testing.assert_array_equal(nodes, np.unique(pattern.cells[members]))
            first = blocks.opens[blocks.starts[block] : blocks.starts[block + 1]]
            np.testing.assert_array_equal(first, opened[nodes] == 0)
            opened[nodes] += 1
            seen[nodes] += 1
        assert seen.max() <= 1
    # elements of a block are neighbours, even when the mesh is numbered at random
    assert len(blocks.nodes) < 0.7 * pattern.cells.size


def test_more_colours_than_fit_in_a_word():
    # every block holds the first node, so every block needs a colour of its own
    starts = 2 * np.arange(151)
    nodes = np.stack([np.zeros(150), 1 + np.arange(150)], axis=1).astype(np.int32).ravel()
    np.testing.assert_array_equal(_colours(nodes, starts, 151), np.arange(150))


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
    with pytest.warns(femnn.FemnnWarning, match="1 vertices belong to no element, first vertex 64"):
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


def test_matrices_of_one_pattern_share_a_structure_that_cannot_be_written():
    mesh = distorted_cube(3, 0.2, seed=1)
    pattern = Pattern.of(mesh)
    first, second = (femnn.assemble_elasticity(mesh, RULES[0], young, 0.3, pattern=pattern) for young in (1.0, 2.0))
    assert np.shares_memory(first.indices, second.indices)
    with pytest.raises(ValueError, match="read-only"):
        first.indices[0] = 1
    own = first.copy()
    own.data[own.data < 0.0] = 0.0
    own.eliminate_zeros()
    assert own.nnz < first.nnz
    np.testing.assert_allclose(second.data, 2.0 * first.data, rtol=1e-12)


def test_a_matrix_can_be_overwritten():
    first, second = (distorted_cube(4, 0.3, seed=seed) for seed in (1, 2))
    pattern = Pattern.of(first)
    matrix = femnn.assemble_elasticity(first, RULES[0], 1.0, 0.3, pattern=pattern)
    data = matrix.data
    again = femnn.assemble_elasticity(second, RULES[0], 1.0, 0.3, pattern=pattern, out=matrix)
    assert again is matrix
    assert again.data is data
    np.testing.assert_array_equal(data, femnn.assemble_elasticity(second, RULES[0], 1.0, 0.3).data)
    for wrong, message in ((matrix.copy(), "was not assembled with this pattern"), (np.eye(3), "out is a ndarray")):
        with pytest.raises(femnn.ParameterError, match=message):
            femnn.assemble_elasticity(second, RULES[0], 1.0, 0.3, pattern=pattern, out=wrong)
    with pytest.raises(femnn.ParameterError, match="was not assembled with this pattern"):
        femnn.assemble_diffusion(second, RULES[0], pattern=pattern, out=matrix)


def test_connectivity_that_is_no_mesh_is_refused():
    mesh = distorted_cube(2, 0.1, seed=0)
    rule = RULES[0]
    twice = skfem.MeshHex(mesh.p, np.concatenate([mesh.t, mesh.t[:, 3:4]], axis=1), validate=False)
    with pytest.raises(femnn.MeshError, match="elements 3 and 8 have the same vertices"):
        femnn.assemble_elasticity(twice, rule, 1.0, 0.3)
    cells = np.concatenate([mesh.t, mesh.t[:, 3:4]], axis=1)
    points = np.concatenate([mesh.p, mesh.p[:, cells[0, 8]][:, None] + 0.1], axis=1)
    cells[0, 8] = mesh.nvertices
    with pytest.raises(femnn.MeshError, match="elements 3 and 8 share 7 vertices, hexahedra share a face of 4"):
        femnn.assemble_elasticity(skfem.MeshHex(points, cells, validate=False), rule, 1.0, 0.3)
    for wrong in (-1, 27):
        cells = mesh.t.copy()
        cells[2, 5] = wrong
        with pytest.raises(femnn.MeshError, match=r"element 5 has the vertices \[.*\], the mesh has 27; rebuild"):
            femnn.assemble_elasticity(skfem.MeshHex(mesh.p, cells, validate=False), rule, 1.0, 0.3)


def test_collapsed_elements_are_left_out_without_a_false_overlap():
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 3)] * 3)
    cells = mesh.t.copy()
    # one edge of element 0 shrinks to a vertex that its neighbours share
    cells[7, 0] = cells[4, 0]
    wedge = skfem.MeshHex(mesh.p, cells, validate=False)
    with pytest.warns(femnn.FemnnWarning, match="1 of 8 elements are folded or degenerate"):
        found = femnn.assemble_elasticity(wedge, RULES[0], 1.0, 0.3, on_folded="skip")
    healthy = skfem.MeshHex(mesh.p, mesh.t[:, 1:], validate=False)
    with pytest.warns(femnn.FemnnWarning, match="1 vertices belong to no element, first vertex 0"):
        expected = femnn.assemble_elasticity(healthy, RULES[0], 1.0, 0.3)
    assert abs(found - expected).max() < 1e-14 * abs(expected).max()


def test_pattern_of_another_element_is_refused():
    mesh = distorted_cube(2, 0.1, seed=0)
    with pytest.raises(femnn.MeshError, match="the pattern has 8 nodes per element, ElementHex2 has 27"):
        femnn.assemble_elasticity(mesh, RULES[0], 1.0, 0.3, element=skfem.ElementHex2(), pattern=Pattern.of(mesh))
    with pytest.raises(femnn.ParameterError, match=r"knows ElementHex1, .*, not ElementHexC1"):
        femnn.assemble_elasticity(mesh, RULES[0], 1.0, 0.3, element=skfem.ElementHexC1())


def test_matrix_larger_than_the_machine_is_refused_before_it_is_allocated(monkeypatch):
    mesh = distorted_cube(3, 0.1, seed=0)
    entries = femnn.assemble_elasticity(mesh, RULES[0], 1.0, 0.3).nnz
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(pattern_module, "_fill_indices", None)
    with pytest.raises(
        MemoryError, match=f"192 degrees of freedom and {entries:,} entries needs {12 * entries:,} bytes"
    ):
        femnn.assemble_elasticity(mesh, RULES[0], 1.0, 0.3)


def test_too_many_neighbours_are_refused():
    # hexahedra stacked around one vertex, more than any mesh has
    n = 9400
    cells = np.arange(8 * n).reshape(n, 8)
    cells[:, 0] = 0
    # without the vertices that it stands for
    points = np.random.default_rng(0).uniform(size=(3, 8 * n))
    used, places = np.unique(cells, return_inverse=True)
    mesh = skfem.MeshHex(points[:, used], places.reshape(n, 8).T, validate=False)
    with pytest.raises(femnn.MeshError, match="a node has 65801 neighbours, itself included; more than 65535"):
        Pattern.of(mesh)
