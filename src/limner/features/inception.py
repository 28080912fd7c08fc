"""Inception-v3 as FID defines it: the TensorFlow graph of 2015, with 1,008 outputs and its own pooling.

It differs from the Inception-v3 of today's libraries in three ways: average pools do not count padding, the last block
pools by maximum, and there are 1,008 outputs. The weights are not part of Limner: they come from a file of the layout
that pytorch-fid and torch-fidelity use, or are downloaded by their SHA-256. Only with those is a number called FID.
Source: Szegedy et al. 2015, Rethinking the Inception architecture, arXiv 1512.00567; Heusel et al. 2017, GANs trained
by a two time-scale update rule, arXiv 1706.08500.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..engine import How
from ..errors import ConfigError, ModelError, unknown
from . import folding, weights
from .frozen import Frozen, Traits
from .preparation import Preparation
from .resize import Kernel

FILE = weights.Published(
    "weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",  # 95,628,359 bytes
    (
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    ),
)
DIMENSION, CLASSES, SIDE = 2048, 1008, 299
EPSILON = 1e-3
TILE = 8

Resize = Literal["legacy", "clean"]
_KERNELS: dict[str, Kernel] = {"legacy": "legacy", "clean": "bicubic"}


class Conv(NamedTuple):
    """A convolution and the ReLU after it; without stride the size is kept, with one there is no padding."""

    name: str
    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1


# One branch: convolutions and pools, one after the other; a tuple of convolutions stands side by side.
Branch = tuple["Conv | tuple[Conv, Conv] | str", ...]


def _block_a(pooled: int) -> tuple[Branch, ...]:
    return (
        (Conv("branch1x1", 64),),
        (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, 5)),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, 3), Conv("branch3x3dbl_3", 96, 3)),
        ("average", Conv("branch_pool", pooled)),
    )


_BLOCK_B: tuple[Branch, ...] = (
    (Conv("branch3x3", 384, 3, 2),),
    (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, 3), Conv("branch3x3dbl_3", 96, 3, 2)),
    ("halve",),
)


def _block_c(width: int) -> tuple[Branch, ...]:
    across, down = (1, 7), (7, 1)
    return (
        (Conv("branch1x1", 192),),
        (Conv("branch7x7_1", width), Conv("branch7x7_2", width, across), Conv("branch7x7_3", 192, down)),
        (
            Conv("branch7x7dbl_1", width),
            Conv("branch7x7dbl_2", width, down),
            Conv("branch7x7dbl_3", width, across),
            Conv("branch7x7dbl_4", width, down),
            Conv("branch7x7dbl_5", 192, across),
        ),
        ("average", Conv("branch_pool", 192)),
    )


_BLOCK_D: tuple[Branch, ...] = (
    (Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, 3, 2)),
    (
        Conv("branch7x7x3_1", 192),
        Conv("branch7x7x3_2", 192, (1, 7)),
        Conv("branch7x7x3_3", 192, (7, 1)),
        Conv("branch7x7x3_4", 192, 3, 2),
    ),
    ("halve",),
)


def _block_e(pool: str) -> tuple[Branch, ...]:
    def cross(name: str) -> tuple[Conv, Conv]:
        return Conv(f"{name}a", 384, (1, 3)), Conv(f"{name}b", 384, (3, 1))

    return (
        (Conv("branch1x1", 320),),
        (Conv("branch3x3_1", 384), cross("branch3x3_2")),
        (Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, 3), cross("branch3x3dbl_3")),
        (pool, Conv("branch_pool", 192)),
    )


BLOCKS: dict[str, tuple[Branch, ...]] = {
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": _BLOCK_B,
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": _BLOCK_D,
    "Mixed_7b": _block_e("average"),
    "Mixed_7c": _block_e("maximum"),
}


class Convolution(nn.Conv2d):
    """With a ReLU after it. Where the published network normalises in between, that is folded into the weights."""

    def __init__(self, channels: int, conv: Conv, *, padded: bool = True) -> None:
        kernel = (conv.kernel, conv.kernel) if isinstance(conv.kernel, int) else conv.kernel
        padding = (kernel[0] // 2, kernel[1] // 2) if padded and conv.stride == 1 else (0, 0)
        super().__init__(channels, conv.channels, kernel, conv.stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(super().forward(x), inplace=True)


class Block(nn.Module):
    """Branches over the same input, joined along the channels; `out` is how many they are together."""

    def __init__(self, channels: int, branches: tuple[Branch, ...]) -> None:
        super().__init__()
        self.branches = branches
        self.out = sum(self._build(channels, branch) for branch in branches)

    def _build(self, channels: int, branch: Branch) -> int:
        for part in branch:
            if isinstance(part, str):
                continue
            convs = (part,) if isinstance(part, Conv) else part
            for conv in convs:
                self.add_module(conv.name, Convolution(channels, conv))
            channels = sum(conv.channels for conv in convs)
        return channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._branch(x, branch) for branch in self.branches], 1)

    def _branch(self, x: Tensor, branch: Branch) -> Tensor:
        for part in branch:
            if isinstance(part, str):
                x = _pool(x, part)
            elif isinstance(part, Conv):
                x = self.get_submodule(part.name)(x)
            else:
                x = torch.cat([self.get_submodule(conv.name)(x) for conv in part], 1)
        return x


def _pool(x: Tensor, how: str) -> Tensor:
    if how == "average":
        return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    return functional.max_pool2d(x, 3, 2) if how == "halve" else functional.max_pool2d(x, 3, 1, 1)


class Network(nn.Module):
    """(B, 3, 299, 299) in [-1, 1] -> features (B, 2048), logits (B, 1008).

    The logits go without their bias, which is what the Inception score was defined on. Modules are named as in the
    published file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, Conv("", 32, 3, 2))
        self.Conv2d_2a_3x3 = Convolution(32, Conv("", 32, 3), padded=False)
        self.Conv2d_2b_3x3 = Convolution(32, Conv("", 64, 3))
        self.Conv2d_3b_1x1 = Convolution(64, Conv("", 80))
        self.Conv2d_4a_3x3 = Convolution(80, Conv("", 192, 3), padded=False)
        channels = 192
        for name, branches in BLOCKS.items():
            block = Block(channels, branches)
            self.add_module(name, block)
            channels = block.out
        self.fc = nn.Linear(DIMENSION, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # (B, 64, 147, 147)
        x = functional.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # (B, 192, 71, 71)
        x = functional.max_pool2d(x, 3, 2)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)  # (B, 288, 35, 35), (B, 768, 17, 17), (B, 2048, 8, 8)
        pooled = x.float().mean((2, 3))
        return pooled, functional.linear(pooled, self.fc.weight)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of a published file. Raises ModelError where they do not fit."""
        for name, layer in self._convolutions():
            weight, bias = folding.fold(state, f"{name}.conv", f"{name}.bn", epsilon=EPSILON)
            folding.assign(layer, weight, bias, name=name)
        if not {"fc.weight", "fc.bias"} <= set(state):
            raise ModelError("the weights lack fc; they are not of the Inception-v3 that FID uses")
        folding.assign(self.fc, state["fc.weight"], state["fc.bias"], name="fc")

    def _convolutions(self) -> Iterator[tuple[str, Convolution]]:
        return ((name, layer) for name, layer in self.named_modules() if isinstance(layer, Convolution))


class Inception(Frozen):
    """The extractor (extractor.py has the contract).

    path     of the weights; None for the published ones, from <home>/weights or downloaded
    resize   legacy: bilinear as in TensorFlow 1, what FID was defined with; clean: antialiased bicubic, as clean-fid's

    It is named Inception with the published weights alone, and after its hash with others. Raises ModelError.
    """

    def __init__(self, path: Path | None = None, *, resize: Resize = "legacy", how: How | None = None) -> None:
        if resize not in _KERNELS:
            raise ConfigError(unknown("resize", resize, _KERNELS))
        found = weights.load(weights.obtain(FILE), pinned=FILE.sha256) if path is None else weights.load(path)
        network = Network()
        network.load(found.tensors)
        published = found.sha256 == FILE.sha256
        name = "Inception" if published else f"Inception-{found.sha256[:8]}"
        preparation = Preparation(SIDE, _KERNELS[resize], mean=(128.0, 128.0, 128.0), std=(128.0, 128.0, 128.0))
        traits = Traits(name, found.sha256, DIMENSION, CLASSES)
        super().__init__(network, traits, preparation, replace(how or How(), tile=TILE))
