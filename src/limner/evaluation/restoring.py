"""How well a model restores: pictures are degraded as in its training, restored, and held against the originals.

Enlarging is judged by the protocol of the tables (metrics/superresolution.py); everything else by PSNR and SSIM of all
channels, on what the model gives, clipped but not rounded. Beside each number stands that of the degraded picture,
enlarged by bicubic where it is smaller. Each picture has a value, so two models are compared picture by picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..images.bicubic import resize
from ..images.colour import with_channels
from ..images.degrade import Degradation, parse
from ..metrics.bootstrap import percentile
from ..metrics.number import Interval, Number, Protocol
from ..metrics.ssim import WINDOW, ssim
from ..metrics.superresolution import evaluate_pair, luma, modcrop
from ..model import Model
from ..rng import generator
from ..tasks.restore import Told, values
from .evaluate import Evaluation
from .page import Gallery, Report, render_report

CROP = 128  # pixels of each picture that the page shows
SHOWN = 12  # pictures that it shows
FLOOR = "degraded"


@dataclass(frozen=True)
class Restored:
    """An evaluation, and crops of the first pictures: degraded, restored and true, (N, H, W, 3) uint8 in that order."""

    evaluation: Evaluation
    crops: np.ndarray

    def page(self) -> str:
        """The HTML of report.html."""
        found = self.evaluation
        text = "degraded, restored, true: the middle of the first pictures, not chosen"
        return render_report(
            Report(
                title=found.subject,
                subtitle=f"judged on {found.numbers[0].protocol.real:,} pictures, degraded by {found.about['degrade']}",
                facts={key: str(value) for key, value in found.about.items()},
                numbers=found.numbers,
                floors=found.floors,
                samples=Gallery("Pictures", self.crops, text, columns=3),
            )
        )


def evaluate_restorer(
    model: Model,
    pictures: Iterable[np.ndarray],
    names: Sequence[str],
    *,
    chain: str,
    subject: str,
    about: Mapping[str, Any],
    split: str = "all",
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Restored:
    """Judge a model on whole pictures, uint8 (H, W, C) each, of any sizes.

    chain   of degradations, as images/degrade reads it
    seed    of what the degradation draws: picture k of a seed is always degraded alike
    Raises ConfigError for a chain whose scale is not the model's.
    """
    degradation = parse(chain)
    if degradation.scale != model.data.scale:
        raise ConfigError(f"{chain} makes pictures {degradation.scale} times smaller, {model.name} {model.data.scale}")
    rows, crops, digest = [], [], hashlib.sha256()
    for place, picture in enumerate(pictures):
        say(f"{names[place]}: {picture.shape[0]}x{picture.shape[1]}")
        picture = modcrop(_judged(picture, model), degradation.scale)
        digest.update(picture.tobytes())
        before, after = _both(model, degradation, picture, generator(seed, "degrade", place))
        rows.append([*_quality(before, picture, degradation.scale), *_quality(after, picture, degradation.scale)])
        if place < SHOWN:
            crops += [_crop(image) for image in (before, after, picture)]
    table = np.array(rows)  # (N, 4): PSNR and SSIM before, then after
    protocol = _protocol(model, chain, split, len(rows), digest.hexdigest(), seed)
    before_numbers, numbers = (_numbers(part, protocol, names, seed) for part in (table[:, :2], table[:, 2:]))
    found = Evaluation(subject, {**about, "degrade": chain}, numbers, {FLOOR: before_numbers})
    return Restored(found, np.stack(crops))


def _judged(picture: np.ndarray, model: Model) -> np.ndarray:
    """What is judged: brightness of the tables' kind when a model of gray pictures enlarges, else its own channels."""
    if model.data.scale > 1 and model.data.channels == 1:
        return luma(with_channels(picture, 3) if picture.shape[2] == 4 else picture)
    return with_channels(picture, model.data.channels)


def _both(
    model: Model, chain: Degradation, picture: np.ndarray, stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The degraded picture at the size of the original, and the restored one; floats in 0 … 255."""
    bad = chain(picture[None], stream)[0]
    colours, maps = bad[..., : bad.shape[2] - len(chain.maps)], bad[..., bad.shape[2] - len(chain.maps) :]
    told = Told(
        level=float(maps[0, 0, chain.maps.index("noise")]) if "noise" in chain.maps else None,
        hole=maps[..., chain.maps.index("hole")] > 127 if "hole" in chain.maps else None,
    )
    after = np.concatenate([*values(model, colours, told)])
    before = resize(colours, chain.scale) if chain.scale > 1 else colours
    if before.shape[2] != picture.shape[2]:
        before = np.repeat(before, picture.shape[2], axis=2)
    return before, after


def _quality(made: np.ndarray, picture: np.ndarray, scale: int) -> tuple[float, float]:
    if scale > 1 and picture.shape[2] in (1, 3):
        rounded = np.floor(made + 0.5).clip(0, 255).astype(np.uint8)
        return evaluate_pair(rounded, picture, scale)
    made, true = made.clip(0, 255).astype(np.float64), picture.astype(np.float64)
    error = max(float(np.square(made - true).mean()), 1e-10)
    alike = float(ssim(made[None], true[None], data_range=255)[0]) if min(picture.shape[:2]) >= WINDOW else float("nan")
    return 10 * float(np.log10(255**2 / error)), alike


def _protocol(model: Model, chain: str, split: str, count: int, digest: str, seed: int) -> Protocol:
    enlarges = model.data.scale > 1
    settings = {
        "degrade": chain,
        "channels": "Y, BT.601, rounded" if enlarges else "all",
        "border": model.data.scale if enlarges else 0,
        "windows": "valid",
        "data_range": 255,
    }
    return Protocol("restoration", None, None, None, None, count, count, split, digest, seed, settings)


def _numbers(table: np.ndarray, protocol: Protocol, names: Sequence[str], seed: int) -> tuple[Number, ...]:
    """PSNR and SSIM of (N, 2) values."""
    found = []
    for column, (name, unit) in enumerate((("PSNR", "dB"), ("SSIM", ""))):
        each = table[:, column]
        if not np.isfinite(each).all():
            continue
        worst = [{"image": names[row], "value": float(each[row])} for row in np.argsort(each)[:8]]
        details = {"worst": worst, "each": each.tolist(), "of": protocol.data_sha256}
        interval: Interval | None = percentile(each, seed=seed).interval if len(each) > 1 else None
        found.append(Number(name, float(each.mean()), "higher", protocol, interval, unit=unit, details=details))
    return tuple(found)


def _crop(image: np.ndarray) -> np.ndarray:
    """(128, 128, 3) uint8: the middle of a picture, white where it is smaller."""
    top, left = (max(0, (side - CROP) // 2) for side in image.shape[:2])
    part = image[top : top + CROP, left : left + CROP]
    whole = np.full((CROP, CROP, 3), 255, np.uint8)
    pixels = with_channels(np.floor(part + 0.5).clip(0, 255).astype(np.uint8), 3)
    whole[: part.shape[0], : part.shape[1]] = pixels
    return whole
