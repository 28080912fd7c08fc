"""Numbers and protocols in words: as many digits as the interval allows, and what numbers share said once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...metrics.number import Interval, Number, Protocol

_DIRECTION = {"lower": "lower is better", "higher": "higher is better", "neither": "neither end is better"}
_LABELS = {
    "metric": "metric",
    "features": "features",
    "features_sha256": "features SHA-256",
    "resize": "resize",
    "precision": "precision",
    "generated": "judged images",
    "real": "real images",
    "split": "split",
    "data_sha256": "data SHA-256",
    "seed": "seed",
}
_LONGEST = 8  # values of a list that are still read as words
_HASH = 16  # digits that tell one hash from another


def value_text(value: float, interval: Interval | None = None) -> str:
    """A value as exact as its interval allows, or with four digits: 13.7 for ± 0.84, 13.70 for ± 0.24, 1,240.

    The interval's half-width is told with one digit from 3 on and with two below, so that rounding costs it little.
    """
    if not math.isfinite(value):
        return "not finite"
    half = (interval.high - interval.low) / 2 if interval else 0.0
    if math.isfinite(half) and half > 0:
        decimals = (1 if f"{half:e}"[0] in "12" else 0) - math.floor(math.log10(half))
    else:
        decimals = 3 - math.floor(math.log10(abs(value))) if value else 2
    return fixed(value, decimals)


def interval_text(interval: Interval) -> str:
    """`12.9 … 14.6`, as exact as the value beside it."""
    return " … ".join(value_text(end, interval) for end in (interval.low, interval.high))


def brief_text(value: float) -> str:
    """A value with three digits, for captions."""
    if not math.isfinite(value):
        return "not finite"
    return fixed(value, 2 - math.floor(math.log10(abs(value))) if value else 0)


def short_text(value: float) -> str:
    """A value with three digits and no zeros at the end: for the ends of an axis."""
    text = brief_text(value)
    return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text


def fixed(value: float, decimals: int) -> str:
    """A finite number with so many decimals, thousands set apart, and a real minus sign; far ends as powers of ten."""
    if value and not 1e-5 <= abs(value) < 1e9:
        mantissa, exponent = f"{value:.2e}".split("e")
        return _power(mantissa, int(exponent))
    text = f"{value:,.{min(max(decimals, 0), 7)}f}"
    return text.replace("-", "−") if text.strip("-0.,") else text.lstrip("-")


def _power(mantissa: str, exponent: int) -> str:
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}×10{raised}".replace("-", "−")


def direction(better: str) -> str:
    """`lower is better`."""
    return _DIRECTION[better]


def word(value: Any) -> str:
    """One value of a protocol or of the details: whole numbers with thousands, floats with four digits, hashes cut."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return value_text(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(word(item) for item in value)
    text = str(value)
    return f"{text[:_HASH]}…" if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


def protocol_rows(protocol: Protocol) -> dict[str, str]:
    """What a number was measured with, label -> words; what does not apply (no real images, say) is left out."""
    named = {label: getattr(protocol, name) for name, label in _LABELS.items()}
    every = named | {str(name).replace("_", " "): value for name, value in protocol.settings.items()}
    absent = {label for label in ("judged images", "real images") if not named[label]}
    return {label: word(value) for label, value in every.items() if value is not None and label not in absent}


def shared_rows(numbers: Sequence[Number]) -> dict[str, str]:
    """The part of their protocols that all numbers which have it agree on, and that more than one has."""
    every = [protocol_rows(number.protocol) for number in numbers]
    labels = dict.fromkeys(label for rows in every for label in rows)
    shared = {}
    for label in labels:
        values = [rows[label] for rows in every if label in rows]
        if len(values) > 1 and len(set(values)) == 1 and label in _LABELS.values():
            shared[label] = values[0]
    return shared


def detail_rows(details: Mapping[str, Any]) -> dict[str, str]:
    """The details of a number that can be read as words; long lists and nested values are for JSON."""
    rows = {}
    for name, value in details.items():
        flat = isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in value)
        if isinstance(value, (str, int, float, bool)) or (flat and len(value) <= _LONGEST):
            rows[str(name).replace("_", " ")] = word(value)
    return rows
