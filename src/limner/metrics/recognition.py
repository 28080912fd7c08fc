"""Whether a detector finds in a picture what was asked for: recall, precision, and their average over thresholds.

It takes the detector's scores, not its boxes: where a thing lies is not asked here, only whether it is there. What was
not asked for counts as absent, so a picture of two things of which one was asked for costs precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..rng import generator
from .accuracy import Share, share
from .number import Interval

THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))  # 0.05 … 0.95
RESAMPLES = 1_000


@dataclass(frozen=True)
class Rate:
    """A rate, with the interval that drawing the pictures again gives."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Recognition:
    """How well a detector finds what was asked for.

    recall                 mean over the thresholds of the share of asked things that are found
    precision              mean over the thresholds of the share of found things that were asked for; 0 where none is
    average_precision      area under precision over recall, all names together, as the threshold falls
    chance                 what average precision would be for scores that know nothing
    pictures               how many there were
    recalls, precisions    at each of the thresholds
    per_name               recall at a score of 0.5 of each name; None for a name that was never asked for
    """

    recall: Rate
    precision: Rate
    average_precision: Rate
    chance: float
    pictures: int
    thresholds: tuple[float, ...]
    recalls: tuple[float, ...]
    precisions: tuple[float, ...]
    per_name: tuple[Share | None, ...]


def recognition(
    scores: np.ndarray, asked: np.ndarray, *, seed: int = 0, level: float = 0.95, resamples: int = RESAMPLES
) -> Recognition:
    """What the scores of a detector say of pictures that were asked to show something.

    scores   (N, K)   highest score in [0, 1] of each of K names in each picture; 0 where it is not found
    asked    (N, K)   bool, whether the picture was asked to show it

    Raises DataError for unlike shapes, scores outside [0, 1], and pictures of which nothing at all was asked.
    """
    scores, asked = _checked(scores, asked)
    rates, area = _rates(scores, asked), _area_under(scores, asked)
    weights = _weights(asked, seed, resamples)  # (1 + S, N), the first row of ones
    recalls, precisions = rates(weights)
    return Recognition(
        recall=_rate(recalls.mean(axis=1), level),
        precision=_rate(precisions.mean(axis=1), level),
        average_precision=_rate(np.array([area(row) for row in weights]), level),
        chance=float(asked.mean()),
        pictures=len(scores),
        thresholds=THRESHOLDS,
        recalls=tuple(recalls[0].tolist()),
        precisions=tuple(precisions[0].tolist()),
        per_name=tuple(
            share(int((scores[rows, k] >= 0.5).sum()), int(rows.sum()), level=level) if rows.any() else None
            for k, rows in enumerate(asked.T)
        ),
    )


def _weights(asked: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """(1 + S, N) how often each picture counts: once, then as often as it is drawn."""
    count = len(asked)
    drawn = generator(seed, "recognition").multinomial(count, np.full(count, 1 / count), size=resamples)
    drawn = drawn[drawn @ asked.sum(axis=1) > 0]  # with few pictures, a draw may hold none that asks for anything
    return np.concatenate([np.ones((1, count)), drawn])


def _rates(scores: np.ndarray, asked: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function from weights (S, N) to recall and precision at each threshold, (S, T) both."""
    over = scores[:, :, None] >= np.array(THRESHOLDS)  # (N, K, T)
    found, wanted, right = over.sum(axis=1), asked.sum(axis=1), (over & asked[:, :, None]).sum(axis=1)

    def rates(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hits = weights @ right
        return hits / (weights @ wanted)[:, None], hits / np.maximum(weights @ found, 1)

    return rates


def _rate(draws: np.ndarray, level: float) -> Rate:
    """Of (1 + S,) values the first, and the middle share `level` of the others."""
    low, high = np.quantile(draws[1:], [(1 - level) / 2, (1 + level) / 2])
    method = f"bootstrap over pictures, {len(draws) - 1:,} resamples"
    return Rate(float(draws[0]), Interval(float(low), float(high), level, method))


def average_precision(scores: np.ndarray, asked: np.ndarray) -> float:
    """Area under precision over recall of all (picture, name) pairs together; equal scores fall together."""
    scores, asked = _checked(scores, asked)
    return float(_area_under(scores, asked)(np.ones(len(scores))))


def _area_under(scores: np.ndarray, asked: np.ndarray) -> Callable[[np.ndarray], float]:
    """A function from weights of the pictures (N,) to the average precision; the sorting is done once."""
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")
    pictures, hit = order // scores.shape[1], asked.ravel()[order]
    last = np.append(flat[order][1:] != flat[order][:-1], True)  # the last pair of each run of equal scores

    def area(weights: np.ndarray) -> float:
        weight = weights[pictures]
        right, total = np.cumsum(weight * hit)[last], np.cumsum(weight)[last]
        gained = np.diff(right, prepend=0.0)
        return float((gained * right / np.maximum(total, 1)).sum() / right[-1])

    return area


def _checked(scores: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, asked = np.asarray(scores, np.float64), np.asarray(asked)
    if scores.shape != asked.shape or scores.ndim != 2 or not scores.size or asked.dtype != bool:
        raise DataError(f"scores {scores.shape} and what was asked {asked.dtype} {asked.shape} must be alike, (N, K)")
    if not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1):
        raise DataError("some scores are not numbers from 0 to 1; give a detector's probabilities")
    if not asked.any():
        raise DataError("nothing was asked for in any picture, so nothing can be recognised")
    return scores, asked
