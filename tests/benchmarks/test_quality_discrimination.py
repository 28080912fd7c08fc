"""The ways of spoiling images that metrics are tried on: each step spoils more, and only what it says."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.quality_discrimination import (
    STRENGTHS,
    blurred,
    compressed,
    dropped,
    falls_with_quality,
    noisy,
    truncated,
)

from limner.rng import generator

LABELS = np.repeat(np.arange(10), 30)


def pictures(channels: int) -> np.ndarray:
    coarse = generator(0, "spoilt").integers(0, 256, size=(5, 8, 8, channels), dtype=np.uint8)
    return np.kron(coarse, np.ones((1, 4, 4, 1), np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("way", "spoil"), [("noise", noisy), ("blur", blurred), ("JPEG", compressed)])
def test_each_step_moves_images_farther_from_what_they_were(channels, way, spoil):
    images = pictures(channels)
    spoilt = [spoil(images, strength) for strength in STRENGTHS[way]]
    assert all(step.shape == images.shape and step.dtype == np.uint8 for step in spoilt)
    errors = [np.square(step.astype(float) - images).mean() for step in spoilt]
    assert errors == sorted(errors) and errors[0] > 0


@pytest.mark.parametrize(("share", "kept"), [(0, 10), (0.2, 8), (0.8, 2)])
def test_classes_that_are_kept_fill_up_evenly(share, kept):
    rows = dropped(LABELS, generator(0, "order").permutation(300), share)[:40]
    counts = np.bincount(LABELS[rows], minlength=10)
    assert len(set(rows.tolist())) == 40
    assert (counts[:kept] == 40 // kept).all() and not counts[kept:].any()


def test_truncation_draws_at_random_from_the_nearest_only():
    nearness, order = np.arange(100) / 100, generator(0, "order").permutation(100)
    assert (truncated(nearness, order, 1) == order).all()
    assert sorted(truncated(nearness, order, 0.2)) == list(range(20))


@pytest.mark.parametrize(
    ("row", "higher", "worse"),
    [
        ([1, 2, 3], False, True),
        ([1, 2, 2], False, False),
        ([0, 0, 1], False, False),
        ([0.9, 0.5, 0], True, True),
        ([0.9, 0, 0], True, True),
        ([0.9, 0.5, 0.5], True, False),
        ([0.9, 0, 0.1], True, False),
    ],
)
def test_a_metric_discriminates_when_every_step_makes_it_worse(row, higher, worse):
    assert falls_with_quality(row, higher=higher) == worse
