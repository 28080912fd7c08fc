"""Nearest training evidence and strips of a latent space, as arrays for the report."""

import numpy as np
import pytest
import runs
from copying import Thumbnails, image_set, material, noise, of_dataset

from limner.evaluation import explain
from limner.evaluation.explain import direction_strips, evidence, pictures, traversals
from limner.evaluation.material import NotApplicable
from limner.images.grid import to_uint8
from limner.tasks import generate


@pytest.fixture(scope="module")
def judged(digits):
    """Noise, of which pictures 2 and 5 are training images 7 and 9, one level brighter."""
    images = noise(8)
    images[[2, 5]] = np.asarray(digits.images)[[7, 9]].clip(0, 254) + 1
    return material(digits, image_set("made", images), train=of_dataset(digits), extractor=Thumbnails())


def test_the_nearest_training_images_are_named_in_both_spaces(judged, digits):
    first, second = evidence(judged, [2, 5], k=3)
    assert (first.row, second.row) == (2, 5) and len(first.features) == len(first.pixels) == 3
    for found, row in ((first, 7), (second, 9)):
        assert found.features[0].row == found.pixels[0].row == row and found.pixels[0].name == digits.ids[row]
        distances = [match.distance for match in found.pixels]
        assert distances == sorted(distances) and 0 < distances[0] < 0.05


def test_of_many_only_the_likeliest_are_looked_at_by_features(judged, digits, monkeypatch):
    """Whoever asks for one cheap number should not wait for the features of every training image."""
    monkeypatch.setattr(explain, "MANY", 30)
    monkeypatch.setattr(explain, "CANDIDATES", 10)
    seen = []

    class Counting(Thumbnails):
        def __call__(self, images):
            seen.append(len(images))
            return super().__call__(images)

    few = material(digits, judged.generated, train=of_dataset(digits), extractor=Counting())
    assert not explain.all_are_looked_at(few)
    first, second = evidence(few, [2, 5], k=3)
    assert first.features[0].row == 7 and second.features[0].row == 9 and sum(seen) <= 8 + 20
    assert [each.pixels for each in evidence(judged, [2, 5], k=3)] == [first.pixels, second.pixels]
    few.features(few.train)
    assert explain.all_are_looked_at(few)
    assert evidence(few, [2, 5], k=3) == evidence(judged, [2, 5], k=3)


def test_the_picture_comes_first_and_then_its_matches(judged, digits):
    shown = pictures(judged, evidence(judged, [2], k=2)[0])
    assert shown.shape == (5, 8, 8, 1) and shown.dtype == np.uint8
    assert np.array_equal(shown[0], judged.generated.images[2])
    assert np.array_equal(shown[1], digits.images[7]) and np.array_equal(shown[3], digits.images[7])


def test_without_an_extractor_pixels_are_left_and_without_training_images_nothing(digits, judged):
    alone = material(digits, judged.generated, train=of_dataset(digits))
    found = evidence(alone, [0], k=100)[0]
    assert found.features == () and len(found.pixels) == 64
    with pytest.raises(NotApplicable, match="training images are not known"):
        evidence(material(digits, judged.generated), [0])


def with_model(dataset, name="gan"):
    model = runs.build(name, dataset).eval()
    return material(dataset, image_set("made", noise(4)), model=model, bank=runs.batch_of(dataset).condition, seed=3)


@pytest.mark.parametrize("strips", [traversals, direction_strips])
def test_strips_hold_the_sample_itself_in_the_middle(strips, digits):
    judged = with_model(digits)
    found = strips(judged, index=5, count=3, steps=5)
    assert found.pictures.shape == (3, 5, 8, 8, 1) and found.pictures.dtype == np.uint8
    sample = to_uint8(generate.generate(judged.model, [5], seed=3, bank=judged.bank).numpy())
    assert all(np.abs(row[2].astype(int) - sample[0]).max() <= 1 for row in found.pictures)
    assert list(found.effects) == sorted(found.effects, reverse=True) and len(found.names) == 3


def test_names_say_which_dimension_moves(digits):
    assert all(name.startswith("dimension ") for name in traversals(with_model(digits)).names)
    assert direction_strips(with_model(digits), count=2).names == ("direction 1", "direction 2")


def test_a_folder_has_no_latents_to_move(digits):
    folder = material(digits, image_set("made", noise(4)))
    for strips in (traversals, direction_strips):
        with pytest.raises(NotApplicable, match="needs a model"):
            strips(folder)
