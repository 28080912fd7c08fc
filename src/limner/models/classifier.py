"""A small classifier that says what a picture shows: its class and every attribute of the data set.

It judges the pictures of other models and makes none itself, so it is not in the catalogue; evaluation/classifiers.py
trains it and asks it. Built for minutes of CPU time, not for records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import setting
from ..errors import ConfigError
from ..model import Loss, Model, Step
from ..rng import Rng
from ..types import Attribute, Batch, Condition, DataSpec
from . import checks

LARGEST = 64  # pixels: longer sides are shrunk to this before the network looks
STEM = 40  # pixels: with a longer side, the first convolution halves it at once
SMALLEST = 4  # pixels: a side that is not halved any more


@dataclass(frozen=True)
class ClassifierConfig:
    """Settings of the classifier."""

    width: int = setting("channels of the first convolution; eight times as many are summed up in the features", 16)
    shift: float = setting("largest shift of a training image, as a share of each side", 0.125)
    flip: bool = setting("mirror half of the training images; only where left and right mean the same", False)

    def __post_init__(self) -> None:
        checks.at_least(self, 1, "width")
        checks.shares(self, "shift")


class Trunk(nn.Module):
    """Six 3x3 convolutions and a mean over pixels: what is seen of an image, in one row.

    layers      (channels, stride) of each convolution
    size        (height, width) that images are shrunk to; their own unless a side is longer than 64
    dimension   length of the row, 8 x width
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, height, rest = shape
        self.size = seen_size(height, rest)
        self.layers = layout(min(self.size), max(self.size), width)
        self.dimension = self.layers[-1][0]
        parts: list[nn.Module] = []
        for out, stride in self.layers:
            parts += [nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        self.body = nn.Sequential(*parts)
        self.register_buffer("mean", torch.zeros(shape[0], 1, 1))
        self.register_buffer("std", torch.ones(shape[0], 1, 1))

    def prepare(self, images: Tensor) -> None:
        """Take the channels' means and deviations from training images, (N, C, H, W) in [-1, 1]."""
        self.mean.copy_(images.mean(dim=(0, 2, 3))[:, None, None])
        self.std.copy_(images.std(dim=(0, 2, 3), correction=0)[:, None, None].clamp_min(0.01))  # flat channels exist

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, dimension), not negative."""
        if tuple(image.shape[2:]) != self.size:
            image = functional.interpolate(image, self.size, mode="area")
        return self.body((image - self.mean) / self.std).mean(dim=(2, 3))


class Classifier(Model):
    """Predicts the class and every attribute from one shared trunk.

    Its outputs for an image are laid out as `questions` says: a logit for each class, categorical value, multilabel
    value and binary attribute; the encoded value itself for a continuous one. What is unknown of an image is left out
    of its loss.
    """

    Config: ClassVar[type] = ClassifierConfig
    name: ClassVar[str] = "limner.models.classifier:Classifier"
    config: ClassifierConfig

    def __init__(self, config: ClassifierConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        outputs = sum(question.width for question, _ in questions(data))
        if not outputs:
            raise ConfigError("the data has neither classes nor attributes, so there is nothing to recognise in it")
        self.trunk = Trunk(data.shape, config.width)
        self.head = nn.Linear(self.trunk.dimension, outputs)

    def training_defaults(self) -> dict[str, Any]:
        return {
            "batch": 64,  # more steps from little data: at 128 classes are learned half as fast
            "lr_schedule": "cosine",
            "warmup_images": 2_000,
            "phases": {"model": {"optimizer": "adamw", "lr": 4e-3, "weight_decay": 0.05}},
            "weights": "raw",  # the schedule ends at 0, which averages by itself, and running statistics stay in step
        }

    def prepare(self, images: Tensor) -> None:
        self.trunk.prepare(images)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) in [-1, 1] -> features (B, D) and outputs (B, classes + attribute width)."""
        features = self.trunk(image)
        return features, self.head(features)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        image = self._augmented(batch.image, step.rng) if self.training else batch.image
        _, outputs = self(image)
        terms = self._terms(outputs.float(), *self._wanted(batch.condition, len(batch)))
        yield Loss("model", torch.stack(list(terms.values())).sum(), {k: term.detach() for k, term in terms.items()})

    def _augmented(self, image: Tensor, rng: Rng) -> Tensor:
        image = shifted(image, self.config.shift, rng) if self.config.shift else image
        return mirrored(image, rng) if self.config.flip else image

    def _wanted(self, condition: Condition, rows: int) -> tuple[Tensor, Tensor]:
        """(B, W) what the outputs should say, encoded, and whether it is known."""
        device = self.head.weight.device
        values, known = (torch.zeros(rows, self.head.out_features, device=device) for _ in range(2))
        classes = len(self.data.classes)
        if classes and condition.label is not None:
            values[:, :classes] = condition.label[:, None] == torch.arange(classes, device=device)
            known[:, :classes] = (condition.label >= 0).float()[:, None]
        if self.data.attributes and condition.attributes is not None:
            values[:, classes:] = condition.attributes
            known[:, classes:] = 1.0 if condition.known is None else condition.known.float()
        return values, known

    def _terms(self, outputs: Tensor, values: Tensor, known: Tensor) -> dict[str, Tensor]:
        """The mean loss over the batch of each question; an image of which the answer is unknown counts 0."""
        return {
            question.name: (question_loss(question, outputs[:, at], values[:, at]) * known[:, at.start]).mean()
            for question, at in questions(self.data)
        }


