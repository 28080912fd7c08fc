"""MATLAB's bicubic enlargement by a whole number, as one small convolution: where every enlarging network starts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...images.bicubic import resize

_REACH = 2  # pixels to each side that a new pixel is made from


class Enlarge(nn.Module):
    """(B, C, h, w) -> (B, C, scale h, scale w): images/bicubic.py to rounding error, differentiable and fast."""

    kernel: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("kernel", _kernel(scale), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        if self.scale == 1:
            return image
        batch, channels, height, width = image.shape
        rows, columns = (_mirrored(side, image.device) for side in (height, width))
        planes = image.reshape(batch * channels, 1, height, width)
        planes = planes.index_select(2, rows).index_select(3, columns)
        phases = functional.conv2d(planes, self.kernel.to(image.dtype))  # (B C, scale², h, w)
        large = functional.pixel_shuffle(phases, self.scale)
        return large.reshape(batch, channels, self.scale * height, self.scale * width)


def _mirrored(side: int, device: torch.device) -> Tensor:
    """Places of a side with `_REACH` more at both ends, the edge itself repeated."""
    folded = torch.arange(-_REACH, side + _REACH, device=device) % (2 * side)
    return torch.minimum(folded, 2 * side - 1 - folded)


def _kernel(scale: int) -> Tensor:
    """(scale², 1, 5, 5): what a single bright pixel becomes, phase by phase."""
    size = 2 * _REACH + 1
    impulse = np.zeros((2 * size + 1, 1, 1))
    impulse[size] = 1.0
    spread = resize(impulse.repeat(3, axis=1), scale)[:, 0, 0]  # (scale (2 size + 1),) along rows alone
    rows = np.zeros((scale, size))
    for phase in range(scale):
        for tap in range(size):  # new pixel scale·(size - tap + REACH) + phase sees the bright one at tap
            rows[phase, tap] = spread[scale * (size + _REACH - tap) + phase]
    both = np.einsum("pi,qj->pqij", rows, rows).reshape(scale * scale, 1, size, size)
    return torch.from_numpy(both).float()
