"""Reading JSON that anyone may have written: sizes, types and ranges are checked before a value is used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import DataError

_OPAQUE = re.compile(r"[0-9a-f]{8,64}")


def load(path: Path, max_bytes: int) -> dict[str, Any]:
    """The JSON object in a file. Raises DataError for anything else: too large, not UTF-8, repeated keys, NaN …"""
    try:
        if not path.is_file():
            raise DataError(f"{path} is not a file")
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise DataError(f"{path} cannot be read: {error}") from None
    if len(data) > max_bytes:
        raise DataError(f"{path} is larger than {max_bytes:,} bytes, which no such file is")
    try:
        values = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise DataError(f"{path} is not JSON that can be used: {str(error)[:200] or 'nested too deeply'}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path} holds no JSON object")
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return values


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def fields(value: Any, names: set[str], where: str, hint: str = "") -> None:
    """Raise DataError unless `value` is an object with exactly these names."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: {_shown(value)} is not an object{hint}")
    for name in sorted(names ^ set(value), key=str):
        raise DataError(f"{where}: {'unknown' if name in value else 'missing'} name {_shown(name)}{hint}")


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: {_shown(value)} is not an object")
    return value


def sequence(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise DataError(f"{where}: {_shown(value)} is not a list")
    return value


def text(value: Any, longest: int, where: str) -> str:
    """A string without control characters or lone surrogates."""
    if not isinstance(value, str) or len(value) > longest:
        raise DataError(f"{where}: {_shown(value)} is not a text of at most {longest:,} characters")
    if any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in value):
        raise DataError(f"{where}: {_shown(value)} holds control characters")
    return value


def opaque(value: Any, where: str) -> str:
    """An id: 8 to 64 hexadecimal digits."""
    if not isinstance(value, str) or not _OPAQUE.fullmatch(value):
        raise DataError(f"{where}: {_shown(value)} is no id")
    return value


def one_of(value: Any, allowed: Sequence[str], where: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise DataError(f"{where}: {_shown(value)} is none of {', '.join(allowed)}")
    return value


def whole(value: Any, least: int, most: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise DataError(f"{where}: {_shown(value)} is not a whole number from {least:,} to {most:,}")
    return value


def number(value: Any, least: float, most: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise DataError(f"{where}: {_shown(value)} is not a number from {least:,} to {most:,}")
    return float(value)


def boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise DataError(f"{where}: {_shown(value)} is neither true nor false")
    return value


def _shown(value: Any) -> str:
    """A value from the file as one short line that any terminal can show."""
    line = ascii(value) if isinstance(value, (str, int, float, bool, type(None))) else f"a {type(value).__name__}"
    return line if len(line) <= 60 else f"{line[:57]}…"
