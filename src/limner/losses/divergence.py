"""The Kullback-Leibler term of a variational autoencoder, and how its weight changes while training goes on.

Schedules are functions of the images seen, never of a share of the budget: a longer run repeats a shorter one.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WIDE = 4.0  # log variance: a posterior seven times as wide as the prior, which only a network gone astray asks for


def tamed(log_variance: Tensor) -> Tensor:
    """The log variance to take for what a network says; the shape is kept.

    As it stands up to 4, and beyond that a variance that grows in proportion, not exponentially. An image that a
    network has not met may make it say 25, and the gradient of a KL of 10^10 nats ends a run that did well.
    """
    if (log_variance <= _WIDE).all():  # as good as always, and much cheaper to ask than to do for nothing
        return log_variance
    beyond = (log_variance - _WIDE).clamp(min=0)
    return torch.where(beyond > 0, _WIDE + beyond.log1p(), log_variance)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL[N(mean, variance) || N(0, 1)] of each dimension in nats, in closed form; the shape is kept.

    Source: Kingma & Welling 2013, arXiv 1312.6114, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def free_bits(kl: Tensor, floor: float) -> Tensor:
    """Scalar: the batch's mean KL summed over dimensions, none of them counted below `floor` nats.

    kl (B, D) is per image and dimension. A dimension under the floor costs the same whatever it holds, so it is not
    pressed to zero. The floor acts on the mean over the batch at hand, so a batch taken in parts may differ a little.
    Source: Kingma et al. 2016, arXiv 1606.04934, equation 15, with one group per dimension.
    """
    return kl.mean(0).clamp(min=floor).sum()


def capacity_cost(kl: Tensor, target: float) -> Tensor:
    """Scalar: how far the batch's mean KL (B, D), summed over dimensions, is from `target` nats.

    Source: Burgess et al. 2018, arXiv 1804.03599, equation 2, without its factor gamma.
    """
    return (kl.sum(1).mean() - target).abs()


def warmup(images: int, length: int) -> float:
    """0 rising linearly to 1 over the first `length` images, then 1."""
    return min(1.0, images / length) if length else 1.0


def cyclical(images: int, length: int, cycles: int) -> float:
    """`cycles` times: 0 rising to 1 over `length` images, then 1 for as many; 1 ever after.

    Source: Fu et al. 2019, arXiv 1903.10145, with half of each cycle rising.
    """
    if not length or images >= 2 * length * cycles:
        return 1.0
    return warmup(images % (2 * length), length)
