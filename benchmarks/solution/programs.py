"""Programs that solve the problems, each as its own users would: from arrays to displacements at the vertices.

A program yields ``(stage, None)`` when a stage begins, and ``("solution", u)`` with u (n_vertices, 3) at the end; the
worker takes the time. Stages are ``"assembly"``, ``"set-up"`` and ``"iterations"``, as far as they can be told apart. A
program that knows how much of a stage was set-up yields ``("set-up share", share)`` after it.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from benchmarks.solution.arrays import (
    HARDENING,
    LAME,
    OVERLOAD,
    POISSON,
    PULLED,
    RTOL,
    RUBBER,
    SHEAR,
    STEPS,
    WEIGHT,
    YIELD,
    YOUNG,
)
from benchmarks.solution.dolfinx_program import dolfinx


def femnn(problem, threads):
    """Fused assembly and LinearSolver; newton."""
    import numba

    import femnn

    numba.set_num_threads(threads)
    if problem.kind in ("neo-Hookean", "plastic"):
        yield from _femnn_nonlinear(problem)
        return
    yield "assembly", None
    mesh, element, rule = problem.mesh, None, femnn.GaussLegendre(2)
    if problem.kind == "triquadratic":
        import skfem

        element, rule = skfem.ElementHex2(), femnn.GaussLegendre(3)
    pattern = femnn.Pattern.of(mesh, element)
    stiffness = femnn.assemble_elasticity(mesh, rule, YOUNG, POISSON, element=element, pattern=pattern)
    force = femnn.assemble_body_force(mesh, rule, (0.0, 0.0, WEIGHT), element=element)
    fixed = _rows(problem.held)
    if element is not None:
        basis = skfem.CellBasis(mesh, skfem.ElementVector(element), intorder=1)
        fixed = basis.get_dofs(lambda x: x[0] <= 1e-12).all()
    yield "iterations", None
    solver = femnn.LinearSolver(stiffness, fixed, points=mesh, rtol=RTOL)
    found = solver.solve(force)
    yield "set-up share", found.set_up / found.seconds
    yield "solution", found.x.reshape(-1, 3)[: mesh.nvertices]


def _femnn_nonlinear(problem):
    import femnn

    yield "iterations", None
    mesh, rule = problem.mesh, femnn.GaussLegendre(2)
    values, load, fixed = np.zeros((mesh.nvertices, 3)), np.zeros(3 * mesh.nvertices), _rows(problem.held)
    if problem.kind == "plastic":
        from examples.plastic_bracket import steel

        law = steel(YOUNG, POISSON, YIELD, HARDENING)
        load = femnn.assemble_body_force(mesh, rule, (0.0, 0.0, OVERLOAD * WEIGHT))
    else:
        from benchmarks.solution.laws import neo_hooke

        law = femnn.PointLaw(neo_hooke, RUBBER, kinematics="finite")
        fixed = np.concatenate([fixed, _rows(problem.pulled)])
        values[problem.pulled, 0] = PULLED
    solid = femnn.Solid(mesh, rule, law)
    path = femnn.newton(solid, load, fixed, values.ravel(), steps=STEPS, progress=False)
    yield "solution", path.u.reshape(-1, 3)


def scikit_fem(problem, threads):
    """asm of the form of skfem.models, conjugate gradients and smoothed aggregation by pyamg with rigid-body modes."""
    import skfem
    from skfem.models.elasticity import linear_elasticity

    yield "assembly", None
    element = skfem.ElementVector(skfem.ElementHex2() if problem.kind == "triquadratic" else skfem.ElementHex1())
    order = 5 if problem.kind == "triquadratic" else 3
    basis = skfem.CellBasis(problem.mesh, element, intorder=order)
    stiffness = linear_elasticity(LAME, SHEAR).assemble(basis, nthreads=threads if threads > 1 else 0)
    force = skfem.LinearForm(lambda v, w: WEIGHT * v[2]).assemble(basis)
    fixed = (
        basis.get_dofs(lambda x: x[0] <= 1e-12).all() if problem.kind == "triquadratic" else _rows(problem.held)
    )  # fmt: skip
    yield from _with_pyamg(stiffness, force, fixed, basis.doflocs[:, ::3], problem.p.shape[1])


def scikit_fem_native(problem, threads):
    """asm of scikit-fem-native, then as with scikit-fem."""
    import skfem
    import skfemntv
    from skfemntv.helpers import ddot, div, sym_grad

    yield "assembly", None
    with skfemntv.thread_limit(threads):
        form = skfemntv.BilinearForm(
            lambda u, v, w: 2 * SHEAR * ddot(sym_grad(u), sym_grad(v)) + LAME * div(u) * div(v)
        )
        element = skfemntv.ElementVector(skfemntv.ElementHex1())
        basis = skfemntv.Basis(skfemntv.MeshHex(problem.p, problem.t), element, intorder=3)
        stiffness = skfemntv.asm(form, basis, num_threads=threads)
    # its linear forms take no constant load
    scalar = skfem.CellBasis(problem.mesh, skfem.ElementHex1(), intorder=3)
    force = np.zeros(stiffness.shape[0])
    force[2::3] = skfem.LinearForm(lambda v, w: WEIGHT * v).assemble(scalar)
    yield from _with_pyamg(stiffness, force, _rows(problem.held), problem.p, problem.p.shape[1])


def _with_pyamg(stiffness, force, fixed, places, n_vertices):
    import pyamg
    from scipy.sparse import bsr_matrix
    from scipy.sparse.linalg import cg

    yield "set-up", None
    free = np.setdiff1d(np.arange(len(force)), fixed)
    x = (places - places.mean(axis=1, keepdims=True)) / np.ptp(places)
    modes = np.zeros((places.shape[1], 3, 6))
    modes[:, range(3), range(3)] = 1.0
    for column, (i, j) in enumerate(((0, 1), (1, 2), (2, 0)), start=3):
        modes[:, i, column], modes[:, j, column] = x[j], -x[i]
    matrix = bsr_matrix(stiffness.tocsr()[free][:, free], blocksize=(3, 3))
    levels = pyamg.smoothed_aggregation_solver(matrix, B=modes.reshape(-1, 6)[free])
    yield "iterations", None
    u = np.zeros(len(force))
    u[free], info = cg(matrix, force[free], rtol=RTOL, M=levels.aspreconditioner(), maxiter=1000)
    if info:
        raise ArithmeticError("conjugate gradients with pyamg did not converge")
    yield "solution", u.reshape(-1, 3)[:n_vertices]


def ngsolve(problem, threads):  # noqa: C901
    """BilinearForm in 3×3 blocks, conjugate gradients with the blocks of the diagonal; interior nodes condensed."""
    import ngsolve as ng
    from netgen.meshing import Mesh

    ng.SetNumThreads(threads)
    yield "assembly", None
    netgen = Mesh(dim=3)
    netgen.AddPoints(np.ascontiguousarray(problem.p.T))
    netgen.AddElements(dim=3, index=1, data=problem.cells, base=0)
    mesh = ng.Mesh(netgen)
    quadratic = problem.kind == "triquadratic"
    space = ng.H1(mesh, order=2 if quadratic else 1, dim=3)
    points = {ng.HEX: ng.IntegrationRule(ng.HEX, 5 if quadratic else 3)}
    u, v = space.TnT()
    free = space.FreeDofs()
    held = np.isin(np.arange(mesh.nv), problem.held)
    for vertex in mesh.vertices:
        if held[vertex.nr]:
            for dof in space.GetDofNrs(vertex):
                free.Clear(dof)
    for entities in (mesh.edges, mesh.faces) if quadratic else ():
        for entity in entities:
            if all(held[vertex.nr] for vertex in entity.vertices):
                for dof in space.GetDofNrs(entity):
                    free.Clear(dof)
    displacement = ng.GridFunction(space)
    with ng.TaskManager(pajetrace=0):
        if problem.kind == "neo-Hookean":
            yield "iterations", None
            _ngsolve_newton(ng, problem, space, points, free, displacement)
        else:
            strain = ng.Sym(ng.Grad(u))
            stress = 2 * SHEAR * strain + LAME * ng.Trace(strain) * ng.Id(3)
            form = ng.BilinearForm(space, symmetric=True, condense=quadratic)
            form += ng.InnerProduct(stress, ng.Sym(ng.Grad(v))).Compile() * ng.dx(intrules=points)
            right = ng.LinearForm(space)
            right += WEIGHT * v[2] * ng.dx(intrules=points)
            form.Assemble()
            right.Assemble()
            yield "set-up", None
            if quadratic:
                right.vec.data += form.harmonic_extension_trans * right.vec
                coupling = space.FreeDofs(True)
                for dof in range(space.ndof):
                    if coupling[dof] and not free[dof]:
                        coupling.Clear(dof)
                free = coupling
            smoother = form.mat.CreateSmoother(free)
            yield "iterations", None
            inverse = ng.krylovspace.CGSolver(form.mat, smoother, tol=RTOL, maxiter=5000)
            displacement.vec.data = inverse * right.vec
            if quadratic:
                displacement.vec.data += form.inner_solve * right.vec
                displacement.vec.data += form.harmonic_extension * displacement.vec
    u = np.asarray(displacement.vec.FV().NumPy()).reshape(-1, 3)[: mesh.nv]
    yield "solution", u


def _ngsolve_newton(ng, problem, space, points, free, displacement):
    lame, shear = RUBBER
    u = space.TrialFunction()
    gradient = ng.Id(3) + ng.Grad(u)
    logarithm = ng.log(ng.Det(gradient))
    energy = shear / 2 * (ng.InnerProduct(gradient, gradient) - 3) - shear * logarithm + lame / 2 * logarithm**2
    form = ng.BilinearForm(space, symmetric=True)
    form += ng.Variation(energy.Compile() * ng.dx(intrules=points))
    for dof in problem.pulled:
        free.Clear(int(dof))
    values = np.zeros((len(displacement.vec), 3))
    left, change, first = displacement.vec.CreateVector(), displacement.vec.CreateVector(), 0.0
    projector = ng.Projector(free, True)
    for step in range(STEPS):
        values[:] = displacement.vec.FV().NumPy().reshape(-1, 3)
        values[problem.pulled, 0] = PULLED * (step + 1) / STEPS
        # what is prescribed is brought to the others by the first tangent
        jump = displacement.vec.CreateVector()
        jump.FV().NumPy()[:] = values.reshape(-1) - displacement.vec.FV().NumPy()
        for iteration in range(20):
            form.AssembleLinearization(displacement.vec)
            form.Apply(displacement.vec, left)
            total = ng.Norm(left)
            if iteration == 0:
                left.data += form.mat * jump
            left.data = projector * left
            first = max(first, total)
            if iteration and ng.Norm(left) <= RTOL * first:
                break
            inverse = ng.krylovspace.CGSolver(form.mat, form.mat.CreateSmoother(free), tol=RTOL, maxiter=5000)
            change.data = inverse * left
            displacement.vec.data -= change
            if iteration == 0:
                displacement.vec.data += jump


def felupe(problem, threads):
    """SolidBody and newtonrhapson of FElupe with SciPy's direct solver, which is its default."""
    import felupe as fem

    yield "iterations", None
    mesh = fem.Mesh(np.ascontiguousarray(problem.p.T), problem.cells.astype(int), "hexahedron")
    field = fem.FieldContainer([fem.Field(fem.RegionHexahedron(mesh), dim=3)])
    boundaries = {"held": fem.Boundary(field[0], mask=np.isin(np.arange(mesh.npoints), problem.held))}
    lame, shear = RUBBER
    on = np.isin(np.arange(mesh.npoints), problem.pulled)
    boundaries["side"] = fem.Boundary(field[0], mask=on, skip=(1, 0, 0))
    boundaries["pulled"] = fem.Boundary(field[0], mask=on, skip=(0, 1, 1))
    items = [fem.SolidBody(fem.NeoHookeCompressible(mu=shear, lmbda=lame), field)]
    ramp = {boundaries["pulled"]: PULLED * np.linspace(0.0, 1.0, STEPS + 1)[1:]}
    step = fem.Step(items=items, ramp=ramp, boundaries=boundaries)
    fem.Job(steps=[step]).evaluate(verbose=False, tol=RTOL)
    yield "solution", field[0].values


