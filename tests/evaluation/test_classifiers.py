"""Networks that judge: repeatable, kept, never dependent on company, and robust to data that is hardly there."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from copying import of_dataset

from limner import durable
from limner.data import open_data
from limner.data.cache import home
from limner.errors import DataError, DiskError, Interrupted
from limner.evaluation import classifiers
from limner.evaluation.classifiers import encoded, plain, predict, self_features, train_classifier, train_contrastive
from limner.evaluation.material import ImageSet
from limner.features.selftrained import weights_sha256
from limner.metrics.frechet import frechet_distance
from limner.types import DataSpec

SHOWN = 3_000


class Writers(NamedTuple):
    """Handwritten digits of 8x8 by some writers, and by others."""

    spec: DataSpec
    train: ImageSet
    test: ImageSet


@pytest.fixture(scope="module")
def writers(limner_home):
    train, test = (open_data("builtin:digits", split=split) for split in ("train", "test"))
    return Writers(train.spec, of_dataset(train, slice(400)), of_dataset(test, slice(300)))


@pytest.fixture
def new_home(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def no_training(monkeypatch):
    """Whoever trains, fails."""

    def fail(*_):
        raise AssertionError("it was trained again")

    monkeypatch.setattr(classifiers, "_train", fail)


def right(classifier, images):
    return float((predict(classifier, images).logits.argmax(axis=1) == images.labels).mean())


# --- training ---------------------------------------------------------------------------------------------------------


def test_it_learns_to_read_digits_by_other_writers(writers):
    classifier = train_classifier(writers.train, writers.spec, shown=SHOWN)
    assert right(classifier, writers.test) > 0.8 and not classifier.training


def test_labels_that_mean_nothing_teach_nothing(writers):
    shuffled = replace(writers.train, labels=np.random.default_rng(0).permutation(writers.train.labels))
    assert right(train_classifier(shuffled, writers.spec, shown=SHOWN), writers.test) < 0.25


def test_training_again_gives_the_same_bits(writers, new_home, monkeypatch):
    first = train_classifier(writers.train, writers.spec, shown=300)
    monkeypatch.setenv("LIMNER_HOME", str(new_home / "another"))
    assert weights_sha256(train_classifier(writers.train, writers.spec, shown=300)) == weights_sha256(first)
    assert weights_sha256(train_classifier(writers.train, writers.spec, shown=300, seed=1)) != weights_sha256(first)


def test_training_leaves_the_random_state_of_others_alone(writers, new_home):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train_classifier(writers.train, writers.spec, shown=200)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stop_is_passed_on_and_says_what_was_lost(writers, monkeypatch, new_home):
    def stopped(trainer):
        raise Interrupted("stopped at step 3, saved. To go on: …", 15)

    monkeypatch.setattr(classifiers.Trainer, "run", stopped)
    with pytest.raises(Interrupted, match="nothing of it was kept") as caught:
        train_classifier(writers.train, writers.spec)
    assert caught.value.exit_code == 143


# --- the cache --------------------------------------------------------------------------------------------------------


def test_a_judge_is_trained_once(writers, new_home, request):
    first = train_classifier(writers.train, writers.spec, shown=200)
    request.getfixturevalue("no_training")
    assert weights_sha256(train_classifier(writers.train, writers.spec, shown=200)) == weights_sha256(first)


@pytest.mark.parametrize(
    "other",
    [
        {"shown": 201},
        {"seed": 1},
        {"config": {"flip": True}},
        {"images": {"labels": "shuffled"}},
        {"images": {"digest": "other pixels"}},
        {"spec": {"classes": tuple("abcdefghij")}},
    ],
)
def test_another_question_is_another_judge(writers, new_home, request, other):
    train_classifier(writers.train, writers.spec, shown=200)
    request.getfixturevalue("no_training")
    changes = dict(other)
    images = replace(writers.train, **changes.pop("images", {}))
    if isinstance(images.labels, str):
        images = replace(images, labels=writers.train.labels[::-1])
    spec = replace(writers.spec, **changes.pop("spec", {}))
    with pytest.raises(AssertionError, match="trained again"):
        train_classifier(images, spec, **{"shown": 200, **changes})


def test_a_damaged_judge_is_trained_again(writers, new_home):
    first = train_classifier(writers.train, writers.spec, shown=200)
    (weights,) = (home() / "judges").rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    assert weights_sha256(train_classifier(writers.train, writers.spec, shown=200)) == weights_sha256(first)
    (weights,) = (home() / "judges").rglob("model.safetensors")
    assert durable.verify(weights.parent)


def test_a_cache_that_cannot_be_written_does_no_harm(writers, new_home, monkeypatch):
    def full(*_):
        raise DiskError("no space left")

    monkeypatch.setattr(classifiers.bundle, "save", full)
    assert train_classifier(writers.train, writers.spec, shown=200).training is False
    assert not (home() / "judges").exists()


def test_old_judges_make_room(writers, new_home, monkeypatch):
    monkeypatch.setattr(classifiers, "KEPT", 2)
    for seed in range(3):
        train_classifier(writers.train, writers.spec, shown=100, seed=seed)
    assert len(list((home() / "judges").iterdir())) == 2


# --- what it says -----------------------------------------------------------------------------------------------------


def test_what_it_says_of_an_image_does_not_depend_on_the_others(writers):
    classifier = train_classifier(writers.train, writers.spec, shown=SHOWN)
    together = predict(classifier, writers.test)
    part = predict(classifier, writers.test.take(np.arange(130, 150)))
    assert np.allclose(part.outputs, together.outputs[130:150], atol=1e-6)
    alone = predict(classifier, writers.test.take(np.array([7])))
    assert np.allclose(alone.features[0], together.features[7], atol=1e-6)
    assert predict(classifier, writers.test.take(np.arange(128))).outputs.tobytes() == together.outputs[:128].tobytes()
    assert together.logits.shape == (300, 10) and together.features.shape == (300, 128)


def test_images_of_another_size_are_refused(writers):
    wrong = ImageSet("large", np.zeros((3, 16, 16, 1), np.uint8), "x", np.zeros(3, np.int64))
    with pytest.raises(DataError, match="bring both to one size"):
        predict(train_classifier(writers.train, writers.spec, shown=SHOWN), wrong)
    with pytest.raises(DataError, match="bring both to one size"):
        train_classifier(wrong, writers.spec)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": None}, "nothing is known"),
        ({"labels": np.full(400, -1)}, "nothing is known"),
        ({"labels": np.full(300, 10)}, "label 10, but there are 10 classes"),
    ],
)
def test_labels_that_say_nothing_are_refused(writers, changes, said):
    with pytest.raises(DataError, match=said):
        train_classifier(replace(writers.train, **changes), writers.spec)


def test_no_images_are_refused(writers):
    with pytest.raises(DataError, match="has no images"):
        train_classifier(writers.train.take(np.arange(0)), writers.spec)


def test_attributes_of_another_width_are_refused(shapes):
    images = ImageSet("few", np.array(shapes.images), "x", shapes.labels, np.zeros((64, 2), np.float32))
    with pytest.raises(DataError, match="2 wide"):
        train_classifier(images, shapes.spec)


def test_what_is_known_is_laid_out_as_the_outputs_are(shapes):
    known = np.array(shapes.known)
    known[0] = False
    images = ImageSet("shapes", shapes.images, "x", np.array(shapes.labels), shapes.attributes, known)
    images.labels[1] = -1
    values, mask = encoded(images, shapes.spec)
    classes = len(shapes.spec.classes)
    assert np.array_equal(values[2:, :classes].argmax(axis=1), images.labels[2:])
    assert not mask[1, :classes].any() and not values[1, :classes].any() and mask[2:].all()
    assert np.array_equal(values[:, classes:], shapes.attributes) and not mask[0, classes:].any()


# --- data that is hardly there ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_handful_of_images_is_enough_to_train_on(writers, count):
    classifier = train_classifier(writers.train.take(np.arange(count)), writers.spec, shown=300)
    assert np.isfinite(predict(classifier, writers.test).outputs).all()


def test_one_class_is_no_question_and_no_crash(writers):
    one = replace(writers.train, labels=np.zeros(400, np.int64))
    classifier = train_classifier(one, replace(writers.spec, classes=("digit",)), shown=300)
    assert predict(classifier, writers.test).logits.shape == (300, 1)


def test_a_class_that_was_never_shown_is_never_seen(writers):
    classifier = train_classifier(
        writers.train.take(np.flatnonzero(writers.train.labels != 3)), writers.spec, shown=SHOWN
    )
    assert 3 not in predict(classifier, writers.test).logits.argmax(axis=1)


def test_more_data_is_shown_more_of_up_to_a_limit():
    shown = [classifiers.images_to_show(count) for count in (1, 200, 500, 1_000, 60_000)]
    assert shown == [12_000, 12_000, 30_000, 60_000, 60_000]


# --- features ---------------------------------------------------------------------------------------------------------


def test_features_of_labelled_data_are_the_classifiers_own(writers):
    """The plain network with folded normalisation gives what the classifier gives."""
    classifier = train_classifier(writers.train, writers.spec, shown=SHOWN)
    mine = self_features(writers.train, writers.spec, shown=SHOWN)
    found, wanted = mine(writers.test.images), predict(classifier, writers.test)
    np.testing.assert_allclose(found.pooled, wanted.features, atol=1e-4, rtol=1e-3)
    np.testing.assert_allclose(found.logits, wanted.logits, atol=1e-3, rtol=1e-3)
    assert mine.dimension == 128 and mine.classes == 10 and mine.name.startswith("Self-")


def test_features_of_data_without_labels_are_learned_by_contrast(writers):
    bare = DataSpec(*writers.spec.shape)
    mine = self_features(replace(writers.train, labels=None), bare, shown=1_000)
    network = train_contrastive(writers.train, writers.spec, shown=1_000)
    assert mine.classes == 0 and mine(writers.test.images).logits is None
    assert mine.sha256 == weights_sha256(plain(network.trunk, bare))
    with torch.no_grad():
        wanted = network(torch.tensor(writers.test.images[:50]).permute(0, 3, 1, 2).float() / 127.5 - 1)
    np.testing.assert_allclose(mine(writers.test.images[:50]).pooled, wanted, atol=1e-4, rtol=1e-3)


def test_features_of_another_training_have_another_name(writers):
    names = {self_features(writers.train, writers.spec, shown=200, seed=seed).name for seed in (0, 1, 0)}
    assert len(names) == 2


@pytest.mark.parametrize("labelled", [True, False])
def test_worse_images_are_further_away(writers, labelled):
    """Other writers < a little noise < much noise, by the Fréchet distance of the features."""
    spec = writers.spec if labelled else DataSpec(*writers.spec.shape)
    mine = self_features(writers.train if labelled else replace(writers.train, labels=None), spec, shown=SHOWN)
    images, noise = writers.test.images, np.random.default_rng(0).normal(size=writers.test.images.shape)
    ladder = [np.clip(images + size * noise, 0, 255).astype(np.uint8) for size in (0, 80, 250)]
    train = mine(writers.train.images).pooled
    distances = [frechet_distance(train, mine(images).pooled) for images in ladder]
    assert distances[1] > 1.4 * distances[0] and distances[2] > 1.4 * distances[1]
