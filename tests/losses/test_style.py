"""Statistics of style in closed form: Gram matrices, moments, transport."""

import pytest
import torch

from limner.losses import style


def maps(seed=0, size=(9, 7), channels=4):
    return torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(seed))


def test_a_gram_matrix_is_the_mean_product_of_channels_wherever_things_are():
    image = maps()
    direct = torch.einsum("chw,dhw->cd", image[0], image[0]) / 63
    torch.testing.assert_close(style.gram(image)[0], direct)
    torch.testing.assert_close(style.gram(image.roll((3, 2), (2, 3))), style.gram(image))


@pytest.mark.parametrize("distance", ["gram", "moments", "sliced"])
def test_a_picture_is_at_no_distance_from_itself_and_its_shuffled_places(distance):
    image, other = maps(), maps(1)
    shuffled = image.flatten(2)[:, :, torch.randperm(63, generator=torch.Generator().manual_seed(0))].view_as(image)
    along = style.directions(4, 0)

    def apart(a, b):
        if distance == "gram":
            return float(style.gram_distance(a, style.gram(b)))
        if distance == "moments":
            return float(style.moment_distance(a, style.moments(b)))
        return float(style.sliced_distance(a, b, along))

    assert apart(shuffled, image) == pytest.approx(0, abs=1e-9) and apart(other, image) > 1e-3


def test_sliced_distance_of_two_shifts_is_their_square():
    """Along each direction the distributions differ by a shift, whose square it is, as a share of the style's own."""
    image, along = maps(), style.directions(4, 0)
    shift = torch.tensor([1.0, -2.0, 0.5, 0.0]).view(1, 4, 1, 1)
    theirs = along.T @ (image + shift).flatten(2)[0]
    expected = (along.T @ shift.flatten()).square().mean() / (theirs.square().mean() + 1e-5)
    assert float(style.sliced_distance(image, image + shift, along)) == pytest.approx(float(expected), rel=1e-5)


def test_a_style_of_another_size_is_compared_by_its_quantiles():
    image, along = maps(size=(8, 8)), style.directions(4, 0)
    twice = image.repeat(1, 1, 2, 1)
    assert float(style.sliced_distance(image, twice, along)) < 0.01


def test_transport_moves_mean_and_covariance_exactly():
    content, wanted = maps(size=(40, 40)), 3 * maps(1, size=(30, 50)) @ torch.randn(50, 50) + 2
    moved = style.whitened(content, wanted)
    flat, target = moved.double().flatten(2)[0], wanted.double().flatten(2)[0]
    torch.testing.assert_close(flat.mean(1), target.mean(1), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(torch.cov(flat, correction=0), torch.cov(target, correction=0), atol=0.5, rtol=5e-3)


def test_renormalising_moves_mean_and_deviation_exactly():
    moved = style.renormalised(maps(), 3 * maps(1) + 2)
    torch.testing.assert_close(style.moments(moved), style.moments(3 * maps(1) + 2), atol=1e-4, rtol=1e-4)


def test_roughness_of_a_ramp_is_its_slope():
    ramp = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 3, 4, 5)
    assert float(style.roughness(ramp)) == 1
