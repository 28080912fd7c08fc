"""Patches that belong together are alike, and unlike the others of their picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def patch_contrast(made: Tensor, source: Tensor, temperature: float) -> Tensor:
    """Scalar: the mean -log of the share that each made patch gives to the source's patch of its own place.

    made, source   (B, P, D) of unit length: P patches of a picture and of what was made of it, place by place
    ln P where all patches are alike. No gradient flows into `source`.
    Source: Park et al. 2020, arXiv 2007.15651, equation 4.
    """
    alike = made.float() @ source.detach().float().transpose(1, 2) / temperature  # (B, P, P)
    own = torch.arange(alike.shape[1], device=alike.device).expand(len(alike), -1)
    return functional.cross_entropy(alike.flatten(0, 1), own.flatten())
