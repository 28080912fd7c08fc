"""The export gate: may a model leave the house, as far as its numbers tell? What was not measured does not pass.

By default it asks for two things: that no sign of copied training images was found, and that membership inference does
not surely succeed where it was measured. Limits on any other number can be added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..errors import ConfigError
from ..metrics.number import Number
from ..metrics.verdict import Word

EXIT_CODE = 6  # of a command whose subject is worse than a threshold
MEMBERSHIP_AUC = 0.6  # an attacker who is right in 6 of 10 pairs learns little

_LIMIT = re.compile(r"\s*(?P<name>[^<>=]+?)\s*(?P<sign><=|>=)\s*(?P<value>\S+)\s*")


@dataclass(frozen=True)
class Limit:
    """A bound on a number: its name, in full or up to the brackets, and the value that it must not pass."""

    name: str
    sign: Literal["<=", ">="]
    value: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """`FD-Lite0<=40`. Raises ConfigError for anything else."""
        match = _LIMIT.fullmatch(text)
        try:
            value = float(match["value"]) if match else float("nan")
        except ValueError:
            value = float("nan")
        if match is None or value != value:
            raise ConfigError(
                f"limit {text!r} cannot be read; write NAME<=VALUE or NAME>=VALUE, for example FD-Lite0<=40"
            )
        return cls(match["name"], "<=" if match["sign"] == "<=" else ">=", value)

    def applies(self, number: Number) -> bool:
        return self.name in (number.name, number.name.partition(" (")[0])

    def holds(self, number: Number) -> bool:
        return number.value <= self.value if self.sign == "<=" else number.value >= self.value

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.value:g}"


@dataclass(frozen=True)
class Rules:
    """What a model must show.

    verdicts         on copying (metrics/verdict.py) that may pass; empty when none is asked for
    membership_auc   the lower end of its interval may not lie above
    limits           on other numbers; each must have been measured
    """

    verdicts: tuple[Word, ...] = ("no sign",)
    membership_auc: float = MEMBERSHIP_AUC
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Whether the model may be exported.

    refused   why not, in sentences; empty when it may
    passed    what it passed, in sentences
    """

    refused: tuple[str, ...]
    passed: tuple[str, ...]

    @property
    def may_export(self) -> bool:
        return not self.refused

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON and the report."""
        return {"may_export": self.may_export, "refused": list(self.refused), "passed": list(self.passed)}


def decide(
    numbers: Sequence[Number],
    rules: Rules = Rules(),  # noqa: B008  frozen
    *,
    skipped: Mapping[str, str] = MappingProxyType({}),
) -> Decision:
    """Hold numbers against rules. A number that a rule needs and that is not there refuses.

    skipped   measure -> why it could not be taken, to be said again where a rule needed it
    """
    found = [*_copying(numbers, rules, skipped.get("memorisation")), *_membership(numbers, rules)]
    for limit in rules.limits:
        found += _limit(numbers, limit)
    return Decision(*(tuple(text for ok, text in found if ok == wanted) for wanted in (False, True)))


def _copying(numbers: Sequence[Number], rules: Rules, unmeasured: str | None) -> list[tuple[bool, str]]:
    if not rules.verdicts:
        return []
    judged = [number for number in numbers if "verdict" in number.details]
    if not judged:
        why = f": {unmeasured}" if unmeasured else "; evaluate with the metric memorisation"
        return [(False, f"whether training images are copied was not measured{why}")]
    return [
        (number.details["verdict"] in rules.verdicts, f"{number.name}: {number.details['verdict']}; {_because(number)}")
        for number in judged
    ]


def _because(number: Number) -> str:
    return "; ".join(str(reason) for reason in number.details.get("reasons", ()))


def _membership(numbers: Sequence[Number], rules: Rules) -> list[tuple[bool, str]]:
    found = []
    for number in numbers:
        if number.name.startswith("membership AUC"):
            low = number.value if number.interval is None else number.interval.low
            says = f"{number.name} {number.value:.3f}, at least {low:.3f}; the limit is {rules.membership_auc:g}"
            found.append((low <= rules.membership_auc, says))
    return found


def _limit(numbers: Sequence[Number], limit: Limit) -> list[tuple[bool, str]]:
    meant = [number for number in numbers if limit.applies(number)]
    if not meant:
        return [(False, f"{limit} cannot be checked: no number of that name was measured")]
    return [(limit.holds(number), f"{number.name} is {number.value:.4g}; the rule is {limit}") for number in meant]
