"""Grids to look at while a model trains: the same noise and the same images every time, so that progress shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from .. import durable
from ..data.dataset import Dataset
from ..data.loader import to_batch
from ..images.grid import grid, to_uint8
from ..images.metadata import encode_png
from ..model import Encodes, Model, Samples, Transforms
from ..tasks.apply import WHOLE, apply
from ..tasks.generate import generate
from ..tasks.reconstruct import reconstruct
from ..types import Condition

_COLUMNS, _ROWS = 8, 4


def preview(model: Model, dataset: Dataset, bank: Condition, *, seed: int) -> np.ndarray:
    """(H, W, C) uint8: samples; for models that encode, a row of images above a row of their reconstructions; for those
    that transform, a row of sources above what is made of them and, where it is known, what it should be.
    """
    if isinstance(model, Transforms):
        return _transformed(model, dataset)
    rows = []
    if isinstance(model, Encodes):
        batch = to_batch(dataset.batch(np.arange(min(_COLUMNS, len(dataset)))))
        rows += [batch.image, reconstruct(model, batch.image, batch.condition)]
    if isinstance(model, Samples):
        rows.append(generate(model, range(_COLUMNS * _ROWS), seed=seed, bank=bank))
    height = dataset.spec.height
    return grid(to_uint8(torch.cat(rows).numpy()), columns=_COLUMNS, scale=max(1, 64 // height))


def _transformed(model: Model, dataset: Dataset) -> np.ndarray:
    """Rows of sources, of what is made of them, and of the images where these belong to the sources."""
    batch = to_batch(dataset.batch(np.arange(min(_COLUMNS, len(dataset)))))
    source = batch.image if batch.source is None else batch.source
    made = torch.cat(
        [apply(model, source[k : k + 1], batch.condition.rows(k, k + 1), WHOLE) for k in range(len(source))]
    )
    size, channels = made.shape[2:], made.shape[1]
    colours = source[:, : source.shape[1] - len(model.data.maps)]
    shown = functional.interpolate(colours, size=size, mode="nearest")
    shown = shown if shown.shape[1] == channels else shown[:, :1].expand(-1, channels, -1, -1)
    rows = [shown, made]
    if dataset.pairing is None or dataset.pairing.aligned:
        rows.append(batch.image)
    return grid(to_uint8(torch.cat(rows).numpy()), columns=_COLUMNS, scale=max(1, 64 // size[0]))


def write(picture: np.ndarray, folder: Path, step: int) -> Path:
    """Save a preview as <step>.png, whole or not at all; returns its path. Raises DiskError."""
    durable.make_folder(folder)
    path = folder / f"{step:08d}.png"
    durable.write_file(path, encode_png(picture))
    return path
