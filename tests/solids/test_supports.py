"""Springs, beds and rigid planes added to a body, and a plastic body with a cohesive layer."""

import numpy as np
import pytest
import skfem
from support.nonlinear_problems import quiet

import femnn
from femnn.solids import Bedding, RigidPlane, Springs

RULE = femnn.GaussLegendre(2)


def block(n=2, element=None, height=1.0):
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0, 1, n + 1)] * 2, np.linspace(0, height, n + 1))
    mesh = mesh.with_boundaries(
        {
            "bottom": lambda x: x[2] < 1e-9,
            "top": lambda x: x[2] > height - 1e-9,
            "x": lambda x: x[0] < 1e-9,
            "y": lambda x: x[1] < 1e-9,
        }
    )
    return mesh, femnn.Loads(mesh, element).symmetry("x").symmetry("y")


@pytest.mark.parametrize("element", [None, skfem.ElementHex2()], ids=["trilinear", "triquadratic"])
def test_a_block_on_a_bed_sinks_as_a_rod_and_a_spring_do(element):
    mesh, loads = block(element=element)
    loads.pressure("top", 2.0)
    rule = femnn.GaussLegendre(3)
    body = femnn.Solid(mesh, rule, femnn.LinearElastic(100.0, 0.3), element=element)
    path = quiet(body + Bedding(mesh, "bottom", normal=50.0, element=element), loads.force, fixed=loads.fixed, steps=1)
    curves = [path.curve(name, 2) for name in ("bottom", "top")]
    assert curves[0].displacement[-1] == pytest.approx(-2.0 / 50.0, rel=1e-7)
    assert curves[1].displacement[-1] == pytest.approx(-2.0 / 50.0 - 2.0 / 100.0, rel=1e-7)
    # reactions of all nodes of the boundary, whatever the element
    assert curves[1].force[-1] == pytest.approx(-2.0, rel=1e-7)


def test_springs_between_vertices_and_to_the_ground():
    mesh, loads = block(1)
    springs = Springs(mesh, np.flatnonzero(mesh.p[2] == 0.0), [0.0, 0.0, 25.0])
    body = femnn.Solid(mesh, RULE, femnn.LinearElastic(100.0, 0.3))
    path = quiet(body + springs, loads.pressure("top", 2.0).force, fixed=loads.fixed, steps=1)
    assert path.curve("bottom", 2).displacement[-1] == pytest.approx(-2.0 / 100.0, rel=1e-7)
    tied = Springs(mesh, [0, 1], np.diag([1.0, 2.0, 3.0]), to=[2, 3])
    u = np.random.default_rng(0).normal(size=24)
    force, tangent = tied.residual_and_tangent(u)
    np.testing.assert_allclose(force[:3], [1.0, 2.0, 3.0] * (u[:3] - u[6:9]))
    assert abs(force.reshape(-1, 3).sum(axis=0)).max() < 1e-12
    assert abs(tangent - tangent.T).max() == 0.0
    for arguments, says in [
        (([0, 1], 1.0, [2]), "pass lists of one length"),
        (([99], 1.0), "vertices has indices from 99 to 99"),
        (([0], -1.0), "must be symmetric and not negative"),
        (([0], [1.0, 2.0]), r"stiffness has shape \(2,\)"),
    ]:
        with pytest.raises(femnn.ParameterError, match=says):
            Springs(mesh, *arguments[:2], to=arguments[2] if len(arguments) > 2 else None)


