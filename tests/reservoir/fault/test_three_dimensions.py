"""Faults in bodies of hexahedra: those of the plane made thick, several that meet and end inside, and a penny crack."""

import numpy as np
import pytest
import skfem
from support.fault_problems import DAY, Springs, conditions, damaged, rectangle
from support.porous_problems import dual, single

import femnn
from femnn.exceptions import FemnnWarning, MeshError, OutsideRangeError, ParameterError
from femnn.interfaces import plane_facets
from femnn.reservoir import Conditions, Well, march
from femnn.reservoir.fault import (
    ConstantCore,
    CrackedCore,
    Fault,
    FaultedReservoir,
    FaultHistory,
    FaultSeries,
    load_state,
    save_state,
)
from femnn.validation.penny_crack import penny_crack

TRILINEAR = skfem.ElementHex1()
CORES = (CrackedCore(1e-18, 1.0, dilation=0.05, along=1e-14, compressibility=1e-10), None)


def thick(mesh, width=3.0):
    """The plane mesh with a layer of hexahedra along the third axis, its sides named alike, and ``front``, ``back``."""
    n, (a, b, c, d) = mesh.nvertices, mesh.t
    turned = mesh.mapping().detDF(np.array([[0.5], [0.5]])).ravel() < 0.0
    b, d = np.where(turned, d, b), np.where(turned, b, d)
    points = np.vstack([np.tile(mesh.p, 2), np.repeat([0.0, width], n)])
    hexahedra = skfem.MeshHex(points, np.array([c + n, c, b + n, d + n, b, d, a + n, a]))
    flat = np.sort(hexahedra.facets % n, axis=0)
    names = {"front": hexahedra.facets_satisfying(lambda x: x[2] == 0.0, True)}
    names["back"] = hexahedra.facets_satisfying(lambda x: x[2] == width, True)
    for name, facets in mesh.boundaries.items():
        ends = {tuple(pair) for pair in np.sort(mesh.facets[:, facets], axis=0).T}
        upright = (flat[0] == flat[1]) & (flat[2] == flat[3])
        names[name] = np.flatnonzero(
            upright & [(low, high) in ends for low, high in zip(flat[0], flat[2], strict=True)]
        )
    return hexahedra.with_boundaries(names)


def test_a_thick_fault_is_that_of_the_plane():
    law, path = damaged()
    flat, width = rectangle(dip=0.4), 3.0
    stress = np.array([[-9e6, 3e6, 0.0], [3e6, -9e6, 0.0], [0.0, 0.0, -9e6]])
    held = {"left": (0.0, None, None), "right": (0.0, None, None), "bottom": (None, 0.0, None)}
    held |= {"front": (None, None, 0.0), "back": (None, None, 0.0)}
    states, problems = [], []
    for mesh, element, displacement, rate, own in (
        (flat, skfem.ElementQuad1(), conditions().displacement, 2e-6, stress[:2, :2]),
        (thick(flat, width), TRILINEAR, held, 2e-6 * width, stress),
    ):
        fault = Fault(femnn.Interface.split(mesh, "fault"), law, CORES, stress=own, history=path)
        middle = (1.5,) if mesh.dim() == 3 else ()
        given = conditions(displacement=displacement, wells=[Well((-8.0, 9.0, *middle), (rate, None))])
        problem = FaultedReservoir(dual(), given, fault, element=element, rule=femnn.GaussLegendre(3))
        problems.append(problem)
        states.append(march(problem.step, problem.initial_state(), DAY * np.arange(1, 4), progress=False))
    for state, problem in zip(states, problems, strict=True):
        assert problem.balance(problem.initial_state(), state).through.keys() == {"right"}
    fields = [problem.fields(state) for problem, state in zip(problems, states, strict=True)]
    plane, solid = ([own.x[:2].round(6), own.slip, own.traction[:, 0], own.pressure[0, 0]] for own in fields)
    for flat_value, thick_value in zip(plane[1:], solid[1:], strict=True):
        for k in range(len(plane[1])):
            same = (np.abs(solid[0] - plane[0][:, [k]]) < 1e-6).all(axis=0)
            size = np.abs(flat_value).max()
            # points of two facets meet where the fault bends, which have other tractions
            assert np.abs(thick_value[same] - flat_value[k]).min() < 2e-3 * size
    assert fields[1].along.shape == (4, problems[1].points.points)


def crossing(n=4):
    """A cube with two faults that end inside and meet at a line."""
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 3)
    middle = mesh.p[:, mesh.facets].mean(axis=1)
    flat = np.ptp(mesh.p[:, mesh.facets], axis=1)
    upright = (flat[0] == 0.0) & (middle[0] == 0.5) & (np.abs(middle[1:] - 0.5) < 0.3).all(axis=0)
    level = (
        (flat[2] == 0.0) & (middle[2] == 0.5) & (middle[0] > 0.5) & (middle[0] < 0.8) & (np.abs(middle[1] - 0.5) < 0.3)
    )
    outer = mesh.boundary_facets()
    names = {name: outer[middle[axis, outer] == end] for name, axis, end in (("left", 0, 0.0), ("bottom", 2, 0.0))}
    names |= {"top": outer[middle[2, outer] == 1.0], "upright": np.flatnonzero(upright), "level": np.flatnonzero(level)}
    return mesh.with_boundaries(names)


