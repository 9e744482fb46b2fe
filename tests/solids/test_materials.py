"""The library of laws: tangents against differences, frames, and answers that are known on paper."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import skfem
from support.nonlinear_problems import order, quiet
from support.properties import rotation

import femnn

CONDITIONS = {"temperature": 3.0, "time": 1.0, "length": 0.5}
AXES = rotation(1)
SMALL = {
    "linear": partial(femnn.LinearElastic, 200.0, 0.3),
    "orthotropic": partial(femnn.Orthotropic, (100, 20, 10), (0.3, 0.2, 0.1), (5, 6, 7), axes=AXES),
    "any": partial(femnn.Anisotropic, np.diag([3.0, 4, 5, 1, 2, 3]) + 0.5),
    "j2": partial(femnn.J2, 200.0, 0.3, strength=1.0, isotropic=5.0, saturation=0.5, rate=30.0, kinematic=8.0),
    "perfect": partial(femnn.J2, 200.0, 0.3, strength=1.0),
    "drucker-prager": partial(femnn.DruckerPrager, 200.0, 0.3, 1.0, 30.0, 10.0, hardening=4.0),
    "damage": partial(femnn.Damage, 200.0, 0.3, strength=1.0, toughness=0.05),
    "viscoelastic": partial(femnn.Viscoelastic, 200.0, 0.3, shares=[0.3, 0.4], times=[1.0, 5.0]),
}
LAWS = {
    "neo-hooke": partial(femnn.NeoHooke, 200.0, 0.3),
    "mooney-rivlin": partial(femnn.MooneyRivlin, 30.0, 10.0, bulk=400.0),
    "ogden": partial(femnn.Ogden, [30.0, 2.0, -5.0], [1.3, 5.0, -2.0], bulk=400.0),
}
LAWS |= {f"{name}, {k}": partial(make, kinematics=k) for name, make in SMALL.items() for k in ("small", "finite")}
ELASTIC = ("linear", "orthotropic", "any", "neo-hooke", "mooney-rivlin", "ogden")

by_law = pytest.mark.parametrize("name", LAWS)
by_finite = pytest.mark.parametrize("name", [name for name in LAWS if "small" not in name])


def conditions_of(law, **changes):
    return {name: (CONDITIONS | changes)[name] for name in law.conditions}


def shaped(law, flat):
    return flat.reshape(len(flat), *((6,) if law.kinematics == "small" else (3, 3)))


def updated(law, flat, state, **changes):
    """Stress (n, size), tangent (n, size, size) and state at strains (n, size)."""
    stress, tangent, new = law.update(shaped(law, flat), state, **conditions_of(law, **changes))
    n, size = flat.shape
    return stress.reshape(n, size), tangent.reshape(n, size, size), new


def slopes(law, flat, state, h, **changes):
    """Tangent by central differences."""
    columns = []
    for j in range(flat.shape[1]):
        step = h * np.eye(flat.shape[1])[j]
        ahead, behind = (updated(law, flat + sign * step, state, **changes)[0] for sign in (1.0, -1.0))
        columns.append((ahead - behind) / (2.0 * h))
    return np.stack(columns, axis=2)


@by_law
def test_tangents_match_differences_at_states_with_a_past(name):
    law, rng = LAWS[name](expansion=1e-3), np.random.default_rng(0)
    size, n = (6 if law.kinematics == "small" else 9), 60
    amplitudes = np.repeat([0.03, 0.003, 0.0], 20)[:, None]
    first = amplitudes * rng.uniform(-1, 1, (n, size))
    _, _, state = updated(law, first, law.initial_state(n))
    then = first + 0.6 * amplitudes * rng.uniform(-1, 1, (n, size)) + 1e-4
    _, tangent, _ = updated(law, then, state, time=2.0)
    found = slopes(law, then, state, 1e-6, time=2.0)
    errors = abs(found - tangent).max(axis=(1, 2)) / abs(tangent).max(axis=(1, 2))
    # a kink of plasticity within the step has no derivative
    assert np.sort(errors)[-3] < 1e-6
    assert np.median(errors) < 1e-8


@by_finite
def test_stretches_that_are_equal_or_nearly_so_have_exact_tangents(name):
    law = LAWS[name]()
    for distance in (0.0, 1e-12, 1e-7, 1e-4, 1e-2):
        stretches = np.array([1.05, 1.05 + distance, 1.05 - distance])
        first = rotation(2) @ np.diag(stretches) @ rotation(3)
        flat = (first - np.eye(3)).reshape(1, 9)
        _, tangent, _ = updated(law, flat, law.initial_state(1))
        found = slopes(law, flat, law.initial_state(1), 1e-6)
        assert abs(found - tangent).max() < 1e-7 * abs(tangent).max()


@by_finite
def test_a_rotation_turns_the_stress_and_nothing_else(name):
    law, rng = LAWS[name](), np.random.default_rng(4)
    H, Q = rng.uniform(-0.1, 0.1, (5, 3, 3)), rotation(5)
    turned = Q @ (H + np.eye(3)) - np.eye(3)
    (own, _, state), (other, _, state_turned) = (
        law.update(x, law.initial_state(5), **conditions_of(law)) for x in (H, turned)
    )
    np.testing.assert_allclose(other, Q @ own, atol=1e-11 * abs(own).max())
    np.testing.assert_allclose(state_turned, state, atol=1e-11)
    stress, _, _ = law.update((Q - np.eye(3))[None], law.initial_state(1), **conditions_of(law))
    assert abs(stress).max() < 1e-12 * 400.0


@by_law
def test_cycles_from_the_virgin_state_take_energy_or_keep_it(name):
    law, rng = LAWS[name](), np.random.default_rng(6)
    size, n, steps = (6 if law.kinematics == "small" else 9), 10, 400
    corners = [np.zeros((n, size)), *(0.02 * rng.uniform(-1, 1, (4, n, size))), np.zeros((n, size))]
    state, work, size_of_work = law.initial_state(n), np.zeros(n), np.zeros(n)
    strain, stress = corners[0], np.zeros((n, size))
    t = 0.0
    for start, end in pairwise(corners):
        for share in np.linspace(0.0, 1.0, steps // 4)[1:]:
            t += 0.01
            after = start + share * (end - start)
            new, _, state = updated(law, after, state, time=t)
            work += 0.5 * ((stress + new) * (after - strain)).sum(axis=1)
            size_of_work += abs((new * (after - strain)).sum(axis=1))
            strain, stress = after, new
    if name.split(",")[0] in ELASTIC:
        assert abs(work).max() < 2e-3 * size_of_work.max()
    else:
        assert work.min() > -1e-3 * size_of_work.max()
        assert work.max() > 1e-2 * size_of_work.max()


@by_law
def test_small_strains_have_one_answer(name):
    """With small strains all kinematics and all isotropic laws are the same linear one."""
    law = LAWS[name]()
    size = 6 if law.kinematics == "small" else 9
    strain = 1e-9 * np.random.default_rng(7).uniform(-1, 1, (1, size))
    stress, tangent, _ = updated(law, strain, law.initial_state(1), time=0.0)
    virgin = updated(law, np.zeros((1, size)), law.initial_state(1), time=0.0)[1]
    np.testing.assert_allclose(stress[0], virgin[0] @ strain[0], atol=1e-6 * abs(stress).max())
    np.testing.assert_allclose(tangent, virgin, atol=1e-6 * abs(virgin).max())
    assert np.linalg.eigvalsh(virgin[0] + virgin[0].T).min() > -1e-9


@by_law
def test_free_expansion_has_no_stress(name):
    law = LAWS[name](expansion=2e-3)
    stretch = 1.0 + 2e-3 * 3.0
    if law.kinematics == "finite" and name not in ("neo-hooke", "mooney-rivlin", "ogden"):
        stretch = np.exp(2e-3 * 3.0)  # logarithmic
    strain = stretch - 1.0
    flat = np.array([[strain] * 3 + [0.0] * 3]) if law.kinematics == "small" else strain * np.eye(3).reshape(1, 9)
    stress, _, _ = updated(law, flat, law.initial_state(1))
    assert abs(stress).max() < 1e-12 * 200.0
    cold, _, _ = updated(law, flat, law.initial_state(1), temperature=0.0)
    assert abs(cold).max() > 1e-3


# --- known answers


class Bar:
    """A point under uniaxial stress along x: what is across is sought by Newton's method."""

    def __init__(self, law, **conditions):
        self.law, self.conditions, self.state = law, conditions, law.initial_state(1)
        self.flat = np.zeros((1, 6 if law.kinematics == "small" else 9))
        self.free = [1, 2, 3, 4, 5] if law.kinematics == "small" else [1, 2, 3, 4, 5, 6, 7, 8]

    def pull(self, strain, commit=True, **conditions):
        """Nominal stress along x at an axial strain."""
        self.flat[0, 0] = strain
        for _ in range(60):
            stress, tangent, state = updated(self.law, self.flat, self.state, **(self.conditions | conditions))
            rest = stress[0, self.free]
            if abs(rest).max() < 1e-13 * abs(tangent).max():
                break
            self.flat[0, self.free] -= np.linalg.lstsq(tangent[0][np.ix_(self.free, self.free)], rest)[0]
        else:
            raise AssertionError("no uniaxial state")
        if commit:
            self.state = state
        return stress[0, 0]


