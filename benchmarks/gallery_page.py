"""The gallery's sheets and page, drawn from results alone: it trains nothing and judges nothing by eye."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from limner import durable
from limner.images.grid import grid

from .gallery_worker import Result

LARGEST = 1_500_000  # bytes of a sheet
COLUMNS = 8  # samples beside each other
SIDE = 64  # pixels that small images are enlarged to, by whole factors
ACROSS = 3  # tiles beside each other
GAP, TITLE, TEXT, LINE = 16, 18, 13, 18  # pixels
PAPER, INK, FAINT, WORSE = (255, 255, 255), (0, 0, 0), (96, 96, 96), (176, 32, 32)
QUIET = 5.0  # percent of the machine that others may take before a budget is not what it says
BASELINES = {
    "Gaussian": "a Gaussian of the pixels",
    "mean image": "the mean image",
    "gray": "plain gray",
    "noise": "noise",
}
MIXTURE = "gmm"  # the model that is a baseline too


@dataclass(frozen=True)
class Section:
    """One data set: the result of its real images, those of the models, and where their pictures lie."""

    real: Result
    models: Sequence[Result]
    cache: Path

    @property
    def name(self) -> str:
        return self.real.ask.name

    @property
    def shown(self) -> list[Result]:
        """The models that made pictures, by their distance; those that have none come last."""
        made = [result for result in self.models if not result.failure]
        return sorted(made, key=lambda result: (result.fd is None, result.fd or 0.0, result.ask.model))

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.models if result.failure]

    @property
    def baselines(self) -> dict[str, float]:
        """Distances of what takes no learning, by name, the lowest first."""
        found = {BASELINES[name]: value for name, value in self.real.floors.items() if name in BASELINES}
        return dict(sorted(found.items(), key=lambda item: item[1]))

    @property
    def mixture(self) -> float:
        """The distance of the mixture of Gaussians; infinite unless it took part."""
        found = (each.fd for each in self.shown if each.ask.model == MIXTURE and each.fd is not None)
        return next(found, float("inf"))

    def samples(self, result: Result) -> np.ndarray:
        """(N, H, W, C) uint8, at most 16."""
        pixels = np.asarray(Image.open(self.cache / f"{result.ask.stem}.png"))
        return pixels.reshape(result.shown, -1, pixels.shape[1], pixels.shape[2] if pixels.ndim == 3 else 1)


def write(sections: Sequence[Section], out: Path, command: str) -> None:
    """Write `out`/README.md and `out`/<data>.png of every data set; `command` makes them again."""
    for section in sections:
        if not section.real.failure:
            durable.write_file(out / f"{section.name}.png", encoded(sheet(section)))
    durable.write_file(out / "README.md", page(sections, command).encode())


# --- what is said of a result -----------------------------------------------------------------------------------------


def standing(section: Section, result: Result) -> str:
    """What the distances alone say, whatever the pictures look like: by what it is beaten, or how far it has come."""
    if result.fd is None:
        return f"not measured: {result.samples:,} of {result.n:,} samples in {result.ask.patience:.0f} s"
    if worse := beaten_by(section, result):
        return "worse than " + _and(worse)
    name, highest = next(iter(section.baselines.items()))
    if section.real.fd is None:
        return f"better than {name}"
    return f"{(highest - result.fd) / (highest - section.real.fd):.0%} on the way from {name} to real images"


def beaten_by(section: Section, result: Result) -> list[str]:
    """The baselines, and the mixture of Gaussians, whose distance is no higher; none where it was not measured."""
    others = dict(section.baselines)
    if result.ask.model != MIXTURE:
        others[MIXTURE] = section.mixture
    return [name for name, value in others.items() if result.fd is not None and value <= result.fd]


def times_real(section: Section, result: Result) -> str:
    """The distance in units of that of real images to others; empty where either is missing."""
    floor = section.real.fd
    return f"{result.fd / floor:.1f}" if floor and result.fd is not None else ""


def trained_for(result: Result) -> str:
    """The time of training, and the clock's where set-up added more than a tenth to it."""
    with_setup = f" ({result.clock:,.0f} s with set-up)" if result.clock > 1.1 * result.seconds else ""
    return f"{result.seconds:,.0f} s{with_setup}"


