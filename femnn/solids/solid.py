"""A solid with constitutive laws at its integration points: internal forces, tangents and a state to roll back."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficient, Coefficients
from femnn.assembly.discretisation import Discretisation, dofs_of_boundaries, scalar_element
from femnn.assembly.formulations.choice import ONE_POINT, require_formulation
from femnn.assembly.groups import check_rule
from femnn.assembly.pattern import Pattern
from femnn.assembly.plane import require_plane
from femnn.checks import brief, called, checked, floats, instance, number, vector
from femnn.exceptions import ParameterError, StateError
from femnn.quadrature.fixed import FixedGroups
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import CellGroup, Rule
from femnn.solids.laws import ConstitutiveLaw, check_law
from femnn.solids.plane_stress import PlaneStress
from femnn.solids.region import Region, restricted
from femnn.solvers.nonlinear.load_path import NonlinearProblem

# Elements that errors name.
_NAMED = 5


class Solid(NonlinearProblem):
    """A body of one or several materials, ready for :func:`femnn.newton`.

    Parameters
    ----------
    mesh, rule, element, on_folded, pattern
        As in :func:`femnn.assemble_elasticity`: any rule, adaptive ones too.
    formulation
        ``"standard"``, or one that bends or does not lock, as in :func:`femnn.assemble_elasticity`, see the notes.
    plane
        ``"strain"`` or, for quadrilaterals of unit thickness, ``"stress"``, see :class:`femnn.solids.PlaneStress`.
    law
        A :class:`femnn.PointLaw`, which is compiled into the assembly, or any object that keeps
        :class:`femnn.ConstitutiveLaw`: it is called once for each group of the rule with all points of the group. For
        several materials a dict of laws by the names of subdomains, ``mesh.with_subdomains(...)``, which cover the mesh
        and do not overlap; small and finite strains may go together.

    Attributes
    ----------
    points
        The mesh, which tells the solvers where the degrees of freedom are.
    law
        As it was passed.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError, MemoryError

    Notes
    -----
    A body of several materials has groups of its own: those of the rule, cut into the parts of each material, one
    material after another; ``solid.rule`` gives them to :func:`femnn.recover` and the others.

    *Mean dilatation* gives the law strains whose dilatation is the element's mean: ε + (θ̄ - θ)/3, or with finite
    strains (J̄/J)^{1/3} F with J̄ the ratio of the element's volumes. Both derive from an energy where the law has one;
    their tangents are consistent, and symmetric for such laws (J. C. Simo, R. L. Taylor, K. S. Pister, CMAME 51 (1985)
    177-208; E. A. de Souza Neto et al., IJSS 33 (1996) 3277-3296 take J at the centre, which makes them unsymmetric).

    *Incompatible modes* are brought to equilibrium in each element at every evaluation, so that forces depend on
    displacements and committed state alone; it takes a :class:`femnn.PointLaw`. With finite strains the elements may
    buckle by themselves under strong compression (P. Wriggers, S. Reese, CMAME 135 (1996) 201-209).

    *Stabilised* and *learned* elements evaluate the law once, at their mean strain; ``rule`` is then not used. Their
    twists have the stiffness of the virgin law, so that bodies of one plastic element across the thickness are too
    stiff in bending once they yield: two or more show it.

    *Quadrilaterals* in plane strain give the law strains of three dimensions, those out of the plane zero, and what it
    answers out of the plane is a stress but no force. In plane stress :meth:`strains` has those of the plane alone;
    what the sheet is strained out of it stands at the end of its state. They have mean dilatation, in plane strain, and
    four incompatible modes, which iterate in each element like those of hexahedra; curved cells with linear shape
    functions have mean dilatation.

    Examples
    --------
    >>> import femnn
    >>> halves = {"steel": lambda x: x[0] < 0.5, "rubber": lambda x: x[0] > 0.5}
    >>> mesh = skfem.MeshHex().refined(2).with_subdomains(halves)
    >>> laws = {"steel": femnn.LinearElastic(210e9, 0.3), "rubber": femnn.NeoHooke(2e6, 0.45)}
    >>> solid = Solid(mesh, femnn.GaussLegendre(2), laws)
    >>> [len(group.cells) for group in solid.groups]
    [32, 32]
    """

    def __init__(
        self,
        mesh: skfem.Mesh,
        rule: Rule,
        law: ConstitutiveLaw | Mapping[str, ConstitutiveLaw],
        *,
        formulation: str = "standard",
        plane: str = "strain",
        element: skfem.Element | None = None,
        on_folded: str = "raise",
        pattern: Pattern | None = None,
    ) -> None:
        instance("mesh", mesh, skfem.Mesh, remedy="a mesh of scikit-fem; femnn.read_mesh(path) reads one")
        laws = law if isinstance(law, Mapping) else {"": law}
        for own in laws.values():
            check_law(own)
        self.law, self.points, self._element = law, mesh, scalar_element(element, mesh)
        if require_plane(plane, int(mesh.dim())) == "stress":
            laws = {name: own if isinstance(own, PlaneStress) else PlaneStress(own) for name, own in laws.items()}
        self.formulation = require_formulation(formulation, element)
        if formulation in ONE_POINT:
            check_rule(rule)
            rule = GaussLegendre(1)
        self._temperature: Coefficients | None = None
        self._history: Callable[[float], float] | None = None
        whole = Discretisation.of(mesh, rule, element, on_folded, pattern)
        if not isinstance(law, Mapping):
            self.discretisation, self.rule = whole, rule
            self._regions = {"": Region(laws[""], whole, formulation, plane)}
            return
        cells = _cells_of_regions(mesh, laws)
        integrated = np.concatenate([group.cells for group in whole.groups])
        chosen = {name: np.intersect1d(own, integrated) for name, own in cells.items()}
        self._regions = {
            name: Region(laws[name], restricted(whole, own), formulation, plane)
            for name, own in chosen.items()
            if len(own)
        }
        groups = [group for region in self._regions.values() for group in region.discretisation.groups]
        self.discretisation = whole.with_groups(groups)
        self.rule = FixedGroups(groups)

    @property
    def n_dofs(self) -> int:
        """Degrees of freedom: one per node and dimension, numbered like those of ``skfem.ElementVector(element)``."""
        return self.discretisation.dim * self.discretisation.pattern.n_nodes

    @cached_property
    def boundaries(self) -> dict[str, np.ndarray]:
        """Degrees of freedom (k,) of every named boundary of the mesh."""
        return dofs_of_boundaries(self.points, self._element)

    @property
    def groups(self) -> list[CellGroup]:
        """The groups of the rule; ``groups[i].cells`` are the elements of ``states[i]``."""
        return self.discretisation.groups

    @property
    def states(self) -> list[np.ndarray]:
        """The committed state: a copy (m, nqp, ...) for each group."""
        return self._per_group(lambda region: region.state.reshape(len(region.state), *region.shape).copy())

    @checked(states="any")
    def restore(self, states: Sequence[ArrayLike]) -> None:
        """Make ``states``, as :attr:`states` gave them, the committed state.

        Raises
        ------
        StateError
            If they are those of another mesh, rule or law; nothing is changed then.
        """
        arrays = [floats("a state", state, finite=False) for state in states]
        shapes, expected = [array.shape for array in arrays], [state.shape for state in self.states]
        if shapes != expected:
            raise StateError(f"the states have the shapes {shapes}, this solid {expected}; restore what it gave itself")
        for region in self._regions.values():
            own, arrays = arrays[: len(region.discretisation.groups)], arrays[len(region.discretisation.groups) :]
            flat = [array.reshape(array.shape[0] * array.shape[1], -1) for array in own]
            region.restore(np.ascontiguousarray(np.concatenate(flat).reshape(region.state.shape)))

    @checked(temperature="unchecked", history="unchecked")
    def set_temperature(self, temperature: Coefficient, history: Callable[[float], float] | None = None) -> None:
        """Change of temperature (K) since the state without stress, which laws with an ``expansion`` turn into strain.

        Parameters
        ----------
        temperature
            A number, an array (n_elements,), a list with an array (m, nqp) for each of :attr:`groups`, or a function
            of the points x (3, m, nqp).
        history
            A function of t that it is multiplied by; t is that of :func:`femnn.newton`. None for a temperature that is
            there from now on.

        Raises
        ------
        ParameterError
            If it fits neither elements nor points, or no law of the body expands.
        """
        if not any("temperature" in region.conditions for region in self._regions.values()):
            raise ParameterError(
                "no law of this solid depends on the temperature; give one an expansion, or the condition 'temperature'"
            )
        if history is not None and not callable(history):
            raise ParameterError(f"history={brief(history)} is no function of t; pass one, or None")
        values = Coefficients.of(temperature, (), self.discretisation, "temperature")
        self._temperature, self._history = values, history
        if history is None:
            self._heat(1.0)

    def set_time(self, t: float) -> None:
        """Take note of the time (s) of the next evaluation; :func:`femnn.newton` calls it with the t of each step."""
        t = number("t", t)
        own = Coefficients(np.array([[t]]), np.zeros(len(self.discretisation.hexahedra), dtype=np.int64), 0)
        for region in self._regions.values():
            region.set_condition("time", own)
        if self._history is not None:
            self._heat(number("the history of the temperature", called("history", self._history, t)))

    @property
    def depends_on_time(self) -> bool:
        """Whether a law has time, or the temperature a history."""
        return self._history is not None or any("time" in region.conditions for region in self._regions.values())

    def strains(self, u: ArrayLike) -> list[np.ndarray]:
        """Strains (m, nqp, 6) or displacement gradients (m, nqp, 3, 3) at displacement ``u``, for each group."""
        u = self._displacement(u)
        return self._per_group(lambda region: _tensors(region.strains(u)))

    def stresses(self, u: ArrayLike) -> list[np.ndarray]:
        """Stresses at displacement ``u`` from the committed state, for each group; nothing changes."""
        u = self._displacement(u)
        return self._per_group(lambda region: _tensors(region.stresses(u)))

    def fields(self, u: ArrayLike) -> dict[str, list[np.ndarray]]:
        """Cauchy ``"stress"`` (m, nqp, 6) at ``u`` and committed ``"state"`` (m, nqp, s), for each group.

        What :func:`femnn.recover` carries to the nodes with :attr:`rule`, and :func:`femnn.save_fields` writes.
        """
        stress = [_cauchy(*pair) for pair in zip(self.strains(u), self.stresses(u), strict=True)]
        return {"stress": stress, "state": [state.reshape(*state.shape[:2], -1) for state in self.states]}

    def residual_and_tangent(self, u: ArrayLike) -> tuple[np.ndarray, csr_matrix]:
        """Internal force (n_dofs,) and tangent (csr_matrix) at displacement ``u``, from the committed state.

        Raises
        ------
        LawError
            If stress, tangent or state are not finite somewhere; the committed state is that of before.
        """
        return self._evaluated(u, wanted=True)

    def internal_force(self, u: ArrayLike) -> np.ndarray:
        """Internal force (n_dofs,) alone, as :meth:`residual_and_tangent`."""
        return self._evaluated(u, wanted=False)[0]

    def commit(self) -> None:
        """Make the state of the last evaluation the committed one."""
        for region in self._regions.values():
            region.commit()

    def rollback(self) -> None:
        """Forget the last evaluation."""
        for region in self._regions.values():
            region.trial = None

    def _evaluated(self, u, wanted):
        self.rollback()
        u = self._displacement(u)
        first, *others = self._regions.values()
        try:
            force, matrix = first.evaluate(u, wanted)
            for region in others:
                added, own = region.evaluate(u, wanted)
                force += added
                if wanted:
                    matrix.data += own.data
        except BaseException:
            # the trial states of those before are nothing to commit
            self.rollback()
            raise
        return force, matrix

    def _per_group(self, values):
        """What a function gives for the regions, (total, ...), as one view (m, nqp, ...) for each group."""
        views = []
        for region in self._regions.values():
            d = region.discretisation
            views += d.points.per_group(values(region), d.groups)
        return views

    def _heat(self, factor):
        values, first = self._temperature, 0
        scaled = values._replace(values=factor * values.values)
        for region in self._regions.values():
            own, total = scaled, region.discretisation.points.total
            if values.step:
                # rows of this region's points, which follow those of the regions before
                own = Coefficients(scaled.values[first : first + total], region.discretisation.points.rows, 1)
            region.set_condition("temperature", own)
            first += total

    def _displacement(self, u):
        return vector(u, self.n_dofs, "the displacement")


def _cauchy(strain, stress):
    """σ (m, nqp, 6) of stresses and strains at points: σ itself, or P Fᵀ/J."""
    if stress.ndim == 3:
        return stress
    deformation = strain + np.eye(3)
    full = np.einsum("eqij,eqkj->eqik", stress, deformation) / np.linalg.det(deformation)[..., None, None]
    return np.stack([full[..., i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))], axis=-1)


def _tensors(values):
    return values if values.shape[1] == 6 else values.reshape(-1, 3, 3)


def _cells_of_regions(mesh, laws):
    """Elements of every region; ParameterError unless they cover the mesh once."""
    names = mesh.subdomains or {}
    known = ", ".join(map(repr, sorted(names))) or "none"
    if not laws:
        raise ParameterError(f"there are no laws; pass one for each subdomain of the mesh: {known}")
    for name in laws:
        if not isinstance(name, str) or name not in names:
            raise ParameterError(
                f"the mesh has no subdomain {brief(name)}; there are: {known}. mesh.with_subdomains(...) names more"
            )
    cells = {name: np.unique(np.asarray(names[name])) for name in laws}
    count, first = np.zeros(mesh.nelements, dtype=int), {}
    for name, own in cells.items():
        again = own[count[own] > 0]
        if len(again):
            other = next(earlier for earlier in first if np.isin(again, first[earlier]).any())
            raise ParameterError(
                f"the regions {other!r} and {name!r} overlap: {np.isin(again, first[other]).sum()} elements are in "
                f"both, such as {again[:_NAMED].tolist()}; let each element have one law"
            )
        count[own] += 1
        first[name] = own
    left = np.flatnonzero(count == 0)
    if len(left):
        raise ParameterError(
            f"the regions {', '.join(map(repr, laws))} leave {len(left)} of {mesh.nelements} elements without a law, "
            f"such as {left[:_NAMED].tolist()}; give a law for each of the subdomains: {known}"
        )
    return cells
