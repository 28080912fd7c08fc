"""From the values of a table to numbers: finds out what kind of attribute each column is, and encodes it.

A column is read by these rules, the first that fits; `?`, `null`, `none`, `nan`, `n/a` and nothing at all are missing.

    lists, or strings with ";" or "|" between values      multilabel     while there are at most 256 values
    only 0/1, -1/1, false/true or no/yes                  binary
    numbers, unless whole and of at most 10 values        continuous
    anything else of few values                           categorical    at most 256, and at most half of the rows
                                                                         where there are more than 16 rows

A column of one value, of too many, or that numbers the rows is left out and reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..types import Attribute, AttributeKind
from .names import few
from .report import Column
from .sources.base import Record, class_order

MOST_VALUES = 256  # of a categorical or multilabel column; more are not a condition but names or sentences
ALWAYS_FEW = 8  # so many values are few in however small a table
FEW_NUMBERS = 10  # whole numbers of at most this many values are categories
_MISSING = frozenset(("", "?", "null", "none", "nan", "n/a"))
_PAIRS = (("0", "1"), ("-1", "1"), ("false", "true"), ("no", "yes"))

Cell = str | tuple[str, ...]  # one value, tidied; a tuple is a list of labels


@dataclass(frozen=True)
class Encoded:
    """The attributes of a set of records.

    vectors   (N, A)   float32, as types.Attribute describes
    known     (N, A)   bool
    """

    attributes: tuple[Attribute, ...]
    columns: list[Column]
    vectors: np.ndarray
    known: np.ndarray


def encode(records: Sequence[Record]) -> Encoded:
    """Find the kind of every column and encode it; means and deviations are those of the training split."""
    train = np.array([record.split == "train" for record in records], bool)
    train = train if train.any() else np.ones(len(records), bool)
    attributes, columns, parts = [], [], []
    for name in _column_names(records):
        values = [_tidy(record.attributes.get(name)) if record.attributes else None for record in records]
        attribute, column = infer(name, values, train)
        columns.append(column)
        if attribute:
            attributes.append(attribute)
            parts.append(encode_column(attribute, values))
    empty = np.zeros((len(records), 0), np.float32)
    vectors = np.concatenate([empty] + [vector for vector, _ in parts], axis=1)
    known = np.concatenate([empty.astype(bool)] + [mask for _, mask in parts], axis=1)
    return Encoded(tuple(attributes), columns, vectors, known)


def infer(name: str, values: Sequence[Cell | None], train: np.ndarray) -> tuple[Attribute | None, Column]:
    """The attribute that a column of tidied values is, or None, and what to report."""
    present = [value for value in values if value is not None]
    kind, labels = _kind(present)
    if kind is None:
        return None, Column(name, None, len(present), labels[0])
    if kind == "continuous":
        numbers = np.array([_number(value) for value, chosen in zip(values, train, strict=True) if chosen], float)
        numbers = numbers[np.isfinite(numbers)]
        mean, std = (float(numbers.mean()), float(numbers.std())) if len(numbers) else (0.0, 1.0)
        attribute = Attribute(name, kind, mean=mean, std=std if std > 0 else 1.0)
        return attribute, Column(name, kind, len(present), f"{_range(present)}, mean {mean:.4g}, std {std:.4g}")
    return Attribute(name, kind, labels), Column(name, kind, len(present), few(labels, 8))


def encode_column(attribute: Attribute, values: Sequence[Cell | None]) -> tuple[np.ndarray, np.ndarray]:
    """(N, width) float32 and (N, width) bool known, for a column of tidied values."""
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    codes = np.stack([_code(attribute, value) for value in places])  # (distinct values, width)
    known = np.array([value is not None for value in places], bool)  # (distinct values,)
    rows = np.array([places[value] for value in values])
    return codes[rows], np.repeat(known[rows, None], attribute.width, axis=1)


def _code(attribute: Attribute, value: Cell | None) -> np.ndarray:
    """(width,) float32: one tidied value as types.Attribute describes."""
    code = np.zeros(attribute.width, np.float32)
    if value is None:
        return code
    if attribute.kind == "continuous":
        code[0] = (_number(value) - attribute.mean) / attribute.std
    elif attribute.kind == "binary":
        code[0] = 2 * attribute.values.index(_plain(str(value))) - 1
    elif attribute.kind == "categorical":
        code[attribute.values.index(str(value))] = 1
    else:
        code[:] = -1
        code[[attribute.values.index(label) for label in _labels(value)]] = 1
    return code


def _column_names(records: Sequence[Record]) -> list[str]:
    """Columns in the order of their first appearance."""
    names: dict[str, None] = {}
    for record in records:
        if record.attributes:
            names.update(dict.fromkeys(record.attributes))
    return list(names)


def _tidy(value: object) -> Cell | None:
    """One cell as text, as a tuple of texts, or None where it is missing or is a table in itself."""
    if isinstance(value, (list, tuple)):
        return tuple(str(part).strip() for part in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, Mapping):
        return None
    text = str(value).strip()
    return None if text.lower() in _MISSING else text


def _kind(present: Sequence[Cell]) -> tuple[AttributeKind | None, tuple[str, ...]]:
    """(kind, values), or (None, (why it is left out,))."""
    if not present:
        return None, ("has no values",)
    distinct = {value for value in present if isinstance(value, str)}
    if any(isinstance(value, tuple) for value in present) or any(";" in text or "|" in text for text in distinct):
        return _multilabel(present)
    if len(distinct) == 1:
        return None, (f"has the one value {next(iter(distinct))!r}",)
    plain = {_plain(value) for value in distinct}
    for pair in _PAIRS:
        if plain == set(pair):
            return "binary", pair
    if all(math.isfinite(_number(value)) for value in distinct):
        numbers = [_number(value) for value in distinct]
        whole = all(number == round(number) for number in numbers)
        if whole and len(distinct) == len(present) > FEW_NUMBERS and max(numbers) - min(numbers) + 1 == len(present):
            return None, ("numbers the rows",)
        if not whole or len(distinct) > FEW_NUMBERS:
            return "continuous", ()
    if len(distinct) > min(MOST_VALUES, max(ALWAYS_FEW, len(present) // 2)):
        return None, (f"has {len(distinct)} different values in {len(present)} rows; too many for a condition",)
    return "categorical", class_order(distinct)


def _multilabel(present: Sequence[Cell]) -> tuple[AttributeKind | None, tuple[str, ...]]:
    labels = {label for value in present for label in _labels(value)}
    if not labels:
        return None, ("has only empty lists",)
    if len(labels) > MOST_VALUES:
        return None, (f"has {len(labels)} different labels; at most {MOST_VALUES} make a condition",)
    return "multilabel", class_order(labels)


def _labels(value: str | tuple[str, ...]) -> list[str]:
    """The labels of one cell."""
    parts = value if isinstance(value, tuple) else value.replace("|", ";").split(";")
    return [part.strip() for part in parts if part.strip()]


def _plain(value: str) -> str:
    """A cell as it is compared with the words of a binary column: 1.0 is 1, True is true."""
    number = _number(value)
    return str(int(number)) if math.isfinite(number) and number == int(number) else value.lower()


def _number(value: Cell | None) -> float:
    """The number that a cell says; NaN when it says none."""
    try:
        return float(value) if isinstance(value, str) and "_" not in value else math.nan
    except ValueError:
        return math.nan


def _range(present: Sequence[Cell]) -> str:
    numbers = [_number(value) for value in present]
    return f"{min(numbers):.4g} to {max(numbers):.4g}"
