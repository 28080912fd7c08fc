"""What judges say of good images, of bad ones, and of almost none: never without what they say of real ones."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from copying import image_set, of_dataset
from test_detectors import detector as fixed_detector
from test_detectors import pure

from limner.data import DataConfig, open_data
from limner.errors import ConfigError
from limner.evaluation import classifiers
from limner.evaluation.material import Material, NotApplicable
from limner.evaluation.measures import by_models
from limner.evaluation.measures.by_models import cas, detector, recognition
from limner.metrics.number import Number
from limner.types import Attribute, DataSpec

OPTIONS = {"classifier_images": 2_500}


@pytest.fixture(scope="module")
def digits_material(limner_home):
    """Real digits that play the made ones, by writers that the training images do not know."""
    train, test = (open_data("builtin:digits", split=split) for split in ("train", "test"))
    made, held_out = of_dataset(test, slice(200)), of_dataset(test, slice(200, 360))
    return Material(
        replace(made, name="made"),
        held_out,
        train.spec,
        "test",
        train=of_dataset(train, slice(500)),
        held_out=held_out,
        options=OPTIONS,
    )


@pytest.fixture(scope="module")
def shapes_material(limner_home):
    """Drawn shapes of known factors."""
    data = open_data("builtin:shapes?n=900", DataConfig(resolution=16), split=None)
    parts = [of_dataset(data, slice(start, start + 300)) for start in (0, 300, 600)]
    options = {"classifier_images": 5_000, "classifier": {"shift": 0.0, "width": 8}}
    return Material(replace(parts[0], name="made"), parts[1], data.spec, "all", train=parts[2], options=options)


def judged(material, **changes):
    """The same material with other images to judge."""
    return replace(material, generated=replace(material.generated, **changes))


def shuffled(images):
    rows = np.random.default_rng(0).permutation(len(images))
    return {
        name: None if part is None else np.asarray(part)[rows]
        for name, part in (("labels", images.labels), ("attributes", images.attributes), ("known", images.known))
    }


def by_name(numbers):
    return {number.name: number for number in numbers}


# --- the classification accuracy score ------------------------------------------------------------------------------


def test_real_images_in_the_place_of_made_ones_reach_the_ceiling(digits_material):
    numbers = by_name(cas(digits_material))
    assert list(numbers) == ["CAS (generated→real)", "CAS (real→generated)", "CAS (real→real)"]
    for number in numbers.values():
        assert number.value > 0.6 and number.interval.low < number.value < number.interval.high
        assert "Wilson" in number.interval.method
        assert number.details["real→real"] == numbers["CAS (real→real)"].value
        assert number.protocol.settings["trained on"] == 200
        assert Number.from_dict(number.to_dict()) == number
    made = numbers["CAS (generated→real)"]
    assert made.details["per class"].keys() == set(digits_material.spec.classes)
    assert np.sum(made.details["confusion"]) == 160
    assert made.value == pytest.approx(np.trace(made.details["confusion"]) / 160)


def test_images_that_do_not_show_what_was_asked_teach_and_score_nothing(digits_material):
    material = judged(digits_material, **shuffled(digits_material.generated))
    numbers = by_name(cas(material))
    assert numbers["CAS (generated→real)"].value < 0.3 and numbers["CAS (real→generated)"].value < 0.3
    assert numbers["CAS (real→real)"].value > 0.6


def test_the_ceiling_is_one_and_the_same_for_every_model(digits_material):
    other = judged(digits_material, **shuffled(digits_material.generated))
    materials = (digits_material, other, replace(digits_material, seed=7))
    ceilings = [by_name(cas(material))["CAS (real→real)"] for material in materials]
    assert len({number.value for number in ceilings}) == 1
    assert ceilings[0].protocol.differences(ceilings[2].protocol) == []


def test_another_budget_is_another_protocol(digits_material):
    first, second = (
        cas(replace(digits_material, options={"classifier_images": shown}))[0].protocol for shown in (300, 400)
    )
    assert first.differences(second) == ["settings.shown in training: 300 against 400"]


@pytest.mark.parametrize(
    ("spec", "changes", "said"),
    [
        ({"classes": ()}, {}, "the data has 0"),
        ({"classes": ("digit",)}, {}, "the data has 1"),
        ({}, {"labels": None}, "is not known"),
        ({}, {"labels": np.full(200, -1)}, "is not known"),
    ],
)
def test_without_classes_there_is_no_such_score(digits_material, spec, changes, said):
    material = replace(judged(digits_material, **changes), spec=replace(digits_material.spec, **spec))
    with pytest.raises(NotApplicable, match=said):
        cas(material)


# --- which real images the judge sees -------------------------------------------------------------------------------


def test_one_set_of_real_images_is_halved(digits_material):
    material = replace(digits_material, train=None, held_out=None)
    number = by_name(cas(material))["CAS (real→real)"]
    assert "trained on half" in number.notes[0] and number.value > 0.5
    assert number.protocol.settings["trained on"] == number.protocol.settings["asked about"] == 80
    train, test, _ = by_models._real_sides(material, material.spec)
    assert not {*train.ids} & {*test.ids}


def test_no_judge_is_asked_about_an_image_that_it_was_trained_on(digits_material):
    """The real side may be a part of the training images, under another digest and other names."""
    train = digits_material.train
    part = replace(train.take(np.arange(100)), digest="part", ids=())
    sides = by_models._real_sides(replace(digits_material, real=part, held_out=None), digits_material.spec)
    assert (len(sides[0]), len(sides[1])) == (400, 100) and "100 training images" in sides[2][0]
    seen = {hashlib.sha256(image.tobytes()).digest() for image in sides[0].images}
    assert not seen & {hashlib.sha256(image.tobytes()).digest() for image in sides[1].images}


def test_training_images_as_the_only_real_ones_are_halved(digits_material):
    train = digits_material.train
    sides = by_models._real_sides(replace(digits_material, real=train, held_out=None), digits_material.spec)
    assert (len(sides[0]), len(sides[1])) == (250, 250)


def test_too_few_real_images_are_said_to_be_so(digits_material):
    few = digits_material.held_out.take(np.arange(3))
    with pytest.raises(NotApplicable, match="only 3 real images"):
        cas(replace(digits_material, train=None, held_out=None, real=few))
    bare = replace(digits_material.held_out, labels=None)
    with pytest.raises(NotApplicable, match="only 0 real images"):
        cas(replace(digits_material, train=None, held_out=None, real=bare))


# --- recognition by a classifier ------------------------------------------------------------------------------------


def test_the_class_asked_for_is_recognised_beside_that_of_real_images(digits_material):
    (number,) = recognition(digits_material)
    assert number.name == "Recognition of the class" and number.value > 0.7
    beside = number.details["on real images"]
    assert beside["count"] == 160 and beside["interval"][0] < beside["value"] < beside["interval"][1]
    assert f"reaches {beside['value']:.3f}" in number.notes[-1]
    assert 0.5 < number.details["mean probability of what was asked for"] <= 1
    assert 0.02 <= number.details["temperature"] <= 50 and 0 <= number.details["calibration error"] < 0.3
    assert Number.from_dict(number.to_dict()) == number


def test_a_model_that_does_not_listen_is_found_out(digits_material):
    (number,) = recognition(judged(digits_material, **shuffled(digits_material.generated)))
    assert number.value < 0.3 and number.details["on real images"]["value"] > 0.7


def test_every_attribute_has_its_own_number(shapes_material):
    numbers = by_name(recognition(shapes_material))
    kinds = {attribute.name: attribute.kind for attribute in shapes_material.spec.attributes}
    wanted = {f"Recognition of {name}{' (Spearman)' * (kind == 'continuous')}" for name, kind in kinds.items()}
    assert set(numbers) == wanted | {"Recognition of the class"}
    assert numbers["Recognition of colour"].value > 0.5 and numbers["Recognition of x (Spearman)"].value > 0.8
    assert numbers["Recognition of x (Spearman)"].details["mean absolute error"] < 0.15  # of a picture's width
    for number in numbers.values():
        assert number.details["on real images"]["value"] == pytest.approx(number.value, abs=0.2)


def test_attributes_that_were_not_shown_are_not_recognised(shapes_material):
    numbers = by_name(recognition(judged(shapes_material, **shuffled(shapes_material.generated))))
    assert numbers["Recognition of colour"].value < 0.3 and abs(numbers["Recognition of x (Spearman)"].value) < 0.25


def test_what_is_known_of_no_image_has_no_number(shapes_material):
    known = np.array(shapes_material.generated.known)
    known[:, -1] = False
    last = shapes_material.spec.attributes[-1].name
    names = by_name(recognition(judged(shapes_material, known=known)))
    assert not any(last in name for name in names) and "Recognition of colour" in names


def test_asking_for_one_value_only_is_no_order(shapes_material):
    same = np.array(shapes_material.generated.attributes)
    same[:, -1] = 0.5
    names = by_name(recognition(judged(shapes_material, attributes=same)))
    assert f"Recognition of {shapes_material.spec.attributes[-1].name} (Spearman)" not in names


def test_binary_and_multilabel_attributes_are_recognised():
    """Grey squares: bright or dark is the binary attribute, the halves that are lit the labels."""
    attributes = (Attribute("bright", "binary", ("no", "yes")), Attribute("lit", "multilabel", ("left", "right")))
    spec = DataSpec(1, 8, 8, attributes=attributes)

    def lamps(seed, count=120):
        signs = np.where(np.random.default_rng(seed).random((count, 3)) < 0.5, -1, 1).astype(np.float32)
        images = np.full((count, 8, 8, 1), 20, np.uint8)
        for image, (bright, left, right) in zip(images, signs, strict=True):
            image[:, :4] += np.uint8(100 * (left > 0))
            image[:, 4:] += np.uint8(100 * (right > 0))
            image += np.uint8(50 * (bright > 0))
        noise = np.random.default_rng(seed).integers(0, 9, images.shape).astype(np.uint8)
        return image_set(f"lamps {seed}", images + noise, attributes=signs, known=np.ones(signs.shape, bool))

    material = Material(lamps(0), lamps(1), spec, train=lamps(2), options={"classifier_images": 5_000})
    numbers = by_name(recognition(material))
    assert set(numbers) == {"Recognition of bright", "Recognition of lit"}
    assert all(number.value > 0.95 for number in numbers.values())
    assert numbers["Recognition of lit"].details["per value"].keys() == {"left", "right"}
    assert set(numbers["Recognition of bright"].details["per class"]) == {"no", "yes"}


def of_one_class(material):
    parts = (material.generated, material.real, material.train)
    made, real, train = (replace(part, labels=np.zeros(len(part), np.int64)) for part in parts)
    spec = replace(material.spec, classes=("digit",))
    return Material(made, real, spec, train=train, options={"classifier_images": 200})


def test_nothing_asked_for_is_nothing_recognised(digits_material):
    with pytest.raises(NotApplicable, match="nothing was asked for"):
        recognition(judged(digits_material, labels=None))
    with pytest.raises(NotApplicable, match="one and the same"):
        recognition(of_one_class(digits_material))


@pytest.mark.parametrize(("name", "value"), [("classifier_images", 0), ("classifier_images", "many")])
def test_a_budget_that_is_none_is_refused(digits_material, name, value):
    with pytest.raises(ConfigError, match=name):
        recognition(replace(digits_material, options={name: value}))


def test_settings_of_the_classifier_are_checked_and_belong_to_the_protocol(digits_material):
    with pytest.raises(ConfigError, match="did you mean model.shift"):
        recognition(replace(digits_material, options={"classifier": {"shfit": 0.1}}))
    (number,) = recognition(replace(digits_material, options={"classifier_images": 300, "classifier": {"width": 4}}))
    assert number.protocol.settings["classifier.width"] == 4


# --- data that is hardly there --------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [cas, recognition])
@pytest.mark.parametrize("count", [1, 20])
def test_a_handful_of_made_images_gives_a_wide_interval_and_no_crash(digits_material, measure, count):
    material = replace(
        digits_material,
        generated=digits_material.generated.take(np.arange(count)),
        train=digits_material.train.take(np.arange(20)),
        held_out=None,
        real=digits_material.real.take(np.arange(20)),
        options={"classifier_images": 300},
    )
    for number in measure(material):
        assert 0 <= number.interval.low <= number.value <= number.interval.high <= 1
        assert number.interval.high - number.interval.low > 0.15


@pytest.mark.parametrize("measure", [cas, recognition])
def test_classes_missing_on_either_side_do_no_harm(digits_material, measure):
    def without(images, label):
        return images.take(np.flatnonzero(np.asarray(images.labels) != label))

    material = replace(
        digits_material,
        generated=without(digits_material.generated, 1),
        train=without(digits_material.train, 2),
        held_out=without(digits_material.held_out, 3),
        options={"classifier_images": 300},
    )
    numbers = by_name(measure(material))
    if measure is cas:
        assert numbers["CAS (generated→real)"].details["per class"]["3"] is None
        assert numbers["CAS (real→generated)"].details["per class"]["1"] is None
    else:
        assert numbers["Recognition of the class"].details["per class"]["1"] is None


# --- recognition by a detector --------------------------------------------------------------------------------------

COLOURS = DataSpec(3, 4, 4, classes=("cat", "lamp", "bus"))


def colours(name, labels, wrong=0):
    """Pure colours, of which the first few show another class than was asked for."""
    shown = np.array(labels)
    shown[:wrong] = (shown[:wrong] + 1) % 3
    return image_set(name, pure(shown.tolist()), labels=np.array(labels))


def colour_material(wrong=0, **options):
    made = colours("made", [0, 1, 2] * 20, wrong)
    real = colours("real", [0, 1, 2] * 10)
    names = {"lamp": "traffic light"}
    return Material(made, real, COLOURS, options={"detector": fixed_detector(), "detector_names": names, **options})


def test_a_detector_finds_what_was_asked_for(limner_home):
    numbers = by_name(detector(colour_material()))
    assert list(numbers) == [
        "Detector recall (fixed)",
        "Detector precision (fixed)",
        "Detector average precision (fixed)",
    ]
    for number in numbers.values():
        assert number.value == 1 and number.details["on real images"]["value"] == 1
        assert number.details["chance"] == pytest.approx(1 / 3) and "real images reach 1.000" in number.notes
        assert number.protocol.settings["looked at"] == 60
        assert Number.from_dict(number.to_dict()) == number


def test_a_detector_misses_what_was_not_shown():
    number = by_name(detector(colour_material(wrong=15)))["Detector recall (fixed)"]
    assert number.value == pytest.approx(0.75) and number.interval.low < 0.75 < number.interval.high
    assert number.details["on real images"]["value"] == 1


def test_captions_take_the_place_of_classes():
    texts = ["a bus in the rain"] * 60
    numbers = by_name(detector(colour_material(captions=texts)))
    assert numbers["Detector recall (fixed)"].value == pytest.approx(1 / 3)
    with pytest.raises(ConfigError, match="2 captions do not fit 60 images"):
        detector(colour_material(captions=texts[:2]))


def test_only_so_many_images_are_looked_at():
    numbers = detector(colour_material(detector_images=12))
    assert numbers[0].protocol.settings["looked at"] == 12
    with pytest.raises(ConfigError, match="detector_images"):
        detector(colour_material(detector_images=0))


def test_without_a_detector_it_says_how_to_bring_one(digits_material):
    with pytest.raises(NotApplicable, match="in the option detector"):
        detector(digits_material)


def test_a_detector_that_knows_nothing_of_it_says_so():
    with pytest.raises(NotApplicable, match="detector_names"):
        detector(replace(colour_material(), spec=replace(COLOURS, classes=("oak", "elm", "fir"))))


def test_real_images_without_classes_leave_the_detector_without_a_ceiling():
    material = colour_material()
    number = detector(replace(material, real=replace(material.real, labels=None)))[0]
    assert number.details["on real images"] is None and "cannot be measured" in number.notes[0]


def test_the_budget_follows_the_images(digits_material):
    settings = recognition(replace(digits_material, options={"classifier_images": 300}))[0].protocol.settings
    assert settings["shown in training"] == 300
    assert by_models._budget(replace(digits_material, options={}), 250)["shown in training"] == (
        classifiers.images_to_show(250)
    )
