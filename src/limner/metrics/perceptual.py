"""A perceptual distance of pairs of images, computed on the maps of features that a frozen network makes of both.

It has the form of LPIPS without its learned weights, and on another network it is another measure: its name must say
which, and is never LPIPS. It knows no network; the maps are given.
Source of the form: Zhang et al. 2018, The unreasonable effectiveness of deep features as a perceptual metric, arXiv
1801.03924, equation 1 with all weights 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, DataError

_TINY = 1e-10  # added to the length of a feature vector: one of zeros stays one of zeros


def perceptual_distance(maps: Sequence[Tensor], others: Sequence[Tensor]) -> np.ndarray:
    """(B,) float64, the sum over layers of the mean over places of |u - v|², u and v the unit feature vectors there.

    maps, others   one (B, c, h, w) a layer, of the images on either side, in the same order

    0 for equal maps. A layer adds at most 4, and at most 2 where features are never negative. Raises ConfigError for
    unlike shapes, DataError for features that are not finite.
    """
    if len(maps) != len(others) or not maps:
        raise ConfigError(f"{len(maps)} and {len(others)} layers make no pairs; give as many of one as of the other")
    return torch.stack([_layer(a, b) for a, b in zip(maps, others, strict=True)]).sum(0).numpy()


def _layer(a: Tensor, b: Tensor) -> Tensor:
    """(B, c, h, w) twice -> (B,) float64, one image at a time: a layer in float64 may be large."""
    if a.shape != b.shape or a.ndim != 4 or 0 in a.shape:
        raise ConfigError(f"maps of shapes {tuple(a.shape)} and {tuple(b.shape)} make no pairs; use (B, c, h, w)")
    distances = torch.stack([(_unit(u) - _unit(v)).square().sum(0).mean() for u, v in zip(a, b, strict=True)])
    if not torch.isfinite(distances).all():
        raise DataError(f"maps of {int((~torch.isfinite(distances)).sum())} pairs hold features that are not finite")
    return distances


def _unit(features: Tensor) -> Tensor:
    """(c, h, w) -> the same vectors along c at length 1."""
    features = features.detach().cpu().double()
    return features / (torch.linalg.vector_norm(features, dim=0, keepdim=True) + _TINY)
