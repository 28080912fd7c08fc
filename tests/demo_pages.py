"""Made-up but plausible reports and leaderboards, for tests that render them and for looking at them."""

from __future__ import annotations

import numpy as np

from limner.evaluation.page import (
    Curve,
    Entrant,
    Gallery,
    Leaderboard,
    Neighbours,
    Pair,
    Report,
    Series,
    Skipped,
    Table,
)
from limner.metrics.number import Interval, Number, Protocol
from limner.rng import generator

FLOORS = {"real against real": 0.0, "Gaussian of the pixels": 0.55, "mean image": 0.8, "noise": 1.0}
LITE0 = {
    "features": "lite0@128",
    "features_sha256": "5d5a3b0c" * 8,
    "resize": "antialiased bilinear",
    "precision": "fp32",
}


def pictures(count: int, *, side: int = 32, index: int = 0) -> np.ndarray:
    """(count, side, side, 3) uint8: soft discs on soft grounds."""
    rng = generator(0, "demo pictures", index)
    y, x = np.mgrid[0:side, 0:side] / side
    middle, size = rng.uniform(0.3, 0.7, (count, 2)), rng.uniform(0.15, 0.35, count)
    distance = np.hypot(x - middle[:, 0, None, None], y - middle[:, 1, None, None]) / size[:, None, None]
    inside = 1 / (1 + np.exp(12 * (distance - 1)))[..., None]
    ground, disc = rng.uniform(120, 250, (count, 1, 1, 3)), rng.uniform(0, 200, (count, 1, 1, 3))
    return (inside * disc + (1 - inside) * ground).astype(np.uint8)


def number(name: str, value: float, spread: float, better: str, *, index: int = 0, **extra) -> Number:
    """A number with an interval of ± spread, and a protocol."""
    features = LITE0 if "Lite0" in name else {}
    protocol = Protocol(
        metric=name.split("-")[0].lower(), generated=2000, real=2000, split="test", data_sha256="9f" * 32, seed=index,
        settings=extra.pop("settings", {}), **features,
    )  # fmt: skip
    interval = Interval(value - spread, value + spread, 0.95, "bootstrap over images, 1,000 resamples")
    return Number(name, value, better, protocol, interval, **extra)


SCALES = {  # name -> (real against real, noise, what a model scores, its spread, which end is better)
    "FD-Lite0": (1.9, 412.0, 13.7, 0.84, "lower"),
    "KID-Lite0": (0.0002, 0.31, 0.0121, 0.0016, "lower"),
    "precision-Lite0": (0.91, 0.0, 0.74, 0.021, "higher"),
    "coverage-Lite0": (0.968, 0.002, 0.612, 0.024, "higher"),
    "SWD": (3.1, 288.0, 21.4, 1.7, "lower"),
    "MS-SSIM diversity": (0.21, 0.02, 0.27, 0.012, "neither"),
}
NOTES = {
    "FD-Lite0": (
        "2,000 images against 2,000: about 0.6 of the value is bias, which FD∞ takes away.",
        "Compare it with other values of FD-Lite0 only; it is not FID.",
    ),
    "coverage-Lite0": ("Equal sets of this size would score 0.969 with k = 5.",),
}


def numbers(factor: float = 1.0, *, index: int = 0, **extra) -> list[Number]:
    return [
        number(
            name, value * (factor if better == "lower" else 2 - factor), spread, better, index=index,
            notes=NOTES.get(name, ()), settings={"k": 5} if "coverage" in name or "precision" in name else {},
            details={"bias": 0.61, "extrapolated": value * 0.95} if name == "FD-Lite0" else {}, **extra,
        )
        for name, (_, _, value, spread, better) in SCALES.items()
    ]  # fmt: skip


def floors() -> dict[str, list[Number]]:
    """Each floor between the two ends of every scale, the nearer ends by powers for distances."""

    def at(name: str, share: float) -> Number:
        real, noise, _, spread, better = SCALES[name]
        value = real * (noise / real) ** share if better == "lower" else real + share * (noise - real)
        return number(name, value, spread / 4, better)

    return {floor: [at(name, share) for name in SCALES] for floor, share in FLOORS.items()}


def by_distance(title: str, text: str, first: float, last: float) -> Gallery:
    """Eight pictures with distances from `first` to `last` below them."""
    captions = [f"{distance:.2f}" for distance in np.linspace(first, last, 8)]
    return Gallery(title, pictures(8, index=int(100 * first)), text, captions, 4)


