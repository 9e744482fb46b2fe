"""The elastic blocks of a cell, condensed once to the jumps of its cracks and to what drives the cell."""

import numpy as np
from scipy.sparse import bsr_array, coo_matrix, csc_array, csr_array, eye_array, vstack
from scipy.sparse.linalg import splu
from skfem import Basis, ElementHex1, ElementQuad1, ElementVector

from femnn.checks import floats, one_of, positive
from femnn.exceptions import ParameterError
from femnn.integration.lame import lame_parameters

#: How the border of a cell is driven.
DRIVINGS = ("periodic", "affine")

# Entries of strains and stresses, those of the shear behind the others: Voigt's order.
VOIGT = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))}


class Blocks:
    """Linear elasticity, in plane strain or in space, on a :class:`femnn.multiscale.rve.cut.Cell`.

    The unknowns of the whole mesh are u = S x + r with x = (jumps, E), where jumps are displacements of the copies of a
    vertex on a crack against the first of them. What S leaves out is in equilibrium by itself. E drives the cell: the
    separation of top and bottom of a zone, by its ``axes``; the mean strain of a volume, by Voigt with engineering
    shears.

    Parameters
    ----------
    cell
    young, poisson
        Of the blocks, Pa: numbers, or arrays (nelements,).
    driving
        ``"periodic"``: bottom and top of a zone are rigid plates; displacements are periodic where the cell repeats,
        but for E·x in a volume. ``"affine"``: the whole border moves as a body without cracks would; stiffer, and
        cracks that reach the seam are closed there.
    pressure
        Stress −pressure·I in the blocks before anything moves, Pa.
    biot
        Biot's coefficient of the blocks: all stresses here are total ones plus the pore pressure, of which blocks feel
        the share 1 − biot as a stress of their own.
    embedded : EmbeddedCracks
        Of a cell whose mesh is not cut: their jumps then are those of x, and the stiffness is not symmetric.

    Attributes
    ----------
    stiffness : (n, n)
        Sᵀ K S of E and the jumps before it, N/m; per metre of thickness in the plane.
    n_jumps, n_driven : int
        Numbers of jumps and of entries of E.
    jump_of_dof : (ndof,) int
        Which jump moves a degree of freedom of the mesh, or of the embedded cracks behind it, −1 for none.
    dx : (nelements·nqp,)
        Area or volume that belongs to each integration point.
    """

    def __init__(self, cell, young, poisson, driving="periodic", pressure=0.0, embedded=None, biot=1.0) -> None:
        one_of("driving", driving, DRIVINGS)
        self.cell, self.driving, self.pressure, self.biot = cell, driving, float(pressure), float(biot)
        elasticity = _elasticity(young, poisson, cell.mesh.nelements, cell.dim)
        # factored in units near that of the stiffest block, a power of two, so that moduli may be of any size
        unit = float(np.exp2(np.floor(np.log2(elasticity.max()))))
        self._strain, self.dx, elementwise = strain_operator(cell.mesh)
        n_points = len(self.dx) // cell.mesh.nelements
        self._elasticity = np.repeat(elasticity, n_points, axis=0)
        # loads of a unit of stress alike in all directions
        self._isotropic = np.array([1.0 if i == j else 0.0 for i, j in VOIGT[cell.dim]])
        entries, numbers = self._elasticity / unit * self.dx[:, None, None], np.arange(len(self.dx) + 1)
        weighted = bsr_array((entries, numbers[:-1], numbers)).tocsr()
        matrix = csr_array(self._strain.T @ weighted @ self._strain)
        load = self._strain.T @ (self.dx[:, None] * self._isotropic).ravel()
        inner, self._jumps, driven = self._unknowns()
        self._n = len(load)
        if embedded is not None:
            matrix = embedded.stiffness(unit * matrix) / unit
            self._strain = embedded.strain_operator(self._strain, elementwise)
            traction = np.tile([1.0, 0.0, 0.0], (embedded.points, 1))
            load = np.append(load, -embedded.force(traction)[self._n :])
            n = len(load) - self._n
            inner, driven = vstack([inner, csr_array((n, inner.shape[1]))]), np.pad(driven, ((0, n), (0, 0)))
            self._jumps = csr_array(vstack([csr_array((self._n, n)), eye_array(n)]))
        outer = csc_array(np.hstack([self._jumps.toarray(), driven]))
        self.n_jumps, self.n_driven = self._jumps.shape[1], driven.shape[1]
        # a transpose of sparse matrices costs more than their product
        self._work_of_jumps = self._jumps.T
        self.jump_of_dof = np.full(len(load), -1)
        rows, columns = self._jumps.nonzero()
        self.jump_of_dof[rows] = columns
        factors = splu((inner.T @ matrix @ inner).tocsc())
        follow = factors.solve((inner.T @ (matrix @ outer)).toarray())
        self.shapes = outer.toarray() - inner @ follow
        offset = -(inner @ factors.solve(inner.T @ load))
        self._offset = offset / unit
        if embedded is None:
            stiffness = self.shapes.T @ (matrix @ self.shapes)
            self.stiffness = 0.5 * unit * (stiffness + stiffness.T)
        else:
            self.stiffness = unit * (outer.T @ (matrix @ self.shapes))
        # forces on what is condensed are zero
        self._force = outer.T @ (load + matrix @ offset)

    def jumps(self, x):
        """Displacements (ndof,) that have the jumps of ``x`` on the cracks, and nothing else."""
        return self._jumps @ x[: self.n_jumps]

    def work_of_jumps(self, force):
        """Force (n_jumps,) on the jumps of a force (ndof,) on the faces of the cracks."""
        return self._work_of_jumps @ force

    def initial_stress(self, pore_pressure):
        """Stress of blocks that are not strained, by Voigt, in excess of −pore_pressure·I."""
        return self._excess(pore_pressure) * self._isotropic

    def force(self, pore_pressure):
        """Sᵀ ∫ Bᵀ σ0 (n,), N; per metre of thickness in the plane."""
        return self._excess(pore_pressure) * self._force

    def displacement(self, x, pore_pressure):
        """Displacements (ndof,) of the whole mesh."""
        return (self.shapes @ x + self._excess(pore_pressure) * self._offset)[: self._n]

    def strain(self, x, pore_pressure):
        """Strains (nelements·nqp, 3 or 6) at the integration points, by Voigt with engineering shears."""
        return self.strain_of(x) + self._excess(pore_pressure) * self._voigt(self._offset)

    def _excess(self, pore_pressure):
        return (1.0 - self.biot) * pore_pressure - self.pressure

    def strain_of(self, step):
        """Strains for a step (n,) of x."""
        return self._voigt(self.shapes @ step)

    def _voigt(self, u):
        return (self._strain @ u).reshape(-1, len(self._isotropic))

    def stress(self, strain):
        """Stresses of such strains, without the initial one."""
        return np.einsum("nij,nj->ni", self._elasticity, strain)

    def _unknowns(self):
        """Matrices (ndof, ·) of what is condensed, of the jumps, and of what drives the cell."""
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
        driven = driven_displacements(cell)
        if cell.height is not None:
            # what is inside follows
            driven[~held_uncut] = 0.0
        elif not held_uncut.any():
            # nothing else keeps a volume from moving as a whole
            held_uncut = cell.uncut == cell.uncut[0]
        return (
            selection(cell.uncut, ~held_uncut, cell.dim),
            selection(cell.part, copies, cell.dim),
            driven.reshape(cell.dim * cell.mesh.nvertices, -1),
        )


