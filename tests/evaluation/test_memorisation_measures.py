"""The measures of copying on a material: copies are found and named, honest images are not, attacks succeed or fail."""

import json

import numpy as np
import pytest
from copying import Thumbnails, image_set, learned_by_heart, material, noise, of_dataset
from runs import few

from limner.data import open_data
from limner.evaluation.material import NotApplicable
from limner.evaluation.measures.memorisation import membership, memorisation
from limner.metrics.number import Number


@pytest.fixture(scope="module")
def all_digits(limner_home):
    return open_data("builtin:digits", split=None)


@pytest.fixture(scope="module")
def sides(all_digits):
    """Training images, held-out ones, and other digits: 300 each, of the same writers."""
    rows = np.random.Generator(np.random.Philox(5)).permutation(len(all_digits))[:900]
    return [of_dataset(all_digits, np.sort(part)) for part in np.split(rows, 3)]


def judged(all_digits, generated, **given):
    numbers = memorisation(material(all_digits, generated, **given))
    return {number.name.partition(" (")[0]: number for number in numbers}


def test_other_digits_show_no_sign(all_digits, sides):
    train, held_out, others = sides
    found = judged(all_digits, others, train=train, held_out=held_out)
    assert found["copied share"].details["verdict"] == "no sign" and found["copied share"].interval.level == 0.99
    assert found["copied share"].interval.low < 0 < found["copied share"].interval.high
    assert found["near duplicates"].details["expected of images that are no copies"] == pytest.approx(0.01)
    assert set(found) == {"copied share", "near duplicates", "distance ratio", "AuthPct", "C_T"}


def test_copies_with_a_little_noise_are_found_and_named(all_digits, sides):
    train, held_out, others = sides
    images = np.array(others.images)
    images[:60] = (train.images[:60].astype(int) + noise(60) // 64).clip(0, 255)
    found = judged(all_digits, image_set("copies", images), train=train, held_out=held_out)["copied share"]
    assert found.details["verdict"] == "copies"
    flagged = found.details["flagged"]
    assert len(flagged) == 24 and all(one["row"] < 60 and one["train"] == train.ids[one["row"]] for one in flagged)
    assert all(one["distance"] < one["second_distance"] / 3 for one in flagged)


def test_without_held_out_images_training_images_are_the_baseline_and_that_is_said(all_digits, sides):
    train, _, others = sides
    found = judged(all_digits, others, train=train)
    assert "copied share" not in found and "training images are the baseline" in found["close copies"].notes[0]
    assert "300 other training images" in found["AuthPct"].notes[0]


def test_an_extractor_adds_a_second_space_and_one_verdict_covers_both(all_digits, sides):
    train, held_out, others = sides
    numbers = memorisation(material(all_digits, others, train=train, held_out=held_out, extractor=Thumbnails()))
    assert [number.name for number in numbers[:2]] == ["copied share (pixels)", "copied share (Thumbnails)"]
    assert [number.protocol.features for number in numbers[:2]] == [None, "Thumbnails"]
    assert numbers[0].value == pytest.approx(numbers[1].value)  # the same pixels, twice
    assert ["verdict" in number.details for number in numbers] == [True] + 9 * [False]
    assert [reason.partition(":")[0] for reason in numbers[0].details["reasons"]] == ["pixels", "Thumbnails"]


def test_numbers_are_plain_values_and_name_what_they_were_measured_on(all_digits, sides):
    train, held_out, others = sides
    for number in memorisation(material(all_digits, others, train=train, held_out=held_out)):
        assert Number.from_dict(json.loads(json.dumps(number.to_dict()))).value == number.value
        assert number.protocol.settings["train_sha256"] == train.digest and number.protocol.settings["held_out"] == 300
        assert number.interval.low <= number.value <= number.interval.high


def test_a_few_images_leave_out_what_they_are_too_few_for_and_say_so(all_digits, sides):
    train, held_out, others = sides
    numbers = memorisation(material(all_digits, others.take(np.arange(12)), train=train, held_out=held_out))
    assert numbers[0].details["verdict"] == "cannot tell" and "12 generated images are too few" in numbers[0].notes[0]
    assert "no cell holds 20 of 12" in numbers[0].notes[-1] and len(numbers) == 4


def test_without_training_images_nothing_can_be_said(all_digits, sides):
    for measure in (memorisation, membership):
        with pytest.raises(NotApplicable, match="train"):
            measure(material(all_digits, sides[2], held_out=sides[1]))


# --- membership -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "attack"), [("ae", "reconstruction"), ("vae", "likelihood")])
def test_a_model_that_learned_its_images_by_heart_gives_them_away(name, attack, all_digits):
    members = few(all_digits, 40)
    model = learned_by_heart(name, members, 600, **({"beta": 0.01} if name == "vae" else {}))
    given = {"train": of_dataset(members), "held_out": of_dataset(all_digits, slice(40, 240)), "model": model}
    auc, true_positives = membership(material(all_digits, image_set("none", noise(20)), **given))
    assert auc.name == f"membership AUC ({attack})" and auc.value >= 0.9 and auc.interval.low > 0.75
    assert true_positives.name == f"membership TPR at 1% FPR ({attack})"
    assert true_positives.value == auc.details["tpr"] > 0.2


def test_an_untrained_model_tells_nothing(all_digits):
    members = few(all_digits, 100)
    given = {"train": of_dataset(members), "held_out": of_dataset(all_digits, slice(100, 300))}
    model = learned_by_heart("ae", members, 0)
    auc, _ = membership(material(all_digits, image_set("none", noise(20)), model=model, **given))
    assert auc.value <= 0.6 and auc.interval.low < 0.55


def test_a_folder_is_attacked_by_the_distance_to_its_images(all_digits, sides):
    train, held_out, others = sides
    copies = image_set("copies", np.array(train.images))
    auc, _ = membership(material(all_digits, copies, train=train, held_out=held_out))
    assert auc.name == "membership AUC (distance)" and auc.value == 1
    honest, _ = membership(material(all_digits, others, train=train, held_out=held_out))
    assert honest.interval.low <= 0.5 <= honest.interval.high
