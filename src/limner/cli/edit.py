"""`limner edit`, `inpaint` and `complete`: pictures changed or gone on with by a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .batch import each, refuse
from .latent import COLUMNS, Device, alternating, load, made_by
from .output import Answer, Common, lines
from .pictures import Where, read_images, read_masks, write, write_grid
from .sample import options_of, parse_pairs

if TYPE_CHECKING:
    import numpy as np

    from ..made import Pictures
    from ..trained import Trained

PLACES = Where()
PLAIN = Common()

Images = Annotated[str, Parameter(help="Image files, folders, or builtin:openmoji and the like.")]
Number = Annotated[int, Parameter(name=["--number", "-n"], help="Images to take of a folder or builtin:.")]
Model = Annotated[Path, Parameter(help="A run, one of its checkpoints, or a model folder.")]
Strength = Annotated[float, Parameter(help="Above 0, to 1: small keeps the images, 1 forgets them.")]
Masks = Annotated[list[str], Parameter(consume_multiple=True, help="Image files: white is the hole.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """What the new pictures should show, and how they are made."""

    seed: Annotated[int, Parameter(help="Another seed makes other pictures.")] = 0
    label: Annotated[str | None, Parameter(help="Class to show, by name or number.")] = None
    text: Annotated[str | None, Parameter(help="What to show, for models that read: 'a red apple'.")] = None
    attribute: Annotated[list[str] | None, Parameter(help="Attribute to show, name=value.")] = None
    set: Annotated[list[str] | None, Parameter(help="Option of sampling, name=value; see `limner models NAME`.")] = None
    device: Device = "auto"

    def of(self, trained: Trained) -> dict[str, Any]:
        """What `Trained.edit` and `Trained.inpaint` take from here."""
        attributes = parse_pairs("--attribute", self.attribute or ())
        asked = {"seed": self.seed, "label": self.label, "text": self.text, "attributes": attributes or None}
        return {**asked, **options_of(trained, self.set or ())}


NOTHING = Asked()


def edit(
    *images: Images,
    model: Model,
    strength: Strength = 0.6,
    number: Number = 16,
    asked: Asked = NOTHING,
    where: Where = PLACES,
    common: Common = PLAIN,
) -> Answer:
    """Make a variation of each of IMAGES; the grid shows each row of them above its variations."""
    from ..model import Denoises

    trained, taken = _given("edit", images, model, number, asked.device, Denoises)
    where = _settled(where, "edits", model, len(taken))
    pictures = trained.edit(taken, strength=strength, **asked.of(trained))
    return _answer("variations", trained, taken, pictures, where, {"seed": asked.seed, "strength": strength})


def inpaint(
    *images: Images,
    mask: Masks,
    model: Model,
    number: Number = 16,
    asked: Asked = NOTHING,
    where: Where = PLACES,
    common: Common = PLAIN,
) -> Answer:
    """Fill the holes of IMAGES that --mask says; the grid shows each row of them above the filled ones.

    A diffusion or token model fills images of its own size; one trained to fill holes takes them of any size.
    """
    from ..model import Denoises, Redraws

    if images and _fills(trained := load(model, asked.device)):
        said = f"{trained.name} fills each image at its own size with what surrounds the hole, and draws nothing"
        refuse(asked, NOTHING, ("seed", "label", "text", "attribute", "set"), said)
        refuse(where, PLACES, ("grid",), said)
        return _filled(trained, images, mask, model, where, common)
    _check_masks(images, mask)
    trained, taken = _given("inpaint", images, model, number, asked.device, Redraws, Denoises)
    masks = read_masks(mask, trained)
    if len(masks) not in (1, len(taken)):
        raise ConfigError(f"{len(masks)} masks for {len(taken)} images; give one for all, or one for each")
    where = _settled(where, "inpaintings", model, len(taken))
    pictures = trained.inpaint(taken, masks.repeat(len(taken) // len(masks), axis=0), **asked.of(trained))
    return _answer("filled pictures", trained, taken, pictures, where, {"seed": asked.seed})


def complete(
    *images: Images,
    model: Model,
    rows: Annotated[int | None, Parameter(help="Rows that are kept; by default the upper half.")] = None,
    number: Number = 16,
    asked: Asked = NOTHING,
    where: Where = PLACES,
    common: Common = PLAIN,
) -> Answer:
    """Draw all below the first rows of IMAGES anew; the grid shows each row of them above the completed ones."""
    from ..model import Completes

    trained, taken = _given("complete", images, model, number, asked.device, Completes)
    where = _settled(where, "completions", model, len(taken))
    pictures = trained.complete(taken, rows, **asked.of(trained))
    return _answer("completed pictures", trained, taken, pictures, where, {"seed": asked.seed})


def _fills(trained: Trained) -> bool:
    return "hole" in trained.data.maps


def _filled(
    trained: Trained, images: tuple[str, ...], masks: list[str], model: Path, where: Where, common: Common
) -> Answer:
    """Fill holes with a model that was trained to, each image at its own size and under its own name."""
    import numpy as np

    from .. import durable
    from ..images.files import pictures_in
    from ..images.metadata import encode_png
    from ..images.read import decode

    paths = pictures_in(images)
    if len(masks) not in (1, len(paths)):
        raise ConfigError(f"{len(masks)} masks for {len(paths)} images; give one for all, or one for each")
    folder = where.out or places.free(Path("inpaintings"), places.name_of(model))
    targets = places.targets(paths, folder, overwrite=where.overwrite)
    mask_of = dict(zip(targets, masks * (len(paths) // len(masks)), strict=True))

    def work(path: Path, target: Path) -> Path:
        hole = decode(Path(mask_of[target]), channels=1, background=(0, 0, 0))[..., 0] >= 128
        made = trained.restore(decode(path), mask=np.ascontiguousarray(hole))
        durable.make_folder(folder)
        durable.write_file(target, encode_png(made))
        return target

    batch = each(paths, targets, work, common)
    values = {**made_by(trained), "pictures": len(batch.made), "out": str(folder)}
    return batch.answer(f"{len(batch.made):,} filled pictures by {trained.name}", values, {"folder": folder})


def _check_masks(images: tuple[str, ...], masks: list[str]) -> None:
    """Raise ConfigError for a mask of another size than its image: cut and scaled alike, it would lie elsewhere."""
    from ..images.read import inspect

    for image, mask in zip(images, masks * len(images) if len(masks) == 1 else masks, strict=False):
        if Path(image).is_file() and Path(mask).is_file():
            one, other = inspect(Path(image)), inspect(Path(mask))
            if (one.width, one.height) != (other.width, other.height):
                raise ConfigError(
                    f"the mask {mask} is {other.width}x{other.height} and {image} is {one.width}x{one.height}; they "
                    f"must be of one size"
                )


def _given(
    command: str, images: tuple[str, ...], model: Path, number: int, device: str, *abilities: type
) -> tuple[Trained, np.ndarray]:
    """The model, and the images in its shape; one with none of the abilities is refused before they are read."""
    if not images:
        raise ConfigError(f"say which images: limner {command} IMAGES… --model RUN, files or folders")
    from ..tasks.generate import need

    trained = load(model, device)
    if not isinstance(trained.network, abilities):
        need(trained.network, abilities[-1])
    return trained, read_images(images, trained, number)


def _settled(where: Where, kind: str, model: Path, count: int) -> Where:
    where = where.settled(kind, places.name_of(model))
    where.check_free(range(count))
    return where


def _answer(
    what: str, trained: Trained, taken: np.ndarray, pictures: Pictures, where: Where, values: dict[str, Any]
) -> Answer:
    """Write the pictures, and the grid with the images that they were made of."""
    written = write([pictures], Where(where.out, None, where.overwrite))
    if where.grid is not None:
        write_grid(alternating(taken, pictures.images), where.grid, columns=min(COLUMNS, len(taken)))
    title = f"{written.count:,} {what} by {trained.name}"
    found = {**made_by(trained), **values, "pictures": written.count, **where.values}
    return Answer(found, lines(title, where.facts))
