"""How well pictures are translated: `python -m benchmarks.pictures_translation FOLDER --budget 5m --only stargan`.

Trains on built-in pictures, prints the Fréchet distance of features to real pictures of the wanted kind before (the
sources themselves) and after, and writes a sheet of each to FOLDER: sources, translations and, where there is one, the
truth below each other. Of pairs, the pictures are of the validation split, which chose nothing. Where the truth is
known though no pairs are seen (digits in two styles), it prints the mean absolute error to it and the share of digits
that are still read right; of changed colours, the share that are as asked, and how much of the outlines was kept.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import limner
import limner.tasks.translate
from limner import durable
from limner.data import DataConfig
from limner.data.builtin.shapes import COLOURS, GROUND
from limner.features.lite0 import Lite0
from limner.images.colour import with_channels
from limner.images.grid import labelled_rows
from limner.images.metadata import encode_png
from limner.metrics.frechet import frechet_distance
from limner.training.show import TerminalShow

from . import digit_styles

SIDE = 96  # pixels that pictures are brought to for the features
SHOWN = 8
GROUPS = ("animals", "food")
CHANGED = 64  # shapes that are given each colour
DRAWN = 40  # levels by which a pixel of a shape differs from the ground, at least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    durable.make_folder(given.folder)
    for name in given.only:
        print(f"{name}: {CASES[name](given.budget, given.folder / f'{name}.png')}", flush=True)


def paired(chain: str, budget: str, sheet: Path) -> str:
    """Sources made of OpenMoji by a chain of degradations, and back."""
    reading = {"channels": 3, "resolution": 64, "degrade": chain, "flip": True}
    trained = train("pix2pix", "builtin:openmoji", reading, budget)
    unseen = limner.open_data("builtin:openmoji", DataConfig(resolution=64, channels=3), split="val").images
    sources = limner.tasks.translate.as_trained(trained.network, unseen, seed=0)
    made = trained.translate(sources).images
    draw_sheet(sheet, {"source": sources, "translated": made, "true": unseen})
    return f"{distances(sources, made, unseen)}; {shown(trained)}"


def emoji(model: str, budget: str, sheet: Path) -> str:
    """One group of OpenMoji into another."""
    a, b = GROUPS
    both: dict[str, Any] = {"sources": "builtin:openmoji", "sources_only": a, "only": b, "paired": False}
    trained = train(model, "builtin:openmoji", {"channels": 3, "resolution": 64, "flip": True, **both}, budget)
    reading = DataConfig(resolution=64, channels=3)
    sources, wanted = (
        limner.open_data("builtin:openmoji", reading, split=None).of_class(group).images for group in (a, b)
    )
    made = trained.translate(sources).images
    draw_sheet(sheet, {"source": sources, "translated": made})
    return f"{a} to {b}, {distances(sources, made, wanted)}; {shown(trained)}"


def digits(model: str, budget: str, sheet: Path) -> str:
    """Plain digits into inked ones, learned from halves that share no digit."""
    styles = digit_styles.draw()
    ours, others = styles.rows(slice(0, None, 2)), styles.rows(slice(1, None, 2))
    with tempfile.TemporaryDirectory() as name:
        plain = digit_styles.write(Path(name, "plain"), ours.plain)
        inked = digit_styles.write(Path(name, "inked"), others.inked)
        reading = {"channels": 3, "resolution": digit_styles.SIDE, "sources": plain, "paired": False, "flip": False}
        trained = train(model, inked, reading, budget)
    made = trained.translate(ours.plain).images
    draw_sheet(sheet, {"source": ours.plain, "translated": made, "true": ours.inked})
    error = [np.abs(images.astype(float) - ours.inked).mean() for images in (ours.plain, made)]
    right = [(digit_styles.read(images, others) == ours.labels).mean() for images in (made, ours.inked)]
    return (
        f"{distances(ours.plain, made, others.inked)}; mean absolute error {error[0]:.0f} before, {error[1]:.1f} after "
        f"of 255; {right[0]:.1%} read right (of the truth {right[1]:.1%}); {shown(trained)}"
    )


def colours(budget: str, sheet: Path) -> str:
    """Shapes given each colour in turn."""
    reading = {"resolution": 32, "flip": False}
    trained = train("stargan", "builtin:shapes", reading, budget, {"changes": ("colour",)})
    unseen = limner.open_data("builtin:shapes", DataConfig(resolution=32), split="val")
    sources = np.asarray(unseen.images[:CHANGED])
    rows, right, kept = {"source": sources}, [], []
    for colour in COLOURS:
        made = rows[colour] = trained.translate(sources, attributes={"colour": colour}).images
        before, after = (np.abs(images - np.float64(GROUND)).max(3) > DRAWN for images in (sources, made))
        kept.append((before & after).sum((1, 2)) / (before | after).sum((1, 2)))
        right.append([_nearest(image[mask]) == colour for image, mask in zip(made, after, strict=True)])
    draw_sheet(sheet, rows)
    return (
        f"{np.mean(right):.1%} of {np.size(right)} shapes have the colour asked for (1 in 8 before), outlines overlap "
        f"by {np.mean(kept):.2f} (intersection over union); {shown(trained)}"
    )


def _nearest(pixels: np.ndarray) -> str:
    """The name of the colour nearest to the mean of pixels (N, 3); "" for none."""
    if not len(pixels):
        return ""
    return min(COLOURS, key=lambda name: float(np.square(pixels.mean(0) - COLOURS[name]).sum()))


CASES: Mapping[str, Callable[[str, Path], str]] = {
    "edges": partial(paired, "edges"),
    "gray": partial(paired, "gray"),
    "cyclegan-digits": partial(digits, "cyclegan"),
    "cyclegan-emoji": partial(emoji, "cyclegan"),
    "cut-digits": partial(digits, "cut"),
    "cut-emoji": partial(emoji, "cut"),
    "stargan": colours,
}


def train(
    model: str, data: str, reading: dict[str, Any], budget: str, config: Mapping[str, Any] | None = None
) -> limner.Trained:
    return limner.train(
        model,
        data,
        out=tempfile.mkdtemp(prefix="limner-translation-") + "/run",
        config=config,
        data_config=reading,
        budget=budget,
        preview_every="0",
        checkpoint_every="5m",
        tensorboard=False,
        show=TerminalShow(),
    )


def distances(sources: np.ndarray, made: np.ndarray, wanted: np.ndarray) -> str:
    extractor = Lite0(side=SIDE)
    judge = _features(extractor, wanted)
    before, after = (frechet_distance(_features(extractor, side), judge) for side in (_coloured(sources), made))
    return f"FD-Lite0@{SIDE} {before:.0f} before, {after:.0f} after, {len(made)} pictures"


def shown(trained: limner.Trained) -> str:
    return f"{trained.about['minutes']} minutes, {trained.about['images_shown']:,} images shown"


def draw_sheet(sheet: Path, rows: Mapping[str, np.ndarray]) -> None:
    """Some pictures of each row, below each other."""
    chosen = np.linspace(0, len(next(iter(rows.values()))) - 1, SHOWN).astype(int)
    picked = {name: _coloured(images[chosen]) for name, images in rows.items()}
    durable.write_file(sheet, encode_png(labelled_rows(picked, scale=2)))


def _coloured(images: np.ndarray) -> np.ndarray:
    return np.stack([with_channels(image, 3) for image in images])


def _features(extractor: Lite0, images: np.ndarray) -> np.ndarray:
    return np.concatenate([extractor(images[start : start + 250]).pooled for start in range(0, len(images), 250)])


if __name__ == "__main__":
    main()
