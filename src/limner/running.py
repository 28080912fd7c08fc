"""From the description of a run to its end: build the model, settle what was left open, write it down, and train.

Where a model works on another one (latents, tokens, a teacher), that one is trained first, in the folder `first/` of
the run, with a share of its length; so one command makes both, and one resumes both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import bundle, durable, features, models
from .config import from_dict, to_dict
from .data import DataConfig, Dataset, open_data
from .data.loader import Loader, to_batch
from .data.names import few
from .errors import ConfigError, MissingExtra
from .evaluation import measures, sides
from .evaluation.judge import Judge
from .model import FollowsOn, Model, Precomputes
from .nn.text import AUTO, MINILM, NONE, OWN
from .rng import generator
from .training import checkpoint, precision, settings
from .training.codes import Codes, precomputed
from .training.folder import RunFolder
from .training.loop import Trainer
from .training.memory import keep_freed
from .training.plan import parse_duration
from .training.precision import Arithmetic
from .training.settings import TrainConfig
from .training.show import Show
from .types import DataSpec


@dataclass
class Job:
    """One run: its folder, what config.json says of it beside the training settings, and its data.

    new     whether the folder must not hold a run yet
    whole   the folder of the run that this is a stage of, to be named where one says how to go on; None for a run
    """

    folder: RunFolder
    run: dict[str, Any]
    train: TrainConfig
    dataset: Dataset
    new: bool = False
    whole: RunFolder | None = None

    def claim(self, train: TrainConfig) -> None:
        """Write down what this run is; of two that began at once, the second finds the first one's."""
        if self.new:
            refuse_second(self.folder)
            self.new = False
        durable.write_file(self.folder.config, json.dumps({**self.run, "train": to_dict(train)}, indent=1).encode())


def refuse_second(folder: RunFolder) -> None:
    """Raise ConfigError when the folder holds a run."""
    if folder.config.exists():
        raise ConfigError(
            f"{folder.path} already holds a run; resume it with --resume {folder.path}, or choose another"
        )


def run(job: Job, show: Show | None) -> None:
    """Train to the end of the run's length, from wherever its folder stands."""
    _tell(job.dataset, show or Show())
    device = pick_device(job.train.device)
    if device.type == "cpu":
        keep_freed()
    spec, config = _described(job)
    first = None
    if getattr(config, "first", NONE) != NONE:
        first, config = _first(job, config, spec, show)
    whole = job.train  # what is written down; the run itself gets what the first stage leaves of its length
    model = _built(config, spec, first, job, device)
    train = settings.resolve(job.train, model.training_defaults())
    if first is not None:
        train = replace(train, **_lengths(job.train, first.share)[1])
    codes = None
    if isinstance(model, Precomputes) and job.dataset.pairing is None:  # patches are other ones every time
        codes = precomputed(model, job.dataset, flip=bool(job.run["data"].get("flip")), device=device)
    arithmetic = _arithmetic(model, job.dataset, train, device, codes)
    train = replace(train, precision="bf16" if arithmetic.bf16 else "fp32", channels_last=arithmetic.channels_last)
    model.to(memory_format=arithmetic.memory_format)  # type: ignore[call-overload]
    reading = from_dict(DataConfig, {key: value for key, value in job.run["data"].items() if key != "path"})
    judge = _judge(job.dataset, job.run["data"]["path"], reading, train)
    trainer = Trainer(
        model,
        job.dataset,
        train,
        job.folder,
        arithmetic=arithmetic,
        device=device,
        validation=_validation(job.run["data"]["path"], reading, job.dataset),
        judge=judge,
        flip=reading.flip,
        workers=reading.workers,
        codes=codes,
        whole=job.whole,
        show=show,
    )
    if judge is not None:
        judge.bank = trainer.bank
    lengths = {name: getattr(whole, name) for name in ("steps", "images", "budget")}
    trainer.run(
        on_locked=lambda: refuse_second(job.folder) if job.new else None,
        on_restored=lambda: job.claim(replace(train, **lengths) if first is not None else train),
    )


