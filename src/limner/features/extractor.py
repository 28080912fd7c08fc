"""What every feature extractor is: images in, one row of features for each image out, the same in any batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Features:
    """What a network sees in a batch of images.

    pooled   (B, D) float32, one row an image: what distances are computed on
    logits   (B, K) float32 over the network's own classes, or None when it has none
    """

    pooled: np.ndarray
    logits: np.ndarray | None = None


@runtime_checkable
class Extractor(Protocol):
    """A frozen network with a name, so that its numbers are never taken for another's.

    name        short, for names of numbers: `Lite0`, `Inception`
    sha256      of its weights
    dimension   D, the length of a row of features
    classes     K, the classes of its logits; 0 for none
    resize      in words: `squash to 128×128, antialiased bicubic`
    precision   fp32, bf16 …
    """

    name: str
    sha256: str
    dimension: int
    classes: int
    resize: str
    precision: str

    def __call__(self, images: np.ndarray) -> Features:
        """(B, H, W, C) uint8, C of 1 (gray), 3 (RGB) or 4 (RGBA, composited on white) -> their features."""
