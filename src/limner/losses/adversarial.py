"""What generator and discriminator minimise: functions of the logits of real and made images, nothing else.

Each takes (B,) logits and gives a scalar. `generator` losses that do not compare with real images ignore them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn.functional import relu, softplus

ObjectiveName = Literal["non_saturating", "saturating", "least_squares", "wasserstein", "hinge", "relativistic"]
LogitLoss = Callable[[Tensor, Tensor], Tensor]  # (real logits, fake logits) -> scalar


@dataclass(frozen=True)
class Objective:
    """One adversarial game.

    compares   whether the generator's loss looks at the real logits too
    """

    discriminator: LogitLoss
    generator: LogitLoss
    compares: bool = False


def logistic(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(real) - log(1 - D(fake)), with D the sigmoid of the logit; 2 ln 2 at zero logits.

    Source: Goodfellow et al. 2014, arXiv 1406.2661, algorithm 1.
    """
    return softplus(-real).mean() + softplus(fake).mean()


def non_saturating(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(fake): the generator's loss with strong gradients where it is worst; Goodfellow et al. 2014, section 3."""
    return softplus(-fake).mean()


def saturating(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 - D(fake)): the minimax game as it is written, whose gradient vanishes where the discriminator is sure."""
    return -softplus(fake).mean()


def least_squares(real: Tensor, fake: Tensor) -> Tensor:
    """Real logits towards 1, made ones towards 0. Source: Mao et al. 2017, arXiv 1611.04076, equation 9."""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Made logits towards 1."""
    return 0.5 * (fake - 1).square().mean()


def wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """Minus the critic's estimate of the distance. Source: Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1."""
    return fake.mean() - real.mean()


def minus_mean(real: Tensor, fake: Tensor) -> Tensor:
    """Made logits up, without end."""
    return -fake.mean()


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Margins of 1 on both sides. Source: Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def relativistic(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigmoid(real - fake), pair by pair: real more real than made; ln 2 at equal logits.

    Source: Jolicoeur-Martineau 2018, arXiv 1807.00734; as in Huang et al. 2024, arXiv 2501.05441, equation 2.
    """
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The mirror image: made more real than real."""
    return softplus(real - fake).mean()


OBJECTIVES: dict[ObjectiveName, Objective] = {
    "non_saturating": Objective(logistic, non_saturating),
    "saturating": Objective(logistic, saturating),
    "least_squares": Objective(least_squares, least_squares_generator),
    "wasserstein": Objective(wasserstein, minus_mean),
    "hinge": Objective(hinge, minus_mean),
    "relativistic": Objective(relativistic, relativistic_generator, compares=True),
}


def accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """Share of pairs in which the real image has the higher logit: 0.5 by chance, 1 when the discriminator is sure."""
    return (real > fake).float().mean()
