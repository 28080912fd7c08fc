"""`limner compose`: several pictures in one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .output import Answer, Common, lines

if TYPE_CHECKING:
    import numpy as np

PLAIN = Common()


@Parameter(name="*")
@dataclass(frozen=True)
class Ways:
    """How the pictures come together."""

    mask: Annotated[Path | None, Parameter(help="White is where the second image is laid over the first.")] = None
    how: Annotated[
        Literal["alpha", "pyramid", "poisson"] | None, Parameter(help="How it is joined; pyramid by default.")
    ] = None
    harmonise: Annotated[float | None, Parameter(help="0 (the default) keeps its colours, 1 takes those around.")] = (
        None
    )
    panorama: Annotated[bool, Parameter(show_default=False, help="Join overlapping images from left to right.")] = False
    seamless: Annotated[bool, Parameter(show_default=False, help="Make a texture that tiles of one image.")] = False
    mix: Annotated[Path | None, Parameter(help="A run that encodes: one picture between all images.")] = None
    captions: Annotated[list[str] | None, Parameter(consume_multiple=True, help="A line for each image.")] = None
    columns: Annotated[int | None, Parameter(help="Images in a row.")] = None


USUAL = Ways()


def compose(
    *images: Annotated[str, Parameter(help="A layout, .toml or .json; or image files.")],
    ways: Ways = USUAL,
    out: Annotated[Path | None, Parameter(help="PNG file; by default composed-1.png, -2, …")] = None,
    overwrite: Annotated[bool, Parameter(show_default=False, help="Replace a picture that is there.")] = False,
    common: Common = PLAIN,
) -> Answer:
    """Make one picture of several: by a layout, by a mask, as a panorama, a texture, a mixture, or a storyboard."""
    if not images:
        raise ConfigError("say which images or which layout: limner compose LAYOUT|IMAGES…")
    target = out if out is not None else places.free(Path("."), "composed").with_suffix(".png")
    if target.suffix.lower() != ".png":
        raise ConfigError(f"--out {target}: let the name end in .png")
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} exists; choose another place, or say --overwrite")
    made = _made(images, ways)
    from .. import durable
    from ..images.metadata import encode_png

    durable.make_folder(target.parent)
    durable.write_file(target, encode_png(made))
    values = {"out": str(target), "height": made.shape[0], "width": made.shape[1]}
    return Answer(values, lines(str(target), {"size": f"{made.shape[0]}x{made.shape[1]}"}))


def _made(images: tuple[str, ...], ways: Ways) -> np.ndarray:
    import numpy as np

    from ..tasks import compose as task

    asked = [name for name in ("mask", "panorama", "seamless", "mix") if getattr(ways, name)]
    layout = len(images) == 1 and Path(images[0]).suffix.lower() in (".toml", ".json")
    _check_heeded(ways, "layout" if layout else (asked or ["storyboard"])[0])
    if layout:
        return task.compose(task.Layout.read(Path(images[0])))
    if ways.mix is not None:
        from .latent import load
        from .pictures import read_images

        trained = load(ways.mix, "auto")
        return trained.mix(read_images(images, trained, 16))
    pictures = [_read(Path(image)) for image in images]
    if ways.mask is not None:
        return _masked(pictures, ways)
    if ways.seamless:
        if len(pictures) != 1:
            raise ConfigError(f"--seamless takes one image, not {len(pictures)}")
        return task.tiling(pictures[0])
    if ways.panorama:
        return task.side_by_side(pictures)
    return np.asarray(task.storyboard(pictures, ways.captions or (), columns=ways.columns))


# which flags each way to make one picture heeds, beside the one that asks for it
_HEEDED: dict[str, tuple[str, ...]] = {
    "layout": (),
    "mask": ("how", "harmonise"),
    "panorama": (),
    "seamless": (),
    "mix": (),
    "storyboard": ("captions", "columns"),
}


def _check_heeded(ways: Ways, way: str) -> None:
    """Raise ConfigError for the first flag that would change nothing."""
    for field in fields(Ways):
        if getattr(ways, field.name) != field.default and field.name not in (way, *_HEEDED[way]):
            other = {"layout": "a layout, which says all itself", "storyboard": "a storyboard"}.get(way, f"--{way}")
            raise ConfigError(f"--{field.name} does not go with {other}; leave one of them out")


def _masked(pictures: list[np.ndarray], ways: Ways) -> np.ndarray:
    from ..images.colour import with_channels
    from ..images.read import decode
    from ..tasks.compose import joined

    if len(pictures) != 2:
        raise ConfigError(f"--mask joins two images, the lower and the upper one, not {len(pictures)}")
    assert ways.mask is not None
    mask = decode(ways.mask, channels=1, background=(0, 0, 0))[..., 0] / 255.0
    if ways.harmonise is not None and not 0 <= ways.harmonise <= 1:
        raise ConfigError(f"--harmonise {ways.harmonise} is not from 0 to 1")
    under, over = with_channels(pictures[0], 3), with_channels(pictures[1], 4)
    if over.shape[:2] == mask.shape:  # what is transparent in the upper one is not laid over the lower one
        mask = mask * (over[..., 3] / 255.0)
    return joined(under, over[..., :3], mask, how=ways.how or "pyramid", harmonise=ways.harmonise or 0.0)


def _read(path: Path) -> np.ndarray:
    from ..images.read import decode

    if not path.is_file():
        raise ConfigError(f"{path} is not there")
    return decode(path)
