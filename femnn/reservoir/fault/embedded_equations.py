"""The equations of a time step of a reservoir with embedded faults.

Unknowns are x = (u, ξ, p, p_f, b): displacements, jumps of the cut cells (:mod:`femnn.interfaces.embedded`), pressures
of the pores, one pressure of the fault in each cut cell, and jumps of the pressures of the pores where a fault seals
(:mod:`femnn.reservoir.fault.embedded_pores`). With the motions R of the vertices behind the crack, the
strain of the skeleton is that of u − R ξ, in the balance of the pores as well. A jump r_k of a cut cell is in
equilibrium where

    ∫_Γ r_k·(T(δ₀ + δ) − T₀ − p_f n) dΓ = ∫_Γ r_k·(σ' − α p) n dΓ

in excess of the state in situ: the law bears the effective traction and the fluid of the fault its pressure, and both
bear the total traction of the rock. The volume of the fault's fluid in a cell changes by

    Δ∫_Γ δ_n dΓ + A S Δp_f + Δt Σ T (p_f − p_f') + Δt Σ_i L_i (p_f − p̄_i) = Δt q

with the flows of :mod:`femnn.reservoir.fault.embedded_flow`, so that the power of p_f on the opening is that of the
fluid which fills it.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import skfem
from scipy.sparse import block_array, coo_array, csr_array

from femnn.checks import positive
from femnn.exceptions import ParameterError
from femnn.geometry.mesh import RelativeMapping
from femnn.interfaces.embedded import EmbeddedElements
from femnn.reservoir.conditions import evaluate
from femnn.reservoir.fault.embedded_flow import Channels
from femnn.reservoir.fault.embedded_pores import ContinuousPores, SidedPores
from femnn.reservoir.fault.in_situ import brought_in_situ
from femnn.reservoir.fault.predictions import predicted_by
from femnn.reservoir.states import PorousState


class PartResponse(NamedTuple):
    """What one fault answers in a step: the law's response, and its flows with their derivatives by the jumps."""

    law: Any
    along: np.ndarray
    along_slope: np.ndarray
    leak: np.ndarray
    leak_slope: np.ndarray


