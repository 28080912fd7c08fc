"""Membership inference: whether a model's scores tell the images that it was trained on from others like them.

Scores are one number an image, higher for what looks like a training image: minus the loss, the log likelihood, or
minus the distance to the nearest generated image. An area under the curve of 0.5 means that they tell nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .shares import deviations, wilson

FEWEST = 10  # scores on either side


@dataclass(frozen=True)
class Area:
    """The probability that a score of one side is above one of the other, ties counting half, and its variance."""

    value: float
    variance: float
    count: int
    other_count: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """On the logit scale by the variance; where the sides are wholly apart, which leaves none, by a score test."""
        if not 0 < self.value < 1 or self.variance == 0:
            return self._score_interval(level)
        logit = math.log(self.value / (1 - self.value))
        half = deviations(level) * math.sqrt(self.variance) / (self.value * (1 - self.value))
        return _logistic(logit - half), _logistic(logit + half)

    def _score_interval(self, level: float) -> tuple[float, float]:
        """All areas that a test would not reject. Source of their variance: Hanley & McNeil 1982, equation 1."""
        areas = np.linspace(0, 1, 100_001)
        above, below = areas / (2 - areas), 2 * areas**2 / (1 + areas)
        spread = (self.count - 1) * (above - areas**2) + (self.other_count - 1) * (below - areas**2)
        variance = (areas * (1 - areas) + spread) / (self.count * self.other_count)
        kept = areas[np.abs(areas - self.value) <= deviations(level) * np.sqrt(variance.clip(0))]
        return float(kept.min()), float(kept.max())


@dataclass(frozen=True)
class Membership:
    """How well an attacker tells members, the training images, from others.

    auc                area under the curve of true against false positives: 0.5 for guessing, 1 for certainty
    low, high          its interval at `level`
    tpr                share of the members that are found when at most `fpr` of the others are taken for members
    tpr_low, tpr_high  its interval, for the threshold as it was found
    """

    auc: float
    low: float
    high: float
    tpr: float
    tpr_low: float
    tpr_high: float
    fpr: float
    level: float
    members: int
    others: int


def membership(members: np.ndarray, others: np.ndarray, *, fpr: float = 0.01, level: float = 0.95) -> Membership:
    """Attack by a threshold on scores (M,) of training images and (N,) of others; see the module for what scores are.

    Raises DataError for fewer than 10 scores on a side and for scores that are not finite.
    Sources: Yeom et al. 2018, arXiv 1709.01604, for the attack by loss; Carlini et al. 2022, arXiv 2112.03570, for the
    true positives at few false ones; DeLong, DeLong & Clarke-Pearson 1988 for the interval.
    """
    members, others = _scores(members, "members"), _scores(others, "others")
    found = area(members, others)
    low, high = found.interval(level)
    tpr = float((members > _threshold(others, fpr)).mean())
    tpr_low, tpr_high = wilson(tpr, len(members), level=level)
    return Membership(found.value, low, high, tpr, tpr_low, tpr_high, fpr, level, len(members), len(others))


def area(scores: np.ndarray, others: np.ndarray) -> Area:
    """P(score > other) + P(score = other) / 2 over (M,) and (N,) scores, with DeLong's variance, in O(n log n).

    Source: Sun & Xu 2014, Fast implementation of DeLong's algorithm, algorithm 2: placements are differences of ranks.
    """
    count, other_count = len(scores), len(others)
    ranks = midranks(np.concatenate([scores, others]))
    place = (ranks[:count] - midranks(scores)) / other_count  # share of the others below each score
    other_place = 1 - (ranks[count:] - midranks(others)) / count  # share of the scores above each other
    variance = _variance(place) / count + _variance(other_place) / other_count
    return Area(float(place.mean()), variance, count, other_count)


def midranks(values: np.ndarray) -> np.ndarray:
    """(N,) ranks from 1; equal values share the middle of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return (ends - (counts - 1) / 2)[places]


def _threshold(others: np.ndarray, fpr: float) -> float:
    """The lowest score above which at most a share `fpr` of the others lies."""
    return float(np.sort(others)[::-1][math.floor(fpr * len(others))])


def _scores(scores: np.ndarray, name: str) -> np.ndarray:
    scores = np.asarray(scores, np.float64).ravel()
    if len(scores) < FEWEST:
        raise DataError(f"{len(scores)} scores of {name} are too few for an attack; give {FEWEST} or more")
    if not np.isfinite(scores).all():
        raise DataError(f"{(~np.isfinite(scores)).sum()} scores of {name} are not finite; the model may have diverged")
    return scores


def _variance(values: np.ndarray) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
