"""femnn, and the two ways of assembly that share its mesh and its numbering."""

import importlib
from dataclasses import replace

from benchmarks.assembly_peers.peers.program import LAME, ORDERS, POISSON, SHEAR, YOUNG, Program

#: Learned rules, which only femnn has.
LEARNED = {
    "AdaptiveGauss(1e-3)": lambda femnn: femnn.AdaptiveGauss(1e-3),
    "CorrectedGauss()": lambda femnn: femnn.CorrectedGauss(),
}


class Femnn(Program):
    title, module, distribution = "femnn", "femnn", "femnn"
    threaded, keeps_geometry = True, False
    way = "assemble_elasticity with a Pattern, over the matrix of the pass before"

    @classmethod
    def load(cls):
        importlib.import_module("femnn.assembly.pattern")
        importlib.import_module("skfem")

    def __init__(self, arrays, rule):
        import skfem

        import femnn
        from femnn.assembly import Pattern

        self.p = arrays.p
        self.mesh = skfem.MeshHex(arrays.p, arrays.t)
        self.rule = _rule(femnn, rule)
        self.pattern = Pattern.of(self.mesh)
        self.matrix = None

    def assemble(self, p, threads=1):
        import numba

        import femnn

        numba.set_num_threads(threads)
        mesh = replace(self.mesh, doflocs=p)
        self.matrix = femnn.assemble_elasticity(mesh, self.rule, YOUNG, POISSON, pattern=self.pattern, out=self.matrix)
        return self.matrix


class ScikitFem(Program):
    title, module, distribution = "scikit-fem", "skfem", "scikit-fem"
    threaded = True
    way = "CellBasis, then the elasticity form of skfem.models"

    @classmethod
    def load(cls):
        importlib.import_module("skfem.models.elasticity")

    def __init__(self, arrays, rule):
        import skfem
        from skfem.models.elasticity import linear_elasticity

        self.mesh = skfem.MeshHex(arrays.p, arrays.t)
        self.rule = rule
        self.element = skfem.ElementVector(skfem.ElementHex1())
        self.dofs = skfem.Dofs(self.mesh, self.element)
        self.form = linear_elasticity(LAME, SHEAR).form
        self.bases = self._bases(self.mesh)

    def _bases(self, mesh):
        import skfem

        if self.rule in ORDERS:
            return [skfem.CellBasis(mesh, self.element, intorder=ORDERS[self.rule], dofs=self.dofs)]
        import femnn

        return femnn.bases(mesh, self.element, _rule(femnn, self.rule))

    def assemble(self, p, threads=1):
        # as users do, who don't keep the old basis beside the new one
        self.bases = None
        self.bases = self._bases(replace(self.mesh, doflocs=p))
        return self.again(threads)

    def again(self, threads=1):
        import skfem

        form = skfem.BilinearForm(self.form, nthreads=threads if threads > 1 else 0)
        return skfem.asm(form, self.bases)


class ScikitFemNative(Program):
    title, module, distribution = "scikit-fem-native", "skfemntv", "scikit-fem-native"
    threaded = True
    way = "Basis, then asm of the form"

    def __init__(self, arrays, rule):
        import skfemntv
        from skfemntv.helpers import ddot, div, sym_grad

        self.t, self.rule = arrays.t, rule
        self.element = skfemntv.ElementVector(skfemntv.ElementHex1())
        self.form = skfemntv.BilinearForm(
            lambda u, v, w: 2 * SHEAR * ddot(sym_grad(u), sym_grad(v)) + LAME * div(u) * div(v)
        )
        self._place(arrays.p)

    def _place(self, p):
        import skfemntv

        self.basis = None
        self.basis = skfemntv.Basis(skfemntv.MeshHex(p, self.t), self.element, intorder=ORDERS[self.rule])

    def assemble(self, p, threads=1):
        import skfemntv

        with skfemntv.thread_limit(threads):
            self._place(p)
            return self.again(threads)

    def again(self, threads=1):
        import skfemntv

        with skfemntv.thread_limit(threads):
            return skfemntv.asm(self.form, self.basis, num_threads=threads)


def _rule(femnn, rule):
    """The rule of femnn that a number of points or a name stands for."""
    if rule in LEARNED:
        return LEARNED[rule](femnn)
    return femnn.GaussLegendre(round(rule ** (1 / 3)))
