"""The settings of training, and what a model suggests for those left open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..config import setting
from ..errors import ConfigError
from .plan import parse_duration

BUDGET = "10m"  # where no length is given
OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]


@dataclass(frozen=True)
class TrainConfig:
    """How to train. `None` means: what the model suggests, or what is measured to be fastest on this device."""

    seed: int = setting("of everything random in the run", 0)
    budget: str | None = setting("wall-clock time to spend, for example 90s, 10m, 2h", None)
    steps: int | None = setting("optimiser steps to take", None)
    images: int | None = setting("images to show", None)
    batch: int | None = setting("images a step", None)
    accumulate: int = setting("parts a batch is taken in, to save memory", 1)
    optimizer: OptimizerName | None = setting("of every phase", None)
    lr: float | None = setting("learning rate of every phase", None)
    betas: tuple[float, float] | None = setting("of Adam and AdamW", None)
    weight_decay: float | None = setting("of AdamW; L2 penalty of the others", None)
    momentum: float = setting("of SGD and RMSprop", 0.0)
    lr_schedule: Literal["constant", "cosine", "linear"] | None = setting("of the learning rate over the run", None)
    warmup_images: int | None = setting("images over which the learning rate rises from 0", None)
    clip: float | None = setting("largest gradient norm of a phase; larger ones are scaled down; 0 for none", None)
    ema_halflife_images: tuple[int, int] | None = setting("half-lives of the short and the long weight average", None)
    precision: Literal["auto", "fp32", "bf16"] = setting("arithmetic of the network", "auto")
    channels_last: bool | None = setting("memory layout of convolutions", None)
    device: str = setting("auto, cpu, cuda, cuda:1, mps …", "auto")
    checkpoint_every: str = setting("steps, or a time such as 2m, between checkpoints", "2m")
    preview_every: str = setting("steps, or a time, between preview grids; 0 for one at the end alone", "1m")
    evaluate_every: str = setting("steps, or a time, between evaluations that pick the best model; 0 for none", "0")
    evaluate_metric: str = setting("what is measured then; any metric of `limner evaluate` with one number", "kid")
    evaluate_images: int = setting("images that are made and measured then", 1_000)
    first_share: float | None = setting(
        "share of the run for the model that this one works on, where there is one", None
    )
    keep: int = setting("checkpoints to keep", 2)
    tensorboard: bool = setting("write TensorBoard events when the package is installed", True)

    def __post_init__(self) -> None:
        for name in ("steps", "images", "batch", "accumulate", "keep", "evaluate_images"):
            _positive(name, getattr(self, name))
        if sum(value is not None for value in (self.budget, self.steps, self.images)) > 1:
            raise ConfigError("budget, steps and images each set the length of the run; give one of them")
        if self.first_share is not None and not 0 < self.first_share < 1:
            raise ConfigError(
                f"first_share={self.first_share} is not a share of the run; use more than 0 and less than 1"
            )
        self._check_numbers()
        if self.budget is not None:
            parse_duration("budget", self.budget)
        for name in ("checkpoint_every", "preview_every", "evaluate_every"):
            interval(name, getattr(self, name))

    def _check_numbers(self) -> None:
        """Raise ConfigError for what an optimiser would refuse or choke on; NaN fails every comparison here."""
        if self.lr is not None and not 0 < self.lr < 100:
            raise ConfigError(f"lr={self.lr} is not between 0 and 100")
        if self.clip is not None and not self.clip >= 0:
            raise ConfigError(f"clip={self.clip} is negative; use 0 for no clipping")
        for name in ("betas", "momentum"):
            if not all(0 <= value < 1 for value in _listed(getattr(self, name))):
                raise ConfigError(f"{name}={getattr(self, name)} is not at least 0 and below 1")
        for name, least in {"weight_decay": 0, "warmup_images": 0, "ema_halflife_images": 1}.items():
            if not all(least <= value < math.inf for value in _listed(getattr(self, name))):
                raise ConfigError(f"{name}={getattr(self, name)} is below {least} or not finite")

    @property
    def precise_length(self) -> int | None:
        """The number of steps when the settings fix it, else None (a time budget)."""
        if self.steps is not None or self.images is None:
            return self.steps
        assert self.batch is not None
        return max(1, self.images // self.batch)


def resolve(config: TrainConfig, suggested: Mapping[str, Any]) -> TrainConfig:
    """Fill what is open with the model's suggestions (its `training_defaults()`), then with Limner's."""
    defaults: dict[str, Any] = {
        "batch": suggested.get("batch", 64),
        "lr_schedule": suggested.get("lr_schedule", "constant"),
        "warmup_images": suggested.get("warmup_images", 0),
        "clip": suggested.get("clip"),
        "ema_halflife_images": tuple(suggested.get("ema_halflife_images", (2_000, 20_000))),
    }
    if config.budget is None and config.steps is None and config.images is None:
        defaults["budget"] = BUDGET
    config = replace(config, **{key: value for key, value in defaults.items() if getattr(config, key, 0) is None})
    assert config.batch is not None
    if config.batch % config.accumulate:
        raise ConfigError(f"batch={config.batch} does not split into accumulate={config.accumulate} equal parts")
    return config


def interval(name: str, text: str) -> tuple[int | None, float | None]:
    """("500") -> (500 steps, None); ("2m") -> (None, 120.0 seconds); ("0") -> (None, None): never."""
    if text.isdecimal():
        return (int(text) or None, None)
    return (None, parse_duration(name, text))


def _listed(value: Any) -> tuple:
    return () if value is None else value if isinstance(value, tuple) else (value,)


def _positive(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ConfigError(f"{name}={value} is not positive")
