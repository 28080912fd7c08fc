import pytest
import torch

from limner.errors import ConfigError
from limner.nn.grid_autoencoder import GridDecoder, GridEncoder, Standardise, grid_depth
from limner.types import DataSpec

PARTS = {"width": 4, "blocks": 1}


@pytest.mark.parametrize(("shape", "depth"), [((1, 28, 28), 2), ((3, 16, 24), 3), ((4, 8, 8), 1), ((5, 6, 2), 1)])
def test_networks_take_any_channels_and_sizes(shape, depth):
    data, image = DataSpec(*shape), torch.randn(2, *shape)
    grid = GridEncoder(data, 6, depth=depth, **PARTS)(image)
    assert grid.shape == (2, 6, shape[1] >> depth, shape[2] >> depth)
    assert GridDecoder(data, 6, depth=depth, **PARTS)(grid).shape == image.shape


@pytest.mark.parametrize(("side", "grid"), [(28, 7), (32, 8), (64, 8), (48, 6), (8, 4), (16, 8), (256, 8)])
def test_the_open_depth_leaves_a_shorter_side_of_5_to_8(side, grid):
    assert side >> grid_depth(DataSpec(1, side, 2 * side)) == grid


def test_a_resolution_that_the_depth_does_not_divide_is_refused():
    for network in (GridEncoder, GridDecoder):
        with pytest.raises(ConfigError, match="use 24 or 32, or depth=1"):
            network(DataSpec(3, 30, 30), 4, depth=3, **PARTS)


def test_every_parameter_is_used():
    data = DataSpec(3, 16, 16)
    encoder, decoder = GridEncoder(data, 5, depth=2, **PARTS), GridDecoder(data, 5, depth=2, **PARTS)
    decoder(encoder(torch.randn(3, 3, 16, 16))).square().sum().backward()
    for parameter in (*encoder.parameters(), *decoder.parameters()):
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


def test_a_centred_decoder_starts_near_the_mean_of_each_channel():
    decoder = GridDecoder(DataSpec(2, 8, 8), 3, depth=1, **PARTS)
    decoder.centre(torch.stack([torch.full((8, 8), 0.5), torch.full((8, 8), -0.25)]))
    output = decoder(torch.zeros(1, 3, 4, 4))
    torch.testing.assert_close(output[0].mean((1, 2)), torch.tensor([0.5, -0.25]))


def test_a_cell_sees_its_surroundings_alone():
    """By gradient: a cell of the middle depends on nothing in the far corner."""
    image = torch.randn(1, 1, 64, 64, requires_grad=True)
    GridEncoder(DataSpec(1, 64, 64), 2, depth=2, **PARTS)(image)[0, :, 8, 8].sum().backward()
    assert image.grad[..., :8, :8].abs().max() == 0 and image.grad[..., 32:36, 32:36].abs().min() > 0


def test_standardised_features_have_mean_0_and_variance_1_and_scale_plays_no_part():
    layer, features = Standardise(3), torch.randn(16, 3, 4, 4) * torch.tensor([1.0, 5.0, 0.1])[:, None, None] + 2
    made = layer(features)
    torch.testing.assert_close(made.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-2, rtol=0)
    torch.testing.assert_close(layer(100 * features), made, atol=1e-2, rtol=1e-2)


def test_started_statistics_are_those_of_the_features_and_hold_in_eval_mode():
    layer, features = Standardise(3).eval(), torch.randn(64, 3, 4, 4) * 3 + 2
    layer.start(features)
    made = layer(features)
    torch.testing.assert_close(made.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(layer(features[:1]), made[:1])
