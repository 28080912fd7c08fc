"""The finest floats that a device has: float64, but for Apple's GPUs, which have none."""

from __future__ import annotations

import torch
from torch import Tensor


def finest(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def precise(tensor: Tensor) -> Tensor:
    """The same numbers in the finest type of their device."""
    return tensor.to(finest(tensor.device))
