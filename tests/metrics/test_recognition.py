"""What a detector's scores say, against scikit-learn and by counting."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from limner.errors import DataError
from limner.metrics.recognition import THRESHOLDS, average_precision, recognition

RNG = np.random.default_rng(1)
ASKED = np.eye(4, dtype=bool)[RNG.integers(0, 4, 120)]
SCORES = np.clip(0.5 * ASKED + RNG.random((120, 4)) * 0.6 - 0.05, 0, 1)


def test_average_precision_is_that_of_scikit_learn():
    assert average_precision(SCORES, ASKED) == pytest.approx(average_precision_score(ASKED.ravel(), SCORES.ravel()))
    coarse = SCORES.round(1)  # with equal scores
    assert average_precision(coarse, ASKED) == pytest.approx(average_precision_score(ASKED.ravel(), coarse.ravel()))


def test_recall_and_precision_are_counted_at_each_threshold():
    found = recognition(SCORES, ASKED)
    for threshold, recall, precision in zip(THRESHOLDS, found.recalls, found.precisions, strict=True):
        over = SCORES >= threshold
        assert recall == pytest.approx((over & ASKED).sum() / ASKED.sum())
        assert precision == pytest.approx((over & ASKED).sum() / max(1, over.sum()))
    assert found.recall.value == pytest.approx(np.mean(found.recalls))
    assert found.precision.value == pytest.approx(np.mean(found.precisions))
    assert found.average_precision.value == average_precision(SCORES, ASKED)
    assert found.pictures == 120 and found.chance == 0.25


def test_a_perfect_detector_finds_all_and_nothing_else():
    found = recognition(ASKED.astype(float), ASKED)
    assert found.recall.value == found.precision.value == found.average_precision.value == 1
    assert (found.recall.interval.low, found.recall.interval.high) == (1, 1)


def test_a_blind_detector_finds_nothing():
    found = recognition(np.zeros((120, 4)), ASKED)
    assert found.recall.value == found.precision.value == 0
    assert found.average_precision.value == pytest.approx(found.chance)


def test_scores_that_know_nothing_reach_what_chance_gives():
    values = [average_precision(np.random.default_rng(seed).random(ASKED.shape), ASKED) for seed in range(20)]
    assert np.mean(values) == pytest.approx(0.25, abs=0.02)


def test_recall_of_each_name_is_at_a_half_and_none_where_it_was_never_asked():
    scores = np.array([[0.6, 0.0, 0.9], [0.4, 0.0, 0.9]])
    found = recognition(scores, np.array([[True, False, False], [True, False, True]]))
    assert found.per_name[0].value == 0.5 and found.per_name[1] is None and found.per_name[2].value == 1


def test_the_intervals_hold_the_value_and_are_the_same_again():
    found, again = recognition(SCORES, ASKED, seed=3), recognition(SCORES, ASKED, seed=3)
    assert found == again
    for rate in (found.recall, found.precision, found.average_precision):
        assert rate.interval.low < rate.value < rate.interval.high
        assert "bootstrap over pictures" in rate.interval.method


def test_the_interval_of_recall_covers_the_truth():
    """Scores of what was asked are uniform, so it is found at a threshold t in 1 - t of the cases: 0.5 on average."""
    held = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        found = recognition(rng.random((80, 1)), np.ones((80, 1), bool), resamples=200)
        held += found.recall.interval.low <= 0.5 <= found.recall.interval.high
    assert 180 <= held <= 198


def test_one_picture_is_enough_for_a_value():
    found = recognition(np.array([[0.7, 0.2]]), np.array([[True, False]]))
    assert found.average_precision.value == 1 and found.recall.value == pytest.approx(14 / 19)


def test_draws_without_anything_asked_for_do_no_harm():
    asked = np.zeros((5, 2), bool)
    asked[0, 0] = True
    assert np.isfinite(recognition(RNG.random((5, 2)), asked).recall.interval.low)


@pytest.mark.parametrize(
    ("scores", "asked", "said"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2), bool), "alike"),
        (np.zeros((0, 3)), np.zeros((0, 3), bool), "alike"),
        (np.zeros((2, 2)), np.zeros((2, 2)), "alike"),
        (np.full((2, 2), np.nan), np.eye(2, dtype=bool), "from 0 to 1"),
        (np.full((2, 2), 1.5), np.eye(2, dtype=bool), "from 0 to 1"),
        (np.zeros((2, 2)), np.zeros((2, 2), bool), "nothing was asked"),
    ],
)
def test_what_is_no_answer_of_a_detector_is_refused(scores, asked, said):
    with pytest.raises(DataError, match=said):
        recognition(scores, asked)
