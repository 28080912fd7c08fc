"""Denoisers wrapped to restore: what is known of the picture is put right at every step, so no model is trained for it.

A degradation here is linear, y = A x, with a way back A⁺ for which A A⁺ y = y; the denoised picture keeps what the
model says where A is blind, and y where it sees.
Source: Wang et al. 2023, Zero-shot image restoration using denoising diffusion null-space model, arXiv 2212.00490,
equations 10 to 13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .denoiser import Denoiser

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_FAINT = 1e-2  # shares of a frequency below this are lost to the blur: they cannot be put right


@dataclass(frozen=True)
class Linear:
    """A linear degradation and its way back.

    bad    (B, C, H, W) -> (B, c, h, w)
    back   (B, c, h, w) -> (B, C, H, W), with bad(back(y)) = y
    """

    bad: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]

    def put_right(self, image: Tensor, known: Tensor) -> Tensor:
        """`image` with what A sees of it replaced by what is known."""
        return image + self.back(known - self.bad(image))


def restoring(denoiser: Denoiser, known: Tensor, degradation: Linear) -> Denoiser:
    """The denoised picture agrees with `known`, (B, c, h, w), at every noise level."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return degradation.put_right(denoiser(x, sigma), known)

    return denoise


def shrinking(scale: int) -> Linear:
    """Averages over squares of `scale` pixels; back: each average repeated."""
    return Linear(
        lambda image: functional.avg_pool2d(image, scale),
        lambda small: functional.interpolate(small, scale_factor=float(scale), mode="nearest"),
    )


def graying() -> Linear:
    """Brightness of three channels; back: the shortest colour of that brightness."""
    weights = torch.tensor(_LUMA).view(1, 3, 1, 1)
    back = weights / weights.square().sum()
    return Linear(
        lambda image: (image * weights.to(image)).sum(1, keepdim=True),
        lambda gray: gray * back.to(gray),
    )


def blurring(sigma: float, height: int, width: int) -> Linear:
    """A Gaussian blur of `sigma` pixels around the edges (as on a torus), without the frequencies that it destroys."""
    spectrum = _gaussian(sigma, height)[:, None] * _gaussian(sigma, width)[None, : width // 2 + 1]
    kept = torch.where(spectrum > _FAINT, spectrum, 0.0)
    inverse = torch.where(kept > 0, 1 / kept.clamp(min=_FAINT), 0.0)

    def through(image: Tensor, gains: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(image) * gains.to(image.device), image.shape[2:])

    return Linear(lambda image: through(image, kept), lambda blurred: through(blurred, inverse))


def _gaussian(sigma: float, side: int) -> Tensor:
    """(side,) what a blur leaves of each frequency."""
    return torch.exp(-2 * (torch.pi * sigma * torch.fft.fftfreq(side)) ** 2)
