"""Likelihoods as numbers: nats and bits per dimension, means of importance weights, intervals over images.

Two things pass for "the likelihood of an image" and must not be mixed. A probability is of the pixels as they are
stored, in whole levels: it is comparable between models. A density is of real numbers: its value depends on the unit
that they are in, and it becomes comparable when the pixels are dequantised, which is adding to each level noise that
is uniform over the width of a level. By Jensen's inequality the mean log density of the dequantised image, plus the log
width of a level for every dimension, is at most the log probability of the stored one.
Source: Theis et al. 2015, A note on the evaluation of generative models, arXiv 1511.01844, section 3.1.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from ..errors import ConfigError, DataError
from .bootstrap import student_deviations
from .number import Interval

LEVELS = 256  # of an 8-bit pixel

Value = TypeVar("Value", float, np.ndarray)


def bits_per_dim(nats: Value, dimensions: int) -> Value:
    """Negative log probabilities in nats per image -> bits per channel and pixel.

    dimensions   C H W

    A probability needs no dequantisation, and uniform dequantisation would add nothing to it. A density must first
    go through `as_probability`.
    """
    _check_dimensions(dimensions)
    return nats / (dimensions * math.log(2))


def nats_per_image(bits: Value, dimensions: int) -> Value:
    """Undoes `bits_per_dim`."""
    _check_dimensions(dimensions)
    return bits * (dimensions * math.log(2))


def as_probability(nats: Value, dimensions: int, *, value_range: float, levels: int = LEVELS) -> Value:
    """Negative log densities of dequantised images -> bounds on negative log probabilities of the stored ones, in nats.

    value_range   that the `levels` were spread over, one width of a level each: 2 for [-1, 1] and 1 for [0, 1], which
                  adds log(levels / value_range) for every dimension
    """
    _check_dimensions(dimensions)
    if not (0 < value_range < math.inf and levels >= 2):
        raise ConfigError(f"{levels} levels over a range of {value_range} are not possible; use 256 over 1 or 2")
    return nats + dimensions * math.log(levels / value_range)


def log_mean_exp(log_weights: np.ndarray) -> np.ndarray:
    """(..., k) log importance weights -> (...) the log of their mean, in float64 and without overflow.

    -inf is a weight of 0 and may occur. Raises DataError for NaN and +inf, and where there are no weights.
    Source: Burda et al. 2015, arXiv 1509.00519, equation 8.
    """
    weights = np.asarray(log_weights, np.float64)
    if weights.ndim < 1 or weights.shape[-1] < 1:
        raise DataError(f"log weights of shape {weights.shape} have no mean; give one or more for each image")
    if np.isnan(weights).any() or np.isposinf(weights).any():
        raise DataError("log weights hold NaN or +inf; the model may have diverged")
    peak = weights.max(axis=-1, keepdims=True)
    safe = np.where(np.isneginf(peak), 0.0, peak)  # all weights 0: their mean is 0, whose log is -inf
    with np.errstate(divide="ignore"):
        return safe[..., 0] + np.log(np.exp(weights - safe).mean(axis=-1))


def mean_nats(nats: np.ndarray, *, level: float = 0.95) -> tuple[float, Interval | None]:
    """The mean of (N,) negative log-likelihoods with its interval; None for the interval of a single image.

    The interval is Student's, from the standard error over images. It holds what importance sampling adds too, for
    every image has draws of its own. Raises DataError when an image's value is not finite.
    """
    values = np.asarray(nats, np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError(f"likelihoods of shape {values.shape} have no mean; give one for each image")
    if not np.isfinite(values).all():
        raise DataError(f"the likelihood of {(~np.isfinite(values)).sum():,} of {len(values):,} images is not finite")
    mean = float(values.mean())
    if len(values) == 1:
        return mean, None
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = student_deviations(level, len(values) - 1) * error
    return mean, Interval(mean - half, mean + half, level, f"Student's t, standard error over {len(values):,} images")


def _check_dimensions(dimensions: int) -> None:
    if dimensions < 1:
        raise ConfigError(f"dimensions={dimensions} is not possible; it is channels times height times width")