@pytest.mark.parametrize("stretch", [0.6, 1.5, 2.5])
def test_rubber_in_uniaxial_tension_and_compression(stretch):
    mu, alpha = np.array([0.63, 0.0012, -0.01]), np.array([1.3, 5.0, -2.0])
    bar = Bar(femnn.Ogden(mu, alpha, bulk=1e6))
    expected = (mu * (stretch ** (alpha - 1.0) - stretch ** (-alpha / 2.0 - 1.0))).sum()
    for strain in np.linspace(0.0, stretch - 1.0, 9)[1:]:
        found = bar.pull(strain)
    assert found == pytest.approx(expected, rel=1e-5)
    bar = Bar(femnn.MooneyRivlin(0.4, 0.1, bulk=1e6))
    for strain in np.linspace(0.0, stretch - 1.0, 9)[1:]:
        found = bar.pull(strain)
    assert found == pytest.approx(2.0 * (stretch - stretch**-2) * (0.4 + 0.1 / stretch), rel=1e-5)


def test_henckys_bar_and_hookes():
    for strain in (-0.3, 0.4):
        log = np.log(1.0 + strain)
        finite = Bar(femnn.LinearElastic(200.0, 0.3, kinematics="finite"))
        assert finite.pull(strain) == pytest.approx(200.0 * log / (1.0 + strain), rel=1e-10)
        assert Bar(femnn.LinearElastic(200.0, 0.3)).pull(strain) == pytest.approx(200.0 * strain, rel=1e-10)


