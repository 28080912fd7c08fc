"""Limner's defaults on the DCGAN of PyTorch's examples, against that example's own loop; and what bf16 costs.

Both train networks of the same sizes on the same images in the same batch. Limner chooses its arithmetic, runs the
generator once a step for both players, and computes no gradients of the discriminator in the generator's step.
"""

from __future__ import annotations

import torch

from . import pictures
from .example_dcgan import ExampleLoop
from .figures import Figure, Goal, Settings, speedup
from .quality_bf16 import quality
from .training import Job, Prepared, prepare, race


def run(settings: Settings) -> list[Figure]:
    figures = [_speed(settings)]
    return figures + (quality(settings) if settings.quality else [])


def _speed(settings: Settings) -> Figure:
    side, batch = settings.pick(64, 16), settings.pick(64, 8)
    images = pictures.colours(settings.pick(4_096, 256), side)
    prepared, loop = prepare(Job("dcgan", images, batch)), ExampleLoop(_ready(images), batch=batch)
    _check_same(prepared, loop)
    steps = settings.pick(6, 1)

    def example() -> None:
        for _ in range(steps):
            loop.step()

    timings = race(prepared, {"example": example}, rounds=settings.pick(9, 2), steps=steps, folder=settings.folder)
    name = f"DCGAN, {side}×{side}×3, batch {batch}: Limner's defaults against the example's loop"
    note = f"Limner in {prepared.words}; the example in fp32, batches ready in memory"
    return speedup(name, timings["limner"], timings["example"], goal=Goal(1.8), note=note)


def _ready(images) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1)


def _check_same(prepared: Prepared, loop: ExampleLoop) -> None:
    """Both sides train as many parameters; else the race would be unfair."""
    for ours, theirs in (
        (prepared.model.generator, loop.generator),
        (prepared.model.discriminator, loop.discriminator),
    ):
        sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in (ours, theirs)]
        assert sizes[0] == sizes[1], f"the networks differ: {sizes[0]:,} and {sizes[1]:,} parameters"
