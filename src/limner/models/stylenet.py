"""One style, learned: a small network that draws any picture in the manner of one, in a single pass.

There is no normalisation in it, so a place of a picture depends on what is near it alone, and pictures of any size are
taken in tiles without seams.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import setting
from ..errors import ConfigError
from ..features.perception import shared
from ..images.read import decode
from ..images.resize import fit
from ..losses import style as losses
from ..model import Loss, Model, Step
from ..types import Batch, Condition, DataSpec
from . import checks

SIDE = 192  # pixels that the style is kept at


@dataclass(frozen=True)
class StyleNetConfig:
    """Settings of `stylenet`."""

    style: str = setting("the picture whose manner is learned; it is kept inside of the model", "")
    width: int = setting("channels of the first layer", 24)
    blocks: int = setting("residual blocks at a quarter of the size", 4)
    strength: float = setting("weight of the manner, beside 1 for what a picture shows", 6.0)
    smoothness: float = setting("weight of the mean difference of neighbours", 0.1)
    features: Literal["lite0", "vgg19", "random"] = setting("network that both are compared through", "lite0")
    weights: str = setting("file of weights, for vgg19", "")

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "width", "blocks")
        checks.at_least(self, 0, "strength", "smoothness")


class StyleNet(Model):
    """Draws pictures in the manner of one.

    Source: Johnson et al. 2016, arXiv 1603.08155, with Gram matrices as shares of the style's own, without
    normalisation, and starting from the picture as it is.
    """

    Config: ClassVar[type] = StyleNetConfig
    name: ClassVar[str] = "stylenet"
    config: StyleNetConfig
    multiple = 4
    style: Tensor

    def __init__(self, config: StyleNetConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        if data.channels != 3 or data.source_channels:
            raise ConfigError("stylenet is trained on colour pictures alone; say --channels 3, and no degrade")
        self.network = _Painter(config.width, config.blocks)
        self.reach = self.network.reach
        self.register_buffer("style", torch.zeros(3, SIDE, SIDE, dtype=torch.uint8))

    def training_defaults(self) -> dict[str, Any]:
        return {
            "batch": 4,
            "phases": {"model": {"optimizer": "adam", "lr": 2e-3, "betas": (0.9, 0.99)}},
            "lr_schedule": "cosine",
            "warmup_images": 200,
            "clip": 1.0,
            "ema_halflife_images": (200, 1_000),
        }

    def prepare(self, images: Tensor) -> None:
        """Take the style in. Raises ConfigError where none is named."""
        if not self.config.style:
            raise ConfigError("say which manner to learn: --set style=PICTURE")
        path = Path(self.config.style)
        if not path.is_file():
            raise ConfigError(f"style={self.config.style} is not there")
        picture = fit(decode(path, channels=3), SIDE, SIDE)
        self.style.copy_(torch.from_numpy(picture.copy()).permute(2, 0, 1))

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        network = shared(self.config.features, batch.image.device, self.config.weights)
        made = self.network(batch.image).float()
        seen = network(made)
        with torch.no_grad():
            shown = network(batch.image)[network.content]
            grams = [losses.gram(maps) for maps in network(self.style[None].float() / 127.5 - 1)]
        kept = (seen[network.content] - shown).square().mean() / (shown.square().mean() + 1e-5)
        styled = torch.stack([losses.gram_distance(a, b) for a, b in zip(seen, grams, strict=True)]).mean()
        rough = losses.roughness(made)
        cost = kept + self.config.strength * styled + self.config.smoothness * rough
        yield Loss("model", cost, {"shown": kept.detach(), "style": styled.detach()})

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        """(B, 3, H, W) -> the same in the style, (B, 3, H, W) in about [-1, 1]."""
        return self.network(source).float()


class _Painter(nn.Module):
    """Two halvings, residual blocks, two doublings; what it gives is added to the picture."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 5, padding=2)
        self.down = nn.ModuleList(nn.Conv2d(a * width, 2 * a * width, 3, 2, padding=1) for a in (1, 2))
        self.ones, self.twos = (
            nn.ModuleList(nn.Conv2d(4 * width, 4 * width, 3, padding=1) for _ in range(blocks)) for _ in range(2)
        )
        self.up = nn.ModuleList(nn.Conv2d(2 * a * width, a * width, 3, padding=1) for a in (2, 1))
        self.last = nn.Conv2d(width, 3, 5, padding=2)
        self.reach = 4 * (2 * blocks + 2) + 2 * 3 + 8
        self.reach = -(-self.reach // 4) * 4
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        for layer in self.twos:
            layer.weight.data.mul_(0.3)  # type: ignore[operator]
        nn.init.zeros_(self.last.weight)

    def forward(self, image: Tensor) -> Tensor:
        hidden = functional.relu(self.first(image))
        for layer in self.down:
            hidden = functional.relu(layer(hidden))
        for one, two in zip(self.ones, self.twos, strict=True):
            hidden = hidden + two(functional.relu(one(hidden)))
        for layer in self.up:
            hidden = functional.relu(layer(functional.interpolate(hidden, scale_factor=2.0, mode="nearest")))
        return image + self.last(hidden)
