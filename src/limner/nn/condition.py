"""Turns a Condition into one row of numbers per image, which networks concatenate to their features.

It knows classes and attributes, not text, and learns nothing: a network's first layer learns what the numbers mean.
Labels are taken as they come; that they name a class of the data set is checked where they come in.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..rng import Rng
from ..types import Condition, DataSpec


class ConditionEncoder(nn.Module):
    """Lays a condition out as [one-hot label | attributes | which attributes are known].

    width   length of a row: classes + 2 x encoded attributes; 0 when there is nothing to condition on

    An unknown label (-1, or none given) is a row of zeros, and so is an unknown attribute, which `known` tells apart
    from an attribute that is 0.
    """

    def __init__(self, data: DataSpec) -> None:
        super().__init__()
        self.classes, self.attribute_width = len(data.classes), data.attribute_width
        self.width = self.classes + 2 * self.attribute_width

    def forward(self, condition: Condition, rows: int, device: torch.device | str) -> Tensor:
        """(rows, width) float32; raises ConfigError when a part of the condition has another shape."""
        parts = []
        if self.classes:
            parts.append(self._label(condition, rows, device))
        if self.attribute_width:
            parts += self._attributes(condition, rows, device)
        return torch.cat(parts, dim=1) if parts else torch.zeros(rows, 0, device=device)  # (rows, width)

    def _label(self, condition: Condition, rows: int, device: torch.device | str) -> Tensor:
        if condition.label is None:
            return torch.zeros(rows, self.classes, device=device)
        _check_shape("label", condition.label, (rows,))
        # compared, not torch's one_hot: that one refuses -1
        classes = torch.arange(self.classes, device=device)
        return (condition.label.to(device)[:, None] == classes).float()  # (rows, classes)

    def _attributes(self, condition: Condition, rows: int, device: torch.device | str) -> list[Tensor]:
        shape = (rows, self.attribute_width)
        if condition.attributes is None:
            return [torch.zeros(shape, device=device)] * 2
        _check_shape("attributes", condition.attributes, shape)
        if condition.known is None:
            known = torch.ones(shape, device=device)
        else:
            _check_shape("known", condition.known, shape)
            known = condition.known.to(device).float()
        return [condition.attributes.to(device).float() * known, known]


def _check_shape(name: str, part: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(part.shape) != shape:
        raise ConfigError(
            f"condition.{name} has shape {tuple(part.shape)}, but this model and batch need {shape}; "
            f"give one row per image, encoded for the data set the model was made for"
        )


def unconditional(data: DataSpec) -> DataSpec:
    """The same images with nothing to condition on."""
    return replace(data, classes=(), attributes=())


def hide(condition: Tensor, share: float, rng: Rng) -> Tensor:
    """Set that share of the rows (B, W) to zeros, which stand for an unknown condition: then one can sample without."""
    if not (condition.shape[1] and share):
        return condition
    return condition * (rng.uniform(1) >= share)
