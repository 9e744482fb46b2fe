"""NGSolve: element matrices in C++ with vector instructions, the integrand interpreted or compiled."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np

from benchmarks.assembly_peers.peers.program import LAME, ORDERS, SHEAR, Program


class NGSolve(Program):
    title, module, distribution = "NGSolve", "ngsolve", "ngsolve"
    threaded, keeps_geometry = True, False
    way = "BilinearForm.Assemble into 3×3 blocks, integrand.Compile()"

    def __init__(self, arrays, rule):
        import ngsolve as ng
        from netgen.meshing import Mesh

        self.p = arrays.p
        mesh = Mesh(dim=3)
        mesh.AddPoints(np.ascontiguousarray(arrays.p.T))
        mesh.AddElements(dim=3, index=1, data=arrays.cells, base=0)
        self.mesh = ng.Mesh(mesh)
        u, v = ng.H1(self.mesh, order=1, dim=3).TnT()
        strain = ng.Sym(ng.Grad(u))
        stress = 2 * SHEAR * strain + LAME * ng.Trace(strain) * ng.Id(3)
        integrand = ng.InnerProduct(stress, ng.Sym(ng.Grad(v)))
        points = ng.IntegrationRule(ng.HEX, ORDERS[rule])
        self.form = ng.BilinearForm(u.space, symmetric=True)
        self.form += self._compiled(integrand) * ng.dx(intrules={ng.HEX: points})

    def _compiled(self, integrand):
        return integrand.Compile()

    def assemble(self, p, threads=1):
        import ngsolve as ng

        self.mesh.ngmesh.Coordinates()[:] = p.T
        if threads == 1:
            self.form.Assemble()
        else:
            ng.SetNumThreads(threads)
            with ng.TaskManager():
                self.form.Assemble()
        return self.form.mat

    def csr(self, matrix):
        from scipy.sparse import bsr_matrix

        blocks, indices, indptr = (np.array(part) for part in matrix.CSR())
        return bsr_matrix((blocks.reshape(-1, 3, 3), indices, indptr), shape=(3 * (len(indptr) - 1),) * 2).tocsr()


class NGSolveNative(NGSolve):
    title = "NGSolve, form in C++"
    way = "the same with integrand.Compile(realcompile=True), which compiles C++ for each mesh"

    @classmethod
    def missing(cls):
        return super().missing() or (None if shutil.which("c++") else "there is no C++ compiler")

    @classmethod
    def load(cls):
        super().load()
        # the script that compiles is installed beside this Python, which need not be on the path
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

    def _compiled(self, integrand):
        return integrand.Compile(realcompile=True, wait=True)
