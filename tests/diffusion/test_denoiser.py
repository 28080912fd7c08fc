"""Preconditioners, losses, guidance, levels and likelihoods against what algebra says of them."""

import math

import pytest
import torch
from gaussian import STD, exact

from limner.diffusion import levels, paths
from limner.diffusion.denoiser import denoiser, prediction_loss, scales
from limner.diffusion.guidance import guided
from limner.diffusion.likelihood import log_density
from limner.errors import ConfigError
from limner.rng import ImageRng, StepRng

NAMES = ["edm", "noise", "velocity", "image"]
SIGMA = torch.tensor([0.01, 0.3, 1.0, 20.0])


def draws(rows=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, 2, 3, 3, generator=rng) for _ in range(2))


def nothing(x, level):
    return torch.zeros_like(x)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_predicts_perfectly_denoises_perfectly_and_costs_nothing(name):
    image, noise = draws()
    x = image + SIGMA.view(-1, 1, 1, 1) * noise

    def perfect(scaled, level):
        at = scales(name, SIGMA)
        return (image - at.skip.view(-1, 1, 1, 1) * x) / at.out.view(-1, 1, 1, 1)

    assert torch.allclose(denoiser(perfect, name)(x, SIGMA), image, atol=1e-4)
    assert prediction_loss(perfect, name, image, noise, SIGMA).max() < 1e-4


@pytest.mark.parametrize("name", ["edm", "noise", "velocity"])
def test_the_loss_is_the_denoising_error_in_units_of_what_the_network_gives(name):
    image, noise = draws()

    def network(x, level):
        return torch.sin(3 * x) + level.view(-1, 1, 1, 1)

    x = image + SIGMA.view(-1, 1, 1, 1) * noise
    seen = denoiser(network, name)(x, SIGMA)
    out = scales(name, SIGMA).out
    wanted = (seen - image).square().flatten(1).mean(1) / out.square()
    assert torch.allclose(prediction_loss(network, name, image, noise, SIGMA), wanted, rtol=2e-3)


def test_edm_starts_at_a_loss_of_one_per_pixel():
    """With a network of zeros, for images of deviation sigma_data: what tells a wrong scale at once."""
    rng = torch.Generator().manual_seed(0)
    image, noise = STD * torch.randn(4_000, 1, 4, 4, generator=rng), torch.randn(4_000, 1, 4, 4, generator=rng)
    sigma = torch.exp(-1.2 + 1.2 * torch.randn(4_000, generator=rng))
    assert float(prediction_loss(nothing, "edm", image, noise, sigma, STD).mean()) == pytest.approx(1, abs=0.02)
    # flow matching starts at the variance of noise and image together
    assert float(prediction_loss(nothing, "velocity", image, noise, sigma).mean()) == pytest.approx(
        1 + STD**2, abs=0.02
    )


def test_edm_inputs_have_unit_variance_at_every_level():
    rng = torch.Generator().manual_seed(0)
    for sigma in (0.01, 0.5, 80.0):
        x = STD * torch.randn(20_000, generator=rng) + sigma * torch.randn(20_000, generator=rng)
        at = scales("edm", torch.tensor([sigma]), STD)
        assert float((x * at.into).std()) == pytest.approx(1, abs=0.02)


def test_an_unknown_preconditioner_is_refused():
    with pytest.raises(ConfigError, match="velocity"):
        scales("velosity", SIGMA)


# --- guidance -----------------------------------------------------------------------------------------------------


def test_guidance_of_weight_one_is_none_and_asks_no_second_time():
    def never(x, sigma):
        raise AssertionError("the other denoiser was asked")

    x, _ = draws()
    assert torch.equal(guided(exact, never, 1.0)(x, SIGMA), exact(x, SIGMA))


def test_guidance_goes_beyond_what_was_asked_for_and_only_within_its_interval():
    x, _ = draws()
    seen = guided(exact, lambda x, sigma: torch.zeros_like(x), 3.0, interval=(0.1, 5.0))(x, SIGMA)
    weight = torch.tensor([1.0, 3.0, 3.0, 1.0]).view(-1, 1, 1, 1)
    assert torch.allclose(seen, weight * exact(x, SIGMA))


# --- levels -------------------------------------------------------------------------------------------------------


def test_levels_are_drawn_from_the_distribution_that_was_asked_for():
    rng = StepRng(0, 0, start=0, stop=20_000, total=20_000)
    linear = paths.path("linear")
    log = levels.draw("lognormal", rng, linear, -1.2, 1.2).log()
    assert (float(log.mean()), float(log.std())) == (pytest.approx(-1.2, abs=0.04), pytest.approx(1.2, abs=0.04))
    time = linear.time_of(levels.draw("uniform", rng, linear, 0, 1))
    assert (float(time.mean()), float(time.std())) == (pytest.approx(0.5, abs=0.01), pytest.approx(12**-0.5, abs=0.01))
    logit = torch.logit(linear.time_of(levels.draw("logit_normal", rng, linear, 0.5, 0.8)))
    assert (float(logit.mean()), float(logit.std())) == (pytest.approx(0.5, abs=0.03), pytest.approx(0.8, abs=0.03))


# --- likelihood ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["edm", "linear", "cosine"])
def test_the_flow_of_a_gaussian_gives_its_density(name):
    """The divergence of a linear flow is the same for every probe, so the estimate is exact but for the solver."""
    image = STD * torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    probe = 2.0 * ImageRng(0, range(3)).integers(2, 1, 2, 2).float() - 1
    found = log_density(exact, image, paths.path(name), probe, sigma_max=200.0, tolerance=1e-6)
    wanted = (-0.5 * (image / STD).square() - math.log(STD) - 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)
    assert torch.allclose(found, wanted.double(), atol=5e-3)
