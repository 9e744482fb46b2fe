"""The hyper-reduced cell: jumps by a few modes, the law of the cracks at a few points with positive weights."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked
from femnn.exceptions import ParameterError, WeightFileError
from femnn.io.weight_files import load_contents, save_weights
from femnn.multiscale.rve.equilibrium import CellEquilibrium
from femnn.multiscale.rve.response import follow
from femnn.multiscale.rve.rve import RVE
from femnn.multiscale.rve.state import CellState, Spring
from femnn.reduced import fingerprint
from femnn.reduced.pod import POD
from femnn.reduced.selection import point_weights

KIND = "reduced-rve"

# Random combinations of the integrals for each mode.
_COMBINATIONS = 30

# Stiffnesses of blocks that differ by less, relatively, are those of one cell.
_SAME = 1e-8


class ReducedRVE(RVE):
    """A cell by a few modes and points, made by :meth:`fit`: wherever an :class:`femnn.multiscale.rve.RVE` serves.

    What blocks bear is reduced exactly, to the modes; what cracks bear is integrated at chosen points, which alone have
    a history. Hill and Mandel's condition holds as it does in full. States are those of the modes:
    :meth:`lifted` gives the jumps of the whole cell, which :class:`femnn.multiscale.rve.CellPermeability` of ``full``
    takes.

    Parameters
    ----------
    full
        The cell.
    modes : (n_jumps, r)
        Of its jumps.
    chosen : (k,) int
        Integration points of its cracks.
    weights : (k,)
        Factors of their areas.

    Attributes
    ----------
    full : RVE
    modes, chosen, weights
        As given.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.rve import RVE, ReducedRVE, block_network, follow
    >>> law = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> full = RVE(block_network(1e-2, 1e-2), law, young=300e9)
    >>> path = np.linspace(0.0, 1e-5, 12)[:, None] * np.array([1.0, 0.5])
    >>> reduced = ReducedRVE.fit(full, [path], modes=5, progress=False)
    >>> error = follow(reduced, path).traction - follow(full, path).traction
    >>> bool(np.abs(error).max() < 0.01 * 80e6), len(reduced.chosen) < full.elements.points
    (True, True)
    >>> ReducedRVE.load(reduced.save("reduced-rve"), full).name == reduced.name
    True
    """

    @checked()
    def __init__(self, full: RVE, modes: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> None:
        if modes.shape[:1] != (full.n_jumps,) or chosen.shape != weights.shape:
            raise ParameterError(
                f"modes {modes.shape}, points {chosen.shape} and weights {weights.shape} do not fit a cell of "
                f"{full.n_jumps} jumps; make them with ReducedRVE.fit"
            )
        self.full, self.modes, self.chosen, self.weights = full, modes, chosen, weights
        self.cell, self.law, self.min_step = full.cell, full.law, full.min_step
        separations = _separations(full, modes)[chosen]
        self.elements = _ChosenPoints(separations, (weights * full.elements.dx.ravel()[chosen])[:, None])
        self.blocks = _ReducedBlocks(full.blocks, modes)
        self.n_jumps, self.n_driven = modes.shape[1], full.n_driven
        self._equilibrium = CellEquilibrium(self.blocks, self.elements, full.law, *full.tolerances)
        self._opening_of, self._alike = full.opening_of_jumps() @ modes, full._alike
        self.name = f"ReducedRVE({full.name}, {modes.shape[1]} modes, {len(chosen)} points)"

    @classmethod
    @checked(springs="unchecked", modes="[1, inf)", tol="(0, 1)")
    def fit(
        cls,
        full: RVE,
        separations: Sequence[ArrayLike],
        springs: Sequence[Sequence[Spring | None] | None] | None = None,
        *,
        modes: int,
        tol: float = 1e-2,
        progress: bool = True,
    ) -> "ReducedRVE":
        """Follow paths in full, keep the modes of their jumps, and choose points by their works on these.

        Parameters
        ----------
        full
            The cell.
        separations : list of (k, m)
            Paths, as :func:`femnn.multiscale.rve.follow` takes them.
        springs
            Those of each path, or None.
        modes
            How many; fewer where the paths have no more.
        tol
            Of the works of the cracks on the modes.
        progress
            Show the search for points.

        Raises
        ------
        ConvergenceError
            If the full cell cannot follow a path.
        DatasetError
            If the jumps are all alike.
        """
        springs = [None] * len(separations) if springs is None else springs
        paths: list[list[np.ndarray]] = []
        for path, held in zip(separations, springs, strict=True):
            jumps: list[np.ndarray] = []

            def keep(_, response, jumps=jumps):
                jumps.append(response.state.x[: full.n_jumps])

            follow(full, path, held, callback=keep)
            paths.append(jumps)
        basis = POD.fit(np.stack([x for path in paths for x in path], axis=1), modes=modes)
        kept = _separations(full, basis.modes)
        areas = full.elements.dx.ravel()

        def works():
            for path in paths:
                state = full.law.initial_state(len(areas))
                for x in path:
                    # as the reduced cell will see them
                    traction, _, state, *_ = full.law.update(kept @ (basis.modes.T @ x), state)
                    yield np.einsum("pi,pir,p->rp", traction, kept, areas)

        count = _COMBINATIONS * basis.modes.shape[1]
        found = point_weights(works(), areas, combinations=count, tol=tol, progress=progress)
        return cls(full, basis.modes, found.chosen, found.weights)

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``; returns the former. The cell itself is not in it."""
        tensors = {"modes": self.modes, "chosen": self.chosen.astype(np.int64), "weights": self.weights}
        card = {
            "kind": KIND,
            "what": self.name,
            "architectures": {"cell": {"jumps": self.full.n_jumps, "modes": self.n_jumps, "points": len(self.chosen)}},
            "trained_range": "the paths that the whole cell was driven along",
            "data": _told_by(self.full),
            "training": {},
            "test": {},
        }
        return save_weights(path, tensors, card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike, full: RVE) -> "ReducedRVE":
        """Read what :meth:`save` wrote, for the cell that it was made of.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged or of another kind.
        ParameterError
            If the cell has another mesh, stiffness or law.
        """
        contents = load_contents(path, KIND)
        file, data = contents.file, contents.part("data")
        fields = contents.part("architectures").part("cell")
        jumps, modes, points = fields.count("jumps", 1), fields.count("modes", 1), fields.count("points", 1)
        for name, own in _told_by(full).items():
            same = data.text(name) == own if isinstance(own, str) else abs(data.number(name) - own) <= _SAME * abs(own)
            if not same:
                raise ParameterError(
                    f"{file.path} was made for a cell with another {name}, this one has {brief(own)}; pass the cell "
                    "of its training, or fit a reduced one to this"
                )
        chosen = contents.array("chosen", (points,), np.int64)
        weights = contents.array("weights", (points,))
        if (chosen < 0).any() or (chosen >= full.elements.points).any() or not (weights > 0.0).all():
            raise WeightFileError(f"{file.path} has points beyond the cracks or without weight; {file.remedy}")
        return cls(full, contents.array("modes", (jumps, modes)), chosen, weights)

    @checked()
    def lifted(self, state: CellState) -> CellState:
        """The jumps of the whole cell in a state of this one. Its history is that of the chosen points: no step goes on
        from it."""
        return CellState(self.blocks.lifted(state.x), self.modes @ state.follow, state.cracks, state.pressure)

    @checked()
    def crack_separation(self, state: CellState) -> np.ndarray:
        """As :meth:`femnn.multiscale.rve.RVE.crack_separation`."""
        return self._opening_of @ state.x[: self.n_jumps]


