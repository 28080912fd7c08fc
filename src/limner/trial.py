"""What a run costs on this machine: a run of seconds at the real shape, measured from outside.

A trial is `limner.train` itself, with a budget of a few seconds for each stage and in a process of its own. So nothing
is modelled that could be wrong: the arithmetic is chosen, optimisers and averages are filled, a checkpoint is written,
a preview is made, and a model that follows on another one has both stages. It does not know which model is any good.

    echo '{"model": "vae", "data": "builtin:digits"}' | python -m limner.trial
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from . import __version__, api, durable, models, running
from .config import from_dict
from .data.cache import home
from .errors import ConfigError, LimnerError
from .model import FollowsOn
from .training import checkpoint
from .training.folder import RunFolder
from .training.settings import TrainConfig
from .training.show import Report, Show

_DAY = 86_400.0  # seconds for which a trial is remembered


@dataclass(frozen=True)
class Ask:
    """What is tried: a model with its settings, on data as they are read, for some seconds of each stage."""

    model: str
    data: str
    config: dict[str, Any] = field(default_factory=dict)
    reading: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    seconds: float = 4.0


@dataclass(frozen=True)
class StageCost:
    """What one stage of a run costs, in seconds.

    step    one step, of `batch` images
    setup   before the first step: the arithmetic is chosen, codes are made, the data are looked at
    pause   one checkpoint with a preview, during which no steps are taken
    end     after the last step and its pause: the model is handed out
    """

    batch: int
    step: float
    setup: float
    pause: float
    end: float


@dataclass(frozen=True)
class Cost:
    """What a run costs.

    stages   in their order: the model that is worked on first, where there is one
    memory   bytes at the most: of the accelerator that is trained on, else of the whole process
    disk     bytes of the finished run
    start    seconds until a process has begun: Python and its packages
    """

    stages: tuple[StageCost, ...]
    memory: int
    disk: int
    start: float = 0.0


def first_share(model: str) -> float:
    """The share of a run that the model before this one gets; 0 for a model that stands alone."""
    stands_alone = getattr(models.configure(model, {}), "first", "none") == "none"
    return 0.0 if stands_alone else getattr(models.entry(model).load(), "first_share", running.FIRST_SHARE)


# --- in a process of its own ----------------------------------------------------------------------------------------


def measured(ask: Ask, *, timeout: float, fresh: bool = False) -> Cost:
    """What `ask` costs, tried in a process of its own, or as tried on this machine within the last day.

    timeout   seconds after which the trial is given up
    fresh     do not look at what is remembered
    Raises ConfigError saying why it could not be tried.
    """
    place = home() / "trials" / f"{_key(ask)}.json"
    known = None if fresh else _remembered(place)
    if known is None:
        known = _in_process(ask, timeout)
        durable.make_folder(place.parent)
        durable.write_file(place, json.dumps({"at": time.time(), "cost": asdict(known)}).encode())
    return known


def _key(ask: Ask) -> str:
    """Alike for trials that must cost the same; the images are the same as long as their folder is not touched."""
    path = Path(ask.data).expanduser()
    changed = path.stat().st_mtime if path.exists() else 0.0
    machine = [platform.node(), platform.machine(), os.cpu_count(), torch.get_num_threads(), torch.__version__]
    text = json.dumps([__version__, *machine, str(path), changed, asdict(ask)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _remembered(place: Path) -> Cost | None:
    try:
        found = json.loads(place.read_bytes())
        if not 0 <= time.time() - found["at"] < _DAY:
            return None
        return from_dict(Cost, found["cost"])
    except (OSError, ValueError, KeyError, TypeError, LimnerError):  # absent, or not whole: it is tried again
        return None


def _in_process(ask: Ask, timeout: float) -> Cost:
    command, began = [sys.executable, "-m", __name__], time.monotonic()
    try:
        done = subprocess.run(command, input=json.dumps(asdict(ask)), capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise ConfigError(f"a trial of {ask.model} took more than {timeout:.0f} s; try smaller images") from None
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        said = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        raise ConfigError(f"a trial of {ask.model} broke off, perhaps for want of memory: {said}") from None
    if "failure" in answer:
        raise ConfigError(answer["failure"])
    cost = from_dict(Cost, answer["cost"])
    return replace(cost, start=max(0.0, time.monotonic() - began - answer["seconds"]))


def main() -> None:
    """Try what stdin asks for, and print as JSON what it costs and the seconds that took, or {"failure": why not}."""
    ask, began = from_dict(Ask, json.load(sys.stdin)), time.monotonic()
    try:
        answer: dict[str, Any] = {"cost": asdict(measure(ask))}
        answer["seconds"] = time.monotonic() - began
    except LimnerError as error:
        answer = {"failure": str(error)}
    print(json.dumps(answer))


# --- the trial ------------------------------------------------------------------------------------------------------


def measure(ask: Ask) -> Cost:
    """Try `ask` in this process, whose peak of memory then includes whatever it did before."""
    follows = issubclass(models.entry(ask.model).load(), FollowsOn) if first_share(ask.model) else False
    length: dict[str, Any] = {"budget": f"{ask.seconds * (2 if follows else 1):.3f}s"}
    if follows:
        length["first_share"] = 0.5
    with tempfile.TemporaryDirectory(prefix="limner-trial-") as folder:
        watch, run = _Watch(), RunFolder(Path(folder) / "run")
        api.train(
            ask.model,
            ask.data,
            out=run.path,
            config=ask.config,
            data_config=ask.reading,
            show=watch,
            device=ask.device,
            preview_every="0",
            tensorboard=False,
            **length,
        )
        runs = [RunFolder(run.path / "first"), run] if follows else [run]
        stages = [seen.cost(_batch(each)) for seen, each in zip(watch.stages, runs, strict=True)]
        return Cost(tuple(stages), _peak(ask.device), sum(map(_disk, runs)))


@dataclass
class _Seen:
    """When what happened in one stage, by the clock, and (when, steps taken) of each report."""

    began: float
    started: float
    reports: list[tuple[float, int]] = field(default_factory=list)
    previewed: float | None = None
    stopped: float = 0.0

    def cost(self, batch: int) -> StageCost:
        last, steps = self.reports[-1]
        since, before = self.reports[0]
        if steps == before:  # one report only: the first step, which is slow, cannot be left out
            since, before = self.started, 0
        looked = self.stopped if self.previewed is None else self.previewed
        return StageCost(
            batch=batch,
            step=(last - since) / (steps - before),
            setup=self.started - self.began,
            pause=looked - last,
            end=self.stopped - looked,
        )


class _Watch(Show):
    """Shows nothing, and notes when everything happened."""

    def __init__(self) -> None:
        self.stages: list[_Seen] = []
        self._began = time.monotonic()

    def start(self, what: str) -> None:
        self.stages.append(_Seen(self._began, time.monotonic()))

    def report(self, report: Report) -> None:
        self.stages[-1].reports.append((time.monotonic(), report.step))

    def preview(self, path: Path) -> None:
        self.stages[-1].previewed = time.monotonic()

    def stop(self) -> None:
        self.stages[-1].stopped = self._began = time.monotonic()


def _batch(run: RunFolder) -> int:
    return run.read_config()["train"]["batch"]


def _disk(run: RunFolder) -> int:
    """Bytes of a run as it will be when it keeps as many checkpoints as it may; the very first one is smaller."""
    inner = run.path / "first"
    own = [path for path in run.path.rglob("*") if path.is_file() and inner not in path.parents]
    kept = [path for path in own if run.checkpoints not in path.parents]
    newest = checkpoint.existing(run.checkpoints)[0]
    return _bytes(kept) + TrainConfig().keep * _bytes([path for path in newest.iterdir() if path.is_file()])


def _bytes(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _peak(device: str) -> int:
    """The most bytes that were ever in use: of the accelerator where there is one, else of this process."""
    chosen = api.pick_device(device)
    count: Mapping[str, Any] = {} if chosen.type == "cpu" else vars(torch.get_device_module(chosen))
    if "max_memory_allocated" in count:
        return count["max_memory_allocated"](chosen)
    status = Path("/proc/self/status")
    if status.exists():  # not getrusage: that one inherits the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    main()
