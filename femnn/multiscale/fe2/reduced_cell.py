"""The hyper-reduced cell: a few fluctuation modes, a few points with positive weights, many cells side by side."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import brief, checked, number, one_of, shaped
from femnn.cohesive.law import Law, State
from femnn.exceptions import (
    DatasetError,
    FemnnError,
    LawError,
    OutsideRangeError,
    ParameterError,
    WeightFileError,
    warn,
)
from femnn.io.weight_files import load_contents, save_weights
from femnn.multiscale.fe2.cell import PeriodicCell
from femnn.multiscale.fe2.cell_basis import COMBINATIONS, OTHER, Joints, basis_of, imaged, require_driven
from femnn.multiscale.fe2.law import checked_paths, driven
from femnn.multiscale.fe2.weighted_points import WeightedPoints
from femnn.reduced import fingerprint
from femnn.reduced.cubature import EmpiricalCubature
from femnn.reduced.problem import ReducedProblem
from femnn.reduced.snapshots import Snapshots
from femnn.solids.laws import check_law, updated, virgin_state
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, diverging, iterate

KIND = "reduced-cell"

# Numbers that the tangents at the points of all cells of one batch may have.
_BATCH = 2**22

_MOST, _LENGTHS = 25, 5

# Strains below this part of the largest that was trained are not what residuals are measured by.
_LEAST = 1e-4

# How far beyond the range of training a strain or coefficient may lie, over the range.
_MARGIN = 0.1


class _Answer(NamedTuple):
    """Forces (6 + r,) of a cell, tangents at its points and at those of its interface, and their new states, flat."""

    force: np.ndarray
    tangents: np.ndarray
    slopes: np.ndarray
    state: np.ndarray


class ReducedCellLaw:
    """A cell by a few modes and points, as a law of :class:`femnn.Solid`; made by :meth:`fit` or read by :meth:`load`.

    The unknowns of a cell are the coefficients of its fluctuation modes; only the chosen points carry state. Cells of
    many points are solved side by side.

    Attributes
    ----------
    modes : (points, 6, 6 + r)
        Strains at the chosen points of unit macroscopic strains and of the fluctuation modes.
    volumes : (points,)
        What the points stand for; positive, and the volume of the cell's material together.
    jumps : (m, 3, 6 + r)
        Separations of the modes at the chosen points of the interface; m is 0 without one.
    areas : (m,)
    low, high : (6 + r,)
        Range of strains and coefficients in training.
    report : dict
        ``"projection"``, ``"residual"`` of the cubature, ``"snapshots"`` and others.
    outside : int
        Updates of a point so far that left the range of training.

    See Also
    --------
    femnn.multiscale.fe2.CellLaw : the full cell.
    femnn.reduced.EmpiricalCubature : how points are chosen.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import cell_with_inclusions, draw_strain_paths, follow
    >>> mesh = cell_with_inclusions(3, radius=0.2)
    >>> young, strength = np.full(27, 3e9), np.full(27, 60e6)
    >>> young[mesh.subdomains["inclusion"]], strength[mesh.subdomains["inclusion"]] = 70e9, 1e12
    >>> cell = PeriodicCell(mesh, femnn.J2(young, 0.3, strength, isotropic=1e8))
    >>> paths = draw_strain_paths(2, steps=8)
    >>> law = ReducedCellLaw.fit(cell, paths, modes=8, tol=1e-2, on_outside="ignore", progress=False)
    >>> follow(law, draw_strain_paths(1, steps=8, seed=1), progress=False).shape
    (1, 8, 6)
    """

    kinematics = "small"

    @checked(
        cells="int p",
        modes="p 6 m",
        volumes="p",
        box_volume="(0, inf)",
        low="m",
        high="m",
        jumps="j 3 m",
        areas="j",
        cohesive="unchecked",
        rtol="(0, 1)",
    )
    def __init__(
        self,
        law: Any,
        cells: np.ndarray,
        modes: np.ndarray,
        volumes: np.ndarray,
        box_volume: float,
        low: np.ndarray,
        high: np.ndarray,
        *,
        cohesive: Law | None = None,
        jumps: np.ndarray | None = None,
        areas: np.ndarray | None = None,
        report: Mapping[str, Any] | None = None,
        trained_on: Mapping[str, str] | None = None,
        on_outside: str = "warn",
        rtol: float = 1e-6,
    ) -> None:
        check_law(law)
        if cohesive is not None and not (hasattr(cohesive, "initial_state") and hasattr(cohesive, "update")):
            raise ParameterError(f"{brief(cohesive)} is no cohesive law; pass a femnn.cohesive.Law, or None")
        if modes.shape[2] < 7 or not len(volumes) or law.kinematics != "small":
            raise ParameterError(
                f"there are {len(volumes)} points, modes {modes.shape} and a law of {law.kinematics} strains; pass at "
                "least one point, one mode of fluctuation beside the six strains, and a law of small strains"
            )
        self.law, self.cells, self.modes, self.volumes, self.box_volume = law, cells, modes, volumes, box_volume
        self.low, self.high, self.cohesive = low, high, cohesive
        self.jumps = np.zeros((0, 3, modes.shape[2])) if jumps is None else jumps
        self.areas = np.zeros(0) if areas is None else areas
        self.report, self.trained_on = dict(report or {}), dict(trained_on or {})
        self.on_outside = one_of("on_outside", on_outside, ("warn", "raise", "ignore"))
        self.rtol, self.outside = number("rtol", rtol, "(0, 1)"), 0
        self.r = modes.shape[2] - 6
        self._point_state = virgin_state(law, 1)[0].ravel()
        self._joint_state = np.zeros(0)
        if cohesive is not None:
            joint = cohesive.initial_state(1)
            self._joint_state = np.append(joint.values[0], joint.outside.astype(float))
        self._points, self._interface = WeightedPoints(modes, volumes), WeightedPoints(self.jumps, self.areas)
        virgin = self._evaluate(np.zeros((1, 6 + self.r)), self._internal(self.initial_state(1)))[0]
        self._points.expect(virgin.tangents)
        self._interface.expect(virgin.slopes)
        # forces of a unit strain, that residuals of small strains are measured by
        self._stiffness = float(np.linalg.norm(self._matrix(virgin)[:6, :6]))

    def __repr__(self) -> str:
        joints = f" and {len(self.areas)} of the interface" if len(self.areas) else ""
        return f"ReducedCellLaw({self.r} fluctuation modes, {len(self.volumes)} points{joints})"

    @property
    def state_size(self) -> int:
        """Numbers of the state of one macroscopic point."""
        return self.r + len(self.volumes) * self._point_state.size + len(self.areas) * self._joint_state.size

    @checked(n="[0, inf)")
    def initial_state(self, n: int) -> np.ndarray:
        """State of ``n`` virgin points, (n, s)."""
        points, joints = np.tile(self._point_state, len(self.volumes)), np.tile(self._joint_state, len(self.areas))
        return np.tile(np.concatenate([np.zeros(self.r), points, joints]), (n, 1))

    @checked(strain="n 6", state="any")
    def update(
        self, strain: ArrayLike, state: ArrayLike, *, tangent: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Mean stress (n, 6), tangent (n, 6, 6) and new state (n, s), as :class:`femnn.ConstitutiveLaw` says.

        With ``tangent=False`` the tangent is left out, None.

        Raises
        ------
        LawError
            If a cell finds no equilibrium.
        OutsideRangeError
            With ``on_outside="raise"``, if a strain or coefficient is beyond those of the training.
        """
        strain = np.asarray(strain, dtype=float)
        state = shaped("the state", state, (len(strain), self.state_size))
        if not np.isfinite(state).all():
            raise ParameterError("the state is not finite; pass initial_state(n) or what update returned")
        size = max(1, int(_BATCH // ((len(self.volumes) + len(self.areas)) * 6 * (6 + self.r))))
        stress, new = np.zeros((len(strain), 6)), state.copy()
        tangents = np.zeros((len(strain), 6, 6)) if tangent else None
        for k in range(0, len(strain), size):
            rows = slice(k, k + size)
            stress[rows], condensed, new[rows] = self._updated(strain[rows], state[rows], tangent)
            if tangents is not None:
                tangents[rows] = condensed
        return stress, tangents, new

    @checked(strain="n 6", state="n s")
    def in_range(self, strain: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Points (n,) bool whose strain (n, 6) and coefficients, in the state (n, s), are those of the training."""
        x = np.concatenate([strain, state[:, : self.r]], axis=1)
        margin = _MARGIN * np.maximum(self.high - self.low, 0.01 * float((self.high - self.low).max()))
        return np.all((x >= self.low - margin) & (x <= self.high + margin), axis=1)

    # --- making one

    @classmethod
    @checked(strains="any", modes="[1, inf)", energy="(0, 1]", images="[1, inf)", tol="(0, 1)")
    def fit(
        cls,
        cell: PeriodicCell,
        strains: ArrayLike,
        *,
        modes: int | None = None,
        energy: float | None = None,
        images: int = 1,
        tol: float = 1e-3,
        method: str = "nnls",
        snapshots: Snapshots | None = None,
        on_unmet: str = "raise",
        on_outside: str = "warn",
        progress: bool = True,
    ) -> "ReducedCellLaw":
        """Follow paths of strain with the full cell, and learn modes and points from them.

        Parameters
        ----------
        cell
            With one law, whose parameters may differ from element to element.
        strains : (n, steps, 6)
            Paths of training, such as those of :func:`femnn.multiscale.fe2.draw_strain_paths`.
        modes, energy
            How many fluctuation modes, or the share of the elastic energy of the fluctuations that they are to keep.
        images
            How many images of each path under the symmetries of the cell (:func:`femnn.multiscale.fe2.cell_images`) the
            modes are learned from, if it has so many; points are chosen by one of them. With 1 the path is itself.
        tol, method, on_unmet
            Of the cubature, see :meth:`femnn.reduced.EmpiricalCubature.fit`.
        snapshots
            What :func:`record_cell` collected along these very paths, so that they are not followed again.
        on_outside
            Action when strains or coefficients leave the range of training: ``"warn"`` once, ``"raise"`` or
            ``"ignore"``.
        progress
            Show bars, if stderr is a terminal.

        Raises
        ------
        ParameterError, DatasetError
            If arguments do not fit together, or the snapshots are of another cell.
        ConvergenceError
            If ``tol`` cannot be met with ``on_unmet="raise"``.
        LawError
            If the cell finds no equilibrium on a path.
        """
        paths = checked_paths(strains)
        if snapshots is None:
            snapshots = record_cell(cell, paths, progress=progress)
        snapshots.require(cell.solid)
        flat = paths.reshape(-1, 6)
        if len(snapshots) != len(flat):
            raise ParameterError(
                f"there are {len(snapshots)} snapshots and {len(flat)} strains of the paths; pass the paths that were "
                "recorded"
            )
        columns = np.stack([snapshot.u for snapshot in snapshots], axis=1)
        require_driven(cell, columns, flat)
        if images > 1:
            columns, flat, snapshots = imaged(cell, columns, paths, images)
        basis, projection = basis_of(cell, columns, flat, modes, energy, snapshots.fingerprint)
        cubature = EmpiricalCubature.fit(
            cell.solid,
            basis,
            snapshots,
            tol=tol,
            method=method,
            combinations=COMBINATIONS * basis.r,
            on_unmet=on_unmet,
            progress=progress,
        )
        reduced = ReducedProblem(cell.solid, basis, cubature)
        joints = Joints.of(cell, basis, snapshots, tol, progress)
        return cls(
            cell.solid.law,
            reduced.cells,
            reduced.strain_modes,
            reduced.volumes,
            cell.box.volume,
            basis.low,
            basis.high,
            cohesive=cell.cohesive,
            jumps=joints.jumps,
            areas=joints.areas,
            report={
                "snapshots": len(snapshots),
                "paths": len(paths),
                "strains": hashlib.sha256(paths.tobytes()).hexdigest(),
                "images": images,
                "modes": basis.r - 6,
                "points": cubature.n_points,
                "candidates": 8 * cell.mesh.nelements,
                "projection": projection,
                "residual": cubature.residual,
                "residual_of_the_interface": joints.residual,
                "tol": tol,
            },
            trained_on=_fingerprints(cell),
            on_outside=on_outside,
        )

    # --- one evaluation

    def _updated(self, strain, state, wanted):
        internal, old = self._internal(state), state[:, : self.r]
        n, last = len(strain), []
        least = np.maximum(1e-300, _LEAST * self._stiffness * np.linalg.norm(strain, axis=1))

        def at(q):
            # cells that stay where they were last have their answers already: most are done before the slowest one
            changed = (q != last[0].x).any(axis=1) if last else np.ones(n, dtype=bool)
            x = np.concatenate([strain[changed], q[changed]], axis=1)
            with diverging(FemnnError, ArithmeticError):
                answers = iter(self._evaluate(x, [array[changed] for array in internal]))
            found = [next(answers) if own else last[0].response[k] for k, own in enumerate(changed)]
            force = np.stack([answer.force for answer in found])
            size = np.maximum(least, np.linalg.norm(force[:, :6], axis=1))
            residual = -force[:, 6:]
            last[:] = [Iterate(q, residual, found, np.linalg.norm(residual, axis=1), size)]
            return last[0]

        def advance(point, errors):
            step, done = np.zeros_like(point.x), point.norm <= self.rtol * point.size
            for k in np.flatnonzero(~done):
                # it leads to the equilibrium, whose error is that of the forces
                matrix = self._matrix(point.response[k], exact=False)[6:, 6:]
                with diverging(np.linalg.LinAlgError):
                    step[k] = np.linalg.solve(matrix, point.residual[k])

            def accepts(found):
                better = found.norm <= np.maximum(point.norm, self.rtol * found.size)
                return np.full(n, len(errors) == 1) | better | done

            return search(lambda length: at(point.x + length[:, None] * step), accepts, most=_LENGTHS, shape=(n,))

        def is_solved(point, _):
            return bool(np.all(point.norm <= self.rtol * point.size))

        try:
            point, _ = iterate(at(old), is_solved, advance, _MOST)
        except Diverged as diverged:
            raise LawError(f"a reduced cell finds no equilibrium: {diverged}; take smaller steps") from diverged
        found = point.response
        new = np.stack([np.concatenate([q, answer.state]) for q, answer in zip(point.x, found, strict=True)])
        self._watch(strain, new)
        stress = np.stack([answer.force[:6] for answer in found]) / self.box_volume
        return stress, np.stack([self._condensed(answer) for answer in found]) if wanted else None, new

    def _evaluate(self, x, internal):
        """Answers of cells to strains and coefficients (n, 6 + r)."""
        points, joints = internal
        n, count = len(x), len(self.volumes)
        states = points.reshape(n * count, -1)
        stress, tangents, new = updated(self.law, self._points.strains(x), states, np.tile(self.cells, n))
        force, tangents, new = self._points.force(stress, n), tangents.reshape(n, count, 6, 6), new.reshape(n, -1)
        slopes = np.zeros((n, 0, 3, 3))
        if self.cohesive is not None and len(self.areas):
            flat = joints.reshape(n * len(self.areas), -1)
            state = State(np.ascontiguousarray(flat[:, :-1]), self.cohesive.name, flat[:, -1] > 0.5)
            traction, slopes, after = self.cohesive.update(self._interface.strains(x), state)
            force, slopes = force + self._interface.force(traction, n), slopes.reshape(n, -1, 3, 3)
            values = np.concatenate([after.values, after.outside[:, None].astype(float)], axis=1)
            new = np.concatenate([new, values.reshape(n, -1)], axis=1)
        return [_Answer(*parts) for parts in zip(force, tangents, slopes, new, strict=True)]

    def _matrix(self, answer, exact=True):
        """Tangent (6 + r, 6 + r) of the forces of a cell."""
        matrix = self._points.matrix(answer.tangents, exact)
        return matrix + self._interface.matrix(answer.slopes, exact) if len(self.areas) else matrix

    def _condensed(self, answer):
        """Derivative (6, 6) of the mean stress of a cell whose fluctuations follow."""
        matrix = self._matrix(answer)
        inner = np.linalg.solve(matrix[6:, 6:], matrix[6:, :6])
        return (matrix[:6, :6] - matrix[:6, 6:] @ inner) / self.box_volume

    def _internal(self, state):
        """States of the points (n, points, s) and of the interface (n, m, k) in states (n, s)."""
        n, first = len(state), self.r + len(self.volumes) * self._point_state.size
        points = state[:, self.r : first].reshape(n, len(self.volumes), self._point_state.size)
        return points, state[:, first:].reshape(n, len(self.areas), self._joint_state.size)

    def _watch(self, strain, state):
        count = int(np.count_nonzero(~self.in_range(strain, state)))
        if not count or self.on_outside == "ignore":
            self.outside += count
            return
        message = (
            f"{count} of {len(strain)} points have left the range of strains that the reduced cell was trained in; "
            "train it on paths that go further"
        )
        if self.on_outside == "raise":
            raise OutsideRangeError(f"{message}, or pass on_outside='warn'")
        if self.outside == 0:
            warn(f"{message}, or pass on_outside='raise' to stop there")
        self.outside += count

    # --- files

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``; returns the former. The laws are not in it."""
        tensors = {
            "modes": self.modes,
            "volumes": self.volumes,
            "cells": self.cells.astype(np.int64),
            "jumps": self.jumps,
            "areas": self.areas,
            "range.low": self.low,
            "range.high": self.high,
        }
        card = {
            "kind": KIND,
            "what": f"{self!r} of a periodic cell",
            "architectures": {"cell": {"points": len(self.volumes), "joints": len(self.areas), "r": self.r}},
            "trained_range": "strains and coefficients in range.low and range.high",
            "data": self.trained_on | {"box_volume": self.box_volume},
            "training": self.report,
            "test": {"residual": self.report.get("residual", 0.0)},
        }
        return save_weights(path, tensors, card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike, cell: PeriodicCell, *, on_outside: str = "warn") -> "ReducedCellLaw":
        """Read what :meth:`save` wrote, for the cell that it was made of, which gives the laws.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged or of another kind.
        ParameterError
            If the cell has another mesh, rule or law.
        """
        contents = load_contents(path, KIND)
        file = contents.file
        fields, data = contents.part("architectures").part("cell"), contents.part("data")
        count, joints, r = fields.count("points", 1), fields.count("joints", 0), fields.count("r", 1)
        for name, own in _fingerprints(cell).items():
            if data.text(name) != own:
                raise ParameterError(
                    f"{file.path} was made for a cell with another {name}: {brief(data.text(name))}, this cell has "
                    f"{brief(own)}; pass the cell of its training, or fit it to this one"
                )
        cells, volumes = contents.array("cells", (count,), np.int64), contents.array("volumes", (count,))
        if (cells < 0).any() or (cells >= cell.mesh.nelements).any() or not (volumes > 0.0).all():
            raise WeightFileError(f"{file.path} has points beyond the mesh or without volume; {file.remedy}")
        return cls(
            cell.solid.law,
            cells,
            contents.array("modes", (count, 6, 6 + r)),
            volumes,
            data.number("box_volume"),
            contents.array("range.low", (6 + r,)),
            contents.array("range.high", (6 + r,)),
            cohesive=cell.cohesive,
            jumps=contents.array("jumps", (joints, 3, 6 + r)),
            areas=contents.array("areas", (joints,)),
            report=dict(contents.part("training").fields),
            trained_on=_fingerprints(cell),
            on_outside=on_outside,
        )


@checked(strains="any")
def record_cell(
    cell: PeriodicCell, strains: ArrayLike, folder: str | os.PathLike | None = None, *, progress: bool = True
) -> Snapshots:
    """Displacements of a cell along paths (n, steps, 6), in memory or in a folder that an interrupted run continues.

    Whole paths that are in the folder already are not followed again.

    Raises
    ------
    DatasetError
        If the folder holds snapshots of another mesh, or of other paths.
    LawError
        If the cell finds no equilibrium, however short the steps are.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import PeriodicCell, cell_with_inclusions, draw_strain_paths, record_cell
    >>> cell = PeriodicCell(cell_with_inclusions(3, radius=0.2), femnn.J2(3e9, 0.3, 60e6, isotropic=1e8))
    >>> record_cell(cell, draw_strain_paths(2, steps=4), progress=False)
    Snapshots(8 of 192 unknowns, 2 paths)
    """
    paths = checked_paths(strains)
    snapshots = Snapshots(cell.solid, folder)
    steps = paths.shape[1]
    done = min(len(snapshots) // steps, len(paths))
    for k in range(steps - 1, done * steps, steps):
        corners, strain = cell.corner_dofs, paths[k // steps, -1]
        if np.abs(snapshots[k].u[corners] - cell.affine[corners] @ strain).max() > OTHER * np.abs(strain).max():
            raise DatasetError(f"{folder} has snapshots of other paths, number {k} for instance; pass another folder")
    snapshots.truncate(done * steps)
    with tqdm(
        total=len(paths) * paths.shape[1], initial=len(snapshots), unit="step", disable=None if progress else True
    ) as bar:
        for path in paths[done:]:
            snapshots.begin()
            for t, (strain, (_, state)) in enumerate(zip(path, driven(cell, path), strict=True), start=1):
                snapshots.append(cell.displacement(strain, state), t=float(t))
                bar.update()
    return snapshots


def _fingerprints(cell):
    mesh = fingerprint.numbering(cell.solid)[1]
    rule, law = fingerprint.of_groups(cell.solid.groups), fingerprint.of_law(cell.solid.law)
    return {"mesh": mesh, "rule": rule, "law": law, "interface": cell.cohesive.name if cell.cohesive else "none"}
