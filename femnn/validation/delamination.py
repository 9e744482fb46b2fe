"""Beams that delaminate: double cantilever (mode I), end-notched flexure (mode II) and mixed-mode bending.

Examples, tests and the benchmark share them. Every beam is a strip in plane strain, split along its middle
plane: cracked up to ``crack``, held by a cohesive law beyond. Loads act as shear over whole sections and balance each
other, so nothing depends on supports, and the energy release rate follows exactly from loads and slopes,
G = −Σ F ∂u/∂x (the J-integral around the beam; Anthony & Paris, Int. J. Fract. 38 (1988) R19-R21).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from skfem.helpers import sym_grad, trace

from femnn.checks import checked, integer, number, one_of, positive
from femnn.cohesive.classical import ContactCohesive, ExponentialCohesive
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.integration.lame import lame_parameters
from femnn.interfaces.elements import InterfaceElements
from femnn.interfaces.problem import CohesiveProblem, Restart
from femnn.interfaces.split import Interface
from femnn.solvers.linear.solver import solve
from femnn.solvers.nonlinear.arc_length import arc_length

_MOST_STEPS = 1000


@dataclass(frozen=True)
class Beam:
    """A strip (0, length) × (−arm, arm) of width 1 m, the crack from x = 0 to ``crack``.

    Parameters
    ----------
    test
        ``"dcb"``, ``"enf"`` or ``"mmb"``.
    length, arm, crack
        m; spans of enf and mmb are ``length``, loads act at its half.
    lever
        Of mmb, over half the span: c/L in Reeder and Crews' test.
    element
        Length of the elements where the crack grows, m.
    layers
        Of elements in each arm.
    growth
        Length over which the crack is followed, m.
    young, poisson
        Of both arms, Pa.

    Examples
    --------
    >>> from femnn.validation import Beam
    >>> beam = Beam("dcb", crack=0.04)
    >>> beam.modulus > beam.young, beam.mesh().nelements
    (True, 1048)
    """

    test: str
    length: float = 0.1
    arm: float = 1.55e-3
    crack: float = 0.035
    lever: float = 0.9
    element: float = 0.25e-3
    layers: int = 4
    growth: float = 5e-3
    young: float = 120e9
    poisson: float = 0.3

    def __post_init__(self) -> None:
        one_of("test", self.test, tuple(LOADS))
        for name in ("length", "arm", "crack", "lever", "element", "growth", "young"):
            positive(name, getattr(self, name))
        integer("layers", self.layers, at_least=1)
        number("poisson", self.poisson, "(-1, 0.5)")

    @property
    def modulus(self) -> float:
        """In plane strain, Pa."""
        return self.young / (1.0 - self.poisson**2)

    @property
    def bending(self) -> float:
        """Stiffness E'I of one arm, N m²."""
        return self.modulus * self.arm**3 / 12.0

    def mesh(self) -> skfem.MeshQuad:
        """The whole strip, with the boundary ``middle``; elements are fine where the crack grows."""
        begin, end = self.crack - 2e-3, self.crack + self.growth + 6e-3
        fine = np.linspace(begin, end, round((end - begin) / self.element) + 1)
        before = np.linspace(0.0, begin, round(begin / 1e-3) + 1)[:-1]
        half = 0.5 * self.length
        coarse = 1.2e-3
        after = np.linspace(end, self.length, round((self.length - end) / coarse) + 1)[1:]
        # a line of vertices where the load acts
        after[np.abs(after - half).argmin()] = half
        layers = np.linspace(-self.arm, self.arm, 2 * self.layers + 1)
        mesh = skfem.MeshQuad.init_tensor(np.concatenate([before, fine, after]), layers)
        return mesh.with_boundaries({"middle": lambda x: np.abs(x[1]) < 1e-9}, boundaries_only=False)


# Loads: (place along the beam over half its length, arm: 1 upper, −1 lower, 0 both; force at P = 1)
LOADS = {
    "dcb": lambda lever: [(0, 1, 1.0), (0, -1, -1.0)],
    "enf": lambda lever: [(0, -1, 0.5), (1, 0, -1.0), (2, 0, 0.5)],
    "mmb": lambda lever: [
        (0, 1, lever),
        (0, -1, 0.5 * (1.0 - lever)),
        (1, 0, -(1.0 + lever)),
        (2, 0, 0.5 * (1.0 + lever)),
    ],
}


TITLES = {"dcb": "Double cantilever beam", "enf": "End-notched flexure", "mmb": "Mixed-mode bending"}


