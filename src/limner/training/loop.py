"""The one training loop. It owns data order, device, precision, optimisers, averages, the non-finite policy, logs,
previews, checkpoints and exact resume; a model knows none of these (model.py has the contract).

A run is a function of (config, data, seed, step): what a checkpoint holds and the step number decide all that follows.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from .. import __version__, bundle, durable
from ..data.dataset import Dataset
from ..data.loader import Loader, to_batch
from ..errors import BadCheckpoint, ConfigError, DiskError, Interrupted, TrainingStopped
from ..model import Encodes, Model, Samples, Transforms
from ..tasks import conditions
from ..types import Condition
from . import checkpoint, inference, optimizers, previews
from .codes import Codes
from .ema import Averages
from .folder import RunFolder
from .health import Recovery, first_not_finite
from .log import RunLog
from .plan import Plan, parse_duration
from .precision import Arithmetic
from .settings import TrainConfig, interval
from .show import Report, Show
from .step import NonFinite, StepLog, Stepper

_LOG_EVERY = 1.0  # seconds
_ASK_EVERY = 0.1  # seconds between steps that note what they give
_CHECK_EVERY = 50  # steps between looks for weights that are not finite
_FAILED_SAVES = 3  # in a row, before a run stops


@dataclass
class Every:
    """Something done every so many steps, or every so many seconds."""

    steps: int | None
    seconds: float | None
    _last: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, name: str, text: str) -> Every:
        return cls(*interval(name, text))

    def due(self, step: int) -> bool:
        """Whether it is time, after `step` steps; asking when it is time starts the next wait."""
        if self.steps is not None:
            return step % self.steps == 0
        if self.seconds is None or time.monotonic() - self._last < self.seconds:
            return False
        self._last = time.monotonic()
        return True


class Trainer:
    """One run of one model on one data set, in one folder."""

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        config: TrainConfig,
        folder: RunFolder,
        *,
        arithmetic: Arithmetic,
        device: torch.device,
        validation: Dataset | None = None,
        judge: Callable[[Model], float] | None = None,
        flip: bool = False,
        workers: int = 0,
        codes: Codes | None = None,
        whole: RunFolder | None = None,
        show: Show | None = None,
    ) -> None:
        """`config` has been through settings.resolve; `model` is on `device` in the arithmetic's memory format.

        judge   gives a model a score, lower is better: `best/` is chosen by it every `config.evaluate_every`, and so
                are the weights in the end; without one, a model of one phase is judged by its validation loss
        whole   the run to go on with after an interruption, where this is only a stage of it
        """
        assert config.batch is not None and config.ema_halflife_images is not None
        suggested = model.training_defaults()
        self.model, self.dataset = model.train(), dataset
        self.validation = validation if len(model.phases()) == 1 and judge is None else None
        self.judge = judge
        self.config, self.folder, self.device, self.show = config, folder, device, show or Show()
        self.arithmetic, self.batch_size, self.flip, self.workers = arithmetic, config.batch, flip, workers
        self.codes, self.whole = codes, whole or folder
        optims = optimizers.build(model.phases(), config, suggested.get("phases", {}))
        averages = Averages(model, halflife_images=config.ema_halflife_images, batch=config.batch)
        self.state = checkpoint.TrainingState(model, averages, optims)
        self.stepper = Stepper(
            model,
            optims,
            arithmetic=arithmetic,
            device=device,
            seed=config.seed,
            clip=config.clip or None,
            accumulate=config.accumulate,
        )
        self.weights = suggested.get("weights", "ema_long")
        self.bank = _bank(dataset, model, config.seed)
        self.plan = _plan(config)
        self.recovery = Recovery()
        self.step, self.seconds, self.best = 0, 0.0, float("inf")
        self._signal: int | None = None
        self._failed_saves = 0
        self._saved = self._previewed = -1  # the last step that was

    # --- the run ----------------------------------------------------------------------------------------------------

    def run(self, on_locked: Callable[[], None] = lambda: None, on_restored: Callable[[], None] = lambda: None) -> None:
        """Train to the end of the plan, from the newest whole checkpoint if there is one.

        on_locked     called when the folder is this process's alone, before anything is read or written there
        on_restored   called when it is known where the run stands, before its first step
        Raises ConfigError for a length that the run is beyond; and, both after saving, Interrupted after a signal and
        TrainingStopped when recovery failed.
        """
        durable.make_folder(self.folder.path)
        with durable.lock(self.folder.lock, f"process {os.getpid()}"), self._signals():
            on_locked()
            for folder in (self.folder.path, self.folder.checkpoints, self.folder.previews):
                durable.sweep(folder)
            self._restore()
            on_restored()
            log = RunLog(self.folder.log, after_step=self.step, tensorboard=self.config.tensorboard)
            self.show.start(self._headline())
            try:
                self._train(log)
                self._finish(log)
            finally:
                log.close()
                self.show.stop()
            self._tell_of_signal()

    def _train(self, log: RunLog) -> None:
        """Step to the end of the plan; each pass of the outer loop starts from a checkpoint."""
        checkpoint_due = Every.of("checkpoint_every", self.config.checkpoint_every)
        preview_due = Every.of("preview_every", self.config.preview_every)
        evaluation_due = Every.of("evaluate_every", self.config.evaluate_every)
        meter = _Meter(self)
        while self.plan.progress(self.step) < 1:
            try:
                if self._saved < 0:
                    self._save(required=True)  # proves before the first step that the disk takes what must last
                self._check_signal()
                for _ in self._steps(meter):
                    if meter.due(self.plan.progress(self.step) >= 1):
                        self._report(meter, log)
                    if preview_due.due(self.step):
                        self._preview(log)
                    if self.judge is not None and evaluation_due.due(self.step):
                        self._evaluate(log)
                    if checkpoint_due.due(self.step):
                        self._save()
                    self._check_signal()
            except NonFinite as fault:
                self._roll_back(fault)
                log.rewind(self.step)

    def _steps(self, meter: _Meter) -> Iterator[None]:
        """Take steps until the plan's end, yielding after each."""
        loader = Loader(
            self.dataset,
            batch_size=self.batch_size,
            seed=self.config.seed,
            flip=self.flip,
            workers=self.workers,
            start=self.step,
            codes=self.codes,
        )
        mark = time.monotonic()
        try:
            for raw in loader:
                self._one_step(raw, loader, meter)
                self.step += 1
                self.state.averages.update(self.step - 1)
                if self.step % _CHECK_EVERY == 0 or self.plan.progress(self.step) >= 1:
                    self._check_weights()
                yield
                mark, before = time.monotonic(), mark
                self.seconds += mark - before
                self.plan.observe(self.step, self.seconds)
                if self.plan.progress(self.step) >= 1:
                    return
        finally:
            loader.close()

    def _one_step(self, raw: Any, loader: Loader, meter: _Meter) -> None:
        """One step on one batch; a batch whose loss or gradient is not finite is skipped, a few times."""
        images = self.step * self.batch_size
        batch = to_batch(raw, self.device, self.arithmetic.memory_format)
        progress = self.plan.progress(self.step)
        factor = optimizers.schedule(self.config, progress=progress, images=images)
        self.stepper.set_lr(factor * self.recovery.lr_scale)
        try:
            logged = meter.wants()
            meter.add(self.stepper.step(batch, self.step, images, progress=progress, logged=logged))
            self.recovery.healthy()
        except NonFinite as fault:
            fault.batch = [self.dataset.ids[row] for row in loader.indices(self.step)[:3]]
            if not self.recovery.skip():
                raise
            self.show.notice(f"step {self.step}: {fault}; skipped")

    def _finish(self, log: RunLog) -> None:
        """Save the end of the run, choose between the averages, and hand the model out."""
        if self.judge is not None or self.validation is not None:
            kind = "validation" if self.judge is None else f"evaluation/{self.config.evaluate_metric}"
            self.weights, scores = inference.best_weights(self._handed_out, self._score)
            with self._not_vital("log"):
                log.write(self.step, {f"{kind}/{name}": score for name, score in scores.items()})
        if self._saved != self.step:
            self._save(required=True)
        if self._previewed != self.step:
            self._preview(log)
        model = self._handed_out(self.weights, inference.FIT_IMAGES_FINAL)
        durable.publish_folder(self.folder.model, self._bundle(model), about={"format": bundle.FORMAT})

    # --- state ------------------------------------------------------------------------------------------------------

    def _save(self, *, required: bool = False) -> None:
        """Publish a checkpoint; a full disk is forgiven twice in a row, unless the checkpoint is required."""
        self._check_weights()
        model = self._handed_out(self.weights)
        plain = {
            "step": self.step,
            "seconds": self.seconds,
            "plan": self.plan.state(),
            "weights": self.weights,
            "skips": self.recovery.skips,
        }
        try:
            if self.validation is not None:
                self._publish_best(model)
            plain["best"] = self.best
            checkpoint.save(self.folder.checkpoints, self.state, self._bundle(model), plain)
            checkpoint.prune(self.folder.checkpoints, self.config.keep, step=self.step)
            self._failed_saves, self._saved = 0, self.step
        except DiskError as error:
            self._failed_saves += 1
            if required or self._failed_saves >= _FAILED_SAVES:
                raise
            self.show.notice(f"checkpoint of step {self.step} not saved: {error}; trying again at the next")

    def _score(self, model: Model) -> float:
        """How good a model is, lower is better: what the judge says, else the validation loss."""
        if self.judge is not None:
            return self.judge(model)
        assert self.validation is not None
        return inference.validation_loss(model, self.validation, seed=self.config.seed)

    def _publish_best(self, model: Model) -> float:
        """Publish `best/` if the score is the lowest so far; returns the score."""
        score = self._score(model)
        if self.step and score < self.best:
            durable.publish_folder(self.folder.best, self._bundle(model), about={"format": bundle.FORMAT})
            self.best = score
        return score

    def _evaluate(self, log: RunLog) -> None:
        """Let the judge score the model as it stands; a full disk is met at the next checkpoint."""
        model = self._handed_out(self.weights)
        with self._not_vital("evaluation"):
            log.write(self.step, {f"evaluation/{self.config.evaluate_metric}": self._publish_best(model)})

    def _restore(self) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        self.recovery.rollbacks = _read_rollbacks(self.folder)
        newest, problems = checkpoint.newest_valid(self.folder.checkpoints)
        if newest is None and problems:
            raise BadCheckpoint(f"no checkpoint of {self.folder.path} is whole: {problems[0]}; start a new run")
        for problem in problems:
            self.show.notice(f"{problem}; using an older checkpoint")
        if newest is None:
            return
        plain = checkpoint.load(newest, self.state)
        self.step = self._saved = plain["step"]
        self.seconds, self.best, self.weights = plain["seconds"], plain["best"], plain["weights"]
        self.recovery.skips = plain["skips"]
        self.plan = _resumed(Plan.from_state(plain["plan"]), self.config, self.step, self.seconds)

    def _roll_back(self, fault: NonFinite) -> None:
        """Return to the newest checkpoint with a lower learning rate; TrainingStopped when that has not helped."""
        may_go_on = self.recovery.roll_back()
        durable.write_file(self.folder.recoveries, json.dumps(self.recovery.state()).encode())
        newest, _ = checkpoint.newest_valid(self.folder.checkpoints)
        if not may_go_on or newest is None:
            raise TrainingStopped(
                f"{fault} at step {self.step}, after {self.recovery.rollbacks - 1} rollbacks with lower "
                f"learning rates; "
                f"last checkpoint is {newest}; try --set lr={self._lowest_lr():.1e} or --set clip=1"
            )
        at = self.step
        self._restore()
        self.recovery.skips = 0
        self.show.notice(
            f"step {at}: {fault}; back to step {self.step} with {self.recovery.lr_scale:g} of the learning rate"
        )

    def _check_weights(self) -> None:
        """Raise NonFinite when a weight or an average is not finite, so that none such is ever published."""
        named = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        averages = [pair for average in self.state.averages.tensors().values() for pair in average.items()]
        bad = first_not_finite([*named.items(), *averages])
        if bad is not None:
            phases = self.model.phases()
            owner = next((name for name, owned in phases.items() if any(p is named[bad] for p in owned)), "model")
            raise NonFinite(owner, f"weight {bad!r}")

    def _handed_out(self, weights: str, images: int = inference.FIT_IMAGES) -> Model:
        model = inference.assemble(self.model, self.state.averages, weights, self.step)
        inference.fit_density(model, self.dataset, seed=self.config.seed, images=images)
        return model

    def _bundle(self, model: Model) -> Mapping[str, Callable[[], bytes]]:
        return bundle.contents(model, self._about(), self.bank)

    def _about(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "dataset": self.dataset.name,
            "dataset_digest": self.dataset.digest,
            "images_in_dataset": len(self.dataset),
            "attribution": self.dataset.report.attribution,
            "seed": self.config.seed,
            "steps": self.step,
            "images_shown": self.step * self.batch_size,
            "weights": self.weights,
            "minutes": round(self.seconds / 60, 2),
        }

    # --- what people see --------------------------------------------------------------------------------------------

    def _report(self, meter: _Meter, log: RunLog) -> None:
        values, rate = meter.take()
        progress, eta = self.plan.progress(self.step), self.plan.seconds_left(self.step, self.seconds)
        report = Report(self.step, self.plan.steps, progress, self.seconds, rate, values, eta)
        rounded = {"images": self.step * self.batch_size, "seconds": round(self.seconds, 2), "images_per_second": rate}
        with self._not_vital("log"):
            log.write(self.step, rounded | values)
        self.show.report(report)

    def _preview(self, log: RunLog) -> None:
        if not isinstance(self.model, Encodes | Samples | Transforms):  # nothing to look at: it judges pictures
            return
        picture = previews.preview(self._handed_out(self.weights), self.dataset, self.bank, seed=self.config.seed)
        self._previewed = self.step
        with self._not_vital("preview"):
            log.picture(self.step, picture)
            self.show.preview(previews.write(picture, self.folder.previews, self.step))

    @contextmanager
    def _not_vital(self, what: str) -> Iterator[None]:
        """What is only to be looked at may fail to be written: a full disk shows itself at the next checkpoint."""
        try:
            yield
        except OSError as error:
            self.show.notice(f"{what} of step {self.step} not written: {error}")

    def _headline(self) -> str:
        precision = "bf16" if self.arithmetic.bf16 else "fp32"
        going = f"goes on from step {self.step:,}" if self.step else "starts"
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return (
            f"{self.model.name} ({parameters / 1e6:.2f} M parameters) on {self.dataset.name}: "
            f"{len(self.dataset):,} images, "
            f"batch {self.batch_size}, {precision}, {self.device.type}; {going}"
        )

    def _lowest_lr(self) -> float:
        return min((g["lr"] for optim in self.state.optimizers.values() for g in optim.param_groups), default=0.0)

    # --- signals ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Note the first SIGINT or SIGTERM, to end after the step; the second ends at once, which harms nothing."""
        handled = (signal.SIGINT, signal.SIGTERM)
        try:
            before = {number: signal.signal(number, self._on_signal) for number in handled}
        except ValueError:  # not the main thread: signals are someone else's business
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: Any) -> None:
        self._signal = number
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_DFL)

    def _check_signal(self) -> None:
        if self._signal is None:
            return
        if self._saved != self.step:
            self._save(required=True)
        command = f"limner train --resume {shlex.quote(str(self.whole.path))}"
        raise Interrupted(f"stopped at step {self.step:,}, saved. To go on: {command}", self._signal)

    def _tell_of_signal(self) -> None:
        """A signal that came while the end was being saved: whatever was to follow this run shall not begin."""
        if self._signal is not None:
            raise Interrupted(f"stopped; {self.folder.path} was at its end, and is saved", self._signal)


