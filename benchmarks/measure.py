"""Timing in turns: A B A B …, so that a machine that slows down slows all contenders down alike.

Two ways to take turns. `alternate` calls the contenders one after the other. `Turns` is for a loop that cannot be
called a piece at a time, such as a training run: it is stopped between two of its steps while the others have theirs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True)
class Timing:
    """The rounds of one contender.

    seconds   of each round
    work      done in a round, in `unit`
    """

    name: str
    seconds: tuple[float, ...]
    work: float = 1.0
    unit: str = "images"

    @property
    def best(self) -> float:
        """Work a second in the fastest round."""
        return self.work / min(self.seconds)

    @property
    def median(self) -> float:
        """Work a second in the middle round."""
        return self.work / statistics.median(self.seconds)


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one contender is as another: the middle of the rounds, with the quartiles around it.

    best   the ratio of the two fastest rounds, which other load on the machine disturbs least
    """

    median: float
    low: float
    high: float
    best: float

    @classmethod
    def of(cls, ours: Timing, theirs: Timing) -> Ratio:
        """Speed of `ours` over speed of `theirs`, round by round."""
        scale = ours.work / theirs.work
        ratios = [scale * b / a for a, b in zip(ours.seconds, theirs.seconds, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        return cls(median, low, high, ours.best / theirs.best)


def alternate(contenders: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, tuple[float, ...]]:
    """Seconds of every round of each contender; one round of each goes before them, to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(1 + rounds):
        for name, contender in contenders.items():
            seconds[name].append(clocked(contender))
    return {name: tuple(taken[1:]) for name, taken in seconds.items()}


@dataclass
class Turns:
    """Rounds of a host loop, which calls `pause` between its rounds, and of others, which run inside that call."""

    others: Mapping[str, Callable[[], object]]
    host: list[float] = field(default_factory=list)
    guests: dict[str, list[float]] = field(default_factory=dict)
    _since: float | None = None

    def pause(self) -> None:
        """End a round of the host (the first call only starts one), and let every other contender have its own."""
        if self._since is not None:
            self.host.append(time.perf_counter() - self._since)
        for name, contender in self.others.items():
            self.guests.setdefault(name, []).append(clocked(contender))
        self._since = time.perf_counter()

    def seconds(self) -> tuple[tuple[float, ...], dict[str, tuple[float, ...]]]:
        """Rounds of the host without the first, and beside each the mean of the others' rounds before and after it.

        That mean takes out a drift that is straight over three rounds.
        """
        around = {
            name: tuple((before + after) / 2 for before, after in pairwise(taken))[1:]
            for name, taken in self.guests.items()
        }
        return tuple(self.host[1:]), around


def clocked(work: Callable[[], object]) -> float:
    """Seconds that one call takes; a contender that keeps its own time returns it as a float."""
    start = time.perf_counter()
    own = work()
    return own if isinstance(own, float) else time.perf_counter() - start
