"""The batches of a run are a function of (seed, step)."""

from itertools import islice

import numpy as np
import pytest
import torch
from data_cases import picture, write

from limner.data import open_data
from limner.data.loader import Loader, to_batch
from limner.errors import ConfigError


@pytest.fixture
def dataset(tmp_path):
    files = {f"{kind}/{seed:02d}.png": picture(seed, 6, 4) for seed, kind in enumerate("ab" * 15)}
    texts = {name.replace("png", "txt"): f"first {name}\nsecond {name}" for name in files}
    return open_data(write(tmp_path, files | texts))


def batches(dataset, steps, **options):
    loader = Loader(dataset, **{"batch_size": 8, "seed": 3, "flip": True, **options})
    found = list(islice(loader, steps))
    loader.close()
    return found


def equal(one, other):
    return np.array_equal(one.image, other.image) and np.array_equal(one.label, other.label) and one.text == other.text


@pytest.mark.parametrize("batch_size", [1, 7, 8, 30, 64])
def test_every_image_comes_exactly_once_per_epoch(dataset, batch_size):
    loader = Loader(dataset, batch_size=batch_size, seed=0)
    epochs = 4 if batch_size < 30 else 32
    steps = -(-epochs * len(dataset) // batch_size)
    order = np.concatenate([loader.indices(step) for step in range(steps)])
    assert all(len(loader.indices(step)) == batch_size for step in range(steps))
    for epoch in range(epochs):
        assert sorted(order[epoch * 30 : epoch * 30 + 30]) == list(range(30))
    assert not np.array_equal(order[:30], order[30:60])


def test_indices_do_not_depend_on_what_was_asked_before(dataset):
    straight = [Loader(dataset, batch_size=8, seed=0).indices(step) for step in range(40)]
    loader = Loader(dataset, batch_size=8, seed=0)
    for step in np.random.default_rng(0).permutation(40):
        assert np.array_equal(loader.indices(int(step)), straight[step])


def test_seeds_give_other_orders(dataset):
    assert not equal(batches(dataset, 1)[0], batches(dataset, 1, seed=4)[0])


def test_iteration_goes_on_from_any_step(dataset):
    whole = batches(dataset, 12)
    for start in (1, 5, 11):
        assert equal(batches(dataset, 1, start=start)[0], whole[start])


def test_worker_processes_change_nothing_and_end(dataset):
    state = torch.get_rng_state()
    assert all(map(equal, batches(dataset, 12, start=2), batches(dataset, 12, start=2, workers=2)))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.multiprocessing.active_children() == []


def test_flips_mirror_some_images_left_to_right(dataset):
    plain, flipped = batches(dataset, 5, flip=False), batches(dataset, 5)
    pairs = [(a, b) for x, y in zip(plain, flipped, strict=True) for a, b in zip(x.image, y.image, strict=True)]
    mirrored = [np.array_equal(b, a[:, ::-1]) for a, b in pairs]
    assert all(m or np.array_equal(a, b) for m, (a, b) in zip(mirrored, pairs, strict=True))
    assert 5 < sum(mirrored) < 35


def test_all_captions_of_an_image_are_used(dataset):
    texts = {text for batch in batches(dataset, 40) for text in batch.text}
    assert texts == {caption for captions in dataset.captions for caption in captions}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_tensors_hold_the_same_pixels_in_minus_one_to_one(dataset, memory_format):
    raw = dataset.batch(np.arange(4))
    batch = to_batch(raw, "cpu", memory_format)
    assert batch.image.shape == (4, 3, 6, 4) and batch.image.dtype == torch.float32
    assert batch.image.is_contiguous(memory_format=memory_format)
    back = ((batch.image + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
    assert np.array_equal(back, raw.image)
    assert batch.condition.label.tolist() == raw.label.tolist() and batch.condition.text == raw.text
    assert batch.condition.attributes is None


def test_black_and_white_are_exactly_minus_one_and_one(dataset):
    raw = dataset.batch(np.arange(1))
    raw.image[:] = 0
    raw.image[:, :, 1:] = 255
    assert to_batch(raw).image.unique().tolist() == [-1.0, 1.0]


def test_batch_size_below_one_is_an_error(dataset):
    with pytest.raises(ConfigError, match="batch_size=0"):
        Loader(dataset, batch_size=0, seed=0)
