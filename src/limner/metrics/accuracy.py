"""How often a classifier is right, how well it orders values, and how far its confidence can be trusted.

Everything takes arrays: predictions, logits or probabilities, and what is true. It knows no network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .membership import midranks
from .number import Interval
from .shares import deviations, wilson

COLDEST, HOTTEST = 0.02, 50.0  # bounds of a temperature: beyond them every softmax here is 0 and 1, or flat
BINS = 15


@dataclass(frozen=True)
class Share:
    """A share of `count` trials, with Wilson's interval."""

    value: float
    interval: Interval
    count: int


@dataclass(frozen=True)
class Correlation:
    """A correlation of `count` pairs; `interval` is None where there are too few for one."""

    value: float
    interval: Interval | None
    count: int


def share(right: int, count: int, *, level: float = 0.95) -> Share:
    """`right` of `count`. Raises ConfigError for none of none."""
    if not 0 <= right <= count or not count:
        raise ConfigError(f"{right} of {count} is no share; give at least one trial")
    low, high = wilson(right / count, count, level=level)
    return Share(right / count, Interval(low, high, level, f"Wilson, {count:,} images"), count)


def accuracy(predicted: np.ndarray, labels: np.ndarray, *, level: float = 0.95) -> Share:
    """How often the prediction is the label. Both (N,) whole numbers; raises DataError for none or unlike lengths."""
    predicted, labels = _pair(predicted, labels)
    return share(int((predicted == labels).sum()), len(labels), level=level)


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) int64: row is the label, column the prediction. Raises DataError for a class outside 0 … K - 1."""
    predicted, labels = _pair(predicted, labels)
    for name, part in (("prediction", predicted), ("label", labels)):
        if part.min() < 0 or part.max() >= classes:
            raise DataError(
                f"a {name} of {part.min()} or {part.max()} is none of {classes} classes, 0 to {classes - 1}"
            )
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def per_class(counts: np.ndarray, *, level: float = 0.95) -> list[Share | None]:
    """From a confusion matrix, the share of each class that is recognised; None for a class without images."""
    totals = counts.sum(axis=1)
    return [
        share(int(counts[k, k]), int(total), level=level) if total else None for k, total in enumerate(totals.tolist())
    ]


def balanced_accuracy(counts: np.ndarray) -> float:
    """From a confusion matrix, the mean of the classes' shares, over the classes that have images."""
    shares = [found.value for found in per_class(counts) if found is not None]
    if not shares:
        raise DataError("there are no images, so no class has an accuracy")
    return float(np.mean(shares))


@dataclass(frozen=True)
class Several:
    """Balanced accuracy of K yes-or-no answers: their mean with its interval, and each."""

    value: float
    interval: Interval
    each: tuple[float, ...]
    count: int