class Part:
    """One embedded fault in a porous problem: its elements, channels, state in situ, and place among the unknowns.

    Attributes
    ----------
    elements : EmbeddedElements
    channels : Channels
    separation, traction : (points, 3)
        In situ.
    state : State
        History in situ.
    wells : list of (cell, well, index)
    pores : ContinuousPores
        What is around it.
    seals : bool
        Whether the pressures of the pores jump across it.
    """

    def __init__(self, fault, porous) -> None:
        crack, medium = fault.crack, porous.medium
        self.fault, self.biot = fault, porous.constants.biot[:, crack.elements]
        young, poisson = (
            values[0] if len(values) == 1 else values for values in np.broadcast_arrays(medium.young, medium.poisson)
        )
        self.elements = EmbeddedElements(crack, young, poisson, fault.modes)
        self.channels = Channels(crack, porous)
        faces, dx = self.elements.faces, crack.dx
        self.opening = np.einsum("nqm,nq->nm", faces[:, :, 0], dx)
        self.x = crack.x.reshape(-1, crack.mesh.dim()).T
        frames = np.repeat(self.elements.frame[:, :, None], self.elements.points, axis=2)
        # at once, so that no rate is in it, whatever time the law was told elsewhere
        fault.law.set_time(getattr(fault.law, "start", 0.0))
        self.separation, self.state, self.traction = brought_in_situ(fault, self.x, frames)
        self.wells = [(self.channels.nearest(well.x), well, _index(well)) for well in fault.wells]
        self.seals = self._is_sealing()
        self.pores = SidedPores(self.channels, porous, self.elements) if self.seals else ContinuousPores(self.channels)
        pressed = np.einsum("nqm,nqk,nq->nmk", faces[:, :, 0], self.channels.shapes, dx)
        self.pressed = self.pores.pressed(pressed)
        self.strained = self.pores.strained(_strained(crack) @ self.elements.moved)

    def _is_sealing(self):
        """Whether the core holds back more than the rock, so that a cell needs two pressures, or the fault says so."""
        none = np.zeros_like(self.separation)
        value, _ = self.across(none, predicted_by(self.fault.law, self.separation, self.state, self.state))
        with np.errstate(divide="ignore"):
            core = 1.0 / value
        seals = core > self.channels.rock
        if self.fault.sealing is False and seals.any():
            cell = int(seals.argmax())
            raise ParameterError(
                f"the core of the embedded fault resists flow across it with {core[cell]:.3g} Pa s/m in element "
                f"{self.channels.crack.elements[cell]}, more than the rock of that cell with "
                f"{self.channels.rock[cell]:.3g} Pa s/m: with sealing=False the pressures of the pores do not jump "
                "across it. Pass sealing=None or True, or a core that lets more through"
            )
        return bool(seals.any()) if self.fault.sealing is None else self.fault.sealing

    def separations(self, jumps):
        """Since the state in situ, (points, 3)."""
        return self.elements.separation(jumps.reshape(self.opening.shape))

    def across(self, change, predicted):
        """Transmissivity of the core by area over the viscosity, mean of each cell (n,), and by the jumps (n, m)."""
        return self._of_core("transmissivity", change, predicted)

    def conductance(self, change, predicted):
        """k_∥ a/μ, as :meth:`across`."""
        return self._of_core("conductance", change, predicted)

    def storage(self, state):
        """Volume by area and pressure that the core stores in a step from a history, (n,), m/Pa."""
        core, law = self.fault.core, self.fault.law
        stored = np.full(len(self.channels), getattr(core, "storage", 0.0))
        if np.isfinite(getattr(core, "fluid_bulk", np.inf)):
            stored = stored + self.channels.mean_of(core.capacity(law.predictions(state)))
        return stored

    def respond(self, jumps, state):
        """:class:`PartResponse` at jumps (n · m,), from a history."""
        change = self.separations(jumps)
        law = self.fault.law.update(self.separation + change, state)
        predicted = predicted_by(self.fault.law, self.separation + change, state, law.state)
        conductance, by_jumps = self.conductance(change, predicted)
        along, slope = self.channels.along(conductance)
        across, across_by_jumps = self.across(change, predicted)
        leak, leak_slope = self.pores.leak(across)
        along_slope = slope[:, :, None] * by_jumps[self.channels.pairs]
        return PartResponse(law, along, along_slope, leak, leak_slope[:, :, None] * across_by_jumps)

    def borne(self, traction):
        """∫_Γ r_k·t dΓ of tractions (points, 3), (n, m)."""
        dx = self.elements.dx
        return np.einsum("nqjm,nqj,nq->nm", self.elements.faces, traction.reshape(*dx.shape, 3), dx)

    def fed(self, t, pressure):
        """Volume by time (n,) that the wells of the fault feed, and what that loses by pressure."""
        rates, losses = np.zeros(len(self.channels)), np.zeros(len(self.channels))
        for cell, well, index in self.wells:
            x, what = np.asarray(well.x, dtype=float), f"the well of the fault at {np.asarray(well.x).tolist()}"
            if well.rate is not None:
                rates[cell] += evaluate(well.rate, x[:, None], t, f"rate of {what}")[0]
            else:
                held = evaluate(well.pressure, x[:, None], t, f"pressure of {what}")[0]
                rates[cell] += index * (held - pressure[cell])
                losses[cell] += index
        return rates, losses

    def _of_core(self, name, change, predicted):
        answer = getattr(self.fault.core, name)(change, predicted)
        n, m = self.opening.shape
        if answer is None:
            return np.zeros(n), np.zeros((n, m))
        viscosity, dx = self.channels.viscosity, self.elements.dx
        value, slope = answer
        by_jumps = np.einsum("nqj,nqjm,nq->nm", slope.reshape(*dx.shape, 3), self.elements.faces, dx)
        mean = self.channels.mean_of(value)
        return mean / viscosity, by_jumps / (self.channels.area * viscosity)[:, None]


