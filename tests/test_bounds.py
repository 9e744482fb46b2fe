"""Compiled kernels are reached through checks alone: no public function reads or writes beyond an array."""

import numpy as np
import pytest
import skfem

import femnn
from femnn.geometry import canonical_warps, distorted_cube
from femnn.geometry.validity import bernstein_coefficients, classify, lattice_determinants
from femnn.interfaces.bases import InterfaceBases

CUBE = distorted_cube(4, 0.2)
RULE = femnn.GaussLegendre(2)
PATTERN = femnn.Pattern.of(CUBE)
MATRIX = femnn.assemble_elasticity(CUBE, RULE, 1.0, 0.3, pattern=PATTERN)
LAYER = femnn.Interface.split(
    CUBE.with_boundaries({"layer": lambda x: abs(x[2] - 0.5) < 0.07}, boundaries_only=False), "layer"
)
ELEMENTS = femnn.InterfaceElements(LAYER)
BASES = InterfaceBases(LAYER, skfem.ElementVector(skfem.ElementHex1()))
STIFFNESS = femnn.assemble_elasticity(LAYER.mesh, RULE, 1.0, 0.3)


def mesh_of(p, t):
    """A mesh with arrays that its constructor would not make."""
    mesh = skfem.MeshHex()
    object.__setattr__(mesh, "doflocs", p)
    object.__setattr__(mesh, "t", t)
    return mesh


BROKEN_MESHES = {
    "two coordinates": mesh_of(CUBE.p[:2], CUBE.t),
    "seven vertices": mesh_of(CUBE.p, CUBE.t[:7]),
    "vertex beyond the last": mesh_of(CUBE.p[:, :-1], CUBE.t),
    "negative vertex": mesh_of(CUBE.p, CUBE.t - 1),
    "vertices that are no integers": mesh_of(CUBE.p, CUBE.t.astype(float)),
}
OTHER_MESHES = [skfem.MeshTet(), skfem.MeshTri(), skfem.MeshWedge1(), None, 3]
OTHER_ELEMENTS = [
    skfem.ElementHex0(),
    skfem.ElementHexC1(),
    skfem.ElementTetP1(),
    skfem.ElementVector(skfem.ElementHex1()),
    skfem.ElementVector(skfem.ElementHex2()),
    skfem.ElementHex1,
    3,
    "hex",
]


@pytest.mark.parametrize("mesh", [*BROKEN_MESHES.values(), *OTHER_MESHES], ids=lambda mesh: type(mesh).__name__)
def test_a_pattern_and_all_assembly_refuse_other_meshes(mesh):
    for function in (
        femnn.hexahedra,
        femnn.Pattern.of,
        lambda mesh: femnn.assemble_elasticity(mesh, RULE, 1.0, 0.3),
        lambda mesh: femnn.assemble_elasticity(mesh, RULE, 1.0, 0.3, pattern=PATTERN),
        lambda mesh: femnn.assemble_mass(mesh, RULE),
        lambda mesh: femnn.assemble_body_force(mesh, RULE, 1.0),
    ):
        with pytest.raises(femnn.MeshError):
            function(mesh)


@pytest.mark.parametrize("mesh", [skfem.MeshQuad(), skfem.MeshHex2()], ids=lambda mesh: type(mesh).__name__)
def test_cells_of_another_kind_are_no_straight_hexahedra(mesh):
    for function in (femnn.hexahedra, lambda mesh: femnn.assemble_elasticity(mesh, RULE, 1.0, 0.3, pattern=PATTERN)):
        with pytest.raises(femnn.MeshError):
            function(mesh)


@pytest.mark.parametrize("mesh", [*BROKEN_MESHES.values(), skfem.MeshTet()], ids=lambda mesh: type(mesh).__name__)
def test_bases_refuse_meshes_that_are_broken_or_of_other_cells(mesh):
    with pytest.raises(femnn.MeshError):
        femnn.bases(mesh, skfem.ElementHex1(), RULE)


@pytest.mark.parametrize("element", OTHER_ELEMENTS, ids=lambda element: type(element).__name__)
def test_a_pattern_refuses_other_elements(element):
    with pytest.raises(femnn.ParameterError, match="has no pattern"):
        femnn.Pattern.of(CUBE, element)


def test_a_pattern_is_made_of_a_mesh_alone_and_stays_as_it_is():
    with pytest.raises(TypeError):
        femnn.Pattern(PATTERN.cells, PATTERN.starts, PATTERN.neighbours[:5], PATTERN.slots, PATTERN.blocks)
    for array in (PATTERN.cells, PATTERN.slots, PATTERN.starts, PATTERN.neighbours, PATTERN.blocks.places):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    for pattern in (3, "pattern", PATTERN.cells, PATTERN.blocks):
        with pytest.raises(femnn.ParameterError, match="pattern is"):
            femnn.assemble_elasticity(CUBE, RULE, 1.0, 0.3, pattern=pattern)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros(5),
        np.zeros(0),
        np.zeros(2 * MATRIX.nnz),
        np.zeros(2 * MATRIX.nnz)[::2],
        np.zeros(MATRIX.nnz, dtype=np.float32),
        np.zeros(MATRIX.nnz, dtype=complex),
    ],
    ids=lambda data: f"{data.dtype}-{data.shape}-{data.strides}",
)
def test_a_matrix_whose_data_were_replaced_is_no_out(data):
    out = femnn.assemble_elasticity(CUBE, RULE, 1.0, 0.3, pattern=PATTERN)
    out.data = data
    with pytest.raises(femnn.ParameterError, match="the data of out have been replaced"):
        femnn.assemble_elasticity(CUBE, RULE, 1.0, 0.3, pattern=PATTERN, out=out)