def images_shown(result: Result) -> str:
    """Of each stage: "12,000 + 340,000"."""
    return " + ".join(f"{count:,}" for count in result.images_shown)


def length(section: Section) -> str:
    """The training that every model got."""
    ask = section.real.ask
    return ask.budget if ask.steps is None else f"{ask.steps} steps"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


# --- the sheet --------------------------------------------------------------------------------------------------------


def sheet(section: Section) -> np.ndarray:
    """(H, W, 3) uint8: the real images, then a tile for each model, the lowest distance first."""
    tiles = [_tile(section.samples(section.real), *_of_real(section))]
    for result in section.shown:
        ink = WORSE if beaten_by(section, result) else FAINT
        tiles.append(_tile(section.samples(result), *_of_model(section, result), first=ink))
    across = min(ACROSS, len(tiles))
    rows = [tiles[start : start + across] for start in range(0, len(tiles), across)]
    width = max(tile.width for tile in tiles)
    heights = [max(tile.height for tile in row) for row in rows]
    whole = Image.new("RGB", (across * (width + GAP) + GAP, sum(heights) + GAP * (len(rows) + 1)), PAPER)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for place, tile in enumerate(row):
            whole.paste(tile, (GAP + place * (width + GAP), top))
        top += height + GAP
    return np.asarray(whole)


def _of_real(section: Section) -> tuple[str, list[str]]:
    real = section.real
    floor = f"FD-Lite0 {real.fd:,.1f} to others like them (N = {real.n:,})" if real.fd is not None else "no floor"
    lines = [floor, "baselines: " + "; ".join(f"{name} {value:,.0f}" for name, value in section.baselines.items())]
    if section.failed:
        lines.append("without pictures: " + ", ".join(result.ask.model for result in section.failed))
    return f"real images: {section.name}", lines


def _of_model(section: Section, result: Result) -> tuple[str, list[str]]:
    distance = "FD-Lite0 "
    if result.fd is not None:
        times = times_real(section, result)
        distance += f"{result.fd:,.1f} (N = {result.n:,}{f', {times} times real' if times else ''}): "
    return f"{result.ask.model} ({result.family})", [
        distance + standing(section, result),
        f"{result.parameters:,} parameters; {rate(result)} samples/s",
        f"{images_shown(result)} images shown in {trained_for(result)}",
    ]


def rate(result: Result) -> str:
    """Samples a second, to two digits where they are few."""
    return f"{result.rate:,.0f}" if result.rate >= 10 else f"{result.rate:.2g}"


