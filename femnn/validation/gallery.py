"""Problems with published answers for every kind of cell: benchmarks of NAFEMS, a membrane, thick cylinder and sphere.

LE1 and LE10 are those of "The Standard NAFEMS Benchmarks" (NAFEMS, Glasgow 1990); the membrane is R. D. Cook's, "Ways
to improve the bending response of finite elements", IJNME 11 (1977) 1029-1039, in plane stress; cylinder and sphere
are G. Lamé's. Units are m and Pa, and those of their source for the membrane.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import skfem

from femnn.assembly.discretisation import scalar_element
from femnn.assembly.elasticity import assemble_elasticity
from femnn.assembly.loads import Loads
from femnn.assembly.plane import plane_lame
from femnn.checks import checked
from femnn.fields.recovery import recover
from femnn.fields.stress import stress
from femnn.geometry.cells import cells, kind_of_mesh
from femnn.integration.lame import lame_parameters
from femnn.quadrature.rule import Rule
from femnn.solvers.linear.solver import solve

# Two coordinates are one within this share of a length of one.
_SAME = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class GalleryProblem:
    """A body whose answer at one place is published.

    Attributes
    ----------
    name, quantity
        What it is, and what is measured.
    mesh, element
        Scalar element of the displacements.
    young, poisson, plane
        As :func:`femnn.assemble_elasticity` takes them.
    loads
        Its forces and supports; ``held`` are further degrees of freedom that are held at zero.
    measure
        Gives the quantity for displacements (N,).
    reference
    vertex
        Where the quantity is measured.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.validation import plane_membrane
    >>> problem = plane_membrane(8, skfem.ElementQuad2())
    >>> found, points = problem.solve(femnn.GaussLegendre(3))
    >>> round(float(found / problem.reference), 2), points
    (1.0, 576)
    """

    name: str
    quantity: str
    mesh: skfem.Mesh
    element: skfem.Element
    young: float
    poisson: float
    plane: str
    loads: Loads
    held: np.ndarray
    measure: Callable[[np.ndarray], float]
    reference: float
    vertex: int

    def __repr__(self) -> str:
        return f"GalleryProblem({self.name!r}, {self.cells}, {self.quantity} {self.reference:g})"

    @property
    def cells(self) -> str:
        """Number and kind of the cells and the element."""
        edges = "curved" if kind_of_mesh(self.mesh).degree == 2 else "straight"
        return f"{self.mesh.nelements:,} {edges}, {type(self.element).__name__.removeprefix('Element')}"

    def solve(self, rule: Rule) -> tuple[float, int]:
        """The quantity by the points of a rule, and how many these are.

        Raises
        ------
        ParameterError, FoldedElementError
            As :func:`femnn.assemble_elasticity` does.
        """
        degree = 1 if self.element.maxdeg == self.mesh.dim() else 2
        return self.measure(self.displacements(rule)), rule.for_degree(degree).count_points(cells(self.mesh))

    def displacements(self, rule: Rule, formulation: str = "standard") -> np.ndarray:
        """Displacements (N,) by the points of a rule and a formulation of :func:`femnn.assemble_elasticity`."""
        K = assemble_elasticity(
            self.mesh,
            rule,
            self.young,
            self.poisson,
            plane=self.plane,
            element=self.element,
            formulation=formulation,
        )
        fixed, values = self.loads.fixed, self.loads.values
        more = np.setdiff1d(self.held, fixed)
        fixed, values = np.concatenate([fixed, more]), np.concatenate([values, np.zeros(len(more))])
        return solve(K, self.loads.force, fixed, values, method="splu").x

    def recovered_stress(self, rule: Rule, formulation: str = "standard", method: str = "patches") -> np.ndarray:
        """Stress (6,) (Pa) at :attr:`vertex` by :func:`femnn.stress` and :func:`femnn.recover`."""
        options = {"element": self.element}
        u = self.displacements(rule, formulation)
        values = stress(
            self.mesh, rule, u, self.young, self.poisson, formulation=formulation, plane=self.plane, **options
        )
        return recover(self.mesh, rule, values, method=method, **options)[self.vertex]


def stress_at_vertex(
    mesh: skfem.Mesh, element: skfem.Element | None, u: np.ndarray, lmbda: float, mu: float, vertex: int
) -> np.ndarray:
    """Stress (dim, dim) at a vertex: the mean of those of the cells around it, each at its corner.

    λ and μ are those of the plane for quadrilaterals. Arguments are not checked.
    """
    element, kind = scalar_element(element, mesh), kind_of_mesh(mesh)
    x, dofs, dim = cells(mesh), skfem.Dofs(mesh, element).element_dofs, kind.dim
    corners, around = np.nonzero(mesh.t == vertex)
    total = np.zeros((dim, dim))
    for corner, cell in zip(corners, around, strict=True):
        place = kind.nodes[corner][:, None]
        jacobian = x[cell].T @ kind.gradients(place)[:, :, 0]
        shapes = np.stack([np.asarray(element.lbasis(place, a)[1])[:, 0] for a in range(len(element.doflocs))])
        gradient = u.reshape(-1, dim)[dofs[:, cell]].T @ shapes @ np.linalg.inv(jacobian)
        total += mu * (gradient + gradient.T) + lmbda * np.trace(gradient) * np.eye(dim)
    return total / len(corners)


def _near(mesh, place):
    """The vertex at a place."""
    vertices = mesh.p[:, : mesh.nvertices]
    return int(np.argmin(np.linalg.norm(vertices - np.array(place)[:, None], axis=0)))


def _bent(mesh, curved, function):
    """The mesh, with nodes between its vertices or without, and with all of them moved by ``function``."""
    if curved:
        mesh = (skfem.MeshQuad2 if mesh.dim() == 2 else skfem.MeshHex2).from_mesh(mesh)
    return type(mesh)(np.ascontiguousarray(function(mesh.doflocs)), mesh.t)


def _near_zero(x, axis):
    return np.abs(x[axis]) < _SAME


def _grid(*counts):
    ticks = [np.linspace(0.0, 1.0, n + 1) for n in counts]
    return (skfem.MeshQuad if len(counts) == 2 else skfem.MeshHex).init_tensor(*ticks)


def _ellipses(x):
    """A quarter of the plate between the two ellipses of LE1 and LE10, from the unit square."""
    angle, way = 0.5 * np.pi * x[1], x[0]
    along = (2.0 + 1.25 * way) * np.cos(angle)
    across = (1.0 + 1.75 * way) * np.sin(angle)
    return np.stack([along, across, *x[2:]])


def _named(grid, curved, function, places):
    """The moved mesh with boundaries named by functions of the places before they were moved."""
    named = grid.with_boundaries(places)
    mesh = _bent(grid, curved, function)
    return mesh.with_boundaries({name: np.asarray(facets) for name, facets in named.boundaries.items()})


@checked(n="[1, inf)")
def elliptic_membrane(n: int, element: skfem.Element, curved: bool = True) -> GalleryProblem:
    """NAFEMS LE1: an elliptic membrane under outward pressure; σyy at its inner corner is 92.7 MPa.

    ``n`` cells along each side.

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import elliptic_membrane
    >>> elliptic_membrane(4, skfem.ElementQuad2()).reference
    92700000.0
    """
    places = {
        "inner": lambda x: x[0] == 0.0,
        "outer": lambda x: x[0] == 1.0,
        "bottom": lambda x: x[1] == 0.0,
        "side": lambda x: x[1] == 1.0,
    }
    mesh = _named(_grid(n, n), curved, _ellipses, places)
    loads = Loads(mesh, element).pressure("outer", -10e6).displace("bottom", 1, 0.0).displace("side", 0, 0.0)
    return _stress_problem("NAFEMS LE1, elliptic membrane", mesh, element, loads, (2.0, 0.0), "stress", 92.7e6)


@checked(n="[1, inf)", layers="[1, inf)", around="[1, inf)")
def thick_plate(
    n: int, element: skfem.Element, curved: bool = True, layers: int = 8, around: int | None = None
) -> GalleryProblem:
    """NAFEMS LE10: a thick elliptic plate under pressure; σyy at the inner corner of its upper side is -5.38 MPa.

    ``n`` cells from the inner side to the outer, ``around`` along each of these, ``n`` for None, and an even number of
    ``layers``.

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import thick_plate
    >>> thick_plate(2, skfem.ElementHex2(), layers=2).mesh.nelements
    8
    """
    places = {
        "outer": lambda x: x[0] == 1.0,
        "bottom": lambda x: x[1] == 0.0,
        "side": lambda x: x[1] == 1.0,
        "top": lambda x: x[2] == 1.0,
    }

    def move(x):
        return _ellipses(np.stack([x[0], x[1], 0.6 * x[2]]))

    mesh = _named(_grid(n, around or n, layers), curved, move, places)
    loads = Loads(mesh, element).pressure("top", 1e6).displace("bottom", 1, 0.0).displace("side", 0, 0.0)
    loads.displace("outer", (0, 1), 0.0)
    # the middle line of the outer side does not move up or down
    basis = skfem.CellBasis(mesh, skfem.ElementVector(element), intorder=1)
    outer = basis.get_dofs(mesh.boundaries["outer"]).all()
    line = outer[(np.abs(basis.doflocs[2, outer] - 0.3) < _SAME) & (outer % 3 == 2)]
    name = "NAFEMS LE10, thick plate"
    return _stress_problem(name, mesh, element, loads, (2.0, 0.0, 0.6), "strain", -5.38e6, line)


def _stress_problem(name, mesh, element, loads, place, plane, reference, held=()):
    vertex = _near(mesh, place)
    lame = plane_lame(*lame_parameters(210e9, 0.3), plane)

    def measure(u):
        return float(stress_at_vertex(mesh, element, u, *lame, vertex)[1, 1])

    held = np.array(held, dtype=np.int64)
    return GalleryProblem(name, "σyy", mesh, element, 210e9, 0.3, plane, loads, held, measure, reference, vertex)


def _move_problem(name, quantity, mesh, element, material, plane, loads, place, component, reference):
    vertex = _near(mesh, place)
    dof = mesh.dim() * vertex + component
    nothing = np.empty(0, dtype=np.int64)

    def measure(u):
        return float(u[dof])

    return GalleryProblem(name, quantity, mesh, element, *material, plane, loads, nothing, measure, reference, vertex)


@checked(n="[1, inf)")
def plane_membrane(n: int, element: skfem.Element) -> GalleryProblem:
    """Cook's tapered membrane in plane stress, clamped and sheared; its end moves by 23.96.

    ``n`` cells along each side, an even number.

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import plane_membrane
    >>> plane_membrane(4, skfem.ElementQuad1()).reference
    23.96
    """

    def move(x):
        low, high = 44.0 * x[0], 44.0 + 16.0 * x[0]
        return np.stack([48.0 * x[0], low + (high - low) * x[1]])

    mesh = _named(_grid(n, n), False, move, {"wall": lambda x: x[0] == 0.0, "end": lambda x: x[0] == 1.0})
    loads = Loads(mesh, element).fix("wall").resultant("end", [0.0, 1.0])
    material = 1.0, 1.0 / 3.0
    return _move_problem("Cook's membrane", "tip", mesh, element, material, "stress", loads, (48.0, 52.0), 1, 23.96)


@checked(n="[1, inf)", poisson="(-1, 0.5)")
def thick_cylinder(n: int, element: skfem.Element, curved: bool = True, poisson: float = 0.3) -> GalleryProblem:
    """Lamé's thick cylinder of radii 1 and 2 under internal pressure, a quarter of it in plane strain.

    ``n`` cells through the wall and ``2 n`` around.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.validation import thick_cylinder
    >>> problem = thick_cylinder(4, skfem.ElementQuad2())
    >>> found, points = problem.solve(femnn.GaussLegendre(3))
    >>> round(float(found / problem.reference), 3)
    1.0
    """

    def move(x):
        radius, angle = 1.0 + x[0], 0.5 * np.pi * x[1]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)])

    places = {"inner": lambda x: x[0] == 0.0, "bottom": lambda x: x[1] == 0.0, "side": lambda x: x[1] == 1.0}
    mesh = _named(_grid(n, 2 * n), curved, move, places)
    loads = Loads(mesh, element).pressure("inner", 1e6).displace("bottom", 1, 0.0).displace("side", 0, 0.0)
    reference = 1e6 / 210e9 * (1.0 + poisson) / 3.0 * ((1.0 - 2.0 * poisson) + 4.0)
    material = 210e9, poisson
    return _move_problem("Thick cylinder", "u(a)", mesh, element, material, "strain", loads, (1.0, 0.0), 0, reference)


@checked(n="[1, inf)", poisson="(-1, 0.5)")
def thick_sphere(n: int, element: skfem.Element, curved: bool = True, poisson: float = 0.3) -> GalleryProblem:
    """Lamé's thick sphere of radii 1 and 2 under internal pressure, an eighth of it: its inner radius grows.

    ``n`` cells through the wall, and three patches of ``n`` by ``n`` around.

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import thick_sphere
    >>> thick_sphere(2, skfem.ElementHex1(), curved=False).mesh.nelements
    24
    """
    block = _grid(n, n, n)
    s, t, way = block.p
    # three pieces between cubes of sides one and two, which the map makes round
    face = np.stack([np.ones_like(s), s, t]) * (1.0 + way)
    shell = skfem.MeshHex(face, block.t)
    for turn in (1, 2):
        shell = shell + skfem.MeshHex(np.roll(face, turn, axis=0), block.t)

    def move(x):
        return x * np.abs(x).max(axis=0) / np.linalg.norm(x, axis=0)

    places = {
        "inner": lambda x: np.abs(np.abs(x).max(axis=0) - 1.0) < _SAME,
        **{f"plane {i}": partial(_near_zero, axis=i) for i in range(3)},
    }
    mesh = _named(shell, curved, move, places)
    loads = Loads(mesh, element).pressure("inner", 1e6)
    for i in range(3):
        loads.displace(f"plane {i}", i, 0.0)
    reference = 1e6 / (210e9 * 7.0) * ((1.0 - 2.0 * poisson) + 4.0 * (1.0 + poisson))
    material = 210e9, poisson
    return _move_problem(
        "Thick sphere", "u(a)", mesh, element, material, "strain", loads, (1.0, 0.0, 0.0), 0, reference
    )


def gallery_problems() -> list[GalleryProblem]:
    """The problems of the page, each on two or three kinds of cells and elements.

    Examples
    --------
    >>> from femnn.validation import gallery_problems
    >>> sorted({problem.name for problem in gallery_problems()})[:2]
    ["Cook's membrane", 'NAFEMS LE1, elliptic membrane']
    """
    linear, serendipity, quadratic = skfem.ElementQuad1(), skfem.ElementQuadS2(), skfem.ElementQuad2()
    return [
        elliptic_membrane(64, linear, curved=False),
        elliptic_membrane(16, serendipity),
        elliptic_membrane(16, quadratic),
        plane_membrane(64, linear),
        plane_membrane(16, serendipity),
        plane_membrane(16, quadratic),
        thick_cylinder(32, linear, curved=False),
        thick_cylinder(4, serendipity),
        thick_cylinder(4, quadratic),
        thick_plate(8, skfem.ElementHexS2()),
        thick_plate(8, skfem.ElementHex2()),
        thick_sphere(3, skfem.ElementHexS2()),
        thick_sphere(3, skfem.ElementHex2()),
    ]
