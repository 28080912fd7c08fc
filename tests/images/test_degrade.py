"""Degradations are exact and seeded: the same bits for the same seed, theory's noise, and patches like their wholes."""

import io

import numpy as np
import pytest
from PIL import Image

from limner.errors import ConfigError
from limner.images.bicubic import resize
from limner.images.degrade import parse
from limner.images.degrade.blur import convolved, disc, gaussian, line
from limner.images.degrade.chain import STEPS
from limner.images.metadata import encode_png

EXAMPLES = {
    "down": "down:2",
    "noise": "noise:0-55",
    "gray": "gray",
    "blur": "blur:0-2",
    "motion": "motion:3-9",
    "defocus": "defocus:1-3",
    "poisson": "poisson:20-60",
    "camera": "camera:5-30",
    "jpeg": "jpeg:20-90",
    "mask": "mask:brush:0.1-0.4",
    "fade": "fade",
    "scratch": "scratch",
    "edges": "edges",
}


def pictures(count=3, height=48, width=40, channels=3, seed=0):
    """Smooth pictures with some texture."""
    rng = np.random.default_rng(seed)
    coarse = resize(rng.random((count, height // 8, width // 8, channels)), 8) * 200
    return np.floor((coarse + 20 * rng.random(coarse.shape)).clip(0, 255)).astype(np.uint8)


def degrade(text, images, seed=0):
    return parse(text)(images, np.random.default_rng(seed))


def test_every_step_has_an_example():
    assert EXAMPLES.keys() == STEPS.keys()


@pytest.mark.parametrize(
    "text",
    [
        *EXAMPLES.values(),
        "old",
        "blur:1,down:2,noise:3-9,jpeg:40",
        "mask:box:0.3",
        "mask:random:0.5",
        "mask:mixed:0.1-0.6",
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_same_seed_gives_the_same_bits_and_sizes_are_as_said(text, channels):
    images, chain = pictures(channels=channels), parse(text)
    made = degrade(text, images)
    assert made.dtype == np.float32 and np.isfinite(made).all()
    assert made.shape == (3, 48 // chain.scale, 40 // chain.scale, chain.channels(channels))
    assert np.array_equal(made, degrade(text, images))
    drawn = text not in ("down:2", "gray", "edges")
    assert np.array_equal(made, degrade(text, images, seed=1)) != drawn


@pytest.mark.parametrize("text", ["blur:1.5", "defocus:2", "motion:7:30", "down:2", "gray", "edges", "blur:1,down:3"])
def test_a_patch_with_its_margin_is_cut_from_the_degraded_whole(text):
    chain, whole = parse(text), pictures(1, 96, 96)
    made, margin, inner = chain(whole, np.random.default_rng(0)), chain.margin, 24
    top = 12 + margin  # anywhere that the scale divides
    patch = whole[:, top - margin : top + inner + margin, top - margin : top + inner + margin]
    small, start, size = margin // chain.scale, top // chain.scale, inner // chain.scale
    cut = chain(patch, np.random.default_rng(0))[:, small : small + size, small : small + size]
    np.testing.assert_allclose(cut, made[:, start : start + size, start : start + size], atol=1e-2)


@pytest.mark.parametrize(("level", "decibels"), [(15, 24.61), (25, 20.17), (50, 14.15)])
def test_white_noise_is_theorys(level, decibels):
    images = np.full((4, 200, 200, 1), 128, np.uint8)
    noisy = degrade(f"noise:{level}", images)
    error = np.square(noisy - 128.0).mean()
    assert 10 * np.log10(255**2 / error) == pytest.approx(decibels, abs=0.05)
    assert abs(noisy.mean() - 128) < 0.5 and not np.array_equal(noisy, np.round(noisy))


def test_a_range_of_noise_is_told_picture_by_picture():
    noisy = degrade("noise:5-50", np.full((8, 64, 64, 1), 128, np.uint8))
    told = noisy[..., 1]
    assert (told == told[:, :1, :1]).all() and len(np.unique(told)) == 8
    np.testing.assert_allclose(noisy[..., 0].std(axis=(1, 2)), told[:, 0, 0], rtol=0.08)


@pytest.mark.parametrize("peak", [10, 100])
def test_photons_have_the_variance_of_their_number(peak):
    noisy = degrade(f"poisson:{peak}", np.full((4, 128, 128, 1), 102, np.uint8))
    assert noisy.mean() == pytest.approx(102, rel=0.01)
    assert noisy.var() == pytest.approx(102 * 255 / peak, rel=0.03)  # n of variance n, in units of 255 / peak


def test_a_cameras_noise_grows_with_light_and_is_whole_levels():
    dark, bright = (degrade("camera:20", np.full((2, 128, 128, 1), level, np.uint8)) for level in (20, 180))
    assert dark.std() > 0 and np.array_equal(bright, np.round(bright))
    in_light = [((made / 255) ** 2.2).std() for made in (dark, bright)]
    assert in_light[1] > 3 * in_light[0]


@pytest.mark.parametrize("quality", [5, 40, 90])
def test_jpeg_is_pillows_own(quality):
    image = pictures(1)[0]
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    assert np.array_equal(degrade(f"jpeg:{quality}", image[None])[0], np.array(Image.open(file), np.float32))


@pytest.mark.parametrize("kernel", [gaussian(1.3, None), disc(2.6, None), line(9.5, 37)])
def test_a_blur_is_its_direct_convolution_and_keeps_what_is_flat(kernel):
    image = pictures(1, 24, 16, 2)[0].astype(np.float32)
    radius = len(kernel) // 2
    padded = np.pad(image, ((radius,) * 2, (radius,) * 2, (0, 0)), mode="symmetric")
    direct = sum(
        kernel[i, j] * padded[2 * radius - i : 2 * radius - i + 24, 2 * radius - j : 2 * radius - j + 16]
        for i in range(len(kernel))
        for j in range(len(kernel))
    )
    np.testing.assert_allclose(convolved(image, kernel), direct, atol=1e-3)
    assert kernel.sum() == pytest.approx(1) and (kernel >= 0).all()


def test_kernels_have_their_moments():
    for sigma in (0.8, 2.0, 5.0):
        row = gaussian(sigma, None).sum(0)
        reach = len(row) // 2
        assert np.sqrt((row * np.arange(-reach, reach + 1) ** 2).sum()) == pytest.approx(sigma, rel=0.03)
    row = line(20, 0).sum(0)
    assert (row * np.arange(-(len(row) // 2), len(row) // 2 + 1) ** 2).sum() == pytest.approx(20**2 / 12, rel=0.02)
    assert np.allclose(line(20, 90), line(20, 0).T)
    wide = disc(6, None)
    assert (wide > wide.max() / 2).sum() == pytest.approx(np.pi * 36, rel=0.05)


def test_no_blur_at_all_is_no_change():
    images = pictures()
    np.testing.assert_allclose(degrade("blur:0", images), images, atol=1e-3)
    np.testing.assert_allclose(degrade("defocus:0", images), images, atol=1e-3)


@pytest.mark.parametrize("shape", ["box", "brush", "random"])
def test_a_hole_covers_its_share_and_what_is_around_it_stays(shape):
    images = pictures(6, 96, 96)
    made = degrade(f"mask:{shape}:0.2-0.3", images)
    hole = made[..., -1] > 0
    assert (np.abs(hole.mean(axis=(1, 2)) - 0.25) < 0.08).all()
    assert np.array_equal(made[..., :3][~hole], images[~hole]) and (made[..., :3][hole] == 127.5).all()
    assert set(np.unique(made[..., -1])) == {0, 255}


def test_a_brush_is_as_thick_as_it_is_told_whatever_the_size_of_the_picture():
    for side in (48, 160):
        hole = degrade("mask:brush:0.02:3", pictures(4, side, side, 1))[..., -1] > 0
        assert (np.abs(hole.mean(axis=(1, 2)) - 0.02) < 0.02).all()
        for each in hole:
            inner = convolved(each[..., None].astype(np.float32), disc(2, np.random.default_rng(0)))
            outer = convolved(each[..., None].astype(np.float32), disc(9, np.random.default_rng(0)))
            assert inner.max() > 0.999 and outer.max() < 0.9  # a disc of radius 2 lies in it somewhere, none of 9
    thin = degrade("mask:brush:0.5:0.7-1", pictures(2, 96, 96, 1))[..., -1] > 0
    assert (np.abs(thin.mean(axis=(1, 2)) - 0.5) < 0.01).all()


def test_mixed_holes_are_points_boxes_and_strokes():
    hole = degrade("mask:mixed:0.3", pictures(40, 48, 48, 1))[..., -1] > 0
    along = (hole[:, :, 1:] & hole[:, :, :-1]).sum(axis=(1, 2)) / hole.sum(axis=(1, 2))  # whose right neighbour is too
    assert (along < 0.4).sum() >= 4 and (along > 0.9).sum() >= 4 and ((along > 0.45) & (along < 0.9)).sum() >= 4


def test_a_mask_from_a_file(tmp_path):
    drawn = np.zeros((48, 40, 1), np.uint8)
    drawn[5:9, 7:20] = 255
    file = tmp_path / "mask.png"
    file.write_bytes(encode_png(drawn))
    made = degrade(f"mask:{file}", pictures())
    assert np.array_equal(made[..., -1:], np.broadcast_to(drawn, (3, 48, 40, 1)))
    with pytest.raises(ConfigError, match="48x40 and the picture 40x48"):
        degrade(f"mask:{file}", pictures(height=40, width=48))


def test_fading_goes_all_the_way_to_paper_and_not_at_all():
    images = pictures()
    assert np.array_equal(degrade("fade:0", images), images)
    gone = degrade("fade:1", images)
    assert gone.std() < images.std() / 2 and gone[..., 0].mean() > gone[..., 2].mean()  # yellowed


def test_edges_are_white_where_nothing_changes_and_dark_along_a_step():
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[:, :, 16:] = [200, 0, 0]
    drawn = degrade("edges", image)[0, ..., 0]
    assert (drawn[:, :12] == 255).all() and (drawn[:, 20:] == 255).all() and drawn[:, 15:17].max() < 60


def test_chance_leaves_some_pictures_alone_and_mixes_steps():
    images = np.full((200, 8, 8, 1), 128, np.uint8)
    touched = (degrade("noise:9?", images) != 128).any(axis=(1, 2, 3)).mean()
    assert 0.35 < touched < 0.65
    deviations = degrade("noise:5|noise:50", images).std(axis=(1, 2, 3))
    assert ((deviations < 10) | (deviations > 30)).all() and 0.3 < (deviations > 30).mean() < 0.7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no step"),
        ("nois:5", "did you mean noise"),
        ("noise", "takes one number"),
        ("noise:5:6", "2 were given"),
        ("noise:x", "neither a number"),
        ("noise:9-3", "the smaller first"),
        ("noise:300", "from 0 to 255"),
        ("down:1", "whole number from 2 to 16"),
        ("jpeg:0", "from 1 to 100"),
        ("gray:2", "takes no number"),
        ("mask:circle:0.2", "unknown mask 'circle'"),
        ("mask:box:2", "from 0 to 1"),
        ("mask:box:0.2:4", "for a brush also its radius"),
        ("mask:brush:0.2:8-4", "the smaller first"),
        ("down:2|noise:3", "keep size and channels"),
        ("mask:box:0.2,down:2", "what shrinks must come before"),
        ("motion", "1 or 2 numbers"),
        ("fade:0.2:0.3", "one number at most"),
    ],
)
def test_what_a_chain_cannot_say_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_sides_that_cannot_be_divided_are_refused():
    with pytest.raises(ConfigError, match="49x40 cannot be made 2 times as small"):
        degrade("down:2", pictures(height=48)[:, [*range(48), 0]])


@pytest.mark.parametrize("text", ["noise:25", "blur:2", "jpeg:20", "old", "mask:box:0.2", "noise:0-50,blur:1?"])
def test_transparency_is_no_colour(text):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 32, 32, 4)).astype(np.uint8)
    made = parse(text)(images, np.random.default_rng(1))
    assert np.array_equal(made[..., 3], images[..., 3]) and not np.array_equal(made[..., :3], images[..., :3])
    alone = parse(text)(np.ascontiguousarray(images[..., :3]), np.random.default_rng(1))
    assert np.array_equal(made[..., :3], alone[..., :3])


@pytest.mark.parametrize("text", ["gray", "edges"])
def test_what_gives_one_channel_sees_the_picture_on_white(text):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1, 32, 32, 4)).astype(np.float32)
    shown = 255 + images[..., 3:] / 255 * (images[..., :3] - 255)
    assert np.array_equal(parse(text)(images, rng), parse(text)(shown.astype(np.float32), rng))


def test_transparency_shrinks_with_the_picture():
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 4)).astype(np.uint8)
    made = parse("down:2")(images, np.random.default_rng(1))
    assert np.array_equal(made[..., 3:], parse("down:2")(images[..., 3:], np.random.default_rng(1)))


@pytest.mark.parametrize("text", ["old:3", "old?", "old|gray"])
def test_a_short_name_for_a_chain_is_no_step(text):
    with pytest.raises(ConfigError, match="old is short for fade.*write it alone between commas"):
        parse(text)