class EmbeddedEquations:
    """Residual and tangent of an implicit Euler step, with the signs of :meth:`PorousProblem.residual`.

    Parameters
    ----------
    parts : sequence of Part
    porous : PorousProblem

    Attributes
    ----------
    n_u, n_jumps, n_p, n_cells, n_sides : int
        Numbers of displacements, jumps, pressures of the pores, cut cells, and vertices at which these pressures jump.
    jumps, cells, points, sides : list of slice
        Of each fault.
    volumes : (n, n) sparse
        What the test functions of the fluid gain as the unknowns change, beside what the porous problem knows.
    flows : (n, n) sparse
        What they gain by time, beside it.
    """

    def __init__(self, parts, porous) -> None:
        self.parts, self.porous, self._porous_tangent = parts, porous, ((), None)
        self.n_u, self.n_p = porous.n_u, len(porous.systems) * porous.pressure_basis.N
        jumps, cells = [part.opening.size for part in parts], [len(part.channels) for part in parts]
        self.n_jumps, self.n_cells = sum(jumps), sum(cells)
        points, sides = [part.elements.points for part in parts], [len(part.pores.vertices) for part in parts]
        self.n_sides = sum(sides)
        self.size = self.n_u + self.n_jumps + self.n_p + self.n_cells + len(porous.systems) * self.n_sides
        self.jumps, self.cells, self.points, self.sides = map(_slices, (jumps, cells, points, sides))
        self._linear, self.volumes, self.flows = self._constant()

    def split(self, x):
        """Displacements, jumps, pressures of the pores and of the faults, and jumps of those of the pores."""
        return np.split(x, np.cumsum([self.n_u, self.n_jumps, self.n_p, self.n_cells]))

    def separations(self, jumps):
        """Since the state in situ, of the points of all faults, (points, 3)."""
        return np.concatenate([part.separations(jumps[own]) for part, own in zip(self.parts, self.jumps, strict=True)])

    def evaluate(self, x, state, dt):
        """Residual (n,) and the :class:`PartResponse` of each fault, at ``x`` a step ``dt`` after ``state``."""
        u, jumps, p, pressure, _ = self.split(x)
        body = self.porous.residual(np.concatenate([u, p]), body_of(state), dt)
        out = self._linear @ x + self.volumes @ (x - state.x) + dt * (self.flows @ x)
        out[: self.n_u] += body[: self.n_u]
        begin = self.n_u + self.n_jumps
        out[begin : begin + self.n_p] += body[self.n_u :]
        responses = []
        for part, own, cells, history in zip(self.parts, self.jumps, self.cells, state.histories, strict=True):
            part.fault.law.set_time(state.t + dt)
            response = part.respond(jumps[own], history)
            responses.append(response)
            out[self.n_u :][own] += part.borne(response.law.traction - part.traction).ravel()
            out += dt * self._flows(len(responses) - 1, response, x)
            stored = part.storage(history) * part.channels.area * (pressure[cells] - state.fault_pressure[cells])
            fed = dt * part.fed(state.t + dt, pressure[cells])[0]
            out[begin + self.n_p :][cells] += fed - stored
        return out, responses

    def beside(self, number, x):
        """Pressures (sides, s, n) of the pores beside a fault: one side, or minus and plus if it seals."""
        pores, systems = self.parts[number].pores, range(len(self.porous.systems))
        own = np.array([x[self._pore_rows(number, system)] for system in systems])
        return np.array([np.einsum("snc,nc->sn", own, weights) for weights in pores.sides])

    def leaks(self, number, response, x):
        """Volume by time (sides, s, n) from a fault into the pores."""
        pressure = self.split(x)[3][self.cells[number]]
        return response.leak * (pressure - self.beside(number, x))

    def _flows(self, number, response, x):
        """Volume by time (n,) that flows bring to the test functions."""
        out, part = np.zeros(self.size), self.parts[number]
        leaks = self.leaks(number, response, x)
        for side, weights in zip(leaks, part.pores.sides, strict=True):
            for system, leak in enumerate(side):
                np.add.at(out, self._pore_rows(number, system), leak[:, None] * weights)
        pressure = self.split(x)[3][self.cells[number]]
        first, second = part.channels.pairs.T
        flow = response.along * (pressure[first] - pressure[second])
        own = self.split(out)[3][self.cells[number]]
        own -= leaks.sum(axis=(0, 1))
        np.add.at(own, first, -flow)
        np.add.at(own, second, flow)
        return out

    def tangent(self, x, responses, state, dt):
        """Derivative (n, n) of the residual where the faults answered ``responses``."""
        pressure, blocks = self.split(x)[3], []
        for number, (part, response) in enumerate(zip(self.parts, responses, strict=True)):
            dx, faces = part.elements.dx, part.elements.faces
            of_law = response.law.tangent.reshape(*dx.shape, 3, 3)
            rows = self._jump_rows(number)
            blocks.append((rows, rows, np.einsum("nqim,nqij,nqjk,nq->nmk", faces, of_law, faces, dx)))
            own = self._cell_rows(number)
            history, cells = state.histories[number], self.cells[number]
            loss = part.storage(history) * part.channels.area + dt * part.fed(state.t + dt, pressure[cells])[1]
            blocks.append((own, own, -loss[:, None, None]))
            blocks += self._leak_blocks(number, response, x, dt)
            blocks += self._along_blocks(number, response, pressure[cells], dt)
        constant = self._of_body(state, dt) + self._linear + self.volumes + dt * self.flows
        return csr_array(constant + _assembled(blocks, self.size))

    def _leak_blocks(self, number, response, x, dt):
        own, rows, blocks = self._cell_rows(number), self._jump_rows(number), []
        differences = self.split(x)[3][self.cells[number]] - self.beside(number, x)
        sides = self.parts[number].pores.sides
        for (side, mean), (system, leak) in product(enumerate(sides), enumerate(response.leak)):
            pores = self._pore_rows(number, system)
            size = dt * leak[:, None, None]
            by_jumps = dt * (differences[side, system][:, None] * response.leak_slope[system])[:, None, :]
            blocks += [
                (own, own, -size),
                (own, pores, size * mean[:, None, :]),
                (pores, own, size * mean[:, :, None]),
                (pores, pores, -size * mean[:, :, None] * mean[:, None, :]),
                (own, rows, -by_jumps),
                (pores, rows, by_jumps * mean[:, :, None]),
            ]
        return blocks

    def _along_blocks(self, number, response, pressure, dt):
        pairs, rows = self.parts[number].channels.pairs, self._jump_rows(number)
        both = self._cell_rows(number)[:, 0][pairs]
        pattern = np.array([[-1.0, 1.0], [1.0, -1.0]])
        difference = pressure[pairs[:, 0]] - pressure[pairs[:, 1]]
        sign = np.array([-1.0, 1.0])
        blocks = [(both, both, dt * response.along[:, None, None] * pattern)]
        for end in range(2):
            by_jumps = dt * difference[:, None] * response.along_slope[:, end]
            blocks.append((both, rows[pairs[:, end]], sign[:, None] * by_jumps[:, None, :]))
        return blocks

    def _constant(self):
        """What is linear in the unknowns, in their change of a step, and in them by time."""
        linear, volumes, flows = [], [], []
        for number, part in enumerate(self.parts):
            taken, pull, release = part.elements.coupled()
            rows, own = self._jump_rows(number), self._cell_rows(number)
            dofs = part.elements.dofs
            linear += [(dofs, rows, -taken), (rows, dofs, -pull), (rows, rows, release)]
            linear.append((rows, own, -part.opening[:, :, None]))
            volumes.append((own, rows, -part.opening[:, None, :]))
            for system, biot in enumerate(part.biot):
                pores = self._pore_rows(number, system)
                linear.append((rows, pores, biot[:, None, None] * part.pressed))
                volumes.append((pores, rows, biot[:, None, None] * part.strained))
                if part.seals:
                    swelling = biot[:, None, None] * part.pores.swelling()
                    linear.append((dofs, pores, -swelling.transpose(0, 2, 1)))
                    volumes.append((pores, dofs, -swelling))
                    flows.append((pores, pores, -part.pores.conducted(system)))
            if part.seals:
                pairs = product(range(len(part.biot)), repeat=2)
                for first, second in pairs:
                    here, there = self._pore_rows(number, first), self._pore_rows(number, second)
                    volumes.append((here, there, -part.pores.stored(first, second)))
                    if len(part.biot) > 1:
                        flows.append((here, there, (1.0 if first != second else -1.0) * part.pores.exchanged()))
        return tuple(_assembled(blocks, self.size) for blocks in (linear, volumes, flows))

    def _of_body(self, state, dt):
        made_for = dt, self.porous.open_wells(state.t, dt)
        if self._porous_tangent[0] != made_for:
            body, n_u = self.porous.tangent(dt, state.t + dt), self.n_u
            behind = self.size - n_u - self.n_jumps - self.n_p
            jumps, cells = csr_array((self.n_jumps,) * 2), csr_array((behind, behind))
            grid = [
                [body[:n_u, :n_u], None, body[:n_u, n_u:], None],
                [None, jumps, None, None],
                [body[n_u:, :n_u], None, body[n_u:, n_u:], None],
                [None, None, None, cells],
            ]
            self._porous_tangent = made_for, csr_array(block_array(grid))
        return self._porous_tangent[1]

    def _jump_rows(self, number):
        shape = self.parts[number].opening.shape
        return self.n_u + self.jumps[number].start + np.arange(shape[0] * shape[1]).reshape(shape)

    def _pore_rows(self, number, system):
        columns, n = self.parts[number].pores.columns, self.porous.pressure_basis.N
        begin = self.n_u + self.n_jumps
        behind = begin + self.n_p + self.n_cells + system * self.n_sides + self.sides[number].start
        return np.where(columns < n, begin + system * n + columns, behind + columns - n)

    def held_sides(self):
        """Jumps of the pressures of the pores, as unknowns, at vertices where these are prescribed."""
        n, begin, held = self.porous.pressure_basis.N, self.size - len(self.porous.systems) * self.n_sides, []
        vertices = np.concatenate([part.pores.vertices for part in self.parts])
        for system in range(len(self.porous.systems)):
            known = np.isin(self.n_u + system * n + vertices, self.porous.loads.prescribed_pressure)
            held.append(begin + system * self.n_sides + np.flatnonzero(known))
        return np.concatenate(held)

    def _cell_rows(self, number):
        begin, cells = self.n_u + self.n_jumps + self.n_p, self.cells[number]
        return (begin + np.arange(cells.start, cells.stop))[:, None]


