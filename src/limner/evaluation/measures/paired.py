"""Image against image: how near generated images are to the real ones that they belong to.

Pairs are the images of one name, where a folder is judged, and otherwise real images and what a model that encodes
keeps of them. Each pair has a value of its own; the number is their mean.
options   pairs     real images that a model reconstructs, 1,000
          preset    sr-x2, sr-x3, sr-x4: the protocol of super-resolution tables (metrics/superresolution.py)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch

from ...errors import ConfigError, unknown
from ...images.colour import composite
from ...images.grid import from_uint8, to_uint8
from ...metrics import psnr as peak_signal_to_noise
from ...metrics import ssim as similarity
from ...metrics.bootstrap import percentile
from ...metrics.number import Better, Interval, Number
from ...metrics.perceptual import perceptual_distance
from ...metrics.superresolution import evaluate_pair
from ...model import Encodes
from ...rng import generator
from ...tasks.reconstruct import reconstruct
from ..material import ImageSet, Material, NotApplicable
from .options import whole

PAIRS = 1000
CHUNK = 64  # pairs in memory at once
PRESETS = {f"sr-x{scale}": scale for scale in (2, 3, 4)}
WORST = 8  # pairs named in the details
EQUAL = 100.0  # dB, of pairs that are equal: as if one number in 10^5 were off by the whole range
_CHANNELS: dict[str, Any] = {"data_range": 255, "channels": "all", "border": 0}
_WINDOWS = {"windows": "valid"}

# (n, H, W, C) uint8 twice -> (n,) values
Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]


def psnr(material: Material) -> list[Number]:
    """Peak signal-to-noise ratio, of all channels or, with a preset, of brightness."""
    scale = _scale(material)
    if scale is None:
        return _number(material, _Form("PSNR", "higher", peak_signal_to_noise.psnr, _CHANNELS, unit="dB"))
    return _number(material, _preset("PSNR", "psnr", scale, unit="dB"))


def ssim(material: Material) -> list[Number]:
    """Structural similarity on windows inside the image, of each channel or, with a preset, of brightness."""
    scale = _scale(material)
    _scales(material)
    if scale is None:
        return _number(material, _Form("SSIM", "higher", similarity.ssim, _CHANNELS | _WINDOWS))
    return _number(material, _preset("SSIM", "ssim", scale))


def ms_ssim(material: Material) -> list[Number]:
    """Multi-scale structural similarity, at as many scales as the images allow, 5 at most."""
    _no_preset(material, "MS-SSIM")
    most, scales = len(similarity.SCALE_WEIGHTS), _scales(material)
    name = "MS-SSIM (paired)" if scales == most else f"MS-SSIM (paired, {scales} of {most} scales)"
    height, width = material.real.images.shape[1:3]
    notes = (f"images of {height}x{width} are too small for {most} scales; weights were rescaled",)

    def compare(made: np.ndarray, real: np.ndarray) -> np.ndarray:
        return similarity.ms_ssim(made, real, scales=scales)

    settings = _CHANNELS | _WINDOWS | {"scales": scales}
    return _number(material, _Form(name, "higher", compare, settings, notes=notes if scales < most else ()))


def perceptual(material: Material) -> list[Number]:
    """Distance of the maps inside the network that makes the features; named after it."""
    _no_preset(material, "a perceptual distance")
    extractor = material.extractor
    maps = getattr(extractor, "maps", None)
    if extractor is None or maps is None:
        raise NotApplicable("it needs a feature space that gives its maps; choose --features lite0")

    def compare(made: np.ndarray, real: np.ndarray) -> np.ndarray:
        return perceptual_distance(maps(made), maps(real))

    notes = ("of the form of LPIPS, but of another network and without learned weights: never compare it with LPIPS",)
    return _number(material, _Form(f"LPD-{extractor.name}", "lower", compare, {}, features=True, notes=notes))


# --- from pairs to a number -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Form:
    """One measure of pairs: its name, what it does to pairs, and what its protocol says beyond the material."""

    name: str
    better: Better
    compare: Compare
    settings: dict[str, Any]
    unit: str = ""
    features: bool = False
    notes: tuple[str, ...] = ()


def _preset(name: str, part: str, scale: int, *, unit: str = "") -> _Form:
    """PSNR or SSIM as tables of super-resolution have it."""

    def compare(made: np.ndarray, real: np.ndarray) -> np.ndarray:
        found = [evaluate_pair(a, b, scale) for a, b in zip(made, real, strict=True)]
        return np.array([getattr(quality, part) for quality in found])

    settings = {"data_range": 255, "channels": "Y, BT.601, rounded", "border": scale, "preset": f"sr-x{scale}"}
    notes = ("comparable with published tables where the images were not resized when they were read",)
    return _Form(f"{name} (Y, x{scale})", "higher", compare, settings | _WINDOWS, unit=unit, notes=notes)


def _number(material: Material, form: _Form) -> list[Number]:
    """The mean over pairs with its interval. Equal pairs, whose PSNR is infinite, count as EQUAL and are told of."""
    rows, pairs, kind = _pairs(material)
    values = np.concatenate([form.compare(made, real) for made, real in pairs])
    equal = int(np.isinf(values).sum())
    values = np.minimum(values, EQUAL) if equal else values
    mean, interval = _mean(values, material.seed)
    notes = (*form.notes, f"pairs: {kind}; the mean is over {len(values):,} of them")
    if equal:
        notes += (f"{equal:,} pairs are equal; their {form.name} is infinite and counts as {EQUAL:g} dB",)
    protocol = material.protocol(form.name, features=form.features, pairs=kind, **form.settings)
    protocol = replace(protocol, generated=len(values), real=len(values))
    name = form.name if material.model is None else f"{form.name} of reconstructions"
    order = np.argsort(values if form.better == "higher" else -values, kind="stable")[:WORST]
    worst = [{"image": _name(material.real, rows[at]), "value": float(values[at])} for at in order]
    details: dict[str, Any] = {"worst": worst, "equal": equal}
    details |= {"each": values.tolist(), "of": _key(material.real, rows)}  # what comparisons are made of
    return [Number(name, mean, form.better, protocol, interval, unit=form.unit, notes=notes, details=details)]


def _mean(values: np.ndarray, seed: int) -> tuple[float, Interval | None]:
    """The mean and its bootstrap interval; a single pair has none."""
    return float(values.mean()), percentile(values, seed=seed).interval if len(values) > 1 else None


def _key(images: ImageSet, rows: np.ndarray) -> str:
    """Equal keys mean the same real images in the same order."""
    return sha256(images.digest.encode() + np.asarray(rows, np.int64).tobytes()).hexdigest()


def _name(images: ImageSet, row: int) -> str:
    return images.ids[row] if images.ids else str(row)


# --- which images make pairs ------------------------------------------------------------------------------------------

_Pairs = tuple[np.ndarray, Iterator[tuple[np.ndarray, np.ndarray]], str]


def _pairs(material: Material) -> _Pairs:
    """Rows of the real side, the pairs (made, real) in that order and in chunks, and what makes them pairs."""
    if material.model is None:
        made, real = _of_one_name(material)
        return real, _read(material.generated, material.real, made, real), "images of one name"
    if not isinstance(material.model, Encodes):
        raise NotApplicable(
            f"{material.model.name!r} cannot encode images, so nothing it makes belongs to a real image; "
            f"it can be taken of models that encode, and of a folder whose images have the names of real ones"
        )
    count = min(whole(material, "pairs", PAIRS), len(material.real))
    # not keyed by the seed: all models reconstruct the same images
    rows = np.sort(generator(0, "pairs").permutation(len(material.real))[:count])
    return rows, _reconstructed(material, rows), "real images and their reconstructions"


def _of_one_name(material: Material) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the two sides that share a name, in the order of the real side."""
    made, real = material.generated, material.real
    if made.images.shape[1:] != real.images.shape[1:]:
        raise NotApplicable(f"images of {made.images.shape[1:]} and of {real.images.shape[1:]} make no pairs")
    made_names, real_names = _names(made.ids, real.ids)
    place = {name: row for row, name in enumerate(made_names)}
    shared = [(place[name], row) for row, name in enumerate(real_names) if name in place]
    if not shared:
        raise NotApplicable("no generated image has the name of a real one; pairs are files of one name, as in 01.png")
    return tuple(np.array(rows) for rows in zip(*shared, strict=True))  # type: ignore[return-value]


