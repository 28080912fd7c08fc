"""`limner compress` and `decompress`: pictures as small files, by a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .batch import each
from .latent import Device, load, made_by
from .output import Answer, Common

if TYPE_CHECKING:
    import numpy as np

PLAIN = Common()
ENDING = ".lim"
STEP = 1.0

Model = Annotated[Path, Parameter(help="A run, one of its checkpoints, or a model folder.")]
Out = Annotated[Path | None, Parameter(help="Folder for the files, under the images' names.")]
Overwrite = Annotated[bool, Parameter(show_default=False, help="Replace files that are already there.")]


def compress(
    *images: Annotated[str, Parameter(help="Image files, or folders of them.")],
    model: Model,
    step: Annotated[float, Parameter(help="Coarseness of latents, for models that are no codecs.")] = STEP,
    out: Out = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    common: Common = PLAIN,
) -> Answer:
    """Write IMAGES as files that the same model reads; says what they cost beside JPEG and WebP of no fewer bytes."""
    if not images:
        raise ConfigError("say which images: limner compress IMAGES… --model RUN, files or folders")
    from .. import durable
    from ..images.colour import with_channels
    from ..images.files import pictures_in
    from ..images.lossy import can_hold, smallest_above
    from ..images.read import decode
    from ..tasks import codec

    trained = load(model, device)
    paths = pictures_in(images)
    folder = out if out is not None else places.free(Path("compressed"), places.name_of(model))
    targets = places.targets(paths, folder, ending=ENDING, overwrite=overwrite)
    if step != STEP and hasattr(trained.network, "to_symbols"):
        raise ConfigError(f"--step {step:g} is for models that are no codecs; {trained.name} has learned its own")

    def work(path: Path, target: Path) -> dict:
        picture = with_channels(decode(path), trained.data.channels)
        packed = codec.compress(trained.network, trained.sha256, picture, step=step)
        made = codec.decompress(trained.network, trained.sha256, packed.data)
        durable.make_folder(target.parent)
        durable.write_file(target, packed.data)
        row = {"image": path.name, "bytes": len(packed.data), "bits_per_pixel": round(packed.bits, 4)}
        row["psnr"] = _decibels(made, picture)
        for kind in ("jpeg", "webp"):
            if not can_hold(picture, kind):
                continue
            size, other = smallest_above(picture, kind, len(packed.data))
            row[kind] = {"bytes": size, "psnr": _decibels(other, with_channels(picture, other.shape[2]))}
        return row

    batch = each(paths, targets, work, common)
    facts = {str(row["image"]): _said(row) for row in batch.made}
    title = f"{len(batch.made):,} files by {trained.name} in {folder}"
    return batch.answer(title, {**made_by(trained), "out": str(folder), "files": batch.made}, facts)


def decompress(
    *files: Annotated[str, Parameter(help="Files of `limner compress`.")],
    model: Model,
    out: Out = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    common: Common = PLAIN,
) -> Answer:
    """Make PNG pictures of FILES again, with the model that wrote them."""
    if not files:
        raise ConfigError("say which files: limner decompress FILES… --model RUN")
    from .. import durable
    from ..errors import DataError
    from ..images.metadata import encode_png
    from ..tasks import codec

    trained = load(model, device)
    paths = [Path(file) for file in files]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path} is {'a folder; name the files' if path.is_dir() else 'not there'}")
    folder = out if out is not None else places.free(Path("decompressed"), places.name_of(model))
    targets = places.targets(paths, folder, overwrite=overwrite)

    def work(path: Path, target: Path) -> Path:
        picture = codec.decompress(trained.network, trained.sha256, path.read_bytes())
        durable.make_folder(target.parent)
        durable.write_file(target, encode_png(picture))
        return target

    batch = each(paths, targets, work, common)
    values = {**made_by(trained), "out": str(folder), "pictures": len(batch.made)}
    return batch.answer(f"{len(batch.made):,} pictures by {trained.name}", values, {"folder": folder})


def _decibels(made: np.ndarray, picture: np.ndarray) -> float:
    """Of one picture; 99 where it is exact to the last bit."""
    from ..metrics.psnr import psnr

    return min(99.0, round(float(psnr(made[None], picture[None])[0]), 2))


def _said(row: dict) -> str:
    kinds = [kind for kind in ("jpeg", "webp") if kind in row]
    others = ", ".join(f"{kind} {row[kind]['psnr']:.1f} dB in {row[kind]['bytes']:,}" for kind in kinds)
    return f"{row['bytes']:,} bytes, {row['bits_per_pixel']:.3f} bits a pixel, {row['psnr']:.1f} dB ({others})"
