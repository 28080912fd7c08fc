"""Batch normalisation folded into the convolution before it: with fixed statistics it is only a scale and a shift."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import ModelError


def fold(state: Mapping[str, Tensor], convolution: str, norm: str, *, epsilon: float) -> tuple[Tensor, Tensor]:
    """(weight, bias) of the convolution that does what `convolution` and then `norm` do; computed in float64.

    convolution, norm   prefixes of their tensors in `state`

    Raises ModelError naming the first tensor that is missing.
    """

    def get(name: str) -> Tensor:
        if name not in state:
            raise ModelError(f"the weights lack {name}; they are of another network than the one they were taken for")
        return state[name].double()

    scale = get(f"{norm}.weight") / torch.sqrt(get(f"{norm}.running_var") + epsilon)
    weight = get(f"{convolution}.weight") * scale[:, None, None, None]
    return weight.float(), (get(f"{norm}.bias") - get(f"{norm}.running_mean") * scale).float()


def assign(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor, *, name: str) -> None:
    """Give a layer its weights. Raises ModelError for other shapes than it has, and for what is not finite."""
    if layer.bias is None or weight.shape != layer.weight.shape or bias.shape != layer.bias.shape:
        raise ModelError(f"the weights of {name} are {tuple(weight.shape)}; {tuple(layer.weight.shape)} is needed")
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise ModelError(f"the weights of {name} are not finite numbers; the file is damaged or of another network")
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
