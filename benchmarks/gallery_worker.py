"""One tile of the gallery: trains and judges one model, in a process of its own so that its crash ends nothing else.

    echo '{"name": "digits", "data": "builtin:digits", "model": "vae"}' | python -m benchmarks.gallery_worker FOLDER

Writes <data>-<model>.json and .png (16 images below each other) to FOLDER. The model "real" stands for the
images themselves: what other real images, a Gaussian of the pixels, the mean image, plain gray and noise score.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import limner
from limner import bundle, durable, features, models
from limner.config import from_dict
from limner.data import DataConfig
from limner.errors import Interrupted, LimnerError
from limner.evaluation import sides
from limner.evaluation.material import ImageSet, extract
from limner.features.extractor import Extractor
from limner.features.store import features_of
from limner.images.grid import grid, to_uint8
from limner.images.metadata import encode_png
from limner.metrics.frechet import frechet_distance
from limner.tasks import generate
from limner.training.folder import RunFolder

from . import machine

REAL, GRAY = "real", "gray"
SHOWN = 16  # samples on the sheet


@dataclass(frozen=True)
class Ask:
    """What is wanted. Results with other values, but for `model` and `patience`, are never shown together.

    name         of the data set on the page; `data` is its path, as `limner train` takes it
    resolution   pixels a side; None for the data's own
    steps        length of training in optimiser steps, instead of `budget`
    n            images on each side of the distance, at most
    patience     seconds after which no further samples are made
    """

    name: str
    data: str
    model: str = REAL
    resolution: int | None = None
    budget: str = "60s"
    steps: int | None = None
    n: int = 1_000
    split: str = "auto"
    seed: int = 0
    patience: float = 300.0

    @property
    def stem(self) -> str:
        """The name of its files, without the suffix."""
        return re.sub(r"[^\w.-]+", "_", f"{self.name}-{self.model}")

    @property
    def protocol(self) -> dict[str, Any]:
        """What must be alike for results to stand on one page."""
        return {key: value for key, value in asdict(self).items() if key not in ("model", "patience")}


@dataclass(frozen=True)
class Result:
    """What was found; a `failure` says why there is nothing else.

    seconds        of training, of every stage together; `clock` is with set-up, such as choosing the arithmetic
    images_shown   in training, of each stage
    rate           samples a second
    parameters     of every stage, frozen ones too
    samples        made, of `n` wanted
    fd             None where fewer samples were made than wanted, for its value depends on their number
    floors         name -> distance, of "real" alone
    about          of "real" alone: the features, the data and their split, for the protocol line
    others         percent of the machine that others took meanwhile
    """

    ask: Ask
    failure: str = ""
    family: str = ""
    parameters: int = 0
    seconds: float = 0.0
    clock: float = 0.0
    images_shown: tuple[int, ...] = ()
    rate: float = 0.0
    samples: int = 0
    n: int = 0
    fd: float | None = None
    floors: dict[str, float] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    threads: int = 0
    others: float = 0.0

    @property
    def shown(self) -> int:
        """Samples in its picture."""
        return min(SHOWN, self.samples)

    def save(self, folder: Path) -> None:
        """Write it to <folder>/<data>-<model>.json, whole or not at all."""
        durable.write_file(folder / f"{self.ask.stem}.json", json.dumps(asdict(self), indent=1).encode())


def main() -> None:
    ask, folder = from_dict(Ask, json.load(sys.stdin)), Path(sys.argv[1])
    try:
        result, images = _real(ask) if ask.model == REAL else _model(ask)
    except Interrupted as stopped:
        sys.exit(stopped.exit_code)
    except LimnerError as error:
        Result(ask, failure=str(error)).save(folder)
        return
    durable.write_file(folder / f"{ask.stem}.png", encode_png(grid(images[:SHOWN], columns=1, padding=0)))
    result.save(folder)  # last: it says that the picture is there


def reading(ask: Ask) -> DataConfig:
    """How the images are read by all alike; transparency is laid on white, for not every family can draw it."""
    values = {"resolution": ask.resolution} if ask.resolution else {}
    channels = limner.open_data(ask.data, DataConfig(**values), split=None).spec.channels
    return DataConfig(**values, channels=3 if channels == 4 else None)


def _real(ask: Ask) -> tuple[Result, np.ndarray]:
    config, extractor = reading(ask), features.load("lite0")
    reference = sides.reference(ask.data, config, n=ask.n, split=ask.split)
    n, judge = len(reference.real), _kept(extractor, reference.real)
    gray = np.broadcast_to(np.uint8(128), reference.real.images[:n].shape)  # what a network makes before it learns
    made = [*sides.floors(reference, n), (GRAY, ImageSet(GRAY, gray, ""))]
    floors = {name: frechet_distance(_pooled(extractor, images), judge) for name, images in made}
    about = {
        "features": f"{extractor.name}, {extractor.resize}, {extractor.precision}, weights {extractor.sha256[:8]}",
        "split": reference.split,
        "shape": list(reference.spec.shape),
        "train": len(reference.train or ()),
        "classes": len(reference.spec.classes),
        "attributes": len(reference.spec.attributes),
    }
    rows = np.linspace(0, n - 1, min(SHOWN, n)).astype(int)
    return Result(ask, samples=n, n=n, fd=floors.get(REAL), floors=floors, about=about), reference.real.images[rows]


def _model(ask: Ask) -> tuple[Result, np.ndarray]:
    config, watch = reading(ask), machine.Watch()
    reference = sides.reference(ask.data, config, n=ask.n, split=ask.split)
    with tempfile.TemporaryDirectory(prefix="limner-gallery-") as folder:
        run, began = Path(folder) / "run", time.monotonic()
        length: dict[str, Any] = {"budget": ask.budget} if ask.steps is None else {"steps": ask.steps}
        trained = limner.train(
            ask.model,
            ask.data,
            out=run,
            data_config=config,
            seed=ask.seed,
            preview_every="0",
            checkpoint_every="0",
            tensorboard=False,
            **length,
        )
        clock, stages = time.monotonic() - began, _stages(run)
    n, began = len(reference.real), time.monotonic()
    images = _samples(trained, n, ask)
    rate, fd = len(images) / (time.monotonic() - began), None
    if len(images) == n:
        extractor = features.load("lite0")
        made = _pooled(extractor, ImageSet(ask.model, images, ""))
        fd = frechet_distance(made, _kept(extractor, reference.real))
    result = Result(
        ask,
        family=family(ask.model),
        parameters=_learned(trained.network),
        seconds=sum(60 * stage["minutes"] for stage in stages),
        clock=clock,
        images_shown=tuple(stage["images_shown"] for stage in stages),
        rate=rate,
        samples=len(images),
        n=n,
        fd=fd,
        threads=torch.get_num_threads(),
        others=watch.others(),
    )
    return result, images


def _learned(network: torch.nn.Module) -> int:
    """Parameters; of a model fitted in closed form, which has none, the numbers that were fitted."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return parameters or sum(buffer.numel() for buffer in network.buffers() if buffer.is_floating_point())


