"""Pictures made on the spot, so that no bench needs a download; what they show plays no part in speed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def strokes(count: int, side: int, *, seed: int = 0) -> np.ndarray:
    """(count, side, side, 1) uint8: bright blots on black, about as sparse as handwritten digits."""
    rng = np.random.default_rng(seed)
    coarse = (rng.random((count, side // 4, side // 4, 1)) < 0.2) * rng.integers(128, 256, (count, 1, 1, 1))
    return coarse.astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)


def colours(count: int, side: int, *, seed: int = 0) -> np.ndarray:
    """(count, side, side, 3) uint8: soft patches with grain, which JPEG finds about as hard as photographs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, side // 8, side // 8, 3))
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2) + rng.integers(-12, 13, (count, side, side, 3))
    return smooth.clip(0, 255).astype(np.uint8)


def folder_of(images: np.ndarray, folder: Path, *, suffix: str, copies: int = 1) -> list[Path]:
    """Write images as files into a flat folder, `copies` times over; returns the paths.

    The copies are further names of the same files where the disk can do that: they cost little to make, and to whoever
    reads them they are files like any other.
    """
    folder.mkdir(parents=True)
    paths = [folder / f"{place:07d}{suffix}" for place in range(copies * len(images))]
    for place, path in enumerate(paths):
        if place < len(images):
            Image.fromarray(images[place].squeeze()).save(path, quality=75)
        else:
            _again(paths[place % len(images)], path)
    return paths


def idx_file(images: np.ndarray, path: Path) -> None:
    """Write (N, H, W, 1) uint8 in the format of MNIST's files."""
    sizes = b"".join(size.to_bytes(4, "big") for size in images.shape[:3])
    path.write_bytes(bytes([0, 0, 8, 3]) + sizes + images.tobytes())


def _again(original: Path, path: Path) -> None:
    try:
        path.hardlink_to(original)
    except OSError:  # no second names on this disk, or too many of one file
        path.write_bytes(original.read_bytes())
