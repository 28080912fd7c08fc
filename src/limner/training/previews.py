"""Grids to look at while a model trains: the same noise and the same images every time, so that progress shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .. import durable
from ..data.dataset import Dataset
from ..data.loader import to_batch
from ..images.grid import grid, to_uint8
from ..images.metadata import encode_png
from ..model import Encodes, Model, Samples
from ..tasks.generate import generate
from ..tasks.reconstruct import reconstruct
from ..types import Condition

_COLUMNS, _ROWS = 8, 4


def preview(model: Model, dataset: Dataset, bank: Condition, *, seed: int) -> np.ndarray:
    """(H, W, C) uint8: samples, and for models that encode, a row of images above a row of their reconstructions."""
    rows = []
    if isinstance(model, Encodes):
        batch = to_batch(dataset.batch(np.arange(min(_COLUMNS, len(dataset)))))
        rows += [batch.image, reconstruct(model, batch.image, batch.condition)]
    if isinstance(model, Samples):
        rows.append(generate(model, range(_COLUMNS * _ROWS), seed=seed, bank=bank))
    height = dataset.spec.height
    return grid(to_uint8(torch.cat(rows).numpy()), columns=_COLUMNS, scale=max(1, 64 // height))


def write(picture: np.ndarray, folder: Path, step: int) -> Path:
    """Save a preview as <step>.png, whole or not at all; returns its path. Raises DiskError."""
    durable.make_folder(folder)
    path = folder / f"{step:08d}.png"
    durable.write_file(path, encode_png(picture))
    return path
