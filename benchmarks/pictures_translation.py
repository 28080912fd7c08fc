"""How well pictures are translated: `python -m benchmarks.pictures_translation FOLDER --budget 5m`.

Trains on built-in pictures, prints the Fréchet distance of features to real pictures of the wanted kind before (the
sources themselves) and after, and writes a sheet of each to FOLDER: sources, translations and, where there is one, the
truth below each other. Where there is a truth, the pictures are of the validation split, which chose nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import limner
import limner.tasks.translate
from limner import durable
from limner.data import DataConfig
from limner.features.lite0 import Lite0
from limner.images.colour import with_channels
from limner.images.grid import labelled_rows
from limner.images.metadata import encode_png
from limner.metrics.frechet import frechet_distance
from limner.training.show import TerminalShow

SIDE = 96  # pixels that pictures are brought to for the features
SHOWN = 8
PAIRED = {"edges to openmoji": "edges", "gray to colour": "gray"}
GROUPS = ("animals", "food")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--only", default=None, help="edges, gray, cyclegan or cut")
    given = parser.parse_args()
    durable.make_folder(given.folder)
    for title, chain in PAIRED.items():
        if given.only in (None, chain):
            _paired(title, chain, given)
    for model in ("cyclegan", "cut"):
        if given.only in (None, model):
            _unpaired(model, given)


def _paired(title: str, chain: str, given: argparse.Namespace) -> None:
    reading = {"channels": 3, "resolution": 64, "degrade": chain, "flip": True}
    trained = _train("pix2pix", "builtin:openmoji", reading, given.budget)
    unseen = limner.open_data("builtin:openmoji", DataConfig(resolution=64, channels=3), split="val").images
    sources = limner.tasks.translate.as_trained(trained.network, unseen, seed=0)
    made = trained.translate(sources).images
    _report(title, trained, sources, made, unseen, given.folder / f"{chain}.png", truth=True)


def _unpaired(model: str, given: argparse.Namespace) -> None:
    a, b = GROUPS
    both: dict[str, Any] = {"sources": "builtin:openmoji", "sources_only": a, "only": b, "paired": False}
    trained = _train(model, "builtin:openmoji", {"channels": 3, "resolution": 64, "flip": True, **both}, given.budget)
    reading = DataConfig(resolution=64, channels=3)
    sources, wanted = (
        limner.open_data("builtin:openmoji", reading, split=None).of_class(group).images for group in (a, b)
    )
    made = trained.translate(sources).images
    _report(f"{model}: {a} to {b}", trained, sources, made, wanted, given.folder / f"{model}.png", truth=False)


def _train(model: str, data: str, reading: dict[str, Any], budget: str) -> limner.Trained:
    return limner.train(
        model,
        data,
        out=tempfile.mkdtemp(prefix="limner-translation-") + "/run",
        data_config=reading,
        budget=budget,
        preview_every="0",
        checkpoint_every="5m",
        tensorboard=False,
        show=TerminalShow(),
    )


def _report(
    title: str,
    trained: limner.Trained,
    sources: np.ndarray,
    made: np.ndarray,
    wanted: np.ndarray,
    sheet: Path,
    *,
    truth: bool,
) -> None:
    extractor = Lite0(side=SIDE)
    colours = np.stack([with_channels(image, 3) for image in sources])
    judge = _features(extractor, wanted)
    before, after = (frechet_distance(_features(extractor, side), judge) for side in (colours, made))
    about = trained.about
    print(
        f"{title}: FD-Lite0@{SIDE} {before:.0f} before, {after:.0f} after; {len(made)} pictures, "
        f"{about['minutes']} minutes, {about['images_shown']:,} images shown"
    )
    chosen = np.linspace(0, len(made) - 1, SHOWN).astype(int)
    rows = {"source": colours[chosen], "translated": made[chosen]}
    if truth:
        rows["true"] = wanted[chosen]
    durable.write_file(sheet, encode_png(labelled_rows(rows, scale=2)))


def _features(extractor: Lite0, images: np.ndarray) -> np.ndarray:
    return np.concatenate([extractor(images[start : start + 250]).pooled for start in range(0, len(images), 250)])


if __name__ == "__main__":
    main()
