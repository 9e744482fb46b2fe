"""Films of something that moves: pictures of angles and outlines, and what a film must be to learn from it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter

from femnn.checks import checked, floats, integer, number, numbers
from femnn.exceptions import DatasetError, ParameterError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import GuardedFile
from femnn.system.compile import njit

# Steps between frames are equal up to this share.
_EVEN = 1e-6

# A step is a jump if it is this many times as large as those before and behind and a share of that in the middle of
# all: of pictures, in which noise is averaged over the pixels, and of single numbers.
_JUMP, _SHARE = {"pictures": 2.0, "numbers": 5.0}, {"pictures": 0.5, "numbers": 1.0}

# Brightness of the bob falls as exp(-20 r²), as in the film of Champion and others.
_BOB = 20.0

#: Half the width and height of what the camera sees of an ideal pendulum of length one.
REACH = 1.5


@dataclass(frozen=True, eq=False)
class Film:
    """Clips of grey pictures at equal steps of time.

    Parameters
    ----------
    clips : sequence of (n, height, width)
        Brightness, 0 to 1 by custom; all pictures have one size, clips may have any length of 5 frames or more.
    dt
        Seconds between two frames.

    Raises
    ------
    DatasetError
        If a clip holds NaN, stands still, or jumps.

    Examples
    --------
    >>> angle = 0.5 * np.cos(np.linspace(0.0, 6.0, 61))
    >>> film = Film([picture_of_angle(angle)], 0.1)
    >>> film
    Film(1 clip, 61 frames of 51×51 pixels, 10 a second)
    """

    clips: tuple[np.ndarray, ...]
    dt: float

    def __post_init__(self) -> None:
        number("dt", self.dt, "(0, inf)")
        is_sequence = isinstance(self.clips, Sequence) or getattr(self.clips, "ndim", 0) > 0
        clips: list[np.ndarray] = []
        for k, clip in enumerate(self.clips if is_sequence else ()):
            pictures = numbers(f"clip {k}", clip, finite=False, error=DatasetError)
            if pictures.ndim != 3 or len(pictures) < 5 or (clips and pictures.shape[1:] != clips[0].shape[1:]):
                raise DatasetError(
                    f"clip {k} has the shape {pictures.shape}; pass (frames, height, width) with five frames or more, "
                    "and pictures of one size"
                )
            pictures = pictures.astype(np.float32)
            require_smooth(pictures.reshape(len(pictures), -1), f"clip {k}")
            clips.append(pictures)
        if not clips:
            raise DatasetError("the film has no clips; pass a list of arrays (frames, height, width)")
        object.__setattr__(self, "clips", tuple(clips))

    def __repr__(self) -> str:
        height, width = self.shape
        clips = f"{len(self.clips)} clip{'s' * (len(self.clips) > 1)}"
        return f"Film({clips}, {self.n_frames} frames of {width}×{height} pixels, {1.0 / self.dt:.4g} a second)"

    @classmethod
    @checked(clips="unchecked", times="unchecked")
    def at_times(cls, clips: Sequence[ArrayLike], times: Sequence[ArrayLike]) -> "Film":
        """A film from the times (n,) of the frames of each clip; DatasetError if their steps are not equal."""
        if len(clips) != len(times) or len(clips) == 0:
            raise DatasetError(f"there are {len(clips)} clips and the times of {len(times)}; pass one for each")
        steps = []
        for k, (clip, own) in enumerate(zip(clips, times, strict=True)):
            own = floats(f"the times of clip {k}", own)
            if own.shape != np.shape(clip)[:1] or len(own) < 2:
                raise DatasetError(f"clip {k} has {np.shape(clip)[:1]} frames and times {own.shape}; pass one for each")
            steps.append(np.diff(own))
        usual = float(np.median(np.concatenate(steps)))
        for k, own in enumerate(steps):
            wrong = np.flatnonzero(~(np.abs(own - usual) <= _EVEN * abs(usual)))
            if not usual > 0.0 or len(wrong):
                frame = int(wrong[0]) if len(wrong) else 0
                raise DatasetError(
                    f"the steps of time are not equal: from frame {frame} to {frame + 1} of clip {k} there are "
                    f"{own[frame]:.6g} s, elsewhere {usual:.6g} s; cut the clip there, or interpolate what you measure "
                    "to equal steps"
                )
        return cls(tuple(np.asarray(clip) for clip in clips), usual)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a picture, in pixels."""
        return self.clips[0].shape[1:]

    @property
    def n_frames(self) -> int:
        """Frames of all clips."""
        return sum(map(len, self.clips))

    def rows(self) -> list[np.ndarray]:
        """Each clip as rows (n, pixels)."""
        return [clip.reshape(len(clip), -1) for clip in self.clips]

    @checked(noise="[0, inf)", blur="[0, inf)", seed="[0, inf)")
    def disturbed(self, noise: float = 0.0, blur: float = 0.0, seed: int = 0) -> "Film":
        """The film through a worse camera.

        Parameters
        ----------
        noise
            Standard deviation of what is added to each pixel, independent of all others.
        blur
            Standard deviation (pixels) of the Gaussian that spreads each point, before the noise.
        seed
            Of the noise.
        """
        generator, clips = np.random.default_rng(seed), []
        for clip in self.clips:
            seen = gaussian_filter(clip, (0.0, blur, blur)) if blur else clip
            added = generator.standard_normal(clip.shape, dtype=np.float32) if noise else 0.0
            clips.append(seen + np.float32(noise) * added)
        return replace(self, clips=tuple(clips))

    @checked()
    def save(self, path: str | os.PathLike, **more: Any) -> Path:
        """Write the film as a compressed ``.npz`` file of 8 bits a pixel, with ``more`` arrays beside it."""
        pictures = {
            f"clip{k}": np.round(255.0 * np.clip(clip, 0.0, 1.0)).astype(np.uint8) for k, clip in enumerate(self.clips)
        }
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, dt=np.float64(self.dt), **pictures, **more)
        return Path(path)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike) -> tuple["Film", dict[str, np.ndarray]]:
        """The film and the arrays that :meth:`save` wrote.

        Raises
        ------
        DatasetError
            If the file is missing, damaged or no film.
        """
        file = GuardedFile(Path(path), DatasetError, "film", "render it again")
        arrays = file.arrays()
        names = sorted((name for name in arrays if name.startswith("clip")), key=lambda name: (len(name), name))
        with file.checked():
            dt = float(arrays.pop("dt"))
            clips = tuple(arrays.pop(name) / np.float32(255.0) for name in names)
        return cls(clips, dt), arrays


