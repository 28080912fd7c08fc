"""Gradient penalties against a linear critic, whose gradient is its weight everywhere."""

import pytest
import torch
from torch import nn

from limner.losses.penalties import clip_weights, input_gradient, one_centred, zero_centred

SHAPE = (2, 3, 4)


class LinearCritic(nn.Module):
    """image -> <weight, image>."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)))

    def forward(self, image):
        return (self.weight * image).sum(dim=(1, 2, 3))


@pytest.fixture
def critic():
    return LinearCritic()


@pytest.fixture
def image():
    return torch.randn(5, *SHAPE, requires_grad=True)


def test_the_gradient_of_a_linear_critic_is_its_weight(critic, image):
    torch.testing.assert_close(input_gradient(critic(image), image), critic.weight.expand(5, *SHAPE))


def test_r1_of_a_linear_critic_is_half_its_squared_norm(critic, image):
    assert zero_centred(critic(image), image).item() == pytest.approx(0.5 * critic.weight.norm().item() ** 2, rel=1e-5)


def test_the_one_centred_penalty_of_a_linear_critic(critic, image):
    share = torch.rand(5, 1, 1, 1)
    expected = (critic.weight.norm().item() - 1) ** 2
    assert one_centred(critic, image, -image, share).item() == pytest.approx(expected, rel=1e-5)


def test_penalties_train_the_critic(critic, image):
    """The gradient of 1/2 |w|^2 is w, and that of (|w| - 1)^2 is 2 (|w| - 1) w / |w|: a derivative of a derivative."""
    weight, norm = critic.weight, critic.weight.norm()
    (from_r1,) = torch.autograd.grad(zero_centred(critic(image), image), weight)
    torch.testing.assert_close(from_r1, weight.detach())
    (from_gp,) = torch.autograd.grad(one_centred(critic, image, -image, torch.rand(5, 1, 1, 1)), weight)
    torch.testing.assert_close(from_gp, (2 * (norm - 1) * weight / norm).detach())


def test_the_one_centred_penalty_looks_between_real_and_made_images(image):
    """With the critic |x|^2 / 2 the gradient at x is x itself."""
    real, fake, share = torch.ones_like(image), 3 * torch.ones_like(image), torch.full((5, 1, 1, 1), 0.25)
    between = torch.full(SHAPE, 2.5)  # a quarter of the real image, three of the made one
    penalty = one_centred(lambda mixed: 0.5 * mixed.square().sum(dim=(1, 2, 3)), real, fake, share)
    assert penalty.item() == pytest.approx((between.norm().item() - 1) ** 2, rel=1e-5)


def test_the_one_centred_penalty_has_a_finite_slope_at_a_flat_critic(image):
    weight = torch.zeros(SHAPE, requires_grad=True)
    penalty = one_centred(lambda mixed: (weight * mixed).sum(dim=(1, 2, 3)), image, -image, torch.rand(5, 1, 1, 1))
    assert torch.autograd.grad(penalty, weight)[0].isfinite().all()


def test_clipped_weights_stay_within_the_limit(critic):
    clip_weights(critic.parameters(), 0.01)
    assert critic.weight.abs().max().item() == pytest.approx(0.01)
