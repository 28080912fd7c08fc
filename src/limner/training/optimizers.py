"""One optimiser for each phase, the learning-rate schedules, and their state as named tensors (never pickle)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import BadCheckpoint
from .settings import TrainConfig


def build(
    phases: Mapping[str, list[nn.Parameter]], config: TrainConfig, suggested: Mapping[str, Any]
) -> dict[str, torch.optim.Optimizer]:
    """The optimiser of each phase: the user's setting first, then the model's suggestion, then Adam at 1e-3.

    A phase without parameters has none.
    """
    return {
        phase: _build(parameters, config, suggested.get(phase, {}))
        for phase, parameters in phases.items()
        if parameters
    }


def _build(parameters: list[nn.Parameter], config: TrainConfig, suggested: Mapping[str, Any]) -> torch.optim.Optimizer:
    name = config.optimizer or suggested.get("optimizer", "adam")
    # betas and decay suggested for one optimiser mean nothing to another
    ours = suggested if name == suggested.get("optimizer") else {}
    lr = config.lr or suggested.get("lr", 1e-3)
    decay = config.weight_decay if config.weight_decay is not None else ours.get("weight_decay", 0.0)
    momentum = config.momentum or ours.get("momentum", 0.0)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=decay, fused=True)
    if name == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=lr, momentum=momentum, weight_decay=decay, foreach=True)
    betas = config.betas or tuple(ours.get("betas", (0.9, 0.999)))
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind(parameters, lr=lr, betas=betas, weight_decay=decay, fused=True)


def schedule(config: TrainConfig, *, progress: float, images: int) -> float:
    """The factor on every learning rate, in [0, 1], after `images` images at `progress` of the run."""
    warmup = min(1.0, (images + 1) / config.warmup_images) if config.warmup_images else 1.0
    if config.lr_schedule == "cosine":
        return warmup * 0.5 * (1 + math.cos(math.pi * progress))
    if config.lr_schedule == "linear":
        return warmup * (1 - progress)
    return warmup


def state_tensors(
    optimizers: Mapping[str, torch.optim.Optimizer], names: Mapping[nn.Parameter, str]
) -> dict[str, Tensor]:
    """The state of every optimiser as `phase/parameter/slot` -> tensor."""
    return {
        f"{phase}/{names[parameter]}/{slot}": value
        for phase, optimizer in optimizers.items()
        for parameter, slots in optimizer.state.items()
        if isinstance(parameter, nn.Parameter)
        for slot, value in slots.items()
        if torch.is_tensor(value)
    }


def load_state_tensors(
    optimizers: Mapping[str, torch.optim.Optimizer], names: Mapping[nn.Parameter, str], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what `state_tensors` gave; raises BadCheckpoint when it is of another model."""
    by_name = {name: parameter for parameter, name in names.items()}
    for optimizer in optimizers.values():
        optimizer.state.clear()
    for path, value in tensors.items():
        phase, name, slot = path.split("/")
        if phase not in optimizers or name not in by_name:
            raise BadCheckpoint(f"the optimiser state of {phase}/{name} belongs to no parameter of this model")
        parameter = by_name[name]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)  # in the parameter's memory layout
        # counts too: a fused optimiser keeps them on the device
        optimizers[phase].state[parameter][slot] = value.to(parameter.device)
