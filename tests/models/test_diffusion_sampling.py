"""Options of sampling from diffusion models that hold for all of them."""

import pytest
import torch
from properties import pictures, trained

from limner import models
from limner.rng import ImageRng
from limner.types import Condition


@pytest.mark.parametrize("name", ["flow", "dit", "flow-mlp", "latent-flow"])
def test_in_bf16_pictures_are_nearly_the_same_and_still_do_not_depend_on_others(name, digits):
    model = trained(name, digits)
    exact, half = (
        pictures(model, digits, range(8), options=model.Options(steps=4, precision=precision))
        for precision in ("fp32", "bf16")
    )
    assert 0 < (exact - half).abs().max() and (exact - half).abs().mean() < 0.02
    options = model.Options(steps=4, precision="bf16")
    assert torch.equal(pictures(model, digits, [5], options=options)[0], half[5])


def test_bf16_rounds_what_the_network_says_and_guidance_alike(digits):
    model = trained("flow", digits)
    condition, rng = Condition(label=torch.tensor([1, 2])), ImageRng(0, [0, 1])
    x, sigma = rng.normal(*digits.spec.shape), torch.full((2,), 0.7)
    for guidance in (1.0, 3.0):
        exact, half = (
            model.denoiser(condition, model.Options(guidance=guidance, precision=each), 2)(x, sigma)
            for each in ("fp32", "bf16")
        )
        assert half.dtype == torch.float32
        assert 0 < (exact - half).norm() / exact.norm() < 0.02


@pytest.mark.parametrize(
    ("name", "solver"), [("flow", "heun"), ("edm", "heun"), ("latent-flow", "ancestral"), ("text-flow", "ancestral")]
)
def test_models_in_latents_take_fresh_noise_at_each_step_and_those_in_pixels_none(name, solver):
    assert models.entry(name).load().Options().solver == solver


@pytest.mark.parametrize("name", ["flow", "latent-flow"])
def test_fresh_noise_is_that_of_the_image_and_not_of_its_batch(name, digits):
    model = trained(name, digits)
    options = model.Options(steps=3, solver="ancestral")
    together = pictures(model, digits, range(5), options=options)
    assert torch.equal(pictures(model, digits, [3], options=options)[0], together[3])
    still = pictures(model, digits, range(5), options=model.Options(steps=3, solver="ddim"))
    assert (together - still).abs().max() > 0.01