class _Meter:
    """Means of what steps gave since the last report, read off the device only then.

    Short steps are not all asked: ten of them a second say as much as two hundred, at a twentieth of the cost.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._sums: dict[str, torch.Tensor] = {}
        self._counts: dict[str, int] = {}
        self._since, self._images, self._asked = time.monotonic(), 0, 0.0

    def wants(self) -> bool:
        """Whether the coming step should note what it gives."""
        now = time.monotonic()
        if now - self._asked < _ASK_EVERY:
            return False
        self._asked = now
        return True

    def add(self, log: StepLog | None) -> None:
        """Count a step, and take in what it gave if it noted that."""
        self._images += self._trainer.batch_size
        for name, value in log.values.items() if log is not None else ():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def due(self, last: bool) -> bool:
        return last or time.monotonic() - self._since >= _LOG_EVERY

    def take(self) -> tuple[dict[str, float], float]:
        """The means and images a second since the last call."""
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        rate = self._images / max(1e-9, time.monotonic() - self._since)
        self._sums, self._counts, self._images, self._since = {}, {}, 0, time.monotonic()
        return means, rate


def _bank(dataset: Dataset, model: Model, seed: int) -> Condition:
    """Conditions of training images, to draw from later; captions only with a model that reads them."""
    captions = dataset.captions if getattr(model.config, "text", "none") != "none" else []
    return conditions.bank(
        dataset.labels, dataset.attributes, dataset.known, dataset.spec, seed=seed, captions=captions
    )


def _plan(config: TrainConfig) -> Plan:
    if config.precise_length is not None:
        return Plan.fixed(config.precise_length)
    assert config.budget is not None
    return Plan.timed(parse_duration("budget", config.budget))


def _resumed(saved: Plan, config: TrainConfig, step: int, seconds: float) -> Plan:
    """The plan to go on with: the saved one, unless the run was since given another length.

    Raises ConfigError for a length that it is beyond already.
    """
    asked = _plan(config)
    if asked.budget_seconds == saved.budget_seconds and (asked.budget_seconds or asked.steps == saved.steps):
        return saved
    if asked.steps < step or (asked.budget_seconds or math.inf) < seconds:
        raise ConfigError(
            f"the run stands at step {step:,}, after {seconds / 60:.1f} minutes, beyond the length that was asked for; "
            f"give a greater one, or load a checkpoint of before"
        )
    return asked


def _read_rollbacks(folder: RunFolder) -> int:
    return json.loads(folder.recoveries.read_bytes())["rollbacks"] if folder.recoveries.exists() else 0
