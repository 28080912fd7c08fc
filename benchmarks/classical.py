"""What a restorer must beat: the best that is had without learning, given all that can be known of the damage."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import scipy.fft

from limner.images.compose.poisson import poisson
from limner.images.degrade.blur import gaussian

WEIGHTS = tuple(10.0**power for power in np.arange(-4.5, 0.5, 0.25))
SLOPES = (0.0, 1.0, 2.0)


def wiener(bad: Sequence[np.ndarray], true: Sequence[np.ndarray], sigma: float) -> list[np.ndarray]:
    """Pictures (H, W, C) blurred by a known Gaussian, sharpened by the Wiener filter that is best for these pictures.

    Noise over signal is taken as weight * frequency^slope; weight and slope are tuned on `true`, the pictures that it
    is judged by, which no real filter could be. A symmetric blur of a mirrored picture is a product of its cosine
    transform, so the edge costs the filter nothing.
    """
    spectra = [scipy.fft.dctn(picture.astype(np.float64), axes=(0, 1), norm="ortho") for picture in bad]
    best: tuple[float, list[np.ndarray]] = (-np.inf, [])
    for weight, slope in itertools.product(WEIGHTS, SLOPES):
        made = [_filtered(spectrum, sigma, weight, slope) for spectrum in spectra]
        score = float(np.mean([psnr(one, other) for one, other in zip(made, true, strict=True)]))
        best = max(best, (score, made), key=lambda scored: scored[0])
    return best[1]


def _filtered(spectrum: np.ndarray, sigma: float, weight: float, slope: float) -> np.ndarray:
    rows, columns = (_response(sigma, size) for size in spectrum.shape[:2])
    response = (rows[:, None] * columns)[..., None]
    high, wide = (np.arange(size) / size for size in spectrum.shape[:2])  # 1 is half a cycle a pixel
    frequency = np.hypot(high[:, None], wide)[..., None]
    gain = response / (response**2 + weight * frequency**slope)
    gain[0, 0] = 1.0  # the mean is known
    return scipy.fft.idctn(gain * spectrum, axes=(0, 1), norm="ortho")


def _response(sigma: float, size: int) -> np.ndarray:
    """(size,) what the blur leaves of each cosine along one side."""
    kernel = gaussian(sigma, np.random.default_rng(0)).sum(0)
    reach = len(kernel) // 2
    angles = np.pi * np.arange(size) / size
    return np.cos(angles[:, None] * np.arange(-reach, reach + 1)) @ kernel


def diffused(bad: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """(H, W, C) with what lies in the hole (H, W) as smooth as its rim allows: heat that has come to rest."""
    return poisson(bad.astype(np.float64), np.zeros(bad.shape), hole.astype(np.float64))


def psnr(made: np.ndarray, true: np.ndarray, where: np.ndarray | None = None) -> float:
    """Decibels of the whole picture, clipped and not rounded, or of the pixels `where` (H, W) says."""
    error = made.clip(0, 255).astype(np.float64) - true
    return float(10 * np.log10(255**2 / np.square(error if where is None else error[where]).mean()))
