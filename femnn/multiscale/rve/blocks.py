"""The elastic blocks of a cell, condensed once to the jumps of its cracks and to the separation of top and bottom."""

import numpy as np
from scipy.sparse import bsr_array, coo_matrix, csc_array, csr_array
from scipy.sparse.linalg import splu
from skfem import Basis, ElementQuad1, ElementVector

from femnn.checks import floats, one_of, positive
from femnn.exceptions import ParameterError
from femnn.integration.lame import lame_parameters

#: How the border of a cell is driven.
DRIVINGS = ("periodic", "affine")

# The macro-separation (opening, shear) as displacement (x, y) of the top: the shear direction is the normal turned by
# 90 degrees, as in the frames of femnn.interfaces.elements.
FRAME = np.array([[0.0, -1.0], [1.0, 0.0]])

_ISOTROPIC = np.array([1.0, 1.0, 0.0])


class Blocks:
    """Linear elasticity, plane strain, on a :class:`femnn.multiscale.rve.cells.Cell`.

    The unknowns of the whole mesh are u = S x + r with x = (jumps, macro-separation), where jumps are displacements of
    the copies of a vertex on a crack against the first of them. What S leaves out is in equilibrium by itself.

    Parameters
    ----------
    cell
    young, poisson
        Of the blocks, Pa: numbers, or arrays (nelements,).
    driving
        ``"periodic"``: bottom and top are rigid plates, displacements are periodic along the interface. ``"affine"``:
        the whole border moves as a body without cracks would, proportionally to the height; stiffer, and cracks that
        reach the seam are closed there.
    pressure
        Stress −pressure·I in the blocks before anything moves, Pa.
    biot
        Biot's coefficient of the blocks: all stresses here are total ones plus the pore pressure, of which blocks feel
        the share 1 − biot as a stress of their own.

    Attributes
    ----------
    stiffness : (n, n)
        Sᵀ K S of the last two unknowns and the jumps before them, N/m per metre of thickness.
    n_jumps : int
    jump_of_dof : (ndof,) int
        Which jump moves a degree of freedom of the mesh, −1 for none.
    dx : (nelements·nqp,)
        Area that belongs to each integration point.
    """

    def __init__(self, cell, young, poisson, driving="periodic", pressure=0.0, biot=1.0) -> None:
        one_of("driving", driving, DRIVINGS)
        self.cell, self.driving, self.pressure, self.biot = cell, driving, float(pressure), float(biot)
        elasticity = _elasticity(young, poisson, cell.mesh.nelements)
        # factored in units near that of the stiffest block, a power of two, so that moduli may be of any size
        unit = float(np.exp2(np.floor(np.log2(elasticity.max()))))
        self._strain, self.dx = strain_operator(cell.mesh)
        n_points = len(self.dx) // cell.mesh.nelements
        self._elasticity = np.repeat(elasticity, n_points, axis=0)
        entries, numbers = self._elasticity / unit * self.dx[:, None, None], np.arange(len(self.dx) + 1)
        weighted = bsr_array((entries, numbers[:-1], numbers)).tocsr()
        matrix = csr_array(self._strain.T @ weighted @ self._strain)
        # of a unit of stress alike in all directions
        load = self._strain.T @ (self.dx[:, None] * _ISOTROPIC).ravel()
        inner, self._jumps, driven = self._unknowns()
        outer = csc_array(np.hstack([self._jumps.toarray(), driven]))
        self.n_jumps = self._jumps.shape[1]
        self.jump_of_dof = np.full(2 * cell.mesh.nvertices, -1)
        rows, columns = self._jumps.nonzero()
        self.jump_of_dof[rows] = columns
        factors = splu((inner.T @ matrix @ inner).tocsc())
        follow = factors.solve((inner.T @ (matrix @ outer)).toarray())
        self.shapes = outer.toarray() - inner @ follow
        offset = -(inner @ factors.solve(inner.T @ load))
        self._offset = offset / unit
        stiffness = self.shapes.T @ (matrix @ self.shapes)
        self.stiffness = 0.5 * unit * (stiffness + stiffness.T)
        self._force = self.shapes.T @ (load + matrix @ offset)

    def jumps(self, x):
        """Displacements (ndof,) that have the jumps of ``x`` on the cracks, and nothing else."""
        return self._jumps @ x[: self.n_jumps]

    def work_of_jumps(self, force):
        """Force (n_jumps,) on the jumps of a force (ndof,) on the faces of the cracks."""
        return self._jumps.T @ force

    def initial_stress(self, pore_pressure):
        """Stress (3,) of blocks that are not strained, in excess of −pore_pressure·I: xx, yy, xy."""
        return self._excess(pore_pressure) * _ISOTROPIC

    def force(self, pore_pressure):
        """Sᵀ ∫ Bᵀ σ0 (n,), N per metre of thickness."""
        return self._excess(pore_pressure) * self._force

    def displacement(self, x, pore_pressure):
        """Displacements (ndof,) of the whole mesh."""
        return self.shapes @ x + self._excess(pore_pressure) * self._offset

    def _excess(self, pore_pressure):
        return (1.0 - self.biot) * pore_pressure - self.pressure

    def strain(self, u):
        """Strains (nelements·nqp, 3) at the integration points: xx, yy, 2 xy."""
        return (self._strain @ u).reshape(-1, 3)

    def stress(self, strain):
        """Stresses (nelements·nqp, 3) of such strains, without the initial one: xx, yy, xy."""
        return np.einsum("nij,nj->ni", self._elasticity, strain)

    def _unknowns(self):
        """Matrices (ndof, ·) of what is condensed, of the jumps, and of the macro-separation."""
        cell = self.cell
        held = np.zeros(cell.mesh.nvertices, dtype=bool)
        held[cell.bottom] = held[cell.top] = True
        if self.driving == "affine":
            held[cell.sides] = True
        # copies across the seam are held together
        held_parts = np.isin(cell.part, cell.part[held])
        held_uncut = np.isin(cell.uncut, cell.uncut[held])
        first = np.full(cell.uncut.max() + 1, cell.part.max())
        np.minimum.at(first, cell.uncut, cell.part)
        copies = (cell.part != first[cell.uncut]) & ~held_parts & ~held_uncut
        driven = np.zeros((cell.mesh.nvertices, 2, 2))
        fraction = cell.mesh.p[1] / cell.height
        driven[held_uncut] = fraction[held_uncut, None, None] * FRAME
        return (
            selection(cell.uncut, ~held_uncut, 2),
            selection(cell.part, copies, 2),
            driven.reshape(-1, 2),
        )


