"""Pictures of any size and kind through a restorer: tiles leave no seams, and what is given back is as it was given."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from limner import models
from limner.errors import ConfigError, NotAble
from limner.images.bicubic import resize
from limner.tasks import apply, restore
from limner.tasks.apply import WHOLE, How
from limner.tasks.restore import Told
from limner.types import Condition, DataSpec

ENLARGES = DataSpec(1, 24, 24, source_channels=1, scale=2, degrade="down:2")
CLEANS = DataSpec(3, 24, 24, source_channels=4, maps=("noise",), degrade="noise:0-55")
FILLS = DataSpec(3, 16, 16, source_channels=4, maps=("hole",), degrade="mask:box:0.2")


def restorer(name, spec, *, stirred=True, **config):
    """A restorer with random weights; with `stirred` even in its last layer, so that it does something."""
    torch.manual_seed(0)
    model = models.build(name, models.configure(name, {"width": 8} | config), spec).eval()
    for parameter in model.parameters() if stirred else ():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return model


def picture(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.mark.parametrize(
    ("name", "spec", "config"),
    [
        ("srnet", ENLARGES, {}),
        ("srcnn", ENLARGES, {}),
        ("espcn", ENLARGES, {}),
        ("edsr", ENLARGES, {"depth": 2}),
        ("denoiser", CLEANS, {}),
        ("denoiser", CLEANS, {"depth": 2}),
        ("denoiser", CLEANS, {"network": "folded", "depth": 4}),
        ("srnet", ENLARGES, {"network": "unet", "depth": 1}),
        ("dncnn", DataSpec(1, 24, 24, source_channels=1), {"depth": 4}),
        ("nafnet", DataSpec(1, 24, 24, source_channels=1), {"depth": 1}),
        ("inpainter", FILLS, {}),
        ("inpainter", FILLS, {"network": "partial", "fill": False, "depth": 2}),
    ],
)
@pytest.mark.parametrize("size", [(61, 83), (64, 33)])
def test_tiles_give_what_the_whole_picture_gives(name, spec, config, size):
    model = restorer(name, spec, **config)
    source = torch.rand(1, spec.source_channels, *size) * 2 - 1
    if "hole" in spec.maps:
        source[:, -1] = torch.where(source[:, -1] > 0.8, 1.0, -1.0)
    whole = apply.apply(model, source, Condition(), WHOLE)
    assert whole.shape == (1, spec.channels, spec.scale * size[0], spec.scale * size[1])
    for tile in (16, 24):
        torch.testing.assert_close(apply.apply(model, source, Condition(), How(tile)), whole, atol=1e-5, rtol=0)


def test_a_tile_cut_too_small_would_show():
    """The check above can fail: with less around each tile than the network looks at there are seams."""
    model = restorer("srnet", ENLARGES)
    source = torch.rand(1, 1, 60, 60)
    whole = apply.apply(model, source, Condition(), WHOLE)
    model.reach -= 1
    assert (apply.apply(model, source, Condition(), How(16)) - whole).abs().max() > 1e-4


def test_an_ensemble_turns_with_its_picture():
    model = restorer("srnet", ENLARGES)
    source = torch.rand(1, 1, 12, 17)
    turned = apply.apply(model, torch.rot90(source, 1, (2, 3)), Condition(), How(ensemble=True))
    straight = apply.apply(model, source, Condition(), How(ensemble=True))
    torch.testing.assert_close(turned, torch.rot90(straight, 1, (2, 3)), atol=1e-5, rtol=0)
    assert not torch.allclose(straight, apply.apply(model, source, Condition(), WHOLE), atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 7)])
def test_pictures_of_every_kind_come_back_in_their_kind(channels, size):
    given = picture(*size, channels)
    made = restore.restore(restorer("srnet", ENLARGES, stirred=False), given)
    assert made.dtype == np.uint8 and made.shape == (2 * size[0], 2 * size[1], channels)
    expected = resize(given, 2).astype(int)
    assert np.abs(made[..., :3].astype(int) - expected[..., :3]).max() <= 2  # through brightness and colours
    if channels == 4:
        assert np.array_equal(made[..., 3], expected[..., 3])


def test_a_very_long_picture_goes_through():
    assert restore.restore(restorer("srnet", ENLARGES), picture(3000, 1, 3)).shape == (6000, 2, 3)


def test_known_pixels_stay_and_holes_are_filled():
    given, hole = picture(20, 23, 3), np.zeros((20, 23), bool)
    hole[3:9, 4:12] = True
    made = restore.restore(restorer("inpainter", FILLS), given, Told(hole=hole))
    assert np.array_equal(made[~hole], given[~hole]) and not np.array_equal(made[hole], given[hole])


def test_a_gray_inpainter_gives_a_hole_in_a_colour_picture_the_colours_around_it():
    model = restorer("inpainter", DataSpec(1, 16, 16, source_channels=2, maps=("hole",)), stirred=False)
    given, hole = np.full((40, 40, 3), (200, 90, 30), np.uint8), np.zeros((40, 40), bool)
    hole[10:19, 12:30] = True
    expected = given.copy()
    given[hole] = (0, 255, 0)  # what should go is another colour
    for how in (WHOLE, How(16)):
        assert np.abs(restore.restore(model, given, Told(hole=hole), how).astype(int) - expected).max() <= 1


def test_a_mask_of_another_size_and_no_mask_at_all_are_refused():
    model = restorer("inpainter", FILLS)
    with pytest.raises(ConfigError, match="mask is 5x5 and the picture 20x23"):
        restore.restore(model, picture(20, 23, 3), Told(hole=np.zeros((5, 5), bool)))
    with pytest.raises(ConfigError, match="with a mask"):
        restore.restore(model, picture(20, 23, 3))


@pytest.mark.parametrize("level", [5.0, 15.0, 25.0, 50.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_level_of_noise_is_estimated(level, channels):
    smooth = np.linspace(60, 200, 128)[:, None, None] + np.linspace(-20, 20, 96)[None, :, None]
    noisy = smooth + level * np.random.default_rng(0).standard_normal((128, 96, channels))
    assert restore.noise_level(noisy) == pytest.approx(level, rel=0.1)


def test_a_consistent_picture_shrinks_to_what_was_given():
    given = resize(picture(40, 36, 3), 0.5)
    made = restore.restore(restorer("srnet", ENLARGES), given)
    before, after = (
        np.abs(resize(each, 0.5).astype(int) - given).mean() for each in (made, restore.consistently(made, given))
    )
    assert after < 0.5 < before  # rounding alone is left


def test_what_shrinking_took_is_given_back_and_nothing_else():
    """A picture that shrinks to what was given stays; one that does not comes nearer with each round."""
    true = picture(40, 36, 1).astype(np.float64)
    given = resize(true, 0.5)
    assert np.allclose(restore.back_projected(true, given), true, atol=1e-9)
    off = true + np.linspace(-9, 9, 36)[None, :, None]
    left = [np.abs(resize(restore.back_projected(off, given, rounds=n), 0.5) - given).max() for n in (0, 1, 3)]
    assert left[0] > 8 and left[1] < left[0] / 2 and left[2] < left[1] / 2


def test_a_picture_as_png_is_the_picture():
    model, given = restorer("srnet", ENLARGES), picture(50, 41, 4)
    packed = b"".join(restore.png(model, given, how=How(16)))
    assert np.array_equal(np.array(Image.open(io.BytesIO(packed))), restore.restore(model, given, how=WHOLE))


def test_expected_errors_are_a_gray_picture_of_the_new_size():
    model = restorer("srnet", ENLARGES, uncertainty=True)
    shown = Image.open(io.BytesIO(b"".join(restore.error_png(model, picture(30, 21, 3), how=How(16)))))
    assert shown.mode == "L" and shown.size == (42, 60)


def test_a_model_that_transforms_nothing_is_refused(digits):
    model = models.build("vae", models.configure("vae", {"width": 4, "latent": 4}), digits.spec)
    with pytest.raises(NotAble, match="vae"):
        restore.restore(model, picture(8, 8, 1))


@pytest.mark.parametrize(("name", "spec"), [("srnet", ENLARGES), ("inpainter", FILLS)])
def test_in_bf16_only_the_correction_is_rounded(name, spec):
    source = torch.rand(1, spec.source_channels, 32, 32) * 2 - 1
    if "hole" in spec.maps:
        source[:, -1] = torch.where(source[:, -1] > 0.5, 1.0, -1.0)
    plain = restorer(name, spec, stirred=False)  # whose correction is 0
    halves = [apply.apply(plain, source, Condition(), How(half=half)) for half in (False, True)]
    assert torch.equal(*halves)
    stirred = restorer(name, spec)
    exact, rounded = (apply.apply(stirred, source, Condition(), How(half=half)) for half in (False, True))
    assert 0 < (exact - rounded).abs().max() < 0.05 * (exact - halves[0]).abs().max()


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("given", [1, 3, 4])
def test_what_makes_colours_of_brightness_takes_pictures_of_any_kind(channels, given):
    model = restorer("nafnet", DataSpec(channels, 16, 16, source_channels=1, degrade="gray"), depth=1)
    made = restore.restore(model, picture(20, 24, given))
    assert made.shape[:2] == (20, 24) and made.shape[2] in ((1, 3) if given == 1 and channels == 3 else (3, 4))
    assert (made.shape[2] == 4) == (channels == 4 or given == 4)


@pytest.mark.parametrize("name", ["vae", "codec", "flow-mlp"])
def test_what_learns_from_images_alone_is_given_no_sources(name):
    with pytest.raises(ConfigError, match="degrade=down:2 is for models that turn one picture into another"):
        models.build(
            name, models.configure(name, {}), DataSpec(3, 16, 16, source_channels=3, scale=2, degrade="down:2")
        )


@pytest.mark.parametrize(("made", "given"), [(4, 3), (4, 4), (4, 1), (3, 3)])
def test_what_has_become_transparent_is_consistent_too(made, given):
    large, small = picture(16, 24, made), picture(8, 12, given, seed=1)
    found = restore.consistently(large, small)
    assert found.shape == large.shape
    with pytest.raises(ConfigError, match="has colours now"):
        restore.consistently(picture(16, 24, 3), picture(8, 12, 1))
    with pytest.raises(ConfigError, match="only an enlarged picture"):
        restore.consistently(picture(8, 12, 3), picture(8, 12, 3))
