"""`limner translate`: pictures of one kind turned into another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .latent import COLUMNS, Device, alternating, load, made_by
from .output import Answer, Common, lines
from .pictures import Where, read_kind, write, write_grid
from .sample import parse_pairs

if TYPE_CHECKING:
    import numpy as np

PLACES = Where()
PLAIN = Common()


@Parameter(name="*")
@dataclass(frozen=True)
class Wanted:
    """What the pictures should become."""

    to: Annotated[str | None, Parameter(help="Class to show, by name or number, for models that change it.")] = None
    attribute: Annotated[list[str] | None, Parameter(help="Attribute to show, name=value.")] = None
    back: Annotated[bool, Parameter(show_default=False, help="Go the other way, with cyclegan.")] = False
    degrade: Annotated[
        bool, Parameter(show_default=False, help="IMAGES are what should come out: make sources of them first.")
    ] = False
    device: Device = "auto"


NOTHING = Wanted()


def translate(
    *images: Annotated[str, Parameter(help="Image files, folders, or builtin:openmoji and the like.")],
    model: Annotated[Path, Parameter(help="A run, one of its checkpoints, or a model folder.")],
    number: Annotated[int, Parameter(name=["--number", "-n"], help="Images to take of a folder or builtin:.")] = 16,
    wanted: Wanted = NOTHING,
    where: Where = PLACES,
    common: Common = PLAIN,
) -> Answer:
    """Turn IMAGES into the kind of pictures that the model makes; the grid shows each row of them above the new."""
    if not images:
        raise ConfigError("say which images: limner translate IMAGES… --model RUN, files or folders")
    from ..tasks.translate import check

    trained = load(model, wanted.device)
    check(trained.network)
    where = where.settled("translations", places.name_of(model))
    channels = trained.data.channels if wanted.degrade or wanted.back else trained.data.given_channels
    taken = read_kind(images, trained, number, channels)
    where.check_free(range(len(taken)))
    asked: dict[str, Any] = {
        "label": wanted.to,
        "attributes": parse_pairs("--attribute", wanted.attribute or ()) or None,
    }
    pictures = trained.translate(taken, **asked, back=wanted.back, degrade=wanted.degrade)
    written = write([pictures], Where(where.out, None, where.overwrite))
    if where.grid is not None:
        write_grid(alternating(*_alike(taken, pictures.images)), where.grid, columns=min(COLUMNS, len(taken)))
    values = {**made_by(trained), "pictures": len(taken), **where.values}
    return Answer(values, lines(f"{written.count:,} translations by {trained.name}", where.facts))


def _alike(above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in as many channels as can be shown together."""
    import numpy as np

    from ..images.colour import with_channels

    channels = max(above.shape[3], below.shape[3])
    above, below = (np.stack([with_channels(image, channels) for image in side]) for side in (above, below))
    return above, below
