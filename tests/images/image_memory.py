"""The greatest memory that a piece of code held, from Linux's own count, transient allocations of C code included."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Growth:
    mebibytes = 0.0


@contextmanager
def peak_growth() -> Iterator[Growth]:
    """Its `mebibytes` after the block: the peak inside above the level before.

    Not getrusage: its peak never falls, and a child inherits its parent's, so it hides what comes after a large peak.
    """
    growth = Growth()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what earlier tests freed would else be used again without being counted
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak to the present level
    before = _peak()
    yield growth
    growth.mebibytes = (_peak() - before) / 1024


def _peak() -> int:
    """KiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