def test_metal_in_tension_and_back():
    E, sy, H, Hk = 200.0, 1.0, 6.0, 10.0
    bar = Bar(femnn.J2(E, 0.3, strength=sy, isotropic=H, kinematic=Hk))
    strains = np.linspace(0.0, 0.05, 11)
    found = np.array([bar.pull(strain) for strain in strains])
    hard = H + Hk
    np.testing.assert_allclose(
        found, np.where(strains < sy / E, E * strains, sy + E * hard / (E + hard) * (strains - sy / E)), rtol=1e-9
    )
    # on the way back it yields after twice the yield stress, which has grown by H alone
    plastic = bar.state[0, 6]
    before = found[-1] - 2.0 * (sy + H * plastic)
    turn = strains[-1] + (before - found[-1]) / E
    assert bar.pull(turn + 1e-6) == pytest.approx(before + E * 1e-6, rel=1e-9)
    assert bar.pull(turn - 1e-3) == pytest.approx(before - E * hard / (E + hard) * 1e-3, rel=1e-6)


def test_voces_hardening_saturates():
    bar = Bar(femnn.J2(200.0, 0.3, strength=1.0, saturation=0.5, rate=100.0))
    for strain in np.linspace(0.0, 0.2, 6)[1:]:
        stress = bar.pull(strain)
        assert stress == pytest.approx(1.0 + 0.5 * (1.0 - np.exp(-100.0 * bar.state[0, 6])), rel=1e-10)
    assert stress == pytest.approx(1.5, rel=1e-6)


