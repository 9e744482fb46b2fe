"""The angle of a pendulum in each picture of a clip: by the first moment, refined by turning pictures on their mean."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import map_coordinates

from femnn.checks import checked
from femnn.exceptions import DatasetError, ParameterError
from femnn.identification.film import require_smooth

# Directions around the pivot for each pixel of the largest circle's edge, and the finest search before it is refined.
_DIRECTIONS, _SEARCH = 1.5, 8

# Rounds in which pictures are turned on their mean, and steps of Newton's method in each.
_ROUNDS, _STEPS = 3, 4

# Share of what varies over the directions that must be common to all turned pictures.
_COMMON = 0.2


@checked(clip="n h w", pivot="2")
def angles_of_clip(clip: ArrayLike, pivot: ArrayLike | None = None) -> np.ndarray:
    """Angles (n,), rad, of a bright pendulum before an even, darker background; zero where it hangs below the pivot.

    Pictures become functions of the direction around the pivot; turning the pendulum shifts them. The first guess is
    the direction of the first moment, which all noise of the background disturbs. Then each picture is shifted to
    where it agrees best with the mean of all shifted ones, and that mean is made anew: the matched filter of a shape
    that nobody has to describe. The direction of the first moment of the mean is what hangs down at zero.

    Parameters
    ----------
    clip : (n, height, width)
        Brightness; rows go down.
    pivot : (2,)
        Row and column (pixels, from zero) about which the pendulum turns; the middle of the picture if None. The circle
        about it that just fits into the picture is looked at.

    Raises
    ------
    DatasetError
        If frames stand still, jump or hold NaN, or have no shape in common that turns about the pivot.
    ParameterError
        If the pivot lies outside the pictures.

    Examples
    --------
    >>> from femnn.identification.film import picture_of_angle
    >>> angle = 0.8 * np.cos(np.linspace(0.0, 6.0, 61))
    >>> bool(abs(angles_of_clip(picture_of_angle(angle)) - angle).max() < 1e-3)
    True
    """
    pictures = np.asarray(clip, dtype=float)
    if not pictures.size:
        raise DatasetError(f"the clip has the shape {pictures.shape}; pass pictures (frames, height, width)")
    require_smooth(pictures.reshape(len(pictures), -1), "the clip")
    shape = np.array(pictures.shape[1:])
    middle = 0.5 * (shape - 1) if pivot is None else np.asarray(pivot, dtype=float)
    reach = float(min(middle.min(), (shape - 1 - middle).min()))
    if reach < 2.0:
        raise ParameterError(
            f"the pivot {middle.tolist()} is {reach:.3g} pixels from the edge of pictures of {shape[0]}×{shape[1]}; "
            "pass row and column of a pivot inside them"
        )
    waves, radii = _around(pictures, middle, reach)
    order = np.arange(waves.shape[1])
    # matched filters weigh by the area
    angles = np.angle(waves[:, 1] @ radii**2)
    for _ in range(_ROUNDS):
        mean = np.mean(waves * np.exp(-1j * order * angles[:, None])[:, :, None], axis=0)
        angles = _matched(np.einsum("fmr,mr,r->fm", waves, mean.conj(), radii), order)
    mean = np.mean(waves * np.exp(-1j * order * angles[:, None])[:, :, None], axis=0)
    common = np.sum(np.abs(mean[1:]) ** 2 @ radii) / np.mean(np.sum(np.abs(waves[:, 1:]) ** 2 @ radii, axis=1))
    if common < _COMMON:
        raise DatasetError(
            f"the pictures have only {common:.0%} of what varies in them in common, however they are turned about the "
            f"pivot {middle.tolist()}; pass the pivot, or a clip with less noise"
        )
    angles = np.unwrap(angles + np.angle(mean[1] @ radii**2))
    # the first on the shorter way round
    return angles - 2.0 * np.pi * np.round(angles[0] / (2.0 * np.pi))


def _around(pictures, middle, reach):
    """Fourier coefficients (n, m, radii) over the direction, from the downward one on, and the radii in pixels."""
    radii = np.arange(0.5, reach, 0.5)
    count = int(np.ceil(_DIRECTIONS * 2.0 * np.pi * reach / 2.0)) * 2
    direction = 2.0 * np.pi * np.arange(count) / count
    places = np.stack([middle[0] + np.cos(direction)[:, None] * radii, middle[1] + np.sin(direction)[:, None] * radii])
    seen = np.stack([map_coordinates(picture, places, order=3, mode="nearest") for picture in pictures])
    # the last coefficient of an even count has no direction
    waves = np.conj(np.fft.rfft(seen, axis=1)[:, :-1])
    waves[:, 0] = 0.0
    return waves, radii


def _matched(products, order):
    """Angles (n,) at which the sums Re Σ c_m exp(-i m θ) are the largest, of products (n, m)."""
    count = _SEARCH * len(order)
    sums = np.fft.fft(products, count, axis=1).real
    angles = 2.0 * np.pi * np.argmax(sums, axis=1) / count
    for _ in range(_STEPS):
        turned = products * np.exp(-1j * order * angles[:, None])
        slope, curvature = np.sum(order * turned.imag, axis=1), -np.sum(order**2 * turned.real, axis=1)
        step = -slope / np.where(curvature < 0.0, curvature, -np.inf)
        angles = angles + np.clip(step, -np.pi / count, np.pi / count)
    return angles
