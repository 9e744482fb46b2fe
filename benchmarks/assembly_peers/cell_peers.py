"""Programs beside femnn on cells of second order and in the plane: what each of them needs to assemble elasticity.

A program is a function of mesh, scalar element and points along an axis. It gives a function that assembles for the
coordinates of the mesh once more, or None where it is not installed or has no such cell.
"""

import importlib.util

import numpy as np
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity

import femnn
from femnn.geometry.cells import cells as cells_of
from femnn.geometry.cells import determinants, kind_of_mesh
from femnn.geometry.mesh import node_table

_YOUNG, _POISSON = 210.0, 0.3
# scikit-fem's form on more hexahedra of second order takes gigabytes.
_MOST_FOR_FORMS = 3000


def _femnn(mesh, element, n):
    pattern, rule = femnn.Pattern.of(mesh, element), femnn.GaussLegendre(n)
    options = {"element": element, "pattern": pattern}
    out = femnn.assemble_elasticity(mesh, rule, _YOUNG, _POISSON, **options)
    return lambda: femnn.assemble_elasticity(mesh, rule, _YOUNG, _POISSON, **options, out=out)


def _scikit_fem(mesh, element, n):
    form = linear_elasticity(*lame_parameters(_YOUNG, _POISSON))
    if mesh.nelements > _MOST_FOR_FORMS and mesh.dim() == 3:
        return None

    def assemble():
        again = type(mesh)(mesh.doflocs, mesh.t)
        return form.assemble(skfem.CellBasis(again, skfem.ElementVector(element), intorder=2 * n - 1))

    return assemble


def _nodes(mesh, places):
    """Points (N, dim) and cells (n, nodes) whose nodes are at ``places`` (nodes, dim) of [-1, 1]^dim, in this order."""
    table, own = node_table(mesh), kind_of_mesh(mesh).nodes
    wanted = (np.asarray(places) + 1.0) / 2.0
    if determinants(cells_of(mesh)[:1], np.full((mesh.dim(), 1), 0.5)) < 0.0:
        # scikit-fem's cells are left-handed where those of others are right-handed
        wanted[:, 0] = 1.0 - wanted[:, 0]
    columns = np.abs(wanted[:, None] - own).max(axis=2).argmin(axis=1)
    used, cells = np.unique(table[columns], return_inverse=True)
    return np.ascontiguousarray(mesh.doflocs[:, used].T), np.ascontiguousarray(cells.reshape(len(columns), -1).T)


def _missing(*modules):
    return any(importlib.util.find_spec(module) is None for module in modules)


def _ngsolve(mesh, element, n):
    if _missing("ngsolve") or len(element.doflocs) in (8, 20):
        return None
    import ngsolve as ng
    from netgen.meshing import FaceDescriptor, Mesh

    dim, order = mesh.dim(), 1 if len(element.doflocs) == 4 else 2
    flat = Mesh(dim=dim)
    if dim == 2:
        flat.Add(FaceDescriptor(surfnr=1, domin=1, bc=1))
    points = np.zeros((mesh.nvertices, 3))
    points[:, :dim] = mesh.doflocs[:, : mesh.nvertices].T
    flat.AddPoints(points)
    # VTK's order of vertices
    cells = mesh.t.T if dim == 2 else mesh.t.T[:, [7, 4, 2, 5, 6, 1, 0, 3]]
    flat.AddElements(dim=dim, index=1, data=np.ascontiguousarray(cells.astype(np.int32)), base=0)
    space = ng.H1(ng.Mesh(flat), order=order, dim=dim)
    u, v = space.TnT()
    strain, (lmbda, mu) = ng.Sym(ng.Grad(u)), lame_parameters(_YOUNG, _POISSON)
    stress = 2 * mu * strain + lmbda * ng.Trace(strain) * ng.Id(dim)
    form = ng.BilinearForm(space, symmetric=True)
    shape = ng.QUAD if dim == 2 else ng.HEX
    rule = {shape: ng.IntegrationRule(shape, 2 * n - 1)}
    form += ng.InnerProduct(stress, ng.Sym(ng.Grad(v))).Compile() * ng.dx(intrules=rule)

    def assemble():
        form.Assemble()
        return form.mat

    return assemble


def _felupe(mesh, element, n):
    kinds = {4: "Quad", 9: "BiQuadraticQuad", 20: "QuadraticHexahedron", 27: "TriQuadraticHexahedron"}
    name = kinds.get(len(element.doflocs))
    if name is None or _missing("felupe"):
        return None
    import felupe

    points, cells = _nodes(mesh, getattr(felupe, name)().points)
    grid, dim = felupe.Mesh(points, cells, name.lower()), mesh.dim()
    rule = felupe.GaussLegendre(order=n - 1, dim=dim)
    region = getattr(felupe, f"Region{name}")(grid, quadrature=rule)
    of = felupe.FieldPlaneStrain(region, dim=2) if dim == 2 else felupe.Field(region, dim=3)
    solid = felupe.SolidBody(felupe.LinearElastic(E=_YOUNG, nu=_POISSON), felupe.FieldContainer([of]))

    def assemble():
        grid.update(points=points, callback=region.reload)
        return solid.assemble.matrix(parallel=False)

    return assemble


def _fedoo(mesh, element, n):
    name = {4: "quad4", 9: "quad9", 20: "hex20"}.get(len(element.doflocs))
    if name is None or _missing("fedoo"):
        return None
    import fedoo
    from fedoo.lib_elements.element_list import get_element

    # what it keeps of earlier meshes lives as long as the process otherwise
    fedoo.Assembly.delete_memory()
    dim = mesh.dim()
    fedoo.ModelingSpace("2D" if dim == 2 else "3D")
    points, cells = _nodes(mesh, get_element(name)(n**dim).xi_nd)
    grid = fedoo.Mesh(points, cells, name)
    law = fedoo.weakform.StressEquilibrium(fedoo.constitutivelaw.ElasticIsotrop(_YOUNG, _POISSON))
    assembly = fedoo.Assembly.create(law, grid, n_elm_gp=n**dim)
    problem = fedoo.problem.Linear(assembly)

    def assemble():
        grid.nodes = points.copy()
        assembly.mesh_change = True
        assembly.assemble_global_mat("matrix")
        return assembly.global_matrix

    # the assembly belongs to its problem
    assemble.problem = problem
    return assemble


#: Programs by name.
PROGRAMS = {
    "femnn": _femnn,
    "scikit-fem": _scikit_fem,
    "NGSolve": _ngsolve,
    "FElupe": _felupe,
    "fedoo": _fedoo,
}


def is_comparable(program, mesh, element):
    """Whether the matrix of a program is that of the same shape functions on the same cells."""
    nodes, linear = len(element.doflocs), 2 ** mesh.dim()
    # NGSolve's functions of second order are hierarchical; serendipity functions of others map their cells as well
    same = nodes == linear or (nodes == len(kind_of_mesh(mesh).nodes) and program != "NGSolve")
    return same or program in ("femnn", "scikit-fem")
