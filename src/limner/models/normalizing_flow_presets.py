"""The normalizing flows that have names: what each is, and its settings where they differ from the defaults.

The catalogue reads this, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

PRESETS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "realnvp": ("normalizing flow of affine couplings: exact likelihood, and images encoded without loss", {}),
        "glow": (
            "RealNVP that learns how channels are mixed between its couplings",
            {"mixing": "convolution"},
        ),
        "flowpp": (
            "normalizing flow whose couplings move by mixtures of logistics: the best likelihood of the flows",
            {"logistics": 4, "couplings": 4},
        ),
    }
)
