"""Whether each latent dimension stands for one factor of variation: MIG and DCI, on data whose factors are known.

Codes are (N, D), factors one column each, discrete or continuous. It knows no models: an encoder gives the codes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .boosting import boost
from .bootstrap import student_deviations
from .neighbours import check_rows

BINS = 20  # of a continuous code or factor in MIG (Locatello et al. 2019, arXiv 1811.12359, appendix C)
FEWEST = 10 * BINS  # images
HELD_OUT = 0.2  # of the images: informativeness is measured on these
GROUPS = 10  # of the jackknife


@dataclass(frozen=True)
class Factor:
    """One factor of variation.

    values     (N,) numbers; classes of a discrete one
    """

    name: str
    values: np.ndarray
    discrete: bool


@dataclass(frozen=True)
class Score:
    """A score in [0, 1] and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Gap:
    """MIG.

    gaps          (F,) of each factor; the score is their mean
    information   (D, F) mutual information as a share of each factor's entropy
    """

    score: Score
    gaps: np.ndarray
    information: np.ndarray


@dataclass(frozen=True)
class DCI:
    """disentanglement   1 when each code dimension tells of one factor only
    completeness      1 when one code dimension tells all of each factor
    informativeness   of each factor, on held-out images: accuracy (discrete) or explained variance (continuous)
    importance        (D, F) shares that each code dimension has in telling a factor; columns sum to 1
    """

    disentanglement: Score
    completeness: Score
    informativeness: np.ndarray
    importance: np.ndarray


def mutual_information_gap(codes: np.ndarray, factors: Sequence[Factor], *, level: float = 0.95) -> Gap:
    """MIG: by how much more the best code dimension tells of a factor than the second best, in units of its entropy.

    Continuous columns are cut into 20 bins of equal counts. The interval is a jackknife in 10 groups. Raises
    ConfigError for fewer than 2 dimensions or 200 images, DataError for a constant factor or values not finite.
    Source: Chen et al. 2018, Isolating sources of disentanglement in VAEs, arXiv 1802.04942, equation 6.
    """
    codes = _checked(codes, factors, dimensions=2)
    columns = np.stack([_cut(column) for column in codes.T], axis=1)
    wanted = np.stack([_classes(of) if of.discrete else _cut(of.values) for of in factors], axis=1)

    def mean_gap(rows: np.ndarray) -> float:
        return float(_gaps(_information(columns[rows], wanted[rows])).mean())

    information = _information(columns, wanted)
    gaps = _gaps(information)
    return Gap(_jackknife(mean_gap, float(gaps.mean()), len(codes), level), gaps, information)


def dci(codes: np.ndarray, factors: Sequence[Factor], *, seed: int = 0, level: float = 0.95) -> DCI:
    """Disentanglement, completeness and informativeness by boosted trees that tell factors from codes.

    Intervals are a jackknife in 10 groups. Raises as `mutual_information_gap`, and for fewer than 2 factors.
    Source: Eastwood & Williams 2018, A framework for the quantitative evaluation of disentangled representations.
    """
    codes = _checked(codes, factors, dimensions=2)
    if len(factors) < 2:
        raise ConfigError("DCI compares factors, of which there is only one; give two or more")
    order = generator(seed, "dci").permutation(len(codes))
    test, rest = np.split(order, [round(HELD_OUT * len(order))])
    fits = [_fit(codes, of, rest, test) for of in factors]
    importance = np.stack([part for part, _ in fits], axis=1)  # (D, F)

    def parts(rows: np.ndarray) -> np.ndarray:
        return np.stack([_fit(codes, of, rest[rows], None)[0] for of in factors], axis=1)

    replicates = [parts(rows) for rows in _groups(len(rest))]
    scores = []
    for score in (_disentanglement, _completeness):
        scores.append(_interval(score(importance), np.array([score(part) for part in replicates]), level))
    return DCI(scores[0], scores[1], np.array([told for _, told in fits]), importance)


def _disentanglement(importance: np.ndarray) -> float:
    """Of (D, F): 1 less the entropy of each row, weighted by what the dimension tells at all."""
    weights = importance.sum(axis=1)
    total = weights.sum()
    return float(weights @ (1 - _entropy(importance)) / total) if total > 0 else 0.0


