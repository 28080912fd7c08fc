"""Weights in a description: "a (red:1.4) apple" stresses red, "(background:0.6)" plays it down."""

from __future__ import annotations

import re

from .encoder import Span

_WEIGHTED = re.compile(r"\(([^()]+):(\d+(?:\.\d+)?)\)")


def parse(text: str) -> tuple[str, list[Span]]:
    """The text without its weights, and what was weighted, as (start, stop, weight) in characters of that text.

    Brackets without a number stay as they are.
    """
    plain, spans, place = "", [], 0
    for match in _WEIGHTED.finditer(text):
        plain += text[place : match.start()]
        spans.append((len(plain), len(plain) + len(match[1]), float(match[2])))
        plain += match[1]
        place = match.end()
    return plain + text[place:], spans
