"""The network of MADE: a fully connected network whose masks let each output see only the inputs before it.

Every hidden unit has a degree: it sees the inputs whose rank is at most that. Units of one degree are as deep as each
other, so layers may add up (h + layer(h)) and drawing an image needs each unit once: see `Drawing`.
Source: Germain et al. 2015, MADE, arXiv 1502.03509, section 4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOLD = 0.2  # standard deviation of what a class adds to a unit at first: enough to be heard


class MaskedMLP(nn.Module):
    """(B, D) inputs and (B, W) condition -> (B, D) outputs, output d from the inputs that rank before it.

    ranks     (K, D) int64   place of every input in each of K orders
    degrees   (K, U) int64   of every hidden unit, 0 to D - 2, under each of them
    """

    ranks: Tensor
    degrees: Tensor

    def __init__(self, ranks: Tensor, degrees: Tensor, *, condition: int, depth: int) -> None:
        super().__init__()
        self.register_buffer("ranks", ranks)
        self.register_buffer("degrees", degrees)
        inputs, units = ranks.shape[1], degrees.shape[1]
        self.first = nn.Linear(inputs, units)
        self.hidden = nn.ModuleList(nn.Linear(units, units) for _ in range(depth - 1))
        self.last = nn.Linear(units, inputs)
        self.direct = nn.Linear(inputs, inputs, bias=False)
        self.told = nn.Parameter(TOLD * torch.randn(condition, units * depth + inputs))
        self._split = [units] * depth + [inputs]
        # a direct path from pixel to pixel is a fine model of neighbours, but a poor start for all the others
        nn.init.zeros_(self.direct.weight)

    @torch.no_grad()
    def centre(self, output: Tensor) -> None:
        """Make (D,) what an untrained network gives on average: the last layer's bias."""
        self.last.bias.copy_(output)

    def condition_on(self, condition: Tensor) -> tuple[Tensor, ...]:
        """(B, W) -> what it adds to each layer: (B, U) for the hidden ones, then (B, D)."""
        return (condition @ self.told).split(self._split, dim=1)

    def forward(self, x: Tensor, condition: Tensor, mask: int = 0) -> Tensor:
        """(B, D), (B, W) -> (B, D) under the order and degrees of that mask."""
        rank, degree = self.ranks[mask], self.degrees[mask]
        told = self.condition_on(condition)
        within = degree[:, None] >= degree
        h = torch.relu(_masked(self.first, x, degree[:, None] >= rank) + told[0])  # (B, U)
        for layer, addition in zip(self.hidden, told[1:], strict=False):
            h = h + torch.relu(_masked(layer, h, within) + addition)
        output = _masked(self.last, h, rank[:, None] > degree) + told[-1]
        return output + _masked(self.direct, x, rank[:, None] > rank)  # (B, D)


def _masked(layer: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    assert isinstance(layer, nn.Linear)
    return F.linear(x, layer.weight * mask, layer.bias)


class Drawing:
    """The outputs of a MaskedMLP one by one in its order, each unit computed once, when its last input is known.

    A whole image then costs the products of one forward pass, where the plain way takes D passes.
    """

    def __init__(self, network: MaskedMLP, condition: Tensor, mask: int) -> None:
        """condition   (B, W)"""
        self.order = network.ranks[mask].argsort()  # (D,): the input of each rank
        units = network.degrees[mask].argsort(stable=True)  # (U,): hidden units by degree, so that slices suffice
        steps = torch.arange(len(self.order), device=units.device)
        self._known = torch.searchsorted(network.degrees[mask][units], steps, right=True).tolist()
        told = network.condition_on(condition)
        hidden = [layer for layer in network.hidden if isinstance(layer, nn.Linear)]
        self._first = network.first.weight[units][:, self.order]
        self._hidden = [layer.weight[units][:, units] for layer in hidden]
        self._bias = [layer.bias[units] + told[k][:, units] for k, layer in enumerate((network.first, *hidden))]
        self._last = network.last.weight[self.order][:, units]
        self._direct = network.direct.weight[self.order][:, self.order]
        self._start = (network.last.bias + told[-1])[:, self.order]  # (B, D)
        self._x = torch.zeros_like(self._start)
        self._h = [x.new_zeros(x.shape) for x in self._bias]  # each (B, U), units by degree

    def output(self, rank: int) -> Tensor:
        """(B,) the output of that rank, when the inputs before it have been told."""
        known = self._known[rank - 1] if rank else 0
        found = self._start[:, rank] + self._h[-1][:, :known] @ self._last[rank, :known]
        return found + self._x[:, :rank] @ self._direct[rank, :rank]

    def tell(self, rank: int, value: Tensor) -> None:
        """The input of that rank is (B,): the units of its degree can be computed."""
        self._x[:, rank] = value
        old, new = self._known[rank - 1] if rank else 0, self._known[rank]
        if new == old:
            return
        below = self._x[:, : rank + 1] @ self._first[old:new, : rank + 1].T + self._bias[0][:, old:new]
        self._h[0][:, old:new] = torch.relu(below)
        for k, weight in enumerate(self._hidden):
            before = self._h[k]
            after = torch.relu(before[:, :new] @ weight[old:new, :new].T + self._bias[k + 1][:, old:new])
            self._h[k + 1][:, old:new] = before[:, old:new] + after
