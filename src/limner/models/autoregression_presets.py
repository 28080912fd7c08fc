"""The models of pixels, one after the other, that have names.

The catalogue reads this, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Presets = Mapping[str, tuple[str, Mapping[str, Any]]]

MADES: Presets = MappingProxyType(
    {"made": ("masked fully connected network for black and white images: the fastest with an exact likelihood", {})}
)

_BINARY = {"likelihood": "bernoulli", "binarize": "dynamic"}

PIXELCNNS: Presets = MappingProxyType(
    {
        "pixelcnn": ("gated PixelCNN for grey and colour images: exact likelihoods, pictures drawn pixel by pixel", {}),
        "binary-pixelcnn": (
            "gated PixelCNN for black and white images: exact likelihoods, better than those of made",
            _BINARY,
        ),
    }
)
