import copy
from itertools import pairwise

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from limner.errors import ConfigError, NotAble
from limner.nn.density import LatentDensity
from limner.rng import ImageRng

WEIGHTS = torch.tensor([0.5, 0.3, 0.2])
MEANS = torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 8.0]])
FACTORS = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.0], [0.0, 2.0]], [[1.0, 0.0], [-0.8, 0.6]]])
PLANTED = MixtureSameFamily(Categorical(WEIGHTS), MultivariateNormal(MEANS, scale_tril=FACTORS))


def planted(count=3000):
    torch.manual_seed(0)
    return PLANTED.sample((count,))


def fitted(components=3, seed=0):
    density = LatentDensity(2, components)
    density.fit(planted(), seed)
    return density


@pytest.mark.parametrize("shape", [(1.0, 1.0), (1.0, 1e-3)])
def test_the_likelihood_never_falls_from_round_to_round(shape):
    """Also for latents on a line, where the floor under the variances takes part."""
    for seed in range(5):
        history = LatentDensity(2, 5).fit(planted(1000) * torch.tensor(shape), seed)
        assert len(history) > 1 and all(later >= earlier for earlier, later in pairwise(history))


def test_a_planted_mixture_is_found():
    density = fitted()
    order = [int((density.means - mean).norm(dim=1).argmin()) for mean in MEANS]
    torch.testing.assert_close(density.weights[order], WEIGHTS, atol=0.03, rtol=0)
    torch.testing.assert_close(density.means[order], MEANS, atol=0.15, rtol=0)
    torch.testing.assert_close(density.factors[order], FACTORS, atol=0.15, rtol=0)


def test_log_prob_is_that_of_a_gaussian_mixture():
    density, points = fitted(), planted(50)
    components = MultivariateNormal(density.means, scale_tril=density.factors)
    expected = MixtureSameFamily(Categorical(density.weights), components).log_prob(points)
    torch.testing.assert_close(density.log_prob(points), expected, atol=1e-4, rtol=1e-4)


def test_one_component_is_the_gaussian_of_the_latents():
    density, latents = fitted(components=1), planted()
    torch.testing.assert_close(density.means[0], latents.mean(0))
    covariance = density.factors[0] @ density.factors[0].T
    torch.testing.assert_close(covariance, latents.T.cov(correction=0), rtol=2e-3, atol=0.02)


def test_samples_have_the_moments_of_the_latents():
    samples, latents = fitted().sample(ImageRng(0, range(4000))), planted(20000)
    torch.testing.assert_close(samples.mean(0), latents.mean(0), atol=0.15, rtol=0)
    torch.testing.assert_close(samples.T.cov(), latents.T.cov(), atol=0.6, rtol=0.06)


def test_a_sample_depends_on_its_own_seed_alone_and_temperature_0_is_a_mean():
    density = fitted()
    together = density.sample(ImageRng(7, range(5)))
    alone = torch.cat([density.sample(ImageRng(7, [index])) for index in range(5)])
    assert torch.equal(together, alone)
    still = density.sample(ImageRng(7, range(5)), temperature=0.0)
    assert torch.cdist(still, density.means).min(1).values.max() == 0


def test_a_fit_is_a_function_of_its_seed_and_is_saved_with_the_weights():
    first, again = fitted(seed=3), fitted(seed=3)
    loaded = LatentDensity(2, 3)
    loaded.load_state_dict(copy.deepcopy(first.state_dict()))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]) and torch.equal(value, loaded.state_dict()[name])
    assert torch.equal(loaded.sample(ImageRng(1, [0])), first.sample(ImageRng(1, [0])))


@pytest.mark.parametrize("latents", [torch.zeros(40, 2), torch.randn(1, 2), torch.randn(2, 2).repeat(20, 1)])
def test_few_or_equal_latents_can_be_fitted(latents):
    density = LatentDensity(2, 10)
    density.fit(latents, 0)
    samples = density.sample(ImageRng(0, range(50)))
    assert torch.isfinite(samples).all() and samples.abs().max() < 10


def test_sampling_before_the_fit_says_what_to_do():
    with pytest.raises(NotAble, match="fit_density"):
        LatentDensity(2, 3).sample(ImageRng(0, [0]))


@pytest.mark.parametrize("latents", [torch.zeros(0, 2), torch.zeros(4, 3), torch.full((4, 2), torch.nan)])
def test_latents_that_cannot_be_fitted_are_refused(latents):
    with pytest.raises(ConfigError, match="latents"):
        LatentDensity(2, 3).fit(latents, 0)
