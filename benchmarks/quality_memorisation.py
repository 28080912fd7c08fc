"""Whether copying is noticed, and only copying: `python -m benchmarks.quality_memorisation [DATA] [--features lite0]`.

Trains models that know a few images by heart and models that learned from thousands, with the same networks, and judges
each by 1,000 samples. Prints one line a model and, in the end, how many of each group were accused (`copies` or
`suspicious`); exit code 1 unless all of the over-fitted were and at most one healthy model in twenty. That a model is
over-fitted shows in how well it rebuilds its training images and others, and in the area under the curve (AUC) of an
attack that tells the two apart by it: at least 0.9 is asked of the over-fitted, at most 0.6 of the healthy.
DATA is a built-in set or a folder with 7,000 images or more in its training split, such as MNIST's IDX files.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import limner
from limner.features import load
from limner.metrics.data_copying import data_copying
from limner.metrics.membership import membership
from limner.metrics.memorisation import authenticity, close_copies, nearness
from limner.metrics.neighbours import small_pixels
from limner.metrics.verdict import Verdict, combined, judge
from limner.rng import generator

HELD_OUT = 1_000
HEALTHY = 3_000  # training images
SAMPLES = 1_000
ACCUSED = ("copies", "suspicious")

Rows = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Plan:
    """One kind of model, trained once for each seed on images of its own."""

    model: str
    images: int
    steps: int
    config: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)


MLP = {"network": "mlp", "width": 256}
OVERFITTED = (
    Plan("ae", 10, 600, MLP | {"latent": 32}),
    Plan("ae", 50, 1_000, MLP | {"latent": 32}),
    Plan("ae", 100, 1_500, MLP | {"latent": 32}),
    Plan("vae", 50, 1_500, MLP | {"latent": 16, "likelihood": "gaussian", "beta": 0.01}, {"density": "mixture"}),
)
SOUND = (
    Plan("ae", HEALTHY, 400, MLP | {"latent": 16}),
    Plan("vae", HEALTHY, 400, MLP | {"latent": 16, "likelihood": "gaussian"}),
    Plan("vae", HEALTHY, 400, MLP | {"latent": 16, "likelihood": "bernoulli"}),
    Plan("gan", HEALTHY, 150, {"width": 8}),
)
GROUPS = {"over-fitted": OVERFITTED, "healthy": SOUND}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="builtin:shapes?n=8000")
    parser.add_argument("--seeds", type=int, default=5, help="models of each of four kinds in either group")
    parser.add_argument("--resolution", default="16")
    parser.add_argument("--features", default=None, help="judge in these features too, for example lite0")
    given = parser.parse_args()
    spaces: dict[str, Rows] = {"pixels": small_pixels}
    if given.features:
        extractor = load(given.features)
        spaces[extractor.name] = lambda images: np.asarray(extractor(images).pooled)
    images = _shuffled(given.data, given.resolution)
    bench = Bench(images, spaces, {space: rows(images) for space, rows in spaces.items()})
    accused: Counter[str] = Counter()
    for group, plans in GROUPS.items():
        for plan, seed in product(plans, range(given.seeds)):
            accused[group] += bench.judged(group, plan, seed).word in ACCUSED
    each = 4 * given.seeds
    for group in GROUPS:
        print(f"{accused[group]} of {each} {group} models accused")
    return int(accused["over-fitted"] < each or accused["healthy"] > each / 20)


def _shuffled(data: str, resolution: str) -> np.ndarray:
    """All images of a data set's training split, or of a built-in set; the order is keyed."""
    split = None if data.startswith("builtin:") else "train"
    opened = limner.open_data(data, limner.DataConfig(resolution=resolution), split=split)
    order = generator(0, "quality memorisation").permutation(len(opened))
    return np.asarray(opened.images)[order[: HELD_OUT + 2 * HEALTHY]]


@dataclass(frozen=True)
class Bench:
    """Images, the first 1,000 of them held out, and the same as rows in each space."""

    images: np.ndarray
    spaces: dict[str, Rows]
    rows: dict[str, np.ndarray]

    def judged(self, group: str, plan: Plan, seed: int) -> Verdict:
        """Train one model, judge its samples in each space, and print what was found."""
        places = HELD_OUT + (np.arange(plan.images) + seed * plan.images) % (len(self.images) - HELD_OUT)
        started = time.monotonic()
        trained = _train(plan, self.images[places], seed)
        made = trained.sample(SAMPLES, seed=seed, **plan.options).images
        print(f"{group:11} {plan.model:3} {plan.images:5,} images, seed {seed}{self._rebuilt(trained, places)}")
        verdicts = {space: self._judged(space, made, places, seed) for space in self.spaces}
        word = combined(verdicts, held_out=True).word
        print(f"{'':11} {word}, {time.monotonic() - started:.0f} s", flush=True)
        return combined(verdicts, held_out=True)

    def _judged(self, space: str, made: np.ndarray, places: np.ndarray, seed: int) -> Verdict:
        sides = self.spaces[space](made), self.rows[space][places], self.rows[space][:HELD_OUT]
        near = nearness(*sides, seed=seed)
        verdict, alone = judge(near), judge(nearness(*sides[:2], seed=seed))
        share, close = verdict.share, close_copies(near)
        print(
            f"{'':11} {space}: {verdict.word} ({alone.word} without held-out images); "
            f"copied share {share.value:.3f} [{share.low:.3f}, {share.high:.3f}], close copies {close.value:.3f}, "
            f"C_T {data_copying(*sides, seed=seed).value:.1f}, AuthPct {100 * authenticity(near).value:.0f}"
        )
        return verdict

    def _rebuilt(self, trained: limner.Trained, places: np.ndarray) -> str:
        """How well training images and others are rebuilt, and how well the two are told apart by it."""
        if not hasattr(trained.network, "encode"):
            return ""
        ours, others = (_errors(trained, self.images[rows]) for rows in (places[:200], np.arange(200)))
        levels = [10 * np.log10(255**2 / error.mean()) for error in (ours, others)]
        told = membership(-ours, -others).auc
        return f": rebuilt at {levels[0]:.1f} dB, others at {levels[1]:.1f} dB, AUC {told:.2f}"


def _train(plan: Plan, images: np.ndarray, seed: int) -> limner.Trained:
    with tempfile.TemporaryDirectory(prefix="limner-memorisation-") as folder:
        path = Path(folder) / "images.npz"
        np.savez(path, images=images)
        return limner.train(
            plan.model,
            path,
            out=Path(folder) / "run",
            config=plan.config,
            steps=plan.steps,
            batch=min(64, max(32, plan.images)),
            seed=seed,
            preview_every="0",
            checkpoint_every="0",
            tensorboard=False,
        )


def _errors(trained: limner.Trained, images: np.ndarray) -> np.ndarray:
    rebuilt = trained.reconstruct(images).images
    return np.square(rebuilt.astype(float) - images).mean(axis=(1, 2, 3)) + 1 / 12  # of rounding to whole levels


if __name__ == "__main__":
    sys.exit(main())
