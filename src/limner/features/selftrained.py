"""Features of a small network that was trained on the data at hand: for data far from photographs.

The network is plain: convolutions with a ReLU after each, and a mean over pixels. Who trains it is none of this file's
business (evaluation/classifiers.py does). Its name holds the first digits of its weights' hash, so that numbers of two
such networks are never taken for comparable. To compare across machines, share the folder that `save` writes.

    network.json        a Plan
    model.safetensors   its weights, with mean and std of the channels
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import durable
from ..config import from_dict
from ..engine import How
from ..errors import BadCheckpoint, ConfigError
from ..images.colour import with_channels
from .frozen import Frozen, Traits
from .resize import resize

FORMAT = 1
NETWORK, WEIGHTS = "network.json", "model.safetensors"
TILE = 64  # images the network sees at once: it is small


@dataclass(frozen=True)
class Plan:
    """What the network is built from.

    channels, height, width   of the pictures it was trained on
    seen                      (height, width) that they are averaged down to first
    layers                    (channels, stride) of each 3x3 convolution
    classes                   of its logits; 0 for none
    """

    channels: int
    height: int
    width: int
    seen: tuple[int, int]
    layers: tuple[tuple[int, int], ...]
    classes: int = 0

    def __post_init__(self) -> None:
        numbers = [self.height, self.width, *self.seen, *(number for layer in self.layers for number in layer)]
        if self.channels not in (1, 3, 4) or not self.layers or min(numbers) < 1 or self.classes < 0:
            raise ConfigError(f"{self} describes no network; sides, channels and strides are at least 1")


class PlainNetwork(nn.Module):
    """(B, C, H, W) in [-1, 1] -> ((B, D), (B, classes) or None)."""

    mean: Tensor
    std: Tensor

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        parts: list[nn.Module] = []
        channels = plan.channels
        for out, stride in plan.layers:
            parts += [nn.Conv2d(channels, out, 3, stride, 1), nn.ReLU()]
            channels = out
        self.body = nn.Sequential(*parts)
        self.head = nn.Linear(channels, plan.classes) if plan.classes else None
        self.register_buffer("mean", torch.zeros(plan.channels, 1, 1))
        self.register_buffer("std", torch.ones(plan.channels, 1, 1))

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        return [layer for layer in self.body if isinstance(layer, nn.Conv2d)]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        if tuple(image.shape[2:]) != tuple(self.plan.seen):
            image = functional.interpolate(image, tuple(self.plan.seen), mode="area")
        pooled = self.body((image - self.mean) / self.std).mean(dim=(2, 3))  # (B, D)
        return pooled, None if self.head is None else self.head(pooled)


class SelfTrained(Frozen):
    """The extractor (extractor.py has the contract) of a network trained on the data at hand.

    network     any module that takes (B, C, H, W) in [-1, 1] and gives ((B, D), (B, classes) or None)
    shape       (C, H, W) that it takes; images of other colours and sizes are brought to it
    dimension   D
    """

    def __init__(self, network: nn.Module, shape: tuple[int, int, int], *, dimension: int, classes: int = 0) -> None:
        digest = weights_sha256(network)
        traits = Traits(f"Self-{digest[:8]}", digest, dimension, classes)
        super().__init__(_Parts(network), traits, Fitted(*shape), How("torch", tile=TILE))
        self.network, self.shape = network, shape

    @classmethod
    def of(cls, network: PlainNetwork) -> SelfTrained:
        """The extractor of a plain network."""
        plan = network.plan
        shape = (plan.channels, plan.height, plan.width)
        return cls(network, shape, dimension=plan.layers[-1][0], classes=plan.classes)

    def __reduce__(self):
        """Sent to another process with its weights: it is small, and may lie in no folder."""
        return partial(type(self), dimension=self.dimension, classes=self.classes), (self.network, self.shape)


class _Parts(nn.Module):
    """A network's results as a tuple without gaps, which every engine takes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(part for part in self.network(image) if part is not None)


@dataclass(frozen=True)
class Fitted:
    """How images are brought to what the network was trained on: colours first, then size. Alpha is kept for alpha."""

    channels: int
    height: int
    width: int

    @property
    def words(self) -> str:
        """For protocols."""
        return f"squash to {self.height}×{self.width}, antialiased bicubic"

    def __call__(self, images: np.ndarray) -> Tensor:
        """(B, h, w, c) uint8 -> (B, C, H, W) float32 in [-1, 1]."""
        if images.shape[3] != self.channels:
            flat = images.reshape(-1, *images.shape[2:])  # (B h, w, c): colours know no rows
            images = with_channels(flat, self.channels).reshape(*images.shape[:3], self.channels)
        planes = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32))
        if planes.shape[2:] != (self.height, self.width):
            planes = resize(planes, self.height, self.width).clamp_(0, 255)
        return planes / 127.5 - 1


def weights_sha256(network: nn.Module) -> str:
    """Hash of a network's weights and buffers, names included, in any memory layout."""
    digest = sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save(extractor: SelfTrained, folder: str | Path) -> None:
    """Write the folder that `load` reads. Raises ConfigError for a network that is not a plain one, DiskError."""
    from safetensors.torch import save as tensor_bytes

    network = extractor.network
    if not isinstance(network, PlainNetwork):
        raise ConfigError(f"only plain networks are saved here; {type(network).__name__} is not one")
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    contents = {
        NETWORK: lambda: json.dumps(asdict(network.plan), indent=1).encode(),
        WEIGHTS: lambda: tensor_bytes(tensors),
    }
    durable.publish_folder(Path(folder), contents, about={"format": FORMAT})


def load(folder: str | Path) -> SelfTrained:
    """The extractor of a folder, after checking every byte of it.

    Raises ConfigError where there is no such folder, BadCheckpoint where it was altered or is of a newer format.
    """
    from safetensors.torch import load as read_tensors

    folder = Path(folder)
    if not (folder / NETWORK).is_file():
        raise ConfigError(f"{folder} holds no self-trained features; give the folder that `selftrained.save` wrote")
    if durable.verify(folder).get("format", 0) > FORMAT:
        raise BadCheckpoint(f"{folder} is of a newer format than this Limner reads ({FORMAT}); upgrade it")
    try:
        network = PlainNetwork(from_dict(Plan, json.loads((folder / NETWORK).read_bytes())))
        network.load_state_dict(read_tensors((folder / WEIGHTS).read_bytes()))
    except (KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise BadCheckpoint(f"{folder} does not hold features of this Limner: {error}") from error
    return SelfTrained.of(network)