def fedoo(problem, threads):
    """StressEquilibrium and the direct solver of fedoo, which is its default."""
    import fedoo

    yield "assembly", None
    # what it keeps of earlier meshes lives as long as the process otherwise
    fedoo.Assembly.delete_memory()
    fedoo.ModelingSpace("3D")
    mesh = fedoo.Mesh(np.ascontiguousarray(problem.p.T), problem.cells, "hex8")
    law = fedoo.weakform.StressEquilibrium(fedoo.constitutivelaw.ElasticIsotrop(YOUNG, POISSON))
    assembly = fedoo.Assembly.create(law, mesh, n_elm_gp=8)
    weight = fedoo.constraint.DistributedForce(mesh, [0.0, 0.0, WEIGHT])
    linear = fedoo.problem.Linear(assembly + weight)
    linear.bc.add("Dirichlet", problem.held, "Disp", 0)
    yield "iterations", None
    linear.solve()
    yield "solution", linear.get_disp().T


def sfepy(problem, threads):
    """dw_lin_elastic and the direct solver that SfePy chooses."""
    from sfepy.base.base import output
    from sfepy.discrete import Equation, Equations, FieldVariable, Integral, Material, Problem
    from sfepy.discrete.conditions import Conditions, EssentialBC
    from sfepy.discrete.fem import FEDomain, Field, Mesh
    from sfepy.discrete.functions import Function
    from sfepy.mechanics.matcoefs import stiffness_from_youngpoisson
    from sfepy.solvers.auto_fallback import AutoDirect
    from sfepy.solvers.nls import Newton
    from sfepy.terms import Term

    output.set_output(quiet=True)
    yield "assembly", None
    groups = np.zeros(len(problem.cells), dtype=np.int32)
    mesh = Mesh.from_data("mesh", np.ascontiguousarray(problem.p.T), None, [problem.cells], [groups], ["3_8"])
    domain = FEDomain("domain", mesh)
    omega = domain.create_region("Omega", "all")
    held = Function("held", lambda coors, domain=None: problem.held)
    domain.create_region("Held", "vertices by held", "vertex", functions={"held": held})
    field = Field.from_args("displacement", np.float64, "vector", omega, approx_order=1)
    u = FieldVariable("u", "unknown", field)
    v = FieldVariable("v", "test", field, primary_var_name="u")
    law = Material("law", D=stiffness_from_youngpoisson(3, YOUNG, POISSON))
    weight = Material("weight", val=np.array([[0.0], [0.0], [WEIGHT]]))
    points = Integral("points", order=3)
    inner = Term.new("dw_lin_elastic(law.D, v, u)", points, omega, law=law, v=v, u=u)
    outer = Term.new("dw_volume_lvf(weight.val, v)", points, omega, weight=weight, v=v)
    whole = Problem("elasticity", equations=Equations([Equation("balance", inner - outer)]))
    whole.set_bcs(ebcs=Conditions([EssentialBC("held", domain.regions["Held"], {"u.all": 0.0})]))
    whole.set_solver(Newton({"i_max": 1, "eps_a": 1e-300, "is_linear": True}, lin_solver=AutoDirect({})))
    yield "iterations", None
    found = whole.solve(save_results=False)
    yield "solution", found.get_state_parts()["u"].reshape(-1, 3)


