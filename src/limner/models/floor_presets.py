"""The models that others should beat, by name: mixtures and Boltzmann machines, and what each is.

The catalogue reads this, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Presets = Mapping[str, tuple[str, Mapping[str, Any]]]

GAUSSIANS: Presets = MappingProxyType(
    {"gmm": ("mixture of Gaussians on pixels, by expectation-maximisation: a floor, with an exact density", {})}
)

BERNOULLIS: Presets = MappingProxyType(
    {
        "bernoulli-mixture": (
            "mixture of black and white templates, by expectation-maximisation: a floor, with an exact likelihood",
            {},
        )
    }
)

MACHINES: Presets = MappingProxyType(
    {
        "rbm": ("restricted Boltzmann machine with persistent chains: a floor for black and white images", {}),
        "crbm": (
            "restricted Boltzmann machine whose biases follow class and attributes: a floor for conditional models",
            {"conditional": "auto"},
        ),
    }
)
