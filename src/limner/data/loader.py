"""The batches of a run as a function of (seed, step), and their way into tensors."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from ..errors import ConfigError, DataError
from ..rng import generator
from ..types import Batch, Condition
from .dataset import Dataset, RawBatch

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2): the signal to get when the parent dies
TIMEOUT = 120  # seconds that a worker process may take over one batch


class HasCodes(Protocol):
    """What a model made of each image of a data set before the run."""

    def gather(self, indices: np.ndarray, mirrored: np.ndarray | None) -> np.ndarray:
        """(B, ...) the codes of the images at `indices`, of those mirrored where `mirrored` (B,) says so."""


class Loader:
    """Endless batches, each a function of (seed, step) alone, so a run can go on from any step.

    The order is one shuffle of the data set per epoch, end to end; batch t holds places t B to (t + 1) B - 1 of it. So
    every image comes exactly once per epoch, a batch may reach into the next epoch, and where the data set is smaller
    than a batch the batch holds some images several times.

    workers   processes that gather the batches; the batches are the same for any number of them
    start     step that iteration begins with
    codes     what the model made of each image beforehand, which comes along
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        seed: int,
        flip: bool = False,
        workers: int = 0,
        start: int = 0,
        codes: HasCodes | None = None,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size} is not possible; use 1 or more")
        if len(dataset) == 0:
            raise DataError(f"{dataset.name!r} has no images to train on")
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.flip, self.workers, self.start, self.codes = flip, workers, start, codes
        self._orders: dict[int, np.ndarray] = {}
        self._batches: Iterator[RawBatch] | None = None

    def indices(self, step: int) -> np.ndarray:
        """(B,) int64: which images batch `step` holds."""
        size, first = len(self.dataset), step * self.batch_size
        parts, taken = [], 0
        while taken < self.batch_size:
            epoch, place = divmod(first + taken, size)
            parts.append(self._order(epoch)[place : place + self.batch_size - taken])
            taken += len(parts[-1])
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def batch(self, step: int) -> RawBatch:
        """Batch `step`: gathered, and mirrored where `flip` says so."""
        pick = None
        if self.dataset.captions:
            pick = generator(self.seed, "caption", step).random(self.batch_size)
        indices, mirrored = self.indices(step), None
        if self.dataset.pairing is not None:  # which mirrors an image and its source alike
            return self.dataset.batch(indices, pick, generator(self.seed, "pairs", step))
        batch = self.dataset.batch(indices, pick)
        if self.flip:
            mirrored = generator(self.seed, "flip", step).random(self.batch_size) < 0.5
            backwards = np.arange(batch.image.shape[2])[::-1]
            batch.image[mirrored] = batch.image[mirrored].take(backwards, axis=2)
        if self.codes is not None:
            batch.code = self.codes.gather(indices, mirrored)
        return batch

    def __iter__(self) -> Iterator[RawBatch]:
        self._batches = iter(_with_workers(self)) if self.workers else map(self.batch, count(self.start))
        while self._batches is not None:
            yield next(self._batches)

    def close(self) -> None:
        """End the iteration, and its processes if there are any."""
        self._batches = None

    def _order(self, epoch: int) -> np.ndarray:
        """(N,) the shuffle of one epoch; the last two are kept, for a batch that straddles them."""
        if epoch not in self._orders:
            self._orders = {key: kept for key, kept in self._orders.items() if key == epoch - 1}
            self._orders[epoch] = generator(self.seed, "order", epoch).permutation(len(self.dataset))
        return self._orders[epoch]


class _Steps(TorchDataset):
    """A loader whose item `step` is the whole batch of that step."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __getitem__(self, step: int) -> RawBatch:
        return self.loader.batch(step)


class _CountFrom(Sampler[int]):
    """start, start + 1, … without end."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return count(self.start)


def _with_workers(loader: Loader) -> DataLoader:
    plain = Loader(loader.dataset, batch_size=loader.batch_size, seed=loader.seed, flip=loader.flip, codes=loader.codes)
    return DataLoader(
        _Steps(plain),
        batch_size=None,
        sampler=_CountFrom(loader.start),
        num_workers=loader.workers,
        collate_fn=_unchanged,  # type: ignore[arg-type]  # without a batch_size it is given the item itself
        timeout=TIMEOUT,
        worker_init_fn=partial(_begin_worker, os.getpid()),
        generator=torch.Generator(),  # its own, so that starting processes draws nothing from the global one
    )


def _unchanged(batch: RawBatch) -> RawBatch:
    return batch


def _begin_worker(parent: int, _: int) -> None:
    """Leave signals to the parent, and end with it.

    torch's own watch starts after this, and takes whoever is the parent by then for the one to watch: a worker whose
    parent was killed in between would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent saves and then ends this
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def to_batch(
    raw: RawBatch, device: torch.device | str = "cpu", memory_format: torch.memory_format = torch.contiguous_format
) -> Batch:
    """A raw batch as the models see it: image (B, C, H, W) float32 in [-1, 1] on `device`, in `memory_format`."""
    return Batch(
        _scaled(raw.image, torch.device(device), memory_format),
        Condition(
            label=_tensor(raw.label, device),
            attributes=_tensor(raw.attributes, device),
            known=_tensor(raw.known, device),
            text=raw.text,
        ),
        source=None if raw.source is None else _scaled(raw.source, torch.device(device), memory_format),
        code=_tensor(raw.code, device),
    )


def _scaled(pixels: np.ndarray, device: torch.device, memory_format: torch.memory_format) -> torch.Tensor:
    """(B, H, W, C) uint8, or floats in the same units -> (B, C, H, W) float32 in [-1, 1]."""
    if device.type != "cpu":  # the bytes cross, not the floats
        stored = torch.from_numpy(pixels).to(device, non_blocking=True).permute(0, 3, 1, 2)
        return stored.to(torch.float32, memory_format=memory_format).div_(127.5).sub_(1)
    # NumPy's one thread: a team of torch's waits for its slowest member, 20 times as long on a busy machine
    planes = memory_format != torch.channels_last
    ordered = pixels.transpose(0, 3, 1, 2) if planes else pixels
    floats = np.divide(ordered, np.float32(127.5), out=np.empty(ordered.shape, np.float32), dtype=np.float32)
    floats -= 1
    image = torch.from_numpy(floats)
    return image if planes else image.permute(0, 3, 1, 2)


def _tensor(array: np.ndarray | None, device: torch.device | str) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array).to(device, non_blocking=True)
