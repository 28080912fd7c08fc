"""Small runs for the tests: a few images, a tiny model of any name, a trainer, and work done in a forked child."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner import models
from limner.data import Dataset
from limner.data.dataset import Pixels, Tables
from limner.data.loader import Loader, to_batch
from limner.data.pairing import Pairing
from limner.images.degrade import parse
from limner.model import Model
from limner.training import checkpoint, optimizers, settings
from limner.training.folder import RunFolder
from limner.training.loop import Trainer
from limner.training.precision import Arithmetic
from limner.training.settings import TrainConfig
from limner.training.step import Stepper
from limner.types import Batch

CPU = torch.device("cpu")
# whichever of them a model has
TINY = {"width": 4, "latent": 4, "mixture_components": 2, "components": 16, "factors": 2, "hidden": 16, "chains": 16}
TINY |= {
    "blocks": 2,
    "discriminator_width": 4,
    "mults": (1, 2),
    "attention": (1,),
    "codes": 16,
    "first_config": {"width": 4},
    "couplings": 2,
}
SHALLOW = {"edsr": 2, "dncnn": 4, "nafnet": 1, "inpainter": 2}  # depth of networks that are deep by default
UNPAIRED = {"source_channels": 0, "scale": 1, "maps": (), "degrade": ""}
QUIET = {"batch": 8, "precision": "fp32", "channels_last": False, "preview_every": "0", "tensorboard": False}


def few(dataset: Dataset, count: int) -> Dataset:
    """The first `count` images of a data set, in memory."""
    captions = list(dataset.captions[:count])
    tables = Tables(
        list(dataset.ids[:count]),
        np.array(dataset.labels[:count]),
        np.array(dataset.attributes[:count]),
        np.array(dataset.known[:count]),
        captions,
    )
    images = np.array(dataset.images[:count])
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    spec = replace(dataset.spec, **UNPAIRED)
    part = Dataset(
        Pixels(images, images.shape), tables, spec=spec, name=dataset.name, digest=digest, report=dataset.report
    )
    return part if dataset.pairing is None else part.with_pairing(dataset.pairing)


def suited(name: str, dataset: Dataset) -> Dataset:
    """The images with sources of the kind that model `name` is trained on; as they are for one that needs none."""
    reading = models.entry(name).reading
    if reading.get("paired") is False:
        others = dataset.rows(np.arange(len(dataset))[::-1])
        return dataset.with_pairing(Pairing(None, False, False, partner=others, aligned=False))
    if reading.get("degrade"):
        return dataset.with_pairing(Pairing(None, True, True, parse(reading["degrade"])))
    return dataset


def tiny(name: str, **values: Any) -> Any:
    """The config of model `name`, small enough for a step of milliseconds."""
    known = {field.name for field in fields(models.entry(name).load().Config)}
    small = TINY | ({"depth": SHALLOW[name]} if name in SHALLOW else {})
    return models.configure(name, {key: value for key, value in (small | values).items() if key in known})


def build(name: str, dataset: Dataset, *, seed: int = 0, **values: Any) -> Model:
    """A tiny model of that name, ready for its first step, with random weights of `seed`."""
    torch.manual_seed(seed)
    model = models.build(name, tiny(name, **values), dataset.spec)
    model.prepare(batch_of(dataset, size=len(dataset)).image)
    return model


def stepper(model: Model, **given: Any) -> Stepper:
    """Training steps of a model with the optimisers that it suggests."""
    options = {"seed": 0, **given}
    optims = optimizers.build(model.phases(), TrainConfig(), model.training_defaults().get("phases", {}))
    return Stepper(model.train(), optims, arithmetic=Arithmetic(), device=CPU, **options)


def batch_of(dataset: Dataset, step: int = 0, size: int = 8, seed: int = 0) -> Batch:
    """Batch `step` of a run."""
    return to_batch(Loader(dataset, batch_size=size, seed=seed).batch(step))


def take_steps(model: Model, dataset: Dataset, count: int, *, seed: int = 0) -> Model:
    """Train for `count` steps of 8 images."""
    steps = stepper(model, seed=seed)
    for index in range(count):
        steps.step(batch_of(dataset, index, seed=seed), index, index * 8)
    return model


def trainer(name: str, dataset: Dataset, path: Path, *, config: dict | None = None, **given: Any) -> Trainer:
    """A run of a tiny model in folder `path`; what is given goes to Trainer, or else to TrainConfig."""
    parts = {key: given.pop(key) for key in ("workers", "validation", "judge", "show", "flip") if key in given}
    train_config = TrainConfig(**{**QUIET, **given})
    model = build(name, dataset, seed=train_config.seed, **(config or {}))
    resolved = settings.resolve(train_config, model.training_defaults())
    return Trainer(model, dataset, resolved, RunFolder(path), arithmetic=Arithmetic(), device=CPU, **parts)


def run(name: str, dataset: Dataset, path: Path, **given: Any) -> Trainer:
    """Such a run from its beginning or its newest checkpoint to its end."""
    made = trainer(name, dataset, path, **given)
    made.run()
    return made


def result(path: Path) -> tuple[str, str]:
    """What a run ended with: hashes of its last training state and of the model it hands out."""
    last = checkpoint.existing(path / "checkpoints")[0]
    checkpoint.verify(last)
    files = last / checkpoint.TENSORS, path / "model" / "model.safetensors"
    first, second = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    return first, second


def back_to(source: Path, step: int, target: Path) -> None:
    """Make `target` the run folder that `source` was when it stood at `step`."""
    name = Path("checkpoints") / f"{step:08d}"
    shutil.copytree(source / name, target / name)


def fork(work: Callable[[], None]) -> int:
    """Do `work` in a child of this process, which has torch imported already; returns its process id.

    The child ends with the work: with the error's `exit_code`, or 1, when it fails.
    """
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads, of which there is one
        child = os.fork()
    if child:
        return child
    try:
        work()
        code = 0
    except BaseException as error:
        code = getattr(error, "exit_code", 1)
        traceback.print_exc()
    os._exit(code)


def wait(child: int, seconds: float = 120) -> int:
    """The exit code of a child; negative when a signal ended it. A child that does not end is killed, which fails."""
    deadline = time.monotonic() + seconds
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"the child did not end within {seconds} s")
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(ended[1])


def leftovers(path: Path) -> list[Path]:
    """What interrupted operations left behind in a run folder."""
    return [left for left in path.rglob(".*") if left.name.startswith((".tmp-", ".trash-", ".old-"))]