def test_a_body_pressed_on_a_plane_lifts_off_again():
    mesh, loads = block()
    body = femnn.Solid(mesh, RULE, femnn.NeoHooke(100.0, 0.3))
    plane = RigidPlane(
        mesh, "top", (0, 0, 1.1), (0, 0, -1), penalty=1e4, motion=lambda t: (0.0, 0.0, -0.2 * min(t, 2.0 - t))
    )
    loads.displace("bottom", 2, 0.0)
    pressed = []
    path = quiet(
        body + plane,
        np.zeros(body.n_dofs),
        fixed=loads.fixed,
        steps=[0.25, 0.5, 1.0, 1.4, 2.0],
        callback=lambda step: pressed.append(plane.resultant(step.u)),
    )
    found = path.curve("bottom", 2).force
    np.testing.assert_allclose(found, pressed, atol=1e-6)
    assert pressed[0] == pressed[1] == pressed[4] == 0.0
    # at t = 1 the block is 0.9 high, but for the penetration
    assert path.steps[2].boundaries["top"][0][2] == pytest.approx(-0.1, abs=2e-3)
    assert pressed[2] > pressed[3] > 0.0
    assert plane.t == 2.0
    plane.set_time(1.0)
    u = 0.05 * np.random.default_rng(0).uniform(-1, 1, plane.n_dofs)
    step = np.random.default_rng(1).uniform(-1, 1, plane.n_dofs)
    _, tangent = plane.residual_and_tangent(u)
    change = (plane.internal_force(u + 1e-8 * step) - plane.internal_force(u - 1e-8 * step)) / 2e-8
    np.testing.assert_allclose(tangent @ step, change, atol=1e-5 * abs(change).max())


def test_planes_and_beds_that_make_no_sense():
    mesh, _ = block(1)
    with pytest.raises(femnn.ParameterError, match="no boundary 'side'; there are: 'bottom', 'top', 'x', 'y'"):
        Bedding(mesh, "side", 1.0)
    with pytest.raises(femnn.ParameterError, match="has no direction"):
        RigidPlane(mesh, "top", (0, 0, 1), (0, 0, 0), 1.0)
    with pytest.raises(femnn.ParameterError, match="is no function of t"):
        RigidPlane(mesh, "top", (0, 0, 1), (0, 0, -1), 1.0, motion=3.0)
    with pytest.raises(femnn.ParameterError, match=r"motion of the plane has shape \(2,\)"):
        RigidPlane(mesh, "top", (0, 0, 1), (0, 0, -1), 1.0, motion=lambda t: (t, t))


@pytest.mark.parametrize(("strength", "damaged"), [(0.8, False), (3.0, True)])
def test_a_plastic_body_with_a_cohesive_layer_yields_or_breaks(strength, damaged):
    """In series under tension the weaker of the two gives way, the other unloads elastically."""
    mesh = skfem.MeshHex.init_tensor([0.0, 1.0], [0.0, 1.0], [0.0, 1.0, 2.0])
    interface = femnn.Interface.split(mesh, mesh.facets_satisfying(lambda x: abs(x[2] - 1.0) < 1e-9))
    sides = {"bottom": lambda x: x[2] < 1e-9, "top": lambda x: x[2] > 2.0 - 1e-9}
    split = interface.mesh.with_boundaries(sides | {"x": lambda x: x[0] < 1e-9, "y": lambda x: x[1] < 1e-9})
    layer_law = femnn.BilinearCohesive(
        normal_strength=1.5, shear_strength=1.5, normal_toughness=0.075, shear_toughness=0.075
    )
    body = femnn.Solid(split, RULE, femnn.J2(200.0, 0.0, strength, isotropic=1.0))
    layer = femnn.CohesiveProblem(None, [(femnn.InterfaceElements(interface), layer_law)])
    loads = femnn.Loads(split).displace("bottom", 2, 0.0).displace("top", 2, 0.12)
    loads.symmetry("x").symmetry("y")
    path = quiet(body + layer, loads.force, fixed=loads.fixed, values=loads.values, steps=24)
    force = path.curve("top", 2).force
    plastic = max(state[..., 6].max() for state in body.states)
    if damaged:
        assert plastic == 0.0
        assert layer.damage()[0].min() > 0.9
        assert 1.3 < force.max() <= 1.5 + 1e-9
        assert force[-1] < 0.2
    else:
        assert layer.damage()[0].max() == 0.0
        assert plastic > 0.05
        assert force[-1] == pytest.approx(strength + plastic, rel=1e-6)
