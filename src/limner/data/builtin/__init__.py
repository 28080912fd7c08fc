"""Data sets that come with Limner and need no network: `builtin:openmoji`, `builtin:shapes`, `builtin:digits`."""

from __future__ import annotations

from urllib.parse import parse_qs

from ...errors import ConfigError, unknown
from .drawn import BuiltIn

PREFIX = "builtin:"
NAMES = ("openmoji", "shapes", "digits")
MOST_SHAPES = 1_000_000


def is_builtin(path: object) -> bool:
    """Whether `path` names a built-in data set and not a place on the disk."""
    return str(path).startswith(PREFIX)


def source(name: str) -> BuiltIn:
    """The built-in data set `name`: `builtin:openmoji`, `builtin:shapes`, `builtin:shapes?n=1000` or `builtin:digits`.

    Raises ConfigError for any other name, and MissingExtra for openmoji without the extra `demo`.
    """
    kind, _, query = name.removeprefix(PREFIX).partition("?")
    if kind not in NAMES:
        raise ConfigError(unknown("built-in data set", kind, NAMES))
    if query and kind != "shapes":
        raise ConfigError(f"{name}: only builtin:shapes takes a number; use {PREFIX}{kind}")
    if kind == "openmoji":
        from .openmoji import OpenMoji

        return OpenMoji()
    if kind == "shapes":
        from .shapes import COUNT, Shapes

        return Shapes(_count(name, query) if query else COUNT)
    from .digits import Digits

    return Digits()


def _count(name: str, query: str) -> int:
    values = parse_qs(query)
    number = values.get("n", [""])[0]
    if set(values) != {"n"} or not number.isdecimal() or not 1 <= int(number) <= MOST_SHAPES:
        raise ConfigError(f"{name}: write the number of shapes as {PREFIX}shapes?n=1000, from 1 to {MOST_SHAPES:,}")
    return int(number)
