"""Every form of the fused path against scikit-fem's, on distorted meshes, any rule, any coefficients."""

import numpy as np
import pytest
import skfem
from hypothesis import given, settings
from hypothesis import strategies as st
from skfem.helpers import ddot, dot, eye, grad, mul, sym_grad, trace

import femnn
from femnn.assembly import isotropic_stiffness
from femnn.geometry import distorted_cube
from femnn.integration.lame import lame_parameters

ELEMENTS = [skfem.ElementHex1(), skfem.ElementHex2()]
RULES = [femnn.GaussLegendre(2), femnn.GaussLegendre((1, 2, 3)), femnn.AdaptiveGauss(1e-5), femnn.CorrectedGauss()]
MESH = distorted_cube(3, 0.3, seed=4)

# CorrectedGauss is made for trilinear elements alone
CASES = [(element, rule) for element in ELEMENTS for rule in RULES if element is ELEMENTS[0] or rule is not RULES[3]]

by_element = pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: type(element).__name__)
by_case = pytest.mark.parametrize(
    ("element", "rule"), CASES, ids=lambda x: repr(x) if isinstance(x, femnn.Rule) else type(x).__name__
)


def assert_equal(found, expected):
    assert found.shape == expected.shape
    assert abs(found - expected).max() < 1e-12 * abs(expected).max()


def bases(element, rule, vector=False):
    return femnn.bases(MESH, skfem.ElementVector(element) if vector else element, rule)


def strain(u):
    """Voigt strain with engineering shear."""
    g = grad(u)
    return np.stack([g[0, 0], g[1, 1], g[2, 2], g[1, 2] + g[2, 1], g[0, 2] + g[2, 0], g[0, 1] + g[1, 0]])


def anisotropic(x):
    """A symmetric positive stiffness that changes from point to point."""
    random = np.random.default_rng(7).normal(size=(6, 6))
    return (random @ random.T)[:, :, None, None] * (1.0 + x[0] + x[1] * x[2])


@by_case
def test_isotropic_elasticity_with_a_field_of_young(element, rule):
    @skfem.BilinearForm
    def form(u, v, w):
        lame, shear = lame_parameters(1.0 + w.x[0], 0.3)
        stress = lame * eye(trace(sym_grad(u)), 3) + 2.0 * shear * sym_grad(u)
        return ddot(stress, sym_grad(v))

    found = femnn.assemble_elasticity(MESH, rule, lambda x: 1.0 + x[0], 0.3, element=element)
    assert_equal(found, skfem.asm(form, bases(element, rule, vector=True)))


@by_case
def test_any_linear_elasticity(element, rule):
    @skfem.BilinearForm
    def form(u, v, w):
        return np.einsum("i...,ij...,j...", strain(v), anisotropic(w.x), strain(u))

    expected = skfem.asm(form, bases(element, rule, vector=True))
    assert_equal(femnn.assemble_elasticity(MESH, rule, stiffness=anisotropic, element=element), expected)


@by_case
def test_diffusion_with_an_unsymmetric_tensor(element, rule):
    def tensor(x):
        zero = 0.0 * x[0]
        return np.array([[1.0 + x[0], x[1], zero], [zero, 2.0 + x[2], x[0]], [x[2], zero, 3.0 + zero]])

    @skfem.BilinearForm
    def form(u, v, w):
        return dot(mul(tensor(w.x), grad(u)), grad(v))

    expected = skfem.asm(form, bases(element, rule))
    assert_equal(femnn.assemble_diffusion(MESH, rule, tensor, element=element), expected)


@by_element
@pytest.mark.parametrize("components", [1, 3])
def test_mass(element, components):
    @skfem.BilinearForm
    def form(u, v, w):
        return (1.0 + w.x[0]) * (u * v if components == 1 else dot(u, v))

    expected = skfem.asm(form, bases(element, RULES[2], vector=components == 3))
    found = femnn.assemble_mass(MESH, RULES[2], lambda x: 1.0 + x[0], components=components, element=element)
    assert_equal(found, expected)


@by_case
def test_forces(element, rule):
    def force(x):
        return np.stack([x[0], x[1] ** 2, 1.0 + x[2]])

    def stress(x):
        return np.stack([x[0], x[1], x[2], x[0] * x[1], x[1] * x[2], 1.0 + 0.0 * x[0]])

    vector = bases(element, rule, vector=True)
    expected = skfem.asm(skfem.LinearForm(lambda v, w: dot(force(w.x), v)), vector)
    assert_equal(femnn.assemble_body_force(MESH, rule, force, element=element), expected)
    expected = skfem.asm(skfem.LinearForm(lambda v, w: np.einsum("i...,i...", stress(w.x), strain(v))), vector)
    assert_equal(femnn.assemble_internal_force(MESH, rule, stress, element=element), expected)
    expected = skfem.asm(skfem.LinearForm(lambda v, w: w.x[1] * v), bases(element, rule))
    assert_equal(femnn.assemble_body_force(MESH, rule, lambda x: x[1], element=element), expected)