@pytest.mark.parametrize("out", [np.zeros((3, 3)), 3, MATRIX.tocsc(), MATRIX.copy(), MATRIX[:5]], ids=type)
def test_what_is_no_matrix_of_the_pattern_is_no_out(out):
    with pytest.raises(femnn.ParameterError, match="out "):
        femnn.assemble_elasticity(CUBE, RULE, 1.0, 0.3, pattern=PATTERN, out=out)


@pytest.mark.parametrize("function", [classify, bernstein_coefficients, lattice_determinants, canonical_warps])
@pytest.mark.parametrize("shape", [(), (8,), (8, 3), (5, 7, 3), (5, 8, 2), (5, 8, 3, 1), (5, 3, 8)], ids=str)
def test_geometry_takes_vertices_of_hexahedra_alone(function, shape):
    with pytest.raises(femnn.MeshError, match="hexahedra"):
        function(np.zeros(shape))
    with pytest.raises(femnn.MeshError, match="hexahedra is no array of numbers"):
        function([["a"]])


WRONG = [np.zeros(0), np.zeros(5), np.zeros((3, 3)), np.zeros((3, 3, 3)), np.zeros((ELEMENTS.points, 2)), None, "u"]


@pytest.mark.parametrize("values", [*WRONG, np.zeros(ELEMENTS.ndof, dtype=complex)], ids=np.shape)
@pytest.mark.parametrize("elements", [ELEMENTS, BASES], ids=["elements", "bases"])
def test_interfaces_take_arrays_of_their_points_alone(elements, values):
    for function in (elements.separation, elements.force, elements.stiffness):
        with pytest.raises(femnn.ParameterError, match=r"has shape|is no array of numbers"):
            function(values)
    with pytest.raises(femnn.ParameterError, match="the displacement"):
        femnn.CohesiveProblem(STIFFNESS, [(elements, femnn.ContactCohesive(1e11))]).residual_and_tangent(values)
    with pytest.raises(femnn.ParameterError, match="the tangent"):
        ELEMENTS.blocks(values)


def test_interface_elements_are_made_of_an_interface_and_a_quadrature():
    for interface in (None, CUBE, 3):
        with pytest.raises(femnn.ParameterError, match="is no interface"):
            femnn.InterfaceElements(interface)
    for quadrature in (3, [np.zeros((2, 4))], (np.zeros((2, 4)), np.full(3, 1 / 3)), ("a", "b")):
        with pytest.raises(femnn.ParameterError, match="the quadrature"):
            femnn.InterfaceElements(LAYER, quadrature)


@pytest.mark.parametrize("shape", [(5,), (6, 5), (CUBE.nelements, 6), (6, CUBE.nelements - 1), (2, 3, 3)], ids=str)
def test_coefficients_and_stresses_fit_the_mesh(shape):
    for function in (
        lambda values: femnn.assemble_internal_force(CUBE, RULE, values),
        lambda values: femnn.assemble_elasticity(CUBE, RULE, stiffness=values),
        lambda values: femnn.assemble_body_force(CUBE, RULE, values),
        lambda values: femnn.assemble_diffusion(CUBE, RULE, [values]),
        lambda values: femnn.assemble_mass(CUBE, RULE, lambda x: values),
    ):
        with pytest.raises(femnn.ParameterError):
            function(np.ones(shape))


# --- laws that are compiled into the assembly


def reads_too_far(strain, state, parameters, stress, tangent, new_state):
    stress[:] = parameters[3] * strain[0]


def writes_too_far(strain, state, parameters, stress, tangent, new_state):
    stress[:] = 0.0
    new_state[1] = 1.0


def yields_too_far(strain, state, parameters, stress, tangent, new_state):
    stress[:] = strain
    if strain[0] > 1e-3:
        tangent[6, 6] = 1.0


def counting(strain, state, parameters, stress, tangent, new_state):
    stress[:] = parameters[0] * strain
    new_state[0] = state[0] + 1.0


@pytest.mark.parametrize("function", [reads_too_far, writes_too_far, yields_too_far])
def test_a_law_that_reaches_beyond_its_arrays_is_refused(function):
    with pytest.raises(femnn.ParameterError, match="reaches beyond its arrays"):
        femnn.PointLaw(function, (1.0,), initial_state=(0.0,))


def test_a_law_and_a_solid_take_strains_states_and_displacements_of_their_points():
    law = femnn.PointLaw(counting, (2.0,), initial_state=(0.0,))
    for strain, state in (
        (np.zeros((4, 5)), np.zeros((4, 1))),
        (np.zeros((4, 6)), np.zeros((3, 1))),
        (np.zeros((4, 6)), np.zeros((4, 0))),
        (np.zeros(6), np.zeros((1, 1))),
        (None, None),
    ):
        with pytest.raises(femnn.ParameterError, match=r"strain|state"):
            law.update(strain, state)
    solid = femnn.Solid(CUBE, RULE, law)
    for u in (np.zeros(3), np.zeros((solid.n_dofs, 1)), np.zeros(0), None):
        for function in (solid.residual_and_tangent, solid.internal_force, solid.strains, solid.stresses):
            with pytest.raises(femnn.ParameterError, match="the displacement"):
                function(u)

    class Narrow(femnn.PointLaw):
        def initial_state(self, n):
            return np.zeros((n, 0))

    with pytest.raises(femnn.ParameterError, match="the compiled law writes"):
        femnn.Solid(CUBE, RULE, Narrow(counting, (2.0,), initial_state=(0.0,)))
