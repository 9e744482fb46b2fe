"""Rules in other programs: where these are installed, their matrices are those of femnn."""

import numpy as np
import pytest
import skfem
from scipy.sparse import bsr_matrix, csr_matrix

import femnn
from femnn.exceptions import ParameterError
from femnn.exchange import (
    felupe_regions,
    mfem_integration_rules,
    ngsolve_differentials,
    sfepy_integrals,
    shared_blocks,
)
from femnn.geometry import distorted_cube
from femnn.geometry.hexahedron import jacobian_determinant

YOUNG, POISSON = 3.0, 0.3
LAME, SHEAR = YOUNG * POISSON / (1.0 + POISSON) / (1.0 - 2.0 * POISSON), YOUNG / 2.0 / (1.0 + POISSON)
# with several groups; with different numbers along the axes, which tells a permuted axis
RULES = [femnn.AdaptiveGauss(1e-2), femnn.GaussLegendre((2, 3, 4)), femnn.Irons()]


def mesh_with_both_signs():
    """Distorted cells, some of which are numbered the other way round."""
    mesh = distorted_cube(3, 0.3, seed=4)
    t = mesh.t.copy()
    corners = mesh.elem.refdom.p.T
    mirror = [int(np.flatnonzero((corners == [1 - a, b, c]).all(axis=1))[0]) for a, b, c in corners]
    t[:, ::3] = t[mirror][:, ::3]
    return skfem.MeshHex(mesh.p, t)


def expected(mesh, rule):
    """The matrix of femnn with the three displacements of a vertex side by side."""
    order = skfem.Dofs(mesh, skfem.ElementVector(skfem.ElementHex1())).nodal_dofs.T.ravel()
    return femnn.assemble_elasticity(mesh, rule, YOUNG, POISSON)[order][:, order]


def test_blocks_integrate_the_volume_with_positive_cells():
    mesh = mesh_with_both_signs()
    blocks = shared_blocks(mesh, femnn.AdaptiveGauss(1e-2))
    assert sorted(np.concatenate([block.cells for block in blocks])) == list(range(27))
    places = mesh.elem.refdom.p.T.astype(int).tolist()
    vtk = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    volume = 0.0
    for block in blocks:
        x = mesh.p.T[block.connectivity][:, [vtk.index(place) for place in places]]
        determinants = jacobian_determinant(x, block.X)
        assert (determinants > 0.0).all()
        volume += (determinants @ block.W).sum()
    assert volume == pytest.approx(1.0)


def test_points_of_their_own_are_refused():
    with pytest.raises(ParameterError, match=r"MovedGauss.*points or weights of its own"):
        shared_blocks(distorted_cube(2, 0.2, seed=1), femnn.MovedGauss())


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_felupe(rule):
    felupe = pytest.importorskip("felupe")
    mesh = mesh_with_both_signs()
    matrix = 0.0
    for region in felupe_regions(mesh, rule):
        field = felupe.FieldContainer([felupe.Field(region, dim=3)])
        matrix += felupe.SolidBody(felupe.LinearElastic(E=YOUNG, nu=POISSON), field).assemble.matrix()
    compare(matrix, mesh, rule)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_ngsolve(rule):
    ng = pytest.importorskip("ngsolve")
    mesh = mesh_with_both_signs()
    made, differentials = ngsolve_differentials(mesh, rule)
    u, v = ng.H1(made, order=1, dim=3).TnT()
    strain = ng.Sym(ng.Grad(u))
    integrand = ng.InnerProduct(2 * SHEAR * strain + LAME * ng.Trace(strain) * ng.Id(3), ng.Sym(ng.Grad(v)))
    form = ng.BilinearForm(u.space)
    for dx in differentials:
        form += integrand * dx
    blocks, indices, indptr = (np.array(part) for part in form.Assemble().mat.CSR())
    compare(bsr_matrix((blocks.reshape(-1, 3, 3), indices, indptr)).tocsr(), mesh, rule)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_sfepy(rule):
    discrete = pytest.importorskip("sfepy.discrete")
    from sfepy.base.base import output
    from sfepy.discrete.fem import FEDomain, Field
    from sfepy.mechanics.matcoefs import stiffness_from_youngpoisson
    from sfepy.terms import Term

    output.set_output(quiet=True)
    mesh = mesh_with_both_signs()
    made, integrals = sfepy_integrals(mesh, rule)
    domain = FEDomain("domain", made)
    field = Field.from_args("displacement", np.float64, "vector", domain.create_region("all", "all"), approx_order=1)
    u = discrete.FieldVariable("u", "unknown", field)
    v = discrete.FieldVariable("v", "test", field, primary_var_name="u")
    law = discrete.Material("law", D=stiffness_from_youngpoisson(3, YOUNG, POISSON))
    terms = [
        Term.new("dw_lin_elastic(law.D, v, u)", integral, domain.create_region(f"part{k}", selector), law=law, v=v, u=u)
        for k, (selector, integral) in enumerate(integrals)
    ]
    equation = discrete.Equation("balance", sum(terms[1:], terms[0]))
    problem = discrete.Problem("elasticity", equations=discrete.Equations([equation]))
    problem.time_update()
    problem.update_materials()
    problem.equations.variables.init_state()
    matrix = problem.equations.eval_tangent_matrices(np.zeros(3 * mesh.nvertices), problem.mtx_a)
    compare(matrix, mesh, rule)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_mfem(rule):
    mfem = pytest.importorskip("mfem.ser")
    mesh = mesh_with_both_signs()
    made, rules = mfem_integration_rules(mesh, rule)
    space = mfem.FiniteElementSpace(made, mfem.H1_FECollection(1, 3), 3, mfem.Ordering.byVDIM)
    form, kept = mfem.BilinearForm(space), []
    for marker, integration in rules:
        integrator = mfem.ElasticityIntegrator(mfem.ConstantCoefficient(LAME), mfem.ConstantCoefficient(SHEAR))
        integrator.SetIntRule(integration)
        form.AddDomainIntegrator(integrator, marker)
        kept.append(integrator)
    form.Assemble()
    form.Finalize()
    matrix = form.SpMat()
    parts = (matrix.GetDataArray(), matrix.GetJArray(), matrix.GetIArray())
    compare(csr_matrix(tuple(np.array(part) for part in parts)), mesh, rule)


def compare(matrix, mesh, rule):
    wanted = expected(mesh, rule)
    assert matrix.shape == wanted.shape
    assert abs(matrix - wanted).max() < 1e-12 * abs(wanted).max()
