"""Equalising pixels: their own distribution becomes the normal one, to the last digit that matters."""

import pytest
import torch
from torch.distributions import Normal

from limner.nn.equalise import LEVELS, UNSEEN, Equalise


def stored(rows=64, channels=2):
    """Images of ink on paper: most pixels at the lowest level, and channels that differ."""
    draw = torch.Generator().manual_seed(0)
    level = torch.randint(0, LEVELS, (rows, channels, 6, 6), generator=draw).float()
    level[:, 0] *= torch.rand(rows, 6, 6, generator=draw) < 0.2
    return level / 127.5 - 1


def dequantised(image, seed=1):
    uniform = torch.rand(image.shape, generator=torch.Generator().manual_seed(seed))
    return ((image + 1) * 127.5 + uniform) / 128 - 1


def fitted():
    layer = Equalise(2)
    layer.fit(stored())
    return layer


def test_the_pixels_that_were_counted_become_normal():
    y = fitted()(dequantised(stored(2000)))[0]
    for channel in y.unbind(1):
        shares = torch.tensor([0.02, 0.2, 0.5, 0.9, 0.99])
        found = torch.quantile(channel.flatten()[:70_000], shares)
        torch.testing.assert_close(found, Normal(0.0, 1.0).icdf(shares), atol=0.2, rtol=0)  # UNSEEN is spread over all


def test_its_density_is_the_share_of_each_level():
    layer, image = fitted(), stored(4)
    y, log_volume = layer(dequantised(image))
    levels = ((image + 1) * 127.5).round().long()
    shares = torch.stack([layer.shares[channel][levels[:, channel]] for channel in range(2)], dim=1)
    expected = torch.log(shares * 128).flatten(1).sum(1)  # a level is 1/128 wide
    found = Normal(0.0, 1.0).log_prob(y).flatten(1).sum(1) + log_volume
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)  # 72 pixels


def test_it_is_undone_to_a_ten_thousandth_of_a_level():
    layer = fitted()
    everywhere = torch.linspace(-1, 1, 36 * 400).view(-1, 1, 6, 6).repeat(1, 2, 1, 1)
    torch.testing.assert_close(layer.inverse(layer(everywhere)[0]), everywhere, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_its_volume_is_that_of_its_jacobian(dtype):
    layer, x = fitted().to(dtype), dequantised(stored(1)).to(dtype)
    y, found = layer(x)
    assert y.dtype == found.dtype == dtype
    slopes = torch.autograd.grad(layer(x.requires_grad_())[0].sum(), x)[0]
    torch.testing.assert_close(found, slopes.log().sum()[None], rtol=1e-5, atol=1e-5)
    y = y.detach().requires_grad_()
    back = torch.autograd.grad(layer.inverse(y).sum(), y)[0]
    torch.testing.assert_close(back.log(), -slopes.log(), rtol=1e-3, atol=1e-3)


def test_a_level_that_was_never_seen_is_not_impossible():
    layer = Equalise(1)
    layer.fit(torch.full((3, 1, 2, 2), -1.0))
    assert float(layer.shares.min()) == pytest.approx(UNSEEN / LEVELS) and float(layer.shares.sum()) == pytest.approx(1)
    y, log_volume = layer(torch.ones(1, 1, 2, 2))
    assert y.isfinite().all() and log_volume.isfinite().all()


def test_noise_beyond_the_margins_is_still_a_pixel():
    x = fitted().inverse(torch.tensor([-40.0, -6.0, 6.0, 40.0]).view(1, 1, 2, 2).expand(1, 2, 2, 2))
    assert x.abs().max() <= 1