def report() -> Report:
    """Every part of a report filled in."""
    rng = generator(0, "demo report")
    nearest = rng.gamma(6, 0.9, (6, 4))
    nearest.sort(axis=1)
    nearest[1] = [0.31, 2.9, 3.4, 3.8]
    pairs = [
        Pair(
            pictures(1, index=10 + k)[0], pictures(4, index=30 + k), [float(d) for d in nearest[k]],
            flag="near copy" if k == 1 else "", caption=f"sample {k * 17}",
        )
        for k in range(6)
    ]  # fmt: skip
    classes = ["circle", "square", "triangle", "star", "ring", "cross and everything else that has arms"]
    rows = [
        [name, int(rng.integers(180, 420)), *(round(float(rng.uniform(*ends)), 3) for ends in ((8, 40), (0.4, 0.9)))]
        for name in classes
    ]
    images = 2000 * np.arange(1, 13)
    fall = 14 + 180 * np.exp(-np.arange(12) / 2.2)
    return Report(
        title="gan-shapes-1 against shapes",
        subtitle="2,000 samples of seed 0 held against 2,000 images of the test split that the model has not seen.",
        verdict="No sign of copying: samples lie as far from the training images as unseen real images do, "
        "AuthPct 93.1 % (91.8 … 94.2).",
        facts={
            "model": "gan (r3gan), 1.4 M parameters", "trained for": "1.2 M images, 58 min", "data": "builtin:shapes",
            "judged images": "2,000", "real images": "2,000, split test", "features": "lite0@128 (EfficientNet-Lite0)",
            "model SHA-256": "c8b1f0ab" * 8, "measured": "in 41 s on 2 cores",
        },
        numbers=numbers(),
        floors=floors(),
        samples=Gallery("Samples of seed 0", pictures(24), "The first ones, not chosen."),
        best=by_distance("Nearest to real images", "Shortest distance to a real feature.", 1.2, 1.9),
        worst=by_distance("Farthest from real images", "Longest distance to a real feature.", 9.1, 7.2),
        neighbours=[Neighbours("In features of Lite0", pairs, "A sample, then its four nearest training images.")],
        curves=[
            Curve("FD-Lite0 during training", "images seen", "FD-Lite0", [
                Series("model", images.tolist(), fall.tolist(), (fall * 0.93).tolist(), (fall * 1.07).tolist()),
                Series("real against real", images.tolist(), [1.9] * 12),
            ], log_y=True),
            Curve("Distance to the nearest training image", "distance", "share of images below", [
                Series(name, np.linspace(0, 10, 60).tolist(), (1 / (1 + np.exp(m - np.linspace(0, 10, 60)))).tolist())
                for name, m in {"samples": 4.6, "held-out real images": 4.3, "training images": 4.1}.items()
            ], "Samples that copy would rise before the held-out images do."),
        ],
        tables=[Table(
            "By class", ["class", "images", "FD-Lite0", "coverage"], rows, "Against real images of the class.",
            ["neither", "neither", "lower", "higher"],
        )],
        galleries=[Gallery("Path through the latent space", pictures(9, index=3), columns=9)],
        notes=["Fewer than 2,048 images on a side: FD is biased upwards; rank by KID or FD∞ instead."],
        skipped=[
            Skipped("inception-score", "it needs Inception weights; give their path with --features inception=PATH"),
            Skipped("disentanglement", "the data has no known factors"),
        ],
        commands=[
            "limner train gan builtin:shapes --preset r3gan --budget 1h --seed 0",
            "limner evaluate runs/gan-shapes-1 builtin:shapes -n 2000 --seed 0",
        ],
    )  # fmt: skip


def leaderboard() -> Leaderboard:
    """Five entrants, two of them tied for the lead."""
    entrants = {"gan-r3gan": 0.8, "gan-dcgan": 0.84, "vae": 1.3, "crbm": 1.65, "photos from another generator": 1.2}
    return Leaderboard(
        title="shapes at five minutes each",
        subtitle="Four models trained for the same wall-clock time, and one folder, against 2,000 unseen images.",
        entrants=[
            Entrant(
                name,
                numbers(factor, index=k) if name != "crbm" else numbers(factor, index=k)[:4],
                "folder" if "photos" in name else "model",
                {} if "photos" in name else {"parameters": f"{1.4 - k / 4:.1f} M", "time": "5 min"},
                pictures(8, index=50 + k),
            )
            for k, (name, factor) in enumerate(entrants.items())
        ],
        facts={
            "data": "builtin:shapes, split test",
            "real images": "2,000",
            "features": "lite0@128",
            "budget": "5 min each",
        },
        floors=floors(),
        notes=["Every model saw the same training images; seeds 0 to 2 of each, the interval covers both."],
        skipped=[Skipped("inception-score", "it needs Inception weights")],
        commands=["limner leaderboard builtin:shapes --models gan,vae,crbm --budget 5m"],
    )
