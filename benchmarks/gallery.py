"""Every family on the same images for the same time, side by side: `python -m benchmarks.gallery --data mnist=PATH`.

Makes `docs/gallery`: for each data set one sheet of uncurated samples, with what each model cost and its Fréchet
distance beside those of real images, a Gaussian and noise; and a page with tables. Each pair of model and data is a
process of its own, kept in the cache folder when it is done: a gallery that was stopped goes on, and may be made in
several calls.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import limner
from limner import durable, models
from limner.config import from_dict
from limner.errors import LimnerError
from limner.images.colour import with_channels
from limner.images.grid import grid
from limner.images.metadata import encode_png
from limner.metrics.number import Interval
from limner.training.plan import parse_duration

from . import machine

METRIC = "FD-Lite0"
SHOWN, ACROSS = 16, 8  # samples on a sheet, and in a row of it
TILE = 48  # pixels of a sample on a sheet
FLOORS = {"real": "real images", "Gaussian": "a Gaussian of their pixels", "noise": "noise"}
INK, PAPER, FAINT = (30, 30, 34), (255, 255, 255), (120, 120, 128)


@dataclass(frozen=True)
class Asked:
    """One model on one data set."""

    model: str
    data: str
    budget: str
    resolution: int
    n: int
    seed: int


@dataclass(frozen=True)
class Shown:
    """What came of it.

    failure          why there is nothing to show; the numbers then mean nothing
    floors           distances of what is no model at all, by name
    images_a_second  sampled on this machine
    """

    asked: Asked
    failure: str = ""
    parameters: int = 0
    seconds: float = 0.0
    images_seen: int = 0
    images_a_second: float = 0.0
    distance: float = math.nan
    low: float = math.nan
    high: float = math.nan
    floors: dict[str, float] | None = None
    threads: int = 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", metavar="NAME=PATH", help="default: openmoji=builtin:openmoji")
    parser.add_argument("--models", default=None, help="with commas; default: the first of each kind in the catalogue")
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("-n", type=int, default=1000, help="images on each side of a distance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "limner-gallery")
    parser.add_argument("--only-draw", action="store_true", help="draw what is there; train nothing")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # a pair on stdin, in its own process
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(asdict(_made(from_dict(Asked, json.load(sys.stdin)), given.cache))))
        return
    names = given.models.split(",") if given.models else families()
    data = dict(pair.split("=", 1) for pair in given.data or ["openmoji=builtin:openmoji"])
    given.cache.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    sets = {}
    for name, path in data.items():
        asked = [Asked(model, path, given.budget, given.resolution, given.n, given.seed) for model in names]
        found = [_kept(one, given.cache, given.only_draw) for one in asked]
        sets[name] = sorted((one for one in found if one is not None), key=_rank)
    for name, path in data.items():
        real = _real(path, given.resolution)
        durable.write_file(given.out / f"{name}.png", encode_png(sheet(sets[name], real, given.cache)))
    durable.write_file(given.out / "README.md", page(sets).encode())


def families() -> list[str]:
    """The first model of each class of the catalogue that makes images of nothing but noise."""
    first: dict[type, str] = {}
    for name, entry in models.CATALOGUE.items():
        kind = entry.load()
        if hasattr(kind, "sample") and not entry.reading and name != "diffusers":  # which needs a model to load
            first.setdefault(kind, name)
    return list(first.values())


def _kept(asked: Asked, cache: Path, only_draw: bool) -> Shown | None:
    """What was found before, or is found now in a process of its own."""
    place = _place(asked, cache).with_suffix(".json")
    if place.is_file():
        return from_dict(Shown, json.loads(place.read_bytes()))
    if only_draw:
        return None
    print(f"{asked.model} on {asked.data} …", file=sys.stderr, flush=True)
    limit = 8 * parse_duration("budget", asked.budget) + 600
    command = [sys.executable, "-m", "benchmarks.gallery", "--one", "--cache", str(cache)]
    try:
        done = subprocess.run(command, input=json.dumps(asdict(asked)), capture_output=True, text=True, timeout=limit)
        shown = from_dict(Shown, json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        shown = Shown(asked, f"took more than {limit:.0f} s in all")
    except (ValueError, IndexError, LimnerError):
        said = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        shown = Shown(asked, f"broke off: {said}")
    durable.write_file(place, json.dumps(asdict(shown), indent=1).encode())
    return shown


def _place(asked: Asked, cache: Path) -> Path:
    data = "".join(letter if letter.isalnum() else "-" for letter in asked.data)
    return cache / f"{data}-{asked.model}-{asked.budget}-{asked.resolution}-{asked.n}-{asked.seed}"


# --- one pair, in its own process -----------------------------------------------------------------------------------


def _made(asked: Asked, cache: Path) -> Shown:
    """Train, sample and judge; what cannot be done is said."""
    torch.manual_seed(0)
    try:
        with tempfile.TemporaryDirectory(prefix="limner-gallery-") as folder:
            trained = limner.train(
                asked.model,
                asked.data,
                out=f"{folder}/run",
                data_config={"resolution": asked.resolution},
                budget=asked.budget,
                seed=asked.seed,
                preview_every="0",
                tensorboard=False,
            )
            began = time.monotonic()
            pictures = trained.sample(SHOWN, seed=asked.seed)
            rate = SHOWN / (time.monotonic() - began)
            found = limner.evaluate(trained, asked.data, metrics=["fd"], n=asked.n, seed=asked.seed)
    except LimnerError as error:
        return Shown(asked, str(error))
    durable.write_file(_place(asked, cache).with_suffix(".png"), encode_png(np.concatenate(list(pictures.images), 1)))
    number = found.number(METRIC)
    interval = number.interval or Interval(math.nan, math.nan)
    floors = {name: value.value for name, values in found.floors.items() for value in values if value.name == METRIC}
    about: dict[str, Any] = dict(trained.about)
    return Shown(
        asked,
        "",
        sum(parameter.numel() for parameter in trained.network.parameters()),
        60 * about["minutes"],
        about["images_shown"],
        rate,
        number.value,
        interval.low,
        interval.high,
        floors,
        torch.get_num_threads(),
    )


# --- pictures and page ----------------------------------------------------------------------------------------------


def _rank(shown: Shown) -> tuple[bool, float]:
    return bool(shown.failure), shown.distance


def verdict(shown: Shown) -> str:
    """Where a model stands among what is no model at all."""
    if shown.failure:
        return shown.failure
    floors = {name: value for name, value in (shown.floors or {}).items() if name in FLOORS and name != "real"}
    worse = [
        FLOORS[name] for name, value in sorted(floors.items(), key=lambda pair: pair[1]) if shown.distance >= value
    ]
    return f"worse than {worse[-1]}" if worse else "better than every floor"


def sheet(found: Sequence[Shown], real: np.ndarray, cache: Path) -> np.ndarray:
    """(H, W, 3) uint8: real images on top, then the models, best first: a caption and two rows of samples each."""
    blocks = [_block("real images", "of the data, the first sixteen", real)]
    for shown in found:
        name, facts = shown.asked.model, verdict(shown)
        if not shown.failure:
            facts = (
                f"{METRIC} {shown.distance:.0f} ({shown.low:.0f} … {shown.high:.0f}), {facts}; "
                f"{shown.parameters / 1e6:.2f} M parameters, {shown.seconds:.0f} s, {shown.images_seen:,} images seen, "
                f"{shown.images_a_second:.3g} samples/s"
            )
        place = _place(shown.asked, cache).with_suffix(".png")
        blocks.append(_block(name, facts, _strip(place) if place.is_file() and not shown.failure else None))
    return np.concatenate(blocks)


def _strip(path: Path) -> np.ndarray:
    """(SHOWN, S, S, 3) uint8: the samples that lie side by side in a PNG."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return np.stack(np.split(pixels, SHOWN, axis=1))


