"""A denoiser of small pictures as one of large ones: overlapping windows, each denoised, averaged where they meet.

Windows may wrap around the edges, which makes textures that tile and panoramas that close.
Source: Bar-Tal et al. 2023, MultiDiffusion, arXiv 2302.08113, equation 5.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .denoiser import Denoiser


def places(side: int, window: int, stride: int, *, wrap: bool) -> list[int]:
    """Where windows begin along a side: every `stride`, over its end where it wraps, else up to it."""
    if wrap:
        return list(range(0, side, stride))
    return sorted({*range(0, side - window, stride), side - window})


def windowed(denoiser: Denoiser, size: tuple[int, int], tops: list[int], lefts: list[int]) -> Denoiser:
    """D of one large picture (1, C, H, W).

    denoiser   of len(tops) len(lefts) pictures of `size` at once
    """

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        height, width = x.shape[2:]
        down, across = (torch.arange(side, device=x.device) for side in size)
        rows = [(down + top) % height for top in tops]
        columns = [(across + left) % width for left in lefts]
        pairs = [(row[:, None], column) for row in rows for column in columns]
        parts = torch.cat([x[:, :, row, column] for row, column in pairs])
        seen = denoiser(parts, sigma.expand(len(parts)))
        total, count = torch.zeros_like(x), torch.zeros_like(x[:, :1])
        for part, (row, column) in zip(seen, pairs, strict=True):
            total[0, :, row, column] += part
            count[0, :, row, column] += 1
        return total / count

    return denoise
