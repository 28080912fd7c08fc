"""The encoders and decoders of autoencoders by name; each can stand in for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..errors import ConfigError
from ..types import DataSpec
from .conv_autoencoder import ConvDecoder, ConvEncoder, open_depth
from .mlp import MLPDecoder, MLPEncoder

NetworkName = Literal["conv", "mlp"]

_ENCODERS: dict[NetworkName, type[ConvEncoder] | type[MLPEncoder]] = {"conv": ConvEncoder, "mlp": MLPEncoder}
_DECODERS: dict[NetworkName, type[ConvDecoder] | type[MLPDecoder]] = {"conv": ConvDecoder, "mlp": MLPDecoder}
_WIDTH: dict[NetworkName, int] = {"conv": 32, "mlp": 500}


@dataclass(frozen=True)
class Plan:
    """What the networks of an autoencoder are built from.

    width   conv: channels at full resolution, doubling at each halving up to eightfold; mlp: units of a hidden layer
    depth   conv: halvings of the resolution; mlp: hidden layers
    None means 32 channels down to 4 to 7 pixels, or two hidden layers of 500.
    """

    network: NetworkName
    data: DataSpec
    condition: int  # width of an encoded condition
    width: int | None = None
    depth: int | None = None

    def encoder(self, outputs: int) -> nn.Module:
        """(B, C, H, W), (B, condition) -> (B, outputs)."""
        return self._build(_ENCODERS, outputs)

    def decoder(self, latent: int) -> nn.Module:
        """(B, latent), (B, condition) -> (B, C, H, W), unbounded."""
        return self._build(_DECODERS, latent)

    def _build(self, kinds: dict, size: int) -> nn.Module:
        if self.network not in kinds:
            raise ConfigError(f"network={self.network!r} is not known; use conv or mlp")
        width = _WIDTH[self.network] if self.width is None else self.width
        depth = self.depth
        if depth is None:
            depth = open_depth(self.data) if self.network == "conv" else 2
        return kinds[self.network](self.data, size, condition=self.condition, width=width, depth=depth)
