"""What models of translation share: their settings, their phases, and a discriminator of patches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ..config import setting
from ..errors import ConfigError
from ..losses.adversarial import OBJECTIVES, Objective, ObjectiveName
from ..model import Model
from ..types import Condition, DataSpec
from . import checks


@dataclass(frozen=True)
class TranslatorConfig:
    """Settings of every model that translates."""

    width: int = setting("channels of the generator's first layer", 32)
    discriminator_width: int = setting("channels of the discriminator's first layer", 32)
    objective: ObjectiveName = setting("game between generator and discriminator", "least_squares")

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "width", "discriminator_width")


@dataclass(frozen=True)
class ResidualConfig(TranslatorConfig):
    """Settings of those whose generators are residual networks (nn/translators.py)."""

    width: int = setting("channels of a generator's first layer", 16)
    blocks: int = setting("residual blocks of a generator", 4)
    past: int = setting("made pictures of earlier steps that are kept, for a discriminator to see again", 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 1, "blocks")
        checks.at_least(self, 0, "past")


UNPAIRED = (
    "needs two kinds of pictures: --sources FOLDER --set paired=false, or two classes of one set: --set only=CLASS "
    "--sources DATA --set sources_only=OTHER --set paired=false"
)


def check_size(data: DataSpec) -> None:
    """Raise ConfigError for sides that a residual translator cannot halve twice."""
    if data.height % 4 or data.width % 4 or min(data.height, data.width) < 8:
        raise ConfigError(f"pictures of {data.height}x{data.width} cannot be halved twice; use sides of 8, 12, 16 …")


class Translator(Model):
    """Turns a picture into one of another kind; a generator and a discriminator, trained in turns."""

    config: TranslatorConfig
    reach: int | None = None  # every pixel may depend on all of them
    multiple: int
    needs: ClassVar[str] = ""  # what to say when the data has no sources

    def __init__(self, config: TranslatorConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        if self.needs and not data.source_channels:
            raise ConfigError(f"{self.needs}")
        if data.scale != 1 or data.maps:
            raise ConfigError(f"sources of {data.degrade!r} are of another size or come with maps; use a restorer")

    @property
    def game(self) -> Objective:
        return OBJECTIVES[self.config.objective]

    @abstractmethod
    def judges(self) -> list[nn.Module]:
        """The networks that tell made pictures from real ones."""

    def phases(self) -> Mapping[str, list[nn.Parameter]]:
        judging = [parameter for network in self.judges() for parameter in network.parameters()]
        known = {id(parameter) for parameter in judging}
        return {
            "generator": [parameter for parameter in self.parameters() if id(parameter) not in known],
            "discriminator": judging,
        }

    def training_defaults(self) -> dict[str, Any]:
        adam = {"optimizer": "adam", "lr": 5e-4, "betas": (0.5, 0.99)}
        return {
            "batch": 8,
            "phases": {"generator": adam, "discriminator": adam},
            "lr_schedule": "linear",
            "ema_halflife_images": (500, 4_000),
        }

    @abstractmethod
    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        """(B, c, H, W) in [-1, 1] -> (B, C, H, W) in [-1, 1]."""
