"""What is judged: a model, by the images that it makes, or a folder of images that anyone's generator made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bundle import Bundle
from ..config import from_dict
from ..data import DataConfig, open_data
from ..errors import BadImage
from ..images.read import inspect
from ..tasks import generate
from ..types import DataSpec
from . import sides
from .material import ImageSet

LARGEST = 1024  # pixels a side: a folder of larger images is judged at this size unless told otherwise
LOOKED_AT = 64  # files whose size is read to see at which size a folder is judged
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


@dataclass(frozen=True)
class Subject:
    """A model or a folder, and how real images are brought to the shape of its own.

    name      for tables and pages
    readings  how the real side may be read, the best first: as in training, which alone tells the same data again, or
              brought to the shape of the images that are judged
    digest    of the data set that the model was trained on; None when unknown
    about     facts for people
    bundle    the model; None for a folder
    images    of a folder, when there is no model to make them
    """

    name: str
    readings: tuple[DataConfig, ...]
    digest: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    bundle: Bundle | None = None
    images: ImageSet | None = None

    def generated(
        self, n: int, *, seed: int, options: Mapping[str, Any], progress: Callable[[int, int], None] | None = None
    ) -> ImageSet:
        """`n` images of a model, or up to `n` of a folder."""
        if self.bundle is not None:
            chosen = generate.options_of(self.bundle.model, options)
            return sides.sampled(self.bundle.model, self.bundle.bank, n, seed=seed, options=chosen, progress=progress)
        assert self.images is not None
        return self.images

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images that are judged."""
        if self.bundle is not None:
            return self.bundle.model.data.shape
        assert self.images is not None
        height, width, channels = self.images.images.shape[1:]
        return (channels, height, width)


def of_model(bundle: Bundle, *, name: str, reading: Mapping[str, Any], digest: str | None) -> Subject:
    """A model; `reading` is how its training images were read, as far as that is known."""
    spec: DataSpec = bundle.model.data
    shape = {"resolution": f"{spec.height}x{spec.width}", "channels": spec.channels}
    kept = {key: reading[key] for key in ("fit", "background") if key in reading}
    same = {key: value for key, value in reading.items() if key != "path"}
    readings = [from_dict(DataConfig, values, where="data") for values in (same, kept | shape) if values]
    about = {"model": bundle.model.name, "model_sha256": bundle.sha256[:16], **_short(bundle.about)}
    return Subject(name, tuple(readings), digest, about, bundle=bundle)


def of_folder(path: Path, config: DataConfig) -> Subject:
    """A folder of images, judged at the size that most of them have unless `config` names one."""
    if config.resolution is None:
        config = replace(config, resolution=common_size(path))
    dataset = open_data(path, config, split=None)
    config = replace(config, resolution=f"{dataset.spec.height}x{dataset.spec.width}", channels=dataset.spec.channels)
    images = sides.of_dataset(dataset)
    return Subject(str(path), (config,), about={"images": len(images)}, images=images)


def common_size(path: Path) -> str | None:
    """The size that most of the first images of a folder have, as `HxW`; None when that cannot be told."""
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES) if path.is_dir() else []
    sizes: Counter[tuple[int, int]] = Counter()
    for file in files[:LOOKED_AT]:
        try:
            seen = inspect(file)
        except BadImage:
            continue
        sizes[(min(seen.height, LARGEST), min(seen.width, LARGEST))] += 1
    if not sizes:
        return None
    (height, width), _ = sizes.most_common(1)[0]
    return f"{height}x{width}"


def _short(about: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("dataset", "images_in_dataset", "steps", "images_shown", "weights", "minutes", "seed")
    return {key: about[key] for key in kept if about.get(key) not in (None, "")}
