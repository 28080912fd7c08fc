"""A sheet of styles by statistics, and a table: `python -m benchmarks.pictures_style --sheet FILE [CONTENT STYLE…]`.

Without pictures a scene and three manners are drawn (own_pictures.py), which may be published.
Each picture is judged in a space that no method optimised: moments of random filters (features/perception.py, another
seed) for the manner, SSIM for what it shows, and the distance of colour histograms. Lower, higher and lower are better.
With `--learn 10m --photos PATH` a stylenet is trained for each manner, and timed beside the optimisation.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

import limner
from limner import durable
from limner.features.perception import RandomBank
from limner.images.colour import with_channels
from limner.images.grid import from_uint8, labelled_rows
from limner.images.metadata import encode_png
from limner.images.read import decode
from limner.images.resize import fit
from limner.losses.style import moment_distance, moments
from limner.metrics.ssim import ssim
from limner.tasks.stylize import Manner, stylize

from . import own_pictures
from .gallery_page import encoded
from .quality_restoration import flat

METHODS = ("gram", "transport", "moments", "whitening")
BINS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", type=Path, nargs="?")
    parser.add_argument("styles", type=Path, nargs="*")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--strength", type=float, default=0.7)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--learn", default=None, metavar="BUDGET", help="train a stylenet for each style, too")
    parser.add_argument("--painters", nargs="*", default=(), metavar="RUN", help="runs of stylenet, one for each style")
    parser.add_argument("--photos", default="builtin:openmoji", help="what a stylenet is trained on")
    given = parser.parse_args()
    if given.content is None:
        pictures = [own_pictures.scene(), *own_pictures.manners().values()]
    else:
        pictures = [decode(path, channels=3) for path in (given.content, *given.styles)]
    content, *styles = (fit(picture, given.size, given.size) for picture in pictures)
    rows = {"content, and the styles": np.stack([content, *styles])}
    for method in METHODS:
        manner = Manner(method, given.strength, steps=given.steps)
        _add(rows, method, content, styles, [partial(stylize, content, [style], manner=manner) for style in styles])
    if given.learn is not None or given.painters:
        painters = [*map(limner.load, given.painters)] or [_learned(style, given) for style in styles]
        for painter in painters:
            painter.restore(content)  # the first call pays for set-up
        _add(rows, "stylenet", content, styles, [partial(painter.restore, content) for painter in painters])
    plain = np.mean([_scores(content, content, style) for style in styles], axis=0)
    print(f"content itself: manner {plain[0]:.3f}, SSIM 1, colours {plain[2]:.2f}")
    durable.write_file(given.sheet, encoded(labelled_rows(rows)))


def _add(
    rows: dict[str, np.ndarray],
    method: str,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    drawn: Sequence[Callable[[], np.ndarray]],
) -> None:
    """Add the row of a method, which draws one picture for each style; its title is what the pictures come to."""
    began = time.monotonic()
    made = [draw() for draw in drawn]
    seconds = (time.monotonic() - began) / len(styles)
    scores = np.mean([_scores(image, content, style) for image, style in zip(made, styles, strict=True)], axis=0)
    title = (
        f"{method}: manner {scores[0]:.3f}, SSIM to content {scores[1]:.2f}, colours {scores[2]:.2f}, "
        f"{seconds:.3g} s each"
    )
    print(title, flush=True)
    rows[title] = np.stack([content, *made])


def _learned(style: np.ndarray, given: argparse.Namespace) -> limner.Trained:
    """A stylenet of one manner."""
    folder = Path(tempfile.mkdtemp(prefix="limner-style-"))
    durable.write_file(folder / "style.png", encode_png(style))
    return limner.train(
        "stylenet",
        flat(Path(given.photos)) if Path(given.photos).exists() else given.photos,
        out=folder / "run",
        config={"style": str(folder / "style.png")},
        data_config={"patch": 128},
        budget=given.learn,
        preview_every="0",
        tensorboard=False,
    )


def _scores(image: np.ndarray, content: np.ndarray, style: np.ndarray) -> list[float]:
    """Distance of manner, similarity to the content, distance of colours."""
    bank = RandomBank(seed=17)
    with torch.no_grad():
        ours, theirs = (bank(torch.from_numpy(from_uint8(side[None]))) for side in (image, style))
        manner = float(torch.stack([moment_distance(a, moments(b)) for a, b in zip(ours, theirs, strict=True)]).mean())
    alike = float(ssim(image[None], content[None])[0])
    return [manner, alike, _colours(image, style)]


def _colours(image: np.ndarray, other: np.ndarray) -> float:
    """Half the summed difference of two colour histograms: 0 for the same colours, 1 for none in common."""
    histograms = []
    for side in (image, other):
        counts = np.histogramdd(with_channels(side, 3).reshape(-1, 3), bins=BINS, range=[(0, 256)] * 3)[0]
        histograms.append(counts / counts.sum())
    return float(np.abs(histograms[0] - histograms[1]).sum() / 2)


if __name__ == "__main__":
    main()
