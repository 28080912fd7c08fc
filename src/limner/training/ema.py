"""Two exponential averages of the weights, a short and a long one, to choose from afterwards.

The right length is a first-order setting that nobody knows in advance (Karras et al. 2024, arXiv 2312.02696), and the
choice costs nothing once both are kept. Buffers (running statistics) are not averaged: they are copied as they stand.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NAMES = ("ema_short", "ema_long")
_EVERY = 32  # steps between updates: as smooth as at every step, where at every eighth it would cost 4 % of a small net


class Averages:
    """The averages of a model's parameters, in float32; parts that are frozen have none."""

    def __init__(self, model: nn.Module, *, halflife_images: tuple[int, int], batch: int) -> None:
        trained = [(name, each.detach()) for name, each in model.named_parameters() if each.requires_grad]
        self._names, self._parameters = [name for name, _ in trained], [each for _, each in trained]
        self._halflife, self._batch = halflife_images, batch
        self._averages = [[parameter.float().clone() for parameter in self._parameters] for _ in NAMES]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step` (from 0), together with those of the steps that were passed over.

        A half-life is never longer than a tenth of the images seen, so that the random start is soon forgotten
        (Karras et al. 2022, arXiv 2206.00364, use 5 %).
        """
        if not self._parameters:  # a model that learns in closed form keeps all it knows in buffers
            return
        count = step + 1
        for halflife, average in zip(self._halflife, self._averages, strict=True):
            if self._due(count, halflife):
                torch._foreach_lerp_(average, self._parameters, self._weight(count, halflife))

    @torch.no_grad()
    def at(self, name: str, count: int) -> dict[str, Tensor]:
        """The average of that name after `count` steps, by parameter, with the steps since its last update taken in."""
        place = NAMES.index(name)
        halflife, average = self._halflife[place], self._averages[place]
        if count and self._parameters and not self._due(count, halflife):
            average = list(torch._foreach_lerp(average, self._parameters, self._weight(count, halflife)))
        return dict(zip(self._names, average, strict=True))

    def _weight(self, count: int, halflife: int) -> float:
        """What the newest weights count for after `count` steps: as much as all steps since the last update."""
        last = next((earlier for earlier in range(count - 1, 0, -1) if self._due(earlier, halflife)), 0)
        return 1 - 0.5 ** ((count - last) * self._batch / max(1.0, self._shortened(count, halflife)))

    def _due(self, count: int, halflife: int) -> bool:
        """Whether an update falls on the end of step number `count` (from 1).

        Never rarer than each half-life, beyond which an average would be little more than the newest weights.
        """
        every = max(1, min(_EVERY, int(self._shortened(count, halflife) // self._batch)))
        return count % every == 0

    def _shortened(self, count: int, halflife: int) -> float:
        return min(halflife, count * self._batch / 10)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Average name -> parameter name -> tensor."""
        return {
            name: dict(zip(self._names, average, strict=True))
            for name, average in zip(NAMES, self._averages, strict=True)
        }

    @torch.no_grad()
    def load(self, tensors: dict[str, dict[str, Tensor]]) -> None:
        """Put back what `tensors` gave."""
        for name, average in zip(NAMES, self._averages, strict=True):
            for parameter_name, tensor in zip(self._names, average, strict=True):
                tensor.copy_(tensors[name][parameter_name])
