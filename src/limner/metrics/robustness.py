"""How much an output changes when the input is disturbed more and more: a curve, and the area under it.

Outputs are rows: latents of an encoder, pixels or features of a decoder. A response is the distance between the outputs
with and without the disturbance, in units of the distance between outputs of unrelated inputs: 0 is unmoved, 1 is as
far as another picture. The disturbances of pictures are here too; it knows no models.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import ConfigError, DataError
from ..images.read import decode
from ..rng import generator
from .neighbours import check_rows
from .shares import deviations

FEWEST = 10  # rows


@dataclass(frozen=True)
class Estimate:
    """A mean over rows and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """A response curve.

    strengths   (S,) of the disturbance, rising from 0
    responses   at each strength
    area        the mean response over the range of strengths: 0 for an output that nothing moves
    """

    strengths: np.ndarray
    responses: tuple[Estimate, ...]
    area: Estimate


def response(
    outputs: np.ndarray, disturbed: Sequence[np.ndarray], strengths: Sequence[float], *, level: float = 0.95
) -> Curve:
    """The curve of outputs (N, D) and, for each of `strengths`, the outputs (N, D) of the disturbed inputs.

    strengths   positive and rising; at strength 0 the response is 0

    Intervals are those of means over rows. Raises ConfigError for fewer than 10 rows, unlike shapes or strengths that
    do not rise, DataError when all outputs are alike or some are not finite.
    """
    outputs = np.asarray(check_rows(outputs, "outputs"), np.float64)
    _check(outputs, disturbed, strengths)
    unit, places = _unrelated(outputs), np.array([0.0, *strengths])
    rows = np.zeros((len(places), len(outputs)))  # (S, N)
    for row, moved in zip(rows[1:], disturbed, strict=True):
        row[:] = np.linalg.norm(check_rows(moved, "disturbed outputs") - outputs, axis=1) / unit
    areas = np.diff(places) @ ((rows[1:] + rows[:-1]) / 2) / places[-1]  # (N,), by the trapezium rule
    return Curve(places, tuple(_mean(row, level) for row in rows), _mean(areas, level))


def noisy(images: np.ndarray, strength: float, *, seed: int = 0) -> np.ndarray:
    """(N, H, W, C) uint8 with Gaussian noise of `strength` gray levels' deviation; that of image k is keyed by k."""
    noise = [generator(seed, "noise", index).standard_normal(images.shape[1:]) for index in range(len(images))]
    return np.rint(images + strength * np.stack(noise)).clip(0, 255).astype(np.uint8)


def blurred(images: np.ndarray, strength: float, *, seed: int = 0) -> np.ndarray:
    """(N, H, W, C) uint8 under a Gaussian of `strength` pixels, edges repeated. Nothing is drawn."""
    radius = math.ceil(3 * strength)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / strength) ** 2)
    taps /= taps.sum()
    values = images.astype(np.float64)
    for axis in (1, 2):
        padding = [(radius, radius) if axis == other else (0, 0) for other in range(4)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, padding, mode="edge"), len(taps), axis=axis)
        values = windows @ taps
    return np.rint(values).astype(np.uint8)


def compressed(images: np.ndarray, strength: float, *, seed: int = 0) -> np.ndarray:
    """(N, H, W, C) uint8, C of 1 or 3, through JPEG of quality 100 - `strength`. Nothing is drawn."""
    if images.shape[3] not in (1, 3):
        raise ConfigError(f"images of {images.shape[3]} channels have no JPEG; use gray or colour ones")
    return np.stack([_through_jpeg(image, round(100 - strength)) for image in images])


# name -> (disturbance, strengths): from what the eye hardly sees to what it minds
DISTURBANCES: Mapping[str, tuple[Callable[..., np.ndarray], tuple[float, ...]]] = {
    "noise": (noisy, (4.0, 8.0, 16.0, 32.0, 64.0)),
    "blur": (blurred, (0.5, 1.0, 1.5, 2.0, 3.0)),
    "jpeg": (compressed, (5.0, 25.0, 50.0, 75.0, 90.0)),
}


def _through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    channels, file = image.shape[2], io.BytesIO()
    Image.fromarray(image[..., 0] if channels == 1 else image).save(file, format="JPEG", quality=quality)
    return decode(file.getvalue(), channels=channels)


def _unrelated(outputs: np.ndarray) -> float:
    """The mean distance between outputs of different inputs: each row and the one half the set away."""
    distance = float(np.linalg.norm(outputs - np.roll(outputs, len(outputs) // 2, axis=0), axis=1).mean())
    if distance == 0:
        raise DataError("all outputs are alike, so no response can be measured; the model may have collapsed")
    return distance


def _mean(values: np.ndarray, level: float) -> Estimate:
    half = deviations(level) * float(values.std(ddof=1)) / math.sqrt(len(values))
    value = float(values.mean())
    return Estimate(value, max(0.0, value - half), value + half)


def _check(outputs: np.ndarray, disturbed: Sequence[np.ndarray], strengths: Sequence[float]) -> None:
    if len(outputs) < FEWEST:
        raise ConfigError(f"{len(outputs)} outputs are too few for a curve; use {FEWEST} or more")
    if len(disturbed) != len(strengths) or not len(strengths):
        raise ConfigError(f"{len(disturbed)} sets of outputs do not fit {len(strengths)} strengths; give one for each")
    if strengths[0] <= 0 or np.any(np.diff(strengths) <= 0):
        raise ConfigError(f"strengths {list(strengths)} do not rise from above 0")
    for moved in disturbed:
        if moved.shape != outputs.shape:
            raise ConfigError(f"disturbed outputs {moved.shape} are not those of {outputs.shape}; disturb every input")
