"""A recurrent law of stress and strain: units that yield, whose sum over the symmetries of a cell is its response."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, one_of, shaped
from femnn.exceptions import OutsideRangeError, ParameterError, WeightFileError, warn
from femnn.io.weight_files import load_contents, save_weights
from femnn.system.compile import njit

KIND = "recurrent-stress-strain"

#: Symmetries of the response by name, with the number of their rotations.
SYMMETRIES = {"none": 1, "orthotropic": 4, "cubic": 24}

# Components of the local strain of a unit.
RANK = 3

# How far beyond the largest strain of the training one may lie, over it.
_MARGIN = 0.1

# What compilers may do with sums; and what keeps the length of a vector of zeros from being divided by.
_FAST, _TINY = {"reassoc", "contract", "nsz", "arcp"}, 1e-300

#: Shear components of Mandel's vectors over those of engineering strains.
HALF = np.array([1.0, 1.0, 1.0, np.sqrt(0.5), np.sqrt(0.5), np.sqrt(0.5)])


class RecurrentLaw:
    """A trained stress-strain law with memory for :class:`femnn.Solid`; made by ``fit_recurrent_law`` or :meth:`load`.

    A recurrent network whose activation is the return to a yield surface: unit k has the local strain z = B_k ε, a
    plastic strain p and its length α, and yields where |z - (1 + h) p| reaches y + g α. The stress is

        σ = C ε - s Σ_k w_k Σ_Q (B_k Q)ᵀ p,

    summed over the rotations Q of the symmetry, so that turning a strain path by one of them turns the stress. Where
    bonds break, units that open come with them. Their separation is q = D_m (ε - θ ε_p), of an opening and two sliding
    components, where C ε_p is what the other units take away of the stress: a gap that plastic flow has opened closes
    later. The largest size so far κ of (⟨q_1⟩, q_2, q_3) takes away

        s Σ_m v_m Σ_Q d(κ) (D_m Q)ᵀ (⟨q_1⟩, g q_2, g q_3),    d = 1 - exp(-⟨κ - a⟩/c),

    of the stress: what is broken bears pressure, and does not heal. The tangent is the exact derivative, and symmetric
    without bonds or where θ = 0; units that yield dissipate, as their numbers are positive.

    Attributes
    ----------
    elastic : (6, 6)
        C (Pa), by Mandel's components.
    units : (k, 3, 6)
        B.
    weights, yields, isotropic, kinematic : (k,)
        w, y, g and h.
    openings : (m, 3, 6)
        D; m may be 0.
    bonds : (m, 5)
        v, a, c, g and θ.
    scale : float
        s (Pa).
    symmetry : str
        ``"none"``, ``"orthotropic"`` (half turns about the axes) or ``"cubic"``.
    limits : dict
        Largest ``"deviatoric"`` norm and ``"volumetric"`` strain, and largest ``"plastic"`` length of a unit, in
        training.
    outside : int
        Updates of a point so far that left them.

    Notes
    -----
    After the networks with laws in their hidden layer of M. A. Maia, I. B. C. M. Rocha, P. Kerfriden, F. P. van der
    Meer, CMAME 407 (2023) 115934, with symmetric maps into and out of that layer, an exact elastic part, bonds, and the
    symmetry of the cell. As for any law of rate-independent plasticity, shorter steps change a path's response by the
    error of the return alone.

    Examples
    --------
    >>> law = RecurrentLaw(100e9 * np.eye(6), np.eye(6)[None, 3:], [0.01], [1e-3], [0.1], [0.1], 1e9, symmetry="cubic")
    >>> stress, tangent, state = law.update([[0, 0, 0, 0, 0, 0.004]], law.initial_state(1))
    >>> stress.shape, tangent.shape
    ((1, 6), (1, 6, 6))
    """

    kinematics = "small"

    @checked(
        elastic="6 6",
        units="k 3 6",
        weights="k",
        yields="k",
        isotropic="k",
        kinematic="k",
        openings="m 3 6",
        bonds="m 5",
        scale="(0, inf)",
    )
    def __init__(
        self,
        elastic: ArrayLike,
        units: ArrayLike,
        weights: ArrayLike,
        yields: ArrayLike,
        isotropic: ArrayLike,
        kinematic: ArrayLike,
        scale: float,
        *,
        openings: ArrayLike | None = None,
        bonds: ArrayLike | None = None,
        symmetry: str = "cubic",
        limits: Mapping[str, float] | None = None,
        card: Mapping[str, Any] | None = None,
        on_outside: str = "warn",
    ) -> None:
        one_of("symmetry", symmetry, tuple(SYMMETRIES))
        self.elastic, self.units = np.asarray(elastic, dtype=float), np.asarray(units, dtype=float)
        self.scale, self.symmetry = scale, symmetry
        self.weights, self.yields = np.asarray(weights, dtype=float), np.asarray(yields, dtype=float)
        self.isotropic, self.kinematic = np.asarray(isotropic, dtype=float), np.asarray(kinematic, dtype=float)
        self.openings = np.zeros((0, RANK, 6)) if openings is None else np.asarray(openings, dtype=float)
        self.bonds = np.zeros((0, 5)) if bonds is None else np.asarray(bonds, dtype=float)
        if len(self.openings) != len(self.bonds):
            raise ParameterError(f"there are {len(self.openings)} openings and {len(self.bonds)} bonds; pass as many")
        for name in ("weights", "yields", "isotropic", "kinematic", "bonds"):
            # the last number of a bond, how far plastic flow opens it, may have any sign
            values = getattr(self, name)[..., :4] if name == "bonds" else getattr(self, name)
            if not (values > 0.0).all():
                raise ParameterError(f"{name} are {brief(values)}; they must be positive, or units would give energy")
        self.limits, self.card, self.outside = dict(limits or {}), dict(card or {}), 0
        self.on_outside = one_of("on_outside", on_outside, ("warn", "raise", "ignore"))
        turns = rotations(symmetry)
        # units side by side, (3, 6, number): kernels work on many at once
        turned = np.einsum("kai,gij->ajgk", self.units, turns)
        self._all = np.ascontiguousarray(turned.reshape(RANK, 6, -1))
        self._elastic = mean_over(turns, self.elastic)
        self._compliance = np.linalg.inv(self._elastic)
        opened = np.einsum("mai,gij->ajgm", self.openings, turns)
        self._all_openings = np.ascontiguousarray(opened.reshape(RANK, 6, len(turns) * len(self.openings)))
        bonds = self.bonds * [self.scale / len(turns), 1.0, 1.0, 1.0, 1.0]
        self._bonds = np.ascontiguousarray(np.tile(bonds.T, (1, len(turns))))
        columns = [self.scale * self.weights / len(turns), self.yields, self.isotropic, self.kinematic]
        self._numbers = np.ascontiguousarray(np.tile(np.stack(columns), (1, len(turns))))

    def __repr__(self) -> str:
        open_ones = f" and {len(self.openings)} that open" if len(self.openings) else ""
        return f"RecurrentLaw({len(self.units)} units{open_ones}, {self.symmetry} symmetry)"

    @checked(n="[0, inf)")
    def initial_state(self, n: int) -> np.ndarray:
        """State of ``n`` virgin points, (n, s)."""
        return np.zeros((n, self._split + self._bonds.shape[1]))

    @property
    def _split(self):
        """Numbers of a state that are those of the units which yield; what follows is those of the openings."""
        return self._all.shape[2] * (RANK + 1)

    @checked(strain="n 6", state="any")
    def update(
        self, strain: ArrayLike, state: ArrayLike, *, tangent: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Stress (n, 6), tangent (n, 6, 6) and new state (n, s), as :class:`femnn.ConstitutiveLaw` says.

        With ``tangent=False`` the tangent is left out, None, which saves most of the time.

        Raises
        ------
        OutsideRangeError
            With ``on_outside="raise"``, if a strain or state is beyond those of the training.
        """
        strain = np.asarray(strain, dtype=float)
        n = len(strain)
        state = np.ascontiguousarray(shaped("the state", state, (n, self._split + self._bonds.shape[1])))
        if not np.isfinite(state).all():
            raise ParameterError("the state is not finite; pass initial_state(n) or what update returned")
        mandel = np.ascontiguousarray(strain * HALF)
        stress, tangents, new = np.empty((n, 6)), np.empty((n if tangent else 0, 6, 6)), np.empty_like(state)
        _respond(mandel, state, self._elastic, self._all, self._numbers, stress, tangents, new)
        if len(self.bonds):
            _open(mandel, state, self._compliance, self._all_openings, self._bonds, stress, tangents, new)
        self._watch(strain, new)
        return stress * HALF, tangents * HALF[:, None] * HALF if tangent else None, new

    @checked(strain="n 6", state="n s")
    def in_range(self, strain: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Points (n,) bool whose strain (n, 6) and state (n, s) are no larger than those of the training."""
        return self._inside(strain, state)

    def _inside(self, strain, state):
        # states are long: checks of them would take as long as the law
        plastic = state[:, RANK * self._all.shape[2] : self._split]
        measures = measures_of(strain * HALF, plastic.max(axis=1))
        inside = np.ones(len(strain), dtype=bool)
        for name, limit in self.limits.items():
            inside &= measures[name] <= (1.0 + _MARGIN) * limit
        return inside

    @checked(state="n s")
    def plastic_lengths(self, state: np.ndarray) -> np.ndarray:
        """Lengths (n, units) of the plastic strains in states (n, s)."""
        return state[:, RANK * self._all.shape[2] : self._split]

    def _watch(self, strain, state):
        count = int(np.count_nonzero(~self._inside(strain, state)))
        if count and self.on_outside != "ignore":
            message = f"{count} of {len(strain)} points have left the range that {self!r} was trained in"
            if self.on_outside == "raise":
                raise OutsideRangeError(f"{message}; train it further out, or pass on_outside='warn'")
            if self.outside == 0:
                warn(f"{message}; train it further out, or pass on_outside='raise' to stop there")
        self.outside += count

    # --- files

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``; returns the former."""
        names = ("elastic", "units", "weights", "yields", "isotropic", "kinematic", "openings", "bonds")
        sizes = {"units": len(self.units), "openings": len(self.openings)}
        card = {
            "kind": KIND,
            "what": f"{self!r}, a stress-strain law with memory",
            "architectures": {"law": {**sizes, "symmetry": self.symmetry, "scale": self.scale}},
            "trained_range": self.limits,
            "data": self.card.get("data", {}),
            "training": self.card.get("training", {}),
            "test": self.card.get("test", {}),
        }
        return save_weights(path, {name: getattr(self, name) for name in names}, card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike, *, on_outside: str = "warn") -> "RecurrentLaw":
        """Read what :meth:`save` wrote.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged or of another kind.
        """
        contents = load_contents(path, KIND)
        file, card = contents.file, contents.fields
        fields = contents.part("architectures").part("law")
        k, m, symmetry = fields.count("units", 1), fields.count("openings", 0), fields.text("symmetry")
        limits = contents.part("trained_range")
        try:
            return cls(
                contents.array("elastic", (6, 6)),
                contents.array("units", (k, RANK, 6)),
                contents.array("weights", (k,)),
                contents.array("yields", (k,)),
                contents.array("isotropic", (k,)),
                contents.array("kinematic", (k,)),
                fields.number("scale"),
                openings=contents.array("openings", (m, RANK, 6)),
                bonds=contents.array("bonds", (m, 5)),
                symmetry=symmetry,
                limits={name: limits.number(name) for name in limits.fields},
                card=card,
                on_outside=on_outside,
            )
        except ParameterError as error:
            raise WeightFileError(f"{file.path} holds no such law: {error}; {file.remedy}") from error


def measures_of(mandel: np.ndarray, plastic: np.ndarray) -> dict[str, np.ndarray]:
    """Sizes (n,) of strains (n, 6) by Mandel and of states that a rotation leaves as they are, by name."""
    volumetric = mandel[:, :3].sum(axis=1)
    deviatoric = np.sqrt(np.maximum((mandel**2).sum(axis=1) - volumetric**2 / 3.0, 0.0))
    return {"deviatoric": deviatoric, "volumetric": np.abs(volumetric), "plastic": plastic}


@checked()
def rotations(symmetry: str) -> np.ndarray:
    """Rotations of a symmetry as orthogonal matrices (g, 6, 6) of Mandel's vectors, the identity first.

    Raises
    ------
    ParameterError
        If the symmetry is none of ``"none"``, ``"orthotropic"`` and ``"cubic"``.

    Examples
    --------
    >>> rotations("cubic").shape
    (24, 6, 6)
    """
    one_of("symmetry", symmetry, tuple(SYMMETRIES))
    found = []
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        for signs in np.ndindex(2, 2, 2):
            turn = np.zeros((3, 3))
            turn[range(3), order] = 1.0 - 2.0 * np.array(signs)
            if np.linalg.det(turn) > 0.0 and (symmetry == "cubic" or order == (0, 1, 2)):
                found.append(turn)
    turns = np.array(found[: SYMMETRIES[symmetry]])
    pairs, basis = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)), np.zeros((6, 3, 3))
    for k, (i, j) in enumerate(pairs):
        basis[k, i, j] = basis[k, j, i] = 1.0 if i == j else np.sqrt(0.5)
    return np.einsum("aij,gik,gjl,bkl->gab", basis, turns, turns, basis)