def _completeness(importance: np.ndarray) -> float:
    """Of (D, F): 1 less the entropy of each column; a factor that nothing tells of counts 0."""
    told = importance.sum(axis=0) > 0
    return float(np.where(told, 1 - _entropy(importance.T), 0).mean())


def _entropy(rows: np.ndarray) -> np.ndarray:
    """(R,) entropy of each row of shares (R, K) as a share of the most that K allow."""
    shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-300)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -(shares * logs).sum(axis=1) / math.log(rows.shape[1])


def _fit(codes: np.ndarray, factor: Factor, rows: np.ndarray, test: np.ndarray | None) -> tuple[np.ndarray, float]:
    """The importance of each dimension (D,), and how well the factor is told of the images `test`."""
    classes = _classes(factor)
    targets = np.eye(classes.max() + 1)[classes] if factor.discrete else np.asarray(factor.values, np.float64)[:, None]
    fitted = boost(codes[rows], targets[rows])
    if test is None:
        return fitted.importance, math.nan
    told = fitted.predict(codes[test])
    if factor.discrete:
        return fitted.importance, float((told.argmax(axis=1) == classes[test]).mean())
    error = np.square(told - targets[test]).mean()
    return fitted.importance, float(1 - error / targets[test].var())


def _information(columns: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(D, F) mutual information of each pair of columns, as a share of the factor's entropy; all are small integers."""
    most = int(columns.max()) + 1
    shares = np.empty((columns.shape[1], wanted.shape[1]))
    for f, factor in enumerate(wanted.T):
        kinds = int(factor.max()) + 1
        for d, column in enumerate(columns.T):
            joint = np.bincount(column * kinds + factor, minlength=most * kinds).reshape(most, kinds) / len(factor)
            own = _nats(joint.sum(axis=0))
            shares[d, f] = (_nats(joint.sum(axis=1)) + own - _nats(joint)) / own if own > 0 else 0.0
    return shares


def _gaps(information: np.ndarray) -> np.ndarray:
    ordered = np.sort(information, axis=0)
    return ordered[-1] - ordered[-2]


def _nats(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _cut(values: np.ndarray) -> np.ndarray:
    """(N,) integers: bins of equal counts; where there are no more values than bins, one for each value."""
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= BINS:
        return places
    return np.searchsorted(np.quantile(values, np.arange(1, BINS) / BINS), values, side="right")


def _classes(factor: Factor) -> np.ndarray:
    return np.unique(factor.values, return_inverse=True)[1]


def _groups(count: int) -> list[np.ndarray]:
    """For each of 10 groups, the rows that are not in it; row i is in group i modulo 10."""
    return [np.flatnonzero(np.arange(count) % GROUPS != group) for group in range(GROUPS)]


def _jackknife(measure: Callable[[np.ndarray], float], value: float, count: int, level: float) -> Score:
    return _interval(value, np.array([measure(rows) for rows in _groups(count)]), level)


def _interval(value: float, replicates: np.ndarray, level: float) -> Score:
    """The delete-a-group jackknife, by Student's t. Source: Efron & Tibshirani 1993, section 11.5."""
    error = math.sqrt((GROUPS - 1) / GROUPS * float(np.square(replicates - replicates.mean()).sum()))
    half = student_deviations(level, GROUPS - 1) * error
    return Score(value, max(0.0, value - half), min(1.0, value + half))


def _checked(codes: np.ndarray, factors: Sequence[Factor], *, dimensions: int) -> np.ndarray:
    codes = check_rows(np.asarray(codes), "codes").astype(np.float64)
    if codes.shape[1] < dimensions or len(codes) < FEWEST:
        raise ConfigError(
            f"codes of {codes.shape} are too few; disentanglement needs {FEWEST} images and {dimensions} dimensions"
        )
    for factor in factors:
        if factor.values.shape != (len(codes),):
            raise ConfigError(f"factor {factor.name!r} has {factor.values.shape} values for {len(codes)} codes")
        if not np.isfinite(factor.values).all():
            raise DataError(
                f"factor {factor.name!r} is not finite everywhere; leave out the images where it is unknown"
            )
        if len(np.unique(factor.values)) < 2:
            raise DataError(f"factor {factor.name!r} is the same in all images; leave it out")
    return codes
