"""The two sides: which images are held against which, the same for every seed and every batch."""

import numpy as np
import pytest
import torch
from PIL import Image
from runs import build

from limner.bundle import Bundle
from limner.data import DataConfig
from limner.errors import ConfigError, DataError
from limner.evaluation import sides, subject
from limner.evaluation.material import ImageSet
from limner.tasks import conditions
from limner.training.inference import fit_density


def write(folder, count, *, size=(20, 16), first=0):
    folder.mkdir(parents=True)
    for place in range(first, first + count):
        pixels = np.random.default_rng(place).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place:03d}.png")


def bank(dataset):
    return conditions.bank(dataset.labels, dataset.attributes, dataset.known, dataset.spec, seed=0)


def test_the_held_out_split_is_preferred_and_training_images_show_what_real_scores(tmp_path):
    write(tmp_path / "train", 30)
    write(tmp_path / "test", 12, first=50)
    found = sides.reference(tmp_path, DataConfig(), n=10)
    assert (found.split, len(found.real), len(found.train), len(found.held_out)) == ("test", 10, 30, 12)
    again = {image.tobytes() for image in found.again.images}  # the test split has only two left, so: training images
    assert len(again) == 10 and again <= {image.tobytes() for image in found.train.images}


def test_what_a_split_has_left_shows_what_real_scores(tmp_path):
    write(tmp_path / "all", 30)
    found = sides.reference(tmp_path / "all", DataConfig(), n=12)
    real, again = ({image.tobytes() for image in side.images} for side in (found.real, found.again))
    assert found.split == "train" and found.held_out is None and len(real) == len(again) == 12 and not real & again
    assert sides.reference(tmp_path / "all", DataConfig(), n=20).again is None


def test_the_real_side_is_the_same_every_time(tmp_path):
    write(tmp_path / "all", 30)
    first, second = (sides.reference(tmp_path / "all", DataConfig(), n=12).real for _ in range(2))
    assert first.digest == second.digest and np.array_equal(first.images, second.images)


def test_a_split_that_is_absent_or_too_small_is_refused(tmp_path):
    write(tmp_path / "one", 1)
    write(tmp_path / "two", 2)
    with pytest.raises(DataError, match="has 1 images"):
        sides.reference(tmp_path / "one", DataConfig(), n=5)
    with pytest.raises(DataError, match="no split 'test'"):
        sides.reference(tmp_path / "two", DataConfig(), n=5, split="test")


def test_samples_are_those_of_the_seed_with_the_classes_they_were_made_for(shapes):
    model = build("vae", shapes).eval()
    made = sides.sampled(model, bank(shapes), 11, seed=5)
    again, other = sides.sampled(model, bank(shapes), 9, seed=5), sides.sampled(model, bank(shapes), 11, seed=6)
    assert np.array_equal(made.images[:9], again.images) and made.digest not in (again.digest, other.digest)
    assert np.array_equal(made.labels, conditions.draw(bank(shapes), 5, range(11)).label.numpy())
    assert made.attributes.shape == (11, shapes.spec.attribute_width)


def test_a_model_that_does_not_listen_was_asked_for_nothing(shapes):
    made = sides.sampled(build("vae", shapes, conditional="none").eval(), bank(shapes), 4, seed=0)
    assert made.labels is None and made.attributes is None
    with pytest.raises(ConfigError, match="n=1"):
        sides.sampled(build("vae", shapes).eval(), bank(shapes), 1, seed=0)


def test_many_samples_lie_in_a_file_and_are_the_same(shapes, monkeypatch):
    model = build("vae", shapes).eval()
    held = sides.sampled(model, bank(shapes), 9, seed=0)
    monkeypatch.setattr("limner.evaluation.material.RESIDENT", 0)
    filed = sides.sampled(model, bank(shapes), 9, seed=0)
    assert isinstance(filed.images, np.memmap) and np.array_equal(held.images, filed.images)


