"""What a model makes of every training image once, before the run: latents of an autoencoder, tokens of a tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.dataset import Dataset
from ..data.loader import to_batch
from ..model import Model, Precomputes

_ROWS = 64  # images at a time: always as many, so that a resumed run makes the very same codes


@dataclass(frozen=True)
class Codes:
    """The codes of a data set, in its order.

    plain      (N, ...)
    mirrored   (N, ...) those of the mirrored images, where images are mirrored in training
    """

    plain: np.ndarray
    mirrored: np.ndarray | None = None

    def gather(self, indices: np.ndarray, mirrored: np.ndarray | None) -> np.ndarray:
        """(B, ...) the codes of the images at `indices`, of those mirrored where `mirrored` (B,) says so."""
        found = self.plain[indices]
        if mirrored is not None and self.mirrored is not None:
            found[mirrored] = self.mirrored[indices[mirrored]]
        return found


def precomputed(model: Model, dataset: Dataset, *, flip: bool, device: torch.device) -> Codes | None:
    """The codes that `model` makes of `dataset`; None for one that takes images as they are.

    They are made anew when a run is resumed, which takes a fraction of an epoch, and are held in memory.
    """
    assert isinstance(model, Precomputes)
    trial = _images(dataset, np.zeros(1, np.int64), device, flip=False)
    if model.precompute(trial) is trial:
        return None
    return Codes(
        _coded(model, dataset, device, flip=False), _coded(model, dataset, device, flip=True) if flip else None
    )


def _coded(model: Precomputes, dataset: Dataset, device: torch.device, *, flip: bool) -> np.ndarray:
    """(N, ...) codes of the images, or of the images mirrored."""
    codes: np.ndarray | None = None
    with torch.inference_mode():
        for start in range(0, len(dataset), _ROWS):
            rows = np.minimum(np.arange(start, start + _ROWS), len(dataset) - 1)
            made = model.precompute(_images(dataset, rows, device, flip=flip)).cpu().numpy()
            if codes is None:
                codes = np.empty((len(dataset), *made.shape[1:]), made.dtype)
            codes[start : start + _ROWS] = made[: len(dataset) - start]
    assert codes is not None, "a data set has images"
    return codes


def _images(dataset: Dataset, rows: np.ndarray, device: torch.device, *, flip: bool) -> Tensor:
    image = to_batch(dataset.batch(rows), device).image
    return image.flip(3) if flip else image
