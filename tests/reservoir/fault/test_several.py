"""Several faults in one reservoir, each with its own law, cores and stress."""

import numpy as np
import pytest
from support.fault_problems import DAY, Springs, conditions, damaged, rectangle
from support.porous_problems import dual

import femnn
from femnn.exceptions import ParameterError
from femnn.reservoir import march
from femnn.reservoir.fault import ConstantCore, CrackedCore, Fault, FaultedReservoir, load_state, save_state

CORES = (CrackedCore(1e-18, 1.0, dilation=0.05), None)
STRESS = np.array([[-9e6, 3e6], [3e6, -9e6]])


def halves():
    """The fault of the rectangle, below and above its middle."""
    whole = femnn.Interface.split(rectangle(), "fault")
    return whole, whole.where(lambda x: x[1] < 10.0), whole.where(lambda x: x[1] > 10.0)


def followed(faults):
    problem = FaultedReservoir(dual(), conditions(), faults)
    return problem, march(problem.step, problem.initial_state(), DAY * np.arange(1, 4), progress=False)


def test_two_halves_of_a_fault_are_the_fault():
    law, path = damaged()
    whole, lower, upper = halves()
    given = {"cores": CORES, "stress": STRESS, "history": path}
    one, wanted = followed(Fault(whole, law, **given))
    two, found = followed([Fault(lower, law, **given), Fault(upper, law, **given)])
    np.testing.assert_allclose(found.u, wanted.u, atol=1e-9 * np.abs(wanted.u).max())
    np.testing.assert_allclose(found.p, wanted.p, atol=1e-9 * np.abs(wanted.p).max())
    damage = [problem.fields(state).damage for problem, state in ((one, wanted), (two, found))]
    np.testing.assert_allclose(np.sort(damage[1]), np.sort(damage[0]))


def test_each_fault_has_its_law_core_pressure_and_stress():
    law, path = damaged()
    _, lower, upper = halves()
    faults = [
        Fault(lower, law, CORES, stress=STRESS, history=path, pressure="mean"),
        Fault(upper, Springs(1e11, 7e6), (None, ConstantCore(1e-17, 1.0))),
    ]
    problem, state = followed(faults)
    below, above = problem.points.parts
    fields = problem.fields(state)
    assert problem.points.x[1, below].max() <= 10.0 <= problem.points.x[1, above].min()
    np.testing.assert_allclose(problem.initial_state().traction[below], [[-9e6, 3e6, 0.0]] * 6, rtol=1e-7)
    np.testing.assert_array_equal(problem.initial_state().traction[above], [[-7e6, 0.0, 0.0]] * 6)
    assert np.isfinite(fields.damage[below]).all()
    assert np.isnan(fields.damage[above]).all()
    assert fields.leak_off[0, below].all()
    assert not fields.leak_off[0, above].any()
    assert fields.leak_off[1, above].all()
    n_u = problem.porous.n_u
    size, random = np.where(np.arange(len(state.x)) < n_u, 1e-4, 1e5), np.random.default_rng(0)
    # off the kinks of the law
    x, way = state.x + size * random.normal(size=len(size)), size * random.normal(size=len(size))
    slope = problem.tangent(x, state, DAY) @ way
    ends = [problem.residual(x + h * way, state, DAY) for h in (1e-5, -1e-5)]
    for part in (slice(None, n_u), slice(n_u, None)):
        difference = (ends[0] - ends[1])[part] / 2e-5
        np.testing.assert_allclose(slope[part], difference, atol=1e-5 * np.abs(slope[part]).max())


def test_a_state_of_several_faults_is_kept_in_a_file(tmp_path):
    law, path = damaged()
    _, lower, upper = halves()
    first = Fault(lower, law, CORES, stress=STRESS, history=path)
    problem, state = followed([first, Fault(upper, Springs(1e11, 7e6))])
    save_state(tmp_path / "state.npz", state)
    again = load_state(tmp_path / "state.npz", problem)
    np.testing.assert_array_equal(problem.step(again, DAY).x, problem.step(state, DAY).x)


def test_faults_that_do_not_go_together_are_refused():
    whole, lower, upper = halves()
    law = Springs(1e10, 5e6)

    def made(*faults):
        return FaultedReservoir(dual(), conditions(), faults)

    with pytest.raises(ParameterError, match="2 facets belong to two faults"):
        made(Fault(whole, law), Fault(lower, law))
    with pytest.raises(ParameterError, match="the interface of fault 1 belongs to another mesh"):
        made(Fault(lower, law), Fault(femnn.Interface.split(rectangle(8), "fault"), law))
    with pytest.raises(ParameterError, match="different quadratures"):
        made(Fault(lower, law), Fault(upper, law, quadrature=([[0.5]], [1.0])))
    with pytest.raises(ParameterError, match="there is no fault"):
        made()
    timed = [femnn.cohesive.ViscousCohesive(law, 1e9, start=start) for start in (0.0, 1.0)]
    with pytest.raises(ParameterError, match="start at the times"):
        made(*(Fault(part, own) for part, own in zip((lower, upper), timed, strict=True)))
