"""Style by its usual names. The catalogue reads this, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STYLES: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    "stylenet": (
        "draws any picture in the manner of one that it was trained on, in a single pass and at any size",
        {},
        {"patch": 128, "channels": 3, "flip": True},
    )
}
