"""What a model keeps of an image: encode and decode it."""

from __future__ import annotations

import torch
from torch import Tensor

from ..model import Encodes, Model
from ..types import Condition
from .generate import need
from .tiles import device_of, per_tile


def encode(model: Model, images: Tensor, condition: Condition) -> Tensor:
    """(N, C, H, W) in [-1, 1] -> (N, *latent_shape)."""
    need(model, Encodes)
    device = device_of(model)
    with torch.inference_mode():
        return per_tile(model.encode, images.to(device), condition.to(device))  # type: ignore[arg-type]


def decode(model: Model, latent: Tensor, condition: Condition) -> Tensor:
    """(N, *latent_shape) -> (N, C, H, W) in [-1, 1], on the CPU."""
    device = device_of(model)
    with torch.inference_mode():
        return per_tile(model.decode, latent.to(device), condition.to(device)).float().cpu()  # type: ignore[arg-type]


def reconstruct(model: Model, images: Tensor, condition: Condition) -> Tensor:
    """(N, C, H, W) in [-1, 1] -> the same images as the model remembers them."""
    return decode(model, encode(model, images, condition), condition)