def require_smooth(rows: np.ndarray, what: str) -> None:
    """DatasetError if rows (n, values) over time hold NaN, stand still or jump.

    >>> require_smooth(np.zeros((9, 2)), "the film")
    Traceback (most recent call last):
    femnn.exceptions.DatasetError: the film stands still: all 9 frames are one; film something that moves
    """
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(wrong):
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise DatasetError(f"{what} is not finite in frame {wrong[0]}{more}; leave out what is not")
    steps = np.sqrt(((rows[1:] - rows[:-1]) ** 2).sum(axis=1))
    if not steps.any():
        raise DatasetError(f"{what} stands still: all {len(rows)} frames are one; film something that moves")
    frozen = np.flatnonzero((steps[1:] == 0.0) & (steps[:-1] == 0.0))
    if len(frozen):
        raise DatasetError(
            f"{what} stands still from frame {frozen[0]} to {frozen[0] + 2}: these are one picture, others differ; cut "
            "the film there: a camera that repeats frames tells nothing of them"
        )
    kind = "pictures" if rows.shape[1] > 1 else "numbers"
    around = np.maximum(np.append(steps[1:], steps[-2]), np.append(steps[1], steps[:-1]))
    jump = np.flatnonzero(steps > _JUMP[kind] * (around + _SHARE[kind] * np.median(steps)))
    if len(jump):
        k = jump[0]
        raise DatasetError(
            f"{what} jumps between the frames {k} and {k + 1}: they differ by {steps[k]:.3g}, frames before and behind "
            f"by {around[k]:.3g}; cut the film there into two clips"
        )