def questions(data: DataSpec) -> list[tuple[Attribute, slice]]:
    """What a classifier of such data is asked, and where the answer lies in its outputs: the class, as one more
    categorical attribute, then each attribute."""
    classes = [Attribute("the class", "categorical", data.classes)] if data.classes else []
    asked, start = [], 0
    for attribute in (*classes, *data.attributes):
        asked.append((attribute, slice(start, start + attribute.width)))
        start += attribute.width
    return asked


def question_loss(question: Attribute, outputs: Tensor, values: Tensor) -> Tensor:
    """(B,) loss of one answer: cross-entropy, or squared error of the standardised value when it is continuous."""
    if question.kind == "continuous":
        return (outputs - values).square().squeeze(1)
    if question.kind == "categorical":
        return functional.cross_entropy(outputs, values.argmax(dim=1), reduction="none")
    present = (values + 1) / 2  # -1 and 1 become 0 and 1
    return functional.binary_cross_entropy_with_logits(outputs, present, reduction="none").mean(dim=1)


def seen_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) with the longer side at most 64, in about the same proportion."""
    scale = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def layout(short: int, long: int, width: int) -> tuple[tuple[int, int], ...]:
    """(channels, stride) of the six convolutions for images of those sides: halved until the short one is 4 to 7."""
    wanted = ((1, 2 if long > STEM else 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2))
    layers = []
    for times, stride in wanted:
        stride = stride if short > SMALLEST else 1
        short = -(-short // stride)  # a convolution of stride 2 rounds up
        layers.append((times * width, stride))
    return tuple(layers)


def shifted(image: Tensor, share: float, rng: Rng) -> Tensor:
    """Move each image by up to `share` of each side, whole pixels; its border is repeated where nothing comes in."""
    for axis in (2, 3):
        side = image.shape[axis]
        most = int(share * side)
        by = rng.integers(2 * most + 1) - most  # (B,)
        places = (torch.arange(side, device=image.device) + by[:, None]).clamp(0, side - 1)  # (B, side)
        shape = (len(image), 1, side, 1) if axis == 2 else (len(image), 1, 1, side)
        image = image.gather(axis, places.view(shape).expand_as(image))
    return image


def mirrored(image: Tensor, rng: Rng) -> Tensor:
    """Each image, or with even chance its mirror image."""
    return torch.where(rng.uniform(1, 1, 1) < 0.5, image.flip(3), image)
