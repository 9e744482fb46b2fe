"""Nonlinear problems made of scikit-fem's forms, which can be evaluated on chosen cells alone."""

import copy
from collections.abc import Mapping

import numpy as np
import skfem
from scipy.sparse import csr_array

from femnn.assembly.bases import bases
from femnn.checks import checked, instance, number, vector
from femnn.exceptions import ParameterError
from femnn.quadrature.rule import CellGroup, Rule
from femnn.solvers.nonlinear.load_path import NonlinearProblem


class FormProblem(NonlinearProblem):
    """Internal forces and tangents of scikit-fem's forms, ready for :func:`femnn.newton`.

    Parameters
    ----------
    mesh, element, rule, on_folded
        As in :func:`femnn.bases`.
    residual
        ``skfem.LinearForm`` (v, w) of the internal force, which finds the unknowns at the points as ``w["u"]``.
    tangent
        ``skfem.BilinearForm`` (u, v, w), its derivative.
    parameters
        Further numbers that the forms find in ``w``.

    Attributes
    ----------
    bases
        One basis for each group of the rule.
    mesh
    points
        Where the degrees of freedom are, for the solvers; None if the element does not tell.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError

    Examples
    --------
    >>> from femnn import GaussLegendre, newton
    >>> from skfem.helpers import dot, grad
    >>> residual = skfem.LinearForm(lambda v, w: (1 + w["u"] ** 2) * dot(grad(w["u"]), grad(v)))
    >>> tangent = skfem.BilinearForm(
    ...     lambda u, v, w: (1 + w["u"] ** 2) * dot(grad(u), grad(v)) + 2 * w["u"] * u * dot(grad(w["u"]), grad(v))
    ... )
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> problem = FormProblem(mesh, skfem.ElementQuad1(), GaussLegendre(3), residual, tangent)
    >>> load = skfem.asm(skfem.LinearForm(lambda v, w: v), problem.bases)
    >>> path = newton(problem, load, problem.bases[0].get_dofs("left"), steps=1, progress=False)
    >>> round(float(path.u.max()), 3)
    0.466
    """

    @checked()
    def __init__(
        self,
        mesh: skfem.Mesh,
        element: skfem.Element,
        rule: Rule,
        residual: skfem.LinearForm,
        tangent: skfem.BilinearForm,
        *,
        parameters: Mapping[str, float] | None = None,
        on_folded: str = "raise",
    ) -> None:
        self.residual, self.tangent = residual, tangent
        self.parameters = {name: number(name, value) for name, value in (parameters or {}).items()}
        if "u" in self.parameters:
            raise ParameterError("parameters have the name 'u', under which forms find the unknowns; take another")
        instance("element", element, skfem.Element, remedy="one element; mixed forms are not provided for")
        self.bases = bases(mesh, element, rule, on_folded=on_folded)
        self.mesh, self.points = mesh, getattr(self.bases[0], "doflocs", None)

    @property
    def n_dofs(self) -> int:
        """Number of unknowns."""
        return int(self.bases[0].N)

    @property
    def groups(self) -> list[CellGroup]:
        """The groups of the rule, one for each basis."""
        return [CellGroup(np.asarray(basis.tind), basis.X, basis.W) for basis in self.bases]

    def residual_and_tangent(self, u: np.ndarray) -> tuple[np.ndarray, csr_array]:
        """Internal force (n_dofs,) and its derivative at ``u``."""
        return self.internal_force(u), self.derivative(u)

    def derivative(self, u: np.ndarray) -> csr_array:
        """Derivative (n_dofs, n_dofs) of the internal force alone."""
        u = vector(u, self.n_dofs, "the unknowns")
        return csr_array(skfem.asm(self.tangent, self.bases, u=u, **self.parameters))

    def internal_force(self, u: np.ndarray) -> np.ndarray:
        """Internal force (n_dofs,) alone."""
        return skfem.asm(self.residual, self.bases, u=vector(u, self.n_dofs, "the unknowns"), **self.parameters)

    def contributions(self, u: np.ndarray) -> list[np.ndarray]:
        """Internal forces of each cell, (cells, functions) for each group."""
        u = vector(u, self.n_dofs, "the unknowns")
        return [
            np.asarray(self.residual.coo_data(basis, u=u, **self.parameters).data).reshape(basis.Nbfun, -1).T
            for basis in self.bases
        ]

    def cell_tangents(self, u: np.ndarray) -> list[np.ndarray]:
        """Derivatives of the internal forces of each cell, (cells, functions, functions) for each group."""
        u = vector(u, self.n_dofs, "the unknowns")
        found = []
        for basis in self.bases:
            data = np.asarray(self.tangent.coo_data(basis, u=u, **self.parameters).data)
            # scikit-fem's order: trial function, test function, cell
            found.append(data.reshape(basis.Nbfun, basis.Nbfun, -1).transpose(2, 1, 0))
        return found

    @checked()
    def on_cells(self, rule: Rule) -> tuple["FormProblem", np.ndarray]:
        """The same forms on the cells that a rule chooses, and which degrees of freedom (m,) these have.

        The unknowns of the new problem are those alone, in this order: nothing in it is as long as those of the mesh.
        """
        part = copy.copy(self)
        part.bases = bases(self.mesh, self.bases[0].elem, rule)
        dofs = copy.copy(self.bases[0].dofs)
        kept = np.unique(np.concatenate([basis.element_dofs.ravel() for basis in part.bases]))
        dofs.element_dofs = np.searchsorted(kept, dofs.element_dofs).clip(0, len(kept) - 1).astype(np.int32)
        dofs.N = len(kept)
        for basis in part.bases:
            basis.dofs, basis._element_dofs = dofs, dofs.element_dofs[:, basis.tind]
        return part, kept
