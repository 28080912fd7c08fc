"""Every draw is a function of its key, and the streams of one seed are the same on every machine and for ever."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.rng import ImageRng, StepRng, generator


@pytest.mark.parametrize(
    ("key", "uniform", "integers"),
    [
        ((0, "image", 0), [0.005870863968717166, 0.9348063859273136], [74, 0, 64]),
        ((0, "image", 1), [0.7304443129790322, 0.3449400799169783], [79, 73, 32]),
        ((0, "step", 0), [0.42123424794754327, 0.6472069073303046], [88, 42, 72]),
        ((2**60 + 1, "order", 3), [0.4822491412654998, 0.2862070960517855], [25, 48, 42]),
        ((-1, "weights", 0), [0.9112466016944792, 0.038568351908426], [86, 91, 10]),
        ((123, "torch", 10**6), [0.26306412658152056, 0.4212192095861248], [41, 26, 61]),
    ],
)
def test_streams_are_the_same_for_ever(key, uniform, integers):
    """Pictures that people keep carry their seed: a change here would make every one of them unrepeatable."""
    assert generator(*key).random(2).tolist() == uniform
    assert generator(*key).integers(100, size=3).tolist() == integers


def test_streams_of_different_keys_differ():
    """The high bits of a purpose once pushed the key through float64, where seeds 2^60 and 2^60 + 1 are one."""
    seeds = [0, 1, -1, 2**32, 2**53, 2**53 + 1, 2**60, 2**60 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2]
    purposes = ["image", "step", "order", "torch", "flip", "weights"]
    keys = list(product(seeds, purposes, [0, 1, 2**40, 2**63 + 1], [0, 1]))
    assert len({generator(*key).bytes(16) for key in keys}) == len(keys)


def test_neighbouring_streams_do_not_overlap():
    """A stream is 2^128 draws from the next, so a long one never runs into its neighbour."""
    long = generator(0, "image", 5).integers(2**62, size=20_000)
    assert not set(long.tolist()) & set(generator(0, "image", 6).integers(2**62, size=20_000).tolist())


@given(st.integers(), st.text(max_size=20), st.integers())
def test_any_seed_and_any_purpose_make_a_stream(seed, purpose, index):
    assert generator(seed, purpose, index).random() == generator(seed, purpose, index).random()


def draws(rng):
    return [rng.normal(3, 2), rng.uniform(), rng.integers(10), rng.normal(), rng.uniform(2), rng.integers(7, 4)]


def test_an_images_draws_do_not_depend_on_the_others_nor_on_their_order():
    orders = [[4, 7, 0], [0, 4, 7], [7], [4, 0], list(range(9))]
    made = {tuple(order): draws(ImageRng(11, order)) for order in orders}
    for order, batch in made.items():
        for place, index in enumerate(order):
            alone = draws(ImageRng(11, [index]))
            assert all(torch.equal(part[place], single[0]) for part, single in zip(batch, alone, strict=True))


def test_the_parts_of_a_batch_share_out_the_draws_of_the_whole():
    whole = draws(StepRng(5, 12, start=0, stop=10, total=10))
    parts = [draws(StepRng(5, 12, start=a, stop=b, total=10)) for a, b in [(0, 3), (3, 4), (4, 10)]]
    for place, expected in enumerate(whole):
        assert torch.equal(torch.cat([part[place] for part in parts]), expected)


def test_each_step_and_each_seed_has_its_own_draws():
    made = [StepRng(seed, step, start=0, stop=2, total=2).normal(4) for seed, step in product((0, 1), (0, 1))]
    assert len({tuple(draw.flatten().tolist()) for draw in made}) == 4


@pytest.mark.parametrize("rng", [ImageRng(0, range(4)), StepRng(0, 0, start=0, stop=4, total=4)], ids=["image", "step"])
def test_draws_have_one_row_for_each_image_and_the_promised_types(rng):
    assert rng.rows == 4
    normal, uniform, integers = rng.normal(2, 3), rng.uniform(), rng.integers(5, 2)
    assert (normal.shape, normal.dtype) == ((4, 2, 3), torch.float32)
    assert (uniform.shape, uniform.dtype) == ((4,), torch.float32)
    assert (integers.shape, integers.dtype) == ((4, 2), torch.int64)
    assert 0 <= uniform.min() and uniform.max() < 1 and 0 <= integers.min() and integers.max() < 5


def test_draws_have_the_moments_of_their_distribution():
    rng = ImageRng(0, range(200))
    normal, uniform = rng.normal(1000).numpy(), rng.uniform(1000).numpy()
    counts = np.bincount(rng.integers(10, 1000).flatten().numpy(), minlength=10) / 200_000
    assert abs(normal.mean()) < 0.01 and abs(normal.std() - 1) < 0.01 and abs(uniform.mean() - 0.5) < 0.005
    assert np.allclose(counts, 0.1, atol=0.004)
