import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from limner.losses.likelihood import (
    bernoulli_log_prob,
    binarize,
    bits_per_dim,
    gaussian_log_prob,
    logistic_log_prob,
)

LEVELS = torch.linspace(-1, 1, 256)


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_gaussian_log_prob_is_the_sum_over_pixels():
    image, mean, std = images(3, 2, 4, 4), images(3, 2, 4, 4) / 2, torch.tensor([0.3, 2.0]).view(2, 1, 1)
    expected = Normal(mean, std).log_prob(image).sum((1, 2, 3))
    torch.testing.assert_close(gaussian_log_prob(image, mean, std), expected)


def test_bernoulli_log_prob_is_the_sum_over_pixels():
    image, logits = images(3, 1, 4, 4).sign(), 5 * images(3, 1, 4, 4)
    expected = Bernoulli(logits=logits).log_prob((image + 1) / 2).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli_log_prob(image, logits), expected)


@pytest.mark.parametrize("mean", [-1.3, -1.0, 0.1, 0.97, 2.0])
@pytest.mark.parametrize("log_scale", [-6.0, -3.0, 0.0, 2.0])
def test_the_256_logistic_bins_sum_to_1(mean, log_scale):
    image = LEVELS.view(256, 1, 1, 1)
    log_probs = logistic_log_prob(image, torch.full_like(image, mean), torch.tensor(log_scale))
    assert float(log_probs.double().exp().sum()) == pytest.approx(1, abs=1e-4)


def test_logistic_bins_hold_the_difference_of_the_distribution_function():
    image, mean, scale = LEVELS[1:-1].view(-1, 1, 1, 1).double(), 0.2, 0.1
    edges = torch.sigmoid((image + 1 / 255 - mean) / scale) - torch.sigmoid((image - 1 / 255 - mean) / scale)
    found = logistic_log_prob(image.float(), torch.full_like(image, mean).float(), torch.tensor(math.log(scale)))
    torch.testing.assert_close(found.double(), edges.log().flatten(), atol=1e-4, rtol=0)


def test_a_logistic_bin_far_from_the_mean_keeps_a_finite_slope():
    """The difference of two sigmoids is 0 in float32 out there, and its logarithm would be minus infinity."""
    mean = torch.full((1, 1, 1, 1), -1.0, requires_grad=True)
    log_prob = logistic_log_prob(torch.full((1, 1, 1, 1), LEVELS[200].item()), mean, torch.tensor(-6.0))
    log_prob.sum().backward()
    assert -1000 < log_prob.item() < -300 and mean.grad.item() == pytest.approx(math.exp(6), rel=1e-3)


@pytest.mark.parametrize(
    "log_prob",
    [
        lambda image, output: gaussian_log_prob(image, output, torch.tensor(0.1)),
        bernoulli_log_prob,
        lambda image, output: logistic_log_prob(image, output, torch.tensor(-3.0)),
    ],
)
def test_a_decoder_in_bfloat16_is_judged_in_float32(log_prob):
    image, output = images(2, 1, 32, 32), images(2, 1, 32, 32).bfloat16()
    found = log_prob(image, output)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, log_prob(image, output.float()))


def test_binarized_pixels_are_white_as_often_as_they_are_bright():
    image = torch.tensor([-1.0, -0.5, 0.0, 0.6, 1.0]).expand(20_000, 5)
    drawn = binarize(image, torch.rand(image.shape, generator=torch.Generator().manual_seed(1)))
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), image[0], atol=0.03, rtol=0)
    assert (drawn[:, 0] == -1).all() and (drawn[:, 4] == 1).all()


def test_a_fair_coin_for_each_pixel_is_one_bit_per_dim():
    log_likelihood = bernoulli_log_prob(images(2, 3, 4, 4).sign(), torch.zeros(2, 3, 4, 4))
    torch.testing.assert_close(bits_per_dim(log_likelihood, 48), torch.ones(2))
