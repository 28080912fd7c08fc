"""Codecs by name. The catalogue reads this, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CODECS: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    "codec": (
        "compresses pictures of any size to files: limner compress",
        {},
        {"patch": 96, "flip": True},
    )
}
