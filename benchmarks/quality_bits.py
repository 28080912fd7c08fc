"""Bits a dimension of 8-bit images: `python -m benchmarks.quality_bits PATH --model realnvp --budget 10m`.

PATH is a data set with a test split, such as a folder with MNIST's IDX files, and MODEL any model that scores images.
Prints bits per channel and pixel over the test images, as `limner evaluate` defines them: probabilities of the stored
levels, or densities of dequantised ones turned into bounds of them (metrics/likelihood.py). Unconditional unless
`--set conditional=auto`. Published for 8-bit MNIST, uniformly dequantised: RealNVP 1.06, Glow 1.05, FFJORD 0.99.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import limner
from limner.config import parse_value
from limner.data.loader import to_batch
from limner.evaluation.measures.likelihood import Pixels, pixels_of
from limner.images.grid import grid
from limner.metrics.likelihood import as_probability, bits_per_dim, mean_nats
from limner.rng import ImageRng
from limner.training.show import TerminalShow

from . import machine

ROWS = 100  # images scored at once
PICTURES = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--model", default="realnvp")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--samples", type=int, nargs="+", default=[1], help="importance samples an image")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None)
    parser.add_argument("--run", default=None, help="score this finished run instead of training one")
    parser.add_argument("--pictures", default=None, help="write samples of the model to this PNG file")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="a setting of the model")
    given = parser.parse_args()
    watch, start = machine.Watch(), time.process_time()
    trained = limner.load(given.run) if given.run else train(given)
    others, seconds = watch.others(), time.process_time() - start
    pixels = pixels_of(trained.network)
    for samples in given.samples:
        print(f"{trained.name}: {measured(trained, given, pixels, samples)}", flush=True)
    about = trained.about
    print(f"{trained.name}: {pixels.words}; {sum(p.numel() for p in trained.network.parameters()):,} parameters,")
    print(f"{trained.name}: {about['minutes']} minutes, {about['images_shown']:,} images shown, {about['weights']},")
    print(f"{trained.name}: {seconds:.0f} CPU seconds; others took {others:.0f} % of the machine meanwhile")
    if given.pictures:
        Image.fromarray(grid(trained.sample(PICTURES).images, scale=2).squeeze()).save(Path(given.pictures))


def train(given: argparse.Namespace) -> limner.Trained:
    """The model, trained for the budget."""
    settings = {key: parse_value(value) for key, value in (item.split("=", 1) for item in given.set)}
    return limner.train(
        given.model,
        given.path,
        out=given.out or tempfile.mkdtemp(prefix="limner-bits-") + "/run",
        config={"conditional": "none", **settings},
        budget=given.budget,
        seed=given.seed,
        preview_every="0",
        checkpoint_every="5m",
        tensorboard=False,
        show=TerminalShow(),
    )


def measured(trained: limner.Trained, given: argparse.Namespace, pixels: Pixels, samples: int) -> str:
    """The mean over the test images, with its interval, in words."""
    dimensions = math.prod(trained.data.shape)
    nats = scores(trained, limner.open_data(given.path, split="test"), given.images, pixels, samples)
    if pixels.value_range is not None:
        nats = as_probability(nats, dimensions, value_range=pixels.value_range)
    mean, interval = mean_nats(bits_per_dim(nats, dimensions))
    within = f" ({interval.low:.4f} to {interval.high:.4f})" if interval else ""
    return f"{mean:.4f} bits/dim{within}, {nats.mean():.1f} nats, k={samples}, {len(nats):,} test images"


def scores(trained: limner.Trained, test: limner.Dataset, images: int, pixels: Pixels, samples: int) -> np.ndarray:
    """(N,) negative log-likelihoods as the model has them; image k draws its noise from key k."""
    parts = []
    count = min(images, len(test))
    for start in range(0, count, ROWS):
        rows = np.arange(start, min(start + ROWS, count))
        batch, rng = to_batch(test.batch(rows)), ImageRng(1, rows, purpose="likelihood")
        image = batch.image
        if pixels.noise:
            image = image + (rng.uniform(*image.shape[1:]) - 0.5) * (2 / 255)
        with torch.inference_mode():
            parts.append(-trained.network.log_likelihood(image, batch.condition, rng, samples))  # type: ignore[operator]
    return torch.cat(parts).double().numpy()


if __name__ == "__main__":
    main()
