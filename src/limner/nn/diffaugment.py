"""Differentiable augmentation of what a discriminator sees, real and made alike, for training on little data.

Applied to both, it leaves the generator's target as it is; applied to real images alone, it would be learned.
All draws come from `rng`, one row per image; all images of a batch are changed at once.
Source: Zhao et al. 2020, arXiv 2006.10738.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..rng import Rng

Augmentation = Literal["translation", "colour", "cutout"]


def augment(image: Tensor, names: Sequence[Augmentation], rng: Rng) -> Tensor:
    """(B, C, H, W) in [-1, 1] -> (B, C, H, W) changed by each of `names` in turn; values may leave [-1, 1]."""
    for name in names:
        image = AUGMENTATIONS[name](image, rng)
    return image


def colour(image: Tensor, rng: Rng) -> Tensor:
    """Change brightness by up to 0.5, saturation by a factor in 0 … 2, contrast by one in 0.5 … 1.5.

    The last of 2 or 4 channels is opacity and stays as it is.
    """
    colours = image.shape[1] - (image.shape[1] in (2, 4))
    shown, opacity = image[:, :colours], image[:, colours:]
    brightness, saturation, contrast = rng.uniform(3, 1, 1, 1).unbind(1)  # each (B, 1, 1, 1), in [0, 1)
    shown = shown + (brightness - 0.5)
    shown = _spread(shown, dims=(1,), factor=2 * saturation)
    shown = _spread(shown, dims=(1, 2, 3), factor=contrast + 0.5)
    return torch.cat([shown, opacity], dim=1)


def translation(image: Tensor, rng: Rng) -> Tensor:
    """Shift by up to an eighth of each side, whole pixels; what comes in from outside is 0, mid-grey."""
    down, right = (_whole(rng, side // 8) for side in image.shape[2:])
    return _shift(_shift(image, down, dim=2), right, dim=3)


def cutout(image: Tensor, rng: Rng) -> Tensor:
    """Set a window of half each side to 0; its centre is anywhere in the image."""
    rows, columns = (_window(rng, side) for side in image.shape[2:])  # (B, H) and (B, W)
    return image * ~(rows[:, None, :, None] & columns[:, None, None, :])  # (B, C, H, W)


def _window(rng: Rng, side: int) -> Tensor:
    """(B, side) bool, True in a run of side // 2 places about a random one; less where it meets the border."""
    first = rng.integers(side)[:, None] - side // 4  # (B, 1)
    places = torch.arange(side, device=first.device)
    return (places >= first) & (places < first + side // 2)


def _spread(image: Tensor, *, dims: tuple[int, ...], factor: Tensor) -> Tensor:
    """Scale the distance to the mean over `dims`."""
    mean = image.mean(dim=dims, keepdim=True)
    return (image - mean) * factor + mean


def _whole(rng: Rng, most: int) -> Tensor:
    """(B,) whole numbers in -most … most."""
    return rng.integers(2 * most + 1) - most


def _shift(image: Tensor, by: Tensor, *, dim: int) -> Tensor:
    """Row i of the result is row i - by of the image along `dim`, or 0; `by` is (B,)."""
    side = image.shape[dim]
    rows = torch.arange(side, device=image.device) - by[:, None]  # (B, side)
    shape = [len(image), 1, 1, 1]
    shape[dim] = side
    rows = rows.view(shape)
    index = rows.clamp(0, side - 1).expand_as(image)
    return image.gather(dim, index) * ((rows >= 0) & (rows < side))


AUGMENTATIONS: dict[Augmentation, Callable[[Tensor, Rng], Tensor]] = {
    "translation": translation,
    "colour": colour,
    "cutout": cutout,
}