def driven_displacements(cell):
    """Displacements (nvertices, dim, m) of a body without cracks, by what drives a cell."""
    p, dim = cell.mesh.p, cell.dim
    if cell.height is not None:
        return (p[-1] / cell.height)[:, None, None] * cell.axes.T
    driven = np.zeros((p.shape[1], dim, len(VOIGT[dim])))
    for k, (i, j) in enumerate(VOIGT[dim]):
        driven[:, i, k] += 0.5 * p[j]
        driven[:, j, k] += 0.5 * p[i]
    return driven


def strain_operator(mesh):
    """Matrix from displacements (ndof,) to strains by Voigt, point by point, and the area or volume of each point.

    The third is the matrix from the displacements of each element by itself.
    """
    dim = mesh.dim()
    basis = Basis(mesh, ElementVector((ElementQuad1 if dim == 2 else ElementHex1)()), intorder=3)
    numbers = np.arange(basis.dx.size).reshape(basis.dx.shape)
    dofs = basis.element_dofs
    own = np.arange(dofs.size).reshape(dofs.shape[::-1]).T
    rows, columns, values = [], [], []
    for i, functions in enumerate(basis.basis):
        gradient = functions[0].grad
        for k, (a, b) in enumerate(VOIGT[dim]):
            strain = gradient[a, a] if a == b else gradient[a, b] + gradient[b, a]
            rows.append((len(VOIGT[dim]) * numbers + k).ravel())
            columns.append(np.broadcast_to(own[i][:, None], numbers.shape).ravel())
            values.append(np.broadcast_to(strain, numbers.shape).ravel())
    rows, columns, values = (np.concatenate(entries) for entries in (rows, columns, values))
    shape = (len(VOIGT[dim]) * basis.dx.size, dofs.size)
    elementwise = csr_array(coo_matrix((values, (rows, columns)), shape=shape))
    # a gradient has zeros for all functions of the other components
    elementwise.eliminate_zeros()
    places = np.ones(dofs.size), (own.ravel(), dofs.ravel())
    return elementwise @ csr_array(coo_matrix(places, shape=(dofs.size, basis.N))), basis.dx.ravel(), elementwise


def _per_element(name, value, n):
    """A number, or one for each of the n elements, as (n,)."""
    values = floats(name, value)
    if values.shape not in ((), (1,), (n,)):
        raise ParameterError(f"{name} has shape {values.shape}; pass one number or one for each of the {n} elements")
    return np.broadcast_to(values, n)


def _elasticity(young, poisson, n, dim):
    """(n, 3, 3) in plane strain, (n, 6, 6) in space."""
    young, poisson = (_per_element(name, value, n) for name, value in (("young", young), ("poisson", poisson)))
    for value in np.unique(young):
        positive("young", float(value))
    bad = ~((poisson > -1.0) & (poisson < 0.5))
    if bad.any():
        raise ParameterError(f"poisson={float(poisson[bad][0])!r} is not allowed; it must be above -1 and below 0.5")
    lmbda, mu = lame_parameters(young, poisson)
    matrix = np.zeros((n, len(VOIGT[dim]), len(VOIGT[dim])))
    matrix[:, :dim, :dim] = lmbda[:, None, None]
    for k, (i, j) in enumerate(VOIGT[dim]):
        matrix[:, k, k] += 2 * mu if i == j else mu
    return matrix


def selection(numbers, chosen, components=1):
    """Matrix that gives vertex i the values, so many a vertex, of ``numbers[i]``, where it is ``chosen``."""
    rows = np.flatnonzero(chosen)
    kept, columns = np.unique(numbers[rows], return_inverse=True)
    rows, columns = ((components * each[:, None] + np.arange(components)).ravel() for each in (rows, columns))
    shape = (components * len(numbers), components * len(kept))
    return csr_array(coo_matrix((np.ones(len(rows)), (rows, columns)), shape=shape))