def torch_fem(problem, threads):
    """Solid and solve of torch-fem with what it chooses: factors of small systems, else its multigrid by pyamg."""
    import torch
    from torchfem import Solid
    from torchfem.materials import IsotropicElasticity3D

    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float64)
    yield "iterations", None
    nodes, cells = torch.tensor(problem.p.T.copy()), torch.tensor(problem.cells.astype(np.int64))
    body = Solid(nodes, cells, IsotropicElasticity3D(E=YOUNG, nu=POISSON))
    body.constraints[torch.tensor(problem.held)] = True
    body.forces = body.integrate_body_load(torch.tensor([0.0, 0.0, WEIGHT]))
    found = body.solve(stol=RTOL, rtol=RTOL)
    yield "solution", found[0].detach().numpy().reshape(-1, problem.p.shape[1], 3)[-1]


class Row(NamedTuple):
    """What is asked of a program.

    Attributes
    ----------
    run
        A generator, see the top of this module.
    module
        The module that must be installed.
    kinds
        The kinds of problems that it is asked for.
    most
        The most degrees of freedom that it gets; None for any number.
    threads
        True if it is asked with two threads as well: more than its assembly has them.
    python
        The interpreter that has the module.
    """

    run: Callable
    module: str
    kinds: tuple[str, ...]
    most: int | None = None
    threads: bool = False
    python: str = sys.executable


