"""Guidance: a denoiser made of two, which exaggerates what the one sees and the other does not."""

from __future__ import annotations

import torch
from torch import Tensor

from .denoiser import Denoiser


def guided(
    main: Denoiser, other: Denoiser, weight: float, *, interval: tuple[float, float] = (0.0, float("inf"))
) -> Denoiser:
    """other + weight (main - other), at noise levels within `interval`; `main` alone outside, and where weight is 1.

    With an unconditional model as `other` it is classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598), with a
    weaker version of the same model autoguidance (Karras et al. 2024, arXiv 2406.02507); the interval is that of
    Kynkäänniemi et al. 2024, arXiv 2404.07724.
    """
    low, high = interval

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        wanted = main(x, sigma)
        within = (sigma >= low) & (sigma <= high)
        if weight == 1 or not bool(within.any()):
            return wanted
        plain = other(x, sigma)
        pushed = plain + weight * (wanted - plain)
        return torch.where(within.view(-1, *[1] * (x.ndim - 1)), pushed, wanted)

    return denoise
