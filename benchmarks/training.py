"""Limner's side of a race: its real training loop, prepared as `limner.train` does and stopped between rounds.

The stops are made where the loop asks the model for its losses, which is once a step. So nothing of the loop is
replaced or left out: averages, checks for non-finite values, the log (with TensorBoard) and the meter all run. Only
checkpoints and previews are off, because they come by the clock and not by the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner import models
from limner.data import Dataset
from limner.data.dataset import Pixels, Tables
from limner.data.loader import Loader, to_batch
from limner.data.report import LoadReport
from limner.model import Loss, Model, Step
from limner.training import precision, settings
from limner.training.folder import RunFolder
from limner.training.loop import Trainer
from limner.training.precision import Arithmetic
from limner.training.settings import TrainConfig
from limner.types import Batch, DataSpec

from .measure import Timing, Turns

CPU = torch.device("cpu")
LOOKED_AT = 2_048  # images that a model may look at before it is trained


@dataclass(frozen=True)
class Job:
    """What to train.

    images      (N, H, W, C) uint8
    batch       None for the model's own
    precision   auto is what Limner does when it is not told: measure, and take what is faster
    """

    model: str
    images: np.ndarray
    batch: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "auto"


@dataclass(frozen=True)
class Prepared:
    """A job with everything settled that Limner settles before the first step."""

    job: Job
    model: Model
    config: TrainConfig
    arithmetic: Arithmetic

    @property
    def batch(self) -> int:
        assert self.config.batch is not None
        return self.config.batch

    @property
    def words(self) -> str:
        """The arithmetic, for a note."""
        return f"{'bf16' if self.arithmetic.bf16 else 'fp32'}{', channels_last' * self.arithmetic.channels_last}"


def prepare(job: Job) -> Prepared:
    """Build the model and choose its arithmetic."""
    torch.manual_seed(0)
    dataset = in_memory(job.images)
    model = models.build(job.model, models.configure(job.model, job.config), dataset.spec)
    model.prepare(to_batch(dataset.batch(np.arange(min(LOOKED_AT, len(dataset))))).image)
    asked = TrainConfig(
        steps=1, batch=job.batch, precision=job.precision, device="cpu", checkpoint_every="0", preview_every="0"
    )
    config = settings.resolve(asked, model.training_defaults())
    batch = to_batch(Loader(dataset, batch_size=config.batch, seed=0).batch(0))
    arithmetic = precision.choose(model, batch, config, CPU)
    return Prepared(job, model.to(memory_format=arithmetic.memory_format), config, arithmetic)


def race(
    prepared: Prepared, others: Mapping[str, Callable[[], object]], *, rounds: int, steps: int, folder: Path
) -> dict[str, Timing]:
    """Limner's loop and `others` in turns, `steps` training steps a round; `limner` and the others' names -> timing.

    Each of the others must do the work of `steps` steps when it is called.
    """
    turns = Turns(others)
    config = replace(prepared.config, steps=(1 + rounds) * steps + 1)  # the first round warms up; the last step ends it
    model = prepared.model
    model.losses = _stopping(model.losses, steps, turns.pause)  # type: ignore[method-assign]
    data = in_memory(prepared.job.images)
    Trainer(model, data, config, RunFolder(folder), arithmetic=prepared.arithmetic, device=CPU).run()
    host, guests = turns.seconds()
    work = steps * prepared.batch
    return {name: Timing(name, seconds, work) for name, seconds in {"limner": host, **guests}.items()}


def in_memory(images: np.ndarray) -> Dataset:
    """(N, H, W, C) uint8 as an opened data set."""
    count, height, width, channels = images.shape
    nothing = np.zeros((count, 0), np.float32)
    names = [str(row) for row in range(count)]
    return Dataset(
        Pixels(images, (count, height, width, channels)),
        Tables(names, np.full(count, -1), nothing, nothing.astype(bool), captions=[]),
        spec=DataSpec(channels, height, width),
        name="made for the bench",
        digest="",
        report=LoadReport("array"),
    )


def _stopping(
    losses: Callable[[Batch, Step], Iterator[Loss]], every: int, pause: Callable[[], None]
) -> Callable[[Batch, Step], Iterator[Loss]]:
    """`losses`, with a pause before every `every`-th step, the first one included."""

    def stopping(batch: Batch, step: Step) -> Iterator[Loss]:
        if step.index % every == 0:
            pause()
        return losses(batch, step)

    return stopping
