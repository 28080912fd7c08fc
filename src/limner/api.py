"""The Python face of Limner: train, resume and load. What a trained model does is in trained.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import __version__, bundle, durable, models, running
from .config import from_dict, to_dict
from .data import DataConfig, Dataset, open_data
from .data.fill import Progress
from .errors import ConfigError, DataError
from .model import Model
from .running import Job, pick_device, refuse_second
from .tasks import exchange
from .trained import Trained
from .training import checkpoint
from .training.folder import RunFolder
from .training.settings import TrainConfig
from .training.show import Show

# what may differ when a run is resumed: its length, and what leaves no trace in its weights
LEAVES_NO_TRACE = ("checkpoint_every", "preview_every", "keep", "tensorboard")
CHANGEABLE = ("steps", "images", "budget", *LEAVES_NO_TRACE)


def train(
    model: str,
    data: str | Path,
    *,
    out: str | Path,
    config: Mapping[str, Any] | None = None,
    data_config: DataConfig | Mapping[str, Any] | None = None,
    show: Show | None = None,
    progress: Progress | None = None,
    **training: Any,
) -> Trained:
    """Train a model of the catalogue on images, in the run folder `out`, and return it.

    model         a name from `limner models`, or `package.module:Class`
    data          a folder, archive or `builtin:` name (see `limner.open_data`)
    config        settings of the model, by name
    data_config   how images are read: resolution, fit, channels, flip …
    progress      called with (images decoded, images in all) while data is read that is not in the cache
    training      fields of TrainConfig: budget="10m", steps=…, batch=…, lr=…, seed=…

    Raises ConfigError for a setting that cannot be used or a folder that already holds a run, DataError for data that
    cannot be used, RunLocked, DiskError, Interrupted and TrainingStopped.
    """
    job = _job(model, data, Path(out), config, data_config, training, progress)
    running.run(job, show)
    return load(job.folder.path)


def rehearse(
    model: str,
    data: str | Path,
    *,
    out: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
    data_config: DataConfig | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **training: Any,
) -> tuple[Model, Dataset, TrainConfig]:
    """What `train` would train, on what and how: everything up to the first step, and nothing written but the cache.

    Raises what `train` would raise before its first step.
    """
    folder = Path(out) if out is not None else Path("runs") / "not yet"
    job = _job(model, data, folder, config, data_config, training, progress)
    network, settled = running.rehearse(job)
    return network, job.dataset, settled


def _job(
    model: str,
    data: str | Path,
    out: Path,
    config: Mapping[str, Any] | None,
    data_config: DataConfig | Mapping[str, Any] | None,
    training: Mapping[str, Any],
    progress: Progress | None,
) -> Job:
    """A new run, its settings checked and its data opened."""
    folder = RunFolder(out)
    refuse_second(folder)
    reading = data_config if isinstance(data_config, DataConfig) else models.reading(model, data_config or {})
    if reading.sources is not None:
        reading = replace(reading, sources=absolute(reading.sources))
    model_config = models.configure(model, config or {})
    train_config = from_dict(TrainConfig, training, where="train")
    running.pick_device(train_config.device)
    dataset = open_data(data, reading, split="train", progress=progress)
    run = {"model": model, "config": to_dict(model_config), "data": {"path": absolute(data), **to_dict(reading)}}
    run = json.loads(json.dumps(run | {"version": __version__, "dataset_digest": dataset.digest}))
    return Job(folder, run, train_config, dataset, new=True)


def resume(out: str | Path, *, show: Show | None = None, progress: Progress | None = None, **changes: Any) -> Trained:
    """Go on with the run in folder `out` exactly where its newest checkpoint stands, and return the model.

    changes   a new length (steps, images or budget), checkpoint_every, preview_every, keep, tensorboard
    Raises ConfigError for any other change, and DataError when the data set is no longer the same.
    """
    folder = RunFolder(Path(out))
    run = folder.read_config()
    for name in changes:
        if name not in CHANGEABLE:
            raise ConfigError(f"a resumed run keeps its {name}; only {', '.join(CHANGEABLE)} may change")
    saved = dict(run["train"])
    if {"steps", "images", "budget"} & set(changes):
        saved |= {"steps": None, "images": None, "budget": None}
    train_config = from_dict(TrainConfig, {**saved, **changes}, where="train")
    reading = {key: value for key, value in run["data"].items() if key != "path"}
    dataset = open_data(run["data"]["path"], from_dict(DataConfig, reading), split="train", progress=progress)
    if dataset.digest != run["dataset_digest"]:
        raise DataError(f"{run['data']['path']} has changed since {folder.path} began; start a new run on the new data")
    running.run(Job(folder, run, train_config, dataset), show)
    return load(folder.path)


def load(path: str | Path, *, weights: str | None = None, device: str = "cpu") -> Trained:
    """The model of a run folder, a checkpoint or a model folder, or of a folder in the layout of diffusers.

    weights   raw, ema_short or ema_long instead of those that the run chose (run folders and checkpoints only)
    Raises ConfigError when there is no model there, and BadCheckpoint when it was altered.
    """
    path = Path(path)
    if exchange.is_pipeline(path):
        return imported(path, device=device)
    run = RunFolder(path)
    folder = _folder_of(run, weights) if run.is_run else path
    if not (folder / durable.MANIFEST).is_file():
        raise ConfigError(
            f"{path} is neither a run nor a model folder; train one with: limner train vae DATA --out {path}"
        )
    loaded = bundle.load(folder)
    if weights is not None:
        if not (folder / checkpoint.TENSORS).is_file():
            raise ConfigError(f"{path} holds one set of weights only; weights={weights!r} needs a run folder")
        chosen = checkpoint.weights(folder, weights)
        for name, parameter in loaded.model.named_parameters():  # buffers stay: a fitted density is one
            if name in chosen:  # frozen parts have no average
                parameter.data.copy_(chosen[name])
    loaded.model.to(pick_device(device))
    return Trained(loaded, run if run.is_run else None, weights=weights)


def imported(source: str | Path, *, device: str = "cpu") -> Trained:
    """A pretrained diffusion model: a folder, or an id on the hub as `owner/name`, in the layout of diffusers.

    Raises MissingExtra without diffusers, and ModelError where it cannot be had or is of a kind that Limner cannot use.
    """
    found = exchange.imported(str(source))
    found.model.to(pick_device(device))
    return Trained(found)


def _folder_of(run: RunFolder, weights: str | None) -> Path:
    """The folder to load: for weights of one's own choice a checkpoint, which holds them all."""
    newest = None if weights is None else checkpoint.newest_valid(run.checkpoints)[0]
    return newest or run.usable_model()


def absolute(data: str | Path) -> str:
    """Where the data is, from whatever folder the run is resumed."""
    return str(data) if str(data).startswith("builtin:") else str(Path(data).expanduser().resolve())
