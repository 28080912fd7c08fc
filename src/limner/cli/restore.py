"""`limner upscale`, `denoise`, `deblur`, `colorize` and `restore`: pictures of any size, made better by a model.

They are one command under five names, each of which refuses a model that was trained for something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .batch import each, refuse
from .latent import Device, load, made_by
from .output import Answer, Common, lines, note

if TYPE_CHECKING:
    import numpy as np

    from ..trained import Trained
    from ..types import DataSpec

PLAIN = Common()
_SHEET = 6  # pictures on the sheet
_ERROR = ".error.png"  # ending of the files that say how far off a picture may be
_CROP = 256  # pixels of each that it shows

Images = Annotated[str, Parameter(help="Image files, or folders of them.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """How pictures are restored, and where they go."""

    model: Annotated[Path | None, Parameter(help="A run, one of its checkpoints, or a model folder.")] = None
    out: Annotated[Path | None, Parameter(help="Folder for the pictures, under their own names, as PNG.")] = None
    level: Annotated[float | None, Parameter(help="Strength of the noise, 0 to 255; estimated by default.")] = None
    tile: Annotated[int, Parameter(help="Pixels of a tile's side; 0 takes each picture at once.")] = 256
    ensemble: Annotated[bool, Parameter(show_default=False, help="Slower and better: eight views of each.")] = False
    half: Annotated[bool, Parameter(show_default=False, help="Compute in bf16: faster on newer processors.")] = False
    consistent: Annotated[
        bool, Parameter(show_default=False, help="Make the result, shrunk again, equal what was given.")
    ] = False
    uncertainty: Annotated[
        bool, Parameter(show_default=False, help="Write how far off each pixel may be, as NAME.error.png.")
    ] = False
    undo: Annotated[
        str | None,
        Parameter(name="--as", help="For diffusion models, which need no training: upscale:2, colorize, deblur:1.5."),
    ] = None
    seed: Annotated[int, Parameter(help="Of what a diffusion model draws.")] = 0
    overwrite: Annotated[bool, Parameter(show_default=False, help="Replace pictures that are already there.")] = False
    device: Device = "auto"


NOTHING = Asked()


def upscale(*images: Images, asked: Asked = NOTHING, common: Common = PLAIN) -> Answer:
    """Enlarge IMAGES by the factor that the model was trained for."""
    return _restored("upscale", images, asked, common)


def denoise(*images: Images, asked: Asked = NOTHING, common: Common = PLAIN) -> Answer:
    """Remove the noise of IMAGES."""
    return _restored("denoise", images, asked, common)


def deblur(*images: Images, asked: Asked = NOTHING, common: Common = PLAIN) -> Answer:
    """Sharpen blurred IMAGES."""
    return _restored("deblur", images, asked, common)


def colorize(*images: Images, asked: Asked = NOTHING, common: Common = PLAIN) -> Answer:
    """Give gray IMAGES colours."""
    return _restored("colorize", images, asked, common)


def restore(*images: Images, asked: Asked = NOTHING, common: Common = PLAIN) -> Answer:
    """Repair IMAGES as the model was trained to."""
    return _restored("restore", images, asked, common)


def _restored(task: str, images: tuple[str, ...], asked: Asked, common: Common) -> Answer:
    if not images:
        raise ConfigError(f"say which images: limner {task} IMAGES… --model RUN, files or folders")
    if asked.model is None:
        raise ConfigError(f"say which model: limner {task} IMAGES… --model RUN; to train one: {_TRAIN[task]}")
    from ..images.files import pictures_in
    from ..model import Denoises, Transforms
    from ..tasks.generate import need

    trained = load(asked.model, asked.device)
    if asked.undo is not None or isinstance(trained.network, Denoises):
        return _solved(task, trained, images, asked)
    need(trained.network, Transforms)
    _check_trained_for(task, trained)
    _check_heeded(trained, asked)
    paths = pictures_in(images)
    folder = asked.out or places.free(Path(_FOLDER[task]), places.name_of(asked.model))
    targets = places.targets(paths, folder, overwrite=asked.overwrite)
    if asked.uncertainty:
        places.targets(paths, folder, ending=_ERROR, beside=targets, overwrite=asked.overwrite)
    batch = each(paths, targets, _worker(trained, asked, common), common)
    sheet = places.sheet_of(folder, overwrite=asked.overwrite)
    _write_sheet(batch.made[:_SHEET], sheet)
    values = {**made_by(trained), "task": task, "pictures": len(batch.made), "out": str(folder), "sheet": str(sheet)}
    return batch.answer(f"{len(batch.made):,} pictures by {trained.name}", values, {"folder": folder, "sheet": sheet})


def _check_heeded(trained: Trained, asked: Asked) -> None:
    """Raise ConfigError for a flag that this model could not follow, before any picture is read."""
    from ..tasks.restore import Told

    if asked.level is not None and "noise" not in trained.data.maps:
        refuse(asked, NOTHING, ("level",), f"{trained.name} is not told how strong the noise is")
    Told(asked.level)
    refuse(asked, NOTHING, ("seed",), f"{trained.name} draws nothing; it is for diffusion models")
    if trained.data.scale == 1:
        refuse(asked, NOTHING, ("consistent",), f"{trained.name} does not enlarge")
    if not getattr(trained.network.config, "uncertainty", False):
        refuse(asked, NOTHING, ("uncertainty",), "it predicts no errors; train one with --set uncertainty=true")


def _solved(task: str, trained: Trained, images: tuple[str, ...], asked: Asked) -> Answer:
    """Restore at the model's own size with a diffusion model, which was trained for nothing of the kind."""
    import numpy as np

    from ..tasks.solve import KINDS, degradation_of
    from .pictures import Where, read_sized, write

    if asked.undo is None:
        raise ConfigError(f"{trained.name} restores without training, but must be told what: --as {KINDS}")
    refuse(asked, NOTHING, ("level", "tile", "ensemble", "half", "consistent", "uncertainty"),
           "diffusion models take pictures of their own size, as a whole")  # fmt: skip
    _, shape = degradation_of(trained.network, asked.undo)
    undoes = asked.undo.partition(":")[0]
    if task not in (undoes, "restore"):
        raise ConfigError(f"limner {task} --as {asked.undo} asks for two things; use limner {undoes} or limner restore")
    assert asked.model is not None
    folder = asked.out or places.free(Path("restored"), places.name_of(asked.model))
    taken = read_sized(images, trained, shape)
    where = Where(folder, None, asked.overwrite)
    where.check_free(range(len(taken)))
    made = trained.solve(taken, asked.undo, seed=asked.seed)
    write([made], where)
    rows = [pair for before, after in zip(taken, made.images, strict=True) for pair in _sized(before, after)]
    sheet = places.sheet_of(folder, overwrite=asked.overwrite)
    _sheet(np.stack(rows[: 2 * _SHEET]), sheet)
    values = {**made_by(trained), "as": asked.undo, "seed": asked.seed, "pictures": len(taken), "out": str(folder)}
    facts = {"folder": folder, "sheet": sheet}
    return Answer({**values, "sheet": str(sheet)}, lines(f"{len(taken):,} pictures by {trained.name}", facts))


