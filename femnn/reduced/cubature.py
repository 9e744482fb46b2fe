"""Empirical cubature: a rule for a whole problem, a few cells or points of the mesh with positive weights."""

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import brief, checked, one_of, vector
from femnn.exceptions import ConvergenceError, ParameterError, WeightFileError, warn
from femnn.geometry.cells import KINDS, CellKind
from femnn.io.weight_files import load_contents, save_weights
from femnn.quadrature.rule import CellGroup, Rule
from femnn.reduced import fingerprint
from femnn.reduced.forms import FormProblem
from femnn.reduced.integrands import integrands_of
from femnn.reduced.least_squares import LeastSquaresIntegrands
from femnn.reduced.pod import POD
from femnn.reduced.row_space import RowMixture, RowSpace
from femnn.reduced.selection import METHODS, sparse_weights
from femnn.reduced.snapshots import as_snapshots

KIND = "empirical-cubature"
MEASURES = ("displacement", "force")
PROJECTIONS = ("galerkin", "least-squares")

# Bytes that the integrals of one block of snapshots may take.
_BLOCK = 2**28

# What is left out of the integrals, as part of the tolerance times √(columns / candidates), which weights multiply.
_TRUNCATED = 0.1

# Eigenvalues of a reduced tangent below this part of the largest are not inverted: the structure is at its limit there.
_SOFTEST = 1e-10


