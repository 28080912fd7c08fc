"""Where things lie in the figures: a value between its floors, and lines over two axes. The templates draw them.

Lengths are in units of the figure's own view box; y grows downwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...metrics.number import Number
from .model import Curve, Series
from .words import fixed, short_text, value_text

BAR_WIDTH, SHORT_WIDTH, BAR_MARGIN = 260.0, 130.0, 9.0
PLOT_WIDTH, PLOT_HEIGHT = 460.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 22.0, 12.0, 44.0
_LOG_FROM = 30.0  # ratio between the ends of a bar from which on its axis is logarithmic
SHADES = 6  # colours and shapes that the style sheet knows


@dataclass(frozen=True)
class Mark:
    """A floor on a bar: the shape number, where it lies, and what it says when pointed at."""

    shade: int
    x: float
    title: str


@dataclass(frozen=True)
class Bar:
    """One value on an axis that runs from worse to better.

    low, high     ends of the interval; equal to x without one
    left, right   values at the ends of the axis, in words
    middle        what is to be known of the axis, in words
    """

    x: float
    low: float
    high: float
    marks: tuple[Mark, ...]
    left: str
    middle: str
    right: str
    title: str
    width: float


def bar(
    number: Number,
    floors: Mapping[str, Number],
    shades: Mapping[str, int],
    *,
    ends: Sequence[float] = (),
    width: float = BAR_WIDTH,
) -> Bar | None:
    """A number between its floors; None when there is nothing to set it against.

    ends   further values that the axis must reach, so that bars of several entrants share it
    """
    interval = number.interval
    own = [number.value, *((interval.low, interval.high) if interval else ())]
    values = [v for v in (*own, *ends, *(floor.value for floor in floors.values())) if math.isfinite(v)]
    if not math.isfinite(number.value) or set(values) <= set(own):
        return None
    # distances spread over decades; shares do not, however near to 0 the lowest lies
    log = number.better == "lower" and min(values) > 0 and max(values) / min(values) >= _LOG_FROM
    axis = _Axis(min(values), max(values), BAR_MARGIN, width - BAR_MARGIN, log=log, flipped=number.better == "lower")
    spans = sorted(axis.at(v) for v in (own[1:] if interval else own))
    marks = tuple(
        Mark(shades[name], axis.at(floor.value), f"{name}: {value_text(floor.value, floor.interval)}")
        for name, floor in floors.items()
        if math.isfinite(floor.value)
    )
    texts = [short_text(v) for v in (min(values), max(values))]
    left, right = reversed(texts) if axis.flipped else texts
    title = "; ".join([f"{number.name} {value_text(number.value, interval)}", *(mark.title for mark in marks)])
    middle = ", ".join(["log scale"] * log + ["no better end"] * (number.better == "neither"))
    return Bar(axis.at(number.value), spans[0], spans[-1], marks, left, middle, right, title, width)


@dataclass(frozen=True)
class _Axis:
    """Values low … high onto lengths start … stop."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    flipped: bool = False

    def at(self, value: float) -> float:
        low, high = self._scaled(self.low), self._scaled(self.high)
        share = (self._scaled(value) - low) / (high - low) if high > low else 0.5
        share = 1 - share if self.flipped else share
        return round(self.start + share * (self.stop - self.start), 2)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value


@dataclass(frozen=True)
class Line:
    """A series drawn: pieces of line between gaps, bands as closed outlines, and single points."""

    shade: int
    name: str
    pieces: tuple[str, ...]
    bands: tuple[str, ...]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Plot:
    """A curve drawn: lines, and ticks as (position, label)."""

    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    left: float = _LEFT
    right: float = PLOT_WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = PLOT_HEIGHT - _BOTTOM


def plot(curve: Curve) -> Plot:
    """Lay a curve out. Values that are not finite, or not above 0 on a logarithmic axis, leave gaps."""
    xs = _usable((x for s in curve.series for x in s.x), log=curve.log_x)
    ys = _usable((y for s in curve.series for y in (*s.y, *s.low, *s.high)), log=curve.log_y)
    x_low, x_high, x_ticks = _span(xs, log=curve.log_x, tight=True)
    y_low, y_high, y_ticks = _span(ys, log=curve.log_y)
    across = _Axis(x_low, x_high, _LEFT, PLOT_WIDTH - _RIGHT, log=curve.log_x)
    down = _Axis(y_low, y_high, _TOP, PLOT_HEIGHT - _BOTTOM, log=curve.log_y, flipped=True)
    lines = tuple(_line(series, k % SHADES, across, down) for k, series in enumerate(curve.series))
    return Plot(
        lines,
        tuple((across.at(value), text) for value, text in x_ticks),
        tuple((down.at(value), text) for value, text in y_ticks),
    )


def _line(series: Series, shade: int, across: _Axis, down: _Axis) -> Line:
    pieces, bands, points = [], [], []
    for rows in _runs(series, across, down):
        places = [(across.at(series.x[k]), down.at(series.y[k])) for k in rows]
        pieces.append(_path(places))
        points += places if len(series.x) <= 12 or len(rows) == 1 else []
        if series.low and series.high and all(_fits(v, down) for k in rows for v in (series.low[k], series.high[k])):
            upper = [(across.at(series.x[k]), down.at(series.high[k])) for k in rows]
            lower = [(across.at(series.x[k]), down.at(series.low[k])) for k in reversed(rows)]
            bands.append(_path(upper + lower) + "Z")
    return Line(shade, series.name, tuple(pieces), tuple(bands), tuple(points))


def _runs(series: Series, across: _Axis, down: _Axis) -> list[list[int]]:
    """Stretches of consecutive points that can be drawn."""
    runs: list[list[int]] = [[]]
    for k, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
        if _fits(x, across) and _fits(y, down):
            runs[-1].append(k)
        else:
            runs.append([])
    return [run for run in runs if run]


def _fits(value: float, axis: _Axis) -> bool:
    return math.isfinite(value) and (value > 0 or not axis.log)


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in places)


def _usable(values: Iterable[float], *, log: bool) -> list[float]:
    return [float(v) for v in values if math.isfinite(v) and (v > 0 or not log)]


def _span(values: Sequence[float], *, log: bool, tight: bool = False) -> tuple[float, float, list[tuple[float, str]]]:
    """The ends of an axis and its ticks. A `tight` axis ends with its data, another at a tick."""
    low, high = (min(values), max(values)) if values else (1.0, 2.0)
    if log:
        return _decades(low, high)
    if low == high:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    step = _nice((high - low) / 4.5)
    first, last = math.floor(low / step), math.ceil(high / step)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9) + f"{step:e}".startswith("2.5"))
    ticks = [(k * step, fixed(k * step, decimals)) for k in range(first, last + 1)]
    if tight:
        slack = 1e-9 * (high - low)
        return low, high, [tick for tick in ticks if low - slack <= tick[0] <= high + slack]
    return first * step, last * step, ticks


def _decades(low: float, high: float) -> tuple[float, float, list[tuple[float, str]]]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    every = max(1, (last - first) // 5)
    ticks = [(10.0**k, fixed(10.0**k, max(0, -k))) for k in range(first, last + 1, every)]
    return 10.0**first, 10.0**last, ticks


def _nice(step: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 … times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if step <= m * power * (1 + 1e-9))