@checked(angle="n", size="[8, inf)", tilt="[0, 1.5]")
def picture_of_angle(angle: ArrayLike, size: int = 51, tilt: float = 0.0) -> np.ndarray:
    """Pictures (n, size, size) of the bob of a pendulum of length one: a bright spot without edges, as in the sources.

    Parameters
    ----------
    angle : (n,)
        rad, zero where it hangs.
    size
        Pixels along each side, which see from -1.5 to 1.5.
    tilt
        Angle (rad) by which the camera stands beside the axis of the hinge: circles become ellipses.

    Examples
    --------
    >>> picture_of_angle([0.0, 1.0]).shape
    (2, 51, 51)
    """
    angle = np.asarray(angle, dtype=float)
    grid = np.linspace(-REACH, REACH, size)
    across = np.exp(-_BOB * (grid - np.cos(tilt) * np.sin(angle)[:, None]) ** 2)
    # rows of a picture go down
    down = np.exp(-_BOB * (grid - np.cos(angle)[:, None]) ** 2)
    return (down[:, :, None] * across[:, None, :]).astype(np.float32)


@checked(outlines="n k 2", size="[8, inf)", reach="(0, inf)")
def picture_of_outline(outlines: ArrayLike, size: int = 51, reach: float = REACH) -> np.ndarray:
    """Pictures (n, size, size) of polygons: white inside, grey in proportion where an edge runs through a pixel.

    Parameters
    ----------
    outlines : (n, k, 2)
        Corners of a closed polygon in each frame, y upwards.
    size
        Pixels along each side, which see from -``reach`` to ``reach``.
    reach
        In the unit of the outlines.

    Examples
    --------
    >>> square = np.array([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]])
    >>> picture = picture_of_outline(square, 60)
    >>> round(float(picture.sum()) * (2 * REACH / 60) ** 2, 2)
    1.0
    """
    corners = np.ascontiguousarray(outlines, dtype=np.float64)
    if corners.shape[1] < 3:
        raise ParameterError(f"a polygon of {corners.shape[1]} corners has no inside; pass three or more")
    integer("size", size, at_least=8)
    pictures = np.zeros((len(corners), size, size), dtype=np.float32)
    _fill(corners, 2.0 * reach / size, reach, pictures)
    return pictures


@njit(cache=True)
def _fill(corners, pixel, reach, pictures):
    """Coverage of pixels by their distance from the edges, negative inside: exact for straight edges along the grid."""
    n, k = corners.shape[:2]
    size = pictures.shape[1]
    for f in range(n):
        for i in range(size):
            y = reach - (i + 0.5) * pixel
            for j in range(size):
                x = (j + 0.5) * pixel - reach
                nearest, inside = np.inf, False
                for a in range(k):
                    b = a + 1 if a + 1 < k else 0
                    ax, ay = corners[f, a, 0], corners[f, a, 1]
                    ex, ey = corners[f, b, 0] - ax, corners[f, b, 1] - ay
                    px, py = x - ax, y - ay
                    along = min(max((px * ex + py * ey) / (ex * ex + ey * ey), 0.0), 1.0)
                    dx, dy = px - along * ex, py - along * ey
                    nearest = min(nearest, dx * dx + dy * dy)
                    if (ay > y) != (ay + ey > y) and x < ax + ex * (y - ay) / ey:
                        inside = not inside
                distance = np.sqrt(nearest) / pixel
                pictures[f, i, j] = min(max(0.5 + (distance if inside else -distance), 0.0), 1.0)
