"""Who leads a leaderboard: places by one number, ties wherever intervals meet. It ranks what it is given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import ConfigError, unknown
from ...metrics.number import Number
from .model import Leaderboard


@dataclass(frozen=True)
class Column:
    """One number of every entrant and every floor; None where an entrant lacks it.

    best    entrants that hold the best value
    tied    others whose interval meets the interval of the best
    unlike  what keeps its numbers from being compared, in words
    """

    name: str
    unit: str
    better: str
    entrants: tuple[Number | None, ...]
    floors: dict[str, Number]
    best: frozenset[int]
    tied: frozenset[int]
    unlike: tuple[str, ...]


def columns(board: Leaderboard) -> list[Column]:
    """One column for each name among the numbers, in the order in which they first come."""
    names = dict.fromkeys(number.name for entrant in board.entrants for number in entrant.numbers)
    return [_column(board, name) for name in names]


def _column(board: Leaderboard, name: str) -> Column:
    cells = tuple(named(entrant.numbers, name) for entrant in board.entrants)
    have = [number for number in cells if number is not None]
    floors = {floor: number for floor, numbers in board.floors.items() if (number := named(numbers, name))}
    best = _best(cells)
    leaders = [number for k in best if (number := cells[k])]
    tied = {
        k for k, number in enumerate(cells) if number and k not in best and any(meet(number, one) for one in leaders)
    }
    unlike = dict.fromkeys(line for number in have[1:] for line in have[0].protocol.differences(number.protocol))
    return Column(name, have[0].unit, have[0].better, cells, floors, best, frozenset(tied), tuple(unlike))


def named(numbers: Sequence[Number], name: str) -> Number | None:
    """The number of that name, if there is one."""
    return next((number for number in numbers if number.name == name), None)


def _best(cells: Sequence[Number | None]) -> frozenset[int]:
    finite = {k: number.value for k, number in enumerate(cells) if number and math.isfinite(number.value)}
    better = next((number.better for number in cells if number), "neither")
    if better == "neither" or len(finite) < 2:
        return frozenset()
    top = (min if better == "lower" else max)(finite.values())
    return frozenset(k for k, value in finite.items() if value == top)


def meet(a: Number, b: Number) -> bool:
    """Whether the intervals of two numbers have a value in common; a number without one is a point."""
    (low, high), (low_b, high_b) = ends(a), ends(b)
    return low <= high_b and low_b <= high


def ends(number: Number) -> tuple[float, float]:
    """Both ends of the interval, or the value twice."""
    return (number.interval.low, number.interval.high) if number.interval else (number.value, number.value)


def ranking_column(board: Leaderboard, table: Sequence[Column]) -> Column | None:
    """The column that orders the entrants. Raises ConfigError when `rank_by` names none that has a better end."""
    able = [column for column in table if column.better != "neither"]
    if board.rank_by is None:
        return able[0] if able else None
    for column in able:
        if column.name == board.rank_by:
            return column
    raise ConfigError(unknown("metric to rank by", board.rank_by, [column.name for column in able]))


def places(column: Column | None, entrants: int) -> list[tuple[int, str]]:
    """(entrant, place in words) from first to last.

    A place counts those that are clearly better, their whole interval beyond this one's, so equals share it: 1=, 1=, 3.
    Entrants without the number come last, with no place.
    """
    if column is None:
        return [(k, "") for k in range(entrants)]
    sign = 1 if column.better == "lower" else -1
    have = {k: number for k, number in enumerate(column.entrants) if number and math.isfinite(number.value)}
    above = {
        k: sum(sign * other.value < sign * number.value and not meet(other, number) for other in have.values())
        for k, number in have.items()
    }
    order = sorted(have, key=lambda k: (above[k], sign * have[k].value))
    shared = [place for place in above.values() if list(above.values()).count(place) > 1]
    return [
        *((k, f"{above[k] + 1}{'=' if above[k] in shared else ''}") for k in order),
        *((k, "") for k in range(entrants) if k not in have),
    ]
