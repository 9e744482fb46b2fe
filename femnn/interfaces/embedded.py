"""Embedded strong discontinuities: cracks through elements, whose jumps are condensed out of each element.

In a cut element u = Σ N_a d_a + Σ_k ξ_k (H r_k − Σ_{a∈Ω⁺} N_a r_k(x_a)) with the Heaviside function H of the crack and
rigid motions r_k of the part Ω⁺ behind it: translations, and rotations about the middle of the crack. The bulk then has
the strain B (d − R ξ), with r_k(x_a) in R where a vertex is in Ω⁺: halves that move apart like rigid bodies have no
strain (assumed enhanced strain: J. C. Simo, J. Oliver, F. Armero, Comput. Mech. 12 (1993) 277-296; linear jumps:
C. Linder, F. Armero, Int. J. Numer. Meth. Engng 72 (2007) 1391-1433). Tractions are those of the bulk's stresses,

    ∫_Γ r_k·t dΓ = (|Γ|/|Ω|) ∫_Ω g_k (σ n)·e_k dΩ,

with linear functions g_k such that the right side is ∫_Γ r_k·σ n dΓ for all linear stresses: the statically and
kinematically optimal, nonsymmetric formulation (M. Jirásek, CMAME 188 (2000) 307-330). ξ is found in each element by a
local Newton method, and condensed: the global unknowns are those of the mesh without cracks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from skfem.helpers import sym_grad
from skfem.models.elasticity import linear_elasticity, linear_stress

from femnn.checks import brief, checked, instance, one_of, shaped, vector
from femnn.cohesive.law import Law, State
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.geometry.mesh import RelativeMapping
from femnn.integration.lame import lame_parameters
from femnn.interfaces.elements import SparseSum
from femnn.interfaces.embedded_crack import EmbeddedCrack
from femnn.interfaces.frames import frames_of
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, iterate

MODES = ("constant", "linear")

# Local residual over the forces it is the difference of: good, and good enough where rounding stops it.
_ENOUGH, _STAGNANT = 1e-13, 1e-9

_MOST_ITERATIONS, _MOST_LENGTHS = 60, 8


class EmbeddedElements:
    """Cut elements with their jumps, in scikit-fem's numbering of ``ElementVector(ElementQuad1())`` or ``ElementHex1``.

    Parameters
    ----------
    crack : EmbeddedCrack
    young, poisson
        Of the elastic body, numbers or (nelements,); plane strain in two dimensions.
    modes
        ``"constant"``: the faces of a cut element move apart in parallel; ``"linear"``: they may turn, too, unless the
        crack cuts off hardly a vertex.

    Attributes
    ----------
    dofs : (n, k·dim) int
    x, dx
        Integration points and their areas, (n, nqp, dim) and (n, nqp).
    frame : (3, dim)
        Normal from minus to plus and shear directions; in two dimensions the last is zero.

    Examples
    --------
    >>> import skfem
    >>> from femnn.interfaces import EmbeddedCrack, EmbeddedElements
    >>> crack = EmbeddedCrack.line(skfem.MeshQuad().refined(3), start=(-0.1, 0.31), end=(1.1, 0.73))
    >>> elements = EmbeddedElements(crack, young=30e9, poisson=0.2)
    >>> elements.separation(elements.initial_jumps()).shape == (elements.points, 3)
    True
    """

    @checked()
    def __init__(self, crack: EmbeddedCrack, young: ArrayLike, poisson: ArrayLike, modes: str = "linear") -> None:
        self.crack, self.modes = crack, one_of("modes", modes, MODES)
        mesh = crack.mesh
        self.dim, self.ndof = mesh.dim(), mesh.dim() * mesh.nvertices
        self.x, self.dx = crack.x, crack.dx
        self.frame = frames_of(crack.normal)
        basis = elastic_basis(mesh, crack.elements)
        self.dofs = np.ascontiguousarray(basis.element_dofs.T)
        strain = np.array([sym_grad(values) for (values,) in basis.basis])
        stress_of = linear_stress(*(values[crack.elements] for values in _lame(young, poisson, mesh.nelements)))
        stress = np.array([stress_of(values) for values in strain])
        self._stiffness = np.einsum("jabnq,iabnq,nq->nij", stress, strain, basis.dx)
        self._kept = self._independent()
        self._jumps = self._faces()
        self._moved = self._behind()
        self._pull = self._traction_of_stress(stress, basis)
        # jumps that an element does not have stay zero
        self._release = self._pull @ self._moved + np.eye(self._moved.shape[2]) - self._kept

    @property
    def points(self) -> int:
        """Number of integration points: states of laws have this length."""
        return self.dx.size

    @property
    def moved(self) -> np.ndarray:
        """R: motions of the vertices of the plus side, (n, k·dim, m)."""
        return self._moved

    @property
    def faces(self) -> np.ndarray:
        """Separation in the frame at the points by each jump, (n, nqp, 3, m)."""
        return self._jumps

    def coupled(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What ξ takes off the force of the body (n, k·dim, m), and the traction on the crack: of displacements
        (n, m, k·dim), and what ξ takes off it (n, m, m)."""
        return self._stiffness @ self._moved, self._pull, self._release

    def initial_jumps(self) -> np.ndarray:
        """ξ of a closed crack, (n, m)."""
        return np.zeros((len(self.crack), self._moved.shape[2]))

    @checked()
    def separation(self, jumps: np.ndarray) -> np.ndarray:
        """Separation (points, 3) in the frame, element by element, for ξ (n, m)."""
        jumps = shaped("jumps", jumps, self.initial_jumps().shape)
        return np.einsum("nqjm,nm->nqj", self._jumps, jumps).reshape(-1, 3)

    @checked()
    def condense(self, u: np.ndarray, law: Law, jumps: np.ndarray, state: State) -> tuple:
        """Jumps in equilibrium with the displacements ``u`` (ndof,), from the last ones.

        Returns
        -------
        ξ (n, m), the law's Response, and the local tangents (n, m, m).

        Raises
        ------
        ConvergenceError
            If the local Newton method of an element finds none.
        """
        u, jumps = vector(u, self.ndof, "the displacement"), shaped("jumps", jumps, self.initial_jumps().shape)
        pull = np.einsum("nmj,nj->nm", self._pull, u[self.dofs])

        def iterate_at(jumps):
            out, response = self._out_of_balance(law, jumps, state, pull)
            return Iterate(jumps, out, response, np.linalg.norm(out, axis=1), self._size(response, jumps, pull))

        def is_solved(_, errors):
            if (errors[-1] <= _ENOUGH).all():
                return True
            if len(errors) > _MOST_ITERATIONS:
                return (errors[-1] <= _STAGNANT).all()
            if len(errors) == 1 or (np.maximum(errors[-1], errors[-2]) > _STAGNANT).any():
                return False
            return (errors[-1] >= 0.5 * errors[-2])[errors[-2] > _ENOUGH].all()

        def advance(point, errors):
            active = errors[-1] > _ENOUGH
            out = point.residual * active[:, None]
            step = -np.linalg.solve(self._tangent(point.response), out[:, :, None])[:, :, 0]
            return search(
                lambda length: iterate_at(point.x + length[:, None] * step),
                lambda tried: (tried.norm < point.norm) | (errors[-1] <= _STAGNANT),
                most=_MOST_LENGTHS,
                shape=active.shape,
            )

        try:
            point, _ = iterate(iterate_at(jumps), is_solved, advance, _MOST_ITERATIONS)
        except Diverged as cause:
            errors = cause.residuals[-1]
            worst = int(errors.argmax())
            raise ConvergenceError(
                f"the crack in element {self.crack.elements[worst]} finds no equilibrium: {errors[worst]:.1e} of its "
                "forces is left; take smaller steps, or smaller elements if its law softens faster than they unload",
                u,
                errors,
            ) from cause
        return point.x, point.response, self._tangent(point.response)

    @checked()
    def force(self, jumps: np.ndarray) -> np.ndarray:
        """Force (ndof,) that ξ takes off that of the uncut body, negative."""
        jumps = shaped("jumps", jumps, self.initial_jumps().shape)
        relieved = -np.einsum("nij,njm,nm->ni", self._stiffness, self._moved, jumps)
        return np.bincount(self.dofs.ravel(), relieved.ravel(), minlength=self.ndof)

    @checked()
    def blocks(self, tangent: np.ndarray) -> np.ndarray:
        """Stiffness (n, k·dim, k·dim) that ξ takes off, negative, condensed with the local tangents (n, m, m)."""
        n, modes = self.initial_jumps().shape
        tangent = shaped("the tangent", tangent, (n, modes, modes))
        return -self._stiffness @ self._moved @ np.linalg.solve(tangent, self._pull)

    def _out_of_balance(self, law, jumps, state, pull):
        response = law.update(self.separation(jumps), state)
        borne = np.einsum("nqjm,nqj,nq->nm", self._jumps, response.traction.reshape(*self.dx.shape, 3), self.dx)
        return borne - pull + np.einsum("nmk,nk->nm", self._release, jumps), response

    def _size(self, response, jumps, pull):
        released = np.einsum("nmk,nk->nm", np.abs(self._release), np.abs(jumps))
        borne = np.abs(response.traction).reshape(*self.dx.shape, 3)
        borne = np.einsum("nqjm,nqj,nq->nm", np.abs(self._jumps), borne, self.dx)
        return np.linalg.norm(released + borne + np.abs(pull), axis=1) + np.finfo(float).tiny

    def _tangent(self, response):
        of_law = response.tangent.reshape(*self.dx.shape, 3, 3)
        return np.einsum("nqim,nqij,nqjk,nq->nmk", self._jumps, of_law, self._jumps, self.dx) + self._release

    def _motions(self, x):
        """Motions (n, p, dim, m) of the plus side at places (n, p, dim): translations along the frame, rotations."""
        frame = self.frame[: self.dim]
        motions = [np.broadcast_to(axis, x.shape) for axis in frame]
        if self.modes == "linear":
            # of unit size at the ends of the crack
            away = (x - self.crack.centre[:, None]) / self._radius()[:, None, None]
            place = away @ frame.T
            for i in range(self.dim):
                for j in range(i + 1, self.dim):
                    motions.append(place[..., j, None] * frame[i] - place[..., i, None] * frame[j])
        return np.einsum("npim,nmk->npik", np.stack(motions, axis=-1), self._kept)

    def _independent(self):
        """Projections (n, m, m) to the motions that are more than one and the same of the vertices on one side.

        A single vertex does not feel rotations, two do not feel that about their edge.
        """
        dim, plus = self.dim, self.crack.plus
        rotations = 0 if self.modes == "constant" else dim * (dim - 1) // 2
        kept = np.tile(np.eye(dim + rotations), (len(plus), 1, 1))
        if not rotations:
            return kept
        fewer = np.where((2 * plus.sum(axis=1) <= plus.shape[1])[:, None], plus, ~plus)
        kept[fewer.sum(axis=1) == 1, dim:, dim:] = 0.0
        vertices = self.crack.mesh.p[:, self.crack.mesh.t[:, self.crack.elements]].transpose(2, 1, 0)
        for element in np.flatnonzero((fewer.sum(axis=1) == 2) & (dim == 3)):
            edge = self.frame @ np.diff(vertices[element, fewer[element]], axis=0)[0]
            # the rotation about it, in the order of `_motions`
            about = np.array([-edge[2], edge[1], -edge[0]]) / np.linalg.norm(edge)
            kept[element, dim:, dim:] -= np.outer(about, about)
        return kept

    def _radius(self):
        away = np.linalg.norm(self.crack.x - self.crack.centre[:, None], axis=2) ** 2
        return np.sqrt(3.0 * (away * self.dx).sum(axis=1) / self.dx.sum(axis=1))

    def _faces(self):
        """Separation (n, nqp, 3, m) in the frame of each motion."""
        return np.einsum("ji,nqim->nqjm", self.frame, self._motions(self.crack.x))

    def _behind(self):
        """R: motions of the vertices of the plus side, (n, k·dim, m)."""
        vertices = self.crack.mesh.p[:, self.crack.mesh.t[:, self.crack.elements]].transpose(2, 1, 0)
        moved = self._motions(vertices) * self.crack.plus[:, :, None, None]
        return moved.reshape(len(self.crack), -1, moved.shape[3])

    def _traction_of_stress(self, stress, basis):
        """Matrix (n, m, k·dim) from displacements to ∫_Γ r_k·σ n dΓ, of stresses made linear."""
        crack = self.crack
        x = np.asarray(basis.global_coordinates()).transpose(1, 2, 0)
        away = [(place - crack.centre[:, None]) / self._radius()[:, None, None] for place in (x, crack.x)]
        linear, on_crack = (np.concatenate([np.ones((*place.shape[:2], 1)), place], axis=2) for place in away)
        moments = np.einsum("nqa,nqb,nq->nab", linear, linear, basis.dx)
        # ∫_Γ r_km p dΓ for the linear functions p, by motion and component
        wanted = np.einsum("nqa,nqim,nq->naim", on_crack, self._motions(crack.x), self.dx)
        shape = wanted.shape
        weights = np.linalg.solve(moments, wanted.reshape(*shape[:2], -1)).reshape(shape)
        traction = np.einsum("jabnq,b->janq", stress, crack.normal)
        return np.einsum("nqa,naim,jinq,nq->nmj", linear, weights, traction, basis.dx)