def test_finite_plasticity_follows_the_true_stress():
    E, sy, H = 200.0, 1.0, 5.0
    bar = Bar(femnn.J2(E, 0.3, strength=sy, isotropic=H, kinematics="finite"))
    for strain in np.linspace(0.0, 0.3, 13)[1:]:
        nominal = bar.pull(strain)
        log = np.log(1.0 + strain)
        # the Kirchhoff stress is conjugate to the logarithmic strain
        assert nominal * (1.0 + strain) == pytest.approx(sy + E * H / (E + H) * (log - sy / E), rel=1e-9)


@pytest.mark.parametrize(("match", "sign"), [("compression", -1.0), ("tension", 1.0)])
def test_soil_yields_where_mohr_and_coulomb_say(match, sign):
    """Uniaxial strength 2 c cos φ/(1 ∓ sin φ)."""
    c, phi = 1.0, np.radians(30.0)
    bar = Bar(femnn.DruckerPrager(200.0, 0.3, c, 30.0, 0.0, match=match))
    for strain in np.linspace(0.0, sign * 0.05, 11)[1:]:
        stress = bar.pull(strain)
    assert stress == pytest.approx(sign * 2.0 * c * np.cos(phi) / (1.0 + sign * np.sin(phi)), rel=1e-9)


@pytest.mark.parametrize("hardening", [0.0, 5.0])
@pytest.mark.parametrize("shear", [0.0, 0.01, 0.1, 1.0])
def test_soil_returns_to_the_cone_or_its_apex(hardening, shear):
    law = femnn.DruckerPrager(200.0, 0.3, 1.0, 30.0, 20.0, hardening=hardening)
    strain = np.array([[0.05, 0.05, 0.05, 0.0, 0.0, shear]])
    stress, _, state = law.update(strain, law.initial_state(1))
    pressure = stress[0, :3].mean()
    deviator = stress[0] - np.array([pressure] * 3 + [0.0] * 3)
    size = np.sqrt(0.5 * (deviator[:3] @ deviator[:3]) + deviator[3:] @ deviator[3:])
    sine, cosine, below = 0.5, np.sqrt(0.75), np.sqrt(3.0) * 2.5
    cohesion = 1.0 + hardening * state[0, 6]
    assert size + 6 * sine / below * pressure == pytest.approx(6 * cosine / below * cohesion, rel=1e-9)
    assert (size == 0.0) == (shear < 1.0)
    if size == 0.0:
        assert pressure == pytest.approx(cohesion * cosine / sine, rel=1e-9)
    # what is left is elastic
    bulk, modulus = 200.0 / 1.2, 200.0 / 2.6
    elastic = strain[0] - state[0, :6]
    assert pressure == pytest.approx(bulk * elastic[:3].sum(), rel=1e-9)
    np.testing.assert_allclose(deviator[3:], modulus * elastic[3:], atol=1e-12)


