"""What keeps a discriminator smooth: penalties on its gradient with respect to the image, and clipped weights.

The penalties are differentiated again by the optimiser's backward pass, so call them in float32, outside autocast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def input_gradient(logits: Tensor, image: Tensor) -> Tensor:
    """(B, C, H, W) gradient of each logit with respect to its image, itself differentiable; `image` requires grad."""
    (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return gradient


def zero_centred(logits: Tensor, image: Tensor) -> Tensor:
    """Half the mean squared norm of the gradient: R1 at real images, R2 at made ones.

    Source: Mescheder et al. 2018, arXiv 1801.04406, equations 9 and 10.
    """
    return 0.5 * input_gradient(logits, image).square().sum(dim=(1, 2, 3)).mean()


def one_centred(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Mean (gradient norm - 1)^2 at images between real and made ones.

    share   (B, 1, 1, 1) in [0, 1]: how much of the real image is in each mixture
    Source: Gulrajani et al. 2017, arXiv 1704.00028, algorithm 1.
    """
    mixed = (share * real + (1 - share) * fake).detach().requires_grad_()
    squared = input_gradient(critic(mixed), mixed).square().sum(dim=(1, 2, 3))  # (B,)
    return ((squared + 1e-12).sqrt() - 1).square().mean()  # 1e-12: the root has no slope at 0


@torch.no_grad()
def clip_weights(parameters: Iterable[nn.Parameter], limit: float) -> None:
    """Clip every weight to [-limit, limit], in place. Source: Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1."""
    for parameter in parameters:
        parameter.clamp_(-limit, limit)
