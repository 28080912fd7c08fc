"""The tokenizers that have names: what each is, and its settings where they differ from the defaults of its class.

The catalogue reads this, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Presets = Mapping[str, tuple[str, Mapping[str, Any]]]

GRIDS: Presets = MappingProxyType(
    {
        "fsq": ("tokenizer that rounds each number to a few levels: no codebook to learn, all of it used", {}),
        "vqvae": ("tokenizer with a learned codebook", {"quantizer": "codebook"}),
    }
)
JUDGED: Presets = MappingProxyType(
    {"vqgan": ("tokenizer whose reconstructions must pass a discriminator: sharper", {"quantizer": "codebook"})}
)
SCALES: Presets = MappingProxyType(
    {"residual-vq": ("tokenizer of rising scales, coarse to fine: what next-scale models are trained on", {})}
)
LATENTS: Presets = MappingProxyType(
    {"latent-ae": ("autoencoder to a small grid of numbers: what latent diffusion is trained on", {})}
)
