"""Damaged images: a picture or BadImage comes out, soon, and the memory stays bounded."""

import time

import pytest
from image_memory import peak_growth
from image_mutator import FORMATS, SEEDS_PER_FORMAT, mutants, seeds

from limner.errors import BadImage
from limner.images.read import decode

SLOWEST = 2.0  # seconds of this process for one image
MEMORY = 512  # MiB


def decode_all(images):
    """How many could be decoded and how many not; any other exception is the failure."""
    good = bad = 0
    for name, data in images:
        start = time.process_time()
        try:
            assert decode(data).shape[2] in (1, 3, 4)
            good += 1
        except BadImage:
            bad += 1
        took = time.process_time() - start
        assert took < SLOWEST, f"{name} took {took:.1f} s"
    return good, bad


def test_seeds_are_many_and_sound():
    for name in FORMATS:
        images = seeds()[name]
        assert len(images) >= SEEDS_PER_FORMAT
        assert decode_all((name, image) for image in images) == (len(images), 0)


def test_mutants_are_the_same_every_time():
    assert list(mutants(60, seed=5)) == list(mutants(60, seed=5))
    assert list(mutants(60, seed=5)) != list(mutants(60, seed=6))


@pytest.mark.parametrize("number", [10_000, pytest.param(100_000, marks=pytest.mark.heavy)])
def test_mutants_are_decoded_or_refused(number):
    with peak_growth() as growth:
        good, bad = decode_all(mutants(number, seed=number))
    assert good + bad == number
    assert good > number / 10 and bad > number / 10  # the damage is neither harmless nor always fatal
    assert growth.mebibytes < MEMORY
