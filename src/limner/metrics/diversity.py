"""How alike the images of one set are: mean MS-SSIM of random pairs, and distances of features against the real set's.

A generator that lost variety makes pairs that are more alike than real ones. Neither number says how good images are,
and each is read beside the real set's own: noise is as various as can be.
Sources: Odena, Olah and Shlens 2017, Conditional image synthesis with auxiliary classifier GANs, arXiv 1610.09585,
section 4.2 (MS-SSIM within classes); Karras et al. 2018, arXiv 1710.10196, section 5 (over all images).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .checks import check_sides
from .halves import LEVEL, Measured
from .number import Interval
from .shares import deviations
from .ssim import ms_ssim, scales_that_fit, smallest_side

PAIRS = 10_000
CHUNK = 256  # pairs that are compared at once
METHOD = "variance of a mean over pairs that share images"


@dataclass(frozen=True)
class Similarity:
    """Mean MS-SSIM of pairs, from 0 to 1, higher for less variety.

    scales    of MS-SSIM: 5 as published for sides of 176 and more, fewer for smaller images
    pairs     that were compared
    classes   the mean of each class, for the variant within classes
    """

    mean: Measured
    scales: int
    pairs: int
    classes: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """Mean distance of pairs of feature rows on both sides, and their ratio: below 1, generated images vary less."""

    ratio: Measured
    generated: float
    real: float


def random_pairs(count: int, wanted: int, *, seed: int, purpose: str = "pairs") -> np.ndarray:
    """(P, 2) distinct pairs of `count` items, in which every item occurs equally often.

    Items stand in a random circle and are paired with the 1st, 2nd … one after them, until there are `wanted` pairs or
    none is left; of more than `wanted` items that many are taken.
    """
    if count < 2:
        raise DataError(f"{count} image makes no pairs; 2 are the least")
    circle = generator(seed, purpose).permutation(count)[: max(wanted, 2)]
    rounds = max(1, min(math.ceil(wanted / len(circle)), (len(circle) - 1) // 2))
    if len(circle) == 2:
        return circle[None]
    return np.concatenate([np.stack([circle, np.roll(circle, -step)], axis=1) for step in range(1, rounds + 1)])


def ms_ssim_diversity(images: np.ndarray, *, pairs: int = PAIRS, seed: int = 0) -> Similarity:
    """Mean MS-SSIM of random pairs of `images` (N, H, W, C) uint8.

    Raises ConfigError for images smaller than 11 pixels, DataError for fewer than two.
    """
    scales = _scales(images)
    chosen = random_pairs(len(images), pairs, seed=seed)
    mean, error = mean_over_pairs(_similarities(images, chosen, scales), chosen)
    return Similarity(_measured(mean, error), scales, len(chosen))


def ms_ssim_within_classes(images: np.ndarray, labels: np.ndarray, *, pairs: int = PAIRS, seed: int = 0) -> Similarity:
    """The mean over classes of the mean MS-SSIM of random pairs of one class.

    labels   (N,)   class of each image; images of -1, and of a class with one image, are left out
    pairs    of all classes together

    Raises DataError when no class has two images, and as `ms_ssim_diversity`.
    """
    if labels.shape != (len(images),):
        raise ConfigError(f"labels of shape {labels.shape} do not name a class for each of {len(images)} images")
    scales, means, errors, total = _scales(images), {}, [], 0
    classes = [int(label) for label in np.unique(labels) if label >= 0 and (labels == label).sum() > 1]
    for label in classes:
        rows = np.flatnonzero(labels == label)
        wanted = math.ceil(pairs / len(classes))
        chosen = rows[random_pairs(len(rows), wanted, seed=seed, purpose=f"pairs of class {label}")]
        means[label], error = mean_over_pairs(_similarities(images, chosen, scales), chosen)
        errors.append(error)
        total += len(chosen)
    if not classes:
        raise DataError("no class has two images to compare; use the variety over all images")
    mean = float(np.mean(list(means.values())))
    return Similarity(_measured(mean, math.hypot(*errors) / len(classes)), scales, total, means)


def feature_spread(generated: np.ndarray, real: np.ndarray, *, pairs: int = PAIRS, seed: int = 0) -> Spread:
    """Mean Euclidean distance of random pairs of `generated` (N, D) rows, over that of `real` (M, D) rows.

    Raises ConfigError for unlike dimensions, DataError for values that are not finite and for real rows that are all
    equal.
    """
    check_sides(generated, real)
    means, errors = zip(*(_mean_distance(rows, pairs, seed) for rows in (generated, real)), strict=True)
    if means[1] == 0:
        raise DataError("all real features are equal: there is no variety to compare with")
    ratio = means[0] / means[1]
    if means[0] == 0 or not all(map(math.isfinite, errors)):
        return Spread(Measured(ratio), *means)
    relative = math.hypot(*(error / mean for mean, error in zip(means, errors, strict=True)))
    wide = math.exp(deviations(LEVEL) * relative)
    return Spread(Measured(ratio, Interval(ratio / wide, ratio * wide, LEVEL, METHOD)), *means)


def mean_over_pairs(values: np.ndarray, pairs: np.ndarray) -> tuple[float, float]:
    """The mean of `values` (P,) over `pairs` (P, 2) in which images occur equally often, and its standard error.

    Two pairs that share an image are correlated. With P pairs, in which each image occurs r times,
    Var(mean) = (v + 2 (r - 1) c) / P: v the variance of a value, c the covariance of two values that share an image.
    Source: Blom 1976, Some properties of incomplete U-statistics.
    """
    mean = float(values.mean())
    if len(values) < 2:
        return mean, math.inf
    items, places = np.unique(pairs, return_inverse=True)
    occurrences = 2 * len(pairs) / len(items)
    variance = float(values.var(ddof=1))
    if occurrences > 1:
        sums = np.bincount(places.ravel(), weights=np.repeat(values - mean, 2), minlength=len(items))
        # Var(sum of an item's r values) = r v + r (r - 1) c
        spread = float(np.square(sums).mean())
        shared = (spread - occurrences * variance) / (occurrences * (occurrences - 1))
        variance += 2 * (occurrences - 1) * min(max(shared, 0.0), variance / 2)
    return mean, math.sqrt(variance / len(values))


def _measured(mean: float, error: float) -> Measured:
    if not math.isfinite(error):
        return Measured(mean)
    half = deviations(LEVEL) * error
    return Measured(mean, Interval(max(0.0, mean - half), min(1.0, mean + half), LEVEL, METHOD))


def _scales(images: np.ndarray) -> int:
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ConfigError(f"images of {images.dtype} {images.shape} cannot be compared; use uint8 (N, H, W, C)")
    scales = scales_that_fit(*images.shape[1:3])
    if scales == 0:
        height, width = images.shape[1:3]
        raise ConfigError(
            f"images of {height}x{width} are too small for MS-SSIM; the smallest side is {smallest_side(1)}"
        )
    return scales


def _similarities(images: np.ndarray, pairs: np.ndarray, scales: int) -> np.ndarray:
    parts = (pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK))
    return np.concatenate([ms_ssim(images[part[:, 0]], images[part[:, 1]], scales=scales) for part in parts])


def _mean_distance(rows: np.ndarray, wanted: int, seed: int) -> tuple[float, float]:
    pairs = random_pairs(len(rows), wanted, seed=seed)
    parts = (pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK))
    apart = [np.asarray(rows[part[:, 0]], np.float64) - rows[part[:, 1]] for part in parts]
    return mean_over_pairs(np.concatenate([np.linalg.norm(part, axis=1) for part in apart]), pairs)
