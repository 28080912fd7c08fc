"""File names as people are shown them: any bytes may be in a name, and not all can be printed."""

from __future__ import annotations

from collections.abc import Sequence


def few(names: Sequence[str], limit: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(printable(name) for name in names[:limit]) + more


def printable(name: str) -> str:
    """A file name that any terminal can show: control characters and undecodable bytes are escaped."""
    escaped = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in escaped)
