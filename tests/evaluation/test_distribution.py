"""The measures of distribution: names, protocols, notes for small sets, options, and where they do not apply."""

from __future__ import annotations

import json

import numpy as np
import pytest

from limner.errors import ConfigError
from limner.evaluation.material import ImageSet, Material, NotApplicable
from limner.evaluation.measures.distribution import classifier_score, frechet, kernel
from limner.features.extractor import Features
from limner.metrics.frechet import frechet_distance
from limner.rng import generator
from limner.types import DataSpec


class Pixels:
    """Features that are the pixels, logits that are some of them."""

    sha256, dimension, resize, precision = "p" * 64, 12, "none", "fp32"

    def __init__(self, name: str = "Pixels", classes: int = 4) -> None:
        self.name, self.classes = name, classes

    def __call__(self, images: np.ndarray) -> Features:
        rows = images.reshape(len(images), -1).astype(np.float32) / 255
        return Features(rows, 8 * rows[:, : self.classes] if self.classes else None)


def images(name: str, count: int, high: int = 255) -> ImageSet:
    pixels = generator(0, f"distribution {name}").integers(high, size=(count, 2, 2, 3)).astype(np.uint8)
    return ImageSet(name, pixels, f"{name} {count}")


def material(count: int = 60, *, extractor=None, real: int | None = None, **options) -> Material:
    chosen = Pixels() if extractor is None else extractor
    sides = images("generated", count, 200), images("real", real or count)
    return Material(*sides, DataSpec(3, 2, 2), extractor=chosen, options=options)


def test_a_number_carries_the_name_of_its_features():
    assert [number.name for number in frechet(material())] == ["FD-Pixels", "FD-Pixels (debiased)"]
    assert [number.name for number in kernel(material())] == ["KID-Pixels"]
    assert [number.name for number in classifier_score(material())] == ["classifier score-Pixels"]


def test_only_inception_has_the_published_names():
    inception = Pixels("Inception")
    names = [measure(material(extractor=inception))[0].name for measure in (frechet, kernel, classifier_score)]
    assert names == ["FID", "KID", "IS"]


@pytest.mark.parametrize("measure", [frechet, kernel, classifier_score])
def test_numbers_have_an_interval_and_are_plain_values(measure):
    for number in measure(material()):
        assert number.interval is not None and number.protocol.features == "Pixels"
        json.dumps(number.to_dict(), allow_nan=False)


def test_the_published_number_is_the_plain_distance_in_its_own_interval():
    given = material()
    published, debiased = frechet(given)
    rows = [given.features(side).pooled for side in (given.generated, given.real)]
    assert published.value == pytest.approx(frechet_distance(*rows), rel=1e-9)
    assert published.interval.low <= published.value <= published.interval.high
    assert published.details["debiased"] == debiased.value < published.value


@pytest.mark.parametrize("count", [2, 9, 11])
def test_too_few_images_are_told_to_read_the_kernel_distance(count):
    published = frechet(material(count))[0]
    assert any(f"N={count} is below the 12 feature dimensions" in note and "KID" in note for note in published.notes)


def test_intervals_can_be_left_out_and_an_extrapolation_added():
    quick, whole = frechet(material(fd_intervals=False)), frechet(material(fd_infinity=True))
    assert len(quick) == 1 and quick[0].interval is None and quick[0].value == whole[0].value
    assert len(whole[0].details["infinity"]["distances"]) >= 10


def test_the_kernel_and_the_published_protocol_are_options_that_protocols_tell_apart():
    plain, gaussian = kernel(material())[0], kernel(material(kid_kernel="gaussian", kid_bandwidth=2.0))[0]
    assert gaussian.name == "MMD-Pixels" and plain.protocol.differences(gaussian.protocol)
    subsets = kernel(material(1000, kid_subsets=2))[0]
    assert subsets.interval is None and subsets.protocol.settings["subset_size"] == 1000


def test_where_they_do_not_apply_they_say_why():
    with pytest.raises(NotApplicable, match="no logits"):
        classifier_score(material(extractor=Pixels(classes=0)))
    with pytest.raises(NotApplicable, match="two images"):
        frechet(material(1))
    with pytest.raises(NotApplicable, match="1,000"):
        kernel(material(kid_subsets=2))
    with pytest.raises(NotApplicable, match="--features"):
        frechet(Material(images("a", 5), images("b", 5), DataSpec(3, 2, 2)))


@pytest.mark.parametrize(
    ("measure", "options"),
    [
        (frechet, {"fd_intervals": 1}),
        (kernel, {"kid_kernel": "gausian"}),
        (kernel, {"kid_kernel": "gaussian", "kid_bandwidth": "wide"}),
        (kernel, {"kid_subsets": 0}),
        (classifier_score, {"classifier_score_splits": True}),
    ],
)
def test_options_that_cannot_be_used_are_refused(measure, options):
    with pytest.raises(ConfigError, match=next(reversed(options))):
        measure(material(**options))
