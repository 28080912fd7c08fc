"""Any network as a TorchScript file: what others publish their feature extractors as.

It is given images (B, 3, H, W) float32 in 0 … 255 and gives features (B, D), or a tuple of features and logits (B, K):
scaling and resizing are its own business. A TorchScript file holds code: only load files that you trust.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from ..engine import How
from ..errors import ConfigError, ModelError
from .frozen import Frozen, Traits
from .preparation import Preparation
from .weights import first_line, sha256_of

PROBE = 64  # side of the images that the file is tried with when it is opened, unless `side` says another


class TorchScript(Frozen):
    """The extractor (extractor.py has the contract), named after the file and its hash.

    side   that images are resized to first, antialiased bicubic; None hands them over as they are

    Raises ConfigError where there is no such file, ModelError where it does not hold such a network.
    """

    def __init__(self, path: Path, *, side: int | None = None, how: How | None = None) -> None:
        how = how or How("torch")
        if how.engine not in ("auto", "torch"):
            raise ConfigError(f"engine={how.engine} is not possible: a TorchScript file runs in torch alone")
        digest = sha256_of(path)
        network = _Pair(_load(path))
        pooled, *logits = network.tried(side or PROBE)
        traits = Traits(f"{path.stem}-{digest[:8]}", digest, pooled.shape[1], logits[0].shape[1] if logits else 0)
        super().__init__(network, traits, Preparation(side), How("torch", how.precision, how.tile))


class _Pair(nn.Module):
    """Whatever the file gives, as a tuple of features and perhaps logits."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = script

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.script(images)
        parts = (found,) if isinstance(found, Tensor) else tuple(found)[:2]
        return tuple(part.flatten(1) for part in parts)

    def tried(self, side: int) -> tuple[Tensor, ...]:
        """What it gives for two gray images. Raises ModelError unless that is features, and perhaps logits."""
        try:
            with torch.inference_mode():
                found = self.forward(torch.full((2, 3, side, side), 128.0))
        except (RuntimeError, TypeError, AttributeError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise ModelError(
                f"the TorchScript network does not take (2, 3, {side}, {side}) images: {reason}"
            ) from error
        if not found or any(len(part) != 2 for part in found):
            raise ModelError(f"the TorchScript network gave {[tuple(part.shape) for part in found]} for 2 images")
        return found


def _load(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch deprecates writing such files; many exist
            return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{path} is not a TorchScript file: {first_line(error)}") from error