class EmbeddedProblem:
    """An elastic body with embedded cracks, for :func:`femnn.newton` and :func:`femnn.arc_length`.

    Parameters
    ----------
    cracks
        List of (elements, law): :class:`EmbeddedElements` with the law that holds there. No element has two cracks.
    young, poisson
        As for the elements.

    Attributes
    ----------
    states : list of State
        Accepted history, one for each crack.
    jumps : list of (n, m)
        Accepted ξ.
    tractions : list of (points, 3)
        Of the law, in the accepted state, Pa.

    Examples
    --------
    A square is pulled apart along a crack that it was not meshed for:

    >>> import femnn, numpy as np, skfem
    >>> from femnn.interfaces import EmbeddedCrack, EmbeddedElements, EmbeddedProblem
    >>> mesh = skfem.MeshQuad().refined(2)
    >>> crack = EmbeddedCrack.line(mesh, start=(-0.1, 0.4), end=(1.1, 0.4))
    >>> law = femnn.BilinearCohesive(1e6, 1e6, 100.0, 100.0)
    >>> problem = EmbeddedProblem([(EmbeddedElements(crack, 30e9, 0.2), law)], 30e9, 0.2)
    >>> low, high = (2 * (mesh.p[1] == y).nonzero()[0][:, None] + [0, 1] for y in (0.0, 1.0))
    >>> held, values = np.concatenate([low.ravel(), high.ravel()]), np.zeros(4 * 5)
    >>> values[11::2] = 1e-5
    >>> path = femnn.newton(problem, np.zeros(2 * mesh.nvertices), held, values, steps=1, progress=False)
    >>> bool(problem.separations()[0][:, 0].min() > 0.0)
    True
    """

    @checked()
    def __init__(self, cracks: Sequence[tuple[EmbeddedElements, Law]], young: ArrayLike, poisson: ArrayLike) -> None:
        if isinstance(cracks, np.ndarray) or not cracks:
            raise ParameterError("an embedded problem needs at least one (elements, law)")
        for pair in cracks:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise ParameterError(f"{brief(pair)} among the cracks is no pair; pass (elements, law)")
            instance("elements of a crack", pair[0], EmbeddedElements)
            instance("law of a crack", pair[1], Law)
        self.cracks = list(cracks)
        mesh = self.cracks[0][0].crack.mesh
        if any(elements.crack.mesh is not mesh for elements, _ in self.cracks):
            raise ParameterError("the cracks are in different meshes; make all of them in one")
        cut, count = np.unique(np.concatenate([one.crack.elements for one, _ in self.cracks]), return_counts=True)
        if (count > 1).any():
            raise ParameterError(
                f"{(count > 1).sum()} elements are cut by two cracks, the first of them {cut[count > 1][0]}; refine "
                "the mesh, or move a crack"
            )
        self.stiffness = elastic_stiffness(mesh, young, poisson)
        self._sum = SparseSum(self.stiffness, [elements for elements, _ in self.cracks])
        self.states = [law.initial_state(elements.points) for elements, law in self.cracks]
        self.jumps = [elements.initial_jumps() for elements, _ in self.cracks]
        self.tractions = [
            law.update(elements.separation(jumps), state).traction
            for (elements, law), jumps, state in zip(self.cracks, self.jumps, self.states, strict=True)
        ]
        self._tried: list | None = None

    @checked()
    def residual_and_tangent(self, u: np.ndarray) -> tuple[np.ndarray, csr_matrix]:
        """Internal force (n,) and tangent (n, n) at displacements (n,), reached from the accepted states."""
        u = vector(u, self.stiffness.shape[0], "the displacement")
        force, blocks = self.stiffness @ u, []
        tried = []
        for (elements, law), jumps, state in zip(self.cracks, self.jumps, self.states, strict=True):
            jumps, response, tangent = elements.condense(u, law, jumps, state)
            force += elements.force(jumps)
            blocks.append(elements.blocks(tangent))
            tried.append((jumps, response))
        self._tried = tried
        return force, self._sum.plus(blocks)

    @checked()
    def internal_force(self, u: np.ndarray) -> np.ndarray:
        """The force alone."""
        u = vector(u, self.stiffness.shape[0], "the displacement")
        force = self.stiffness @ u
        for (elements, law), jumps, state in zip(self.cracks, self.jumps, self.states, strict=True):
            force += elements.force(elements.condense(u, law, jumps, state)[0])
        return force

    def commit(self) -> None:
        """Accept the states of the last evaluation by :meth:`residual_and_tangent`."""
        if self._tried is not None:
            self.jumps = [jumps for jumps, _ in self._tried]
            self.states = [response.state for _, response in self._tried]
            self.tractions = [response.traction for _, response in self._tried]
            self._tried = None

    def rollback(self) -> None:
        """Forget what was tried since the last commit."""
        self._tried = None

    def separations(self) -> list[np.ndarray]:
        """Separation (points, 3) of each crack in the accepted state."""
        return [elements.separation(jumps) for (elements, _), jumps in zip(self.cracks, self.jumps, strict=True)]


