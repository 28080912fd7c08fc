import pytest
import torch
from torch import nn

from limner.nn.blocks import NORMS, PixelNorm, ResidualBlock, level_channels, norm_layer, spectral_normalise
from limner.nn.initialise import initialise
from limner.nn.resample import Downsample, Upsample


@pytest.mark.parametrize("norm", NORMS)
def test_normalisations_keep_the_shape_and_only_batch_norm_mixes_images(norm):
    layer, images = norm_layer(norm, 6), torch.randn(4, 6, 5, 3)
    together, alone = layer(images), layer(images[:1])
    assert together.shape == images.shape
    assert torch.allclose(together[:1], alone, atol=1e-6) == (norm != "batch")


def test_pixel_norm_gives_every_pixel_unit_mean_square():
    squares = PixelNorm()(3 * torch.randn(2, 8, 4, 4)).square().mean(dim=1)
    torch.testing.assert_close(squares, torch.ones_like(squares))


def test_channels_double_at_each_halving_up_to_eightfold():
    assert [level_channels(16, level) for level in range(6)] == [16, 32, 64, 128, 128, 128]


def test_doubling_then_halving_keeps_the_mean_and_a_flat_image():
    image = torch.randn(2, 3, 4, 6)
    doubled = Upsample()(image)
    assert doubled.shape == (2, 3, 8, 12)
    torch.testing.assert_close(Downsample()(doubled).mean(dim=(2, 3)), image.mean(dim=(2, 3)))
    torch.testing.assert_close(Downsample()(Upsample()(torch.ones(1, 1, 2, 2))), torch.ones(1, 1, 2, 2))


def test_spectral_normalisation_bounds_every_singular_value():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 4, 5))
    for layer in (network[0], network[2]):
        nn.init.normal_(layer.weight, std=2.0)
    spectral_normalise(network)
    for _ in range(20):  # each training forward is one power iteration
        network(torch.randn(2, 3, 4, 4))
    for layer in (network[0], network[2]):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("normalised", [False, True])
def test_residual_branches_start_small(normalised):
    block = ResidualBlock(16, "batch" if normalised else "none")
    initialise(block, normalised=normalised)
    x = torch.randn(4, 16, 8, 8)
    assert (block(x) - x).std() < 0.2 * x.std()


def test_the_signal_keeps_its_size_through_layers_without_normalisation():
    """Weights of 0.02, right behind batch normalisation, would let it die out."""
    layers = [layer for _ in range(8) for layer in (nn.Conv2d(32, 32, 3, padding=1), nn.LeakyReLU(0.2))]
    network = nn.Sequential(*layers)
    with torch.no_grad():
        initialise(network, normalised=False)
        assert 0.3 < network(torch.randn(4, 32, 16, 16)).square().mean().sqrt() < 3
        initialise(network, normalised=True)
        assert network(torch.randn(4, 32, 16, 16)).square().mean().sqrt() < 1e-3
