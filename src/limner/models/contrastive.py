"""A small network that learns without labels what makes pictures of a data set alike: features to judge others with.

Two changed views of one image must be told from the views of all others (SimCLR). It makes no pictures, so it is not in
the catalogue; evaluation/classifiers.py trains it where the data has neither classes nor attributes.

It is blind to what its views change: small shifts and scales, brightness, contrast and colour, and mirroring when asked
for. A distance in its features says nothing of those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import setting
from ..errors import ConfigError
from ..model import Loss, Model, Step
from ..rng import Rng
from ..types import Batch, DataSpec
from . import checks
from .classifier import Trunk, mirrored


@dataclass(frozen=True)
class ContrastiveConfig:
    """Settings of the contrastive network."""

    width: int = setting("channels of the first convolution; eight times as many are summed up in the features", 16)
    projection: int = setting("length of the row in which views are compared", 64)
    temperature: float = setting("of the comparison; lower looks at the nearest others alone", 0.2)
    crop: float = setting("smallest side of a view, as a share of the image's", 0.5)
    jitter: float = setting("largest change of brightness, and of contrast and colour as a factor", 0.4)
    flip: bool = setting("mirror half of the views; only where left and right mean the same", False)

    def __post_init__(self) -> None:
        checks.at_least(self, 1, "width", "projection")
        checks.shares(self, "jitter")
        if not self.temperature > 0:
            raise ConfigError(f"temperature={self.temperature} is not positive; use for example 0.2")
        if not 0 < self.crop <= 1:
            raise ConfigError(f"crop={self.crop} is not a share of the image's side; use more than 0 and at most 1")


class Contrastive(Model):
    """A trunk whose features tell each image from all others.

    Its loss compares the images of a batch, so a batch taken in parts (`accumulate`) has fewer others to compare with.
    Source: Chen et al. 2020, arXiv 2002.05709.
    """

    Config: ClassVar[type] = ContrastiveConfig
    name: ClassVar[str] = "limner.models.contrastive:Contrastive"
    config: ContrastiveConfig

    def __init__(self, config: ContrastiveConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.trunk = Trunk(data.shape, config.width)
        dimension = self.trunk.dimension
        self.projector = nn.Sequential(
            nn.Linear(dimension, dimension), nn.ReLU(), nn.Linear(dimension, config.projection)
        )

    def training_defaults(self) -> dict[str, Any]:
        return {
            "batch": 128,
            "lr_schedule": "cosine",
            "warmup_images": 2_000,
            "phases": {"model": {"optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.05}},
            "weights": "raw",
        }

    def prepare(self, images: Tensor) -> None:
        self.trunk.prepare(images)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> features (B, D)."""
        return self.trunk(image)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        views = torch.cat([view(batch.image, self.config, step.rng) for _ in range(2)])  # (2 B, C, H, W)
        projected = self.projector(self.trunk(views)).float()
        first, second = functional.normalize(projected, dim=1).chunk(2)
        yield Loss("model", nt_xent(first, second, self.config.temperature))


def view(image: Tensor, config: ContrastiveConfig, rng: Rng) -> Tensor:
    """(B, C, H, W) -> the same shape: a part of each image at full size, its colours changed."""
    image = jittered(cropped(image, config.crop, rng), config.jitter, rng)
    return mirrored(image, rng) if config.flip else image


def cropped(image: Tensor, least: float, rng: Rng) -> Tensor:
    """A window of each image, of `least` to 1 of its sides and anywhere inside it, brought to full size (bilinear)."""
    draws = rng.uniform(3)  # (B, 3)
    size = least + (1 - least) * draws[:, 0]
    centre = (1 - size)[:, None] * (2 * draws[:, 1:] - 1)  # (B, 2), in the grid's -1 … 1
    affine = torch.cat([torch.diag_embed(size[:, None].expand(-1, 2)), centre[:, :, None]], dim=2)  # (B, 2, 3)
    grid = functional.affine_grid(affine, list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)


def jittered(image: Tensor, most: float, rng: Rng) -> Tensor:
    """Brightness moved by up to `most`; contrast and saturation scaled by 1 - most … 1 + most.

    The last of 2 or 4 channels is opacity and stays as it is.
    """
    colours = image.shape[1] - (image.shape[1] in (2, 4))
    shown, opacity = image[:, :colours], image[:, colours:]
    brightness, contrast, saturation = (most * (2 * rng.uniform(3, 1, 1, 1) - 1)).unbind(1)  # each (B, 1, 1, 1)
    for dims, factor in (((1, 2, 3), 1 + contrast), ((1,), 1 + saturation)):
        if dims == (1,) and colours == 1:
            continue  # one channel has no saturation: this would set it to its mean
        mean = shown.mean(dim=dims, keepdim=True)
        shown = mean + factor * (shown - mean)
    return torch.cat([shown + brightness, opacity], dim=1)


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The mean over all views of -log softmax of their likeness to their partner, among all other views.

    first, second   (B, D)   unit rows; row k of one is the partner of row k of the other

    The temperature-scaled cross-entropy of Chen et al. 2020, equation 1.
    """
    rows = torch.cat([first, second])  # (2 B, D)
    likeness = rows @ rows.T / temperature
    likeness = likeness.masked_fill(torch.eye(len(rows), dtype=torch.bool, device=rows.device), -torch.inf)
    partners = torch.arange(len(rows), device=rows.device).roll(len(first))
    return functional.cross_entropy(likeness, partners)
