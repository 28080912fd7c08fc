"""How images become the input of a network: colours, size and range. Part of the protocol of every number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from ..images.colour import composite
from .resize import Kernel, resize

_WORDS = {
    "bicubic": "antialiased bicubic",
    "bilinear": "antialiased bilinear",
    "legacy": "bilinear as in TensorFlow 1",
}


@dataclass(frozen=True)
class Preparation:
    """What is done to an image before the network sees it: squash to side × side, clip to 0 … 255, (x - mean) / std.

    side        None leaves the size alone
    mean, std   of the three channels, on the scale 0 … 255
    """

    side: int | None
    kernel: Kernel = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def words(self) -> str:
        """For protocols."""
        return f"squash to {self.side}×{self.side}, {_WORDS[self.kernel]}" if self.side else "none"

    def __call__(self, images: np.ndarray) -> Tensor:
        """(B, H, W, C) uint8 -> (B, 3, side, side) float32; a gray image is resized once and repeated."""
        return self.planes(torch.from_numpy(np.ascontiguousarray(opaque(images).transpose(0, 3, 1, 2), np.float32)))

    def planes(self, planes: Tensor) -> Tensor:
        """(B, 1 | 3, H, W) float32 on the scale 0 … 255, not rounded -> (B, 3, side, side) float32."""
        if self.side is not None and planes.shape[2:] != (self.side, self.side):
            planes = resize(planes, self.side, self.side, self.kernel).clamp_(0, 255)
        return planes.expand(-1, 3, -1, -1).sub(_column(self.mean)).div_(_column(self.std))


def _column(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values)[:, None, None]


def opaque(images: np.ndarray) -> np.ndarray:
    """(B, H, W, 1 | 3 | 4) uint8 -> (B, H, W, 1 | 3), alpha composited on white. Raises ConfigError otherwise."""
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3, 4) or 0 in images.shape[1:3]:
        raise ConfigError(f"features are of uint8 (B, H, W, 1 | 3 | 4) images, not of {images.dtype} {images.shape}")
    if images.shape[3] != 4:
        return images
    batch, height, width, _ = images.shape
    return composite(images.reshape(batch * height, width, 4)).reshape(batch, height, width, 3)
