"""What bf16 does to quality: one GAN trained in both precisions, a few seeds each, judged by its samples and its game.

`python -m benchmarks.quality_bf16`. Where the processor has no bf16 units, bf16 is simulated in fp32: inputs, weights
and results of every product are rounded to bf16 and the sums are kept in fp32, which is what such units do. That shows
the same quality, and nothing of the speed. Seeds differ too, so their spread is given beside the difference.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

import limner
from limner.training import log
from limner.training.precision import Arithmetic

from .figures import Figure, Settings

DATA = "builtin:openmoji"
PRODUCTS = {F.conv2d, F.conv_transpose2d, F.linear, torch.conv2d, torch.conv_transpose2d}


def quality(settings: Settings) -> list[Figure]:
    """Train, sample and compare."""
    resolution, steps, width = settings.pick(32, 16), settings.pick(600, 2), settings.pick(32, 4)
    seeds = range(settings.pick(3, 2))
    kids: dict[str, list[float]] = {}
    games: dict[str, list[float]] = {}
    for precision in ("fp32", "bf16"):
        runs = [
            _run(settings.folder / f"{precision}-{seed}", precision, seed, steps, resolution, width) for seed in seeds
        ]
        kids[precision], games[precision] = map(list, zip(*runs, strict=True))
    how = "bf16 units" if has_units() else "bf16 simulated: this processor has no units for it"
    size = f"{resolution}×{resolution}×3"
    protocol = f"dcgan of width {width} on {DATA} at {size}, {steps} steps of 64, {len(seeds)} seeds; {how}"
    return [
        _compared("KID-Lite0 of samples, bf16 over fp32", kids, protocol),
        _compared("the discriminator's loss over the last quarter, bf16 over fp32", games, protocol),
    ]


def has_units() -> bool:
    """Whether convolutions in bf16 are done by the processor itself."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Simulated(TorchFunctionMode):
    """Products as bf16 units make them, in fp32. Gradients pass through the same roundings."""

    def __torch_function__(self, function: Callable, types: Any, args: Sequence = (), kwargs: Any = None) -> Any:
        if function not in PRODUCTS:
            return function(*args, **(kwargs or {}))
        rounded = [_rounded(part) if torch.is_tensor(part) else part for part in args]
        return _rounded(function(*rounded, **(kwargs or {})))


def _rounded(tensor: Tensor) -> Tensor:
    return tensor.bfloat16().float() if tensor.is_floating_point() else tensor


@contextmanager
def _precision(name: str) -> Iterator[str]:
    """The precision to train with; a simulated one replaces the context that the model runs in."""
    if name == "fp32" or has_units():
        yield name
        return
    with patch.object(Arithmetic, "autocast", lambda self, device: Simulated()):
        yield "fp32"


def _run(folder: Path, precision: str, seed: int, steps: int, resolution: int, width: int) -> tuple[float, float]:
    """KID of the samples of a new run, and the mean loss of its discriminator over the last quarter."""
    with _precision(precision) as how:
        model = limner.train(
            "dcgan",
            DATA,
            out=folder,
            config={"conditional": "none", "width": width},
            data_config={"resolution": resolution, "channels": 3},
            steps=steps,
            seed=seed,
            precision=how,
            channels_last=True,
            preview_every="0",
        )
    images = 1_000 if steps > 2 else 20
    kid = limner.evaluate(model, DATA, metrics=["kid"], n=images, split="train", floors=False).numbers[0].value
    lines = log.read(folder / "log.jsonl")
    late = [
        line["discriminator/loss"] for line in lines if line["step"] > 0.75 * steps and "discriminator/loss" in line
    ]
    return kid, statistics.mean(late)


def _compared(name: str, values: dict[str, list[float]], protocol: str) -> Figure:
    """The ratio of the means, with every seed's value in the note."""
    means = {precision: statistics.mean(each) for precision, each in values.items()}
    seeds = "; ".join(
        f"{precision}: {', '.join(f'{value:.3g}' for value in each)}" for precision, each in values.items()
    )
    return Figure(name, means["bf16"] / means["fp32"], "×", note=f"{seeds}; {protocol}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="limner-bf16-") as folder:
        for figure in quality(Settings(Path(folder), quick=given.quick)):
            print(f"{figure.name}: {figure.value:.3f} ({figure.note})")


if __name__ == "__main__":
    main()
