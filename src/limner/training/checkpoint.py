"""Checkpoints: a model folder with the state of training beside it, in `checkpoints/<step>/`.

model.safetensors     the weights to use (an average), which makes the checkpoint loadable as a model
train.safetensors     raw weights, both averages, optimiser state
state.json            step, plan, seconds, recoveries: plain values
A checkpoint counts from the moment its folder appears under its name; only whole ones are ever seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import bundle, durable
from ..errors import BadCheckpoint, ConfigError, unknown
from ..model import Model
from . import optimizers as optim
from .ema import NAMES, Averages

STATE, TENSORS = "state.json", "train.safetensors"


@dataclass
class TrainingState:
    """Everything that training changes."""

    model: Model
    averages: Averages
    optimizers: Mapping[str, torch.optim.Optimizer]

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor under a name of its own: raw/…, ema_short/…, ema_long/…, optimizer/…"""
        named = {f"raw/{name}": tensor for name, tensor in self.model.state_dict().items()}
        for average, tensors in self.averages.tensors().items():
            named |= {f"{average}/{name}": tensor for name, tensor in tensors.items()}
        states = optim.state_tensors(self.optimizers, self._names())
        return named | {f"optimizer/{name}": tensor for name, tensor in states.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in ("raw", "optimizer", *NAMES)}
        for path, tensor in tensors.items():
            part, name = path.split("/", 1)
            parts[part][name] = tensor
        self.model.load_state_dict(parts["raw"])
        self.averages.load({name: parts[name] for name in NAMES})
        optim.load_state_tensors(self.optimizers, self._names(), parts["optimizer"])

    def _names(self) -> dict[torch.nn.Parameter, str]:
        return {parameter: name for name, parameter in self.model.named_parameters()}


def save(
    folder: Path, state: TrainingState, model_files: Mapping[str, Callable[[], bytes]], plain: Mapping[str, Any]
) -> Path:
    """Publish `<step>/` under `folder`: the files of the model folder with the state of training; returns its path."""
    target = folder / f"{plain['step']:08d}"
    files = dict(model_files) | {
        TENSORS: lambda: bundle.tensor_bytes(state.tensors()),
        STATE: lambda: json.dumps(plain, indent=1).encode(),
    }
    durable.publish_folder(target, files, about={"format": bundle.FORMAT, "step": plain["step"]})
    return target


def load(folder: Path, state: TrainingState) -> dict[str, Any]:
    """Load one checkpoint into `state`, after checking every byte; returns the plain values."""
    bundle.check_format(folder, verify(folder))
    try:
        plain = json.loads((folder / STATE).read_bytes())
        state.load(bundle.read_tensors(folder / TENSORS))
    except (KeyError, ValueError, RuntimeError, OSError) as error:
        raise BadCheckpoint(f"{folder} does not fit this run: {error}") from error
    return plain


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, after checking every byte, and that it is of the step that its folder is named for.

    Raises BadCheckpoint naming the file and what is wrong with it.
    """
    manifest = durable.verify(folder)
    if manifest.get("step") != int(folder.name):
        raise BadCheckpoint(f"{folder} holds a checkpoint of step {manifest.get('step')}: it was renamed or copied")
    return manifest


def existing(folder: Path) -> list[Path]:
    """The checkpoints under `folder`, newest step first. Dates play no part."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: -int(path.name))


def newest_valid(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint whose every byte is right, and what was wrong with newer ones."""
    problems: list[str] = []
    for path in existing(folder):
        try:
            verify(path)
            return path, problems
        except BadCheckpoint as error:
            problems.append(str(error))
    return None, problems


def prune(folder: Path, keep: int, *, step: int) -> None:
    """Remove all but the newest `keep` checkpoints up to `step`, where the run stands.

    Those beyond it go too: training went back past them because they are damaged, and must not crowd out whole ones.
    """
    beyond = [path for path in existing(folder) if int(path.name) > step]
    for path in beyond + existing(folder)[len(beyond) + keep :]:
        durable.remove_folder(path)


def weights(folder: Path, name: str) -> dict[str, Tensor]:
    """Weights of a checkpoint by name: raw, ema_short or ema_long, with the buffers of the raw model.

    Raises ConfigError for another name.
    """
    if name not in ("raw", *NAMES):
        raise ConfigError(unknown("weights", name, ("raw", *NAMES)))
    tensors = bundle.read_tensors(folder / TENSORS)
    raw = {path.removeprefix("raw/"): tensor for path, tensor in tensors.items() if path.startswith("raw/")}
    chosen = {path.removeprefix(f"{name}/"): t for path, t in tensors.items() if path.startswith(f"{name}/")}
    return raw | chosen
