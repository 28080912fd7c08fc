"""Measures of pairs: which images make pairs, and that the numbers are those of the pure functions."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from limner.errors import ConfigError
from limner.evaluation.compare import differences
from limner.evaluation.evaluate import Evaluation
from limner.evaluation.material import ImageSet, Material, NotApplicable
from limner.evaluation.measures import paired
from limner.images.bicubic import resize
from limner.images.colour import composite
from limner.metrics import psnr, ssim
from limner.metrics.superresolution import evaluate_pair
from limner.types import DataSpec


def pixels(count=6, side=24, channels=3, seed=0):
    """Smooth images, with which every measure of pairs has something to do."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (count, side // 4, side // 4, channels))
    return np.clip(resize(coarse, 4), 0, 255).astype(np.uint8)


def noisy(images, std=12.0, seed=1):
    noise = np.random.default_rng(seed).normal(0, std, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def side(images, ids=None, **parts):
    ids = tuple(f"{row:02}.png" for row in range(len(images))) if ids is None else ids
    return ImageSet("side", images, hashlib.sha256(images.tobytes()).hexdigest(), ids=ids, **parts)


def material(made, real, **parts):
    height, width, channels = real.images.shape[1:]
    return Material(made, real, DataSpec(channels, height, width), split="test", **parts)


class Blur(nn.Module):
    """Encodes an image as it is, and decodes it with less contrast; where a label is wanted and wrong, as black."""

    name = "blur"

    def __init__(self, contrast=0.9, wants=None):
        super().__init__()
        self.contrast, self.wants = nn.Parameter(torch.tensor(contrast)), wants
        self.latent_shape, self.seen = (1,), 0

    def draw_latent(self, rng, options):
        return rng.normal(*self.latent_shape)

    def encode(self, image, condition):
        self.seen += len(image)
        return image

    def decode(self, latent, condition):
        picture = latent * self.contrast
        if self.wants is None:
            return picture
        right = condition.label == latent.mean((1, 2, 3)).gt(self.wants).long()
        return torch.where(right[:, None, None, None], picture, -torch.ones(()))


class Maps:
    """A feature space whose maps are the image itself, and its halves."""

    name, sha256, dimension, classes = "Toy", "cd" * 32, 3, 0
    resize, precision = "none", "fp32"

    def __call__(self, images):
        raise AssertionError("pairs need maps, not pooled features")

    def maps(self, images):
        first = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2)
        return [first, first[..., ::2, ::2]]


class Pooled(Maps):
    """A feature space that keeps its maps to itself."""

    maps = None


def only(numbers):
    assert len(numbers) == 1
    return numbers[0]


# --- a folder against images of the same names ------------------------------------------------------------------------


def test_images_of_one_name_are_pairs_whatever_their_order_and_ending():
    real, made = pixels(), noisy(pixels())
    order = np.array([4, 1, 0, 5])
    ids = tuple(f"out/{row:02}.jpg" for row in order)
    found = only(paired.psnr(material(side(made[order], ids), side(real))))
    kept = np.sort(order)
    assert found.value == pytest.approx(psnr.psnr(made[kept], real[kept]).mean())
    assert (
        "images of one name; the mean is over 4" in found.notes[0]
        and found.protocol.real == found.protocol.generated == 4
    )
    assert found.interval.low < found.value < found.interval.high


def test_folders_count_where_the_last_parts_of_names_are_not_unique():
    real, made = pixels(4), noisy(pixels(4))
    ids = ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png")
    jpegs = tuple(name.replace("png", "jpg") for name in ids)
    found = only(paired.ssim(material(side(made[::-1], jpegs[::-1]), side(real, ids))))
    assert found.value == pytest.approx(ssim.ssim(made, real).mean())


def test_without_a_common_name_there_are_no_pairs():
    made = side(pixels(), tuple(f"sample{row}.png" for row in range(6)))
    with pytest.raises(NotApplicable, match="no generated image has the name of a real one"):
        paired.psnr(material(made, side(pixels())))
    with pytest.raises(NotApplicable, match="make no pairs"):
        paired.psnr(material(side(pixels(side=28)), side(pixels())))