def pressed(**changed):
    given = {
        "displacement": {"left": (0.0, 0.0, 0.0), "bottom": (0.0, 0.0, 0.0)},
        "traction": {"top": (1e6, 0.0, -5e5)},
        "pressure": {"top": 0.0},
        **changed,
    }
    return Conditions(**given)


def both(**options):
    interface = femnn.Interface.split(crossing(), ["upright", "level"])
    law, path = damaged()
    stress = -9e6 * np.eye(3)
    first = Fault(interface.named("upright"), law, ConstantCore(1e-18, 1.0), stress=stress, history=path)
    second = Fault(interface.named("level"), Springs(1e11, 7e6))
    return FaultedReservoir(single(), pressed(), [first, second], element=TRILINEAR, **options)


def test_faults_that_meet_and_end_inside_keep_their_fluid_and_files(tmp_path):
    problem = both()
    states = [problem.initial_state()]
    for dt in (60.0, 3600.0):
        states.append(problem.step(states[-1], dt))
        assert problem.balance(states[-2], states[-1]).error.max() < 1e-10
    fields = problem.fields(states[-1])
    assert len(problem.points.parts) == 2
    assert all(fields.slip[part].max() > 0.0 for part in problem.points.parts)
    save_state(tmp_path / "state.npz", states[-1])
    again = load_state(tmp_path / "state.npz", problem)
    np.testing.assert_array_equal(problem.step(again, DAY).x, problem.step(states[-1], DAY).x)
    series = FaultSeries(tmp_path / "fault.pvd", problem)
    series.write(states[-1])
    assert (tmp_path / "fault.pvd").exists()
    history = FaultHistory(problem)
    for state in states:
        history.add(state)
    apart = [history.events(1e-12, fault=k) for k in range(2)]
    together = history.events(1e-12)
    assert sum(events[0].moment for events in apart) == pytest.approx(together[0].moment)
    with pytest.raises(ParameterError, match="fault"):
        history.events(fault=2)


def test_iterations_of_newtons_method_are_those_of_factors():
    states = []
    for method in ("splu", "gmres"):
        problem = both(method=method)
        states.append(problem.step(problem.initial_state(), 3600.0))
        assert problem.balance(problem.initial_state(), states[-1]).error.max() < 1e-8
    for name in ("u", "p"):
        wanted, found = (getattr(state, name) for state in states)
        np.testing.assert_allclose(found, wanted, atol=1e-7 * np.abs(wanted).max())


def test_a_penny_crack_under_shear_slides_as_eshelby_says():
    errors = [penny_crack(n, element=TRILINEAR).error for n in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.06


def test_what_faults_cannot_be_in_three_dimensions_is_refused():
    mesh = crossing()
    interface = femnn.Interface.split(mesh, "upright")
    with pytest.raises(MeshError, match="no boundary 'tilted'"):
        interface.named("tilted")
    with pytest.raises(MeshError, match="'level' has no facet on the interface"):
        interface.named("level")
    law = Springs(1e10, 5e6)
    with pytest.raises(ParameterError, match="is in a fault, in facet"):
        FaultedReservoir(single(), pressed(wells=[Well((0.5, 0.5, 0.55), 1e-6)]), Fault(interface, law))
    # beside it, and in its plane but beyond its tip
    for x in ((0.45, 0.5, 0.55), (0.5, 0.9, 0.9)):
        FaultedReservoir(single(), pressed(wells=[Well(x, 1e-6)]), Fault(interface, law), element=TRILINEAR)
    with pytest.raises(ParameterError, match="method"):
        FaultedReservoir(single(), pressed(), Fault(interface, law), method="minres")


def inclined(n=4):
    """A cube whose facets follow the plane x + z/2 = 0.75, and the cube that it was before."""
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 3)
    p = mesh.p.copy()
    hat = 1.0 - 2.0 * np.abs(p[0] - 0.5)
    p[0] += hat * (0.25 - 0.5 * p[2])
    return skfem.MeshHex(p, mesh.t), mesh


