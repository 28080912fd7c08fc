"""What a run writes down as it goes: one JSON line of losses now and then, and TensorBoard events.

The log is for reading, not for resuming, so it need not survive a power cut; where a run is resumed or rolled back, it
is cut back to the checkpoint, so that it never tells the same step twice.
"""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .. import durable


class RunLog:
    """The log of one run."""

    def __init__(self, path: Path, *, after_step: int, tensorboard: bool) -> None:
        """Continue the log at `path` after `after_step`; later lines, of a run that was cut off, are dropped."""
        self._path, self._tensorboard = path, tensorboard
        self._open(after_step)

    def _open(self, after_step: int) -> None:
        if self._path.exists():
            kept = [line for line in _lines(self._path) if line.get("step", 0) <= after_step]
            durable.write_file(self._path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._file = open(self._path, "ab", buffering=0)  # closed by close(); unbuffered: a full disk cannot fail that
        self._events = _event_writer(self._path.parent, after_step) if self._tensorboard else None

    def rewind(self, after_step: int) -> None:
        """Drop what was written after that step, to which the run has gone back."""
        self.close()
        self._open(after_step)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """One line; numbers that are not finite become null, which JSON has."""
        line = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}
        self._file.write((json.dumps({"step": step, **line}) + "\n").encode())
        if self._events is not None:
            for key, value in values.items():
                if isinstance(value, int | float):
                    self._events.add_scalar(key, value, step)

    def picture(self, step: int, image: np.ndarray) -> None:
        """(H, W, C) uint8, for TensorBoard."""
        if self._events is not None:
            self._events.add_image("samples/grid", image, step, dataformats="HWC")

    def close(self) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; half a line at the end, of a run that was cut off, is left out."""
    return _lines(path) if path.exists() else []


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return [line for line in lines if isinstance(line, dict)]


def _event_writer(folder: Path, after_step: int) -> Any:
    """A TensorBoard writer, or None when the package (extra `track`) is not installed."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=after_step + 1)
