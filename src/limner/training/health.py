"""What to do when a loss or a gradient is not finite: skip, then roll back with a lower learning rate, then stop.

Every count is bounded, so a run that cannot be cured ends with its cause named instead of looping.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

MAX_SKIPS = 3  # batches skipped in a row before rolling back
MAX_ROLLBACKS = 3
LR_AFTER_ROLLBACK = 0.5


@dataclass
class Recovery:
    """The recoveries of a run so far; kept on disk from the moment of each rollback."""

    skips: int = 0  # batches skipped in a row
    rollbacks: int = 0

    @property
    def lr_scale(self) -> float:
        return LR_AFTER_ROLLBACK**self.rollbacks

    def skip(self) -> bool:
        """Count a bad batch; True when it may be skipped, False when skipping has not helped."""
        self.skips += 1
        return self.skips <= MAX_SKIPS

    def healthy(self) -> None:
        """A step went well."""
        self.skips = 0

    def roll_back(self) -> bool:
        """Count a rollback; False when there have been too many."""
        self.skips = 0
        self.rollbacks += 1
        return self.rollbacks <= MAX_ROLLBACKS

    def state(self) -> dict:
        return asdict(self)


def first_not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor that holds a NaN or an infinity, or None."""
    for name, tensor in tensors:
        # a sum is finite exactly when no element is NaN or infinite, unless it overflows: then look closer
        if tensor.is_floating_point() and not torch.isfinite(tensor.sum()) and not torch.isfinite(tensor).all():
            return name
    return None