def _tile(images: np.ndarray, title: str, lines: Sequence[str], first: tuple[int, int, int] = FAINT) -> Image.Image:
    """(N, H, W, C) uint8 above their caption, whose first line is in a colour of its own."""
    samples = grid(images, columns=COLUMNS, padding=2, scale=max(1, SIDE // images.shape[1]))
    letters = _letters(samples.shape[1])
    wrapped = [(part, FAINT if index else first) for index, line in enumerate(lines) for part in wrap(line, letters)]
    tile = Image.new("RGB", (samples.shape[1], samples.shape[0] + 8 + TITLE + LINE * len(wrapped) + 6), PAPER)
    tile.paste(Image.fromarray(np.broadcast_to(samples, (*samples.shape[:2], 3)).copy()), (0, 0))
    draw, top = ImageDraw.Draw(tile), samples.shape[0] + TITLE + 2
    draw.text((2, top), title, fill=INK, font=ImageFont.load_default(TITLE), anchor="ls")
    for line, ink in wrapped:
        top += LINE
        draw.text((2, top), line, fill=ink, font=ImageFont.load_default(TEXT), anchor="ls")
    return tile


def _letters(width: int) -> int:
    """Letters of a caption that fit in a line, by their average width."""
    sample = "FD-Lite0 1,234.5 (N = 1,000): worse than a Gaussian of the pixels"
    return int(width / ImageFont.load_default(TEXT).getlength(sample) * len(sample))


def encoded(picture: np.ndarray) -> bytes:
    """A PNG of at most LARGEST bytes where fewer colours can make it so, tried from all of them down to 32."""
    image = Image.fromarray(picture)
    for colours in (None, 256, 96, 32):
        file = io.BytesIO()
        (image if colours is None else image.quantize(colours)).save(file, "PNG", optimize=True)
        if len(file.getvalue()) <= LARGEST:
            break
    return file.getvalue()


# --- the page ---------------------------------------------------------------------------------------------------------

OPENING = """# Gallery

What every generating family of the catalogue makes after the same time of training. Samples are not chosen: they are
the first 16 of the seed. What is said of a model follows from Fréchet distances alone (FD, lower is better), of one run
each, in which a few percent mean nothing.

- **Worse than** plain gray, noise, the mean image or a Gaussian of the pixels, none of which takes any training: not
  worth showing at this budget, which says nothing of a longer one.
- **Worse than** `gmm`: a mixture of Gaussians makes more of the same time.
- Others are said to be so far **on the way** from the best of those baselines to real images; a few percent of it are
  mud, too.

A distance does not see copying: models that keep templates of training images, such as mixtures, look good by it.
*Times real* is the distance over that of real images to others of their kind. Images shown are those of each stage.
"""


def page(sections: Sequence[Section], command: str) -> str:
    """The gallery's README.md."""
    parts = [OPENING]
    for section in sections:
        parts += _section(section)
    parts += ["## Make it again", "", f"    {command}", ""]
    return "\n".join(parts)


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {section.name}", "")
    if section.real.failure:
        yield from (f"The images could not be used: {section.real.failure}", "")
        return
    yield from (f"![Samples of each model on {section.name}]({section.name}.png)", "", _protocol(section), "")
    yield from _table(section)
    yield ""
    for result in section.failed:
        yield f"- `{result.ask.model}` has no pictures: {result.failure}"
    yield from ("",) if section.failed else ()


def _protocol(section: Section) -> str:
    real, about, results = section.real, section.real.about, section.shown
    channels, height, width = about["shape"]
    sentences = [
        f"{about['train']:,} training images of {height}×{width}×{channels}",
        f"FD-Lite0 of N = {real.n:,} samples to {real.n:,} images of the {about['split']} split "
        f"(features: {about['features']}); it depends on N, so compare it within this table only",
        f"{length(section)} of training each, of a two-stage model in all; seed {real.ask.seed}",
    ]
    if results:
        sentences.append("threads: " + _and(sorted({str(result.threads) for result in results})))
        busiest = max(result.others for result in results)
        if busiest > QUIET:
            sentences.append(f"others took up to {busiest:.0f} % of the machine, so budgets bought less than they say")
    if about["classes"] or about["attributes"]:
        sentences.append(
            "models that are told classes or attributes are asked for those of training images drawn at random, "
            "as `limner evaluate` does, so all make the mix of the data"
        )
    return "; ".join(sentences) + "."


def _table(section: Section) -> Iterator[str]:
    columns = "model,family,FD-Lite0,times real,where it stands,parameters,trained,images shown,samples/s"
    yield f"| {columns.replace(',', ' | ')} |"
    yield "|---|---|---:|---:|---|---:|---:|---:|---:|"
    rows = [(result.fd, _row(section, result)) for result in section.shown]
    rows += [(value, _plain_row(name, value)) for name, value in section.baselines.items()]
    if section.real.fd is not None:
        rows.append((section.real.fd, _plain_row("other real images", section.real.fd)))
    yield from (row for _, row in sorted(rows, key=lambda row: (row[0] is None, row[0] or 0.0)))


def _row(section: Section, result: Result) -> str:
    distance = "" if result.fd is None else f"{result.fd:,.1f}"
    return (
        f"| `{result.ask.model}` | {result.family} | {distance} | {times_real(section, result)} "
        f"| {standing(section, result)} | {result.parameters:,} | {trained_for(result)} | {images_shown(result)} "
        f"| {rate(result)} |"
    )


def _plain_row(name: str, value: float) -> str:
    return f"| *{name}* | | {value:,.1f} | | | | | | |"
