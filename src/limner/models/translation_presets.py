"""Translation by its usual names. The catalogue reads this, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_Preset = tuple[str, Mapping[str, Any], Mapping[str, Any]]

PAIRED: Mapping[str, _Preset] = {
    "pix2pix": (
        "translates pictures, learned from pairs: drawings to pictures, gray to colour",
        {},
        {"degrade": "edges", "flip": True},
    )
}
BOTH_WAYS: Mapping[str, _Preset] = {
    "cyclegan": (
        "translates between two kinds of pictures without pairs, both ways",
        {},
        {"paired": False, "flip": True},
    )
}
ONE_WAY: Mapping[str, _Preset] = {
    "cut": (
        "translates between two kinds of pictures without pairs, one way, with half the networks of cyclegan",
        {},
        {"paired": False, "flip": True},
    )
}
ATTRIBUTES: Mapping[str, _Preset] = {
    "stargan": ("changes the class or the attributes of a picture, and keeps the rest", {}, {"flip": True})
}