#: Where Debian and Ubuntu put python3-dolfinx, which no package index of Python has.
SYSTEM_PYTHON = "/usr/bin/python3"

#: Programs by name.
PROGRAMS = {
    "femnn": Row(femnn, "femnn", ("linear", "triquadratic", "neo-Hookean", "plastic"), threads=True),
    "NGSolve": Row(ngsolve, "ngsolve", ("linear", "triquadratic", "neo-Hookean"), threads=True),
    "DOLFINx": Row(dolfinx, "dolfinx", ("linear", "triquadratic", "neo-Hookean"), python=SYSTEM_PYTHON),
    "scikit-fem, pyamg": Row(scikit_fem, "skfem", ("linear", "triquadratic")),
    "scikit-fem-native, pyamg": Row(scikit_fem_native, "skfemntv", ("linear",)),
    "FElupe": Row(felupe, "felupe", ("neo-Hookean",), 20_000),
    "fedoo": Row(fedoo, "fedoo", ("linear",), 30_000),
    "SfePy": Row(sfepy, "sfepy", ("linear",), 30_000),
    "torch-fem": Row(torch_fem, "torchfem", ("linear",), threads=True),
}


def missing(name):
    """Why a program cannot run here, in a few words; None if it can."""
    module, python = PROGRAMS[name].module, PROGRAMS[name].python
    if python == sys.executable:
        return None if find_spec(module) else f"{module} is not installed"
    return None if asked_of(python, f"import {module}") is not None else f"{module} is not installed for {python}"


@cache
def asked_of(python, statement):
    """What another interpreter prints, None if it fails."""
    try:
        run = subprocess.run([python, "-c", statement], capture_output=True, text=True)
    except OSError:
        return None
    return None if run.returncode else run.stdout.strip()


def _rows(vertices):
    return (3 * vertices[:, None] + np.arange(3)).ravel()
