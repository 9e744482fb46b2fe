"""Kernels of the usual ways, compiled ahead of the first call that needs them."""

from collections.abc import Callable
from functools import partial

import numpy as np
import skfem

import femnn
from femnn.geometry import distorted_cube


def steps() -> dict[str, Callable[[], object]]:
    """Small problems by what they stand for; whoever has run them has compiled what these need."""
    mesh, shapes = distorted_cube(3, 0.2, seed=0), femnn.distorted_hexahedra(60, (0.0, 0.48), seed=0)
    rule = femnn.GaussLegendre(2)
    return {
        "AdaptiveGauss": lambda: femnn.AdaptiveGauss(1e-3, calibrate="families").groups(shapes),
        "AdaptiveGauss, calibrated on a mesh": lambda: femnn.assemble_elasticity(
            mesh, femnn.AdaptiveGauss(1e-3), 1.0, 0.3
        ),
        "CorrectedGauss": lambda: femnn.CorrectedGauss().groups(shapes),
        "MovedGauss": lambda: femnn.MovedGauss().groups(shapes),
        "assembly": lambda: (
            femnn.assemble_diffusion(mesh, rule),
            femnn.assemble_mass(mesh, rule, 1.0),
            femnn.assemble_body_force(mesh, rule, (0.0, 0.0, -1.0)),
        ),
        "HourglassCorrection": lambda: femnn.HourglassCorrection().matrix(mesh, 1.0, 0.3),
        "solvers": _solve,
        "linear law at the points": partial(_solid, mesh, femnn.LinearElastic(1.0, 0.3)),
        "finite strains at the points": partial(_solid, mesh, femnn.NeoHooke(1.0, 0.3)),
        **{
            f"formulation {name}": partial(_solid, mesh, femnn.LinearElastic(1.0, 0.3), name)
            for name in ("mean-dilatation", "stabilised")
        },
    }


def _solve():
    mesh = distorted_cube(12, 0.2, seed=0)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, 0.3)
    fixed = (3 * np.flatnonzero(mesh.p[2] < 1e-9)[:, None] + np.arange(3)).ravel()
    femnn.LinearSolver(stiffness, fixed, points=mesh).solve(np.ones(stiffness.shape[0]))


def _solid(mesh: skfem.MeshHex, law: femnn.ConstitutiveLaw, formulation: str = "standard") -> None:
    points = 1 if formulation == "stabilised" else 2
    solid = femnn.Solid(mesh, femnn.GaussLegendre(points), law, formulation=formulation)
    solid.residual_and_tangent(np.zeros(solid.n_dofs))
