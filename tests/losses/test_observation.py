import pytest
import torch

from limner.losses.likelihood import ROUNDING_STD, gaussian_log_prob
from limner.losses.observation import OptimalGaussian, observation


def noisy(std, count=64):
    """An image batch and a mean that is off by `std`."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.rand(count, 1, 8, 8, generator=generator) - 0.5
    return mean + std * torch.randn(mean.shape, generator=generator), mean


@pytest.mark.parametrize("name", ["gaussian", "logistic"])
def test_the_spread_of_pixels_is_learned(name):
    image, mean = noisy(0.1)
    model = observation(name, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(120):
        optimizer.zero_grad()
        (-model.log_prob(image, mean).mean() / 64).backward()
        optimizer.step()
    learned = next(iter(model.terms().values())).item()
    assert learned == pytest.approx(0.1 if name == "gaussian" else 0.1 * 3**0.5 / torch.pi, rel=0.08)


def test_the_optimal_gaussian_beats_every_other_deviation():
    image, mean = noisy(0.1)
    best = OptimalGaussian().log_prob(image, mean).mean()
    for std in (0.05, 0.09, 0.11, 0.2):
        assert gaussian_log_prob(image, mean, torch.tensor(std)).mean() < best


def test_the_optimal_gaussian_keeps_its_value_for_eval_mode_once_steps_are_taken():
    model, (image, mean) = OptimalGaussian(), noisy(0.1)
    before = model.variance.clone()
    model.log_prob(image, mean)
    assert torch.equal(model.variance, before)  # a step that is not taken leaves no trace
    for _ in range(2000):
        model.log_prob(image, mean)
        model.after_step()
    in_training = model.log_prob(image, mean)
    torch.testing.assert_close(model.eval().log_prob(image, mean), in_training, atol=1e-3, rtol=0)
    assert model.variance < 0.2 * before


@pytest.mark.parametrize("name", ["gaussian", "optimal_gaussian", "logistic"])
def test_a_perfect_decoder_has_a_finite_likelihood(name):
    """Flat images can be decoded exactly; a free deviation would then go to 0 and the density to infinity."""
    model, flat = observation(name, 1), torch.zeros(2, 1, 8, 8)
    for parameter in model.parameters():
        parameter.data.fill_(-1e4)
    assert torch.isfinite(model.log_prob(flat, flat)).all()
    if name != "logistic":
        assert model.terms()["sigma"].item() == pytest.approx(ROUNDING_STD, rel=1e-3)


@pytest.mark.parametrize("name", ["gaussian", "optimal_gaussian", "bernoulli", "logistic"])
def test_the_picture_lies_in_the_range_and_grows_with_the_output(name):
    output = torch.linspace(-9, 9, 50).view(1, 1, 5, 10).bfloat16()
    picture = observation(name, 1).mean(output)
    assert picture.dtype == torch.float32 and picture.min() >= -1 and picture.max() <= 1
    assert (picture.flatten().diff() >= 0).all() and picture.flatten()[-1] > 0.99


@pytest.mark.parametrize("name", ["gaussian", "optimal_gaussian", "bernoulli", "logistic"])
@pytest.mark.parametrize("side", [7, 8, 12])
def test_k_outputs_of_an_image_score_as_k_copies_of_it(name, side):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 1, side, side, generator=generator) * 2 - 1
    output = 6 * torch.randn(3, 5, 1, side, side, generator=generator)
    model = observation(name, 1).eval()
    expected = torch.stack([model.log_prob(image, output[:, k]) for k in range(5)], 1)
    torch.testing.assert_close(model.log_probs(image, output), expected, rtol=1e-6, atol=0)
    with torch.no_grad():  # the form that scoring uses
        torch.testing.assert_close(model.log_probs(image, output), expected, rtol=2e-6, atol=1e-4)
