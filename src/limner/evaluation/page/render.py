"""Reports and leaderboards as one HTML file each: no script, no font, no picture from anywhere else.

A policy in the page forbids the browser to fetch anything, so that what is shown is all there is.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ... import __version__
from ...errors import ConfigError
from ...images.grid import displayable
from ...images.metadata import encode_png
from ...metrics.number import Number
from . import figures, standing, words
from .model import Gallery, Leaderboard, Report, Table

HERE = Path(__file__).parent / "templates"
_SMALL = 96  # pixels: smaller images are enlarged pixel by pixel
_STRIP = 8  # samples that a leaderboard shows of an entrant


@lru_cache(maxsize=4)
def environment(folder: Path = HERE) -> Environment:
    """The templates of a folder, and those of this package, with everything that is put into them escaped."""
    loader = FileSystemLoader([folder, HERE])
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

    def style(*names: str) -> Markup:
        return Markup("\n".join(loader.get_source(made, name)[0] for name in names))

    made.globals |= {"version": __version__, "style": style, "picture": picture, "plot": figures.plot}
    made.filters |= {
        "value": words.value_text,
        "interval": words.interval_text,
        "direction": words.direction,
        "word": words.word,
        "brief": words.brief_text,
        "short": words.short_text,
        "details": words.detail_rows,
    }
    return made


def picture(image: np.ndarray) -> dict[str, Any]:
    """(H, W, C) uint8 as a `data:` address of a PNG, with its size and whether its pixels should stay sharp."""
    shown = displayable(image[None])[0]
    address = "data:image/png;base64," + base64.b64encode(encode_png(shown)).decode()
    height, width = shown.shape[:2]
    return {"src": address, "width": width, "height": height, "sharp": max(height, width) < _SMALL}


def render_report(report: Report) -> str:
    """The page of one model or folder."""
    shades = _shades(report.floors)
    shared = words.shared_rows(report.numbers)
    rows = [
        {
            "number": number,
            "bar": figures.bar(number, _floors_of(report.floors, number.name), shades),
            "protocol": {k: v for k, v in words.protocol_rows(number.protocol).items() if shared.get(k) != v},
        }
        for number in report.numbers
    ]
    galleries = [gallery for gallery in (report.samples, report.best, report.worst) if gallery]
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            rows=rows,
            shades=shades,
            shared=shared,
            galleries=galleries,
            tables=[_table(table) for table in report.tables],
            sections=_sections(report, shared),
        )
    )


def render_leaderboard(board: Leaderboard) -> str:
    """The page that ranks several. It refuses no comparison: unlike protocols are named on it in red."""
    if not board.entrants:
        raise ConfigError("a leaderboard without entrants has nothing to show; give at least one")
    table = standing.columns(board)
    by = standing.ranking_column(board, table)
    shades = _shades(board.floors)
    order = standing.places(by, len(board.entrants))
    rows = [
        {
            "entrant": board.entrants[k],
            "place": place,
            "leads": place in ("1", "1="),
            "cells": [_cell(column, k, shades) for column in table],
            "strip": [] if (strip := board.entrants[k].strip) is None else strip[:_STRIP],
        }
        for k, place in order
    ]
    numbers = [number for entrant in board.entrants for number in entrant.numbers]
    first = [next(number for number in column.entrants if number) for column in table]
    shared = words.shared_rows(numbers)
    protocols = {
        number.name: {k: v for k, v in words.protocol_rows(number.protocol).items() if shared.get(k) != v}
        for number in first
    }
    return (
        environment()
        .get_template("leaderboard.html")
        .render(board=board, columns=table, by=by, rows=rows, shades=shades, shared=shared, protocols=protocols)
    )


def _cell(column: standing.Column, k: int, shades: Mapping[str, int]) -> dict[str, Any] | None:
    """One number of one entrant, its bar on the axis of the whole column."""
    number = column.entrants[k]
    if number is None:
        return None
    reach = [end for other in column.entrants if other for end in standing.ends(other)]
    drawn = figures.bar(number, column.floors, shades, ends=reach, width=figures.SHORT_WIDTH)
    return {"number": number, "bar": drawn, "best": k in column.best, "tied": k in column.tied}


def _shades(floors: Mapping[str, Any]) -> dict[str, int]:
    return {name: k % figures.SHADES for k, name in enumerate(floors)}


def _floors_of(floors: Mapping[str, Sequence[Number]], name: str) -> dict[str, Number]:
    return {floor: number for floor, numbers in floors.items() if (number := standing.named(numbers, name))}


def _table(table: Table) -> dict[str, Any]:
    """A table with, for the cells of columns that have a direction, how long their bars are in per cent."""
    longest = [_longest(table, k) for k in range(len(table.columns))]
    rows = [
        [
            {"value": cell, "share": abs(cell) / top * 100 if top and isinstance(cell, (int, float)) else None}
            for cell, top in zip(row, longest, strict=True)
        ]
        for row in table.rows
    ]
    return {"table": table, "rows": rows, "bars": [top is not None for top in longest]}


def _longest(table: Table, k: int) -> float | None:
    if not table.better or table.better[k] == "neither":
        return None
    values = [abs(row[k]) for row in table.rows if isinstance(row[k], (int, float)) and np.isfinite(row[k])]  # type: ignore[arg-type]  # a number by now
    return max(values, default=0.0) or None


def _sections(report: Report, shared: Mapping[str, str]) -> list[tuple[str, str]]:
    """(anchor, heading) of the sections that the page has, for its contents."""
    every = [
        ("numbers", "Numbers", report.numbers),
        ("samples", "Samples", report.samples or report.best or report.worst),
        ("neighbours", "Nearest neighbours", report.neighbours),
        ("curves", "Curves", report.curves),
        ("classes", "Tables", report.tables),
        ("more", "More images", report.galleries),
        ("protocol", "Protocol", shared),
        ("skipped", "Not measured", report.skipped),
        ("again", "Make it again", report.commands),
    ]
    return [(anchor, heading) for anchor, heading, content in every if content]


__all__ = ["Gallery", "environment", "picture", "render_leaderboard", "render_report"]
