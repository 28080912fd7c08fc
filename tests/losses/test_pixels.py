"""Likelihoods of single pixels: probabilities of all levels add up to one, and draws are as frequent as they say."""

import pytest
import torch

from limner.losses.likelihood import bernoulli_log_prob, logistic_log_prob
from limner.losses.pixels import BernoulliPixel, LogisticMixturePixel, rounded

LEVELS = torch.arange(256) / 127.5 - 1


def parameters(likelihood, rows=1, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, likelihood.parameters, generator=random)


@pytest.mark.parametrize("components", [1, 3])
def test_the_levels_of_a_grey_pixel_add_up_to_one(components):
    likelihood = LogisticMixturePixel(1, components)
    total = likelihood.log_prob(LEVELS[:, None], parameters(likelihood)).double().exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-5)


def test_all_colours_of_two_channels_add_up_to_one():
    """So the second channel may look at the first, and the first not at the second."""
    likelihood = LogisticMixturePixel(2, 2)
    colours = torch.cartesian_prod(LEVELS, LEVELS)
    total = likelihood.log_prob(colours, parameters(likelihood)).double().exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-5)


def test_one_component_is_the_discretised_logistic():
    likelihood = LogisticMixturePixel(1, 1)
    found = likelihood.log_prob(LEVELS[:, None], torch.tensor([[0.7, 0.2, -1.5]]))
    mean, log_scale = torch.full((256, 1, 1, 1), 0.2), torch.tensor(-1.5)
    torch.testing.assert_close(found, logistic_log_prob(LEVELS.view(-1, 1, 1, 1), mean, log_scale))


def test_a_channel_moves_with_those_before_it():
    """Two perfectly tied channels: slope tanh(9) and a narrow scale make the second follow the first."""
    likelihood = LogisticMixturePixel(3, 1)
    tied = torch.tensor([[0.0, 0, 0, 0, -1.0, -6, -6, 9.0, 0.0, 9.0]])  # weight, means, log scales, slopes 21, 31, 32
    drawn = likelihood.draw(tied.repeat(200, 1), torch.rand(200, 4), 1.0)
    assert drawn[:, 0].std() > 0.3
    assert (drawn[:, 0] - drawn[:, 1]).abs().max() < 0.06 and (drawn[:, 1] - drawn[:, 2]).abs().max() < 0.06
    follows, strays = (likelihood.log_prob(torch.tensor([[0.5, x, x]]), tied) for x in (0.5, 0.4))
    assert follows > strays + 10


@pytest.mark.parametrize("channels", [1, 2])
def test_colours_are_drawn_as_often_as_their_probability_says(channels):
    likelihood, count = LogisticMixturePixel(channels, 3), 40_000
    chosen = parameters(likelihood, seed=channels)
    random = torch.Generator().manual_seed(0)
    drawn = likelihood.draw(chosen.repeat(count, 1), torch.rand(count, likelihood.draws, generator=random), 1.0)
    colours = torch.cartesian_prod(*[LEVELS] * channels).view(-1, channels)
    probability = likelihood.log_prob(colours, chosen).exp()
    for channel in range(channels):
        shares = [(drawn[:, channel] < edge).float().mean() for edge in (-0.9, -0.3, 0.0, 0.3, 0.9)]
        expected = [probability[colours[:, channel] < edge].sum() for edge in (-0.9, -0.3, 0.0, 0.3, 0.9)]
        torch.testing.assert_close(torch.stack(shares), torch.stack(expected), atol=0.012, rtol=0)
    correlated = (drawn[:, 0] * drawn[:, -1]).mean()
    expected = (probability * colours[:, 0] * colours[:, -1]).sum()
    torch.testing.assert_close(correlated, expected, atol=0.02, rtol=0)


def test_a_draw_is_one_of_256_levels():
    assert set(((rounded(torch.linspace(-2, 2, 999)) + 1) * 127.5).round().tolist()) == set(map(float, range(256)))


def test_a_logistic_mixture_starts_spread_over_all_levels():
    likelihood = LogisticMixturePixel(1, 10)
    found = likelihood.log_prob(LEVELS[:, None], likelihood.first(torch.zeros(1))[None])
    assert found[1:-1].max() < found[1:-1].min() + 0.4 and found.max() < -2


def test_a_black_and_white_pixel_is_a_bernoulli():
    logit, pixel = torch.randn(5, 1), torch.tensor([-1.0, 1, -1, 1, 0.4])[:, None]
    found = BernoulliPixel().log_prob(pixel, logit)
    torch.testing.assert_close(found, bernoulli_log_prob(pixel.view(5, 1, 1, 1), logit.view(5, 1, 1, 1)))
    drawn = BernoulliPixel().draw(torch.full((9_000, 1), 0.5), torch.rand(9_000, 1), 1.0)
    assert float(drawn.mean()) == pytest.approx(float(torch.tensor(0.25).tanh()), abs=0.05)
    assert float(BernoulliPixel().first(torch.tensor([0.5])).sigmoid()) == pytest.approx(0.75)
