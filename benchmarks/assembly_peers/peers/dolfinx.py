"""DOLFINx: C code generated for the form, compiled once and cached on disk."""

import numpy as np

from benchmarks.assembly_peers.peers.program import LAME, ORDERS, SHEAR, Program, renumbered

# The vertices of VTK's hexahedron with x fastest, then y, then z.
_TENSOR_ORDER = np.array([0, 1, 3, 2, 4, 5, 7, 6])


class DOLFINx(Program):
    title, module, distribution = "DOLFINx", "dolfinx", "fenics-dolfinx"
    keeps_geometry = False
    way = "assemble_matrix of the compiled form into a MatrixCSR"

    def __init__(self, arrays, rule):
        import basix.ufl
        import ufl
        from dolfinx import fem, mesh
        from mpi4py import MPI

        self.p = arrays.p
        element = basix.ufl.element("Lagrange", "hexahedron", 1, shape=(3,))
        cells = arrays.cells[:, _TENSOR_ORDER].astype(np.int64)
        x = np.ascontiguousarray(arrays.p.T)
        self.mesh = mesh.create_mesh(MPI.COMM_SELF, cells=cells, x=x, e=ufl.Mesh(element))
        space = fem.functionspace(self.mesh, element)
        u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
        strain = ufl.sym(ufl.grad(u))
        stress = 2 * SHEAR * strain + LAME * ufl.tr(strain) * ufl.Identity(3)
        dx = ufl.dx(metadata={"quadrature_rule": "default", "quadrature_degree": ORDERS[rule]})
        # without these its C compiler uses no vector instructions
        options = {"cffi_extra_compile_args": ["-O3", "-march=native"]}
        self.form = fem.form(ufl.inner(stress, ufl.sym(ufl.grad(v))) * dx, jit_options=options)
        self.matrix = fem.create_matrix(self.form)
        geometry = self.mesh.geometry
        # the node of the space at each vertex of the mesh as it was given
        self.nodes = np.empty(len(x), dtype=np.int64)
        self.nodes[np.asarray(geometry.input_global_indices)[geometry.dofmap]] = space.dofmap.list

    def assemble(self, p, threads=1):
        from dolfinx import fem

        geometry = self.mesh.geometry
        geometry.x[:] = p.T[geometry.input_global_indices]
        self.matrix.set_value(0.0)
        fem.assemble_matrix(self.matrix, self.form)
        return self.matrix

    def csr(self, matrix):
        return renumbered(matrix.to_scipy(), (3 * self.nodes[:, None] + np.arange(3)).ravel())
