"""`limner compress` and `decompress`: pictures as small files, by a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .latent import Device, load, made_by
from .output import Answer, Common, lines

if TYPE_CHECKING:
    import numpy as np

PLAIN = Common()
ENDING = ".lim"

Model = Annotated[Path, Parameter(help="A run, one of its checkpoints, or a model folder.")]
Out = Annotated[Path | None, Parameter(help="Folder for the files, under the images' names.")]
Overwrite = Annotated[bool, Parameter(show_default=False, help="Replace files that are already there.")]


def compress(
    *images: Annotated[str, Parameter(help="Image files, or folders of them.")],
    model: Model,
    step: Annotated[float, Parameter(help="Coarseness of latents, for models that are no codecs.")] = 1.0,
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
    from ..images.lossy import smallest_above
    from ..images.read import decode
    from ..tasks import codec

    trained = load(model, device)
    paths = pictures_in(images)
    folder = out if out is not None else places.free(Path("compressed"), places.name_of(model))
    targets = places.targets(paths, folder, ending=ENDING, overwrite=overwrite)
    found = []
    for path, target in zip(paths, targets, strict=True):
        picture = with_channels(decode(path), trained.data.channels)
        packed = codec.compress(trained.network, trained.sha256, picture, step=step)
        made = codec.decompress(trained.network, trained.sha256, packed.data)
        durable.make_folder(target.parent)
        durable.write_file(target, packed.data)
        row = {"image": path.name, "bytes": len(packed.data), "bits_per_pixel": round(packed.bits, 4)}
        row["psnr"] = _decibels(made, picture)
        for kind in ("jpeg", "webp"):
            size, other = smallest_above(picture, kind, len(packed.data))
            row[kind] = {"bytes": size, "psnr": _decibels(other, with_channels(picture, other.shape[2]))}
        found.append(row)
    facts = {str(row["image"]): _said(row) for row in found}
    title = f"{len(found):,} files by {trained.name} in {folder}"
    return Answer({**made_by(trained), "out": str(folder), "files": found}, lines(title, facts))


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
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise DataError(f"{missing} is not there")
    folder = out if out is not None else places.free(Path("decompressed"), places.name_of(model))
    targets = places.targets(paths, folder, overwrite=overwrite)
    for path, target in zip(paths, targets, strict=True):
        picture = codec.decompress(trained.network, trained.sha256, path.read_bytes())
        durable.make_folder(target.parent)
        durable.write_file(target, encode_png(picture))
    values = {**made_by(trained), "out": str(folder), "pictures": len(paths)}
    return Answer(values, lines(f"{len(paths):,} pictures by {trained.name}", {"folder": folder}))


def _decibels(made: np.ndarray, picture: np.ndarray) -> float:
    """Of one picture; 99 where it is exact to the last bit."""
    from ..metrics.psnr import psnr

    return min(99.0, round(float(psnr(made[None], picture[None])[0]), 2))


def _said(row: dict) -> str:
    others = ", ".join(f"{kind} {row[kind]['psnr']:.1f} dB in {row[kind]['bytes']:,}" for kind in ("jpeg", "webp"))
    return f"{row['bytes']:,} bytes, {row['bits_per_pixel']:.3f} bits a pixel, {row['psnr']:.1f} dB ({others})"
