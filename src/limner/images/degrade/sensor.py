"""What a camera does to light: photons that arrive by chance, an amplifier that hums, a file that forgets.

`noise` (basic.py) is the white noise of the tables; these are what real pictures have.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image

from ..read import decode
from .basic import only
from .step import Degraded, Plain, Range, Step, parse_range

_GAMMA = 2.2  # of sRGB, as a power: close enough for noise
_READ = 0.02  # deviation of the amplifier's noise, as a share of that of photons at full light
_ROWS = 0.3  # share of the amplifier's noise that a whole row has in common


class Poisson(Plain):
    """Photon noise: white is `peak` photons on average, and every pixel counts its own."""

    def __init__(self, peak: Range) -> None:
        self.peak = peak

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        unit = (self.peak.draw(rng, len(images)) / 255)[:, None, None, None]
        counted = rng.poisson(images.clip(0, 255).astype(np.float64) * unit)
        return Degraded((counted / unit).astype(np.float32))


class Camera(Plain):
    """Noise of a sensor in linear light: photons, an amplifier, and rows that share some of the latter; then rounded.

    strength   deviation at white, in levels of 255: 5 is a good camera in daylight, 40 a telephone at night
    Source of the form: Foi et al. 2008, Practical Poissonian-Gaussian noise modeling, equation 2.
    """

    def __init__(self, strength: Range) -> None:
        self.strength = strength

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        strength = self.strength.draw(rng, len(images))[:, None, None, None] / 255
        light = (images.clip(0, 255) / 255) ** _GAMMA
        photons = strength * np.sqrt(light) * rng.standard_normal(images.shape, dtype=np.float32)
        hum = rng.standard_normal(images.shape, dtype=np.float32)
        rows = rng.standard_normal((*images.shape[:2], 1, images.shape[3]), dtype=np.float32)
        amplifier = (_READ + strength / 4) * strength * (np.sqrt(1 - _ROWS) * hum + np.sqrt(_ROWS) * rows)
        seen = (light + photons + amplifier).clip(0, 1) ** (1 / _GAMMA)
        return Degraded(np.floor(seen * 255 + 0.5).astype(np.float32))


class Jpeg(Plain):
    """Written and read again as JPEG of a quality, colours at half resolution, as Pillow does by default."""

    margin = 16  # the blocks of half-resolution colours: a patch's own grid is not that of its picture

    def __init__(self, quality: Range) -> None:
        self.quality = quality

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        qualities = np.round(self.quality.draw(rng, len(images))).astype(int)
        pixels = np.floor(images + 0.5).clip(0, 255).astype(np.uint8)
        return Degraded(np.stack([_through(image, int(q)) for image, q in zip(pixels, qualities, strict=True)]))


def _through(image: np.ndarray, quality: int) -> np.ndarray:
    """(H, W, C) uint8 -> float32; of four channels the last stays as it is."""
    colours = image[..., 0] if image.shape[2] == 1 else image[..., :3]
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "JPEG", quality=quality)
    made = decode(file.getvalue()).astype(np.float32)
    return made if made.shape[2] == image.shape[2] else np.concatenate([made, image[..., 3:]], axis=2)


STEPS: Mapping[str, Callable[[Sequence[str]], Step]] = {
    "poisson": lambda numbers: Poisson(parse_range("poisson", only("poisson", numbers), least=0.1)),
    "camera": lambda numbers: Camera(parse_range("camera", only("camera", numbers), most=255)),
    "jpeg": lambda numbers: Jpeg(parse_range("jpeg", only("jpeg", numbers), least=1, most=100)),
}