def body_of(state):
    """The state of the body alone."""
    return PorousState(state.t, state.u, state.p)


def _strained(crack):
    """∫ q div v over the cut cells, (n, k, k · dim)."""
    mesh = crack.mesh
    element = skfem.ElementQuad1() if mesh.dim() == 2 else skfem.ElementHex1()
    moved = skfem.Basis(
        mesh, skfem.ElementVector(element), mapping=RelativeMapping(mesh), intorder=5, elements=crack.elements
    )
    filled = moved.with_element(element)
    pressures = np.array([np.asarray(shape[0]) for shape in filled.basis])
    slopes = np.array([np.einsum("ii...", np.asarray(shape[0].grad)) for shape in moved.basis])
    return np.einsum("anq,bnq,nq->nab", pressures, slopes, moved.dx)


def _assembled(blocks, size):
    if not blocks:
        return csr_array((size, size))
    rows, columns, values = [], [], []
    for row, column, block in blocks:
        shape = (len(block), row.shape[1], column.shape[1])
        rows.append(np.broadcast_to(row[:, :, None], shape).ravel())
        columns.append(np.broadcast_to(column[:, None, :], shape).ravel())
        values.append(np.broadcast_to(block, shape).ravel())
    where = np.concatenate(rows), np.concatenate(columns)
    return csr_array(coo_array((np.concatenate(values), where), shape=(size, size)))


def _slices(counts):
    ends = np.cumsum(counts)
    return [slice(int(end - count), int(end)) for end, count in zip(ends, counts, strict=True)]


def _index(well):
    """Flow by pressure of a well that holds one."""
    if (well.rate is None) == (well.pressure is None):
        raise ParameterError(
            f"the well of the fault at {np.asarray(well.x).tolist()} has rate={well.rate!r} and "
            f"pressure={well.pressure!r}; give one of the two"
        )
    return positive("well_index of a well of the fault", well.well_index) if well.rate is None else 0.0
