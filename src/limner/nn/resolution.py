"""Which resolutions a network that halves its images can take."""

from __future__ import annotations

from ..errors import ConfigError


def check_divisible(height: int, width: int, depth: int) -> None:
    """Raise ConfigError unless both sides can be halved `depth` times; the message names the nearest sizes that can."""
    factor = 2**depth
    if height % factor == 0 and width % factor == 0:
        return
    smaller, larger = (_nearest(height, width, factor, up=up) for up in (False, True))
    sizes = " or ".join(size for size in (smaller, larger) if size)
    fitting = halvings(height, width)
    other = f", or depth={fitting}" if fitting else ""
    raise ConfigError(
        f"resolution {height}x{width} is not divisible by {factor} ({depth} downsamplings); use {sizes}{other}"
    )


def halvings(height: int, width: int) -> int:
    """How often both sides can be halved without a remainder: the largest depth that fits."""
    depth = 0
    while height % 2 ** (depth + 1) == 0 and width % 2 ** (depth + 1) == 0:
        depth += 1
    return depth


def _nearest(height: int, width: int, factor: int, *, up: bool) -> str:
    """The nearest fitting size below or above, as `24` or `24x40`; empty when there is none below."""
    low, high = (side // factor * factor for side in (height, width))
    if up:
        low, high = (side if side % factor == 0 else side // factor * factor + factor for side in (height, width))
    if not low or not high:
        return ""
    return str(low) if low == high else f"{low}x{high}"