def test_a_piola_stress_need_not_be_symmetric():
    stress = np.arange(9.0).reshape(3, 3)
    expected = skfem.asm(
        skfem.LinearForm(lambda v, w: np.einsum("ij,ij...", stress, grad(v))), bases(ELEMENTS[0], RULES[0], vector=True)
    )
    assert_equal(femnn.assemble_internal_force(MESH, RULES[0], stress), expected)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    case=st.sampled_from(CASES),
    shape=st.tuples(*[st.integers(1, 3)] * 3),
    displacement=st.floats(0.0, 0.35, allow_subnormal=False),
    seed=st.integers(0, 2**20),
)
def test_both_paths_agree_on_random_meshes_rules_and_coefficients(case, shape, displacement, seed):
    element, rule = case
    random = np.random.default_rng(seed)
    mesh = skfem.MeshHex.init_tensor(*(np.cumsum(random.uniform(0.2, 2.0, n + 1)) for n in shape))
    # numbered at random, every vertex moved by a share of the shortest edge
    edge = min(np.diff(np.unique(x)).min() for x in mesh.p)
    new = random.permutation(mesh.nvertices)
    points = np.empty_like(mesh.p)
    points[:, new] = mesh.p + 0.5 * edge * displacement * random.uniform(-1.0, 1.0, mesh.p.shape)
    mesh = skfem.MeshHex(points, new[mesh.t][:, random.permutation(mesh.nelements)])
    stiffness = random.normal(size=(6, 6, mesh.nelements))
    slope = random.normal(size=3)

    own = femnn.bases(mesh, skfem.ElementVector(element), rule)
    expected = sum(
        skfem.BilinearForm(
            lambda u, v, w, D=stiffness[..., basis.tind]: np.einsum("ieq,ije,jeq->eq", strain(v), D, strain(u))
        ).assemble(basis)
        for basis in own
    )
    assert_equal(femnn.assemble_elasticity(mesh, rule, stiffness=stiffness, element=element), expected)
    density = skfem.BilinearForm(lambda u, v, w: (slope @ w.x.reshape(3, -1)).reshape(w.x.shape[1:]) * u * v)
    expected = skfem.asm(density, femnn.bases(mesh, element, rule))
    found = femnn.assemble_mass(mesh, rule, lambda x: np.einsum("i,i...", slope, x), element=element)
    assert_equal(found, expected)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    young=st.floats(1e-3, 1e12),
    poisson=st.floats(-0.9, 0.49, allow_subnormal=False),
    seed=st.integers(0, 2**20),
    displacement=st.floats(0.0, 0.3, allow_subnormal=False),
)
def test_constants_elements_and_points_agree(young, poisson, seed, displacement):
    """The three ways to give one coefficient take three ways through the kernels."""
    mesh, rule = distorted_cube(2, displacement, seed=seed), femnn.AdaptiveGauss(1e-4)
    expected = femnn.assemble_elasticity(mesh, rule, young, poisson)
    for given_young, given_poisson in (
        (np.full(8, young), poisson),
        (young, np.full(8, poisson)),
        (lambda x: young + 0.0 * x[0], np.full(8, poisson)),
    ):
        assert_equal(femnn.assemble_elasticity(mesh, rule, given_young, given_poisson), expected)
    stiffness = isotropic_stiffness(*lame_parameters(young, poisson))
    assert_equal(femnn.assemble_elasticity(mesh, rule, stiffness=stiffness), expected)
    groups = rule.groups(femnn.hexahedra(mesh))
    per_group = [np.broadcast_to(stiffness[..., None, None], (6, 6, *g.cells.shape, g.W.shape[-1])) for g in groups]
    assert_equal(femnn.assemble_elasticity(mesh, rule, stiffness=per_group), expected)


def test_coefficients_belong_to_their_elements():
    """Two materials: each element's own coefficient, whatever the order of assembly."""
    young = np.where(np.arange(MESH.nelements) % 3 == 0, 1.0, 50.0)
    rule = femnn.AdaptiveGauss(1e-4)
    only = [
        femnn.assemble_elasticity(MESH.with_subdomains({}), rule, np.where(young == value, value, 1e-300), 0.3)
        for value in (1.0, 50.0)
    ]
    assert_equal(femnn.assemble_elasticity(MESH, rule, young, 0.3), only[0] + only[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"young": np.nan, "poisson": 0.3}, "the Young's modulus is nan; give finite numbers"),
        ({"young": np.r_[np.ones(26), np.inf], "poisson": 0.3}, "Young's modulus is inf at element 26, and at 1 of 27"),
        ({"young": np.ones(5), "poisson": 0.3}, r"has shape \(5,\); give \(\) for the mesh, \(27,\) with one entry"),
        ({"young": np.r_[np.ones(26), -1.0], "poisson": 0.3}, "-1.0.* at place 26; it must be a positive number"),
        ({"young": 1.0, "poisson": 0.5}, "Poisson's ratio is .*0.5"),
        ({"young": 1.0}, "give young and poisson together, or stiffness alone"),
        ({}, "give young and poisson together, or stiffness alone"),
        ({"young": 1.0, "poisson": 0.3, "stiffness": np.eye(6)}, "give young and poisson together"),
        ({"stiffness": np.eye(3)}, r"the stiffness has shape \(3, 3\); give \(6, 6\)"),
        ({"stiffness": "steel"}, "the stiffness is no array of numbers"),
        ({"stiffness": lambda x: x}, r"the stiffness of group 0 has shape \(3, 27, 8\); its 27 elements with 8 points"),
        ({"stiffness": [np.eye(6), np.eye(6)]}, "the stiffness has 2 arrays, the rule has 1 groups"),
        ({"young": lambda x: x[0] / 0.0 * 0.0, "poisson": 0.3}, "Young's modulus is nan at point 0, and at 216 of 216"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_coefficients_that_make_no_sense(arguments, message):
    with pytest.raises(femnn.ParameterError, match=message):
        femnn.assemble_elasticity(MESH, RULES[0], **arguments)


def test_mass_has_one_or_three_components():
    with pytest.raises(femnn.ParameterError, match="components is 2; fields on this mesh have 1 or 3"):
        femnn.assemble_mass(MESH, RULES[0], components=2)
