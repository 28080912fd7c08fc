"""A sheet of styles by statistics, and a table: `python -m benchmarks.pictures_style CONTENT STYLE… --sheet FILE`.

Each picture is judged in a space that no method optimised: moments of random filters (features/perception.py, another
seed) for the manner, SSIM for what it shows, and the distance of colour histograms. Lower, higher and lower are better.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

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

METHODS = ("gram", "transport", "moments", "whitening")
BINS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", type=Path)
    parser.add_argument("styles", type=Path, nargs="+")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--strength", type=float, default=0.7)
    parser.add_argument("--sheet", type=Path, required=True)
    given = parser.parse_args()
    content = fit(decode(given.content, channels=3), given.size, given.size)
    styles = [fit(decode(path, channels=3), given.size, given.size) for path in given.styles]
    rows = {"content, and the styles": np.stack([content, *styles])}
    for method in METHODS:
        made, seconds = [], 0.0
        for style in styles:
            began = time.monotonic()
            manner = Manner(method, given.strength, steps=given.steps)
            made.append(stylize(content, [style], manner=manner))
            seconds += time.monotonic() - began
        scores = np.mean([_scores(image, content, style) for image, style in zip(made, styles, strict=True)], axis=0)
        title = (
            f"{method}: manner {scores[0]:.3f}, SSIM to content {scores[1]:.2f}, colours {scores[2]:.2f}, "
            f"{seconds / len(styles):.0f} s each"
        )
        print(title, flush=True)
        rows[title] = np.stack([content, *made])
    plain = np.mean([_scores(content, content, style) for style in styles], axis=0)
    print(f"content itself: manner {plain[0]:.3f}, SSIM 1, colours {plain[2]:.2f}")
    durable.write_file(given.sheet, encode_png(labelled_rows(rows)))


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
