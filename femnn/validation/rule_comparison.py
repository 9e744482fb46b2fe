"""Rules side by side on one structure: points, Error, time of assembly, and what they do to the solution.

Everything is measured against exact integration on the same mesh, so the figures show what quadrature does and nothing
of what the mesh does.
"""

import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np
import skfem
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, cg, splu
from skfem.models.elasticity import linear_elasticity

from femnn.assembly.bases import bases
from femnn.assembly.elasticity import assemble_elasticity
from femnn.assembly.pattern import Pattern
from femnn.checks import checked
from femnn.exceptions import MeshError
from femnn.geometry.mesh import RelativeMapping, hexahedra
from femnn.geometry.validity import require_valid
from femnn.integration.convergence import errors_and_reference, smallest_points
from femnn.integration.error import error_against
from femnn.integration.lame import lame_parameters
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.quadrature.corrected.rule import CorrectedGauss
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule

#: Resultant of the traction on the boundary ``load``, N, downwards.
LOAD = 5000.0

#: Weight of steel, N/m³, the load of meshes that name no boundaries.
WEIGHT = 7850.0 * 9.81

#: Largest mesh whose stiffness is factored here.
MOST_ELEMENTS = 30_000

#: Points beyond which scikit-fem's form is not timed: its arrays take some 1.5 kB a point and its loop over 24 × 24
#: pairs some 40 µs.
MOST_POINTS = 400_000
_MOST_PER_AXIS = 20
_CHUNK = 4096

# Runs of each way of assembly, in turns, and the seconds after which one is not repeated.
_REPEATS, _PATIENCE = 3, 8.0


@dataclass(frozen=True, eq=False, repr=False)
class LoadCase:
    """Load and supports of a mesh: ``force`` (ndofs,), ``free`` degrees of freedom, and both in words.

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import load_case
    >>> case = load_case(skfem.MeshHex().refined(1))
    >>> case.force.shape, len(case.free)
    ((81,), 54)
    """

    description: str
    force: np.ndarray
    free: np.ndarray

    def __repr__(self) -> str:
        return f"<LoadCase: {self.description}>"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Points, times and errors of one rule on a structure.

    Attributes
    ----------
    name, points
        The rule in words, and its integration points on the whole mesh.
    error_median, error_worst, elements_above, share_above
        Of the Error of its elements; those at or above the tolerance.
    seconds
        :func:`femnn.assemble_elasticity` from the mesh on one thread, pattern and prediction included, everything
        compiled before: processor time, the median of three runs, in turns with those of the form.
    form_seconds
        ``femnn.bases`` and ``skfem.asm`` of scikit-fem's elasticity form on one thread, which is what any other form
        costs, in the same way, but of fewer runs where they take long; None where it was not asked for or has too many
        points.
    displacement_error
        Largest difference of the displacement over the largest displacement.
    energy_norm_error
        The same difference in the energy norm, relative.
    energy_error
        Relative difference of the strain energy, and so of the displacement at the load (its weighed mean).
    errors : (n_elements,)

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.validation import Structure
    >>> structure = Structure(skfem.MeshHex().refined(1))
    >>> row = structure.compare("8 points", femnn.GaussLegendre(2), tol=1e-3, forms=False)
    >>> row.points, row.elements_above, row.displacement_error < 1e-12
    (64, 0, True)
    """

    name: str
    points: int
    error_median: float
    error_worst: float
    elements_above: int
    share_above: float
    seconds: float
    form_seconds: float | None
    displacement_error: float
    energy_norm_error: float
    energy_error: float
    errors: np.ndarray

    def __repr__(self) -> str:
        return f"<Comparison: {self.name}, {self.points:,} points, worst Error {self.error_worst:.1e}>"

    def figures(self) -> dict[str, Any]:
        """All but the single elements, as a dict for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "errors"}