def elastic_basis(mesh: Any, elements: np.ndarray | None = None) -> skfem.CellBasis:
    """Vectorial linear elements with two Gauss points per axis."""
    element = skfem.ElementQuad1() if mesh.dim() == 2 else skfem.ElementHex1()
    vectors = skfem.ElementVector(element)
    return skfem.Basis(mesh, vectors, mapping=RelativeMapping(mesh), intorder=3, elements=elements)


@checked()
def elastic_stiffness(mesh: Any, young: ArrayLike, poisson: ArrayLike) -> csr_matrix:
    """Matrix of the uncut elastic body, plane strain in two dimensions.

    Examples
    --------
    >>> import skfem
    >>> from femnn.interfaces import elastic_stiffness
    >>> elastic_stiffness(skfem.MeshQuad().refined(2), young=30e9, poisson=0.2).shape
    (50, 50)
    """
    instance("mesh", mesh, skfem.MeshQuad1, skfem.MeshHex1)
    return csr_matrix(linear_elasticity(*_lame(young, poisson, mesh.nelements)).assemble(elastic_basis(mesh)))


def _lame(young, poisson, n):
    """Lamé's λ and μ, numbers or one for each element (n, 1)."""
    for name, values in (("young", young), ("poisson", poisson)):
        if np.shape(values) not in ((), (n,)):
            raise ParameterError(f"{name} has shape {np.shape(values)}; give one number, or ({n},) for the elements")
    return [np.broadcast_to(values, n)[:, None] for values in lame_parameters(young, poisson)]
