"""DOLFINx on the problems, after its demos of elasticity and hyperelasticity: multigrid by PETSc's GAMG.

Debian has it for the system's Python alone, whose worker imports nothing of femnn.
"""

import numpy as np

from benchmarks.solution.arrays import LAME, PULLED, RTOL, RUBBER, SHEAR, STEPS, WEIGHT

# Vertices of a hexahedron in DOLFINx's order, the first axis running fastest, as numbers of scikit-fem's.
_ORDER = [7, 4, 5, 1, 6, 2, 3, 0]

# What its demo of elasticity passes to PETSc, with the norm in which the benchmark asks for the tolerance.
_OPTIONS = {
    "ksp_type": "cg",
    "ksp_norm_type": "unpreconditioned",
    "pc_type": "gamg",
    "mg_levels_ksp_type": "chebyshev",
    "mg_levels_pc_type": "jacobi",
    "mg_levels_esteig_ksp_type": "cg",
    "mg_levels_ksp_chebyshev_esteig_steps": 20,
}


def dolfinx(problem, threads):
    """Forms compiled by FFCx, conjugate gradients with GAMG and the rigid-body modes; NewtonSolver."""
    import ufl
    from dolfinx import fem
    from dolfinx.fem import petsc

    yield "iterations" if problem.kind == "neo-Hookean" else "assembly", None
    domain, space, dof_of_vertex = _space(problem)
    held = dof_of_vertex[problem.held]
    measure = ufl.Measure("dx", domain, metadata={"quadrature_degree": 5 if problem.kind == "triquadratic" else 3})
    if problem.kind == "neo-Hookean":
        yield "solution", _pulled(problem, domain, space, measure, held, dof_of_vertex)
        return
    if problem.kind == "triquadratic":
        held = fem.locate_dofs_geometrical(space, lambda x: x[0] <= 1e-12)
    support = fem.dirichletbc(np.zeros(3), held, space)
    u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    strain = ufl.sym(ufl.grad(u))
    stress = 2.0 * SHEAR * strain + LAME * ufl.tr(strain) * ufl.Identity(3)
    form = fem.form(ufl.inner(stress, ufl.grad(v)) * measure)
    load = fem.form(ufl.inner(fem.Constant(domain, (0.0, 0.0, WEIGHT)), v) * measure)
    matrix = petsc.assemble_matrix(form, bcs=[support])
    matrix.assemble()
    right = petsc.assemble_vector(load)
    petsc.apply_lifting(right, [form], bcs=[[support]])
    petsc.set_bc(right, [support])
    yield "set-up", None
    from petsc4py import PETSc

    matrix.setNearNullSpace(_rigid_body_modes(space))
    solver = PETSc.KSP().create(domain.comm)
    _set_options(solver, RTOL)
    solver.setOperators(matrix)
    solver.setUp()
    yield "iterations", None
    found = fem.Function(space)
    solver.solve(right, found.vector)
    if solver.getConvergedReason() < 0:
        raise ArithmeticError("conjugate gradients with GAMG did not converge")
    yield "solution", found.x.array.reshape(-1, 3)[dof_of_vertex]


def _pulled(problem, domain, space, measure, held, dof_of_vertex):
    """Displacements of a neo-Hookean block after all steps."""
    import ufl
    from dolfinx import fem
    from dolfinx.fem.petsc import NonlinearProblem
    from dolfinx.nls.petsc import NewtonSolver

    lame, shear = RUBBER
    found, pull = fem.Function(space), fem.Constant(domain, (0.0, 0.0, 0.0))
    supports = [
        fem.dirichletbc(np.zeros(3), held, space),
        fem.dirichletbc(pull, dof_of_vertex[problem.pulled], space),
    ]
    gradient = ufl.variable(ufl.Identity(3) + ufl.grad(found))
    logarithm = ufl.ln(ufl.det(gradient))
    energy = shear / 2 * (ufl.inner(gradient, gradient) - 3) - shear * logarithm + lame / 2 * logarithm**2
    left = ufl.inner(ufl.diff(energy, gradient), ufl.grad(ufl.TestFunction(space))) * measure
    solver = NewtonSolver(domain.comm, NonlinearProblem(left, found, supports))
    solver.convergence_criterion, solver.rtol, solver.atol = "residual", RTOL, 1e-14
    solver.A.setNearNullSpace(_rigid_body_modes(space))
    # the inner tolerance is PETSc's own
    _set_options(solver.krylov_solver, 1e-5)
    for step in range(STEPS):
        pull.value[:] = (PULLED * (step + 1) / STEPS, 0.0, 0.0)
        solver.solve(found)
    return found.x.array.reshape(-1, 3)[dof_of_vertex]


def _space(problem):
    """The mesh, a vector-valued space on it, and the node of the space at each vertex of the arrays."""
    import ufl
    from dolfinx import fem
    from dolfinx.mesh import create_mesh
    from mpi4py import MPI

    cells = np.ascontiguousarray(problem.t[_ORDER].T, dtype=np.int64)
    cell = ufl.Cell("hexahedron", geometric_dimension=3)
    domain = create_mesh(
        MPI.COMM_SELF, cells, np.ascontiguousarray(problem.p.T), ufl.Mesh(ufl.VectorElement("Lagrange", cell, 1))
    )
    space = fem.VectorFunctionSpace(domain, ("Lagrange", 2 if problem.kind == "triquadratic" else 1))
    n = domain.topology.index_map(3).size_local
    # the first nodes of a cell are its vertices, in the order of its geometry
    nodes = space.dofmap.list.array.reshape(n, -1)[:, :8].ravel()
    vertices = np.asarray(domain.geometry.input_global_indices)[domain.geometry.dofmap.array]
    dof_of_vertex = np.empty(problem.p.shape[1], dtype=np.int32)
    dof_of_vertex[vertices] = nodes
    return domain, space, dof_of_vertex


def _rigid_body_modes(space):
    """The near null space, orthonormal as in the demo."""
    from dolfinx import la
    from petsc4py import PETSc

    index_map, size = space.dofmap.index_map, space.dofmap.index_map_bs
    vectors = [la.create_petsc_vector(index_map, size) for _ in range(6)]
    x = space.tabulate_dof_coordinates()
    for axis, vector in enumerate(vectors[:3]):
        vector.array.reshape(-1, 3)[:, axis] = 1.0
    for vector, (i, j) in zip(vectors[3:], ((0, 1), (2, 0), (1, 2)), strict=True):
        vector.array.reshape(-1, 3)[:, i] = -x[:, j]
        vector.array.reshape(-1, 3)[:, j] = x[:, i]
    la.orthonormalize(vectors)
    return PETSc.NullSpace().create(vectors=vectors)


def _set_options(solver, rtol):
    from petsc4py import PETSc

    options, prefix = PETSc.Options(), f"{solver.getOptionsPrefix() or ''}solution_"
    solver.setOptionsPrefix(prefix)
    for name, value in {**_OPTIONS, "ksp_rtol": rtol}.items():
        options[prefix + name] = value
    solver.setFromOptions()
