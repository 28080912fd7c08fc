"""The network of a gated PixelCNN: two stacks of convolutions, of which one sees the rows above and one the row itself.

The vertical stack at row i sees all places above row i, those to the right too, so that there is no blind spot; the
horizontal stack sees besides the places to the left in its own row. A place is a pixel, or a square of pixels.
Source: van den Oord et al. 2016, Conditional image generation with PixelCNN decoders, arXiv 1606.05328, section 2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REACH = 3  # places that the first layer sees upwards and to either side
TOLD = 0.2  # standard deviation of what a class adds to a gate at first: enough to be heard


class GatedLayer(nn.Module):
    """One layer of both stacks; either adds to what it is given."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.vertical = nn.Conv2d(width, 2 * width, (2, 3))  # this row and the one above
        self.horizontal = nn.Conv2d(width, 2 * width, (1, 2))  # this place and the one to its left
        self.link = nn.Conv2d(width, 2 * width, 1, bias=False)  # from the vertical stack to the horizontal one
        self.out = nn.Conv2d(width, width, 1)
        self.told = nn.Parameter(TOLD * torch.randn(condition, 4 * width))

    def condition_on(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(B, W) -> what it adds to the gates of the vertical and of the horizontal stack, each (B, 2C, 1, 1)."""
        vertical, horizontal = (condition @ self.told)[:, :, None, None].chunk(2, dim=1)
        return vertical, horizontal

    def forward(self, above: Tensor, here: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The features of both stacks, each (B, C, h, w), and (B, W) -> the same, a layer on."""
        told = self.condition_on(condition)
        above = above + gate(self.vertical(F.pad(above, (1, 1, 1, 0))) + told[0])
        left = self.horizontal(F.pad(here, (1, 0, 0, 0)))
        return above, here + self.out(gate(left + self.link(above) + told[1]))


def gate(features: Tensor) -> Tensor:
    """(B, 2C, …) -> (B, C, …). Source: equation 2."""
    value, opening = features.chunk(2, dim=1)
    return torch.tanh(value) * torch.sigmoid(opening)


class GatedStacks(nn.Module):
    """(B, N, h, w) values of each place -> (B, C, h, w) features of each place that know the places before it.

    The place itself is told to the network by learned maps, for the subjects of most images lie in their middle.
    """

    def __init__(self, values: int, size: tuple[int, int], *, condition: int, width: int, depth: int) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.above = nn.Conv2d(values, width, (REACH, 2 * REACH + 1))
        self.left = nn.Conv2d(values, width, (1, REACH))
        self.place_above, self.place_here = (nn.Parameter(torch.zeros(1, width, *size)) for _ in range(2))
        self.layers = nn.ModuleList(GatedLayer(width, condition) for _ in range(depth))

    def forward(self, values: Tensor, condition: Tensor) -> Tensor:
        """(B, N, h, w) and (B, W) -> (B, C, h, w)."""
        # the last row and column are cut off: nothing below or to the right of them may see them
        above = self.above(F.pad(values[:, :, :-1], (REACH, REACH, REACH, 0))) + self.place_above
        here = self.left(F.pad(values[:, :, :, :-1], (REACH, 0, 0, 0))) + self.place_here
        for layer in self.layers:
            above, here = layer(above, here, condition)
        return here


class Reading:
    """The features of a GatedStacks place by place, nothing computed twice: one row, then its places, then the next.

    The vertical stack of a row needs the row above of each layer; the horizontal stack of a place that to its left.
    """

    def __init__(self, network: GatedStacks, condition: Tensor, values: Tensor) -> None:
        """condition (B, W); values (B, N, h, w), to be filled in as places become known."""
        self._network, self._layers = network, [layer for layer in network.layers if isinstance(layer, GatedLayer)]
        self._told = [layer.condition_on(condition) for layer in self._layers]
        self._values = F.pad(values, (REACH, REACH, REACH, 0))
        blank = values.new_zeros(len(values), network.width, 1, network.size[1])
        self._rows = [blank] * len(self._layers)  # the input of each layer's vertical stack, a row above
        self._weights = [layer.horizontal.weight.flatten(1, 2).flatten(1) for layer in self._layers]

    def tell(self, row: int, column: int, values: Tensor) -> None:
        """The place is (B, N)."""
        self._values[:, :, REACH + row, REACH + column] = values

    def row(self, row: int) -> None:
        """Begin this row: all rows above have been told."""
        network = self._network
        above = network.above(self._values[:, :, row : row + REACH]) + network.place_above[:, :, row : row + 1]
        self._links = []
        for k, (layer, told) in enumerate(zip(self._layers, self._told, strict=True)):
            both = torch.cat([self._rows[k], above], dim=2)  # (B, C, 2, w)
            self._rows[k] = above
            above = above + gate(layer.vertical(F.pad(both, (1, 1, 0, 0))) + told[0])
            bias = layer.horizontal.bias
            assert bias is not None
            self._links.append((layer.link(above) + told[1])[:, :, 0] + bias[:, None])  # (B, 2C, w)
        seen = self._values[:, :, REACH + row]  # (B, N, w + 2 REACH)
        self._seen, self._start = seen, network.place_here[:, :, row, :]
        self._left = [above.new_zeros(above.shape[:2]) for _ in self._layers]  # the input of each, a place to the left

    def features(self, column: int) -> Tensor:
        """(B, C) of this place of the row: those to its left have been told."""
        network = self._network
        seen = self._seen[:, :, column : column + REACH].flatten(1)  # (B, N REACH)
        here = F.linear(seen, network.left.weight.flatten(1), network.left.bias) + self._start[:, :, column]
        for k, layer in enumerate(self._layers):
            both = torch.stack([self._left[k], here], dim=2).flatten(1)  # (B, 2C): of each channel left, then here
            self._left[k] = here
            left = F.linear(both, self._weights[k]) + self._links[k][:, :, column]
            here = here + F.linear(gate(left), layer.out.weight.flatten(1), layer.out.bias)
        return here
