"""One process from its imports to a solution and to the tangent of a law: prints its seconds as JSON."""

import json
import time

_BEGUN = time.process_time()

import numpy as np  # noqa: E402

import femnn  # noqa: E402
from benchmarks.solution.arrays import POISSON, RUBBER, WEIGHT, YOUNG  # noqa: E402
from benchmarks.solution.laws import neo_hooke  # noqa: E402
from femnn.io.locations import data_folder  # noqa: E402


def measure():
    """Seconds of processor time by stage."""
    now = time.process_time()
    seconds = {"imports": now - _BEGUN}

    def ended(stage):
        nonlocal now
        before, now = now, time.process_time()
        seconds[stage] = now - before

    mesh = femnn.read_mesh(data_folder("meshes") / "bracket.vtu")
    ended("mesh")
    rule = femnn.AdaptiveGauss(1e-3)
    stiffness = femnn.assemble_elasticity(mesh, rule, YOUNG, POISSON)
    force = femnn.assemble_body_force(mesh, rule, (0.0, 0.0, WEIGHT))
    ended("rule and matrix")
    held = np.unique(mesh.facets[:, mesh.boundaries["fixed"]])
    fixed = (3 * held[:, None] + np.arange(3)).ravel()
    femnn.LinearSolver(stiffness, fixed, points=mesh).solve(force)
    ended("solution")
    law = femnn.PointLaw(neo_hooke, RUBBER, kinematics="finite")
    rule = femnn.GaussLegendre(2)
    for stage, formulation in (("law at the points", "standard"), ("law, mean dilatation", "mean-dilatation")):
        solid = femnn.Solid(mesh, rule, law, formulation=formulation)
        solid.residual_and_tangent(np.zeros(solid.n_dofs))
        ended(stage)
    return seconds


if __name__ == "__main__":
    print(json.dumps(measure()))
