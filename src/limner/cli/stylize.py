"""`limner stylize`: pictures in the manner of others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .batch import each, refuse
from .latent import Device, load
from .output import Answer, Common, note

if TYPE_CHECKING:
    import numpy as np

PLAIN = Common()
_LARGEST = 512  # pixels of the longer side, unless told otherwise: the time grows with the picture


@Parameter(name="*")
@dataclass(frozen=True)
class Ways:
    """How pictures are stylised."""

    style: Annotated[
        list[str] | None, Parameter(consume_multiple=True, help="Pictures whose manner is taken, all together.")
    ] = None
    weights: Annotated[
        list[float] | None, Parameter(consume_multiple=True, help="How much of each style; evenly by default.")
    ] = None
    strength: Annotated[
        float | None, Parameter(help="0 keeps the picture, 1 is all style; 0.7, or 1 with a model, by default.")
    ] = None
    keep_colour: Annotated[bool, Parameter(show_default=False, help="Keep the picture's own colours.")] = False
    statistics: Annotated[
        Literal["gram", "transport", "moments", "whitening"], Parameter(help="What is taken of a style.")
    ] = "gram"
    features: Annotated[
        str, Parameter(help="Network that looks: lite0, random, or vgg19:FILE with weights that you have.")
    ] = "lite0"
    steps: Annotated[int, Parameter(help="Of the optimiser, at each size.")] = 120
    size: Annotated[int, Parameter(help="Pixels of the longer side; 0 for the picture's own.")] = _LARGEST
    model: Annotated[Path | None, Parameter(help="A run of stylenet: its style, at any size, at once.")] = None
    device: Device = "auto"


USUAL = Ways()


def stylize(
    *images: Annotated[str, Parameter(help="Image files, or folders of them.")],
    ways: Ways = USUAL,
    out: Annotated[Path | None, Parameter(help="Folder for the pictures, under their own names, as PNG.")] = None,
    overwrite: Annotated[bool, Parameter(show_default=False, help="Replace pictures that are already there.")] = False,
    common: Common = PLAIN,
) -> Answer:
    """Draw IMAGES in the manner of other pictures, or of the one that a model was trained on."""
    if not images:
        raise ConfigError("say which images: limner stylize IMAGES… --style PICTURE, or --model RUN")
    if (ways.model is None) == (ways.style is None):
        raise ConfigError(
            "say either whose manner to take, --style PICTURE…, or which model has learned one, --model RUN"
        )
    from .. import durable
    from ..images.files import pictures_in
    from ..images.metadata import encode_png
    from ..images.read import decode

    if ways.size < 0:
        raise ConfigError(f"--size {ways.size} is negative; use 0 for the pictures' own size, or for example 512")
    paths = pictures_in(images)
    folder = (
        out if out is not None else places.free(Path("stylized"), places.name_of(ways.model or (ways.style or [""])[0]))
    )
    targets = places.targets(paths, folder, overwrite=overwrite)
    draw = _by_model(ways) if ways.model is not None else _by_optimiser(ways, common)

    def work(path: Path, target: Path) -> Path:
        note(common, f"{path.name} …")
        made = draw(decode(path))
        durable.make_folder(folder)
        durable.write_file(target, encode_png(made))
        return target

    batch = each(paths, targets, work, common)
    values = {"pictures": len(batch.made), "out": str(folder)}
    return batch.answer(f"{len(batch.made):,} stylised pictures", values, {"folder": folder})


def _by_model(ways: Ways):
    """A function of a picture: the model's style, as much of it as was asked for."""
    import numpy as np

    from ..images.colour import with_channels
    from ..images.compose import finished

    assert ways.model is not None
    said = "its model has learned one style, and how to draw it"
    refuse(ways, USUAL, ("weights", "keep_colour", "statistics", "features", "steps", "size"), said)
    trained = load(ways.model, ways.device)
    share = 1.0 if ways.strength is None else ways.strength
    if not 0 <= share <= 1:
        raise ConfigError(f"--strength {share} is not from 0 to 1")
    if trained.name != "stylenet":
        raise ConfigError(
            f"{trained.name} has learned no style; train one: limner train stylenet PHOTOS --set style=PICTURE"
        )

    def draw(picture: np.ndarray) -> np.ndarray:
        plain = with_channels(picture, 3)
        made = trained.restore(plain)
        return finished(plain + share * (made.astype(np.float64) - plain))

    return draw


def _by_optimiser(ways: Ways, common: Common):
    """A function of a picture: drawn in the manner of the styles."""
    from ..images.read import decode
    from ..images.resize import fit
    from ..tasks.stylize import Manner
    from ..tasks.stylize import stylize as task

    name, _, weights = ways.features.partition(":")
    strength = Manner.strength if ways.strength is None else ways.strength
    manner = Manner(ways.statistics, strength, ways.keep_colour, ways.steps, name, weights or None)
    styles = [decode(Path(style)) for style in ways.style or ()]

    def draw(picture: np.ndarray) -> np.ndarray:
        longest = max(picture.shape[:2])
        if ways.size and longest > ways.size:
            scale = ways.size / longest
            height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
            picture = fit(picture, height, width, how="squash")
        return task(picture, styles, shares=ways.weights, manner=manner, say=lambda text: note(common, f"  {text}"))

    return draw
