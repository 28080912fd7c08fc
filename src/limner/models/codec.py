"""A codec for pictures of any size: an analysis to a few whole numbers, a synthesis from them, and what they cost.

It is trained on rate + lambda times distortion; tasks/codec.py writes the numbers to a file with an entropy coder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import setting
from ..errors import ConfigError
from ..model import Loss, Model, Step
from ..types import Batch, Condition, DataSpec
from . import checks


@dataclass(frozen=True)
class CodecConfig:
    """Settings of `codec`."""

    width: int = setting("channels of its layers", 48)
    numbers: int = setting("numbers that are written for each square of 8x8 pixels", 32)
    quality: float = setting("weight of the squared error in levels of 255, beside a bit a pixel: 0.01 is coarse", 0.03)

    def __post_init__(self) -> None:
        checks.at_least(self, 1, "width", "numbers")
        if not self.quality > 0:
            raise ConfigError(f"quality={self.quality} is not positive")


class Codec(Model):
    """Three halvings and three doublings with residual blocks, whole numbers between.

    Rounding is uniform noise in training, and the numbers of a channel are taken to be logistic around zero.
    Source: Ballé et al. 2017, End-to-end optimized image compression, arXiv 1611.01704, equations 8 to 13, without GDN.
    """

    Config: ClassVar[type] = CodecConfig
    from_sources: ClassVar[bool] = False
    name: ClassVar[str] = "codec"
    config: CodecConfig
    multiple = 8
    reach = 64  # pixels, an upper bound: 26 of the analysis, 33 of the synthesis, and up to a multiple

    def __init__(self, config: CodecConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        width, channels = config.width, data.channels
        self.analysis = nn.Sequential(
            nn.Conv2d(channels, width, 5, 2, padding=2),
            _Residual(width),
            nn.Conv2d(width, width, 5, 2, padding=2),
            _Residual(width),
            nn.Conv2d(width, config.numbers, 5, 2, padding=2),
        )
        self.synthesis = nn.Sequential(
            nn.Conv2d(config.numbers, 4 * width, 3, padding=1),
            nn.PixelShuffle(2),
            _Residual(width),
            nn.Conv2d(width, 4 * width, 3, padding=1),
            nn.PixelShuffle(2),
            _Residual(width),
            nn.Conv2d(width, 4 * channels, 3, padding=1),
            nn.PixelShuffle(2),
        )
        self.gain = nn.Parameter(torch.full((config.numbers, 1, 1), log(4.0)))
        self.log_scale = nn.Parameter(torch.zeros(config.numbers, 1, 1))

    def training_defaults(self) -> dict[str, Any]:
        return {
            "batch": 16,
            "phases": {"model": {"optimizer": "adam", "lr": 1e-3, "betas": (0.9, 0.99)}},
            "lr_schedule": "cosine",
            "warmup_images": 4_000,
            "clip": 1.0,
            "ema_halflife_images": (1_000, 8_000),
        }

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step: bits a pixel, and the squared error of what comes back."""
        numbers = self._numbers(batch.image)
        noisy = numbers + step.rng.uniform(*numbers.shape[1:]) - 0.5
        made = self._picture(noisy)
        bits = self._bits(noisy).sum() / batch.image[:, :1].numel()
        error = (127.5 * (made.float() - batch.image)).square().mean()
        psnr = 10 * torch.log10(255**2 / error.detach().clamp(min=1e-6))
        yield Loss("model", bits + self.config.quality * error, {"bits": bits.detach(), "psnr": psnr})

    @torch.no_grad()
    def to_symbols(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1], sides multiples of 8 -> (B, numbers, H / 8, W / 8) whole numbers, int64."""
        return self._numbers(image).round().long()

    @torch.no_grad()
    def from_symbols(self, symbols: Tensor) -> Tensor:
        """(B, numbers, h, w) -> (B, C, 8 h, 8 w), about in [-1, 1]."""
        return self._picture(symbols.float()).float()

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) -> the same as it comes back, (B, C, H, W) about in [-1, 1]."""
        return self.from_symbols(self.to_symbols(source))

    def _numbers(self, image: Tensor) -> Tensor:
        return self.analysis(image).float() * self.gain.exp()

    def _picture(self, numbers: Tensor) -> Tensor:
        return self.synthesis(numbers / self.gain.exp())

    def _bits(self, numbers: Tensor) -> Tensor:
        """What each number costs under a logistic density of its channel, integrated over one step. Shapes agree.

        sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), of which the logarithm is exact however far
        out a number lies: there the cost grows by log2(e) / scale for each step, and so keeps its gradient.
        """
        inverse = torch.exp(-self.log_scale)
        above, below = (numbers + 0.5) * inverse, (numbers - 0.5) * inverse
        nats = functional.logsigmoid(above) + functional.logsigmoid(-below) + torch.log(-torch.expm1(-inverse))
        return -nats / log(2)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.two(functional.leaky_relu(self.one(functional.leaky_relu(image, 0.2)), 0.2))
