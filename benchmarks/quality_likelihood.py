"""Likelihood of a VAE on dynamically binarised MNIST: `python -m benchmarks.quality_likelihood PATH --budget 10m`.

PATH is a folder with MNIST's IDX files. Prints nats per test image: the bound with one and with 5,000 importance
samples (Burda et al. 2015, arXiv 1509.00519), over all 10,000 test images unless told otherwise. Published with 5,000
samples: one-layer VAE 86.76 (the same paper), pythae's VAE 89.78 (with 200).
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
import torch

import limner
from limner.config import parse_value
from limner.data.loader import to_batch
from limner.rng import ImageRng
from limner.training.show import TerminalShow

_ROWS = 50  # images scored at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--model", default="binary-vae")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=None)
    parser.add_argument("--run", default=None, help="score this finished run instead of training one")
    parser.add_argument("--set", action="append", default=[], metavar="key=value")
    given = parser.parse_args()
    trained = limner.load(given.run) if given.run else train(given)
    test = limner.open_data(given.path, split="test")
    for samples in (1, given.samples):
        nats = bound(trained, test, images=given.images, samples=samples)
        error = nats.std() / len(nats) ** 0.5
        print(f"{samples:>5} samples: {nats.mean():.3f} nats (standard error {error:.3f}) over {len(nats)} test images")
    about = trained.about
    print(f"{trained.name}, {about['minutes']} minutes, {about['images_shown']:,} images shown, {about['weights']}")


def train(given: argparse.Namespace) -> limner.Trained:
    """The model, trained for the budget."""
    settings = {key: parse_value(value) for key, value in (item.split("=", 1) for item in given.set)}
    return limner.train(
        given.model,
        given.path,
        out=given.out or tempfile.mkdtemp(prefix="limner-likelihood-") + "/run",
        config=settings,
        budget=given.budget,
        seed=given.seed,
        preview_every="0",
        checkpoint_every="5m",
        show=TerminalShow(),
    )


def bound(trained: limner.Trained, test: limner.Dataset, *, images: int, samples: int) -> np.ndarray:
    """(N,) negative log-likelihood bounds in nats; image k draws its noise, binarisation included, from key k."""
    parts = []
    for start in range(0, min(images, len(test)), _ROWS):
        rows = np.arange(start, min(start + _ROWS, images, len(test)))
        batch = to_batch(test.batch(rows))
        with torch.inference_mode():
            parts.append(
                -trained.network.log_likelihood(
                    batch.image, batch.condition, ImageRng(1, rows, purpose="likelihood"), samples
                )
            )
    return torch.cat(parts).numpy()


if __name__ == "__main__":
    main()