@dataclass(eq=False, repr=False)
class Delamination:
    """Course of a beam test: one entry per state of equilibrium in each array.

    Attributes
    ----------
    displacement, load
        Work-conjugate, m and N per m of width.
    release
        Energy release rate by the J-integral, J/m².
    cracked
        Integral of the damage over the cohesive interface, m: by how much the crack has grown, process zone included.
        NaN where the law knows no damage.
    iterations
        Of Newton's method for each state.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation import Delamination
    >>> x = np.linspace(0.0, 1e-3, 5)
    >>> result = Delamination(x, 1e6 * x, 1e5 * x, 0.0 * x, np.full(5, 3), setup=None, u=np.zeros(0))
    >>> float(result.load.max())
    1000.0
    """

    displacement: np.ndarray
    load: np.ndarray
    release: np.ndarray
    cracked: np.ndarray
    iterations: np.ndarray
    setup: "Setup"
    u: np.ndarray

    def __repr__(self) -> str:
        return f"<Delamination: {self.setup.beam.test}, {len(self.load)} states, load up to {self.load.max():.3g} N/m>"


class Setup:
    """A beam with a law: mesh, interface elements ahead of the crack, problem, load and supports.

    Examples
    --------
    >>> import femnn
    >>> from femnn.validation import Beam, Setup
    >>> setup = Setup(Beam("dcb", element=1e-3, layers=1), femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0))
    >>> len(setup.load) == 2 * int(setup.mesh.nvertices)
    True
    """

    @checked()
    def __init__(self, beam: Beam, law: Any) -> None:
        self.beam, self.law = beam, law
        self.interface = Interface.split(beam.mesh(), "middle")
        self.mesh = self.interface.mesh
        self.elements = InterfaceElements(self.interface.where(lambda x: x[0] > beam.crack))
        cracked = InterfaceElements(self.interface.where(lambda x: x[0] <= beam.crack))
        stiffness = _stiffness(self.mesh, beam)
        self.problem = CohesiveProblem(stiffness, [(self.elements, law), (cracked, ContactCohesive(1e13))])
        self.load, self.fixed = self._load(), self._supports()

    def _load(self):
        beam, load = self.beam, np.zeros((self.mesh.nvertices, 2))
        for place, arm, force in LOADS[beam.test](beam.lever):
            for side in (-1, 1) if arm == 0 else (arm,):
                nodes, shares = self._section(0.5 * beam.length * place, side)
                load[nodes, 1] += force * shares * (0.5 if arm == 0 else 1.0)
        return load.ravel()

    def _section(self, x, side):
        """Vertices of one arm at ``x``, and shares of a load that is spread evenly over its height."""
        on_side = np.isin(
            np.arange(self.mesh.nvertices), self.mesh.t[:, side * self.mesh.p[1][self.mesh.t].mean(axis=0) > 0]
        )
        nodes = np.flatnonzero(on_side & (np.abs(self.mesh.p[0] - x) < 1e-9))
        nodes = nodes[np.argsort(self.mesh.p[1, nodes])]
        shares = np.full(len(nodes), 1.0)
        shares[[0, -1]] = 0.5
        return nodes, shares / shares.sum()

    def _supports(self):
        """Three degrees of freedom at the far end, which keep the beam in place and carry nothing."""
        end = np.flatnonzero(np.abs(self.mesh.p[0] - self.beam.length) < 1e-9)
        low, high = end[self.mesh.p[1, end].argmin()], end[self.mesh.p[1, end].argmax()]
        return np.array([2 * low, 2 * low + 1, 2 * high])

    @checked()
    def release(self, u: np.ndarray, load: float) -> float:
        """Energy release rate −Σ F ∂u/∂x, J/m²."""
        p, force = self.mesh.p, load * self.load.reshape(-1, 2)[:, 1]
        deflection, total = u.reshape(-1, 2)[:, 1], 0.0
        for node in np.flatnonzero(force):
            total -= force[node] * _slope(p, deflection, node, self.mesh)
        return total


