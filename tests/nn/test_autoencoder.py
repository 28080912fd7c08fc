import pytest
import torch

from limner.errors import ConfigError
from limner.nn.autoencoder import Plan
from limner.types import DataSpec


@pytest.mark.parametrize("network", ["conv", "mlp"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 24), (4, 8, 8), (5, 6, 2), (2, 1, 1)])
def test_networks_take_any_channels_and_sizes_and_feel_the_condition(network, shape):
    plan = Plan(network, DataSpec(*shape), condition=3, width=8)
    image, condition = torch.randn(2, *shape), torch.zeros(2, 3)
    features = plan.encoder(10)(image, condition)
    decoder = plan.decoder(10)
    assert features.shape == (2, 10)
    output = decoder(features, condition)
    assert output.shape == image.shape
    assert not torch.allclose(output, decoder(features, torch.ones(2, 3)))


def test_the_open_depth_halves_down_to_a_side_of_4_to_7():
    decoder = Plan("conv", DataSpec(3, 64, 96), condition=0, width=4).decoder(5)
    assert decoder.shape == (32, 4, 6)


def test_a_resolution_that_the_depth_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match="use 24 or 32, or depth=1"):
        Plan("conv", DataSpec(3, 30, 30), condition=0, depth=3).encoder(5)


def test_mlp_width_and_depth_are_units_and_hidden_layers():
    encoder = Plan("mlp", DataSpec(1, 4, 4), condition=2, width=7, depth=3).encoder(5)
    shapes = [tuple(weight.shape) for weight in encoder.parameters() if weight.ndim == 2]
    assert shapes == [(7, 18), (7, 7), (7, 7), (5, 7)]


@pytest.mark.parametrize("network", ["conv", "mlp"])
def test_every_parameter_is_used(network):
    plan = Plan(network, DataSpec(3, 16, 16), condition=2, width=4)
    encoder, decoder = plan.encoder(6), plan.decoder(6)
    condition = torch.ones(3, 2)
    decoder(encoder(torch.randn(3, 3, 16, 16), condition), condition).square().sum().backward()
    for parameter in (*encoder.parameters(), *decoder.parameters()):
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0
