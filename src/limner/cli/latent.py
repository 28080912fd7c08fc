"""`limner reconstruct`, `interpolate` and `traverse`: looking into the latent space of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .output import Answer, Common, lines
from .pictures import Where, read_images, write, write_grid
from .sample import Run, options_of

if TYPE_CHECKING:
    import numpy as np

    from ..trained import Trained

PLACES = Where()
PLAIN = Common()
COLUMNS = 8  # of a grid that shows images above what was made of them

Device = Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, mps …")]
Images = Annotated[list[str] | None, Parameter(consume_multiple=True, help="Image files to use instead.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Start:
    """Where in the latent space to start."""

    seed: Annotated[int, Parameter(help="Of the pictures that no image is given for.")] = 0
    images: Images = None
    set: Annotated[list[str] | None, Parameter(help="Option of sampling, name=value.")] = None
    device: Device = "auto"

    def load(self, run: Path) -> tuple[Trained, dict[str, Any]]:
        """The model, and what its `interpolate` and `traverse` take from here."""
        trained = load(run, self.device)
        images = read_images(self.images, trained, 1) if self.images else None
        options = options_of(trained, self.set) if self.set else {}
        return trained, {"seed": self.seed, "images": images, **options}


ORIGIN = Start()


def reconstruct(
    run: Run,
    /,
    *images: Annotated[str, Parameter(help="Image files, folders, or builtin:openmoji and the like.")],
    number: Annotated[int, Parameter(name=["--number", "-n"], help="Images to take of a folder or builtin:.")] = 16,
    device: Device = "auto",
    where: Where = PLACES,
    common: Common = PLAIN,
) -> Answer:
    """Encode IMAGES and decode them again; the grid shows each row of them above its reconstructions."""
    if not images:
        raise ConfigError("say which images: limner reconstruct RUN IMAGES…, files or folders or builtin:openmoji")
    trained = load(run, device)
    taken = read_images(images, trained, number)
    where = where.settled("reconstructions", places.name_of(run))
    where.check_free(range(len(taken)))
    rebuilt = trained.reconstruct(taken)
    written = write([rebuilt], Where(where.out, None, where.overwrite))
    if where.grid is not None:
        write_grid(alternating(taken, rebuilt.images), where.grid, columns=min(COLUMNS, len(taken)))
    noise = _psnr(taken, rebuilt.images)
    values = {**made_by(trained), "psnr": noise, "pictures": len(taken), **where.values}
    facts = {"psnr": f"{sum(noise) / len(noise):.1f} dB on average", **where.facts}
    return Answer(values, lines(f"{written.count:,} reconstructions by {trained.name}", facts))


def interpolate(
    run: Run,
    /,
    *,
    number: Annotated[int, Parameter(name=["--number", "-n"], help="Pictures of the seed to walk through.")] = 2,
    steps: Annotated[int, Parameter(help="Steps from one picture to the next.")] = 8,
    start: Start = ORIGIN,
    where: Where = PLACES,
    common: Common = PLAIN,
) -> Answer:
    """Walk through the latent space of RUN from one picture to the next, by great circles."""
    trained, ends = start.load(run)
    where = where.settled("interpolations", places.name_of(run))
    pictures = trained.interpolate(n=number, steps=steps, **ends)
    where.check_free(range(len(pictures)))
    written = write([pictures], Where(where.out, None, where.overwrite))
    if where.grid is not None:
        write_grid(pictures.images[_legs(len(pictures), steps)], where.grid, columns=steps + 1)
    title = f"{written.count:,} pictures on the way through {written.count // steps + 1} by {trained.name}"
    values = {**made_by(trained), "seed": start.seed, "pictures": written.count, **where.values}
    return Answer(values, lines(title, where.facts))


def traverse(
    run: Run,
    /,
    *,
    dimensions: Annotated[str | None, Parameter(help="Which, such as 0,1,2; the first ten by default.")] = None,
    limit: Annotated[float, Parameter(help="Each goes from -LIMIT to LIMIT.")] = 3.0,
    steps: Annotated[int, Parameter(help="Pictures in each row.")] = 9,
    start: Start = ORIGIN,
    where: Where = PLACES,
    common: Common = PLAIN,
) -> Answer:
    """Move along single dimensions of the latent of RUN: one row of pictures for each."""
    trained, origin = start.load(run)
    where = where.settled("traversals", places.name_of(run))
    pictures = trained.traverse(dimensions=_numbers(dimensions), limit=limit, steps=steps, **origin)
    where.check_free(range(len(pictures)))
    written = write([pictures], where, columns=steps)
    title = f"{written.count // steps} dimensions of {trained.name}, {steps} pictures each"
    return Answer({**made_by(trained), "seed": start.seed, **written.values}, lines(title, where.facts))


def load(run: Path, device: str) -> Trained:
    from .. import api

    return api.load(run, device=device)


def _numbers(text: str | None) -> list[int] | None:
    """`0,1,2` or `0-9` as numbers."""
    if text is None:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            raise ConfigError(f"--dimensions {text!r} is not a list of numbers; write for example 0,1,2 or 0-9")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def made_by(trained: Trained) -> dict[str, Any]:
    return {"model": trained.name, "model_sha256": trained.sha256}


def _legs(pictures: int, steps: int) -> list[int]:
    """Which pictures each row of the grid shows: one leg of the walk, with both of its ends."""
    return [start + step for start in range(0, pictures - 1, steps) for step in range(steps + 1)]


def alternating(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Rows of `above`, each followed by the same row of `below`; a last row that is not full is filled with white."""
    import numpy as np

    columns = min(COLUMNS, len(above))
    missing = -len(above) % columns
    blank = np.full((missing, *above.shape[1:]), 255, np.uint8)
    rows = [np.concatenate([part, blank]).reshape(-1, columns, *above.shape[1:]) for part in (above, below)]
    return np.stack(rows, axis=1).reshape(-1, *above.shape[1:])  # (rows, 2, columns, …) -> (N, H, W, C)


def _psnr(originals: np.ndarray, rebuilt: np.ndarray) -> list[float]:
    """Peak signal-to-noise ratio of each reconstruction in dB; 99 where it is exact to the last bit."""
    from ..metrics.psnr import psnr

    return [min(99.0, round(float(value), 3)) for value in psnr(originals, rebuilt)]