def test_the_gaussian_floor_has_the_mean_and_covariance_of_the_pixels():
    rng = np.random.default_rng(0)
    mixing = rng.normal(0, 12, (4, 4))
    images = (128 + rng.normal(size=(1_500, 4)) @ mixing).clip(0, 255).astype(np.uint8).reshape(-1, 2, 2, 1)
    drawn = sides.gaussian(images, 20_000).reshape(-1, 4).astype(float)
    flat = images.reshape(-1, 4).astype(float)
    assert np.allclose(drawn.mean(0), flat.mean(0), atol=1)
    assert np.allclose(np.cov(drawn.T), np.cov(flat.T), atol=0.05 * np.cov(flat.T).max())


def test_the_mean_image_takes_the_room_of_one():
    images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    mean = sides.mean_image(images, 1_000)
    assert mean.shape == (1_000, 2, 2, 3) and mean.strides[0] == 0 and np.array_equal(mean[7], np.rint(images.mean(0)))


def test_floors_are_as_many_as_asked_and_alike_every_time(tmp_path):
    write(tmp_path / "all", 20)
    reference = sides.reference(tmp_path / "all", DataConfig(), n=8)
    first, second = (dict(sides.floors(reference, 6)) for _ in range(2))
    assert list(first) == ["real", "Gaussian", "mean image", "noise"]
    assert all(first[name].digest == second[name].digest for name in first)
    assert len({each.digest for each in first.values()}) == 4 and len(first["noise"]) == 6


# --- subjects -------------------------------------------------------------------------------------------------------


def test_a_folder_is_judged_at_its_own_size_not_at_that_of_training(tmp_path):
    write(tmp_path / "big", 3, size=(96, 80))
    found = subject.of_folder(tmp_path / "big", DataConfig())
    assert (
        found.readings[0].resolution == "96x80"
        and found.shape == (3, 96, 80)
        and found.images.images.shape == (3, 96, 80, 3)
    )
    smaller = subject.of_folder(tmp_path / "big", DataConfig(resolution=32))
    assert smaller.images.images.shape[1:3] == (32, 32)


def test_a_model_brings_its_own_shape(shapes):
    model = build("vae", shapes).eval()
    fit_density(model, shapes, seed=0)
    loaded = Bundle(model, {"dataset": "shapes", "steps": 3}, bank(shapes), "0" * 64)
    found = subject.of_model(loaded, name="run", reading={"fit": "pad", "workers": 3}, digest="d")
    height, width = shapes.spec.height, shapes.spec.width
    as_trained, by_shape = found.readings
    assert (as_trained.resolution, as_trained.fit, as_trained.workers) == (None, "pad", 3)
    assert (by_shape.resolution, by_shape.fit) == (f"{height}x{width}", "pad") and found.shape == shapes.spec.shape
    with torch.no_grad():
        assert found.generated(5, seed=0, options={"temperature": 0.5}).images.shape[0] == 5
    with pytest.raises(ConfigError, match="temperatur"):
        found.generated(5, seed=0, options={"temperatur": 0.5})


def test_floors_and_chosen_images_lie_in_files_where_they_are_large(monkeypatch):
    stream = np.random.default_rng(0)
    images = ImageSet("real", stream.integers(0, 256, (40, 8, 8, 3), np.uint8), "ab")
    rows = np.array([3, 30, 4])

    def made():
        return sides.gaussian(images.images, 300), sides.noise((8, 8, 3), 300), images.take(rows).images

    held = made()
    monkeypatch.setattr("limner.evaluation.material.RESIDENT", 0)
    monkeypatch.setattr(sides, "AT_ONCE", 1)  # one column of pixels after the other
    for memory, file in zip(held, made(), strict=True):
        assert isinstance(file, np.memmap) and not isinstance(memory, np.memmap)
        assert np.abs(memory.astype(int) - file).max() <= 1  # sums of floats in another order may round otherwise
    assert np.array_equal(held[2], images.images[rows])
