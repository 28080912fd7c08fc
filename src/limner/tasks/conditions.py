"""What pictures should show: conditions drawn from those of the training images, or asked for by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, unknown
from ..nn.text.emphasis import parse
from ..rng import generator
from ..types import Attribute, Condition, DataSpec

_BANK = 256  # conditions kept with a model: enough to draw from, and nothing that identifies an image

Asked = str | float | bool | Sequence[str]


def bank(
    labels: np.ndarray,
    attributes: np.ndarray,
    known: np.ndarray,
    data: DataSpec,
    *,
    seed: int,
    captions: Sequence[Sequence[str]] = (),
) -> Condition:
    """Conditions of up to 256 training images, to draw realistic ones from when none is asked for."""
    rows = generator(seed, "condition bank").permutation(len(labels))[:_BANK]
    return Condition(
        label=torch.from_numpy(labels[rows]) if data.classes else None,
        attributes=torch.from_numpy(attributes[rows]) if data.attributes else None,
        known=torch.from_numpy(known[rows]) if data.attributes else None,
        text=[captions[row][0] if captions[row] else "" for row in rows] if captions else None,
    )


def draw(conditions: Condition, seed: int, indices: Sequence[int]) -> Condition:
    """The condition of each image: a row of the bank, chosen by (seed, index)."""
    parts = (conditions.label, conditions.attributes, conditions.known)
    size = next((len(part) for part in (*parts, conditions.text) if part is not None), 0)
    if not size:
        return Condition()
    rows = [int(generator(seed, "condition", int(index)).integers(size)) for index in indices]
    label, attributes, known = (None if part is None else part[rows] for part in parts)
    return Condition(label, attributes, known, conditions.text and [conditions.text[row] for row in rows])


def ask(
    condition: Condition,
    data: DataSpec,
    rows: int,
    *,
    label: str | int | None = None,
    attributes: Mapping[str, Asked] | None = None,
    text: str | None = None,
) -> Condition:
    """`condition` with the class, the attributes and the description that were asked for, the same in every row.

    text   "a (red:1.4) apple" stresses red (nn/text/emphasis.py)
    Attributes that were not asked for stay as drawn; with a description, so does nothing: it stands for itself.
    Raises ConfigError naming the nearest known class, attribute or value.
    """
    if text is not None:
        plain, spans = parse(text)
        condition = Condition(text=[plain] * rows, emphasis=[spans] * rows)
    if label is not None:
        condition = replace(condition, label=torch.full((rows,), class_index(data, label)))
    if attributes:
        condition = _ask_attributes(condition, data, rows, attributes)
    return condition


def class_index(data: DataSpec, label: str | int) -> int:
    """The index of a class given by name or index."""
    if not data.classes:
        raise ConfigError(f"label={label!r} was asked for, but this model was trained on data without classes")
    if str(label) in data.classes:
        return data.classes.index(str(label))
    if str(label).isdecimal() and int(label) < len(data.classes):
        return int(label)
    raise ConfigError(unknown("label", str(label), data.classes))


def _ask_attributes(condition: Condition, data: DataSpec, rows: int, asked: Mapping[str, Asked]) -> Condition:
    known_names = [attribute.name for attribute in data.attributes]
    for name in asked:
        if name not in known_names:
            raise ConfigError(unknown("attribute", name, known_names))
    width = data.attribute_width
    values = torch.zeros(rows, width) if condition.attributes is None else condition.attributes.clone()
    known = torch.zeros(rows, width, dtype=torch.bool) if condition.known is None else condition.known.clone()
    start = 0
    for attribute in data.attributes:
        stop = start + attribute.width
        if attribute.name in asked:
            values[:, start:stop] = encode(attribute, asked[attribute.name])
            known[:, start:stop] = True
        start = stop
    return replace(condition, attributes=values, known=known)


def encode(attribute: Attribute, value: Asked) -> Tensor:
    """(width,) one asked value, laid out as types.Attribute describes."""
    if attribute.kind == "continuous":
        return torch.tensor([(_number(attribute, value) - attribute.mean) / (attribute.std or 1.0)])
    if attribute.kind == "binary":
        return torch.tensor([1.0 if _binary(attribute, value) else -1.0])
    chosen = [value] if isinstance(value, str | int | float) else list(value)
    if attribute.kind == "multilabel" and isinstance(value, str):
        chosen = [part.strip() for part in value.replace("|", ";").split(";") if part.strip()]
    for name in chosen:
        if str(name) not in attribute.values:
            raise ConfigError(unknown(f"value of {attribute.name}", str(name), attribute.values))
    absent = -1.0 if attribute.kind == "multilabel" else 0.0
    return torch.tensor([1.0 if name in {str(c) for c in chosen} else absent for name in attribute.values])


def _number(attribute: Attribute, value: Asked) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{attribute.name}={value!r} is not a number, which this attribute is")
    return number


def _binary(attribute: Attribute, value: Asked) -> bool:
    text = str(value).lower()
    if attribute.values and text in (name.lower() for name in attribute.values):
        return text == attribute.values[1].lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "-1", "false", "no", "off"):
        return False
    raise ConfigError(f"{attribute.name}={value!r} is neither yes nor no; this attribute is one or the other")
