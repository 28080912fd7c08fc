"""Augmentation of what a discriminator sees: per image, by the given rng alone, and differentiable twice."""

import pytest
import torch

from limner.nn.diffaugment import AUGMENTATIONS, augment, colour, cutout, translation
from limner.rng import ImageRng

ALL = tuple(AUGMENTATIONS)


def rng(rows=4, seed=0):
    return ImageRng(seed, range(rows))


def images(channels=3, height=16, width=24, rows=4):
    return torch.rand(rows, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_no_augmentation_is_the_identity():
    assert augment(images(), (), rng()) is not None
    assert torch.equal(augment(images(), (), rng()), images())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_augmentations_change_images_of_any_channels_and_keep_their_shape(name, channels):
    changed = augment(images(channels), (name,), rng())
    assert changed.shape == (4, channels, 16, 24) and changed.dtype == torch.float32
    assert not torch.equal(changed, images(channels))


@pytest.mark.parametrize("name", ALL)
def test_same_draws_same_change_and_each_image_has_its_own(name):
    same = images()[:1].expand(4, -1, -1, -1)
    changed = augment(same, (name,), rng())
    assert torch.equal(changed, augment(same, (name,), rng()))
    assert not torch.equal(changed[0], changed[1])
    assert not torch.equal(changed, augment(same, (name,), rng(seed=5)))


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_changed_alone_as_in_a_batch(name):
    torch.testing.assert_close(augment(images(), (name,), rng())[:1], augment(images()[:1], (name,), rng(rows=1)))


@pytest.mark.parametrize("name", ALL)
def test_augmentations_are_differentiable_twice(name):
    image = images(height=8, width=8, rows=2).double().requires_grad_()
    (gradient,) = torch.autograd.grad(augment(image, (name,), rng(2)).pow(3).sum(), image, create_graph=True)
    assert gradient.abs().sum() > 0
    (second,) = torch.autograd.grad(gradient.square().sum(), image)
    assert second.abs().sum() > 0


def test_translation_shifts_by_whole_pixels_up_to_an_eighth_and_fills_with_grey():
    """A single white pixel in the middle moves, whole, by at most 2 rows and 3 columns; border fill is 0."""
    image = torch.zeros(64, 1, 16, 24)
    image[:, :, 8, 12] = 1
    moved = translation(image, rng(64))
    assert torch.equal(moved.sum(dim=(1, 2, 3)), torch.ones(64))
    places = moved.flatten(1).argmax(dim=1)
    assert set((places // 24 - 8).tolist()) == {-2, -1, 0, 1, 2}
    assert set((places % 24 - 12).tolist()) == {-3, -2, -1, 0, 1, 2, 3}
    assert (translation(torch.ones(64, 1, 16, 24), rng(64)) == 0).any()


def test_cutout_hides_at_most_a_quarter_and_sets_it_to_grey():
    hidden = (cutout(torch.ones(256, 1, 16, 24), rng(256)) == 0).float().mean(dim=(1, 2, 3))
    assert hidden.max() == 0.25 and hidden.min() >= 0.0625


@pytest.mark.parametrize("channels", [2, 4])
def test_colour_leaves_opacity_alone(channels):
    assert torch.equal(colour(images(channels), rng())[:, -1], images(channels)[:, -1])


def test_colour_of_a_grey_image_stays_grey():
    grey = images(1).expand(-1, 3, -1, -1)
    changed = colour(grey, rng())
    torch.testing.assert_close(changed[:, 0], changed[:, 1])