class Structure:
    """A mesh under load whose exactly integrated solution is known.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex``; see :func:`load_case` for what its boundaries mean.
    young, poisson
        Young's modulus (Pa) and Poisson's ratio.

    Attributes
    ----------
    displacement : (3, n_vertices), strain_energy : float
        The solution with converged integration, m and J.
    error_table, doubt
        See :func:`femnn.integration.convergence.error_table`.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import Structure
    >>> structure = Structure(skfem.MeshHex().refined(1))
    >>> structure.strain_energy > 0.0, structure.uniform(1e-3)
    (True, 2)
    """

    @checked(young="(0, inf)", poisson="(-1, 0.5)")
    def __init__(self, mesh: skfem.MeshHex, young: float = 210e9, poisson: float = 0.3) -> None:
        self.lame = lame_parameters(young, poisson)
        self.mesh, self.young, self.poisson = mesh, young, poisson
        self.hexahedra = hexahedra(mesh)
        require_valid(self.hexahedra, "repair the mesh; `femnn inspect` shows where")
        if mesh.nelements > MOST_ELEMENTS:
            raise MeshError(
                f"the mesh has {mesh.nelements} elements, this comparison factors stiffness matrices of up to "
                f"{MOST_ELEMENTS}; pass a coarser mesh"
            )
        self.element = skfem.ElementVector(skfem.ElementHex1())
        self.dofs = skfem.Dofs(mesh, self.element)
        self.pattern = Pattern.of(mesh)
        self.case = load_case(mesh)
        self.error_table, self._references, self.doubt = errors_and_reference(self.hexahedra, _MOST_PER_AXIS, poisson)
        self._exact, self._force, *_ = skfem.condense(self._exact_stiffness(), self.case.force, I=self.case.free)
        # symmetric and positive definite: no pivoting, so that the ordering keeps a quarter of the time and memory
        self._factor = splu(
            self._exact.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
        self._solution = self._factor.solve(self._force)
        self.strain_energy = 0.5 * float(self._solution @ self._force)
        self.displacement = self._at_vertices(self._solution)

    @checked(tol="(0, inf)")
    def uniform(self, tol: float, missed: int = 0) -> int | None:
        """Points per axis of the smallest uniform rule with Error < ``tol`` in all but ``missed`` elements.

        None if it would be above 20; at least 2, because one point leaves zero-energy modes.
        """
        needed = np.sort(smallest_points(self.error_table, tol))
        points = max(2, int(needed[len(needed) - 1 - min(missed, len(needed) - 1)]))
        return points if points <= _MOST_PER_AXIS else None

    @checked(tol="(0, inf)")
    def compare(self, name: str, rule: Rule, tol: float, forms: bool = True) -> Comparison:
        """Measure one rule; see :class:`Comparison`. ``forms`` says whether scikit-fem's form is timed too."""
        errors = self._errors(rule)
        stiffness = assemble_elasticity(self.mesh, rule, self.young, self.poisson, pattern=self.pattern)
        seconds = self._time(rule, forms and rule.count_points(self.hexahedra) <= MOST_POINTS)
        solution = self._solve(skfem.condense(stiffness, self.case.force, I=self.case.free)[0])
        missed = solution - self._solution
        lengths = np.linalg.norm(self._at_vertices(missed), axis=0), np.linalg.norm(self.displacement, axis=0)
        above = int((errors >= tol).sum())
        return Comparison(
            name=name,
            points=rule.count_points(self.hexahedra),
            error_median=float(np.median(errors)),
            error_worst=float(errors.max()),
            elements_above=above,
            share_above=above / len(errors),
            seconds=float(np.median(seconds["fused"])),
            form_seconds=float(np.median(seconds["form"])) if seconds["form"] else None,
            displacement_error=float(lengths[0].max() / lengths[1].max()),
            energy_norm_error=float(np.sqrt(missed @ (self._exact @ missed) / (2.0 * self.strain_energy))),
            energy_error=float(abs(0.5 * solution @ self._force / self.strain_energy - 1.0)),
            errors=errors,
        )

    def _exact_stiffness(self):
        rows = np.repeat(self.dofs.element_dofs.T, 24, axis=1).ravel()
        columns = np.tile(self.dofs.element_dofs.T, 24).ravel()
        values = self.young * self._references.ravel()
        return coo_matrix((values, (rows, columns)), shape=(self.dofs.N, self.dofs.N)).tocsr()

    def _errors(self, rule):
        parts = np.array_split(np.arange(self.mesh.nelements), -(-self.mesh.nelements // _CHUNK))
        measured = (error_against(self.hexahedra[p], rule, self._references[p], self.poisson) for p in parts)
        return np.concatenate(list(measured))

    def _time(self, rule, with_form):
        """Seconds of both ways of assembly, a list each: from the mesh to the matrix, on one thread, in turns.

        Of the processor: on one thread it is the time that passes, but for what other programs take.
        """
        work = {"fused": lambda: assemble_elasticity(self.mesh, rule, self.young, self.poisson)}
        if with_form:
            work["form"] = lambda: skfem.asm(linear_elasticity(*self.lame), bases(self.mesh, self.element, rule))
        seconds: dict[str, list[float]] = {"fused": [], "form": []}
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            # compiled before, but for the thread
            work["fused"]()
            for _ in range(_REPEATS):
                for name, assemble in work.items():
                    if sum(seconds[name]) > _PATIENCE:
                        continue
                    started = time.process_time()
                    assemble()
                    seconds[name].append(time.process_time() - started)
                    # bases refer to their mappings in circles; the next run needs the memory
                    gc.collect()
        finally:
            numba.set_num_threads(threads)
        return seconds

    def _solve(self, system):
        """Conjugate gradients, to which the exact factor leaves a few iterations: rules change the matrix a little."""
        near = LinearOperator(system.shape, self._factor.solve)
        solution, failed = cg(system, self._force, self._solution, rtol=1e-12, maxiter=200, M=near)
        return splu(system.tocsc()).solve(self._force) if failed else solution

    def _at_vertices(self, free_values):
        values = np.zeros(self.dofs.N)
        values[self.case.free] = free_values
        return values[self.dofs.nodal_dofs]


@checked(tol="(0, inf)")
def standard_rules(structure: Structure, tol: float) -> list[tuple[str, Rule]]:
    """Names and rules of the comparison: 8, 27 and 64 points, the uniform rule that meets ``tol``, the learned ones.

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import Structure, standard_rules
    >>> [name for name, _ in standard_rules(Structure(skfem.MeshHex().refined(1)), tol=1e-3)][:3]
    ['8 Gauss points (tol met everywhere)', '27 Gauss points', '64 Gauss points']
    """
    uniform = structure.uniform(tol)
    named = []
    for n in sorted({2, 3, 4, uniform or 2}):
        remark = " (tol met everywhere)" if n == uniform else ""
        named.append((f"{n**3} Gauss points{remark}", GaussLegendre(n)))
    adaptive = AdaptiveGauss(tol, poisson=structure.poisson)
    return [*named, (f"AdaptiveGauss(tol={tol:g})", adaptive), ("CorrectedGauss()", CorrectedGauss())]


@checked(tol="(0, inf)")
def compare_rules(
    structure: Structure,
    rules: Iterable[tuple[str, Rule]],
    tol: float,
    say: Callable[[str], None] = lambda text: None,
    forms: bool = True,
) -> list[Comparison]:
    """Measure rules one after another.

    Parameters
    ----------
    structure : Structure
    rules
        Pairs of name and rule.
    tol
        Tolerance of the Error.
    say
        Called with a line of text before each rule.
    forms
        Whether scikit-fem's form is timed too.

    Returns
    -------
    list of Comparison

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.validation import Structure, compare_rules
    >>> structure = Structure(skfem.MeshHex().refined(1))
    >>> rules = [("8 points", femnn.GaussLegendre(2)), ("27 points", femnn.GaussLegendre(3))]
    >>> [row.points for row in compare_rules(structure, rules, tol=1e-3, forms=False)]
    [64, 216]
    """
    results: list[Comparison] = []
    rate = None
    for name, rule in rules:
        points = rule.count_points(structure.hexahedra)
        expected = f", about {points * rate:.0f} s" if rate and points <= MOST_POINTS else ""
        say(f"{name}: {points:,} points{expected}")
        results.append(structure.compare(name, rule, tol, forms))
        if results[-1].form_seconds:
            rate = results[-1].form_seconds / points
    return results


@checked()
def load_case(mesh: skfem.MeshHex) -> LoadCase:
    """Hold and load a mesh.

    A mesh with the boundaries ``fixed`` and ``load`` is clamped at the one and pulled downwards (-z) by ``LOAD`` spread
    evenly over the other. Any other is clamped at the lower end of its longest extent and bent by its own weight along
    its shortest.

    Returns
    -------
    LoadCase

    Raises
    ------
    MeshError
        If a part of the mesh is not held.

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import load_case
    >>> load_case(skfem.MeshHex().refined(1)).description.partition(":")[2]
    ' clamped in the lowest 2% of its x extent, loaded by the weight of steel along -y'
    """
    element = skfem.ElementVector(skfem.ElementHex1())
    boundaries = mesh.boundaries or {}
    if all(len(boundaries.get(name, ())) for name in ("fixed", "load")):
        clamped = np.unique(mesh.facets[:, boundaries["fixed"]])
        loaded = skfem.FacetBasis(mesh, element, mapping=RelativeMapping(mesh), facets="load")
        area = skfem.Functional(lambda w: np.ones_like(w.x[0])).assemble(loaded)
        force = skfem.asm(skfem.LinearForm(lambda v, w: -LOAD / area * v[2]), loaded)
        description = f"clamped at `fixed`; {LOAD / 1000:g} kN downwards (-z) spread over `load`"
    else:
        extents = np.ptp(mesh.p[:, np.unique(mesh.t)], axis=1)
        along, across = int(extents.argmax()), int(extents.argmin()) if np.ptp(extents) else 1
        clamped, fraction = _lower_end(mesh, along)
        # N times det J has degree 3 along each axis, which two points integrate
        gauss = GaussLegendre(2).groups(hexahedra(mesh))[0][1:]
        inside = skfem.CellBasis(mesh, element, mapping=RelativeMapping(mesh), quadrature=gauss)
        force = skfem.asm(skfem.LinearForm(lambda v, w: -WEIGHT * v[across]), inside)
        description = (
            f"the mesh names no boundaries `fixed` and `load`: clamped in the lowest {fraction:.0%} of its "
            f"{'xyz'[along]} extent, loaded by the weight of steel along -{'xyz'[across]}"
        )
    _check_held(mesh, clamped)
    # vertices without elements have no stiffness
    moving = np.setdiff1d(np.unique(mesh.t), clamped)
    dofs = skfem.Dofs(mesh, element)
    return LoadCase(description, force, np.sort(dofs.nodal_dofs[:, moving].ravel()))


def _lower_end(mesh, axis):
    """Vertices in the lowest 2 % along an axis, or in as much as it takes to hold the mesh; and that share."""
    used = np.unique(mesh.t)
    heights = mesh.p[axis, used]
    for fraction in (0.02, 0.05, 0.1, 0.2):
        clamped = used[heights <= heights.min() + fraction * np.ptp(heights)]
        if _holds(mesh.p[:, clamped]):
            break
    return clamped, fraction


def _holds(points):
    """True if clamped points stop every rigid motion: they must span a plane."""
    return points.shape[1] > 2 and np.linalg.matrix_rank(points - points.mean(axis=1, keepdims=True), rtol=1e-6) > 1


def _check_held(mesh, clamped):
    n = mesh.nvertices
    edges = (np.ones(7 * mesh.nelements), (np.repeat(mesh.t[:1], 7, axis=0).ravel(), mesh.t[1:].ravel()))
    _, part = connected_components(coo_matrix(edges, shape=(n, n)), directed=False)
    for which in np.unique(part[mesh.t[0]]):
        held = clamped[part[clamped] == which]
        if not _holds(mesh.p[:, held]):
            element = int(np.flatnonzero(part[mesh.t[0]] == which)[0])
            raise MeshError(
                f"the part of the mesh with element {element} is not held: {len(held)} of its vertices are clamped; "
                "name a boundary `fixed` that holds every part, and one `load`"
            )
