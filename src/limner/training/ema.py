"""Two exponential averages of the weights, a short and a long one, to choose from afterwards.

The right length is a first-order setting that nobody knows in advance (Karras et al. 2024, arXiv 2312.02696), and the
choice costs nothing once both are kept. Buffers (running statistics) are not averaged: they are copied as they stand.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NAMES = ("ema_short", "ema_long")
_EVERY = 32  # steps between updates: as smooth as at every step, where at every eighth it would cost 4 % of a small net
_DENSE = 64  # steps at the start that are all taken in, so that a short run has averages too


class Averages:
    """The averages of a model's parameters, in float32; parts that are frozen have none."""

    def __init__(self, model: nn.Module, *, halflife_images: tuple[int, int], batch: int) -> None:
        trained = [(name, each.detach()) for name, each in model.named_parameters() if each.requires_grad]
        self._names, self._parameters = [name for name, _ in trained], [each for _, each in trained]
        self._halflife, self._batch = halflife_images, batch
        self._averages = [[parameter.float().clone() for parameter in self._parameters] for _ in NAMES]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step` (from 0).

        A half-life is never longer than a tenth of the images seen, so that the random start is soon forgotten
        (Karras et al. 2022, arXiv 2206.00364, use 5 %).
        """
        if not self._parameters:  # a model that learns in closed form keeps all it knows in buffers
            return
        images = (step + 1) * self._batch
        for halflife, average in zip(self._halflife, self._averages, strict=True):
            every = self._every(step, halflife)
            if (step + 1) % every == 0:
                weight = 1 - 0.5 ** (every * self._batch / max(1.0, min(halflife, images / 10)))
                torch._foreach_lerp_(average, self._parameters, weight)

    def _every(self, step: int, halflife: int) -> int:
        """Steps between updates: a power of two, so that a change of it never skips a step's share.

        Never more than a half-life, beyond which an average would be little more than the newest weights.
        """
        wanted = 1 if step < _DENSE else max(1, min(_EVERY, halflife // self._batch))
        return 1 << (wanted.bit_length() - 1)

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