class EmpiricalCubature(Rule):
    """A rule that integrates the internal forces of a reduced basis, and those alone; made by :meth:`fit`.

    Its groups hold the chosen cells; all others have weight zero. Points are those of the rule that it was made from,
    weights are positive and sum to the volume. Since the points are those of one energy, forces and tangents that are
    integrated by it belong to each other.

    Attributes
    ----------
    cells : (m,) int64
        The chosen cells, ascending.
    weights : (m,)
        How many times its own volume each of them stands for; with ``by="points"`` of all its points together.
    residual : float
        Error of the training integrals in the measure of the fit, relative.
    report : dict
        ``"rows"`` that were integrated, ``"lost"``: bound of what the truncation adds to ``residual``,
        ``"snapshots"``, ``"measure"``, ``"method"``, ``"tol"``, ``"projection"``.
    trained_on : dict
        Fingerprints of ``"cells"``, ``"rule"``, ``"law"`` and of each of the ``"modes"``.

    See Also
    --------
    femnn.reduced.ReducedProblem : what it is made for.
    femnn.reduced.sparse_weights : the search by itself.

    Examples
    --------
    Two modes of a plate that conducts heat need a few of its 64 cells:

    >>> import femnn, numpy as np, skfem
    >>> from femnn.reduced import POD, EmpiricalCubature, FormProblem
    >>> from skfem.helpers import dot, grad
    >>> residual = skfem.LinearForm(lambda v, w: dot(grad(w["u"]), grad(v)))
    >>> tangent = skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v)))
    >>> mesh = skfem.MeshQuad().refined(3)
    >>> problem = FormProblem(mesh, skfem.ElementQuad1(), femnn.GaussLegendre(2), residual, tangent)
    >>> columns = np.stack([np.sin(mesh.p[0]), mesh.p[0] * mesh.p[1]], axis=1)
    >>> pod = POD.fit(columns, modes=2)
    >>> cubature = EmpiricalCubature.fit(problem, pod, columns, by="cells", tol=1e-6, progress=False)
    >>> len(cubature.cells) < 10, bool(cubature.weights.min() > 0.0)
    (True, True)
    """

    cell_kinds: ClassVar[tuple[CellKind, ...]] = KINDS
    leaves_out: ClassVar[bool] = True

    @checked(n_cells="[1, inf)", residual="[0, inf)")
    def __init__(self, groups: list, n_cells: int, *, by: str, residual: float, report: dict, trained_on: dict) -> None:
        try:
            self._chosen = [CellGroup(*group) for group in groups]
        except TypeError as error:
            raise ParameterError(f"groups are {brief(groups)}; pass a list of CellGroup") from error
        self.n_cells, self.by = n_cells, one_of("by", by, ("points", "cells"))
        self.residual, self.report, self.trained_on = residual, report, trained_on

    @property
    def cells(self) -> np.ndarray:
        """The chosen cells, ascending."""
        return np.sort(np.concatenate([group.cells for group in self._chosen]))

    @property
    def weights(self) -> np.ndarray:
        """Sum of the weights of each of :attr:`cells`: that of a rule for a cell is one."""
        cells = np.concatenate([group.cells for group in self._chosen])
        sums = np.concatenate([group.W.sum(axis=1) for group in self._chosen])
        return sums[np.argsort(cells)]

    @property
    def n_points(self) -> int:
        """Number of integration points."""
        return sum(group.n_points for group in self._chosen)

    def __repr__(self) -> str:
        return (
            f"EmpiricalCubature({self.n_points} points in {len(self.cells)} of {self.n_cells} cells, residual "
            f"{self.residual:.1e})"
        )

    def __str__(self) -> str:
        report = self.report
        return "\n".join(
            [
                repr(self),
                f"  {report['snapshots']} snapshots, {report['rows']} integrals, {report['method']}, tol "
                f"{report['tol']:g} of the {report['measure']}",
                f"  law {self.trained_on['law']}, {len(self.trained_on['modes'])} modes",
            ]
        )

    @classmethod
    @checked(snapshots="unchecked", tol="(0, 1)", most="[1, inf)", combinations="[1, inf)", force="any")
    def fit(
        cls,
        problem: Any,
        basis: POD,
        snapshots: Any,
        *,
        rule: Rule | None = None,
        by: str = "points",
        tol: float = 1e-3,
        method: str = "nnls",
        measure: str = "displacement",
        most: int | None = None,
        combinations: int | None = None,
        projection: str = "galerkin",
        force: ArrayLike | None = None,
        on_unmet: str = "raise",
        progress: bool = True,
    ) -> "EmpiricalCubature":
        """Choose cells or points so that the internal forces at all snapshots, projected on the modes, stay the same.

        Snapshots are read in blocks; in memory are the integrals of one block and those combinations of all that
        matter to the tolerance.

        Parameters
        ----------
        problem
            A :class:`femnn.Solid` with ``formulation="standard"``, a :class:`femnn.reduced.FormProblem`, or a function
            of a state u (n,) that gives the integrals (k, cells) of each cell.
        basis
            The modes; snapshots are projected on them first.
        snapshots
            :class:`femnn.reduced.Snapshots`, or columns (n, number). For laws with memory those of a path follow each
            other, each a step of it.
        rule
            The rule whose points are chosen from, by default that of the problem. Another one cannot be chosen from:
            make the problem with it.
        by
            ``"points"`` or ``"cells"``; cells keep all their points. Forms take cells alone.
        tol
            Greatest residual.
        method
            ``"nnls"`` or ``"greedy"``, see :func:`femnn.reduced.sparse_weights`.
        measure
            ``"displacement"``: residual forces are divided by the reduced tangent, so that ``tol`` is about the error
            which the cubature adds to the coefficients of a static solution (for laws with memory forces are measured,
            which have no tangent of their own). ``"force"`` measures forces, as they accelerate a structure.
        most
            Most candidates chosen.
        combinations
            How many random combinations stand for the integrals of all snapshots, some four times the points that are
            expected; by default these are decomposed, which takes long where many matter, as for laws with memory. The
            residual is then measured on other combinations than those of the search.
        projection, force
            As of :class:`femnn.reduced.ReducedProblem`. With ``"least-squares"`` internal and external forces are
            tested by the derivative of the residual, and the matrix of the least squares is integrated besides;
            ``measure`` is then ``"force"``.
        on_unmet
            Action if ``tol`` cannot be met: ``"raise"``, or ``"warn"`` and take the best rule found.
        progress
            False shows no progress bar.

        Raises
        ------
        DatasetError
            If the snapshots are of another mesh, or there are none.
        ParameterError
            If arguments do not fit together.
        ConvergenceError
            If ``tol`` cannot be met with ``on_unmet="raise"``; its ``x`` is the best rule found.
        """
        one_of("by", by, ("points", "cells"))
        one_of("method", method, METHODS)
        one_of("measure", measure, MEASURES)
        one_of("on_unmet", on_unmet, ("raise", "warn"))
        snapshots = as_snapshots(snapshots)
        _require_same(problem, basis, snapshots)
        integrands = _integrands(problem, basis, by, one_of("projection", projection, PROJECTIONS), force)
        if rule is not None and fingerprint.of_groups(_groups_of(rule, integrands)) != integrands.rule:
            raise ParameterError(f"{rule!r} is not the rule of the problem; make the problem with it, or pass None")
        fit = _Fit(integrands, basis, snapshots, measure, tol, combinations, progress)
        space, target = fit.decompose()
        rows = space.rows
        if method == "greedy":
            # all functions alike: the search integrates one after the other exactly
            rows, target = rows[rows.any(axis=1)], target[rows.any(axis=1)]
            scale = 1.0 / np.linalg.norm(rows, axis=1)
            rows, target = rows * scale[:, None], target * scale
        size = float(np.linalg.norm(target))
        volume = integrands.volumes.sum()
        matrix = np.concatenate([rows, integrands.volumes[None] * (size / volume)])
        target = np.append(target, size)
        unseen = space.control if isinstance(space, RowMixture) else space.rows
        # the residual on what the search has not seen is larger than on what it has
        for share in (0.7,) if combinations is None else (0.4, 0.2, 0.1):
            found = sparse_weights(matrix, target, tol=share * tol, method=method, most=most, progress=progress)
            # the volume is exact
            weights = found.weights * volume / (found.weights @ integrands.volumes[found.chosen])
            away = -np.ones(len(integrands.volumes))
            away[found.chosen] += weights
            residual = float(np.linalg.norm(unseen @ away) / fit.size)
            if residual <= tol:
                break
        cubature = cls(
            _chosen_groups(integrands, by, found.chosen, weights),
            len(_cells_of(integrands)),
            by=by,
            residual=residual,
            report={
                "rows": len(space.rows),
                "lost": float(space.lost * np.linalg.norm(away) / fit.size),
                "snapshots": len(snapshots),
                "measure": fit.measure,
                "method": method,
                "tol": tol,
                "projection": projection,
            },
            trained_on={
                "cells": "" if integrands.mesh_cells is None else fingerprint.of_cells(integrands.mesh_cells),
                "rule": integrands.rule,
                "law": integrands.law,
                "modes": fingerprint.of_columns(basis.modes),
            },
        )
        if residual > tol:
            _unmet(cubature, tol, on_unmet)
        return cubature

    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        if not self.trained_on["cells"]:
            raise ParameterError(
                "this cubature was made of the integrals of a function, it knows no mesh; take its cells and weights"
            )
        if len(hexahedra) != self.n_cells or fingerprint.of_cells(hexahedra) != self.trained_on["cells"]:
            raise ParameterError(
                f"this cubature was made for one mesh of {self.n_cells} cells, these {len(hexahedra)} are others or "
                "have other coordinates; fit it again, or pass femnn.GaussLegendre(2)"
            )
        return self._chosen

    # --- files

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``; returns the former."""
        tensors: dict[str, np.ndarray] = {}
        for k, group in enumerate(self._chosen):
            parts = {"cells": group.cells.astype(np.int64), "X": group.X, "W": group.W}
            tensors |= {f"{k}.{name}": array for name, array in parts.items()}
        card = {
            "kind": KIND,
            "what": f"{self.n_points} points in {len(self.cells)} of {self.n_cells} cells that integrate the internal "
            f"forces of {len(self.trained_on['modes'])} modes",
            "architectures": {"groups": {"count": len(self._chosen), "n_cells": self.n_cells, "by": self.by}},
            "trained_range": "states of the basis within the range of its snapshots",
            "data": self.trained_on,
            "training": self.report,
            "test": {"residual": self.residual},
        }
        return save_weights(path, tensors, card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike) -> "EmpiricalCubature":
        """Read what :meth:`save` wrote.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged or of another kind.
        """
        contents = load_contents(path, KIND)
        file, tensors = contents.file, contents.arrays
        fields, trained_on = contents.part("architectures").part("groups"), contents.part("data")
        n_cells, groups = fields.count("n_cells", 1), []
        for k in range(fields.count("count", 1)):
            cells = contents.array(f"{k}.cells", (None,), np.int64)
            weights = contents.array(f"{k}.W", (len(cells), None))
            points = np.asarray(tensors.get(f"{k}.X"))
            if points.shape not in ((3, *weights.shape), (2, *weights.shape), (1, *weights.shape)):
                raise file.refused(f"{k}.X has shape {points.shape}, the weights {weights.shape}")
            if (weights <= 0.0).any() or (cells < 0).any() or (cells >= n_cells).any():
                raise file.refused(f"group {k} has weights that are not positive, or cells beyond the mesh")
            groups.append(CellGroup(cells, points, weights))
        by = fields.text("by")
        if by not in ("points", "cells"):
            raise WeightFileError(f"{file.path} chooses by {brief(by)}; {file.remedy}")
        trained = {name: trained_on.text(name) for name in ("cells", "rule", "law")}
        return cls(
            groups,
            n_cells,
            by=by,
            residual=contents.part("test").number("residual"),
            report=dict(contents.part("training").fields),
            trained_on=trained | {"modes": trained_on.texts("modes")},
        )


class _Fit:
    """One pass over the snapshots: the row space of their integrals, measured as asked."""

    def __init__(self, integrands, basis, snapshots, measure, tol, combinations, progress) -> None:
        self.integrands, self.basis, self.snapshots = integrands, basis, snapshots
        self.measure, self.tol, self.combinations, self.progress = measure, tol, combinations, progress
        self.size = 0.0

    def decompose(self):
        """The rows that count, and their sums (k,); ``size`` becomes the norm of the sums of all integrals."""
        n = len(self.integrands.volumes)
        count = max(1, int(_BLOCK // (8 * n * self.integrands.count)))
        expected = 4.0 * self.basis.r + 20.0
        space: RowSpace | RowMixture
        if self.combinations is None:
            space = RowSpace(n, _TRUNCATED * self.tol * float(np.sqrt(min(1.0, expected / n))))
        else:
            space = RowMixture(n, self.combinations)
        with tqdm(total=len(self.snapshots), unit="snapshot", disable=None if self.progress else True) as bar:
            square, magnitude = 0.0, 0.0
            for states in self._blocks(count):
                rows = self._measured(self.integrands.rows(states), states)
                rows = rows.reshape(-1, n)
                square += float((rows.sum(axis=1) ** 2).sum())
                magnitude += float((np.abs(rows).sum(axis=1) ** 2).sum())
                space.add(rows)
                bar.update(states.shape[1])
                bar.set_postfix(rows=len(space.rows), refresh=False)
        # forces that cancel, as those of prescribed displacements alone, are measured by what cancels
        self.size = float(np.sqrt(max(square, 1e-8 * magnitude)))
        if not self.size > 0.0:
            raise ParameterError("all integrals are zero at all snapshots: nothing has to be integrated")
        return space, space.rows.sum(axis=1)

    def _blocks(self, count):
        """Projected states (n, count or fewer), the problem being told of each new path."""
        path, start = None, 0
        heads = self.snapshots.heads
        while start < len(heads):
            if heads[start].path != path:
                path = heads[start].path
                self.integrands.begin()
            end = start + 1
            while end < len(heads) and end - start < count and heads[end].path == path:
                end += 1
            columns = np.stack([self.snapshots[k].u for k in range(start, end)], axis=1)
            yield self.basis.lift(self.basis.project(columns))
            start = end

    def _measured(self, rows, states):
        """The integrals (states, r, n) as errors of the coefficients, if they are measured so."""
        k, tangents = self.basis.n_lifting, None
        if self.measure == "displacement":
            tangents = self.integrands.tangents(states)
        if tangents is None:
            self.measure = "force"
            return rows
        for s, tangent in enumerate(tangents):
            rows[s, k:] = np.linalg.pinv(tangent[k:, k:], rcond=_SOFTEST) @ rows[s, k:]
            if k:
                # what prescribed values need of forces, by what they are: of the size of the coefficients
                rows[s, :k] /= np.linalg.norm(tangent[:k, :k])
        return rows


def _integrands(problem, basis, by, projection, force):
    """What has to be integrated for a projection."""
    if projection == "galerkin":
        if force is not None:
            raise ParameterError("force= is for projection='least-squares'; leave it out")
        return integrands_of(problem, basis.modes, by, basis.offset)
    if not isinstance(problem, FormProblem):
        raise ParameterError(f"least squares take a femnn.reduced.FormProblem, not {brief(problem)}")
    known = np.zeros(basis.n) if force is None else vector(force, basis.n, "the force")
    return LeastSquaresIntegrands(problem, basis, by, known)


def _require_same(problem, basis, snapshots):
    """Raise unless problem, basis and snapshots are of one mesh and numbering."""
    if len(snapshots) == 0:
        raise ParameterError("there are no snapshots; compute some solutions first")
    if snapshots.n != basis.n:
        raise ParameterError(f"the snapshots have {snapshots.n} unknowns, the basis {basis.n}; fit it to them")
    if hasattr(problem, "residual_and_tangent"):
        snapshots.require(problem)
        n = fingerprint.numbering(problem)[0]
        if n != basis.n:
            raise ParameterError(f"the problem has {n} unknowns, the basis {basis.n}; fit the basis to its snapshots")


def _groups_of(rule, integrands):
    if integrands.mesh_cells is None:
        raise ParameterError("integrals that a function gives have no rule; pass rule=None")
    return rule.groups(integrands.mesh_cells)


def _cells_of(integrands):
    return np.concatenate([group.cells for group in integrands.groups])


def _chosen_groups(integrands, by, chosen, weights):
    """Groups of the chosen candidates, with as many points in each cell as were chosen of it."""
    result, start = [], 0
    for group in integrands.groups:
        m, nqp = len(group.cells), group.W.shape[-1]
        X = np.broadcast_to(group.X if group.X.ndim == 3 else group.X[:, None], (len(group.X), m, nqp))
        W = np.broadcast_to(group.W, (m, nqp))
        factors = np.zeros(m * nqp if by == "points" else m)
        inside = (chosen >= start) & (chosen < start + len(factors))
        factors[chosen[inside] - start] = weights[inside]
        start += len(factors)
        factors = np.broadcast_to(factors.reshape(m, -1), (m, nqp))
        counts = (factors > 0.0).sum(axis=1)
        for count in np.unique(counts[counts > 0]):
            rows = np.flatnonzero(counts == count)
            order = np.argsort(factors[rows] <= 0.0, axis=1, kind="stable")[:, :count]
            at = rows[:, None], order
            result.append(CellGroup(group.cells[rows], X[:, at[0], at[1]], (W * factors)[at]))
    return result


def _unmet(cubature, tol, on_unmet):
    message = (
        f"the best rule found has a residual of {cubature.residual:.2e} with {cubature.n_points} points, tol is "
        f"{tol:g}; take a larger tol, more points (most=None), or by='points'"
    )
    if on_unmet == "raise":
        raise ConvergenceError(
            f"{message}; or take that rule with on_unmet='warn'", cubature, np.array([cubature.residual])
        )
    warn(message)
