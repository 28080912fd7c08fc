"""The geometric measures: names, protocols and intervals of their numbers, and what they say where they do not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from limner.errors import ConfigError
from limner.evaluation.material import ImageSet, Material, NotApplicable
from limner.evaluation.measures import geometry
from limner.features.extractor import Features
from limner.rng import generator
from limner.types import DataSpec

MEASURES = ["precision_recall", "density_coverage", "mind", "sliced_wasserstein", "diversity", "ndb"]


class Corners:
    """An extractor for tests: an image's values at 4x4 places."""

    name, sha256, dimension, classes, resize, precision = "Corners", "ab" * 32, 16, 0, "none", "fp32"

    def __call__(self, images: np.ndarray) -> Features:
        return Features(images[:, ::4, ::4, :1].reshape(len(images), -1)[:, :16].astype(np.float32))


def image_set(count: int, *, index: int = 0, size: int = 16, classes: int = 2, channels: int = 1) -> ImageSet:
    rng = generator(0, "geometry", index)
    coarse = rng.integers(0, 256, size=(count, 4, 4, channels), dtype=np.uint8)
    images = np.kron(coarse, np.ones((1, size // 4, size // 4, 1), np.uint8))
    labels = np.arange(count) % classes if classes else None
    return ImageSet(f"set {index}", images, f"{index:x}-{count}-{size}-{channels}", labels)


@pytest.fixture
def material() -> Material:
    spec = DataSpec(1, 16, 16, classes=("cat", "dog"))
    return Material(image_set(60), image_set(48, index=1), spec, split="test", extractor=Corners(), seed=3)


def numbers(material: Material, measure: str):
    return {number.name: number for number in getattr(geometry, measure)(material)}


def test_numbers_are_named_after_their_features(material):
    found = [name for measure in MEASURES for name in numbers(material, measure)]
    assert found == [
        "precision-Corners",
        "recall-Corners",
        "density-Corners",
        "coverage-Corners",
        "MIND-Corners",
        "MIND-Corners (debiased)",
        "SWD",
        "MS-SSIM",
        "MS-SSIM within classes",
        "spread-Corners",
        "NDB/K-pixels",
        "JSD-pixels",
    ]


@pytest.mark.parametrize("measure", MEASURES)
def test_every_number_has_an_interval_around_it_and_a_protocol(material, measure):
    for number in numbers(material, measure).values():
        assert number.interval.low <= number.value <= number.interval.high
        protocol = number.protocol
        assert (protocol.generated, protocol.real, protocol.split, protocol.seed) == (60, 48, "test", 3)
        assert protocol.features == ("Corners" if "Corners" in number.name else None)
        json.dumps(number.to_dict(), allow_nan=False)


@pytest.mark.parametrize("measure", MEASURES)
def test_two_numbers_of_one_measure_are_never_taken_for_each_other(material, measure):
    protocols = [number.protocol for number in numbers(material, measure).values()]
    assert all(one.differences(other) for place, one in enumerate(protocols) for other in protocols[:place])


def test_the_real_set_itself_scores_as_well_as_can_be(material):
    same = material.judging(material.real)
    found = {name: number.value for measure in MEASURES for name, number in numbers(same, measure).items()}
    for name, value in {
        "precision-Corners": 1,
        "recall-Corners": 1,
        "coverage-Corners": 1,
        "MIND-Corners": 0,
        "SWD": 0,
        "spread-Corners": 1,
        "NDB/K-pixels": 0,
        "JSD-pixels": 0,
    }.items():
        assert found[name] == pytest.approx(value, abs=1e-3), name


def test_options_are_part_of_the_protocol_and_are_checked(material):
    asked = replace(material, options={"precision_recall_k": 7, "ndb_bins": 3, "ndb_space": "features"})
    assert numbers(asked, "precision_recall")["recall-Corners"].protocol.settings == {"k": 7}
    assert numbers(asked, "ndb")["NDB/K-Corners"].protocol.settings == {"bins": 3}
    for option, measure in (("mind_directions", "mind"), ("diversity_pairs", "diversity")):
        for value in (0, 1.5, True, "many"):
            with pytest.raises(ConfigError, match=option):
                numbers(replace(material, options={option: value}), measure)
    with pytest.raises(ConfigError, match="ndb_space='colour'"):
        numbers(replace(material, options={"ndb_space": "colour"}), "ndb")


@pytest.mark.parametrize("measure", ["precision_recall", "density_coverage", "mind"])
def test_without_a_feature_space_it_says_what_is_missing(material, measure):
    with pytest.raises(NotApplicable, match="--features"):
        numbers(replace(material, extractor=None), measure)


def test_without_a_feature_space_diversity_has_what_needs_none(material):
    assert set(numbers(replace(material, extractor=None), "diversity")) == {"MS-SSIM", "MS-SSIM within classes"}


def test_without_classes_on_both_sides_nothing_is_said_within_classes(material):
    bare = replace(material, real=image_set(48, index=1, classes=0))
    assert "MS-SSIM within classes" not in numbers(bare, "diversity")
    alone = material.judging(image_set(5, index=2, classes=5))  # each class has one image
    assert "MS-SSIM within classes" not in numbers(alone, "diversity")


def test_variety_stands_beside_that_of_the_real_set(material):
    collapsed = material.judging(replace(image_set(60, index=2), images=np.repeat(image_set(1).images, 60, axis=0)))
    found = numbers(collapsed, "diversity")
    assert found["MS-SSIM"].value == pytest.approx(1)
    assert found["MS-SSIM"].details["real"]["value"] < 0.5 and found["spread-Corners"].value == 0
    assert found["MS-SSIM within classes"].details["per class"] == pytest.approx({"cat": 1, "dog": 1})


@pytest.mark.parametrize(
    ("measure", "count", "message"),
    [
        ("precision_recall", 3, "with k=3 it needs 4 images"),
        ("density_coverage", 5, "with k=5 it needs 6 images"),
        ("diversity", 1, "two images or more"),
        ("ndb", 15, "15 real images do not fill 2 bins"),
    ],
)
def test_too_few_images_are_not_measured_and_it_is_said_how_many_it_needs(material, measure, count, message):
    few = replace(material, generated=image_set(count), real=image_set(count, index=1))
    with pytest.raises(NotApplicable, match=message):
        numbers(few, measure)


@pytest.mark.parametrize("measure", [name for name in MEASURES if name != "ndb"])
def test_a_value_without_an_interval_says_so(material, measure):
    few = replace(material, generated=image_set(7), real=image_set(7, index=1))
    for number in numbers(few, measure).values():
        assert (number.interval is None) == (geometry.NO_INTERVAL in number.notes)


@pytest.mark.parametrize(
    ("other", "measure", "message"),
    [
        (image_set(60, size=32), "sliced_wasserstein", "one size"),
        (image_set(60, channels=3), "sliced_wasserstein", "channels"),
        (image_set(60, size=32), "ndb", "ndb_space=features"),
    ],
)
def test_unlike_images_are_not_compared_pixel_by_pixel(material, other, measure, message):
    with pytest.raises(NotApplicable, match=message):
        numbers(material.judging(other), measure)


def test_small_images_have_no_pyramid(material):
    small = replace(material, generated=image_set(60, size=8), real=image_set(48, index=1, size=8), extractor=None)
    with pytest.raises(NotApplicable, match="16 pixels or more"):
        numbers(small, "sliced_wasserstein")
    with pytest.raises(NotApplicable, match="11 pixels or more, or a feature space"):
        numbers(small, "diversity")
