"""Films of pendulums: drawn from the equation, or from a bar of hexahedra that swings; one of the latter is shipped."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from femnn.checks import checked, instance
from femnn.exceptions import DatasetError
from femnn.identification.film import Film, picture_of_angle, picture_of_outline
from femnn.identification.pendulum import CompoundPendulum, IdealPendulum
from femnn.io.locations import data_folder

#: Angles (rad) at which the bar of the shipped film is let go, a clip each.
LET_GO = (2.7, -2.3, 1.8, -1.3, 0.7)

# What the camera sees of a bar of length one.
_REACH = 1.15


@dataclass(frozen=True, eq=False)
class PendulumFilm:
    """A film of a pendulum, and what the pendulum did, for judging what is found and for nothing else.

    Attributes
    ----------
    film : Film
    angles, velocities : (clips, n)
        rad, rad/s.
    pendulum : IdealPendulum
        That moves so; for a bar, up to its strains.

    Examples
    --------
    >>> film_ideal_pendulum(n=1, frames=20).accelerations.shape
    (1, 20)
    """

    film: Film
    angles: np.ndarray
    velocities: np.ndarray
    pendulum: IdealPendulum

    def __repr__(self) -> str:
        return f"PendulumFilm({self.film!r}, {self.pendulum!r})"

    @property
    def accelerations(self) -> np.ndarray:
        """rad/s² (clips, n)."""
        return self.pendulum.acceleration(self.angles, self.velocities)


@checked(n="[1, inf)", frames="[5, inf)", dt="(0, inf)", size="[8, inf)", tilt="[0, 1.5]", seed="[0, inf)")
def film_ideal_pendulum(
    pendulum: IdealPendulum | None = None,
    n: int = 20,
    frames: int = 250,
    dt: float = 0.04,
    *,
    size: int = 51,
    tilt: float = 0.0,
    highest: float = 0.99,
    seed: int = 0,
) -> PendulumFilm:
    """Film an ideal pendulum from ``n`` drawn starts, in the pictures of the sources.

    Parameters
    ----------
    pendulum
        θ'' = -sin θ if None.
    n, frames, dt
        Clips, frames of each, and seconds between them: as long as those of K. Champion et al., PNAS 116 (2019).
    size, tilt
        As of :func:`femnn.identification.picture_of_angle`.
    highest, seed
        Of the starts, see :meth:`IdealPendulum.starts`.

    Examples
    --------
    >>> film_ideal_pendulum(n=2, frames=50).film
    Film(2 clips, 100 frames of 51×51 pixels, 25 a second)
    """
    pendulum = IdealPendulum() if pendulum is None else instance("pendulum", pendulum, IdealPendulum)
    runs = [
        pendulum.swing(float(angle), float(velocity), dt * np.arange(frames))
        for angle, velocity in zip(*pendulum.starts(n, highest, seed), strict=True)
    ]
    film = Film(tuple(picture_of_angle(angle, size, tilt) for angle, _ in runs), dt)
    angles, velocities = (np.stack([run[k] for run in runs]) for k in (0, 1))
    return PendulumFilm(film, angles, velocities, pendulum)


@checked(angles="m", duration="(0, inf)", every="[1, inf)", size="[8, inf)")
def film_compound_pendulum(
    pendulum: CompoundPendulum, angles: np.ndarray, duration: float, every: int = 4, size: int = 51
) -> PendulumFilm:
    """Film a bar of hexahedra that is let go at some ``angles`` (rad), a clip each, from the side.

    Parameters
    ----------
    duration, every
        As of :meth:`CompoundPendulum.swing`.
    size
        Pixels along each side of the pictures, which see a little more than the bar can reach.

    Examples
    --------
    >>> film_compound_pendulum(CompoundPendulum(cells=(2, 2, 1)), [0.4], 0.2).film
    Film(1 clip, 11 frames of 51×51 pixels, 50 a second)
    """
    instance("pendulum", pendulum, CompoundPendulum)
    swings = [pendulum.swing(float(angle), duration, every=every) for angle in angles]
    reach = _REACH * pendulum.size[1]
    clips = tuple(picture_of_outline(pendulum.outlines(swing.u), size, reach) for swing in swings)
    motions = [pendulum.angles(swing) for swing in swings]
    film = Film(clips, pendulum.dt * every)
    turned, velocities = (np.stack([motion[k] for motion in motions]) for k in (0, 1))
    return PendulumFilm(film, turned, velocities, pendulum.rigid)


@checked()
def simulate_pendulum(
    path: str | os.PathLike, *, cells: tuple[int, int, int] = (2, 6, 1), duration: float = 4.0, drag: float = 2.0
) -> PendulumFilm:
    """Film the bar of the shipped film, let go at :data:`LET_GO`, and write it as an ``.npz`` file.

    Parameters
    ----------
    path
        File to write.
    cells, drag
        As of :class:`CompoundPendulum`.
    duration
        Of each clip (s).

    Examples
    --------
    >>> from femnn.io.atomic import temporary_folder
    >>> with temporary_folder("film") as folder:
    ...     simulate_pendulum(folder / "bar.npz", cells=(2, 2, 1), duration=0.2).film
    Film(5 clips, 55 frames of 51×51 pixels, 50 a second)
    """
    taken = film_compound_pendulum(CompoundPendulum(cells=cells, drag=drag), np.array(LET_GO), duration)
    truth = np.array([taken.pendulum.stiffness, taken.pendulum.damping])
    taken.film.save(path, angles=taken.angles, velocities=taken.velocities, rigid=truth)
    return taken


@checked()
def load_pendulum_film(path: str | os.PathLike | None = None) -> PendulumFilm:
    """The film that :func:`simulate_pendulum` wrote; None takes that which comes with femnn, of 8 bits a pixel.

    It was made by ``femnn simulate pendulum``.

    Raises
    ------
    DatasetError
        If the file is missing, damaged, or no film of a pendulum.

    Examples
    --------
    >>> load_pendulum_film().film
    Film(5 clips, 1005 frames of 51×51 pixels, 50 a second)
    """
    path = data_folder("films") / "compound-pendulum.npz" if path is None else Path(path)
    film, arrays = Film.load(path)
    missing = {"angles", "velocities", "rigid"} - set(arrays)
    if missing:
        raise DatasetError(f"{path} has no {' and no '.join(sorted(missing))}; film it with `femnn simulate pendulum`")
    stiffness, damping = (float(value) for value in arrays["rigid"])
    return PendulumFilm(film, arrays["angles"], arrays["velocities"], IdealPendulum(stiffness, damping))