def test_relaxation_follows_the_prony_series_for_any_steps():
    shares, times = np.array([0.3, 0.4]), np.array([1.0, 7.0])
    law = femnn.Viscoelastic(200.0, 0.3, shares, times)
    strain, shear = np.array([[0.01, 0.0, 0.0, 0.02, 0.0, 0.0]]), 200.0 / 2.6
    _, _, state = law.update(strain, law.initial_state(1), time=0.0)
    for t in (0.3, 0.31, 5.0, 30.0, 300.0):
        stress, _, state = law.update(strain, state, time=t)
        modulus = shear * (1.0 - (shares * (1.0 - np.exp(-t / times))).sum())
        assert stress[0, 3] == pytest.approx(modulus * 0.02, rel=1e-12)
        assert stress[0, :3].mean() == pytest.approx(200.0 / 1.2 * 0.01, rel=1e-12)
    # a ramp, exact in one step or in many
    ramps = []
    for steps in (1, 7):
        state = law.initial_state(1)
        for t in np.linspace(0.0, 2.0, steps + 1)[1:]:
            stress, _, state = law.update(t / 2.0 * strain, state, time=t)
        ramps.append(stress[0, 3])
    fading = 2.0 - times * -np.expm1(-2.0 / times)
    expected = shear * 0.01 * (2.0 - (shares * fading).sum())
    np.testing.assert_allclose(ramps, expected, rtol=1e-12)


def test_creep_recovers_in_a_solid_whose_steps_are_times():
    """The t of newton is the time: a bar that is held relaxes."""
    mesh = skfem.MeshHex().with_boundaries({"left": lambda x: x[0] == 0.0, "right": lambda x: x[0] == 1.0})
    law = femnn.Viscoelastic(100.0, 0.0, shares=[0.6], times=[2.0])
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), law)
    loads = femnn.Loads(mesh).fix("left").displace("right", (0, 1, 2), 0.0)
    shear = 0.01 * mesh.p[0]
    values = np.zeros(24)
    values[1::3] = shear
    path = quiet(
        solid, np.zeros(24), fixed=loads.fixed, values=lambda t: values[loads.fixed], steps=[1e-9, 1.0, 2.0, 9.0]
    )
    found = path.curve("right", 1).force
    np.testing.assert_allclose(found, 0.01 * 50.0 * (0.4 + 0.6 * np.exp(-path.curve("right", 1).t / 2.0)), rtol=1e-8)


def broken_bar(cells, formulation="standard"):
    """A bar of this many cells, weaker in the middle, pulled until it is broken: work done (J)."""
    mesh = skfem.MeshHex.init_tensor(np.linspace(0.0, 0.1, cells + 1), [0.0, 0.05], [0.0, 0.05])
    mesh = mesh.with_boundaries({"left": lambda x: x[0] < 1e-9, "right": lambda x: x[0] > 0.1 - 1e-9})
    centres = mesh.p[0, mesh.t].mean(axis=0)
    strength = np.full(cells, 3e6)
    strength[np.argmin(abs(centres - 0.05 - 1e-6))] = 2.7e6
    # as long as the cube that has the volume of a cell: what the law takes for its length
    length = (0.1 / cells * 0.05 * 0.05) ** (1 / 3)
    toughness = 60.0 * length / (0.1 / cells)
    law = femnn.Damage(30e9, 0.0, strength, toughness)
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), law, formulation=formulation)
    loads = femnn.Loads(mesh).displace("left", 0, 0.0).displace("right", 0, 2e-4)
    fixed = np.union1d(loads.fixed, np.flatnonzero(np.arange(solid.n_dofs) % 3))
    values = np.zeros(solid.n_dofs)
    values[loads.fixed] = loads.values
    path = quiet(solid, np.zeros(solid.n_dofs), fixed=fixed, values=values[fixed], steps=np.linspace(0, 1, 101)[1:])
    curve = path.curve("right", 0)
    # the last force still has the tail of the exponential before it
    return np.trapezoid(np.r_[0.0, curve.force], np.r_[0.0, curve.displacement])


