"""How near a training step comes to this machine's rate of multiplying matrices, in the step's own arithmetic.

A step's operations are counted by torch's counter, which knows matrix products and convolutions; the products are of
square matrices of 1024 or 2048, whichever goes faster, and take turns with the steps. A convolution library may well
beat the matrix library at float32, so more than 100 % is possible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from limner.data.loader import Loader, to_batch
from limner.model import Step
from limner.rng import StepRng

from . import pictures
from .figures import Figure, Settings
from .measure import Ratio, Timing, clocked
from .training import CPU, Job, Prepared, in_memory, prepare, race

SIZES = (1024, 2048)
CYCLE = 4  # steps after which the catalogue's models repeat themselves: some have a penalty at every fourth
MODELS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("MLP VAE", "vae", {"network": "mlp", "likelihood": "bernoulli"}),
    ("convolutional VAE", "vae", {}),
    ("DCGAN", "dcgan", {}),
    ("GAN", "gan", {}),
)


def run(settings: Settings) -> list[Figure]:
    side = settings.pick(64, 16)
    grey = pictures.strokes(settings.pick(20_000, 1_000), 28)
    coloured = pictures.colours(settings.pick(2_000, 200), side)
    return [
        _share(settings, title, Job(model, grey if model == "vae" and config else coloured, _batch(settings), config))
        for title, model, config in MODELS
    ]


def _batch(settings: Settings) -> int | None:
    return 8 if settings.quick else None


def _share(settings: Settings, title: str, job: Job) -> Figure:
    prepared = prepare(job)
    per_image = operations(prepared) / prepared.batch
    dtype = torch.bfloat16 if prepared.arithmetic.bf16 else torch.float32
    size, multiply = _fastest_product(dtype)
    products = settings.pick(20, 1)

    def multiply_often() -> None:
        for _ in range(products):
            multiply()

    folder = settings.folder / title.replace(" ", "-")
    steps = settings.pick(2 * CYCLE, 1)
    timings = race(prepared, {"product": multiply_often}, rounds=settings.pick(7, 1), steps=steps, folder=folder)
    images = timings["limner"]
    ours = Timing("step", images.seconds, images.work * per_image / 1e9, "GFLOP")
    theirs = Timing(f"product of {size}²", timings["product"].seconds, products * 2 * size**3 / 1e9, "GFLOP")
    ratio = Ratio.of(ours, theirs)
    shape = "×".join(str(part) for part in job.images.shape[1:])
    return Figure(
        f"{title}, {shape}, batch {prepared.batch}: share of the matrix product's rate",
        100 * ratio.median,
        "%",
        spread=(100 * ratio.low, 100 * ratio.high),
        timings=(ours, theirs, images),
        note=f"{prepared.words}; {per_image / 1e6:,.4g} MFLOP an image",
    )


def operations(prepared: Prepared) -> float:
    """Floating-point operations of one training step, forward and backward: the mean over a cycle of steps."""
    model, phases = prepared.model, prepared.model.phases()
    loader = Loader(in_memory(prepared.job.images), batch_size=prepared.batch, seed=0)
    with _Counter() as counter:
        for index in range(CYCLE):
            rng = StepRng(0, index, start=0, stop=prepared.batch, total=prepared.batch, device=CPU)
            for loss in model.losses(to_batch(loader.batch(index)), Step(index, index * prepared.batch, rng)):
                loss.value.backward(inputs=phases[loss.phase])
    model.zero_grad(set_to_none=True)
    return counter.total / CYCLE


class _Counter(TorchDispatchMode):
    """Counts operations by torch's formulas; torch's own counter cannot pass the gradient of a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function.overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _fastest_product(dtype: torch.dtype) -> tuple[int, Callable[[], object]]:
    """The size of square matrices whose product reaches the highest rate, and that product."""
    rates: dict[int, float] = {}
    products = {size: _product(size, dtype) for size in SIZES}
    for size, multiply in products.items():
        multiply()
        rates[size] = size**3 / np.min([clocked(multiply) for _ in range(3)])
    best = max(rates, key=rates.__getitem__)
    return best, products[best]


def _product(size: int, dtype: torch.dtype) -> Callable[[], object]:
    a, b, out = (torch.ones(size, size, dtype=dtype) for _ in range(3))
    return lambda: torch.mm(a, b, out=out)