def mean_over(turns: np.ndarray, elastic: np.ndarray) -> np.ndarray:
    """Mean of an elastic tangent (6, 6), by Mandel, over the rotations (g, 6, 6) of a symmetry; exactly symmetric."""
    mean = np.einsum("gji,jk,gkl->il", turns, elastic, turns) / len(turns)
    return 0.5 * (mean + mean.T)


@njit(over="strains", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def _respond(begin, end, strains, states, elastic, units, numbers, stresses, tangents, new):  # noqa: C901
    """Stresses, tangents and new states (n, s) of units (3, 6, k) with numbers (4, k), side by side in memory.

    There may be no tangents, (0, 6, 6); what follows the units in a state is left as it is.
    """
    count, wanted = units.shape[2], tangents.shape[0] > 0
    weight, limit, isotropic, kinematic = numbers[0], numbers[1], numbers[2], numbers[3]
    z, along, across = np.empty((3, count)), np.empty(count), np.empty(count)
    bent = np.empty((3, count))
    for n in range(begin, end):
        strain, stress = strains[n], stresses[n]
        old, state = states[n, : 4 * count].reshape(4, count), new[n, : 4 * count].reshape(4, count)
        for a in range(3):
            for k in range(count):
                z[a, k] = units[a, 0, k] * strain[0] - (1.0 + kinematic[k]) * old[a, k]
            for i in range(1, 6):
                for k in range(count):
                    z[a, k] += units[a, i, k] * strain[i]
        yields = 0
        for k in range(count):
            length = np.sqrt(z[0, k] ** 2 + z[1, k] ** 2 + z[2, k] ** 2) + _TINY
            stiff = 1.0 / (1.0 + kinematic[k] + isotropic[k])
            flow = max((length - limit[k] - isotropic[k] * old[3, k]) * stiff, 0.0)
            yields += flow > 0.0
            state[3, k] = old[3, k] + flow
            across[k] = flow / length
            # of the derivative of the flow: across 1, and along the direction of z
            along[k] = (stiff - across[k]) / length**2 if flow > 0.0 else 0.0
            for a in range(3):
                state[a, k] = old[a, k] + across[k] * z[a, k]
        for i in range(6):
            stress[i] = 0.0
            for j in range(6):
                stress[i] += elastic[i, j] * strain[j]
            total = 0.0
            for a in range(3):
                for k in range(count):
                    total += units[a, i, k] * weight[k] * state[a, k]
            stress[i] -= total
        if not wanted:
            continue
        tangent = tangents[n]
        tangent[:] = elastic
        if yields == 0:
            continue
        for i in range(6):
            for k in range(count):
                inner = z[0, k] * units[0, i, k] + z[1, k] * units[1, i, k] + z[2, k] * units[2, i, k]
                for a in range(3):
                    bent[a, k] = weight[k] * (across[k] * units[a, i, k] + along[k] * inner * z[a, k])
            for j in range(i + 1):
                total = 0.0
                for a in range(3):
                    for k in range(count):
                        total += bent[a, k] * units[a, j, k]
                tangent[i, j] -= total
                if j < i:
                    tangent[j, i] -= total


@njit(over="strains", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def _open(begin, end, strains, states, compliance, openings, bonds, stresses, tangents, new):  # noqa: C901
    """Take what bonds (5, m) have lost from stresses and tangents; a state ends with the largest separations (m,).

    Openings are (3, 6, m), side by side in memory; there may be no tangents, (0, 6, 6).
    """
    count, wanted = openings.shape[2], tangents.shape[0] > 0
    first = states.shape[1] - count
    weight, onset, length, sliding, share = bonds[0], bonds[1], bonds[2], bonds[3], bonds[4]
    sound, q, force, damage = np.empty(6), np.empty((3, count)), np.empty((3, count)), np.empty((3, count))
    faster, by_force, by_q = np.empty(count), np.empty(count), np.empty((6, count))
    direct, flowing, elastic = np.empty((6, 6)), np.empty((6, 6)), np.empty((6, 6))
    for n in range(begin, end):
        strain, opened, largest = strains[n], states[n, first:], new[n, first:]
        # the elastic strain, which the stress of the units that yield has, less the whole
        for i in range(6):
            sound[i] = -strain[i]
            for j in range(6):
                sound[i] += compliance[i, j] * stresses[n, j]
        for a in range(3):
            q[a] = 0.0
            for i in range(6):
                for m in range(count):
                    q[a, m] += openings[a, i, m] * (strain[i] + share[m] * sound[i])
        broken = 0
        for m in range(count):
            q[0, m] = max(q[0, m], 0.0)
            size = np.sqrt(q[0, m] ** 2 + q[1, m] ** 2 + q[2, m] ** 2)
            grows = size > opened[m]
            largest[m] = max(size, opened[m])
            excess = largest[m] - onset[m]
            if excess <= 0.0:
                faster[m] = 0.0
                for a in range(3):
                    damage[a, m] = force[a, m] = 0.0
                continue
            broken += 1
            left = np.exp(-excess / length[m])
            lost = weight[m] * (1.0 - left)
            faster[m] = weight[m] * left / (length[m] * size) if grows else 0.0
            force[0, m], force[1, m], force[2, m] = q[0, m], sliding[m] * q[1, m], sliding[m] * q[2, m]
            damage[0, m] = lost if q[0, m] > 0.0 else 0.0
            damage[1, m] = damage[2, m] = lost * sliding[m]
        if broken == 0:
            continue
        for i in range(6):
            total = 0.0
            for a in range(3):
                for m in range(count):
                    total += openings[a, i, m] * damage[a, m] * q[a, m]
            stresses[n, i] -= total
        if not wanted:
            continue
        for j in range(6):
            for m in range(count):
                by_q[j, m] = q[0, m] * openings[0, j, m] + q[1, m] * openings[1, j, m] + q[2, m] * openings[2, j, m]
        for i in range(6):
            for m in range(count):
                by_force[m] = force[0, m] * openings[0, i, m] + force[1, m] * openings[1, i, m]
                by_force[m] = faster[m] * (by_force[m] + force[2, m] * openings[2, i, m])
            for j in range(6):
                total, plastic = 0.0, 0.0
                for m in range(count):
                    slope = by_force[m] * by_q[j, m]
                    for a in range(3):
                        slope += damage[a, m] * openings[a, i, m] * openings[a, j, m]
                    total += slope
                    plastic += share[m] * slope
                direct[i, j], flowing[i, j] = total - plastic, plastic
        for i in range(6):
            for j in range(6):
                elastic[i, j] = 0.0
                for k in range(6):
                    elastic[i, j] += compliance[i, k] * tangents[n, k, j]
        for i in range(6):
            for j in range(6):
                total = direct[i, j]
                for k in range(6):
                    total += flowing[i, k] * elastic[k, j]
                tangents[n, i, j] -= total
