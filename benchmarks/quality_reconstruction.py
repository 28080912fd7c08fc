"""What is left of images after a model has coded them: `python -m benchmarks.quality_reconstruction PATH --model fsq`.

PATH is a data set as `limner train` takes it. Prints, for images of the test split where there is one: decibels, the
Fréchet distance between images and their own reconstructions in features of Lite0 at 96 pixels, the time and the
settings, and for tokenizers how much of the vocabulary is used. Images and reconstructions are pairs, so a perfect
model has distance 0; two different sets of real images do not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import limner
from limner import durable
from limner.config import parse_value
from limner.data import DataConfig, Dataset
from limner.data.loader import to_batch
from limner.errors import DataError
from limner.features.lite0 import Lite0
from limner.images.grid import grid, to_uint8
from limner.images.metadata import encode_png
from limner.metrics.frechet import frechet_distance
from limner.model import Model, Tokenizes
from limner.nn.quantizer import perplexity, usage
from limner.tasks.reconstruct import reconstruct
from limner.training.show import TerminalShow
from limner.types import Condition

from . import machine

SIDE = 96  # pixels that images are brought to for the features
ROWS = 250  # images at once
SHOWN = 16  # images on the sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--model", default="latent-ae")
    parser.add_argument("--budget", default=None, help="time to train; 2m unless steps are given")
    parser.add_argument(
        "--steps", type=int, default=None, help="to train, where a busy machine makes time a poor measure"
    )
    parser.add_argument("--resolution", type=int, default=None)
    parser.add_argument("--images", type=int, default=5_000, help="that are reconstructed, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", default=None, help="judge this finished run instead of training one")
    parser.add_argument("--sheet", type=Path, default=None, help="write images above their reconstructions to this PNG")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="a setting of the model")
    given = parser.parse_args()
    watch, start = machine.Watch(), time.process_time()
    trained = limner.load(given.run) if given.run else train(given)
    others, seconds, about = watch.others(), time.process_time() - start, trained.about
    for line in judged(trained.network, _images(given), given.images, given.sheet):
        print(f"{trained.name}: {line}")
    print(f"{trained.name}: {about['minutes']} minutes, {seconds:.0f} CPU seconds, {about['steps']:,} steps,")
    print(
        f"{trained.name}: {about['images_shown']:,} images shown, {_size(trained.network)}, weights {about['weights']};"
    )
    settings = " ".join(
        [*(f"{key}={value}" for key, value in _length(given).items()), f"seed={given.seed}", *given.set]
    )
    print(f"{trained.name}: {settings}; {torch.get_num_threads()} threads; others took {others:.0f} % of the machine")


def train(given: argparse.Namespace) -> limner.Trained:
    """The model, trained for its budget."""
    return limner.train(
        given.model,
        given.path,
        out=tempfile.mkdtemp(prefix="limner-reconstruction-") + "/run",
        config={key: parse_value(value) for key, value in (item.split("=", 1) for item in given.set)},
        data_config=_reading(given),
        **_length(given),
        seed=given.seed,
        preview_every="0",
        checkpoint_every="5m",
        tensorboard=False,
        show=TerminalShow(),
    )


def judged(model: Model, dataset: Dataset, most: int, sheet: Path | None) -> Iterator[str]:
    """What the model keeps of the first `most` images, line by line."""
    image = to_batch(dataset.batch(np.arange(min(most, len(dataset))))).image
    made = reconstruct(model, image, Condition())
    error = (made - image).square().mean()
    before, after = (to_uint8(each.numpy()) for each in (image, made))
    extractor = Lite0(side=SIDE)
    distance = frechet_distance(_features(extractor, before), _features(extractor, after))
    yield f"{10 * torch.log10(4 / error):.2f} dB, FD-Lite0@{SIDE} {distance:.1f} of {len(image):,} reconstructions"
    if isinstance(model, Tokenizes):
        tokens = torch.cat([model.tokenize(part) for part in image.split(ROWS)])
        yield (
            f"{usage(tokens, model.vocabulary):.1%} of {model.vocabulary} tokens in use, "
            f"perplexity {perplexity(tokens, model.vocabulary):.0f}, {tokens[0].numel()} tokens an image"
        )
    if sheet is not None:
        shown = np.concatenate([before[:SHOWN], after[:SHOWN]])
        durable.write_file(sheet, encode_png(grid(shown, columns=SHOWN, scale=max(1, 96 // shown.shape[1]))))


def _features(extractor: Lite0, images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D)."""
    return np.concatenate([extractor(images[start : start + ROWS]).pooled for start in range(0, len(images), ROWS)])


def _images(given: argparse.Namespace) -> Dataset:
    """The test split, or all images where there is none."""
    try:
        return limner.open_data(given.path, _reading(given), split="test")
    except DataError:
        return limner.open_data(given.path, _reading(given))


def _reading(given: argparse.Namespace) -> DataConfig:
    return DataConfig(resolution=given.resolution) if given.resolution else DataConfig()


def _length(given: argparse.Namespace) -> dict[str, Any]:
    return {"steps": given.steps} if given.steps else {"budget": given.budget or "2m"}


def _size(model: Model) -> str:
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e3:,.0f} k parameters"


if __name__ == "__main__":
    main()
