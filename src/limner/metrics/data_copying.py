"""C_T, the three-sample test for data copying: are generated images nearer to training images than held-out ones are?

It is a z score, so it grows with the number of images. Smooth images, which lie nearer to all images than images lie
to each other, lower it as copies do; memorisation.py tells the two apart.
Source: Meehan, Chaudhuri & Dasgupta 2020, A non-parametric test to detect data-copying in generative models,
arXiv 2004.05675, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..rng import generator
from .membership import area
from .neighbours import clusters, nearest
from .shares import deviations

PER_CELL, MOST_CELLS = 50, 20  # images of the smallest side in a cell, on average
FEWEST = 20  # generated images of a cell that counts
BASELINE = 2_000  # training images that stand in for held-out ones
CLUSTERED = 10_000  # training images that the cells are made from


@dataclass(frozen=True)
class DataCopying:
    """C_T and its interval: far below 0 for images that copy, far above for images that lie far from the data.

    cells     (K,) the z score of each cell that counts
    weights   (K,) the share of held-out images in each
    """

    value: float
    low: float
    high: float
    cells: np.ndarray
    weights: np.ndarray


def data_copying(
    generated: np.ndarray, train: np.ndarray, held_out: np.ndarray | None = None, *, seed: int = 0, level: float = 0.95
) -> DataCopying:
    """C_T of (N, D) generated rows against (M, D) training and (H, D) held-out rows.

    Without held-out rows, up to 2,000 training rows stand in for them, each against the others. Cells are those of
    k-means on the training rows. In each, distances to the nearest training row of the same cell are ranked together;
    cells with fewer than 20 generated, 2 held-out or 2 training rows do not count. Raises DataError when none counts.
    """
    rows = None if held_out is not None else _sample(len(train), BASELINE, seed)
    others = train[rows] if held_out is None else held_out
    count = max(1, min(len(generated), len(others), len(train)) // PER_CELL)
    centres = clusters(train[_sample(len(train), CLUSTERED, seed)], min(count, MOST_CELLS), seed=seed)
    cells = [nearest(side, centres).indices[:, 0] for side in (generated, others, train)]
    found = []
    for cell in range(len(centres)):
        ours, theirs, near = (np.flatnonzero(side == cell) for side in cells)
        if len(ours) >= FEWEST and len(theirs) >= 2 and len(near) >= 2:
            exclude = None if rows is None else np.searchsorted(near, rows[theirs])
            z, variance = _score(generated[ours], others[theirs], train[near], exclude)
            found.append((z, variance, len(theirs)))
    if not found:
        raise DataError(
            f"no cell holds {FEWEST} of {len(generated)} generated images and 2 of {len(others)} others; generate more"
        )
    scores, variances, sizes = (np.array(part, np.float64) for part in zip(*found, strict=True))
    weights = sizes / sizes.sum()
    value = float(weights @ scores)
    half = deviations(level) * math.sqrt(float(np.square(weights) @ variances))
    return DataCopying(value, value - half, value + half, scores, weights)


def _score(
    generated: np.ndarray, others: np.ndarray, train: np.ndarray, exclude: np.ndarray | None
) -> tuple[float, float]:
    """The Mann-Whitney z score of the distances of two sides to `train`, and its variance: positive when ours are far.

    The variance under no difference is that of ranks, without the correction for ties: distances are seldom equal.
    """
    ours = nearest(generated, train).distances[:, 0]
    theirs = nearest(others, train, exclude=exclude).distances[:, 0]
    order = area(ours, theirs)
    unit = math.sqrt((len(ours) + len(theirs) + 1) / (12 * len(ours) * len(theirs)))
    return (order.value - 0.5) / unit, order.variance / unit**2


def _sample(count: int, most: int, seed: int) -> np.ndarray:
    return np.sort(generator(seed, "data copying").permutation(count)[:most])