@checked(increment="(0, inf)", rtol="(0, 1)")
def delaminate(
    beam: Beam,
    law: Any,
    *,
    increment: float = 0.1,
    rtol: float = 1e-4,
    progress: bool = True,
    callback: Callable[[Setup, Any], None] | None = None,
    restart: str | os.PathLike | None = None,
) -> Delamination:
    """Follow a beam until its crack has grown by ``beam.growth``.

    Parameters
    ----------
    beam : Beam
    law
        Any cohesive law.
    increment
        First load step, over the load at which beam theory has the crack grow; no later step displaces more.
    rtol
        Of Newton's method.
    progress
        Show a progress bar.
    callback
        Called with the Setup and each Step.
    restart
        File that keeps the last state; if it exists, the path goes on from there.

    Returns
    -------
    Delamination
        Of the states that this call found.

    Raises
    ------
    ConvergenceError
        If the path cannot be followed that far.

    Examples
    --------
    A beam of coarse elements, whose crack grows by two of them:

    >>> import femnn
    >>> from femnn.validation import Beam, delaminate
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0, stiffness=1e13)
    >>> result = delaminate(Beam("dcb", element=5e-4, layers=1, growth=5e-4), law, rtol=1e-3, progress=False)
    >>> bool(result.load.max() > 0.0), bool(result.cracked[-1] > 0.0)
    (True, True)
    """
    setup, records = Setup(beam, law), []
    elements = setup.elements
    ahead = elements.x[..., 0] < beam.crack + beam.growth

    def record(step):
        far = np.linalg.norm(elements.separation(step.u), axis=1).reshape(ahead.shape) > law.separation_scale
        softened = (setup.problem.damage()[0] * elements.dx).sum()
        records.append((setup.load @ step.u, step.t, setup.release(step.u, step.t), softened, step.iterations))
        if restart is not None:
            setup.problem.save(restart, step.u, step.t, step.heading)
        if callback is not None:
            callback(setup, step)
        return bool((far | ~ahead).all())

    begin: Restart | None = None
    if restart is not None and Path(restart).exists():
        begin = setup.problem.load(restart)
    path = arc_length(
        setup.problem,
        setup.load,
        setup.fixed,
        first=increment * _expected_load(beam, law),
        steps=_MOST_STEPS,
        control="dissipation",
        rtol=rtol,
        solver=partial(solve, method="splu"),
        initial=None if begin is None else begin.u,
        start=0.0 if begin is None else begin.t,
        heading=None if begin is None else begin.heading,
        callback=record,
        progress=progress,
    )
    if len(records) == _MOST_STEPS:
        raise ConvergenceError(
            f"the crack of the {beam.test} has not grown by {beam.growth:g} m in {_MOST_STEPS} steps; take a larger "
            "increment or less growth",
            path.u,
            np.array(path.steps[-1].residuals),
            path.t,
        )
    columns = [np.array(column) for column in zip(*records, strict=True)]
    return Delamination(columns[0], columns[1], columns[2], columns[3], columns[4], setup, path.u)


@checked()
def plateau(result: Delamination) -> float:
    """Energy release rate while the crack grows steadily, J/m²: the median over the last third of the growth.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation import Delamination, plateau
    >>> grown = np.linspace(0.0, 3e-3, 31)
    >>> release = np.minimum(969.0, 2e6 * grown)
    >>> result = Delamination(grown, release, release, grown, np.ones(31), setup=None, u=np.zeros(0))
    >>> float(plateau(result))
    969.0
    """
    grown = result.cracked if np.isfinite(result.cracked).all() else result.displacement
    return float(np.median(result.release[grown > grown[0] + 0.67 * (grown[-1] - grown[0])]))


@checked()
def difference(one: Delamination, other: Delamination) -> float:
    """Largest difference of two load-displacement curves at the same displacement, over the largest load.

    Where a beam snaps back, the displacement does not tell states apart: there loads are compared along the curves'
    own length.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation import Delamination, difference
    >>> x = np.linspace(1e-4, 1e-3, 21)
    >>> one, other = (Delamination(x, f * x, x, x, x, setup=None, u=np.zeros(0)) for f in (1e6, 1.02e6))
    >>> round(float(difference(one, other)), 3)
    0.02
    """
    curves = []
    for result in (one, other):
        d, p = (np.concatenate([[0.0], values]) for values in (result.displacement, result.load))
        d, p = d / one.displacement.max(), p / one.load.max()
        curves.append(np.stack([d, p], axis=1))
    # distance of each state of the second from the first curve, between the ends that both have reached
    a, b = curves[0][:-1], curves[0][1:]
    along = b - a
    to_point = curves[1][:, None] - a
    fraction = np.clip((to_point * along).sum(axis=2) / (along**2).sum(axis=1), 0.0, 1.0)
    gaps = np.linalg.norm(to_point - fraction[..., None] * along, axis=2).min(axis=1)
    reached = curves[1][:, 1] >= curves[0][-1, 1]
    rising = np.arange(len(gaps)) <= curves[1][:, 1].argmax()
    return float(gaps[reached | rising].max())


def classical(law: Any) -> Any:
    """The classical law with the toughnesses of ``law``: itself, or what a recurrent one was trained on.

    Examples
    --------
    >>> import femnn
    >>> from femnn.validation import classical
    >>> law = classical(femnn.RecurrentCohesive.load("default"))
    >>> type(law).__name__, law.normal_strength
    ('BilinearCohesive', 80000000.0)
    """
    return law.reference() if isinstance(law, RecurrentCohesive) else law


