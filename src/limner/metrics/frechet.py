"""The Fréchet distance between two sets of features, each taken for a Gaussian: FID where the features are Inception's.

|mean - mean'|² + tr(C + C' - 2 (C C')^½), always real and never negative: (C C')^½ is not formed. Its trace is the sum
of the singular values of A A'ᵀ for any roots C = Aᵀ A, and rows of centred features are such a root where there are
fewer rows than dimensions. This file gives the number, how much of it is owed to finite samples, and its extrapolation
to endless ones; how far it can be trusted is in frechet_interval.py. It does not know what the features are of.
Sources: Dowson and Landau 1982, The Fréchet distance between multivariate normal distributions; Heusel et al. 2017,
arXiv 1706.08500.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .moments import Moments
from .neighbours import check_rows

CHUNK = 4096  # rows that are picked at once
SYMMETRY = 1e-6  # how far a covariance may be from its transpose, of its largest entry
EXTRAPOLATION_SIZES = 15


@dataclass(frozen=True)
class Side:
    """One set of features as the distance sees it: with fewer rows than dimensions its rows, otherwise its covariance.

    mean     (D,)     float64
    root     (N, D)   float64 with rootᵀ root the covariance, or None
    square   (D, D)   float64 covariance, or None where there is a root
    """

    count: float
    mean: np.ndarray
    root: np.ndarray | None = None
    square: np.ndarray | None = None

    @classmethod
    def of(cls, features: np.ndarray | Moments, name: str) -> Side:
        """Raises ConfigError or DataError, naming what cannot be used and how many rows there are."""
        if not isinstance(features, Moments):
            return cls.of_rows(check_features(features, name))
        mean, covariance = _checked(features.mean, features.covariance, name)
        return cls(features.count, mean, square=covariance)

    @classmethod
    def of_rows(cls, rows: np.ndarray) -> Side:
        """The side of (N, D) rows that were checked before."""
        if len(rows) > rows.shape[1]:
            return cls.of_moments(Moments.of(rows))
        held = np.asarray(rows, np.float64)
        mean = held.mean(axis=0)
        return cls(len(held), mean, root=(held - mean) / np.sqrt(len(held) - 1))

    @classmethod
    def of_moments(cls, moments: Moments) -> Side:
        """The side of moments that were checked before; later changes of them do not touch it."""
        return cls(moments.count, moments.mean, square=moments.covariance)

    @property
    def trace(self) -> float:
        """Of the covariance."""
        return float(np.square(self.root).sum() if self.root is not None else np.trace(self.covariance))

    @cached_property
    def covariance(self) -> np.ndarray:
        """(D, D)."""
        if self.root is not None:
            return self.root.T @ self.root
        assert self.square is not None  # a side has one of the two
        return self.square


@dataclass(frozen=True)
class Extrapolation:
    """The distance of endless samples, from a straight line through those of part of the images.

    shares      of the images on both sides that each distance was taken with, rising to 1
    distances   one for each share
    """

    value: float
    shares: tuple[float, ...]
    distances: tuple[float, ...]


def frechet_distance(a: np.ndarray | Moments, b: np.ndarray | Moments) -> float:
    """The squared Fréchet distance between two sets of features, each (N, D) rows or their moments; at least 0.

    Covariances are over N - 1. Raises ConfigError for unlike dimensions, DataError for fewer than 2 rows or what is
    not finite.
    """
    return between(*sides(a, b))


def gaussian_distance(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """The squared Fréchet distance between two Gaussians of means (D,) and covariances (D, D); at least 0."""
    first, second = _checked(mean_a, covariance_a, "the first"), _checked(mean_b, covariance_b, "the second")
    _like(len(first[0]), len(second[0]))
    return between(Side(np.inf, first[0], square=first[1]), Side(np.inf, second[0], square=second[1]))


def frechet_bias(a: np.ndarray | Moments, b: np.ndarray | Moments) -> float:
    """How much finite samples of Gaussians add to the distance on average, in first order of 1 / N.

    Of each side (tr C + ½ Σᵢⱼ sᵢ sⱼ (1 + δᵢⱼ) / (sᵢ + sⱼ)) / N, where s are the singular values of C^½ C'^½. Where both
    covariances are one, s are its eigenvalues. It is a floor, not an estimate, unless N is several times D.
    Source: the second-order expansion of the distance in the Wishart noise of a sample covariance.
    """
    left, right = sides(a, b)
    return bias_of(left, right, cross_spectrum(left, right))


def frechet_infinity(
    a: np.ndarray | Moments, b: np.ndarray | Moments, *, sizes: int = EXTRAPOLATION_SIZES, seed: int = 0
) -> Extrapolation:
    """The distance that endless samples would have: a line through distances of part of the rows, over 1 / N.

    The parts are `sizes` nested random ones, from a quarter of the rows to all of them, of both sides alike; a side
    given as moments stays whole. Needs D rows in the smallest part to be near the truth.
    Source: Chong and Forsyth 2020, arXiv 1911.07023, with both sides taken in part.
    """
    if sizes < 10:
        raise ConfigError(f"sizes={sizes} is too few for a line; use at least 10")
    whole = sides(a, b)
    fewest = min((len(rows) for rows in (a, b) if isinstance(rows, np.ndarray)), default=0)
    if fewest < 2 * sizes:
        raise DataError(f"an extrapolation needs features of at least {2 * sizes} images on a side, not {fewest}")
    shares = np.linspace(0.25, 1, sizes)
    parts = [_parts(*pair, shares, seed) for pair in zip((a, b), whole, ("first", "second"), strict=True)]
    distances = np.array([between(left, right) for left, right in zip(*parts, strict=True)])
    slope_and_value = np.polyfit(1 / shares, distances, 1)
    return Extrapolation(float(slope_and_value[1]), tuple(shares.tolist()), tuple(distances.tolist()))


# --- what the distance is made of -------------------------------------------------------------------------------------


def sides(a: np.ndarray | Moments, b: np.ndarray | Moments) -> tuple[Side, Side]:
    """Both sides, checked and of like dimensions."""
    first, second = Side.of(a, "the first features"), Side.of(b, "the second features")
    _like(len(first.mean), len(second.mean))
    return first, second


def check_features(features: np.ndarray, name: str) -> np.ndarray:
    """`features`, if they are (N, D) finite numbers with N of at least 2."""
    check_rows(features, name)
    if len(features) < 2:
        raise DataError(f"{name} has {len(features)} row; a covariance needs at least 2")
    return features


def between(a: Side, b: Side) -> float:
    """The squared distance between two sides."""
    return max(0.0, apart(a, b) - 2 * float(cross_spectrum(a, b).sum()))


def apart(a: Side, b: Side) -> float:
    """The distance but for its last term: |mean - mean'|² + tr C + tr C'."""
    return float(np.square(a.mean - b.mean).sum()) + a.trace + b.trace


def cross_spectrum(a: Side, b: Side) -> np.ndarray:
    """The singular values of A A'ᵀ, whose sum is tr (C C')^½; as many as the smaller root has rows, in rising order.

    They are the roots of the eigenvalues of a symmetric matrix, which costs an eighth of a matrix square root.
    """
    if a.root is not None and b.root is not None:
        cross = a.root @ b.root.T
        return _roots(cross @ cross.T if len(cross) <= cross.shape[1] else cross.T @ cross)
    if a.root is not None:
        return _roots(a.root @ b.covariance @ a.root.T)
    if b.root is not None:
        return _roots(b.root @ a.covariance @ b.root.T)
    factor = _factor(b.covariance)
    return _roots(factor.T @ a.covariance @ factor)


def bias_of(a: Side, b: Side, spectrum: np.ndarray) -> float:
    """`frechet_bias` of two sides whose cross spectrum is known."""
    second_order = pair_terms(spectrum).sum() / 2
    return float((a.trace + second_order) / a.count + (b.trace + second_order) / b.count)


def pair_terms(spectrum: np.ndarray) -> np.ndarray:
    """(r, r) sᵢ sⱼ (1 + δᵢⱼ) / (sᵢ + sⱼ), 0 where both are 0."""
    sums = spectrum[:, None] + spectrum
    terms = np.divide(np.outer(spectrum, spectrum), sums, out=np.zeros_like(sums), where=sums > 0)
    return terms + np.diag(np.diag(terms))


def _roots(square: np.ndarray) -> np.ndarray:
    """The square roots of the eigenvalues of a matrix that has none below 0, but for rounding."""
    return np.sqrt(np.maximum(np.linalg.eigvalsh(square), 0))


def _factor(square: np.ndarray) -> np.ndarray:
    """F with F Fᵀ = square: by Cholesky where it can be had, which is faster than by eigenvalues."""
    try:
        return np.linalg.cholesky(square)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(square)
        return vectors * np.sqrt(np.maximum(values, 0))


def _parts(rows: np.ndarray | Moments, whole: Side, name: str, shares: np.ndarray, seed: int) -> list[Side]:
    """The sides of nested random parts of the rows, one for each rising share."""
    if not isinstance(rows, np.ndarray):
        return [whole] * len(shares)
    order = generator(seed, f"extrapolation of the {name} side").permutation(len(rows))
    ends = np.maximum(2, np.round(shares * len(rows)).astype(int))
    moments, found, done = Moments(len(whole.mean)), [], 0
    for end in ends.tolist():
        if end <= rows.shape[1]:
            found.append(Side.of_rows(rows[order[:end]]))
            continue
        for start in range(done, end, CHUNK):
            moments.add(rows[np.sort(order[start : min(end, start + CHUNK)])])  # sorted: rows may lie in a file
        done = end
        found.append(Side.of_moments(moments))
    return found


def _checked(mean: np.ndarray, covariance: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, if they are a mean (D,) and a covariance (D, D) of finite numbers."""
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise ConfigError(f"{name}: a mean {mean.shape} and a covariance {covariance.shape}; use (D,) and (D, D)")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise DataError(f"{name}: the mean or the covariance is not finite; look for what made it so")
    lopsided = np.abs(covariance - covariance.T).max() > SYMMETRY * np.abs(covariance).max()
    if lopsided or np.diag(covariance).min() < 0:
        raise DataError(f"{name}: the covariance is not symmetric or has a variance below 0; gather the moments again")
    return mean, covariance


def _like(first: int, second: int) -> None:
    if first != second:
        raise ConfigError(f"features of {first} and of {second} dimensions cannot be compared; use one extractor")