def _sized(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in three channels and of one size."""
    from ..images.colour import with_channels

    scale = after.shape[0] // before.shape[0]
    before, after = with_channels(before, 3), with_channels(after, 3)
    return before.repeat(scale, axis=0).repeat(scale, axis=1), after


_FOLDER = {
    "upscale": "upscaled",
    "denoise": "denoised",
    "deblur": "deblurred",
    "colorize": "colorized",
    "restore": "restored",
}
_TRAIN = {
    "upscale": "limner train srnet PHOTOS --degrade down:2",
    "denoise": "limner train denoiser PHOTOS",
    "deblur": "limner train nafnet PHOTOS --degrade blur:1-3,noise:2",
    "colorize": "limner train nafnet PHOTOS --degrade gray",
    "restore": "limner train nafnet PHOTOS --degrade old",
}


def _check_trained_for(task: str, trained: Trained) -> None:
    """Raise ConfigError where the model was trained for something else than the command says."""
    data = trained.data
    fits = {
        "upscale": data.scale > 1,
        "denoise": data.scale == 1 and any(word in data.degrade for word in ("noise", "poisson", "camera", "jpeg")),
        "deblur": data.scale == 1 and any(word in data.degrade for word in ("blur", "motion", "defocus")),
        "colorize": data.channels == 3 and _colours(data) == 1 and "edges" not in data.degrade,
        "restore": True,
    }
    if not fits[task]:
        raise ConfigError(
            f"{trained.name} was trained on {data.degrade or 'pairs'}, not to {task}; train one: {_TRAIN[task]}; "
            f"or use it as it is: limner restore"
        )


def _colours(data: DataSpec) -> int:
    return data.source_channels - len(data.maps)


def _error_file(target: Path) -> Path:
    return target.with_name(f"{target.stem}{_ERROR}")


def _worker(trained: Trained, asked: Asked, common: Common) -> Callable[[Path, Path], tuple[np.ndarray, np.ndarray]]:
    """What restores and writes one picture, and gives a crop of it before and after."""
    from .. import durable
    from ..images.read import decode
    from ..tasks import restore as task
    from ..tasks.apply import How

    how, told = How(asked.tile, asked.ensemble, asked.half), task.Told(asked.level)

    def work(path: Path, target: Path) -> tuple[np.ndarray, np.ndarray]:
        picture = decode(path)
        note(common, f"{path.name}: {picture.shape[0]}x{picture.shape[1]}")
        crop = _Crop(picture, trained.data.scale)
        made = task.png(trained.network, picture, told, how, consistent=asked.consistent, see=crop.see)
        durable.make_folder(target.parent)
        durable.write_file(target, made)
        if asked.uncertainty:
            durable.write_file(_error_file(target), task.error_png(trained.network, picture, told, how))
        return crop.before, crop.after

    return work


class _Crop:
    """The middle of a picture, (h, w, 3) uint8 before, pixels repeated to the new size, and after.

    What comes after is seen in bands of rows: the whole of it may be too large to hold.
    """

    def __init__(self, picture: np.ndarray, scale: int) -> None:
        import numpy as np

        from ..images.colour import with_channels

        side = max(1, _CROP // scale)
        self._top, self._left = (scale * max(0, (length - side) // 2) for length in picture.shape[:2])
        top, left = self._top // scale, self._left // scale
        part = with_channels(picture[top : top + side, left : left + side], 3)
        self.before = part.repeat(scale, axis=0).repeat(scale, axis=1)[:_CROP, :_CROP]
        self.after = np.zeros_like(self.before)

    def see(self, row: int, band: np.ndarray) -> None:
        """Keep what of a band, whose first row is number `row`, lies in the crop."""
        from ..images.colour import with_channels

        height, width = self.after.shape[:2]
        first, last = max(row, self._top), min(row + len(band), self._top + height)
        if first < last:
            part = with_channels(band[first - row : last - row, self._left : self._left + width], 3)
            self.after[first - self._top : last - self._top] = part


def _write_sheet(rows: list[tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Before and after side by side, a row for each picture."""
    import numpy as np

    cells = np.full((2 * len(rows), _CROP, _CROP, 3), 255, np.uint8)
    for place, crop in enumerate(crop for row in rows for crop in row):
        cells[place, : crop.shape[0], : crop.shape[1]] = crop
    _sheet(cells, path)


def _sheet(cells: np.ndarray, path: Path) -> None:
    from .pictures import write_grid

    write_grid(cells, path, columns=2)