def _expected_load(beam, law):
    reference = classical(law)
    if beam.test == "mmb":
        toughness = 0.5 * (reference.normal_toughness + reference.shear_toughness)
        rate = 12.0 * ((3.0 * beam.lever - 1.0) / 4.0) ** 2 + 9.0 / 16.0 * (1.0 + beam.lever) ** 2
        return np.sqrt(toughness * beam.modulus * beam.arm**3 / rate) / beam.crack
    return closed_form(beam, reference, beam.crack)[0]


@checked()
def closed_form(beam: Beam, law: Any, cracks: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Load and displacement of beam theory for a crack of each length (n,) that just grows: two arrays.

    Timoshenko beams; the arms of the double cantilever are longer by χ·arm (Williams' root rotation, isotropic).

    Examples
    --------
    >>> import femnn
    >>> from femnn.validation import Beam, closed_form
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> load, displacement = closed_form(Beam("dcb"), law, [0.03, 0.04])
    >>> bool(load[1] < load[0]), bool(displacement[1] > displacement[0])
    (True, True)
    """
    a, h, half = np.asarray(cracks), beam.arm, 0.5 * beam.length
    shear = 5.0 / 6.0 * beam.young / (2.0 * (1.0 + beam.poisson)) * h
    longer = 0.673 * h  # Hashemi, Kinloch & Williams (1990), isotropic
    if beam.test == "dcb":
        load = np.sqrt(law.normal_toughness * beam.bending) / (a + longer)
        return load, 2.0 * load * ((a + longer) ** 3 / (3.0 * beam.bending))
    if beam.test == "enf":
        effective = a + 0.42 * longer
        load = np.sqrt(law.shear_toughness * 16.0 * beam.modulus * h**3 / 9.0) / effective
        bending = (3.0 * effective**3 + 2.0 * half**3) / (8.0 * beam.modulus * h**3)
        return load, load * (bending + half / (4.0 * shear))
    raise ParameterError("mixed-mode bending has no closed form for the displacement here; see mixed_mode")


@checked(crack="(0, inf)")
def mixed_mode(beam: Beam, law: Any, crack: float) -> tuple[float, float]:
    """Mode II share of a beam's crack of given length after beam theory, and what a classical law resists it with.

    Examples
    --------
    >>> import femnn
    >>> from femnn.validation import Beam, mixed_mode
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> share, resistance = mixed_mode(Beam("enf"), law, 0.035)
    >>> float(share), float(resistance)
    (1.0, 1719.0)
    """
    if beam.test != "mmb":
        fraction = {"dcb": 0.0, "enf": 1.0}[beam.test]
    else:
        longer = 0.673 * beam.arm
        opening, shearing = (3.0 * beam.lever - 1.0) / 4.0, 1.0 + beam.lever
        one = 12.0 * opening**2 * (crack + longer) ** 2
        two = 9.0 / 16.0 * shearing**2 * (crack + 0.42 * longer) ** 2
        fraction = two / (one + two)
    if isinstance(law, ExponentialCohesive):
        return fraction, 1.0 / ((1.0 - fraction) / law.normal_toughness + fraction / law.shear_toughness)
    return fraction, law.normal_toughness + (law.shear_toughness - law.normal_toughness) * fraction**law.exponent


def _slope(p, deflection, node, mesh):
    """∂u_y/∂x at a vertex: the mean of the slopes to its neighbours along the beam, on its own side of the crack."""
    cells = np.flatnonzero((mesh.t == node).any(axis=0))
    around = np.unique(mesh.t[:, cells])
    row = around[(np.abs(p[1, around] - p[1, node]) < 1e-12) & (around != node)]
    return np.mean((deflection[row] - deflection[node]) / (p[0, row] - p[0, node]))


@skfem.BilinearForm
def _normal(u, v, w):
    e, f = sym_grad(u), sym_grad(v)
    return w["lmbda"] * trace(e) * trace(f) + 2.0 * w["mu"] * (e[0, 0] * f[0, 0] + e[1, 1] * f[1, 1])


@skfem.BilinearForm
def _shear(u, v, w):
    e, f = sym_grad(u), sym_grad(v)
    return 4.0 * w["mu"] * e[0, 1] * f[0, 1]


# scikit-fem's lowest order on quadrilaterals has four points already
_MIDDLE = (np.array([[0.5], [0.5]]), np.array([1.0]))


def _stiffness(mesh, beam):
    """Plane strain; the shear is integrated at the middle of each element, which else would lock in bending."""
    lmbda, mu = lame_parameters(beam.young, beam.poisson)
    element = skfem.ElementVector(skfem.ElementQuad1())
    full, middle = skfem.Basis(mesh, element, intorder=3), skfem.Basis(mesh, element, quadrature=_MIDDLE)
    return _normal.assemble(full, lmbda=lmbda, mu=mu) + _shear.assemble(middle, mu=mu)
