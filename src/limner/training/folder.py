"""The layout of a run folder.

config.json       what was asked for, with everything that was left open filled in
log.jsonl         one line of losses a second or so; TensorBoard events beside it
previews/         grids to look at while it runs: 00000500.png
checkpoints/      <step>/: a model folder with the state of training beside it
best/             the model folder with the lowest validation loss, when the data has a validation split
model/            the finished model: the folder to copy, share and load
recoveries.json   rollbacks after non-finite values, if there were any
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import durable
from ..errors import ConfigError
from . import checkpoint


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def previews(self) -> Path:
        return self.path / "previews"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def recoveries(self) -> Path:
        return self.path / "recoveries.json"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def is_run(self) -> bool:
        return self.config.is_file() and not (self.path / durable.MANIFEST).exists()

    def read_config(self) -> dict[str, Any]:
        """What config.json holds; raises ConfigError when this is not a run folder."""
        try:
            values = json.loads(self.config.read_bytes())
            missing = {"model", "config", "data", "train", "dataset_digest"}.difference(values)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{self.path} is not a run folder: {self.config.name} cannot be read ({error})") from None
        if missing:
            raise ConfigError(f"{self.path} is not a run folder: {self.config.name} lacks {', '.join(sorted(missing))}")
        return values

    def usable_model(self) -> Path:
        """The folder to load the model from: the finished model, else the newest whole checkpoint."""
        if (self.model / durable.MANIFEST).is_file():
            return self.model
        newest, problems = checkpoint.newest_valid(self.checkpoints)
        if newest is None:
            reason = f" ({problems[0]})" if problems else ""
            raise ConfigError(f"{self.path} has no whole checkpoint yet{reason}; train for longer")
        return newest