def strain_operator(mesh):
    """Matrix (3·nelements·nqp, ndof) from displacements to strains xx, yy, 2 xy, and the area of each point."""
    basis = Basis(mesh, ElementVector(ElementQuad1()), intorder=3)
    numbers = np.arange(basis.dx.size).reshape(basis.dx.shape)
    rows, columns, values = [], [], []
    for i, functions in enumerate(basis.basis):
        gradient = functions[0].grad
        for k, strain in enumerate((gradient[0, 0], gradient[1, 1], gradient[0, 1] + gradient[1, 0])):
            rows.append((3 * numbers + k).ravel())
            columns.append(np.broadcast_to(basis.element_dofs[i][:, None], numbers.shape).ravel())
            values.append(np.broadcast_to(strain, numbers.shape).ravel())
    rows, columns, values = (np.concatenate(entries) for entries in (rows, columns, values))
    shape = (3 * basis.dx.size, basis.N)
    return csr_array(coo_matrix((values, (rows, columns)), shape=shape)), basis.dx.ravel()


def _per_element(name, value, n):
    """A number, or one for each of the n elements, as (n,)."""
    values = floats(name, value)
    if values.shape not in ((), (1,), (n,)):
        raise ParameterError(f"{name} has shape {values.shape}; pass one number or one for each of the {n} elements")
    return np.broadcast_to(values, n)


def _elasticity(young, poisson, n):
    """Plane strain (n, 3, 3)."""
    young, poisson = (_per_element(name, value, n) for name, value in (("young", young), ("poisson", poisson)))
    for value in np.unique(young):
        positive("young", float(value))
    bad = ~((poisson > -1.0) & (poisson < 0.5))
    if bad.any():
        raise ParameterError(f"poisson={float(poisson[bad][0])!r} is not allowed; it must be above -1 and below 0.5")
    lmbda, mu = lame_parameters(young, poisson)
    matrix = np.zeros((n, 3, 3))
    matrix[:, :2, :2] = lmbda[:, None, None]
    for i, entry in enumerate((2 * mu, 2 * mu, mu)):
        matrix[:, i, i] += entry
    return matrix


def selection(numbers, chosen, components=1):
    """Matrix that gives vertex i the values, so many a vertex, of ``numbers[i]``, where it is ``chosen``."""
    rows = np.flatnonzero(chosen)
    kept, columns = np.unique(numbers[rows], return_inverse=True)
    rows, columns = ((components * each[:, None] + np.arange(components)).ravel() for each in (rows, columns))
    shape = (components * len(numbers), components * len(kept))
    return csr_array(coo_matrix((np.ones(len(rows)), (rows, columns)), shape=shape))