def test_the_worst_pairs_are_named():
    real, made = pixels(), noisy(pixels())
    made[3] = 255 - real[3]
    for measure in (paired.psnr, paired.ssim):
        worst = only(measure(material(side(made), side(real)))).details["worst"]
        assert worst[0]["image"] == "03.png" and [pair["value"] for pair in worst] == sorted(p["value"] for p in worst)


def test_equal_pairs_count_as_a_hundred_decibels_and_are_told_of():
    real, made = pixels(), noisy(pixels())
    made[:2] = real[:2]
    found = only(paired.psnr(material(side(made), side(real))))
    assert found.value == pytest.approx((psnr.psnr(made[2:], real[2:]).sum() + 200) / len(real))
    assert any("2 pairs are equal" in note for note in found.notes) and found.details["equal"] == 2
    json.dumps(found.to_dict(), allow_nan=False)
    assert only(paired.psnr(material(side(real), side(real)))).value == 100
    assert only(paired.ssim(material(side(real), side(real)))).value == 1


def test_whoever_has_more_equal_pairs_is_not_thought_the_worse():
    """Left out, thirty perfect pairs of forty would leave a mean of the ten bad ones alone."""
    real = np.full((40, 16, 16, 1), 100, np.uint8)
    half_right, never_right = real.copy(), real + np.uint8(15)
    half_right[30:] += 20
    subjects = []
    for name, made in (("half", half_right), ("never", never_right)):
        numbers = paired.psnr(material(side(made), side(real)))
        subjects.append(Evaluation(name, {}, tuple(numbers)))
    (difference,) = differences(subjects)
    assert difference.verdict == "half"


def test_a_single_pair_has_no_interval():
    real = pixels()
    found = only(paired.psnr(material(side(noisy(real)[:1], ("02.png",)), side(real))))
    assert found.interval is None and "over 1 of them" in found.notes[0]


def test_transparent_pixels_are_compared_on_white():
    real = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 4), dtype=np.uint8)
    made = real.copy()
    real[..., 3], made[..., 3] = real[..., 3] // 2, real[..., 3] // 3
    found = only(paired.psnr(material(side(made), side(real))))
    sides = [np.stack([composite(image) for image in images]) for images in (made, real)]
    assert found.value == pytest.approx(psnr.psnr(*sides).mean())
    hidden = made.copy()
    hidden[..., 3] = 0
    bright = hidden.copy()
    bright[..., :3] = 255 - bright[..., :3]
    assert only(paired.ssim(material(side(hidden), side(bright)))).value == 1


# --- a model's reconstructions ----------------------------------------------------------------------------------------


def test_a_model_that_encodes_is_judged_by_its_reconstructions():
    real = pixels(70)
    judged = material(side(pixels(2)), side(real), model=Blur())
    found = only(paired.psnr(judged))
    expected = np.clip(np.rint(((real / 127.5 - 1) * 0.9 + 1) * 127.5), 0, 255).astype(np.uint8)
    assert found.name == "PSNR of reconstructions"
    assert found.value == pytest.approx(psnr.psnr(expected, real).mean(), abs=0.01)
    assert found.protocol.real == 70


def test_as_many_images_as_asked_for_are_reconstructed_and_the_same_ones_for_every_seed():
    judged = material(side(pixels(2)), side(pixels(70)), model=Blur(), options={"pairs": 20})
    first, second = (only(paired.ssim(replace(judged, seed=seed))) for seed in (0, 1))
    assert first.protocol.real == 20 and first.value == second.value
    assert not first.protocol.differences(second.protocol)
    assert judged.model.seen == 2 * 24  # in whole tiles of 8


def test_a_model_is_told_what_is_known_of_the_images():
    real = pixels(20)
    bright = real.reshape(20, -1).mean(1)
    labels = (bright / 127.5 - 1 > 0).astype(np.int64)
    assert 0 < labels.sum() < 20
    right, wrong = (side(real, labels=known) for known in (labels, 1 - labels))
    model = Blur(contrast=1.0, wants=0.0)
    assert only(paired.ssim(material(side(real), right, model=model))).value == 1
    assert only(paired.ssim(material(side(real), wrong, model=model))).value < 0.5


def test_what_a_model_that_cannot_encode_makes_belongs_to_no_image():
    class Sampler(nn.Module):
        name = "sampler"

    judged = material(side(pixels()), side(pixels()), model=Sampler())
    with pytest.raises(NotApplicable, match="'sampler' cannot encode images"):
        paired.psnr(judged)


