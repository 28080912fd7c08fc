"""Rate and distortion beside JPEG and WebP, picture by picture.

    python -m benchmarks.quality_codec TRAIN TEST --budget 5m
    python -m benchmarks.quality_codec TRAIN TEST --runs runs/coarse runs/middle runs/fine

A model is trained for each quality, a point of the curve; TEST is a folder of pictures, taken as gray ones (Set12 and
the like). Bits a pixel are those of whole files, heads included. JPEG and WebP get the lowest quality that takes no
fewer bytes than the codec's file, so where they have none so small they get more. Bits and decibels are means over the
pictures. `estimated` is what the model takes its numbers to cost while it is trained.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import limner
from limner import durable
from limner.images.colour import with_channels
from limner.images.grid import from_uint8, labelled_rows
from limner.images.lossy import smallest_above
from limner.images.metadata import encode_png
from limner.images.read import decode
from limner.metrics.psnr import psnr
from limner.tasks import codec
from limner.tasks.tiles import device_of
from limner.training.show import TerminalShow

from .quality_restoration import ENDINGS, flat

HEAD = " quality  codec bpp     dB  estimated  JPEG bpp     dB  WebP bpp     dB"


class Point(NamedTuple):
    """Of one picture, or the mean of several.

    bits        a pixel, of the codec's file; of JPEG's and of WebP's beside it
    psnr        decibels, likewise
    estimated   bits a pixel by the density that the model is trained with
    """

    bits: float
    psnr: float
    estimated: float
    jpeg_bits: float
    jpeg_psnr: float
    webp_bits: float
    webp_psnr: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test", type=Path)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--qualities", default="0.005,0.02,0.08")
    parser.add_argument("--runs", type=Path, nargs="+", default=None, help="judge these instead of training")
    parser.add_argument("--sheet", type=Path, default=None, help="write crops of the first point to this PNG")
    given = parser.parse_args()
    files = [file for file in sorted(given.test.rglob("*")) if file.suffix.lower() in ENDINGS]
    pictures = [with_channels(decode(file), 1) for file in files]
    if not pictures:
        parser.error(f"{given.test} holds no pictures")
    curve = []
    for trained in _trained(given):
        about, found = trained.about, [_compared(trained, picture) for picture in pictures]
        curve.append((trained.network.config.quality, Point(*np.mean([point for point, _ in found], axis=0))))
        print(f"quality {curve[-1][0]}: {about['minutes']} minutes, {about['images_shown']:,} patches", flush=True)
        if len(curve) == 1 and given.sheet is not None:
            rows = zip(
                ("true", "codec", "JPEG", "WebP"), zip(*(crops for _, crops in found[:5]), strict=True), strict=True
            )
            durable.write_file(given.sheet, encode_png(labelled_rows({name: np.stack(row) for name, row in rows})))
    print(f"\n{len(pictures)} pictures of {given.test}\n{HEAD}")
    for quality, point in sorted(curve):
        print(_line(quality, point))


def _line(quality: float, point: Point) -> str:
    ours = f"{quality:>8g} {point.bits:>10.3f} {point.psnr:>6.2f} {point.estimated:>10.3f}"
    jpeg, webp = f"{point.jpeg_bits:>9.3f} {point.jpeg_psnr:>6.2f}", f"{point.webp_bits:>9.3f} {point.webp_psnr:>6.2f}"
    return f"{ours} {jpeg} {webp}"


def _trained(given: argparse.Namespace) -> Iterator[limner.Trained]:
    if given.runs:
        yield from (limner.load(run) for run in given.runs)
    else:
        yield from (_train(given, float(quality)) for quality in given.qualities.split(","))


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


def _compared(trained: limner.Trained, picture: np.ndarray) -> tuple[Point, list[np.ndarray]]:
    """The codec, JPEG and WebP on (H, W, 1) uint8; crops of the original and of the three."""
    packed = codec.compress(trained.network, trained.sha256, picture)
    made = codec.decompress(trained.network, trained.sha256, packed.data)
    pixels = picture.size
    row = [packed.bits, float(psnr(made[None], picture[None])[0]), _estimated(trained.network, picture) / pixels]
    crops = [picture, made]
    for kind in ("jpeg", "webp"):
        size, other = smallest_above(picture, kind, len(packed.data))
        row += [8 * size / pixels, float(psnr(other[None], picture[None])[0])]
        crops.append(other)
    top, left = ((side - 128) // 2 for side in picture.shape[:2])
    return Point(*row), [image[top : top + 128, left : left + 128] for image in crops]


@torch.no_grad()
def _estimated(model: Any, picture: np.ndarray) -> float:
    """Bits of a picture by the density that the model is trained with, at the numbers that are written."""
    image = torch.from_numpy(from_uint8(codec._filled(picture, model.multiple, model.multiple)[None]))
    numbers = model.to_symbols(image.to(device_of(model))).float()
    return float(model._bits(numbers).double().sum())


if __name__ == "__main__":
    main()
