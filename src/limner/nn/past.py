"""Made pictures of earlier steps, which a discriminator is shown among new ones so that it does not forget them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..rng import Rng


class Past(nn.Module):
    """A store of made pictures, in buffers, so that checkpoints keep it.

    Each made picture draws a place of the store. An empty place takes it; a taken one is, half of the time, shown
    in its stead and takes it for later. Pictures are taken in the order of the batch, so a batch taken in parts is
    shown what the batch taken at once is. With no places nothing is stored or drawn.
    Source: Shrivastava et al. 2017, arXiv 1612.07828, section 2.3; Zhu et al. 2017, arXiv 1703.10593, section 4.
    """

    pictures: Tensor
    taken: Tensor

    def __init__(self, places: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.places = places
        self.register_buffer("pictures", torch.zeros(places, *shape))
        self.register_buffer("taken", torch.zeros(places, dtype=torch.bool))

    @torch.no_grad()
    def shown(self, made: Tensor, rng: Rng) -> Tensor:
        """(B, C, H, W) new pictures -> (B, C, H, W), some of them exchanged for stored ones; without gradient."""
        made = made.detach()
        if not (self.places and self.training):
            return made
        drawn, swapped = rng.integers(self.places), rng.uniform() < 0.5  # (B,), (B,)
        rows = []
        for picture, place, swap in zip(made.float().split(1), drawn.split(1), swapped.split(1), strict=True):
            old, taken = self.pictures[place], self.taken[place]
            rows.append(torch.where((taken & swap)[:, None, None, None], old, picture))
            self.pictures[place] = torch.where((~taken | swap)[:, None, None, None], picture, old)
            self.taken[place] = True
        return torch.cat(rows)
