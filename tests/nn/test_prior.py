import pytest
import torch

from limner.errors import ConfigError
from limner.nn.prior import CouplingPrior, NormalPrior


def trained_prior(size=5):
    """A coupling prior away from its start, where it is N(0, 1)."""
    torch.manual_seed(0)
    prior = CouplingPrior(size, couplings=3, width=16).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return prior.requires_grad_(False)


def test_a_new_coupling_prior_is_the_normal_one():
    latent = torch.randn(3, 4, 5)
    torch.testing.assert_close(CouplingPrior(5, couplings=4, width=8).log_prob(latent), NormalPrior().log_prob(latent))


@pytest.mark.parametrize("size", [2, 5, 6])
def test_the_density_is_that_of_the_transformed_noise(size):
    """log p(transform(noise)) = log N(noise) - log |det J|, with the Jacobian J of the transform by autograd."""
    prior, noise = trained_prior(size), torch.randn(size, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda row: prior.transform(row[None])[0], noise)
    expected = NormalPrior().log_prob(noise) - torch.linalg.slogdet(jacobian).logabsdet
    found = prior.log_prob(prior.transform(noise[None]))[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_density_integrates_to_1():
    axis = torch.linspace(-20, 20, 400, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    total = trained_prior(2).log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(total) == pytest.approx(1, abs=0.01)


def test_a_latent_without_two_halves_is_refused():
    with pytest.raises(ConfigError, match="latent=1"):
        CouplingPrior(1, couplings=2, width=8)
