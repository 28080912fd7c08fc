"""Comparing evaluations: refused where their protocols differ; a difference counts when its interval excludes zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import UnlikeProtocols
from ..metrics.number import Number
from ..metrics.paired_test import PairedTest, paired_test
from .evaluate import Evaluation

Z95 = 1.959963984540054
NO_DIFFERENCE = "no difference shown"


@dataclass(frozen=True)
class Difference:
    """First minus second of one number of two subjects.

    low, high   95 % interval, or None where one of the two has none
    verdict     the better subject's name, or "no difference shown"
    p_value     of the paired test, where both were measured on the same pictures; None elsewhere
    """

    name: str
    first: str
    second: str
    value: float
    low: float | None
    high: float | None
    verdict: str
    p_value: float | None = None


def check_alike(evaluations: Sequence[Evaluation]) -> None:
    """Raise UnlikeProtocols, naming what differs, unless all numbers of one name were measured alike."""
    problems = []
    for name in _names(evaluations):
        having = [(each.subject, number) for each in evaluations for number in each.numbers if number.name == name]
        for (first, a), (second, b) in pairwise(having):
            if different := a.protocol.differences(b.protocol):
                problems.append(f"{name} of {first} and of {second} ({'; '.join(different)})")
    if problems:
        raise UnlikeProtocols(
            f"these numbers were measured differently and cannot be compared: {' | '.join(problems)}; "
            "evaluate both again with the same data, features, -n and split"
        )


def differences(evaluations: Sequence[Evaluation]) -> list[Difference]:
    """Every number of the first subject against each of the others'. Raises UnlikeProtocols."""
    check_alike(evaluations)
    first, *others = evaluations
    return [
        difference(number, theirs, first.subject, other.subject)
        for other in others
        for number in first.numbers
        for theirs in other.numbers
        if theirs.name == number.name
    ]


def difference(ours: Number, theirs: Number, first: str, second: str) -> Difference:
    """One difference: picture by picture where both have a value for each of the same pictures, which shows far smaller
    ones; else its interval comes from the two numbers' own, taken as independent.
    """
    value = ours.value - theirs.value
    if (test := _pairwise(ours, theirs)) is not None:
        low, high = test.interval.low, test.interval.high
        shown = ours.better != "neither" and not low <= 0 <= high
        better = first if (value < 0) == (ours.better == "lower") else second
        return Difference(ours.name, first, second, value, low, high, better if shown else NO_DIFFERENCE, test.p_value)
    if ours.interval is None or theirs.interval is None:
        return Difference(ours.name, first, second, value, None, None, "no interval")
    # each side by its own width, so that a skewed interval stays skewed
    down = math.hypot(ours.value - ours.interval.low, theirs.interval.high - theirs.value)
    up = math.hypot(ours.interval.high - ours.value, theirs.value - theirs.interval.low)
    low, high = value - down, value + up
    if ours.better == "neither" or low <= 0 <= high or not math.isfinite(value):
        return Difference(ours.name, first, second, value, low, high, NO_DIFFERENCE)
    winner = first if (value < 0) == (ours.better == "lower") else second
    return Difference(ours.name, first, second, value, low, high, winner)


def _pairwise(ours: Number, theirs: Number) -> PairedTest | None:
    """The test of the values of both on the same pictures (`details` "each" and "of"); None where there are none."""
    a, b = (number.details.get("each") for number in (ours, theirs))
    if not a or not b or len(a) < 2 or len(a) != len(b) or ours.details.get("of") != theirs.details.get("of"):
        return None
    return paired_test(np.asarray(a), np.asarray(b))


def ranking(evaluations: Sequence[Evaluation], name: str) -> list[Evaluation]:
    """The subjects that have the number of that name, best first."""
    having = [each for each in evaluations if any(number.name == name for number in each.numbers)]
    sign = -1 if having and having[0].number(name).better == "higher" else 1
    return sorted(having, key=lambda each: sign * each.number(name).value)


def _names(evaluations: Sequence[Evaluation]) -> list[str]:
    return list(dict.fromkeys(number.name for each in evaluations for number in each.numbers))