def test_a_crack_takes_the_same_energy_on_any_mesh():
    energies = [broken_bar(cells) / (0.05 * 0.05) for cells in (3, 5, 9)]
    np.testing.assert_allclose(energies, 60.0, rtol=0.02)


def test_cells_too_large_for_their_crack_are_refused():
    mesh = skfem.MeshHex().refined(1)
    with pytest.raises(
        femnn.ParameterError, match=r"element 0 has the size 0.5 m; it and 7 more of 8 are not below 0.333 m.*refine"
    ):
        femnn.Solid(mesh, femnn.GaussLegendre(2), femnn.Damage(3.0, 0.2, 3.0, toughness=0.5))


def test_orthotropic_axes_are_those_that_were_meant():
    """Pulled along its first axis, wherever that points, the material contracts by ν_12 along its second."""
    law = femnn.Orthotropic((100, 20, 10), (0.3, 0.2, 0.1), (5, 6, 7), axes=AXES)
    strain = AXES.T @ np.diag([1e-3, -1e-4, -2e-4]) @ AXES
    flat = np.array([[strain[0, 0], strain[1, 1], strain[2, 2], 2 * strain[1, 2], 2 * strain[0, 2], 2 * strain[0, 1]]])
    (stress,), _, _ = law.update(flat, law.initial_state(1))
    s = np.array(
        [[stress[0], stress[5], stress[4]], [stress[5], stress[1], stress[3]], [stress[4], stress[3], stress[2]]]
    )
    np.testing.assert_allclose(AXES @ s @ AXES.T, np.diag([0.1, 0.0, 0.0]), atol=1e-12)


@pytest.mark.slow
def test_newton_converges_quadratically_with_every_kind_of_law():
    mesh = skfem.MeshHex().refined(1).with_boundaries({"left": lambda x: x[0] == 0.0, "right": lambda x: x[0] == 1.0})
    solver = partial(femnn.solve, method="splu", rtol=1e-14)
    for name in ("j2, small", "j2, finite", "drucker-prager, small", "ogden", "viscoelastic, finite"):
        solid = femnn.Solid(mesh, femnn.GaussLegendre(2), LAWS[name](), formulation="mean-dilatation")
        loads = femnn.Loads(mesh).fix("left").displace("right", 1, 0.06)
        path = quiet(
            solid, loads.force, fixed=loads.fixed, values=loads.values, steps=2, solver=solver, rtol=1e-11, atol=0.0
        )
        assert order(path.steps[-1].residuals) > 1.6, name


# --- formulations


@pytest.mark.parametrize("formulation", ["standard", "mean-dilatation", "incompatible", "stabilised"])
@pytest.mark.parametrize(
    "name",
    [
        "drucker-prager, small",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("j2, finite", "drucker-prager, finite", "damage, small", "ogden", "viscoelastic, finite",
                         "orthotropic, finite")
        ),
    ],
)  # fmt: skip
def test_every_formulation_has_the_tangent_of_every_law(name, formulation):
    mesh = skfem.MeshHex.init_tensor([0.0, 1.0, 1.8], [0.0, 1.0], [0.0, 0.9])
    mesh = skfem.MeshHex(mesh.p + 0.05 * np.random.default_rng(0).uniform(-1, 1, mesh.p.shape), mesh.t)
    law = LAWS[name](expansion=1e-3, **({"toughness": 0.2} if "damage" in name else {}))
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), law, formulation=formulation)
    solid.set_temperature(lambda x: 2.0 * x[0])
    solid.set_time(1.0)
    rng = np.random.default_rng(1)
    # modes within an element that softens far have no equilibrium: the step would be cut
    size = 0.002 if "damage" in name and formulation == "incompatible" else 0.02
    u = size * rng.uniform(-1, 1, solid.n_dofs)
    solid.residual_and_tangent(u)
    solid.commit()
    u += 0.5 * size * rng.uniform(-1, 1, solid.n_dofs)
    _, tangent = solid.residual_and_tangent(u)
    for _ in range(3):
        step = rng.uniform(-1, 1, solid.n_dofs)
        change = solid.internal_force(u + 1e-7 * step) - solid.internal_force(u - 1e-7 * step)
        np.testing.assert_allclose(tangent @ step, change / 2e-7, atol=2e-5 * abs(tangent @ step).max())


