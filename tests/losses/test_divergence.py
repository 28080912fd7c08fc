import pytest
import torch
from torch.distributions import Normal, kl_divergence

from limner.losses.divergence import capacity_cost, cyclical, free_bits, gaussian_kl, tamed, warmup


def test_gaussian_kl_is_the_closed_form_and_the_mean_of_log_ratios():
    mean, log_variance = torch.tensor([0.7, 0.0, -2.0]), torch.tensor([-1.0, 0.0, 0.5])
    posterior, prior = Normal(mean, torch.exp(0.5 * log_variance)), Normal(0.0, 1.0)
    found = gaussian_kl(mean, log_variance)
    torch.testing.assert_close(found, kl_divergence(posterior, prior))
    torch.manual_seed(0)
    latent = posterior.sample((200_000,))
    sampled = (posterior.log_prob(latent) - prior.log_prob(latent)).mean(0)
    torch.testing.assert_close(found, sampled, atol=0.02, rtol=0)


def test_a_log_variance_is_left_alone_up_to_four_and_tamed_beyond():
    ordinary = torch.linspace(-30, 4, 100).reshape(10, 10)
    assert tamed(ordinary) is ordinary
    mixed = torch.tensor([-3.0, 3.9999, 4.0, 4.0 + 1e-6, 25.0, 1e4], requires_grad=True)
    found = tamed(mixed)
    assert torch.equal(found[:3], mixed[:3])
    torch.testing.assert_close(found[3:].exp(), torch.e**4 * (mixed[3:] - 3))  # grows in proportion, from e^4 at 4
    slopes = torch.autograd.grad(found.exp().sum(), mixed)[0]
    torch.testing.assert_close(slopes[3:], torch.full((3,), torch.e**4))  # as steep as at 4, and never flat
    assert tamed(torch.tensor([torch.nan])).isnan()


def test_free_bits_cost_the_floor_and_press_no_dimension_that_is_under_it():
    kl = torch.tensor([[0.1, 3.0], [0.2, 5.0]], requires_grad=True)
    cost = free_bits(kl, 0.5)
    cost.backward()
    assert cost.item() == pytest.approx(0.5 + 4.0)
    assert kl.grad.tolist() == [[0.0, 0.5], [0.0, 0.5]]


@pytest.mark.parametrize(("target", "cost"), [(5.0, 0.0), (2.0, 3.0), (9.0, 4.0)])
def test_capacity_costs_each_nat_off_the_target(target, cost):
    assert capacity_cost(torch.tensor([[1.0, 3.0], [2.0, 4.0]]), target).item() == pytest.approx(cost)


@pytest.mark.parametrize(("images", "weight"), [(0, 0.0), (25, 0.25), (100, 1.0), (10**9, 1.0)])
def test_warmup_rises_once(images, weight):
    assert warmup(images, 100) == weight


@pytest.mark.parametrize(
    ("images", "weight"), [(0, 0.0), (50, 0.5), (100, 1.0), (199, 1.0), (200, 0.0), (250, 0.5), (599, 1.0), (650, 1.0)]
)
def test_cyclical_rises_and_rests_in_each_cycle(images, weight):
    assert cyclical(images, 100, cycles=3) == weight


def test_schedules_of_no_length_are_constant():
    assert warmup(0, 0) == cyclical(0, 0, cycles=4) == 1.0
