"""Matrices in bf16 that lie as a processor's matrix units read them, so that no product has to lay them out first.

torch lays a matrix out anew at every call, which for a few rows takes longer than the product: packed once, a product
of 16 rows takes a third to a quarter of the time, and gives the same bits (docs/log.md, 2026-11-27). The operators
are those that torch's own compiler uses; where torch or the processor has none, matrices stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def pack(module: nn.Module) -> None:
    """Pack every plain linear layer of a module in bf16 on a CPU. For inference alone: packed weights are not saved."""
    if not _possible():
        return
    for name, layer in module.named_children():
        if type(layer) is nn.Linear and layer.weight.device.type == "cpu" and layer.weight.dtype == torch.bfloat16:
            setattr(module, name, PackedLinear(layer))
        else:
            pack(layer)


class PackedLinear(nn.Module):
    """A linear layer: (…, inputs) -> (…, outputs), bf16."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().contiguous())
        self.bias = None if layer.bias is None else layer.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def _possible() -> bool:
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    there = torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)
    return bool(there and torch.ops.mkldnn._is_mkldnn_bf16_supported())
