"""The classifier score: its two ends, the definition, splits, bias, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from limner.errors import ConfigError, DataError
from limner.metrics.classifier_score import classifier_score
from limner.rng import generator


def logits(count: int, classes: int = 5, index: int = 0) -> np.ndarray:
    return 2 * generator(0, "logits", index).standard_normal((count, classes))


def test_sure_answers_over_all_classes_score_their_number():
    found = classifier_score(100.0 * np.eye(7)[np.arange(70) % 7])
    assert found.value == pytest.approx(7) and found.interval.high == pytest.approx(7)


def test_answers_that_are_all_alike_score_1():
    found = classifier_score(np.tile(logits(1), (40, 1)))
    assert found.value == pytest.approx(1) and found.corrected == pytest.approx(1)


def test_it_is_the_definition():
    rows = logits(200)
    shares = scipy.special.softmax(rows, axis=1)
    truth = np.exp(scipy.special.rel_entr(shares, shares.mean(axis=0)).sum(axis=1).mean())
    assert classifier_score(rows).value == pytest.approx(truth, rel=1e-9)


def test_what_is_added_to_all_logits_changes_nothing():
    rows = logits(50)
    assert classifier_score(rows + 1e4).value == pytest.approx(classifier_score(rows).value, rel=1e-9)


def test_the_bias_of_few_images_is_taken_off():
    truth = classifier_score(logits(20_000, 20)).value
    found = [classifier_score(logits(60, 20, index)) for index in range(1, 40)]
    plain, corrected = np.mean([each.value for each in found]), np.mean([each.corrected for each in found])
    assert abs(corrected - truth) < 0.25 * abs(plain - truth)


def test_splits_need_two_images_each():
    assert classifier_score(logits(19)).split_mean is None
    found = classifier_score(logits(200))
    assert found.split_mean < found.value and found.split_deviation > 0
    assert classifier_score(logits(200)) == found


def test_unusable_logits_are_refused():
    bad = logits(9)
    bad[4, 0] = np.inf
    with pytest.raises(DataError, match="row 4"):
        classifier_score(bad)
    with pytest.raises(DataError, match="1 image"):
        classifier_score(logits(1))
    with pytest.raises(ConfigError, match="1 classes"):
        classifier_score(logits(9, 1))
    with pytest.raises(ConfigError, match="splits=0"):
        classifier_score(logits(9), splits=0)
