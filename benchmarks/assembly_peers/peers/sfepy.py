"""SfePy: terms in C, element matrices added to a pattern that it keeps."""

import importlib

import numpy as np

from benchmarks.assembly_peers.peers.program import ORDERS, POISSON, YOUNG, Program


class SfePy(Program):
    title, module, distribution = "SfePy", "sfepy", "sfepy"
    way = "Problem.set_mesh_coors, then eval_tangent_matrices of dw_lin_elastic"

    @classmethod
    def load(cls):
        importlib.import_module("sfepy.discrete.fem")
        from sfepy.base.base import output
        from sfepy.terms import Term  # noqa: F401

        output.set_output(quiet=True)

    def __init__(self, arrays, rule):
        from sfepy.discrete import Equation, Equations, FieldVariable, Integral, Material, Problem
        from sfepy.discrete.fem import FEDomain, Field, Mesh
        from sfepy.mechanics.matcoefs import stiffness_from_youngpoisson
        from sfepy.terms import Term

        groups = np.zeros(len(arrays.cells), dtype=np.int32)
        mesh = Mesh.from_data("mesh", np.ascontiguousarray(arrays.p.T), None, [arrays.cells], [groups], ["3_8"])
        omega = FEDomain("domain", mesh).create_region("Omega", "all")
        field = Field.from_args("displacement", np.float64, "vector", omega, approx_order=1)
        u = FieldVariable("u", "unknown", field)
        v = FieldVariable("v", "test", field, primary_var_name="u")
        law = Material("law", D=stiffness_from_youngpoisson(3, YOUNG, POISSON))
        points = Integral("points", order=ORDERS[rule])
        term = Term.new("dw_lin_elastic(law.D, v, u)", points, omega, law=law, v=v, u=u)
        self.problem = Problem("elasticity", equations=Equations([Equation("balance", term)]))
        self.problem.time_update()
        self.problem.update_materials()
        self.problem.equations.variables.init_state()
        self.zero = np.zeros(arrays.p.size)

    def assemble(self, p, threads=1):
        self.problem.set_mesh_coors(np.ascontiguousarray(p.T), update_fields=True)
        return self.again(threads)

    def again(self, threads=1):
        return self.problem.equations.eval_tangent_matrices(self.zero, self.problem.mtx_a)
