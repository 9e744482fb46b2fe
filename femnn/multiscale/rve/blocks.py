"""The elastic blocks of a cell, condensed once to the jumps of its cracks and to the separation of top and bottom."""

import numpy as np
from scipy.sparse import coo_matrix, csc_array, csr_array
from scipy.sparse.linalg import splu
from skfem import Basis, ElementQuad1, ElementVector

from femnn.checks import positive
from femnn.exceptions import ParameterError
from femnn.integration.lame import lame_parameters

#: How the border of a cell is driven.
DRIVINGS = ("periodic", "affine")

# The macro-separation (opening, shear) as displacement (x, y) of the top: the shear direction is the normal turned by
# 90 degrees, as in the frames of femnn.interfaces.elements.
FRAME = np.array([[0.0, -1.0], [1.0, 0.0]])


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

    Attributes
    ----------
    stiffness : (n, n)
        Sᵀ K S of the last two unknowns and the jumps before them, N/m per metre of thickness.
    force : (n,)
        Sᵀ ∫ Bᵀ σ0.
    n_jumps : int
    jump_of_dof : (ndof,) int
        Which jump moves a degree of freedom of the mesh, −1 for none.
    dx : (nelements·nqp,)
        Area that belongs to each integration point.
    """

    def __init__(self, cell, young, poisson, driving="periodic", pressure=0.0):
        if driving not in DRIVINGS:
            raise ParameterError(f"driving={driving!r} is unknown; choose one of {', '.join(DRIVINGS)}")
        self.cell, self.driving, self.pressure = cell, driving, float(pressure)
        elasticity = _elasticity(young, poisson, cell.mesh.nelements)
        self._strain, self.dx = strain_operator(cell.mesh)
        points = len(self.dx) // cell.mesh.nelements
        self._elasticity = np.repeat(elasticity, points, axis=0)
        self.initial_stress = np.array([-pressure, -pressure, 0.0])
        weighted = _block_diagonal(self._elasticity * self.dx[:, None, None])
        matrix = csr_array(self._strain.T @ weighted @ self._strain)
        load = self._strain.T @ (self.dx[:, None] * self.initial_stress).ravel()
        inner, self._jumps, driven = self._unknowns()
        outer = csc_array(np.hstack([self._jumps.toarray(), driven]))
        self.n_jumps = self._jumps.shape[1]
        self.jump_of_dof = np.full(2 * cell.mesh.nvertices, -1)
        rows, columns = self._jumps.nonzero()
        self.jump_of_dof[rows] = columns
        factors = splu((inner.T @ matrix @ inner).tocsc())
        follow = factors.solve((inner.T @ (matrix @ outer)).toarray())
        self.shapes = outer.toarray() - inner @ follow
        self._rest = -(inner @ factors.solve(inner.T @ load))
        stiffness = self.shapes.T @ (matrix @ self.shapes)
        self.stiffness = 0.5 * (stiffness + stiffness.T)
        self.force = self.shapes.T @ (load + matrix @ self._rest)

    def jumps(self, x):
        """Displacements (ndof,) that have the jumps of ``x`` on the cracks, and nothing else."""
        return self._jumps @ x[: self.n_jumps]

    def work_of_jumps(self, force):
        """Force (n_jumps,) on the jumps of a force (ndof,) on the faces of the cracks."""
        return self._jumps.T @ force

    def displacement(self, x):
        """Displacements (ndof,) of the whole mesh."""
        return self.shapes @ x + self._rest

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
        share = cell.mesh.p[1] / cell.height
        driven[held_uncut] = share[held_uncut, None, None] * FRAME
        return (
            _selection(cell.uncut, ~held_uncut),
            _selection(cell.part, copies),
            driven.reshape(-1, 2),
        )


def strain_operator(mesh):
    """Matrix (3·nelements·nqp, ndof) from displacements to strains xx, yy, 2 xy, and the area of each point."""
    basis = Basis(mesh, ElementVector(ElementQuad1()), intorder=3)
    numbers = np.arange(basis.dx.size).reshape(basis.dx.shape)
    rows, columns, values = [], [], []
    for i, functions in enumerate(basis.basis):
        gradient = functions[0].grad
        for k, own in enumerate((gradient[0, 0], gradient[1, 1], gradient[0, 1] + gradient[1, 0])):
            rows.append((3 * numbers + k).ravel())
            columns.append(np.broadcast_to(basis.element_dofs[i][:, None], numbers.shape).ravel())
            values.append(np.broadcast_to(own, numbers.shape).ravel())
    rows, columns, values = (np.concatenate(own) for own in (rows, columns, values))
    shape = (3 * basis.dx.size, basis.N)
    return csr_array(coo_matrix((values, (rows, columns)), shape=shape)), basis.dx.ravel()


def _elasticity(young, poisson, n):
    """Plane strain (n, 3, 3)."""
    young, poisson = (np.broadcast_to(np.asarray(own, dtype=float), n) for own in (young, poisson))
    for own in np.unique(young):
        positive("young", float(own))
    bad = ~((poisson > -1.0) & (poisson < 0.5))
    if bad.any():
        raise ParameterError(f"poisson={float(poisson[bad][0])!r} is not allowed; it must be above -1 and below 0.5")
    lame, shear = lame_parameters(young, poisson)
    matrix = np.zeros((n, 3, 3))
    matrix[:, :2, :2] = lame[:, None, None]
    matrix[:, 0, 0] += 2 * shear
    matrix[:, 1, 1] += 2 * shear
    matrix[:, 2, 2] = shear
    return matrix


def _block_diagonal(blocks):
    n, k = blocks.shape[:2]
    rows = np.broadcast_to(np.arange(n * k).reshape(n, k, 1), blocks.shape)
    columns = np.broadcast_to(np.arange(n * k).reshape(n, 1, k), blocks.shape)
    return csr_array(coo_matrix((blocks.ravel(), (rows.ravel(), columns.ravel()))))


def _selection(numbers, chosen):
    """Matrix (2·n, 2·m) that gives vertex i the displacement of ``numbers[i]``, where it is ``chosen``."""
    rows = np.flatnonzero(chosen)
    kept, columns = np.unique(numbers[rows], return_inverse=True)
    entries = [(2 * rows + i, 2 * columns + i) for i in range(2)]
    rows, columns = (np.concatenate(own) for own in zip(*entries, strict=True))
    return csr_array(coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(2 * len(numbers), 2 * len(kept))))
