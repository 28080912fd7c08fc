"""What a bench hands back: figures, each with the goal that it is held to and the rounds that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .measure import Ratio, Timing


@dataclass(frozen=True)
class Settings:
    """How a bench is run.

    quick     seconds instead of minutes: shows that the bench works, its figures mean nothing
    quality   also measure what bf16 does to quality (dcgan)
    folder    for files; removed afterwards
    """

    folder: Path
    quick: bool = False
    quality: bool = False

    def pick(self, full: int, quick: int) -> int:
        """`full`, or `quick` in a quick run."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Goal:
    """The limit of a figure."""

    limit: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def text(self, unit: str) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g} {unit}"


@dataclass(frozen=True)
class Figure:
    """One number.

    spread    quartiles of the rounds, where there are rounds
    timings   what the number comes from
    note      the protocol, in the words that a reader needs to repeat it
    """

    name: str
    value: float
    unit: str
    goal: Goal | None = None
    spread: tuple[float, float] | None = None
    timings: Sequence[Timing] = ()
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.met(self.value)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        speeds = [
            {"name": t.name, "best": t.best, "median": t.median, "unit": f"{t.unit}/s", "rounds": len(t.seconds)}
            for t in self.timings
        ]
        return {**asdict(self), "timings": speeds, "met": self.met}


def speedup(name: str, ours: Timing, theirs: Timing, *, goal: Goal | None = None, note: str = "") -> Figure:
    """How many times as fast `ours` is; the goal is held against the middle of the rounds."""
    ratio = Ratio.of(ours, theirs)
    note = f"{ratio.best:.2f} × by the best rounds{'; ' if note else ''}{note}"
    return Figure(name, ratio.median, "×", goal, (ratio.low, ratio.high), (ours, theirs), note)


def added(name: str, ours: Timing, bare: Timing, *, goal: Goal | None = None, note: str = "") -> Figure:
    """By how many percent `ours` takes longer than `bare`."""
    ratio = Ratio.of(bare, ours)
    value, low, high, best = (100 * (part - 1) for part in (ratio.median, ratio.low, ratio.high, ratio.best))
    note = f"{best:+.1f} % by the best rounds{'; ' if note else ''}{note}"
    return Figure(name, value, "%", goal, (low, high), (ours, bare), note)
