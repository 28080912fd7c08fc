"""Computes features of many images, keeps them and takes their moments: run by features.py as a process of its own.

    python -m benchmarks.features_memory WEIGHTS FOLDER COUNT

Prints {"model": MiB with the network ready, "peak": MiB at the most after that, "real": images the network saw}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from limner.engine import How
from limner.features.extractor import Features
from limner.features.inception import TILE, Inception
from limner.features.store import blocks, features_of
from limner.metrics.moments import Moments
from limner.rng import generator

from .memory_worker import MIB, peak

CHUNK, REAL = 256, 2 * TILE


class Mostly:
    """The network for the first images; for the rest rows of noise, which take as much memory and less time."""

    def __init__(self, network: Inception) -> None:
        self.network, self.seen = network, 0
        self.name, self.sha256, self.resize, self.precision = network.name, network.sha256, network.resize, "fp32"
        self.dimension, self.classes = network.dimension, network.classes

    def __call__(self, images: np.ndarray) -> Features:
        real = self.network(images[: max(0, REAL - self.seen)])
        self.seen += len(images)
        noise = generator(0, "bench rows", self.seen)
        rows = [noise.standard_normal((len(images) - len(real.pooled), width), np.float32) for width in self._widths()]
        assert real.logits is not None
        return Features(np.concatenate([real.pooled, rows[0]]), np.concatenate([real.logits, rows[1]]))

    def _widths(self) -> tuple[int, int]:
        return self.dimension, self.classes


def chunks(count: int) -> Iterator[np.ndarray]:
    """Pictures of 32×32, made as they are asked for."""
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        yield generator(0, "bench pictures", start).integers(0, 256, (size, 32, 32, 3)).astype(np.uint8)


def main(weights: str, folder: str, count: str) -> None:
    network = Inception(Path(weights), how=How("torch"))
    network(next(chunks(TILE)))  # compiled, its buffers in place
    Path("/proc/self/clear_refs").write_text("5")  # loading took more for a moment: forget that peak
    model = psutil.Process().memory_info().rss
    found = features_of(Mostly(network), chunks(int(count)), count=int(count), key="bench", home=Path(folder))
    moments = Moments(network.dimension).extend(blocks(found.pooled))
    assert np.isfinite(moments.covariance.trace())
    json.dump({"model": model / MIB, "peak": peak() / MIB, "real": REAL}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