def rehearse(job: Job) -> tuple[Model, TrainConfig]:
    """What `run` would train, and its settings; raises what would stop it before its first step, and leaves no trace.

    A model that is trained first is built, not trained.
    """
    spec, config = _described(job)
    first = getattr(config, "first", NONE)
    model = models.build(job.run["model"], config, spec)
    if first == NONE:
        model.prepare(_some_images(job.dataset, job.train.seed))
    elif first in models.CATALOGUE:
        models.build(first, models.configure(first, config.first_config), spec)
    else:
        source = RunFolder(Path(first))
        bundle.load(source.usable_model() if source.is_run else source.path)
    train = settings.resolve(job.train, model.training_defaults())
    parse_duration("budget", train.budget or settings.BUDGET)
    return model, train


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` takes the first accelerator there is, else the CPU."""
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device={name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return device


def _built(config: Any, spec: DataSpec, first: _First | None, job: Job, device: torch.device) -> Model:
    """The model with its first weights, those of the first stage in place; a checkpoint will bring others."""
    torch.manual_seed(int(generator(job.train.seed, "weights").integers(2**62)))
    model = models.build(job.run["model"], config, spec)
    if first is not None and first.model is not None:
        assert isinstance(model, FollowsOn)
        model.adopt(first.model)
    model.to(device)
    if not _begun(job):
        model.prepare(_some_images(job.dataset, job.train.seed).to(device))
    return model


def _begun(job: Job) -> bool:
    """Whether there is a checkpoint to go on from."""
    return checkpoint.newest_valid(job.folder.checkpoints)[0] is not None


# --- captions -------------------------------------------------------------------------------------------------------


def _described(job: Job) -> tuple[DataSpec, Any]:
    """The data as the model must know it, and the model's settings, with the text encoder settled."""
    spec, values = job.dataset.spec, job.run["config"]
    if values.get("text") == AUTO:
        values["text"] = settled_text(job.dataset)
    if values.get("text") == OWN:
        from .nn.text.own import learn_tokenizer

        captions = [caption for row in job.dataset.captions for caption in row]
        if captions and "tokenizer" not in job.run:
            job.run["tokenizer"] = learn_tokenizer(captions)
        spec = replace(spec, tokenizer=job.run.get("tokenizer", ""))
    return spec, models.configure(job.run["model"], values)


def settled_text(dataset: Dataset) -> str:
    """Which encoder `auto` means: the pretrained one where it is installed, else one that is trained with the model.

    Raises ConfigError for data without captions.
    """
    if not dataset.captions:
        raise ConfigError(
            f"text=auto needs captions, and {dataset.name!r} has none; add a metadata.csv or .txt files beside the "
            f"images, or use text=none"
        )
    from .nn.text import text_encoder

    try:
        text_encoder(MINILM, dataset.spec)
    except MissingExtra:
        return OWN
    return MINILM


# --- the model that is trained first --------------------------------------------------------------------------------


@dataclass
class _First:
    """The stage before this one.

    model   None where this run has gone beyond its start, and has the weights in its checkpoint
    share   of the length of the whole run that it took; 0 where it was there already
    """

    model: Model | None
    share: float


def _first(job: Job, config: Any, spec: DataSpec, show: Show | None) -> tuple[_First, Any]:
    """The trained model that this one works on, and this one's settings with its architecture filled in.

    `first` names a model of the catalogue, which is trained in `first/`, or a finished run or model folder.
    """
    is_run = config.first not in models.CATALOGUE and Path(config.first).is_dir()  # write ./edm for a folder called so
    given = job.run.get("first_from") or (config.first if is_run else None)
    begun = _begun(job)
    if given is not None:
        source = RunFolder(Path(given))
        loaded = None if begun else bundle.load(source.usable_model() if source.is_run else source.path).model
        if loaded is not None:
            job.run["first_from"] = str(Path(given).resolve())
            job.run["config"] |= {"first": loaded.name, "first_config": to_dict(loaded.config)}
        return _First(loaded, 0.0), models.configure(job.run["model"], job.run["config"])
    share = job.train.first_share
    if share is None:
        share = getattr(models.entry(job.run["model"]).load(), "first_share", FIRST_SHARE)
    inner = RunFolder(job.folder.path / "first")
    if not begun and not (inner.model / durable.MANIFEST).is_file():
        models.build(job.run["model"], config, spec)  # what cannot be built is refused now, not after the first stage
        durable.make_folder(job.folder.path)
        with durable.lock(job.folder.lock, "the first stage of a run"):
            job.claim(job.train)
        (show or Show()).notice(f"first the model that {job.run['model']} works on: {config.first}")
        run(_inner(job, config, inner, share), show)
    trained = None if begun else bundle.load(inner.model).model
    if trained is not None:
        job.run["config"] |= {"first": trained.name, "first_config": to_dict(trained.config)}
    return _First(trained, share), models.configure(job.run["model"], job.run["config"])


def _inner(job: Job, config: Any, folder: RunFolder, share: float) -> Job:
    """The run of the first stage, as it was begun or new."""
    if folder.config.exists():
        described = folder.read_config()
        train = from_dict(TrainConfig, described["train"], where="train")
        return Job(folder, described, train, job.dataset, whole=job.folder)
    values = to_dict(models.configure(config.first, config.first_config))
    described = {**job.run, "model": config.first, "config": values}
    described.pop("tokenizer", None)
    kept = {name: getattr(job.train, name) for name in _SHARED}
    train = TrainConfig(**kept, **_lengths(job.train, share)[0])
    return Job(folder, json.loads(json.dumps(described)), train, job.dataset, new=True, whole=job.folder)


FIRST_SHARE = 0.25  # of the run's length, for the first stage of a model that does not say
# what a first stage takes over from the run: the rest is as suits its model
_SHARED = ("seed", "precision", "channels_last", "device", "checkpoint_every", "preview_every", "keep", "tensorboard")


def _lengths(train: TrainConfig, share: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The length of the first stage, and what it leaves of the run's."""
    if train.steps is not None:
        first = max(1, round(train.steps * share))
        return {"steps": first}, {"steps": max(1, train.steps - first if share else train.steps)}
    if train.images is not None:
        return {"images": max(1, round(train.images * share))}, {"images": max(1, round(train.images * (1 - share)))}
    seconds = parse_duration("budget", train.budget or settings.BUDGET)
    return {"budget": f"{seconds * share:.3f}s"}, {"budget": f"{seconds * (1 - share):.3f}s"}


# --- what a run needs besides its model -----------------------------------------------------------------------------


def _tell(dataset: Dataset, show: Show) -> None:
    """What a person should know of the data before training on it."""
    report = dataset.report
    for text in [*report.notices, *report.warnings]:
        show.notice(text)
    if report.bad:
        names = few([name for name, _ in report.bad], 3)
        show.notice(f"{len(report.bad)} images cannot be decoded and are left out: {names}")


def _arithmetic(
    model: Any, dataset: Dataset, config: TrainConfig, device: torch.device, codes: Codes | None
) -> Arithmetic:
    assert config.batch is not None
    loader = Loader(dataset, batch_size=config.batch, seed=config.seed, codes=codes)
    return precision.choose(model, to_batch(loader.batch(0), device), config, device)


def _some_images(dataset: Dataset, seed: int) -> Tensor:
    """(N, C, H, W): up to 2,048 training images, chosen by the seed."""
    rows = np.sort(generator(seed, "prepare").permutation(len(dataset))[:2_048])
    return to_batch(dataset.batch(rows)).image


def _judge(dataset: Dataset, path: str, reading: DataConfig, config: TrainConfig) -> Judge | None:
    """What scores the models of a run while it trains, or None when nobody asked for it.

    The real images are those of the validation split where there is one, else training images; never the test split,
    which must not choose anything.
    """
    if settings.interval("evaluate_every", config.evaluate_every) == (None, None):
        return None
    (measure,) = measures.chosen([config.evaluate_metric])
    split = "val" if dataset.report.splits.get("val") else "train"
    sized = replace(reading, resolution=f"{dataset.spec.height}x{dataset.spec.width}", channels=dataset.spec.channels)
    reference = sides.reference(path, sized, n=config.evaluate_images, split=split)
    return Judge(measure, reference, features.load("lite0"), images=config.evaluate_images, seed=config.seed)


def _validation(path: str, reading: DataConfig, dataset: Dataset) -> Dataset | None:
    """The validation split, when the data has one; never the test split, which must not choose anything."""
    return open_data(path, reading, split="val") if dataset.report.splits.get("val") else None
