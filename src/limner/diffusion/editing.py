"""Denoisers wrapped to edit: fill in a hole, obey several descriptions, start from a picture.

Each takes a denoiser and gives a denoiser (or a start), so they combine with one another, with guidance, and with every
diffusion and flow-matching model.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .denoiser import Denoiser
from .paths import Path


def inpainting(denoiser: Denoiser, known: Tensor, mask: Tensor) -> Denoiser:
    """What is known stays: the denoised image has `known` (B, C, H, W) where `mask` (B, 1, H, W) is 0.

    The hole (mask 1) is filled to fit, for the solver's own steps then carry the known pixels at every noise level.
    Source: the replacement of Song et al. 2021, arXiv 2011.13456, appendix I.2, made on the denoised image.
    """

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return mask * denoiser(x, sigma) + (1 - mask) * known

    return denoise


def composition(denoisers: Sequence[Denoiser], weights: Sequence[float | Tensor], base: Denoiser) -> Denoiser:
    """base + sum of weight_k (denoiser_k - base): one picture of several descriptions.

    weights   numbers, or (B, 1, H, W) masks, which give each description its own region
    Source: Liu et al. 2022, arXiv 2206.01714, equation 11.
    """
    assert len(denoisers) == len(weights), "one weight for each denoiser"

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        plain = base(x, sigma)
        total = plain
        for each, weight in zip(denoisers, weights, strict=True):
            total = total + weight * (each(x, sigma) - plain)
        return total

    return denoise


def begin(path: Path, times: Tensor, image: Tensor, noise: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Where img2img starts: the later `strength` share of `times`, and the noise that makes solvers start at `image`.

    strength   in (0, 1]: 1 forgets the image, near 0 keeps it
    Solvers begin at noise level times `noise`, so the image enters as (a / s) image on top of it.
    Source: Meng et al. 2022, arXiv 2108.01073.
    """
    steps = len(times) - 1
    kept = times[steps - max(1, round(strength * steps)) :]
    if strength >= 1:
        return kept, noise
    first = kept[:1]
    return kept, noise + float(path.image(first) / path.noise(first)) * image
