"""Images a second that reach the training loop as tensors: from Limner's cache, and by decoding JPEGs in a DataLoader.

Both end in float32 batches in [-1, 1] of the same pictures. The DataLoader decodes with Pillow and keeps its worker
processes alive, which is kind to it; the best of 0, 1 and 2 workers counts.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from limner.data import DataConfig, open_data
from limner.data.loader import Loader, to_batch

from . import pictures
from .figures import Figure, Goal, Settings, speedup
from .measure import Timing, alternate

SIDE, BATCH = 32, 128


def run(settings: Settings) -> list[Figure]:
    batches = settings.pick(39, 2)  # 4,992 images
    more = settings.pick(40, 4)  # times as many from the cache, which is that much faster
    paths = pictures.folder_of(pictures.colours(batches * BATCH, SIDE), settings.folder / "jpeg", suffix=".jpg")
    contenders = {
        "cache": _from_cache(settings, 0, batches * more),
        "cache, 2 workers": _from_cache(settings, 2, batches * more),
        **{f"JPEG, {workers} workers": _from_jpegs(paths, workers) for workers in (0, 1, 2)},
    }
    seconds = alternate(contenders, rounds=settings.pick(7, 2))
    timings = {
        name: Timing(name, taken, batches * BATCH * (more if name.startswith("cache") else 1))
        for name, taken in seconds.items()
    }
    jpegs = sorted((timing for name, timing in timings.items() if name.startswith("JPEG")), key=lambda t: -t.best)
    others = "; ".join(f"{timing.name} {timing.best:,.0f}" for timing in jpegs[1:])
    name = f"images reaching the loop at {SIDE}×{SIDE}×3, batch {BATCH}: cache against JPEGs"
    return [
        speedup(name, timings["cache"], jpegs[0], goal=Goal(20), note=f"best images/s of the others: {others}"),
        speedup(
            "the cache without worker processes against the cache with 2", timings["cache"], timings["cache, 2 workers"]
        ),
    ]


def _from_cache(settings: Settings, workers: int, batches: int) -> Callable[[], None]:
    dataset = open_data(settings.folder / "jpeg", DataConfig(), cache_dir=settings.folder / "cache")
    loader = iter(Loader(dataset, batch_size=BATCH, seed=0, workers=workers))

    def take() -> None:
        for raw in islice(loader, batches):
            to_batch(raw)

    return take


def _from_jpegs(paths: list[Path], workers: int) -> Callable[[], None]:
    loader = DataLoader(
        _Jpegs(paths), BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0
    )

    def take() -> None:
        for _ in loader:
            pass

    return take


class _Jpegs(Dataset):
    """Pictures decoded one by one, as an image folder does it."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as image:
            pixels = np.array(image.convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1).float().div_(127.5).sub_(1)  # (3, H, W)
