"""Which arithmetic and memory layout train a model fastest on the device at hand: measured, not guessed.

bf16 and channels_last win by a factor of two on some networks and lose on others (docs/log.md). bf16 is only taken
when the losses it gives agree with fp32's.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch

from ..model import Model, Step
from ..rng import StepRng
from ..types import Batch
from .settings import TrainConfig

_GAIN = 1.1  # a candidate must be this much faster than plain fp32 to be preferred
AGREE = 0.02  # largest relative difference of a bf16 loss from the fp32 loss on the same batch


@dataclass(frozen=True)
class Arithmetic:
    """How the network computes. Parameters, optimiser and averages stay float32 in either case."""

    bf16: bool = False
    channels_last: bool = False

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """The context in which the model runs."""
        if not self.bf16:
            return nullcontext()
        # no cache: it would hand weights cast under no_grad to a later pass that needs their gradient
        return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def choose(model: Model, batch: Batch, config: TrainConfig, device: torch.device) -> Arithmetic:
    """The fastest arithmetic for training `model` on batches like `batch`, within what `config` leaves open."""
    candidates = list(_candidates(config))
    if len(candidates) == 1:
        return candidates[0]
    trials = [(candidate, *_trial(model, batch, candidate, device)) for candidate in candidates]
    best, best_seconds, reference = trials[0]
    base_seconds = best_seconds
    for candidate, seconds, losses in trials[1:]:
        agrees = all(abs(a - b) <= AGREE * max(1.0, abs(b)) for a, b in zip(losses, reference, strict=True))
        if agrees and seconds * _GAIN < base_seconds and seconds < best_seconds:
            best, best_seconds = candidate, seconds
    return best


def _candidates(config: TrainConfig) -> Iterator[Arithmetic]:
    """Plain fp32 first where it is allowed: the others are judged against it."""
    precisions = {"auto": (False, True), "fp32": (False,), "bf16": (True,)}[config.precision]
    layouts = (False, True) if config.channels_last is None else (config.channels_last,)
    return (Arithmetic(bf16, channels_last) for bf16 in precisions for channels_last in layouts)


def _trial(model: Model, batch: Batch, arithmetic: Arithmetic, device: torch.device) -> tuple[float, list[float]]:
    """Seconds of one step's forward and backward passes on a copy of the model, and its losses."""
    trial = copy.deepcopy(model).to(memory_format=arithmetic.memory_format)  # type: ignore[call-overload]
    source = None if batch.source is None else batch.source.contiguous(memory_format=arithmetic.memory_format)
    batch = replace(batch, image=batch.image.contiguous(memory_format=arithmetic.memory_format), source=source)
    losses = passed(trial, batch, arithmetic, device)  # the first pass pays for set-up
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        passed(trial, batch, arithmetic, device)
        seconds.append(time.perf_counter() - start)
    return min(seconds), losses


def passed(model: Model, batch: Batch, arithmetic: Arithmetic, device: torch.device) -> list[float]:
    """The losses of one step in their order, their gradients worked out, nothing updated."""
    rows = len(batch)
    step = Step(0, 0, StepRng(0, 0, start=0, stop=rows, total=rows, device=device))
    torch.manual_seed(0)
    values: list[float] = []
    generator, phases = model.losses(batch, step), model.phases()
    while True:
        with arithmetic.autocast(device):
            loss = next(generator, None)
        if loss is None:
            return values
        if phases[loss.phase]:
            loss.value.backward(inputs=phases[loss.phase])
        values.append(float(loss.value.detach()))
