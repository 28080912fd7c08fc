"""Memory that a step frees is kept for the next one.

Otherwise glibc gives every large tensor back to the system, and each step pays for the same pages anew: a third of the
time of a U-Net with attention, next to nothing of a network of small tensors (docs/log.md 2026-11-27).
"""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of malloc.h
_LARGEST = 1 << 30  # bytes that come from the heap, which is kept; what is larger is mapped by itself as ever
_OLDER = 32 << 20  # the most that older releases allow
_KEPT = (1 << 31) - 1  # bytes at the end of the heap that need not be given back


def keep_freed() -> bool:
    """Have this process keep what it frees, so that its memory stays at its peak; whether the system can.

    Only glibc's allocator is asked; others do as they do.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    taken = mallopt(_MMAP_THRESHOLD, _LARGEST) or mallopt(_MMAP_THRESHOLD, _OLDER)
    return bool(taken and mallopt(_TRIM_THRESHOLD, _KEPT))
