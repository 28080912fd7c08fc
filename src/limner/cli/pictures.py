"""Where the pictures of a command go: a folder of numbered PNG files, one grid, or both. Nothing is overwritten."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import ConfigError
from . import places

if TYPE_CHECKING:
    import numpy as np

    from ..made import Pictures
    from ..trained import Trained

IN_GRID = 1024  # pictures that a grid shows at most
_SMALL = 64  # pixels: smaller pictures are enlarged in a grid


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """Where pictures go; with neither --out nor --grid, to a new numbered folder with a grid beside it."""

    out: Annotated[Path | None, Parameter(help="Folder for 000000.png, 000001.png, …")] = None
    grid: Annotated[Path | None, Parameter(help="One PNG file with all pictures in it.")] = None
    overwrite: Annotated[bool, Parameter(show_default=False, help="Replace pictures that are already there.")] = False

    def settled(self, kind: str, name: str) -> Where:
        """With places filled in: `kind/name-1/` and `kind/name-1.png`, or the next free number."""
        if self.grid is not None and self.grid.suffix.lower() != ".png":
            raise ConfigError(f"--grid {self.grid}: grids are PNG files; let the name end in .png")
        if self.out is not None or self.grid is not None:
            return self
        folder = places.free(Path(kind), name)
        return Where(folder, folder.with_name(f"{folder.name}.png"))

    @property
    def values(self) -> dict[str, str | None]:
        """For `--json`."""
        return {"out": str(self.out) if self.out else None, "grid": str(self.grid) if self.grid else None}

    @property
    def facts(self) -> dict[str, Path | None]:
        """For people."""
        return {"folder": self.out, "grid": self.grid}

    def check_free(self, indices: Iterable[int]) -> None:
        """Raise ConfigError when a file that would be written is there already."""
        if self.overwrite:
            return
        wanted = [self.grid] if self.grid else []
        if self.out is not None and self.out.exists():
            wanted += [self.out / f"{index:06d}.png" for index in indices]
        taken = next((path for path in wanted if path.exists()), None)
        if taken is not None:
            raise ConfigError(f"{taken} exists; choose another place, or say --overwrite")


@dataclass(frozen=True)
class Written:
    """What was written."""

    count: int
    where: Where

    @property
    def values(self) -> dict[str, Any]:
        return {"pictures": self.count, **self.where.values}


def write(parts: Iterable[Pictures], where: Where, *, columns: int | None = None) -> Written:
    """Write pictures as they are made, then the grid of the first 1,024."""
    import numpy as np

    kept: list[np.ndarray] = []
    count = 0
    for pictures in parts:
        if where.out is not None:
            pictures.save(where.out, overwrite=where.overwrite)
        if where.grid is not None and count < IN_GRID:
            kept.append(pictures.images[: IN_GRID - count])
        count += len(pictures)
    if where.grid is not None:
        write_grid(np.concatenate(kept), where.grid, columns=columns)
    return Written(count, where)


def write_grid(images: np.ndarray, path: Path, *, columns: int | None = None) -> None:
    """(N, H, W, C) uint8 as one PNG file."""
    from .. import durable
    from ..images.grid import grid
    from ..images.metadata import encode_png

    scale = max(1, _SMALL // max(images.shape[1:3]))
    picture = encode_png(grid(images, columns=columns, scale=scale))
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write_file(path, picture)


def reading_of(trained: Trained) -> Mapping[str, Any]:
    """How images are brought to the model's shape: as its training images were, where the run says how."""
    saved = trained.run.read_config()["data"] if trained.run is not None else {}
    _, height, width = trained.data.shape
    kept = {key: saved[key] for key in ("fit", "background") if key in saved}
    return {**kept, "resolution": f"{height}x{width}", "channels": trained.data.channels}


def read_images(sources: Iterable[str], trained: Trained, limit: int) -> np.ndarray:
    """Image files, and up to `limit` images of each folder, archive or builtin: name, as (N, H, W, C) uint8."""
    import numpy as np

    return np.stack([image for source in sources for image in _images(source, reading_of(trained), limit)])


def read_kind(sources: Iterable[str], trained: Trained, limit: int, channels: int) -> np.ndarray:
    """As `read_images`, with other channels than the model's images have: what goes into one that transforms."""
    import numpy as np

    reading = {**reading_of(trained), "channels": channels}
    return np.stack([image for source in sources for image in _images(source, reading, limit)])


def read_sized(sources: Iterable[str], trained: Trained, shape: tuple[int, int, int]) -> np.ndarray:
    """As `read_images`, brought to (c, h, w): what becomes of the model's pictures when they are degraded.

    All of a folder, and 16 of built-in data.
    """
    import numpy as np

    reading = {**reading_of(trained), "resolution": f"{shape[1]}x{shape[2]}", "channels": shape[0]}
    return np.stack([image for source in sources for image in _images(source, reading, _all_of(source))])


def _all_of(source: str) -> int:
    return 16 if source.startswith("builtin:") else sys.maxsize


def read_masks(sources: Iterable[str], trained: Trained) -> np.ndarray:
    """Image files as masks, (N, H, W) bool: True where lighter than half gray. Cut and scaled as images are."""
    import numpy as np

    reading = {**reading_of(trained), "channels": 1, "background": "black"}
    return np.stack([image[..., 0] >= 128 for source in sources for image in _images(source, reading, 1)])


def _images(source: str, reading: Mapping[str, Any], limit: int) -> Iterator[np.ndarray]:
    """The images of one source, (H, W, C) uint8 each."""
    import numpy as np

    from ..config import from_dict
    from ..data import DataConfig, open_data
    from ..data.config import parse_colour, parse_resolution
    from ..images.read import decode
    from ..images.resize import fit

    if limit < 1:
        raise ConfigError(f"-n {limit} takes no image of {source}; use 1 or more")
    config = from_dict(DataConfig, reading, where="data")
    if source.startswith("builtin:") or Path(source).is_dir():
        dataset = open_data(source, config, split=None)
        yield from dataset.batch(np.arange(min(limit, len(dataset)))).image
        return
    size = parse_resolution(config.resolution)
    assert size is not None
    background = parse_colour(config.background)
    image = decode(Path(source), channels=config.channels, background=background)
    yield fit(image, *size, how=config.fit, background=background)
