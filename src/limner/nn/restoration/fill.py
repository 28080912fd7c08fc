"""A smooth filling of holes from what surrounds them, as a few layers: where an inpainting network starts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_EMPTY = 1e-6


class Fill(nn.Module):
    """(B, C, h, w) and where it is known (B, 1, h, w) -> the same with its holes filled, what is known left alone.

    Averages of what is known at half, a quarter … of the size, each level filled from the coarser one and then
    smoothed: nearly the solution of Laplace's equation, without looking further than `reach`. What nothing known lies
    within reach of becomes 0. Cut a picture at multiples of `multiple` alone, where its parts are to agree.
    Source of the form: Gortler et al. 1996, The Lumigraph, section 3.4 (pull-push); the smoothing is Jacobi's.
    """

    cross: Tensor  # (1, 1, 3, 3)

    def __init__(self, levels: int = 4, *, rounds: int = 3, coarse_rounds: int = 6) -> None:
        super().__init__()
        self.levels, self.rounds, self.coarse_rounds = levels, rounds, coarse_rounds
        self.multiple = 2**levels
        self.reach = self.multiple * (coarse_rounds + 1) + sum((rounds + 2) * 2**level for level in range(levels))
        cross = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        self.register_buffer("cross", cross[None, None], persistent=False)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        height, width = image.shape[2:]
        more = (0, -width % self.multiple, 0, -height % self.multiple)
        if any(more):  # nothing is known beyond the edge
            image, known = (functional.pad(each, more) for each in (image, known))
        values, weights = [image * known], [known]
        for _ in range(self.levels):
            share = functional.avg_pool2d(weights[-1], 2)
            mean = functional.avg_pool2d(values[-1] * weights[-1], 2) / share.clamp(min=_EMPTY)
            values.append(mean)
            weights.append((share > _EMPTY).to(known.dtype))
        filled = self._spread(values[-1], weights[-1])
        for value, weight in zip(reversed(values[:-1]), reversed(weights[:-1]), strict=True):
            larger = functional.interpolate(filled, scale_factor=2.0, mode="bilinear", align_corners=False)
            filled = self._smoothed(torch.where(weight > 0, value, larger), weight, self.rounds)
        return filled[:, :, :height, :width]

    def _spread(self, value: Tensor, known: Tensor) -> Tensor:
        """The coarsest level, filled ring by ring from what is known beside each place."""
        fixed, filled, present = known, value * known, known
        for _ in range(self.coarse_rounds):
            count = self._beside(present)
            mean = self._beside(filled * present) / count.clamp(min=1)
            filled = torch.where(fixed > 0, value, mean)
            present = torch.maximum(present, (count > 0).to(known.dtype))
        return filled

    def _smoothed(self, image: Tensor, known: Tensor, rounds: int) -> Tensor:
        present = torch.ones_like(known)
        count = self._beside(present)
        for _ in range(rounds):
            image = torch.where(known > 0, image, self._beside(image) / count)
        return image

    def _beside(self, image: Tensor) -> Tensor:
        """The sum of the four neighbours of each place, none beyond the edge."""
        batch, channels, height, width = image.shape
        planes = image.reshape(batch * channels, 1, height, width)
        return functional.conv2d(planes, self.cross.to(image.dtype), padding=1).reshape(image.shape)
