"""The self-test of ``femnn doctor``: small problems with known answers, by the ways that programs take."""

import time
from collections.abc import Callable

import numpy as np
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity

import femnn
from femnn.geometry import distorted_cube

_YOUNG, _POISSON, _TOLERANCE = 2.0, 0.3, 1e-3


def self_test() -> tuple[dict[str, float], list[str]]:
    """Seconds that each check took, and what is wrong, in sentences."""
    seconds, faults = {}, []
    for name, check in _CHECKS.items():
        start = time.perf_counter()
        try:
            fault = check()
        except Exception as error:  # whatever is broken is what the report is for
            fault = f"{type(error).__name__}: {error}"
        seconds[name] = round(time.perf_counter() - start, 2)
        if fault:
            faults.append(f"self-test, {name}: {fault}; reinstall femnn, and report this if it stays")
    return seconds, faults


def _assembly() -> str:
    mesh, rule = distorted_cube(3, 0.2, seed=0), femnn.GaussLegendre(2)
    bases = femnn.bases(mesh, skfem.ElementVector(skfem.ElementHex1()), rule)
    form = skfem.asm(linear_elasticity(*lame_parameters(_YOUNG, _POISSON)), bases)
    difference = abs(femnn.assemble_elasticity(mesh, rule, _YOUNG, _POISSON) - form).max() / abs(form).max()
    return "" if difference < 1e-12 else f"the compiled stiffness differs from scikit-fem's by {difference:.1e} of it"


def _rule() -> str:
    shapes = femnn.distorted_hexahedra(100, 0.2, seed=0)
    rule = femnn.AdaptiveGauss(_TOLERANCE, calibrate="families")
    missed = int((femnn.integration_error(shapes, rule) >= _TOLERANCE).sum())
    # one of a hundred elements may miss it, four hardly ever
    return "" if missed < 4 else f"{missed} of 100 elements miss the tolerance of {rule!r}"


def _solution() -> str:
    mesh, rule = distorted_cube(3, 0.2, seed=0), femnn.GaussLegendre(2)
    stiffness = femnn.assemble_elasticity(mesh, rule, _YOUNG, _POISSON)
    exact = (np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0], [2.0, 0.0, 0.5]]) @ mesh.p).T.ravel()
    held = (3 * mesh.boundary_nodes()[:, None] + np.arange(3)).ravel()
    found = femnn.solve(stiffness, np.zeros(len(exact)), held, exact, points=mesh).x
    error = np.abs(found - exact).max()
    return "" if error < 1e-6 else f"a constant strain is missed by {error:.1e}"


def _law() -> str:
    law = femnn.RecurrentCohesive.load("default")
    opened = np.array([[0.2 * law.separation_scale, 0.0, 0.0]])
    traction = law.update(opened, law.initial_state(1))[0]
    none = np.abs(law.update(np.zeros((1, 3)), law.initial_state(1))[0]).max()
    return "" if none == 0.0 < traction[0, 0] else f"the law gives {traction[0]} when opened, {none} when closed"


_CHECKS: dict[str, Callable[[], str]] = {
    "assembly": _assembly,
    "AdaptiveGauss": _rule,
    "solution": _solution,
    "recurrent law": _law,
}