def family(model: str) -> str:
    """The class that a model of the catalogue is a preset of, as words: "Normalizing Flow", "VAE"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", models.entry(model).load().__name__)


def _stages(run: Path) -> list[dict[str, Any]]:
    """What each stage of a run says of itself, in their order: the models that it works on lie in `first/`."""
    stages = [run]
    while RunFolder(stages[0] / "first").is_run:
        stages.insert(0, stages[0] / "first")
    return [bundle.load(RunFolder(stage).usable_model()).about for stage in stages]


def _samples(trained: limner.Trained, n: int, ask: Ask) -> np.ndarray:
    """(N, H, W, C) uint8 with N of `n`, or of as many as could be made in time, a tile at a time."""
    parts, end = [], time.monotonic() + ask.patience
    for _, made in generate.generate_tiles(trained.network, range(n), seed=ask.seed, bank=trained.loaded.bank):
        parts.append(to_uint8(made.numpy()))
        if time.monotonic() > end:
            break
    return np.concatenate(parts)


def _pooled(extractor: Extractor, images: ImageSet) -> np.ndarray:
    """(N, D) features; of one image many times they are computed once."""
    if len(images) > 1 and images.images.strides[0] == 0:
        return np.repeat(extractor(np.array(images.images[:1])).pooled, len(images), 0)
    return extract(extractor, images).pooled


def _kept(extractor: Extractor, images: ImageSet) -> np.ndarray:
    """(N, D) features of real images, which every model is held against, so kept on the disk."""
    return features_of(extractor, images.chunks(), count=len(images), key=images.digest).pooled


if __name__ == "__main__":
    main()
