import pytest
import torch

from limner.losses.reconstruction import LEAK, edge_cost, psnr, reconstruction_cost


def test_the_cost_is_the_mean_absolute_error_where_nothing_has_an_edge():
    image = torch.full((2, 1, 8, 8), 0.25)
    assert reconstruction_cost(image - 0.5, image, edges=3.0).item() == pytest.approx(0.5)


def test_an_overshoot_hardly_counts_but_is_pulled_back():
    image = torch.ones(1, 1, 4, 4)
    output = torch.full_like(image, 1.5, requires_grad=True)
    cost = reconstruction_cost(output, image, edges=0.0)
    cost.backward()
    assert cost.item() == pytest.approx(0.5 * LEAK)
    torch.testing.assert_close(output.grad, torch.full_like(output, LEAK / 16))


def test_edges_of_a_step_are_counted_at_every_scale():
    """A step of 1 down the middle of 8 columns: of 7, 3 and 1 differences across it one is 1, and none along it."""
    error = torch.zeros(1, 1, 8, 8)
    error[..., 4:] = 1
    assert edge_cost(error).item() == pytest.approx((1 / 7 + 1 / 3 + 1) / 3)
    assert edge_cost(error.transpose(2, 3)).item() == pytest.approx((1 / 7 + 1 / 3 + 1) / 3)


def test_blur_costs_more_with_edges_than_a_shade_of_the_same_error():
    image = torch.zeros(1, 1, 8, 8)
    image[..., ::2] = 1
    blurred, shaded = torch.full_like(image, 0.5), image - 0.5
    assert reconstruction_cost(blurred, image, 0.0) == reconstruction_cost(shaded, image, 0.0)
    assert reconstruction_cost(blurred, image, 1.0) > reconstruction_cost(shaded, image, 1.0) + 0.1


def test_images_too_small_for_an_edge_have_none():
    assert edge_cost(torch.ones(2, 1, 1, 5)).item() == 0


def test_psnr_is_that_of_images_two_wide():
    image = torch.zeros(1, 1, 2, 2)
    assert psnr(image + 0.2, image).item() == pytest.approx(20.0, abs=1e-4)
