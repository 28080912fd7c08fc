"""The encoders and decoders of autoencoders by name; each can stand in for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..types import DataSpec
from .conv_autoencoder import ConvDecoder, ConvEncoder, open_depth
from .mlp import MLPDecoder, MLPEncoder

NetworkName = Literal["conv", "mlp"]


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

    def encoder(self, outputs: int) -> ConvEncoder | MLPEncoder:
        """(B, C, H, W), (B, condition) -> (B, outputs)."""
        kind = ConvEncoder if self.network == "conv" else MLPEncoder
        width, depth = self._sizes()
        return kind(self.data, outputs, condition=self.condition, width=width, depth=depth)

    def decoder(self, latent: int) -> ConvDecoder | MLPDecoder:
        """(B, latent), (B, condition) -> (B, C, H, W), unbounded."""
        kind = ConvDecoder if self.network == "conv" else MLPDecoder
        width, depth = self._sizes()
        return kind(self.data, latent, condition=self.condition, width=width, depth=depth)

    def _sizes(self) -> tuple[int, int]:
        """Width and depth, with those left open filled in."""
        width, depth = (32, open_depth(self.data)) if self.network == "conv" else (500, 2)
        return (width if self.width is None else self.width), (depth if self.depth is None else self.depth)
