"""How good samples are after a time: `python -m benchmarks.quality_samples PATH --model latent-flow --budget 5m`.

PATH is a data set as `limner train` takes it. Prints the Fréchet distance of samples to images of the test split in
features of Lite0 at 96 pixels, beside that of as many training images (the floor). Measured for peers at 5 minutes of
two cores, 5,000 against 5,000: pythae's VAE 306 on MNIST and 1,578 on CIFAR-10-J75, PyTorch's DCGAN 296 and 1,018;
floors 6.5 and 73.5.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import limner
import limner.config
from limner import durable
from limner.config import parse_value
from limner.data import DataConfig, Dataset
from limner.features.lite0 import Lite0
from limner.images.grid import grid
from limner.images.metadata import encode_png
from limner.metrics.frechet import frechet_distance
from limner.training.show import TerminalShow

from . import machine

SIDE = 96  # pixels that images are brought to for the features
ROWS = 250  # images at once
SHOWN = 100  # images on the sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--model", default="latent-flow")
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--resolution", type=int, default=None)
    parser.add_argument("--images", type=int, default=5_000, help="on each side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", default=None, help="judge this finished run instead of training one")
    parser.add_argument("--sheet", type=Path, default=None, help="write samples to this PNG")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="a setting of the model")
    parser.add_argument("--option", action="append", default=[], metavar="key=value", help="an option of sampling")
    given = parser.parse_args()
    watch, start = machine.Watch(), time.process_time()
    trained = limner.load(given.run) if given.run else train(given)
    others, seconds, about = watch.others(), time.process_time() - start, trained.about
    began = time.monotonic()
    made = samples(trained, given)
    took = time.monotonic() - began
    real, floor = (_some(_split(given, split).images, given.images) for split in ("test", "train"))
    extractor = Lite0(side=SIDE)
    judge = _features(extractor, real)
    distances = [frechet_distance(_features(extractor, images), judge) for images in (made, floor)]
    print(
        f"{trained.name}: FD-Lite0@{SIDE} {distances[0]:.1f}, of training images {distances[1]:.1f}; {len(made):,} each"
    )
    print(
        f"{trained.name}: {about['minutes']} minutes, {seconds:.0f} CPU seconds, {about['images_shown']:,} images shown"
    )
    print(f"{trained.name}: {len(made) / took:.1f} samples a second, {' '.join(given.option)}")
    print(
        f"{trained.name}: seed={given.seed} {' '.join(given.set)}; {torch.get_num_threads()} threads; "
        f"others took {others:.0f} % of the machine"
    )
    if given.sheet is not None:
        durable.write_file(given.sheet, encode_png(grid(made[:SHOWN], columns=10, scale=max(1, 64 // made.shape[1]))))


def train(given: argparse.Namespace) -> limner.Trained:
    """The model, trained for its budget."""
    settings = limner.config.parse_assignments(given.set, {"model": _config(given.model)})["model"]
    return limner.train(
        given.model,
        given.path,
        out=tempfile.mkdtemp(prefix="limner-samples-") + "/run",
        config=settings,
        data_config=_reading(given),
        budget=given.budget,
        seed=given.seed,
        preview_every="0",
        checkpoint_every="5m",
        tensorboard=False,
        show=TerminalShow(),
    )


def samples(trained: limner.Trained, given: argparse.Namespace) -> np.ndarray:
    """(N, H, W, C) uint8, their classes drawn as those of the training images."""
    options = {key: parse_value(value) for key, value in (item.split("=", 1) for item in given.option)}
    return trained.sample(given.images, seed=given.seed, **options).images


def _config(model: str) -> type:
    from limner import models

    return models.entry(model).load().Config


def _features(extractor: Lite0, images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D)."""
    return np.concatenate([extractor(images[start : start + ROWS]).pooled for start in range(0, len(images), ROWS)])


def _some(images: np.ndarray, count: int) -> np.ndarray:
    """As many of them, at random: class folders come one class after the other."""
    return images[np.sort(np.random.default_rng(0).permutation(len(images))[:count])]


def _split(given: argparse.Namespace, split: str) -> Dataset:
    return limner.open_data(given.path, _reading(given), split=split)


def _reading(given: argparse.Namespace) -> DataConfig:
    return DataConfig(resolution=given.resolution) if given.resolution else DataConfig()


if __name__ == "__main__":
    main()
