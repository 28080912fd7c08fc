"""An evaluation takes every measure that fits, says why the others do not, and sets floors beside the numbers."""

import hashlib
import json

import numpy as np
import pytest

from limner.errors import ConfigError, DataError, Interrupted
from limner.evaluation import measures
from limner.evaluation.evaluate import Evaluation, evaluate
from limner.evaluation.material import ImageSet, Material, NotApplicable
from limner.features.extractor import Extractor, Features
from limner.metrics.number import Number
from limner.types import DataSpec

SPEC = DataSpec(channels=3, height=4, width=4)


class MeanColour:
    """A feature space of three numbers, which counts the images it sees."""

    name, sha256, dimension, classes = "MeanColour", "ab" * 32, 3, 0
    resize, precision = "none", "fp32"

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return Features(images.mean(axis=(1, 2)).astype(np.float32))


class Toy:
    """A measure that is a function."""

    def __init__(self, name, function, floors=False):
        self.name, self.summary, self.floors, self.function = name, name, floors, function

    def load(self):
        return self.function


def images(level, count=5, name="made"):
    pixels = np.full((count, 4, 4, 3), level, np.uint8)
    return ImageSet(name, pixels, hashlib.sha256(pixels.tobytes()).hexdigest(), ids=tuple(map(str, range(count))))


def gap(material):
    """How far the mean features are apart."""
    made, real = (material.features(side).pooled.mean() for side in (material.generated, material.real))
    return [Number("gap", float(abs(made - real)), "lower", material.protocol("gap", features=True))]


def unfit(material):
    raise NotApplicable("it needs classes")


def broken(material):
    raise DataError("3 of the images are not finite")


def material(**given):
    return Material(images(10), images(30, 7, "real"), SPEC, split="test", extractor=MeanColour(), **given)


def found(*toys, floors=(), **given):
    return evaluate(material(**given), toys, subject="it", about={}, floors=floors)


def test_a_number_comes_with_the_protocol_of_its_material():
    (number,) = found(Toy("gap", gap), seed=3).numbers
    assert number.value == 20
    protocol = number.protocol
    assert (protocol.features, protocol.features_sha256, protocol.generated, protocol.real) == (
        "MeanColour",
        "ab" * 32,
        5,
        7,
    )
    assert (protocol.split, protocol.data_sha256, protocol.seed) == ("test", images(30, 7).digest, 3)


def test_what_does_not_fit_and_what_fails_is_listed_with_the_reason():
    result = found(Toy("cas", unfit), Toy("gap", gap), Toy("fd", broken))
    assert result.skipped == (("cas", "it needs classes"), ("fd", "DataError: 3 of the images are not finite"))
    assert [number.name for number in result.numbers] == ["gap"]


def test_floors_are_measured_as_the_images_are_and_only_where_they_set_a_scale():
    result = found(
        Toy("gap", gap, floors=True), Toy("other", gap), floors=[("noise", images(130)), ("real", images(30))]
    )
    assert {name: [number.value for number in numbers] for name, numbers in result.floors.items()} == {
        "noise": [100.0],
        "real": [0.0],
    }


def test_features_are_computed_once_for_each_side():
    given = material()
    evaluate(given, [Toy("gap", gap), Toy("again", gap)], subject="it", about={})
    assert given.extractor.seen == 12


def test_one_image_many_times_is_looked_at_once():
    extractor = MeanColour()
    many = ImageSet("mean", np.broadcast_to(np.full((4, 4, 3), 9, np.uint8), (1_000, 4, 4, 3)), "d")
    pooled = Material(many, images(1), SPEC, extractor=extractor).features(many).pooled
    assert pooled.shape == (1_000, 3) and (pooled == 9).all() and extractor.seen == 1


def test_features_of_chunks_are_features_of_the_whole():
    whole = images(10, 600)
    assert np.array_equal(material().features(whole).pooled, MeanColour()(whole.images).pooled)


def test_without_a_feature_space_the_way_out_is_named():
    bare = Material(images(10), images(30), SPEC)
    result = evaluate(bare, [Toy("gap", gap)], subject="it", about={})
    assert result.skipped[0][1].endswith("choose one with --features")


def test_rows_of_a_side_are_a_side_of_their_own():
    whole = images(10, 6)
    part = whole.take(np.array([4, 1]))
    assert part.ids == ("4", "1") and len(part) == 2 and part.digest != whole.digest
    assert part.digest == whole.take(np.array([4, 1])).digest != whole.take(np.array([1, 4])).digest


def test_the_toy_extractor_is_one():
    assert isinstance(MeanColour(), Extractor)


def test_every_measure_of_the_table_exists_and_says_what_it_is():
    for name, measure in measures.MEASURES.items():
        assert callable(measure.load()) and measure.summary and measure.name == name


def test_a_metric_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean kid"):
        measures.chosen(["fd", "kidd"])


@pytest.mark.parametrize(
    "error", [Interrupted("stopped", 2), ConfigError("kid_kernel='foo' is none of polynomial, gaussian")]
)
def test_a_signal_or_a_setting_that_is_refused_ends_the_evaluation(error):
    """Told as one more measure that could not be taken, neither would be seen, and the exit code would be 0."""

    def ending(material):
        raise error

    with pytest.raises(type(error)):
        evaluate(Material(images(9), images(8), SPEC), [Toy("ending", ending)], subject="s", about={})


@pytest.mark.parametrize("wrong", [{"value": "12"}, {"value": True}, {"interval": {"low": None, "high": 1.0}}])
def test_numbers_that_are_none_are_refused_when_read(wrong, tmp_path):
    found = evaluate(
        Material(images(9), images(8), SPEC, extractor=MeanColour()), [Toy("gap", gap)], subject="s", about={}
    )
    values = found.to_dict()
    values["numbers"][0] |= wrong
    (tmp_path / "evaluation.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="is not an evaluation"):
        Evaluation.load(tmp_path / "evaluation.json")
