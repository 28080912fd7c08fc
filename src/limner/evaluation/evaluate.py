"""An evaluation: every measure asked for, on one material, with floors beside it, and what did not fit and why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import durable
from ..errors import ConfigError, DataError, Interrupted, LimnerError
from ..metrics.number import Number
from .material import ImageSet, Material, NotApplicable
from .measures import Measure

FORMAT = 1


@dataclass(frozen=True)
class Evaluation:
    """What was found about one subject: a model or a folder of images.

    subject   its path or name
    about     facts for people: model, weights, data, features …
    numbers   in the order of the measures
    floors    name of a floor -> its numbers of the same protocol
    skipped   (measure, why it does not apply)
    """

    subject: str
    about: Mapping[str, Any]
    numbers: tuple[Number, ...]
    floors: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0

    def number(self, name: str) -> Number:
        """The number of that name. Raises KeyError when it was not measured."""
        return next((number for number in self.numbers if number.name == name), None) or _missing(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "format": FORMAT,
            "subject": self.subject,
            "about": dict(self.about),
            "numbers": [number.to_dict() for number in self.numbers],
            "floors": {name: [number.to_dict() for number in numbers] for name, numbers in self.floors.items()},
            "skipped": [list(pair) for pair in self.skipped],
            "seconds": self.seconds,
        }

    def save(self, path: Path) -> None:
        """Write it as JSON, durably."""
        durable.write_file(path, json.dumps(self.to_dict(), indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """What `save` wrote. Raises DataError for anything else."""
        try:
            values = json.loads(path.read_bytes())
            if values["format"] > FORMAT:
                raise DataError(f"{path} has format {values['format']}; this Limner reads up to {FORMAT}: upgrade it")
            return cls(
                values["subject"],
                values["about"],
                tuple(map(Number.from_dict, values["numbers"])),
                {name: tuple(map(Number.from_dict, numbers)) for name, numbers in values["floors"].items()},
                tuple((name, why) for name, why in values["skipped"]),
                float(values["seconds"]),
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{path} is not an evaluation that Limner wrote: {error}") from None


def evaluate(
    material: Material,
    measures: Sequence[Measure],
    *,
    subject: str,
    about: Mapping[str, Any],
    floors: Iterable[tuple[str, ImageSet]] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Take every measure of `material`; those with floors also of each floor.

    say   told what is being measured
    """
    started = time.monotonic()
    numbers: list[Number] = []
    skipped: list[tuple[str, str]] = []
    fitting: list[Measure] = []
    for measure in measures:
        say(measure.summary)
        found, why = _taken(measure, material)
        numbers += found
        if why is not None:
            skipped.append((measure.name, why))
        elif measure.floors:
            fitting.append(measure)
    beside = {name: _floor(fitting, material.judging(images), say, name) for name, images in floors} if fitting else {}
    return Evaluation(
        subject, about, tuple(numbers), beside, tuple(skipped), seconds=round(time.monotonic() - started, 2)
    )


def _floor(
    measures: Sequence[Measure], material: Material, say: Callable[[str], None], name: str
) -> tuple[Number, ...]:
    say(f"the same of {name}, to set the scale")
    return tuple(number for measure in measures for number in _taken(measure, material)[0])


def _taken(measure: Measure, material: Material) -> tuple[list[Number], str | None]:
    """The numbers of a measure, or why there are none. A setting that it refuses, or a signal, ends the evaluation."""
    try:
        return measure.load()(material), None
    except (ConfigError, Interrupted):
        raise
    except NotApplicable as reason:
        return [], str(reason)
    except LimnerError as error:
        return [], f"{type(error).__name__}: {error}"


def _missing(name: str) -> Number:
    raise KeyError(name)
