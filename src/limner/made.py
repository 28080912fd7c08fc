"""Finished pictures and what makes them again: every one carries its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from . import __version__, durable
from .config import from_dict
from .errors import ConfigError
from .images.grid import grid
from .images.metadata import encode_png, picture_text, read_record


@dataclass(frozen=True)
class Recipe:
    """What makes a sampled picture again; every one carries its own as PNG text.

    weights   as given to `load`; None for those that the run chose
    guide     hash of the model that it was guided by, if any
    expanded  where a language model wrote the text: what was asked, and who wrote it
    """

    index: int
    seed: int
    model: str
    model_sha256: str
    limner: str
    options: dict[str, Any]
    label: str | int | None = None
    attributes: dict[str, str | float | bool | list[str]] | None = None
    text: str | None = None
    weights: Literal["raw", "ema_short", "ema_long"] | None = None
    guide: str | None = None
    expanded: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ConfigError(f"index={self.index} is negative")

    @classmethod
    def read(cls, picture: str | Path) -> Recipe:
        """The recipe in a PNG file; raises ConfigError when there is none, BadImage when the file is not a picture."""
        record = read_record(Path(picture))
        if record is None or "task" in record:
            raise ConfigError(f"{picture} does not say how it was made; only pictures of `sample` can be made again")
        return from_dict(cls, record, where=f"{picture}")


@dataclass(frozen=True)
class Pictures(Sequence[np.ndarray]):
    """Finished pictures, (N, H, W, C) uint8, each with the settings that make it again."""

    images: np.ndarray
    settings: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]

    def png(self, index: int) -> bytes:
        """One picture as a PNG file that carries its settings as text."""
        setting = self.settings[index]
        return encode_png(self.images[index], picture_text(_in_words(setting, self.images[index].shape), setting))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write 000000.png, 000001.png, … by the index of each picture; returns the paths.

        Raises ConfigError before anything is written when a file exists and `overwrite` is not set.
        """
        paths = [Path(folder) / f"{setting.get('index', place):06d}.png" for place, setting in enumerate(self.settings)]
        taken = next((path for path in paths if path.exists()), None)
        if taken is not None and not overwrite:
            raise ConfigError(f"{taken} exists; choose another folder, or say overwrite")
        durable.make_folder(Path(folder))
        for place, path in enumerate(paths):
            durable.write_file(path, self.png(place))
        return paths

    def grid(self, *, columns: int | None = None) -> np.ndarray:
        """(H', W', C): all pictures in one."""
        return grid(self.images, columns=columns)


def _in_words(setting: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """The settings of one picture under the names that other image tools show."""
    names = {"seed": "Seed", "index": "Index", "task": "Task", "label": "Label", "text": "Prompt", "model": "Model"}
    words = {name: setting[key] for key, name in names.items() if key in setting}
    words |= {"Size": f"{shape[1]}x{shape[0]}", "Model hash": setting.get("model_sha256", "")[:10]}
    options = {key.replace("_", " ").capitalize(): value for key, value in setting.get("options", {}).items()}
    words |= {key: value for key, value in options.items() if value is not None}
    return words | {"Version": f"limner {__version__}"}