def several(seen: np.ndarray, so: np.ndarray, *, seed: int = 0, level: float = 0.95, resamples: int = 1_000) -> Several:
    """How well K things are told present from absent: of each the mean of two shares, present seen and absent not seen.

    seen, so   (N, K)   bool: what the classifier says, and what is so

    A thing that is in all images, or in none, has one share only. The interval comes from drawing the images again.
    Raises DataError for unlike shapes and for no images.
    """
    seen, so = np.asarray(seen, bool), np.asarray(so, bool)
    if seen.shape != so.shape or seen.ndim != 2 or not seen.size:
        raise DataError(f"answers {seen.shape} and truths {so.shape} must be alike, (N, K), with N and K above 0")
    count = len(so)
    drawn = generator(seed, "several").multinomial(count, np.full(count, 1 / count), size=resamples)
    found = _balanced(np.concatenate([np.ones((1, count)), drawn]), seen, so)  # (1 + S, K)
    low, high = np.quantile(found[1:].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    interval = Interval(float(low), float(high), level, f"bootstrap over images, {resamples:,} resamples")
    return Several(float(found[0].mean()), interval, tuple(found[0].tolist()), count)


def _balanced(weights: np.ndarray, seen: np.ndarray, so: np.ndarray) -> np.ndarray:
    """(S, N) how often each image counts -> (S, K) balanced accuracies."""
    present, absent = weights @ so, weights @ ~so
    hits, passes = weights @ (seen & so), weights @ (~seen & ~so)
    shares = hits / np.maximum(present, 1) + passes / np.maximum(absent, 1)
    return shares / ((present > 0).astype(int) + (absent > 0))


def spearman(first: np.ndarray, second: np.ndarray, *, level: float = 0.95) -> Correlation:
    """Correlation of the ranks of N pairs; equal values share the middle of their ranks.

    The interval is Fisher's, with the variance of Bonett and Wright 2000, Psychometrika 65: (1 + r²/2) / (N - 3).
    Raises DataError for fewer than 3 pairs, values that are not finite, and a side that is all one value.
    """
    sides = [np.asarray(side, np.float64).ravel() for side in (first, second)]
    count = len(sides[0])
    if count != len(sides[1]) or count < 3:
        raise DataError(f"{count} and {len(sides[1])} values make no correlation; give 3 pairs or more")
    if not all(np.isfinite(side).all() for side in sides):
        raise DataError("a correlation of values that are not finite numbers means nothing")
    if any(side.min() == side.max() for side in sides):
        raise DataError("one side is all one value, so there is no order to agree on")
    ranks = [midranks(side) - (count + 1) / 2 for side in sides]
    value = float(ranks[0] @ ranks[1] / math.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1])))
    value = max(-1.0, min(1.0, value))  # rounding
    return Correlation(value, _fisher(value, count, level), count)


def _fisher(value: float, count: int, level: float) -> Interval | None:
    if count < 5:
        return None
    if abs(value) == 1:
        return Interval(value, value, level, f"Fisher, {count:,} pairs")
    half = deviations(level) * math.sqrt((1 + value**2 / 2) / (count - 3))
    low, high = (math.tanh(math.atanh(value) + side) for side in (-half, half))
    return Interval(low, high, level, f"Fisher, {count:,} pairs")


# --- confidence -----------------------------------------------------------------------------------------------------


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(N, K) probabilities of logits / temperature, in float64."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature at which the logits' softmax gives the labels the greatest likelihood, within 0.02 to 50.

    logits   (N, K)
    labels   (N,)     whole numbers in 0 … K - 1

    One number, so a few dozen images suffice; which class is the likeliest stays as it is.
    Source: Guo et al. 2017, arXiv 1706.04599, section 4.2.
    """
    logits, labels = _logits(logits, labels)
    chosen = logits[np.arange(len(labels)), labels]

    def slope(coldness: float) -> float:
        """Derivative of the mean negative log-likelihood by 1 / temperature, which rises: the expected logit - own."""
        return float(((softmax(logits, 1 / coldness) * logits).sum(axis=1) - chosen).mean())

    low, high = math.log(1 / HOTTEST), math.log(1 / COLDEST)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(math.exp(middle)) > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = BINS) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, over bins of equal width.

    Few images make it too large: each bin's accuracy is then mostly chance.
    Source: Guo et al. 2017, arXiv 1706.04599, equation 3.
    """
    probabilities, labels = _logits(probabilities, labels)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(places, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def _pair(predicted: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if predicted.shape != labels.shape or predicted.ndim != 1 or not len(labels):
        raise DataError(f"predictions {predicted.shape} and labels {labels.shape} must be alike, (N,), with N above 0")
    if predicted.dtype.kind not in "iu" or labels.dtype.kind not in "iu":
        raise DataError(f"predictions are {predicted.dtype}, labels {labels.dtype}; both must be whole numbers")
    return predicted.astype(np.int64), labels.astype(np.int64)


def _logits(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not logits.size:
        raise DataError(f"logits {logits.shape} and labels {labels.shape} must be (N, K) and (N,), with N above 0")
    if not np.isfinite(logits).all():
        raise DataError("some logits are not finite numbers; the network that gave them has diverged")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise DataError(f"labels of {labels.min()} to {labels.max()} are not all of {logits.shape[1]} classes")
    return logits, labels.astype(np.int64)