def test_facets_that_follow_a_plane_are_found_and_others_told_how_to_embed_it():
    follows, straight = inclined()
    point, normal = (0.75, 0.0, 0.0), (1.0, 0.0, 0.5)
    facets = plane_facets(follows, point, normal)
    assert len(facets) == 16
    assert len(plane_facets(follows, point, normal, lambda x: x[1] < 0.5)) == 8
    assert len(femnn.Interface.split(follows, facets)) == 16
    with pytest.raises(MeshError, match=r"cuts \d+ cells through.*gmsh.*EmbeddedCrack\.plane\(mesh, point, normal\)"):
        plane_facets(straight, point, normal)
    flat = skfem.MeshQuad().refined(2)
    with pytest.raises(MeshError, match=r"EmbeddedCrack\.line\(mesh, start, end\)"):
        plane_facets(flat, (0.3, 0.0), (1.0, 0.0))
    # where it is wanted it follows facets, elsewhere it does not
    assert len(plane_facets(flat, (0.5, 0.0), (1.0, 0.0))) == 4
    with pytest.raises(MeshError, match="no facet inside"):
        plane_facets(follows, (1.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    for bad in ((1.0, 0.0), (0.0, 0.0, 0.0)):
        with pytest.raises(ParameterError, match="give two vectors"):
            plane_facets(follows, point, bad)


def through(**options):
    """A fault that cuts the cube apart and meets its boundary on all sides."""
    mesh = inclined()[0]
    facets = plane_facets(mesh, (0.75, 0.0, 0.0), (1.0, 0.0, 0.5))
    middle, outer = mesh.p[:, mesh.facets].mean(axis=1), mesh.boundary_facets()
    names = {"left": outer[middle[0, outer] == 0.0], "right": outer[middle[0, outer] == 1.0], "fault": facets}
    interface = femnn.Interface.split(mesh.with_boundaries(names), "fault")
    given = {"law": Springs(1e11, 7e6), "cores": ConstantCore(1e-18, 1.0), **options}
    held = {"left": (0.0, 0.0, 0.0)}
    conditions = Conditions(displacement=held, traction={"right": (-1e6, 0.0, 0.0)}, pressure={"left": 0.0})
    on_outside = given.pop("on_outside", "warn")
    fault = Fault(interface, given.pop("law"), given.pop("cores"), **given)
    return FaultedReservoir(single(), conditions, fault, element=TRILINEAR, on_outside=on_outside)


def test_a_fault_may_cut_the_body_apart_and_meet_its_boundary():
    problem = through()
    start = problem.initial_state()
    state = problem.step(start, 3600.0)
    assert len(problem._parts) == 2
    assert problem.balance(start, state).error.max() < 1e-10
    # what is loaded hangs on the fault alone
    assert np.linalg.norm(problem.fields(state).separation, axis=1).min() > 0.0
    with pytest.raises(ParameterError, match="has shape"):
        through(stress=np.eye(2))


def test_faults_that_overlap_are_refused():
    mesh = crossing()
    both_names = dict(mesh.boundaries) | {"upper": mesh.boundaries["upright"][:3]}
    interface = femnn.Interface.split(mesh.with_boundaries(both_names), ["upright", "level"])
    faults = [Fault(interface.named(name), Springs(1e11, 7e6)) for name in ("upright", "upper")]
    with pytest.raises(ParameterError, match="3 facets belong to two faults"):
        FaultedReservoir(single(), pressed(), faults, element=TRILINEAR)


def test_a_stress_in_situ_that_a_law_cannot_bear_or_was_not_trained_for_is_told():
    # on the plane 16 MPa of compression and 12 MPa of shear
    with pytest.raises(ParameterError, match="the law has no state with the traction in situ"):
        through(law=femnn.ContactCohesive(1e11, friction=0.3), stress=np.diag([-10e6, -20e6, -40e6]))

    class Narrow(Springs):
        """Was trained to 0.04 mm."""

        def in_range(self, separation):
            return np.linalg.norm(separation, axis=1) <= 4e-5

    shallow, deep = ({"law": Narrow(1e10, 5e6), "stress": -pressure * np.eye(3)} for pressure in (5.1e6, 20e6))
    through(**shallow)
    with pytest.warns(FemnnWarning, match=r"in situ takes 64 of 64 points .* out of the range .*MPa at \["):
        through(**deep)
    with pytest.raises(OutsideRangeError, match="train the law further out, or rescale"):
        through(**deep, on_outside="raise")


def test_a_large_friction_leaves_iterations_of_newtons_method_a_preconditioner():
    law, path = damaged()
    slides = np.array([[-9e6, 0.0, 3.9e6], [0.0, -9e6, 0.0], [3.9e6, 0.0, -9e6]])
    states = []
    for method in ("splu", "gmres"):
        interface = femnn.Interface.split(crossing(), "upright")
        fault = Fault(interface, law, ConstantCore(1e-18, 1.0), stress=slides, history=path)
        problem = FaultedReservoir(single(), pressed(), fault, element=TRILINEAR, method=method)
        states.append(problem.step(problem.initial_state(), 1e7))
    wanted, found = (state.u for state in states)
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())
    # set up once in a step
    assert len(problem._newton.iteration.counts) == problem.iterations
    # friction that couples shear to compression has a symmetric part that is not positive
    rubs = np.tile([[1e12, 0.0, 0.0], [5e11, 0.0, 0.0], [0.0, 0.0, 0.0]], (problem.points.points, 1, 1))
    held = problem._equations.held_stiffness(rubs).toarray()
    values = np.linalg.eigvalsh(held)
    assert values[0] > -1e-12 * values[-1]
    assert np.linalg.eigvalsh(rubs[0] + rubs[0].T)[0] < 0.0
