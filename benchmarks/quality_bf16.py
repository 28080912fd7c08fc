"""What bf16 does to quality: one GAN trained in both precisions, a few seeds each, judged by its samples and its game.

The distance is Fréchet's, between Gaussians fitted to images shrunk to 8×8: coarse, but with no network of its own that
would need a download. It tells damage from noise only as far as the seeds differ, so their spread is given beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import limner
from limner.training import log

from .figures import Figure, Settings

DATA = "builtin:openmoji"
SIDE = 8  # of the shrunken images


def quality(settings: Settings) -> list[Figure]:
    """Train, sample and compare."""
    resolution, steps = settings.pick(64, 16), settings.pick(400, 2)
    reading = {"resolution": resolution, "channels": 3}
    real = limner.open_data(DATA, limner.DataConfig(**reading)).images
    seeds = range(settings.pick(3, 2))
    distances, games = {}, {}
    for precision in ("fp32", "bf16"):
        runs = [_trained(settings.folder / f"{precision}-{seed}", precision, seed, steps, reading) for seed in seeds]
        distances[precision] = [distance(samples, real) for samples, _ in runs]
        games[precision] = [game for _, game in runs]
    floor = distance(real[::2], real[1::2])
    protocol = f"dcgan on {DATA} at {resolution}×{resolution}×3, {steps} steps of 64, {len(seeds)} seeds"
    return [
        _compared(
            "distance of samples from the data, bf16 over fp32",
            distances,
            f"{protocol}; halves of the data {floor:.3g}",
        ),
        _compared("the discriminator's loss over the last quarter, bf16 over fp32", games, protocol),
    ]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance between the Gaussians of two sets of images (N, H, W, C) uint8, shrunk, in units of [0, 1]."""
    (mean_a, cov_a), (mean_b, cov_b) = _gaussian(a), _gaussian(b)
    values, vectors = np.linalg.eigh(cov_a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _gaussian(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count, height, width, channels = images.shape
    blocks = images.reshape(count, SIDE, height // SIDE, SIDE, width // SIDE, channels)
    shrunk = blocks.mean(axis=(2, 4)).reshape(count, -1) / 255  # (N, SIDE SIDE C)
    return shrunk.mean(0), np.cov(shrunk, rowvar=False)


def _trained(folder: Path, precision: str, seed: int, steps: int, reading: dict) -> tuple[np.ndarray, float]:
    """Samples of a new run, and the mean loss of its discriminator over the last quarter."""
    model = limner.train(
        "dcgan",
        DATA,
        out=folder,
        config={"conditional": "none"},
        data_config=reading,
        steps=steps,
        seed=seed,
        precision=precision,
        channels_last=True,
        preview_every="0",
    )
    lines = log.read(folder / "log.jsonl")
    late = [
        line["discriminator/loss"] for line in lines if line["step"] > 0.75 * steps and "discriminator/loss" in line
    ]
    return model.sample(2_000 if steps > 2 else 64, seed=0).images, statistics.mean(late)


def _compared(name: str, values: dict[str, Sequence[float]], protocol: str) -> Figure:
    """The ratio of the means, with every seed's value in the note."""
    means = {precision: statistics.mean(each) for precision, each in values.items()}
    seeds = "; ".join(
        f"{precision}: {', '.join(f'{value:.3g}' for value in each)}" for precision, each in values.items()
    )
    return Figure(name, means["bf16"] / means["fp32"], "×", note=f"{seeds}; {protocol}")