@pytest.mark.parametrize("pairs", [0, -1, 2.5, True, "many"])
def test_a_number_of_pairs_that_cannot_be_is_refused(pairs):
    judged = material(side(pixels()), side(pixels()), model=Blur(), options={"pairs": pairs})
    with pytest.raises(ConfigError, match="pairs="):
        paired.psnr(judged)


# --- the measures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3])
def test_the_preset_is_the_protocol_of_super_resolution(scale):
    real, made = pixels(side=36), noisy(pixels(side=36))
    judged = material(side(made), side(real), options={"preset": f"sr-x{scale}"})
    each = [evaluate_pair(a, b, scale) for a, b in zip(made, real, strict=True)]
    for measure, place, name in ((paired.psnr, 0, "PSNR"), (paired.ssim, 1, "SSIM")):
        found = only(measure(judged))
        assert found.value == pytest.approx(np.mean(each, axis=0)[place]) and found.name == f"{name} (Y, x{scale})"
        plain = only(measure(replace(judged, options={})))
        assert any("preset" in line for line in found.protocol.differences(plain.protocol))


def test_the_preset_has_no_other_measures_and_no_other_names():
    judged = material(side(noisy(pixels())), side(pixels()), extractor=Maps(), options={"preset": "sr-x2"})
    for measure in (paired.ms_ssim, paired.perceptual):
        with pytest.raises(NotApplicable, match="sr-x2 is a protocol of PSNR and SSIM"):
            measure(judged)
    with pytest.raises(ConfigError, match="unknown preset 'sr-x8'"):
        paired.psnr(replace(judged, options={"preset": "sr-x8"}))


@pytest.mark.parametrize(("size", "scales", "name"), [(24, 2, "MS-SSIM (paired, 2 of 5 scales)"), (176, 5, "MS-SSIM")])
def test_the_scales_that_fit_are_in_the_name(size, scales, name):
    real, made = pixels(2, size), noisy(pixels(2, size), std=40)
    found = only(paired.ms_ssim(material(side(made), side(real))))
    assert found.value == pytest.approx(ssim.ms_ssim(made, real, scales=scales).mean())
    assert found.name.startswith(name) and found.protocol.settings["scales"] == scales
    assert any("too small" in note for note in found.notes) == (scales < 5)


def test_images_smaller_than_a_window_have_no_similarity_but_a_psnr():
    real = pixels(side=8)
    judged = material(side(noisy(real)), side(real))
    for measure in (paired.ssim, paired.ms_ssim):
        with pytest.raises(NotApplicable, match="8x8 are smaller than its window of 11"):
            measure(judged)
    assert only(paired.psnr(judged)).value > 20


def test_the_perceptual_distance_is_named_after_its_network():
    real = pixels(130)
    values = [
        only(paired.perceptual(material(side(noisy(real, s)), side(real), extractor=Maps()))) for s in (2, 10, 40)
    ]
    assert [number.value for number in values] == sorted(number.value for number in values)
    assert values[0].name == "LPD-Toy" and values[0].better == "lower" and values[0].protocol.features == "Toy"
    assert "never compare it with LPIPS" in values[0].notes[0]
    assert only(paired.perceptual(material(side(real), side(real), extractor=Maps()))).value == 0


@pytest.mark.parametrize("extractor", [None, Pooled()])
def test_a_perceptual_distance_needs_maps(extractor):
    with pytest.raises(NotApplicable, match="--features lite0"):
        paired.perceptual(material(side(pixels()), side(pixels()), extractor=extractor))


def test_on_lite0_blur_and_noise_are_further_away_the_stronger_they_are():
    from limner.features.lite0 import Lite0

    real, extractor = pixels(4, 64), Lite0(side=64)
    blurred = [resize(resize(real, 1 / factor), factor) for factor in (2, 8)]
    spoilt = [*blurred, noisy(real, 5), noisy(real, 50)]
    found = [only(paired.perceptual(material(side(made), side(real), extractor=extractor))) for made in spoilt]
    values = [number.value for number in found]
    assert found[0].name == "LPD-Lite0" and 0 < values[0] < values[1] and 0 < values[2] < values[3]
