"""Small data sets that the tests of the data write to a temporary folder."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 8


def picture(seed: int, height: int = SIDE, width: int = SIDE, channels: int = 3) -> np.ndarray:
    """(height, width, channels) uint8 of noise: equal seeds, equal pictures."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def pictures(count: int, channels: int = 3) -> np.ndarray:
    """(count, 8, 8, channels): pictures 0 to count - 1."""
    return np.stack([picture(seed, channels=channels) for seed in range(count)])


def png(array: np.ndarray) -> bytes:
    """A PNG file of an array (H, W, C)."""
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).save(file, "PNG")
    return file.getvalue()


def write(root: Path, files: dict[str, bytes | str | np.ndarray]) -> Path:
    """Files by name under `root`; an array becomes a PNG."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = png(content) if isinstance(content, np.ndarray) else content
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def idx(array: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def pack(root: Path, archive: Path) -> Path:
    """A tar archive of a folder's contents; gzipped when it is named so."""
    with tarfile.open(archive, "w:gz" if archive.name.endswith("gz") else "w") as tar:
        for path in sorted(root.iterdir()):
            tar.add(path, arcname=path.name)
    return archive


def gz(data: bytes) -> bytes:
    return gzip.compress(data, 1)