# --- parameters


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: femnn.LinearElastic(210e9),
            "LinearElastic: missing a required argument: 'poisson'; it takes young, p",
        ),
        (lambda: femnn.J2(210e9, 0.3, 235e6, hardening=1.0), "J2: got an unexpected keyword argument 'hardening'; it"),
        (lambda: femnn.LinearElastic(210e9, 0.5), r"poisson=0.5 is not allowed; pass a real number in \(-1, 0.5\)"),
        (lambda: femnn.LinearElastic(-1.0, 0.3), "young=-1.0 is not allowed"),
        (lambda: femnn.LinearElastic([1.0, 0.0], 0.3), r"young is 0 at element 1 and outside \(0, inf\) at 1 of 2"),
        (lambda: femnn.LinearElastic([1.0, 2.0], [0.3] * 3), "values of young for 2, poisson for 3 elements"),
        (lambda: femnn.LinearElastic(1.0, 0.3, kinematics="large"), "kinematics='large' is not allowed"),
        (lambda: femnn.Orthotropic((1, 100, 1), (0.1, 0.1, 0.3), (1, 1, 1)), "no stable material"),
        (lambda: femnn.Orthotropic((1, 1), (0.1, 0.1, 0.3), (1, 1, 1)), r"young has shape \(2,\)"),
        (lambda: femnn.Orthotropic((1, 1, 1), (0, 0, 0), (1, 1, 1), axes=np.ones((3, 3))), "axes are no rotation"),
        (lambda: femnn.Anisotropic(-np.eye(6)), "not symmetric positive definite: its least eigenvalue is -1"),
        (lambda: femnn.Ogden([1.0], [-2.0], bulk=1.0), "term 0 has the modulus 1 and the exponent -2"),
        (lambda: femnn.Ogden([1.0, 2.0], [2.0], bulk=1.0), "pass lists of one length"),
        (lambda: femnn.DruckerPrager(1.0, 0.3, 1.0, 20.0, 30.0), "dilation=30.0 is more than friction=20.0"),
        (lambda: femnn.DruckerPrager(1.0, 0.3, 1.0, 20.0, 0.0, hardening=1.0), "hardening needs dilation"),
        (lambda: femnn.Viscoelastic(1.0, 0.3, [0.6, 0.4], [1.0, 2.0]), "shares sum to 1: nothing would be left"),
        (lambda: femnn.Viscoelastic(1.0, 0.3, [0.6], [0.0]), r"times is 0 at element 0"),
    ],
)
def test_parameters_that_cannot_be_are_named(make, says):
    with pytest.raises(femnn.ParameterError, match=says):
        make()


def test_a_law_prints_its_parameters():
    assert repr(femnn.NeoHooke(2e6, 0.45)) == "NeoHooke(young=2000000.0, poisson=0.45, expansion=0.0)"
    with pytest.raises(femnn.ParameterError, match=r"NeoHooke\(.* has no condition 'temperature'; it has: none"):
        femnn.NeoHooke(2e6, 0.45).update(np.zeros((1, 3, 3)), np.zeros((1, 0)), temperature=1.0)


def test_inverted_points_have_no_answer():
    for name in ("neo-hooke", "ogden", "j2, finite"):
        stress, _, _ = LAWS[name]().update(np.diag([-2.5, 0.0, 0.0])[None], LAWS[name]().initial_state(1))
        assert np.isnan(stress).any()
