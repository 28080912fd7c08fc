"""The language models of images that have names.

The catalogue reads this, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Presets = Mapping[str, tuple[str, Mapping[str, Any]]]

ORDERED: Presets = MappingProxyType(
    {"token-lm": ("language model of image tokens: draws them row by row, with exact probabilities", {})}
)
MASKED: Presets = MappingProxyType(
    {"masked-tokens": ("model of masked image tokens: an image in ten passes, and any part of it anew", {})}
)
SCALES: Presets = MappingProxyType(
    {
        "next-scale": (
            "model of image tokens scale by scale, coarse to fine: a handful of passes for an image",
            {"first": "residual-vq"},
        )
    }
)
