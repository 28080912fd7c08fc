"""The classifier score: exp of how far a classifier's answer to an image is from its answer on average, in nats.

High where each image is clearly of one class and all classes occur. It is called Inception score only where the
classifier is Inception-v3 on ImageNet's classes; by any other it is another number, and it says nothing of images
that are not of the classifier's classes. It looks at generated images alone.
Sources: Salimans et al. 2016, arXiv 1606.03498; Barratt and Sharma 2018, arXiv 1801.01973, on how it misleads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError
from .bootstrap import group_numbers, jackknife, student_deviations
from .neighbours import check_rows
from .number import Interval

SPLITS = 10
CHUNK = 4096  # rows whose probabilities are held at once beside their sum


@dataclass(frozen=True)
class ClassifierScore:
    """exp E KL(p(y|x) || p(y)), from 1 to the number of classes.

    value              of all images at once; too low on average, as they do not fill p(y)
    corrected          without that bias, as far as a jackknife can tell
    interval           where the score of endless images lies
    split_mean         mean over disjoint random splits, as it was first published; None with too few images
    split_deviation    standard deviation over the splits; None with too few images
    """

    value: float
    corrected: float
    interval: Interval
    split_mean: float | None
    split_deviation: float | None
    splits: int


def classifier_score(
    logits: np.ndarray, *, splits: int = SPLITS, level: float = 0.95, seed: int = 0
) -> ClassifierScore:
    """The score of images by the logits (N, K) of a classifier with K of at least 2 classes.

    Raises ConfigError for another shape or no splits, DataError for fewer than 2 rows or what is not finite.
    """
    check_rows(logits, "logits")
    if logits.shape[1] < 2 or splits < 1:
        raise ConfigError(f"{logits.shape[1]} classes and splits={splits} give no score; use at least 2 and at least 1")
    if len(logits) < 2:
        raise DataError(f"{len(logits)} image has no classifier score; use at least 2")
    shares, entropies = _answers(logits)
    total, doubt = shares.sum(axis=0), float(entropies.sum())
    count = len(logits)
    whole = _log_score(total[None] / count, np.array([doubt / count]))[0]
    without = np.concatenate(
        [
            _log_score(
                (total - shares[start : start + CHUNK]) / (count - 1),
                (doubt - entropies[start : start + CHUNK]) / (count - 1),
            )
            for start in range(0, count, CHUNK)
        ]
    )
    corrected, error = jackknife(float(whole), without)
    half = student_deviations(level, count - 1) * error
    # there is no score beyond the number of classes or below 1; a jackknife does not know
    most = math.log(logits.shape[1])
    ends = (corrected - half, corrected, corrected + half)
    low, middle, high = (math.exp(min(max(end, 0.0), most)) for end in ends)
    mean, deviation = _over_splits(shares, entropies, splits, seed)
    interval = Interval(low, high, level, "jackknife over images")
    return ClassifierScore(math.exp(whole), middle, interval, mean, deviation, splits)


def _answers(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) float64 probabilities and (N,) their entropies in nats."""
    shares, entropies = np.empty(logits.shape), np.empty(len(logits))
    for start in range(0, len(logits), CHUNK):
        part = np.asarray(logits[start : start + CHUNK], np.float64)
        part = part - part.max(axis=1, keepdims=True)
        logs = part - np.log(np.exp(part).sum(axis=1, keepdims=True))
        shares[start : start + CHUNK] = np.exp(logs)
        entropies[start : start + CHUNK] = -(np.exp(logs) * logs).sum(axis=1)
    return shares, entropies


def _log_score(shares: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """(R,) entropy of mean answers (R, K) less the mean entropy (R,) of answers: the mean divergence between them."""
    held = np.maximum(shares, np.finfo(np.float64).tiny)  # rounding may leave less than 0 where one row is taken away
    return -(held * np.log(held)).sum(axis=1) - doubt


def _over_splits(
    shares: np.ndarray, entropies: np.ndarray, splits: int, seed: int
) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the scores of disjoint random splits."""
    if len(shares) < 2 * splits or splits < 2:
        return None, None
    numbers = group_numbers(len(shares), splits, seed=seed, purpose="splits of the classifier score")
    means = np.stack([shares[numbers == split].mean(axis=0) for split in range(splits)])
    doubt = np.array([entropies[numbers == split].mean() for split in range(splits)])
    scores = np.exp(_log_score(means, doubt))
    return float(scores.mean()), float(scores.std())