def _names(made: Sequence[str], real: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names without folder and ending; with the folder where the last parts alone are not unique."""
    sides = [[PurePosixPath(name) for name in side] for side in (made, real)]
    if all(len({name.stem for name in side}) == len(side) for side in sides):
        made_names, real_names = ([name.stem for name in side] for side in sides)
    else:
        made_names, real_names = ([str(name.with_suffix("")) for name in side] for side in sides)
    return made_names, real_names


def _read(made: ImageSet, real: ImageSet, made_rows: np.ndarray, real_rows: np.ndarray) -> Iterator[tuple]:
    for start in range(0, len(real_rows), CHUNK):
        cut = slice(start, start + CHUNK)
        yield _opaque(made.images[made_rows[cut]]), _opaque(real.images[real_rows[cut]])


def _reconstructed(material: Material, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    model, real = material.model, material.real
    assert model is not None
    for start in range(0, len(rows), CHUNK):
        chosen = rows[start : start + CHUNK]
        images = np.asarray(real.images[chosen])
        rebuilt = reconstruct(model, torch.from_numpy(from_uint8(images)), real.condition(chosen))
        yield _opaque(to_uint8(rebuilt.numpy())), _opaque(images)


def _opaque(images: np.ndarray) -> np.ndarray:
    """RGBA on white, as every feature space sees it: colours under transparent pixels are of no account."""
    return np.stack([composite(image) for image in images]) if images.shape[3] == 4 else images


# --- options ----------------------------------------------------------------------------------------------------------


def _scale(material: Material) -> int | None:
    """The scale of the super-resolution preset; None without one."""
    preset = material.options.get("preset")
    if preset is None:
        return None
    if preset not in PRESETS:
        raise ConfigError(unknown("preset", str(preset), PRESETS))
    return PRESETS[preset]


def _no_preset(material: Material, what: str) -> None:
    if _scale(material) is not None:
        raise NotApplicable(f"the preset {material.options['preset']} is a protocol of PSNR and SSIM, not of {what}")


def _scales(material: Material) -> int:
    """Scales of MS-SSIM that fit the real images. Raises NotApplicable where not even one window does."""
    height, width = material.real.images.shape[1:3]
    scales = similarity.scales_that_fit(height, width)
    if not scales:
        raise NotApplicable(f"images of {height}x{width} are smaller than its window of {similarity.WINDOW} pixels")
    return scales
