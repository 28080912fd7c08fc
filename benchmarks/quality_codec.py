"""Rate and distortion beside JPEG and WebP, picture by picture.

    python -m benchmarks.quality_codec TRAIN TEST --budget 5m

A model is trained for each quality; TEST is a folder of pictures, taken as gray ones (Set12 and the like). JPEG and
WebP get the lowest quality that takes no fewer bytes than the codec's file.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import limner
from limner import durable
from limner.images.colour import with_channels
from limner.images.grid import labelled_rows
from limner.images.lossy import smallest_above
from limner.images.metadata import encode_png
from limner.images.read import decode
from limner.metrics.psnr import psnr
from limner.tasks import codec
from limner.training.show import TerminalShow

from .quality_restoration import ENDINGS, flat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test", type=Path)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--qualities", default="0.005,0.02,0.08")
    parser.add_argument("--sheet", type=Path, default=None, help="write crops at the first quality to this PNG")
    given = parser.parse_args()
    files = [file for file in sorted(given.test.rglob("*")) if file.suffix.lower() in ENDINGS]
    pictures = [with_channels(decode(file), 1) for file in files]
    for place, quality in enumerate(given.qualities.split(",")):
        trained = _train(given, float(quality))
        found = [_compared(trained, picture) for picture in pictures]
        table = np.mean([row for row, _ in found], axis=0)
        print(
            f"quality {quality}: {table[0]:.3f} bits a pixel, {table[1]:.2f} dB; JPEG {table[2]:.3f} bits, "
            f"{table[3]:.2f} dB; WebP {table[4]:.3f} bits, {table[5]:.2f} dB; {len(found)} pictures, "
            f"{trained.about['minutes']} minutes, {trained.about['images_shown']:,} patches"
        )
        if place == 0 and given.sheet is not None:
            rows = zip(
                ("true", "codec", "JPEG", "WebP"), zip(*(crops for _, crops in found[:5]), strict=True), strict=True
            )
            durable.write_file(given.sheet, encode_png(labelled_rows({name: np.stack(row) for name, row in rows})))


def _train(given: argparse.Namespace, quality: float) -> limner.Trained:
    return limner.train(
        "codec",
        flat(Path(given.train)),
        out=tempfile.mkdtemp(prefix="limner-codec-") + "/run",
        config={"quality": quality},
        data_config={"channels": 1, "patch": 96, "flip": True},
        budget=given.budget,
        preview_every="0",
        checkpoint_every="5m",
        tensorboard=False,
        show=TerminalShow(),
    )


def _compared(trained: limner.Trained, picture: np.ndarray) -> tuple[list[float], list[np.ndarray]]:
    """Bits a pixel and decibels of the codec, JPEG and WebP; crops of the original and of the three."""
    packed = codec.compress(trained.network, trained.sha256, picture)
    made = codec.decompress(trained.network, trained.sha256, packed.data)
    row, crops, pixels = [packed.bits, float(psnr(made[None], picture[None])[0])], [picture, made], picture.size
    for kind in ("jpeg", "webp"):
        size, other = smallest_above(picture, kind, len(packed.data))
        row += [8 * size / pixels, float(psnr(other[None], picture[None])[0])]
        crops.append(other)
    top, left = ((side - 128) // 2 for side in picture.shape[:2])
    return row, [image[top : top + 128, left : left + 128] for image in crops]


if __name__ == "__main__":
    main()
