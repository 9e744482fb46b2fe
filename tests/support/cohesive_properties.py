"""What every traction-separation law must satisfy, written once as assertions that the tests share."""

import numpy as np

from femnn.cohesive import refined, respond


def path_through(law, points):
    """State and tractions (steps, 3) of one point driven through ``points`` (steps, 3)."""
    state, tractions = law.initial_state(1), []
    for point in np.asarray(points, dtype=float):
        traction, _, state = law.update(point[None], state)
        tractions.append(traction[0])
    return state, tractions


def tangent_errors(law, separation, state, relative_step=1e-5):
    """Largest difference between tangent and central differences at each point, over the largest entry; (n,).

    Where a kink lies within the step there is no derivative: such points, told by one-sided differences that do not
    agree, are NaN.
    """
    traction, tangent, _ = law.update(separation, state)
    step = relative_step * np.maximum(np.linalg.norm(separation, axis=1), 1e-2 * law.separation_scale)
    errors, kinks = np.zeros(len(separation)), np.zeros(len(separation), dtype=bool)
    stiffest = np.abs(law.update(0.0 * separation, law.initial_state(len(separation))).tangent).max()
    scale = np.maximum(np.abs(tangent).max(axis=(1, 2)), 1e-4 * stiffest)
    for j in range(3):
        moved = step[:, None] * np.eye(3)[j]
        ahead, behind = (law.update(separation + sign * moved, state).traction for sign in (1, -1))
        # fourth order: truncation far below what rounding leaves
        ahead2, behind2 = (law.update(separation + sign * moved, state).traction for sign in (2, -2))
        difference = (8 * (ahead - behind) - (ahead2 - behind2)) / (12 * step[:, None])
        jump = np.abs(ahead2 - 2 * traction + behind2).max(axis=1) / step
        errors = np.maximum(errors, np.abs(difference - tangent[:, :, j]).max(axis=1) / scale)
        # of a smooth traction both widths of the difference give the same slope, about a kink they do not
        widths = np.abs((ahead - behind) / 2 - (ahead2 - behind2) / 4).max(axis=1) / step
        kinks |= (jump > 1e-3 * scale) | (widths > 1e-7 * scale)
    return np.where(kinks, np.nan, errors)


def assert_tangent_is_consistent(law, paths, tolerance):
    """Tangents match differences at every step of the paths, but where a path meets a kink."""
    # pure modes run along the kink at zero opening, pauses stay on that of reloading: move every point off
    paths = paths + 1e-3 * law.separation_scale * np.random.default_rng(1).normal(size=paths.shape)
    state, errors = law.initial_state(len(paths)), []
    for step in range(1, paths.shape[1]):
        errors.append(tangent_errors(law, paths[:, step], state))
        state = law.update(paths[:, step], state).state
    errors = np.array(errors)
    assert np.isnan(errors).mean() < 0.05
    assert np.nanmax(errors) < tolerance


def dissipation(law, paths, substeps=1):
    """Least dissipation of any step of each path, (n,), J/m²: work of the step less the growth of the free energy.

    The traction at the end of a step does the work: for a damage law with convex free energy this is what the implicit
    step dissipates, however long the step.
    """
    paths = refined(paths, substeps)
    state = law.initial_state(len(paths))
    energy, least, before = np.zeros(len(paths)), np.full(len(paths), np.inf), paths[:, 0]
    for step in range(paths.shape[1]):
        separation = paths[:, step]
        traction, _, state = law.update(separation, state)
        now = law.free_energy(separation, state)
        lost = (traction * (separation - before)).sum(axis=1) - (now - energy)
        least, energy, before = np.minimum(least, lost), now, separation
    return least


def assert_dissipates(law, paths, toughness=969.0):
    """No step gives more energy back than was stored, and no path gives back more than was put in."""
    assert dissipation(law, paths).min() >= -1e-9 * toughness
    fine = refined(paths, 20)
    tractions, _ = respond(law, fine)
    power = 0.5 * (tractions[:, 1:] + tractions[:, :-1]) * np.diff(fine, axis=1)
    # the trapezoidal rule errs by the square of the step
    assert power.sum(axis=2).cumsum(axis=1).min() > -1e-4 * toughness


def assert_state_is_kept(law, paths):
    """Updating is pure, deterministic, and each point is by itself."""
    _, state = respond(law, paths)
    kept = state.values.copy()
    first = law.update(paths[:, 1], state)
    np.testing.assert_array_equal(state.values, kept)
    second = law.update(paths[:, 1], state)
    for a, b in zip(first[:2], second[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    some = np.array([7, 2, 19])
    part = law.update(paths[some, 1], state[some])
    np.testing.assert_allclose(part.traction, first.traction[some], rtol=1e-12, atol=1e-3)
    np.testing.assert_allclose(part.state.values, first.state.values[some], rtol=1e-12, atol=1e-15)


def assert_rotates_with_shear(law, paths, angle=0.7, tolerance=1e-9):
    """Turning the two shear directions turns the tractions along."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    tractions, turned = respond(law, paths)[0], respond(law, paths @ turn.T)[0]
    assert np.abs(turned - tractions @ turn.T).max() < tolerance * np.abs(tractions).max()


def assert_virgin_is_free(law):
    """No traction at zero separation of the virgin interface, also when it is asked again."""
    state = law.initial_state(3)
    for _ in range(3):
        traction, _, state = law.update(np.zeros((3, 3)), state)
        assert np.abs(traction).max() == 0.0
