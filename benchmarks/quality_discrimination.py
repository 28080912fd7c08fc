"""Whether metrics get worse as images do: `python -m benchmarks.quality_discrimination DATA --n 2000`.

N images of one split are held against N of another, first as they are and then ever more spoilt, in five ways. A
metric discriminates when it gets worse with every step; which steps each should see is in WATCHES. The sliced
Wasserstein distance and MS-SSIM are of pixels, NDB is of both, and everything else of features (--features).

noise      Gaussian, of that standard deviation in gray levels
blur       Gaussian, of that standard deviation in pixels
JPEG       at that quality
dropping   that share of the classes is missing, and the others fill up
truncation only that share of the images is drawn from, those nearest to the mean image of their class
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageFilter
from rich.console import Console
from rich.table import Table

import limner
from limner.evaluation.material import ImageSet, extract
from limner.features import load
from limner.features.extractor import Extractor, Features
from limner.metrics.classifier_score import classifier_score
from limner.metrics.diversity import feature_spread, ms_ssim_diversity
from limner.metrics.frechet import frechet_distance
from limner.metrics.kernel import kernel_distance
from limner.metrics.mind import mind
from limner.metrics.ndb import compare_counts
from limner.metrics.neighbours import clusters, nearest, small_pixels
from limner.metrics.precision_recall import density_coverage, precision_recall
from limner.metrics.sliced_wasserstein import sliced_wasserstein
from limner.metrics.ssim import WINDOW
from limner.rng import generator

STRENGTHS: dict[str, tuple[float, ...]] = {
    "noise": (10, 25, 60),
    "blur": (0.7, 1.2, 2.0),
    "JPEG": (50, 20, 5),
    "dropping": (0.2, 0.5, 0.8),
    "truncation": (0.6, 0.4, 0.2),
}
FIDELITY, VARIETY = frozenset({"noise", "blur", "JPEG"}), frozenset({"dropping", "truncation"})
# what each metric should see. A distance of distributions should see everything
WATCHES = {
    "precision": FIDELITY,
    "density": FIDELITY,
    "recall": VARIETY,
    "spread": VARIETY,
    "MS-SSIM": VARIETY,
}
HIGHER_IS_BETTER = {"classifier score", "precision", "recall", "density", "coverage", "spread"}
SLICED_IMAGES = 1_000  # of each side: it takes longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--n", type=int, default=2_000)
    parser.add_argument("--features", default="lite0")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.process_time()
    real, pool = (_split(given, split) for split in ("train", "test"))
    extractor = load(given.features)
    measure = Measurer(extractor, _take(real, given), given.seed)
    values = {way: list(_measured(measure, steps)) for way, steps in _ways(pool, given, extractor)}
    show(Console(width=150), values)
    print(
        f"{given.n:,} images a side, {extractor.name}, seed {given.seed}, {time.process_time() - started:.0f} s of CPU"
    )


@dataclass(frozen=True)
class Step:
    """One strength of one way of spoiling images: the images and their features."""

    images: np.ndarray
    seen: Features


class Measurer:
    """Every metric of spoilt images against the same real ones; what only the real side needs is done once."""

    def __init__(self, extractor: Extractor, real: ImageSet, seed: int) -> None:
        self._images, self._seed = np.asarray(real.images), seed
        self._features = extract(extractor, real).pooled
        bins = min(100, len(real) // 10)
        self._spaces = {"pixels": small_pixels(self._images), extractor.name: self._features}
        self._centres = {name: clusters(rows, bins, seed=seed) for name, rows in self._spaces.items()}

    def __call__(self, step: Step) -> dict[str, float]:
        rows, real = step.seen.pooled, self._features
        found = {"FD": frechet_distance(rows, real), "KID": kernel_distance(rows, real, seed=self._seed).value}
        found["MIND"] = mind(rows, real, seed=self._seed).distance.value
        found |= self._neighbours(rows)
        if step.seen.logits is not None:
            found["classifier score"] = classifier_score(step.seen.logits, seed=self._seed).value
        found["SWD"] = self._sliced(step.images)
        for name, points in zip(self._spaces, (small_pixels(step.images), rows), strict=True):
            bins = compare_counts(self._counts(points, name), self._counts(self._spaces[name], name))
            found |= {f"NDB/K {name}": bins.share.value, f"JSD {name}": bins.divergence.value}
        found["spread"] = feature_spread(rows, real, seed=self._seed).ratio.value
        if min(step.images.shape[1:3]) >= WINDOW:
            found["MS-SSIM"] = ms_ssim_diversity(step.images, seed=self._seed).mean.value
        return found

    def _neighbours(self, features: np.ndarray) -> dict[str, float]:
        one, other = (of(features, self._features) for of in (precision_recall, density_coverage))
        parts = {"precision": one.precision, "recall": one.recall, "density": other.density, "coverage": other.coverage}
        return {name: part.value for name, part in parts.items()}

    def _sliced(self, images: np.ndarray) -> float:
        return sliced_wasserstein(images[:SLICED_IMAGES], self._images[:SLICED_IMAGES], seed=self._seed).average.value

    def _counts(self, rows: np.ndarray, space: str) -> np.ndarray:
        centres = self._centres[space]
        return np.bincount(nearest(rows, centres).indices[:, 0], minlength=len(centres))


def _measured(measure: Measurer, steps: Iterator[Step]) -> Iterator[dict[str, float]]:
    for step in steps:
        yield measure(step)


# --- images -----------------------------------------------------------------------------------------------------------


def _split(given: argparse.Namespace, split: str) -> ImageSet:
    data = limner.open_data(given.data, limner.DataConfig(), split=split)
    if len(data) < given.n:
        raise SystemExit(f"{given.data} has {len(data):,} images of {split}; ask for at most so many with --n")
    return ImageSet(split, data.images, data.digest, data.labels if data.spec.classes else None)


def _take(images: ImageSet, given: argparse.Namespace) -> ImageSet:
    rows = generator(given.seed, f"discrimination {images.name}").permutation(len(images))[: given.n]
    return images.take(np.sort(rows))


def _ways(pool: ImageSet, given: argparse.Namespace, extractor: Extractor) -> Iterator[tuple[str, Iterator[Step]]]:
    """Each way of spoiling with its steps, from images as they are to the worst."""
    order = generator(given.seed, "discrimination test").permutation(len(pool))
    known = _Known(pool, extractor)
    clean = known.step(order[: given.n])
    for way, spoil in (("noise", noisy), ("blur", blurred), ("JPEG", compressed)):
        yield way, _spoilt(clean, spoil, STRENGTHS[way], extractor)
    if pool.labels is not None:
        rows = (dropped(pool.labels, order, share)[: given.n] for share in (0, *STRENGTHS["dropping"]))
        yield "dropping", map(known.step, rows)
    nearness = _nearness(pool)
    rows = (truncated(nearness, order, share)[: given.n] for share in (1, *STRENGTHS["truncation"]))
    yield "truncation", map(known.step, rows)


class _Known:
    """Images of a pool with their features, each computed once however often it is drawn."""

    def __init__(self, pool: ImageSet, extractor: Extractor) -> None:
        self._pool, self._extractor = pool, extractor
        self._pooled = np.full((len(pool), extractor.dimension), np.nan, np.float32)
        self._logits = np.zeros((len(pool), extractor.classes), np.float32)

    def step(self, rows: np.ndarray) -> Step:
        missing = rows[np.isnan(self._pooled[rows, 0])]
        if len(missing):
            seen = extract(self._extractor, self._pool.take(missing))
            self._pooled[missing] = seen.pooled
            if seen.logits is not None:
                self._logits[missing] = seen.logits
        logits = self._logits[rows] if self._extractor.classes else None
        return Step(self._pool.take(rows).images, Features(self._pooled[rows], logits))


def _spoilt(
    clean: Step, spoil: Callable[[np.ndarray, float], np.ndarray], strengths: Sequence[float], extractor: Extractor
) -> Iterator[Step]:
    yield clean
    for strength in strengths:
        images = spoil(clean.images, strength)
        yield Step(images, extract(extractor, ImageSet("spoilt", images, "")))


def noisy(images: np.ndarray, deviation: float) -> np.ndarray:
    noise = generator(0, "discrimination noise").standard_normal(images.shape, dtype=np.float32)
    return np.clip(np.rint(images + deviation * noise), 0, 255).astype(np.uint8)


def blurred(images: np.ndarray, deviation: float) -> np.ndarray:
    return _each(images, lambda image: image.filter(ImageFilter.GaussianBlur(deviation)))


def compressed(images: np.ndarray, quality: float) -> np.ndarray:
    def through_jpeg(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(quality))
        return Image.open(file)

    return _each(images, through_jpeg)


def _each(images: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    gray = images.shape[3] == 1
    pictures = (Image.fromarray(image[..., 0] if gray else image) for image in images)
    return np.stack([np.asarray(change(picture)) for picture in pictures]).reshape(images.shape)


def dropped(labels: np.ndarray, order: np.ndarray, share: float) -> np.ndarray:
    """Rows in a random `order`, taken by turns from the classes that are kept."""
    classes = np.unique(labels[labels >= 0])
    kept = classes[: len(classes) - round(share * len(classes))]
    turns = [order[labels[order] == label] for label in kept]
    place = np.concatenate([np.arange(len(turn)) for turn in turns])
    return np.concatenate(turns)[np.argsort(place, kind="stable")]


def truncated(nearness: np.ndarray, order: np.ndarray, share: float) -> np.ndarray:
    """Rows in a random `order`, of those only whose `nearness` is among the best `share`."""
    return order[nearness[order] < share]


def _nearness(pool: ImageSet) -> np.ndarray:
    """(N,) from 0 for the image nearest to the mean of its class, in pixels, to 1 for the one farthest from it."""
    pixels = small_pixels(np.asarray(pool.images))
    labels = np.zeros(len(pool), np.int64) if pool.labels is None else np.asarray(pool.labels)
    rank = np.empty(len(pool))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        apart = np.linalg.norm(pixels[rows] - pixels[rows].mean(axis=0), axis=1)
        rank[rows[np.argsort(apart, kind="stable")]] = np.arange(len(rows)) / len(rows)
    return rank


# --- the table --------------------------------------------------------------------------------------------------------


def show(console: Console, values: dict[str, list[dict[str, float]]]) -> None:
    """One row for each way and metric, and at the end those that should have seen what they did not."""
    table = Table("metric", "spoilt by", "better", "as it is", "slightly", "clearly", "badly", "worse at each step")
    missed = []
    for metric in next(iter(values.values()))[0]:
        higher = metric in HIGHER_IS_BETTER
        for way, steps in values.items():
            row = [step[metric] for step in steps]
            worse = falls_with_quality(row, higher=higher)
            asked = way in WATCHES.get(metric, FIDELITY | VARIETY)
            verdict = ("yes" if worse else "NO") if asked else f"({'yes' if worse else 'no'}: not asked of it)"
            if asked and not worse:
                missed.append(f"{metric} by {way}")
            strengths = " ".join(f"{strength:g}" for strength in STRENGTHS[way])
            table.add_row(metric, f"{way} {strengths}", "higher" if higher else "lower", *map(_number, row), verdict)
        table.add_section()
    console.print(table)
    console.print(f"not worse at each step: {', '.join(missed) or 'none'}")


def falls_with_quality(row: Sequence[float], *, higher: bool) -> bool:
    """Whether each value is worse than the one before it; one that is higher for better may also rest at 0."""
    if higher:
        return all(after < before or before == after == 0 for before, after in pairwise(row))
    return all(after > before for before, after in pairwise(row))


def _number(value: float) -> str:
    return f"{value:.4g}"


if __name__ == "__main__":
    main()
