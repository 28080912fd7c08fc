"""Restoration: a bad picture in, a good one out. Which damage it repairs is said by the data it is trained on.

A network gives a correction to what enlarging or copying the source already gives; small ones are fully convolutional,
so they are trained on patches and used on pictures of any size (tasks/apply.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ..config import setting
from ..errors import ConfigError
from ..features.perception import shared
from ..losses.adversarial import OBJECTIVES, accuracy
from ..losses.restoration import bounded, charbonnier, decibels, laplace
from ..model import Loss, Model, Step
from ..nn.patch_discriminator import PatchDiscriminator
from ..nn.restoration.enlarge import Enlarge
from ..nn.restoration.fill import Fill
from ..nn.restoration.plain import EDSR, ESPCN, SRCNN, DnCNN, PixelShuffleNet, ShuffledNet
from ..nn.restoration.unets import NAFNet, PartialUNet, ResidualUNet
from ..types import Batch, Condition, DataSpec
from . import checks

NetworkName = Literal["shuffle", "srcnn", "espcn", "edsr", "folded", "dncnn", "unet", "nafnet", "partial"]


@dataclass(frozen=True)
class RestorerConfig:
    """Settings of a restorer."""

    network: NetworkName = setting("which network corrects the picture", "shuffle")
    width: int = setting("channels of its layers", 64)
    depth: int = setting("layers; of residual blocks and U-Nets: blocks, blocks a level, or levels", 8)
    loss: Literal["l1", "l2", "charbonnier", "psnr"] = setting("distance to the true picture that is minimised", "l1")
    squared_from: float = setting("share of the run after which squared errors are minimised; 1 for never", 1.0)
    uncertainty: bool = setting("predict, pixel by pixel, how far off the picture may be", False)
    fill: bool = setting(
        "start from a smooth filling of the hole, which the network corrects, and not from gray", False
    )
    hole_weight: float = setting("weight of the error in the hole, where that outside it has 1", 1.0)
    perceptual: float = setting("weight of the distance of Lite0's maps: crisper, and further from the truth", 0.0)
    adversarial: float = setting("weight of a discriminator of patches: sharper, and further from the truth", 0.0)
    adversarial_from: float = setting("share of the run after which the discriminator joins", 0.5)

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "width", "depth")
        checks.at_least(self, 0, "perceptual", "adversarial", "adversarial_from", "squared_from", "hole_weight")
        if self.network in ("shuffle", "folded", "dncnn") and self.depth < 3:
            raise ConfigError(f"depth={self.depth} is too few layers for {self.network}; use 3 or more")


class Restorer(Model):
    """Turns a degraded picture into a good one."""

    Config: ClassVar[type] = RestorerConfig
    name: ClassVar[str] = "srnet"
    config: RestorerConfig

    def __init__(self, config: RestorerConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        _check(config, data)
        self.colours = data.source_channels - len(data.maps)  # of the source, without what it is told beside them
        wanted = data.channels * (2 if config.uncertainty else 1)
        self.enlarge = Enlarge(data.scale)
        self.network = _network(config, data.source_channels, wanted, data.scale)
        self.reach = max(int(self.network.reach), 2)  # type: ignore[arg-type]
        self.multiple = int(self.network.multiple)  # type: ignore[arg-type]
        self.fill = Fill() if config.fill else None
        if self.fill is not None:
            self.reach += self.fill.reach
            self.multiple = max(self.multiple, self.fill.multiple)  # both are powers of two
        self.discriminator = PatchDiscriminator(data.channels, width=32) if config.adversarial else None

    def phases(self) -> Mapping[str, list[nn.Parameter]]:
        phases = {"model": list(self.network.parameters())}
        return phases if self.discriminator is None else {**phases, "discriminator": [*self.discriminator.parameters()]}

    def training_defaults(self) -> dict[str, Any]:
        phases: dict[str, Any] = {
            "model": {"optimizer": "adamw", "lr": 2e-3, "betas": (0.9, 0.99), "weight_decay": 0.0}
        }
        if self.discriminator is not None:
            phases["discriminator"] = {"optimizer": "adam", "lr": 2e-4, "betas": (0.5, 0.9)}
        return {
            "batch": 16 if self.fill is None else 8,  # holes differ more than noise does: more and smaller steps
            "phases": phases,
            "lr_schedule": "cosine",
            "warmup_images": 8_000,
            "clip": 1.0,
            "ema_halflife_images": (1_000, 8_000),
        }

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step: the distance to the true picture, with the discriminator's verdict once that plays."""
        assert batch.source is not None, "a restorer is trained on pairs"
        output, log_scale = self._restored(batch.source)
        cost = self._cost(output, log_scale, batch.image, self._weights(batch.source), step.progress)
        if self.config.perceptual:
            cost = cost + self.config.perceptual * _seen_apart(output, batch.image)
        judged = self.discriminator is not None and step.progress >= self.config.adversarial_from
        terms = _Terms(output, batch.image)
        if not judged:
            yield Loss("model", cost, terms)
            return
        assert self.discriminator is not None
        game = OBJECTIVES["non_saturating"]
        verdict = game.generator(output.new_zeros(()), self.discriminator(output))
        yield Loss("model", cost + self.config.adversarial * verdict, terms)
        real, fake = self.discriminator(batch.image), self.discriminator(output.detach())
        yield Loss("discriminator", game.discriminator(real, fake), lambda: {"accuracy": accuracy(real, fake)})

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        """(B, c, h, w) in [-1, 1] -> (B, C, scale h, scale w), unbounded."""
        return self._restored(source)[0].float()

    def error_scale(self, source: Tensor) -> Tensor:
        """(B, c, h, w) -> (B, C, scale h, scale w): how far off each value is expected to be, in the range's units.

        Raises ConfigError for a model that was trained without `uncertainty`.
        """
        log_scale = self._restored(source)[1]
        if log_scale is None:
            raise ConfigError("this model was trained without uncertainty; train one with --set uncertainty=true")
        return log_scale.exp()

    def _restored(self, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """The picture, and where it is predicted the logarithm of its scale of error.

        What is corrected is made in full precision also under autocast: only the correction may be rounded.
        """
        colours, maps = source[:, : self.colours].float(), source[:, self.colours :]
        with torch.autocast(source.device.type, enabled=False):
            if "hole" in self.data.maps:
                colours = self._patched(colours, self._known(source))
            start = self._start(colours)
        made = self.network(torch.cat([colours, maps], 1))
        if not self.config.uncertainty:
            return start + made, None
        correction, raw = made.chunk(2, dim=1)
        return start + correction, bounded(raw)

    def _patched(self, colours: Tensor, known: Tensor) -> Tensor:
        """What lies in a hole is not looked at: it is filled smoothly, or gray, which is 0."""
        return colours * known if self.fill is None else self.fill(colours, known)

    def _known(self, source: Tensor) -> Tensor:
        """(B, 1, h, w): 0 in the hole, 1 elsewhere."""
        hole = source[:, self.colours + self.data.maps.index("hole")][:, None]
        return (hole < 0).to(source.dtype)

    def _start(self, colours: Tensor) -> Tensor:
        """What is corrected: the source, enlarged where it is smaller, gray in every colour."""
        if self.colours != self.data.channels:
            colours = colours.expand(-1, self.data.channels, -1, -1)
        return self.enlarge(colours)

    def _weights(self, source: Tensor) -> Tensor | None:
        """What the error of each pixel counts, (B, 1, h, w) of mean 1; None where all count alike."""
        if "hole" not in self.data.maps or self.config.hole_weight == 1:
            return None
        weights = torch.where(self._known(source) > 0, 1.0, self.config.hole_weight)
        return weights / weights.mean()

    def _cost(
        self, output: Tensor, log_scale: Tensor | None, image: Tensor, weights: Tensor | None, progress: float
    ) -> Tensor:
        error = output.float() - image
        if self.config.loss == "psnr" and log_scale is None:
            return decibels(error, weights)
        if log_scale is not None:
            costs = laplace(output.float(), log_scale, image)
        elif self.config.loss == "l2" or progress >= self.config.squared_from:
            costs = error.square()
        else:
            costs = charbonnier(error) if self.config.loss == "charbonnier" else error.abs()
        return costs.mean() if weights is None else (costs * weights).mean()


def _seen_apart(output: Tensor, image: Tensor) -> Tensor:
    """Scalar: the mean squared distance of the two pictures' maps in Lite0, each as a share of the true one's size.

    Of the form of Johnson et al. 2016, arXiv 1603.08155, equation 2, over all of its maps.
    """
    network, costs = shared("lite0", output.device), []
    with torch.autocast(output.device.type, enabled=False):
        ours, theirs = (network(_colours(side.float().clamp(-1.2, 1.2))) for side in (output, image))
    for a, b in zip(ours, theirs, strict=True):
        costs.append((a - b).square().mean() / (b.square().mean() + 1e-5))
    return torch.stack(costs).mean()


def _colours(image: Tensor) -> Tensor:
    """In three channels; transparency left out."""
    return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image[:, :3]


class _Terms:
    """What the log says of a step, worked out only when it is asked for."""

    def __init__(self, output: Tensor, image: Tensor) -> None:
        self._output, self._image = output, image

    def __call__(self) -> dict[str, Tensor]:
        error = (self._output.detach().float().clamp(-1, 1) - self._image).square().mean()
        return {"psnr": 10 * torch.log10(4 / error.clamp(min=1e-10))}


def _network(config: RestorerConfig, given: int, wanted: int, scale: int) -> nn.Module:
    width, depth = config.width, config.depth
    match config.network:
        case "shuffle":
            return PixelShuffleNet(given, wanted, scale, width=width, depth=depth)
        case "srcnn":
            return SRCNN(given, wanted, scale, width=width)
        case "espcn":
            return ESPCN(given, wanted, scale, width=width)
        case "edsr":
            return EDSR(given, wanted, scale, width=width, depth=depth)
        case "folded":
            return ShuffledNet(given, wanted, width=width, depth=depth)
        case "dncnn":
            return DnCNN(given, wanted, width=width, depth=depth)
        case "unet":
            return ResidualUNet(given, wanted, scale, width=width, depth=depth)
        case "nafnet":
            return NAFNet(given, wanted, width=width, depth=depth)
        case "partial":
            return PartialUNet(given, wanted, width=width, depth=depth)


_ENLARGES = ("shuffle", "srcnn", "espcn", "edsr", "unet")


def _check(config: RestorerConfig, data: DataSpec) -> None:
    """Raise ConfigError where the data does not fit the network."""
    if not data.source_channels:
        raise ConfigError("a restorer learns from pairs; say what makes the sources, such as --degrade noise:25")
    colours = data.source_channels - len(data.maps)
    if colours not in (1, data.channels):
        raise ConfigError(f"sources have {colours} channels and images {data.channels}; use as many, or gray sources")
    if data.scale > 1 and config.network not in _ENLARGES:
        raise ConfigError(
            f"network={config.network} keeps the size, but these sources are {data.scale} times smaller; "
            f"use {', '.join(_ENLARGES)}"
        )
    if config.fill and ("hole" not in data.maps or data.scale > 1):
        raise ConfigError(
            "fill=true fills holes in pictures that keep their size; degrade with a mask, as in mask:box:0.2"
        )
    if config.network == "partial" and data.maps[-1:] != ("hole",):
        raise ConfigError("network=partial fills holes; degrade with a mask last, such as mask:mixed:0.1-0.6")
    unet = 8 if data.scale == 1 else 4 * data.scale
    multiple = {"folded": 2, "unet": unet, "nafnet": 8, "partial": 2**config.depth}.get(config.network, 1)
    if data.height % multiple or data.width % multiple:
        raise ConfigError(
            f"patches of {data.height}x{data.width} are no multiples of {multiple}, which {config.network} needs"
        )