def _told_by(full):
    """What tells a cell from others: vertices, law of the cracks, stiffness of the blocks."""
    mesh = full.cell.mesh
    return {
        "mesh": fingerprint.of_cells(np.ascontiguousarray(mesh.p[:, mesh.t].T)),
        "law": fingerprint.of_law(full.law),
        "stiffness": float(np.linalg.norm(full.blocks.stiffness)),
    }


def _separations(full, modes):
    """Separations (points, 3, r) of modes."""
    x = np.zeros(full.n_jumps + full.n_driven)
    columns = []
    for mode in modes.T:
        x[: full.n_jumps] = mode
        columns.append(full.elements.separation(full.blocks.jumps(x)))
    return np.stack(columns, axis=2)


class _ReducedBlocks:
    """Blocks whose jumps are combinations of modes, exactly."""

    def __init__(self, blocks, modes):
        n, r, m = blocks.n_jumps, modes.shape[1], blocks.n_driven
        self._blocks = blocks
        self._modes = np.block([[modes, np.zeros((n, m))], [np.zeros((m, r)), np.eye(m)]])
        self.cell, self.dx, self.initial_stress = blocks.cell, blocks.dx, blocks.initial_stress
        self.n_jumps, self.n_driven = r, m
        self.stiffness = self._modes.T @ blocks.stiffness @ self._modes
        self.jump_of_dof = np.arange(r)
        self.stress = blocks.stress

    def lifted(self, x):
        return self._modes @ x

    def jumps(self, x):
        return x[: self.n_jumps]

    def work_of_jumps(self, force):
        return force

    def force(self, pore_pressure):
        return self._modes.T @ self._blocks.force(pore_pressure)

    def displacement(self, x, pore_pressure):
        return self._blocks.displacement(self.lifted(x), pore_pressure)

    def strain(self, x, pore_pressure):
        return self._blocks.strain(self.lifted(x), pore_pressure)

    def strain_of(self, step):
        return self._blocks.strain_of(self.lifted(step))


class _ChosenPoints:
    """Points of cracks whose separations are those of modes: one element that has them all."""

    def __init__(self, modes, dx):
        self._modes, self.dx = modes, dx
        self.dofs = np.arange(modes.shape[2])[None]

    @property
    def points(self):
        return len(self.dx)

    def separation(self, q):
        return self._modes @ q

    def force(self, traction):
        return np.einsum("pir,pi,pq->r", self._modes, traction, self.dx)

    def blocks(self, tangent):
        weighted = (self.dx[:, :, None] * tangent) @ self._modes
        return np.tensordot(self._modes, weighted, axes=((0, 1), (0, 1)))[None]
