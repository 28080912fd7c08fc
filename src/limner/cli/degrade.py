"""`limner degrade`: good pictures made worse, as restorers are trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .batch import each
from .output import Answer, Common

PLAIN = Common()


def degrade(
    *images: Annotated[str, Parameter(help="Image files, or folders of them.")],
    chain: Annotated[str, Parameter(name="--with", help="What is done to them: blur:2,noise:10,jpeg:40 …")],
    seed: Annotated[int, Parameter(help="Of what is drawn; picture k of a seed is always degraded alike.")] = 0,
    out: Annotated[Path | None, Parameter(help="Folder for the pictures, under their own names, as PNG.")] = None,
    overwrite: Annotated[bool, Parameter(show_default=False, help="Replace pictures that are already there.")] = False,
    common: Common = PLAIN,
) -> Answer:
    """Degrade IMAGES by a chain, in the order of their names."""
    if not images:
        raise ConfigError("say which images: limner degrade IMAGES… --with CHAIN, files or folders")
    import numpy as np

    from .. import durable
    from ..images.compose import finished
    from ..images.degrade import parse
    from ..images.files import pictures_in
    from ..images.metadata import encode_png
    from ..images.read import decode
    from ..rng import generator

    degradation = parse(chain)
    paths = pictures_in(images)
    folder = out if out is not None else places.free(Path("degraded"), places.plain_name(chain))
    targets = places.targets(paths, folder, overwrite=overwrite)
    place_of = {
        target: place for place, target in enumerate(targets)
    }  # each is degraded alike, whatever fails beside it

    def work(path: Path, target: Path) -> Path:
        picture = decode(path)
        height, width = (side // degradation.scale * degradation.scale for side in picture.shape[:2])
        if not height or not width:
            raise ConfigError(f"{path} is {picture.shape[0]}x{picture.shape[1]}, too small for {chain}")
        made = degradation(picture[None, :height, :width], generator(seed, "degrade", place_of[target]))[0]
        shown = made[..., : made.shape[2] - len(degradation.maps)]
        durable.make_folder(folder)
        durable.write_file(target, encode_png(finished(np.asarray(shown, np.float64))))
        return target

    batch = each(paths, targets, work, common)
    values = {"pictures": len(batch.made), "out": str(folder), "with": chain, "seed": seed}
    return batch.answer(f"{len(batch.made):,} degraded pictures", values, {"folder": folder})