def _block(name: str, facts: str, images: np.ndarray | None) -> np.ndarray:
    """(H, W, 3): a name, a line of facts, and images where there are any."""
    width, line = ACROSS * TILE * 2, 40
    canvas = Image.new("RGB", (width, line), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((6, 4), name, INK, ImageFont.load_default(15))
    draw.text((6, 23), facts if len(facts) < 130 else facts[:127] + "…", FAINT, ImageFont.load_default(11))
    if images is None:
        return np.asarray(canvas)
    sized = np.stack(
        [np.asarray(Image.fromarray(each).resize((TILE, TILE), Image.Resampling.NEAREST)) for each in images]
    )
    rows = grid(sized, columns=2 * ACROSS, padding=0)
    return np.concatenate([np.asarray(canvas), rows[:, :width]])


def _real(path: str, resolution: int) -> np.ndarray:
    images = limner.open_data(path, limner.DataConfig(resolution=resolution)).images
    return np.stack([with_channels(np.asarray(each), 3) for each in images[:SHOWN]])


def page(sets: dict[str, list[Shown]]) -> str:
    """The page in Markdown: a table for each data set."""
    lines = ["# Gallery: every family on the same images, for the same time", ""]
    for name, found in sets.items():
        judged = [shown for shown in found if not shown.failure]
        if not judged:
            continue
        asked, floors = judged[0].asked, judged[0].floors or {}
        stand = ", ".join(f"{words} {floors[key]:.0f}" for key, words in FLOORS.items() if key in floors)
        lines += [
            f"## {name}",
            "",
            f"{asked.budget} of training each (both stages together, where there are two), {judged[0].threads} thread"
            f"{'s' * (judged[0].threads > 1)}, {asked.resolution}×{asked.resolution}, seed {asked.seed}; {METRIC} of "
            f"{asked.n:,} samples, which is lower the better, and for comparison: {stand}. Classes and captions, where "
            "a model takes them, are drawn from the data. Samples are the first sixteen.",
            "",
            f"![samples of every model on {name}]({name}.png)",
            "",
            f"| model | {METRIC} | 95 % | stands | parameters | seconds | images seen | samples/s |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for shown in found:
            if shown.failure:
                lines.append(f"| `{shown.asked.model}` | | | {shown.failure} | | | | |")
                continue
            lines.append(
                f"| `{shown.asked.model}` | {shown.distance:.0f} | {shown.low:.0f} … {shown.high:.0f} "
                f"| {verdict(shown)} | {shown.parameters:,} "
                f"| {shown.seconds:.0f} | {shown.images_seen:,} | {shown.images_a_second:.3g} |"
            )
        lines.append("")
    here = machine.describe()
    return "\n".join([*lines, f"Made by `python -m benchmarks.gallery` on {here.cpu}, torch {here.torch}.", ""])


if __name__ == "__main__":
    main()
