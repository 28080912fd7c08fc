"""From the features of a place to what is foretold of its values: in groups, each of which sees the groups before it.

A place is a square of pixels; a group is one pixel of it, or one channel of that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PlaceHead(nn.Module):
    """(B, C, h, w) features and (B, G N, h, w) values, group by group -> (B, G, P, h, w) parameters of each group.

    group    N values, which are foretold together
    """

    mask: Tensor

    def __init__(self, width: int, *, groups: int, group: int, parameters: int) -> None:
        super().__init__()
        self.groups, self.group, self.width = groups, group, width
        self.features = nn.Conv2d(width, groups * width, 1)
        self.before = nn.Conv2d(groups * group, groups * width, 1, bias=False)
        seen, seer = torch.arange(groups).repeat_interleave(group), torch.arange(groups).repeat_interleave(width)
        self.register_buffer("mask", (seen < seer[:, None]).float()[:, :, None, None], persistent=False)
        self.weight = nn.Parameter(torch.randn(groups, parameters, width) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(groups, parameters))

    def forward(self, features: Tensor, values: Tensor) -> Tensor:
        """(B, C, h, w) and (B, G N, h, w) -> (B, G, P, h, w)."""
        known = nn.functional.conv2d(values, self.before.weight * self.mask)
        hidden = torch.relu(self.features(torch.relu(features)) + known)  # (B, G C, h, w)
        hidden = hidden.unflatten(1, (self.groups, self.width))
        return torch.einsum("bgchw,gpc->bgphw", hidden, self.weight) + self.bias[:, :, None, None]

    def start(self, features: Tensor) -> Tensor:
        """(B, C) features of one place -> (B, G, C), for `parameters`."""
        weight = self.features.weight.flatten(1)
        return nn.functional.linear(torch.relu(features), weight, self.features.bias).unflatten(1, (self.groups, -1))

    def parameters_of(self, group: int, start: Tensor, values: Tensor) -> Tensor:
        """(B, P) of one group: `start` (B, G, C), and (B, G N) values, of which those of the groups before count."""
        known, rows = group * self.group, slice(group * self.width, (group + 1) * self.width)
        weight = self.before.weight[rows, :known, 0, 0]
        hidden = torch.relu(start[:, group] + values[:, :known] @ weight.T)  # (B, C)
        return hidden @ self.weight[group].T + self.bias[group]
