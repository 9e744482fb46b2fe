"""fedoo: sparse operators from nodes to integration points."""

import numpy as np

from benchmarks.assembly_peers.peers.program import POISSON, YOUNG, Program, renumbered


class Fedoo(Program):
    title, module, distribution = "fedoo", "fedoo", "fedoo"
    way = "Assembly with mesh_change, its operators kept for the same geometry"

    def __init__(self, arrays, rule):
        import fedoo

        # what it keeps of earlier meshes lives as long as the process otherwise
        fedoo.Assembly.delete_memory()
        fedoo.ModelingSpace("3D")
        self.mesh = fedoo.Mesh(np.ascontiguousarray(arrays.p.T), arrays.cells, "hex8")
        law = fedoo.weakform.StressEquilibrium(fedoo.constitutivelaw.ElasticIsotrop(YOUNG, POISSON))
        self.assembly = fedoo.Assembly.create(law, self.mesh, n_elm_gp=rule)
        self.problem = fedoo.problem.Linear(self.assembly)

    def assemble(self, p, threads=1):
        self.mesh.nodes = np.ascontiguousarray(p.T)
        return self._matrix(True)

    def again(self, threads=1):
        return self._matrix(False)

    def _matrix(self, moved):
        self.assembly.mesh_change = moved
        self.assembly.assemble_global_mat("matrix")
        return self.assembly.global_matrix

    def csr(self, matrix):
        # component by component
        n = matrix.shape[0] // 3
        return renumbered(matrix, np.arange(3 * n).reshape(3, n).T.ravel())
