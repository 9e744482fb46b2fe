"""A fault whose core conducts as the cell of its law does."""

import numpy as np
import pytest
from support.fault_problems import DAY, Springs, conditions, rectangle, reservoir
from support.porous_problems import single

import femnn
from femnn.cohesive import ConductingCohesive, GrainConduits, ViscousCohesive
from femnn.exceptions import ParameterError
from femnn.multiscale.rve import RVE, CellPermeability, CrackFilling, RVELaw, parallel_cracks
from femnn.reservoir import Well
from femnn.reservoir.fault import Fault, FaultedReservoir, PredictedCore

GLUE = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
APERTURE, MATRIX, HEIGHT = 2e-4, 1e-17, 0.2


def law_of():
    """A cell with one straight crack along the fault."""
    rve = RVE(parallel_cracks(HEIGHT, HEIGHT, columns=3, rows=2), GLUE, 10e9)
    return RVELaw(rve, CellPermeability(rve, CrackFilling(APERTURE), MATRIX))


def test_a_cell_tells_what_it_conducts_and_how_that_changes():
    law = law_of()
    separation = np.array([[-2e-6, 1e-6, 0.0]])
    state = law.update(separation, law.initial_state(1)).state
    predicted = law.predictions(state)
    along, slope = predicted["permeability_along"]
    opening = law.rve.separations(law.rve.unpack(state.values[0]))[:, 0].mean()
    assert along[0] == pytest.approx((APERTURE + opening) ** 3 / 12.0 / HEIGHT + MATRIX, rel=1e-6)
    h = 1e-8
    ends = [
        law.predictions(law.update(separation + step * np.eye(3)[0], law.initial_state(1)).state)
        for step in (h, -h)
    ]  # fmt: skip
    for name, (_, by_separation) in predicted.items():
        difference = (ends[0][name][0] - ends[1][name][0]) / (2.0 * h)
        np.testing.assert_allclose(by_separation[0, 0], difference[0], rtol=1e-4, atol=1e-12 * abs(slope[0, 0]))
    assert RVELaw(law.rve).predictions(RVELaw(law.rve).initial_state(1)) == {}


@pytest.mark.parametrize("viscosity", [0.0, 1e6])
def test_the_core_of_a_fault_takes_what_the_cell_conducts(viscosity):
    law = ViscousCohesive(law_of(), viscosity) if viscosity else law_of()
    given = {"medium": single(), "given": conditions(wells=[Well((-8.0, 9.0), 2e-6)])}
    problem = reservoir(
        law=law, cores=PredictedCore(HEIGHT), mesh=rectangle(2, 2), **given
    )  # fmt: skip
    state = problem.step(problem.initial_state(), DAY)
    predicted, fields = law.predictions(state.history), problem.fields(state)
    across = predicted["permeability_across"][0] / HEIGHT / 1e-3
    told = predicted["aperture"][0] ** 3 / 12.0 / HEIGHT + MATRIX
    np.testing.assert_allclose(told, predicted["permeability_along"][0], rtol=1e-9)
    np.testing.assert_array_equal(predicted["porosity"][0], 1.0)
    np.testing.assert_allclose(state.leak_off[0], across * (fields.pressure[0, 0] - fields.pressure[1, 0]), rtol=1e-9)
    assert np.abs(state.along).max() > 0.0
    assert problem.balance(problem.initial_state(), state).error.max() < 1e-10


# grains of 10 µm in a layer of 5 cm
LAYER = GrainConduits(1e-5, 0.35, 0.05)


def test_flow_and_storage_of_a_core_of_grains_follow_the_opening_of_its_fault():
    law = ConductingCohesive(Springs(2e8, 5e6), LAYER)
    core = PredictedCore(LAYER.thickness, fluid_bulk=2e9)
    problem = reservoir(law=law, cores=(core, None), mesh=rectangle(4, 2))
    start = problem.initial_state()
    first = problem.step(start, DAY)
    state = problem.step(first, DAY)
    fields, told = problem.fields(state), law.predictions(state.history)
    opening = fields.separation[:, 0]
    assert opening.max() > 1e-4
    # by hand: the volume of the grains stays
    porosity = 1.0 - 0.65 * 0.05 / (0.05 + opening)
    permeability = 1e-10 * porosity**3 / (180.0 * (1.0 - porosity) ** 2)
    np.testing.assert_allclose(told["permeability_along"][0], permeability, rtol=1e-12)
    across = permeability / LAYER.thickness / 1e-3 * (fields.pressure[0, 0] - fields.pressure[1, 0])
    np.testing.assert_allclose(state.leak_off[0], across, rtol=1e-9)
    np.testing.assert_allclose(
        problem.points.storage(first.history)[0], 0.05 / 2e9 * law.predictions(first.history)["porosity"][0], rtol=1e-12
    )
    assert problem.balance(first, state).error.max() < 1e-9
    x, way = state.x, np.random.default_rng(0).normal(size=len(state.x)) * np.where(np.abs(state.x) > 1.0, 1e3, 1e-5)
    ends = [problem.residual(x + h * way, first, DAY) for h in (1e-3, -1e-3)]
    found = problem.tangent(x, first, DAY) @ way
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-3, rtol=1e-5, atol=1e-6 * np.abs(found).max())


def test_each_of_several_faults_stores_what_its_own_law_predicts():
    law = ConductingCohesive(Springs(2e8, 5e6), LAYER)
    problem = reservoir(law=law, cores=(PredictedCore(0.05, fluid_bulk=2e9), None), mesh=rectangle(4, 2))
    interface = problem.points.interface
    halves = [interface.where(lambda x, s=sign: s * (x[1] - 10.0) > 0.0) for sign in (1.0, -1.0)]
    faults = [Fault(half, own, problem.faults[0].cores) for half, own in zip(halves, (law, law), strict=True)]
    both = FaultedReservoir(problem.porous.medium, problem.porous.conditions, faults)
    wanted, found = (own.step(own.initial_state(), DAY) for own in (problem, both))
    np.testing.assert_allclose(found.x, wanted.x, rtol=1e-8, atol=1e-12)


def test_what_predicts_nothing_has_no_such_core():
    problem = reservoir(law=Springs(1e10, 5e6), cores=(PredictedCore(1.0), None))
    with pytest.raises(ParameterError, match="the fault's law predicts nothing beside the traction; pass RVELaw"):
        problem.step(problem.initial_state(), DAY)
    other = law_of().rve
    with pytest.raises(ParameterError, match="the permeability belongs to another cell"):
        RVELaw(other, law_of().permeability)
