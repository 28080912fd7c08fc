"""Accuracy against scikit-learn and SciPy; calibration against closed forms; intervals against repetition."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from limner.errors import ConfigError, DataError
from limner.metrics.accuracy import (
    accuracy,
    balanced_accuracy,
    calibration_error,
    confusion,
    per_class,
    several,
    share,
    softmax,
    spearman,
    temperature,
)

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 300)
PREDICTED = np.where(RNG.random(300) < 0.7, LABELS, RNG.integers(0, 4, 300))


# --- right and wrong --------------------------------------------------------------------------------------------------


def test_accuracy_confusion_and_balance_are_those_of_scikit_learn():
    counts = confusion(PREDICTED, LABELS, 4)
    assert np.array_equal(counts, oracle.confusion_matrix(LABELS, PREDICTED))
    assert accuracy(PREDICTED, LABELS).value == oracle.accuracy_score(LABELS, PREDICTED)
    assert balanced_accuracy(counts) == pytest.approx(oracle.balanced_accuracy_score(LABELS, PREDICTED), rel=1e-12)
    recalls = oracle.recall_score(LABELS, PREDICTED, average=None)
    assert [found.value for found in per_class(counts)] == pytest.approx(recalls)


def test_a_class_without_images_has_no_accuracy_and_does_not_count():
    counts = confusion(np.array([0, 0, 2]), np.array([0, 2, 2]), 4)
    found = per_class(counts)
    assert found[1] is None and found[3] is None
    assert (found[0].value, found[2].value) == (1.0, 0.5) and balanced_accuracy(counts) == 0.75


def test_the_interval_is_wilsons():
    """Brown, Cai and DasGupta 2001: for 8 of 10, 0.490 to 0.943."""
    found = share(8, 10)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert share(0, 20).interval.low == 0 and share(20, 20).interval.high == 1
    assert share(20, 20).interval.low == pytest.approx(0.8389, abs=1e-4)


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [([], []), ([0, 1], [0]), ([0.5, 1.0], [0, 1]), ([[0], [1]], [[0], [1]])],
)
def test_what_is_no_pair_of_classes_is_refused(predicted, labels):
    with pytest.raises(DataError):
        accuracy(np.array(predicted), np.array(labels))


@pytest.mark.parametrize("outside", [-1, 4])
def test_a_class_outside_the_list_is_refused(outside):
    with pytest.raises(DataError, match="none of 4 classes"):
        confusion(np.array([0, outside]), np.array([0, 1]), 4)
    with pytest.raises(DataError, match="none of 4 classes"):
        confusion(np.array([0, 1]), np.array([0, outside]), 4)


def test_none_of_none_is_no_share():
    with pytest.raises(ConfigError, match="no share"):
        share(0, 0)
    with pytest.raises(DataError, match="no images"):
        balanced_accuracy(np.zeros((3, 3), int))


# --- several things at once -------------------------------------------------------------------------------------------


def test_several_answers_are_each_as_scikit_learn_balances_them():
    so = RNG.random((200, 3)) < [0.1, 0.5, 0.9]
    seen = so ^ (RNG.random((200, 3)) < 0.2)
    found = several(seen, so)
    wanted = [oracle.balanced_accuracy_score(so[:, k], seen[:, k]) for k in range(3)]
    assert found.each == pytest.approx(wanted) and found.value == pytest.approx(np.mean(wanted))
    assert found.interval.low < found.value < found.interval.high and found.count == 200


def test_always_saying_no_is_as_good_as_guessing_however_rare_the_thing_is():
    so = RNG.random((1000, 2)) < 0.02
    assert several(np.zeros_like(so), so).value == 0.5


def test_a_thing_in_all_images_counts_by_how_often_it_is_seen():
    assert several(np.array([[1], [1], [0], [1]], bool), np.ones((4, 1), bool)).value == 0.75


def test_several_answers_cover_the_truth():
    """The interval holds the true balanced accuracy, 0.8, in about 95 of 100 sets of images."""
    held = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        so = rng.random((150, 4)) < 0.4
        found = several(so ^ (rng.random(so.shape) < 0.2), so, resamples=300)
        held += found.interval.low <= 0.8 <= found.interval.high
    assert 180 <= held <= 198


@pytest.mark.parametrize("shape", [(0, 3), (4, 2), (12,)])
def test_several_answers_need_as_many_truths(shape):
    with pytest.raises(DataError):
        several(np.zeros(shape, bool), np.zeros((4, 3), bool) if shape != (0, 3) else np.zeros(shape, bool))


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_that_of_scipy(ties):
    first = RNG.normal(size=80)
    second = first + RNG.normal(size=80)
    if ties:
        first, second = first.round(), second.round()
    assert spearman(first, second).value == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)


def test_any_rising_map_leaves_the_order_as_it_is():
    values = RNG.normal(size=30)
    assert spearman(values, np.exp(values)).value == 1.0 and spearman(values, -(values**3)).value == -1.0
    assert (spearman(values, values).interval.low, spearman(values, values).interval.high) == (1.0, 1.0)


def test_the_interval_of_a_rank_correlation_covers_the_truth():
    """Of normal pairs with correlation ρ it is 6/π asin(ρ/2): for 0.8, 0.786."""
    truth, held = 6 / math.pi * math.asin(0.4), 0
    for trial in range(400):
        rng = np.random.default_rng(trial)
        first = rng.normal(size=60)
        found = spearman(first, 0.8 * first + 0.6 * rng.normal(size=60))
        held += found.interval.low <= truth <= found.interval.high
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([1, 2], [1, 2], "3 pairs or more"),
        ([1, 2, 3], [1, 2], "no correlation"),
        ([1, 2, np.nan], [1, 2, 3], "not finite"),
        ([1, 1, 1], [1, 2, 3], "no order"),
    ],
)
def test_what_has_no_rank_correlation_is_refused(first, second, said):
    with pytest.raises(DataError, match=said):
        spearman(np.array(first, float), np.array(second, float))


def test_four_pairs_have_a_correlation_but_no_interval():
    assert spearman(np.arange(4), np.array([0, 2, 1, 3])).interval is None


# --- confidence -------------------------------------------------------------------------------------------------------


def test_the_temperature_makes_two_classes_as_sure_as_they_are_right():
    """Logits of ±2 that are right in 3 of 4 cases: the softmax is 3/4 at 4 / T = ln 3."""
    logits = np.tile([[2.0, -2.0]], (400, 1))
    labels = (np.arange(400) % 4 == 0).astype(int)
    found = temperature(logits, labels)
    assert found == pytest.approx(4 / math.log(3), rel=1e-6)
    assert softmax(logits, found)[0, 0] == pytest.approx(0.75, rel=1e-6)


def test_the_temperature_has_the_greatest_likelihood():
    logits = 3 * RNG.normal(size=(500, 4))
    labels = np.array([RNG.choice(4, p=row) for row in softmax(logits, 2.5)])

    def likelihood(heat):
        return np.log(softmax(logits, heat)[np.arange(500), labels]).mean()

    found = temperature(logits, labels)
    assert found == pytest.approx(2.5, rel=0.25)
    assert likelihood(found) > max(likelihood(found * 1.02), likelihood(found / 1.02))


def test_a_classifier_that_is_always_right_gets_the_lowest_temperature_and_one_that_guesses_the_highest():
    sure = np.eye(3)[[0, 1, 2, 0]]
    assert temperature(sure, np.array([0, 1, 2, 0])) == pytest.approx(0.02)
    assert temperature(sure, np.array([1, 2, 0, 1])) == pytest.approx(50)


def test_calibration_error_is_the_gap_of_confidence_and_accuracy():
    """0.9 sure and right in 3 of 5; 0.6 sure and right in 3 of 5: half of 0.3."""
    probabilities = np.repeat([[0.9, 0.1], [0.6, 0.4]], 5, axis=0)
    labels = np.array([0, 0, 0, 1, 1] * 2)
    assert calibration_error(probabilities, labels) == pytest.approx(0.15)


def test_calibration_brings_the_error_down():
    logits = 2 * RNG.normal(size=(4000, 5))
    labels = np.array([RNG.choice(5, p=row) for row in softmax(logits, 3.0)])
    before = calibration_error(softmax(logits), labels)
    after = calibration_error(softmax(logits, temperature(logits, labels)), labels)
    assert before > 0.2 and after < 0.04


def test_a_sure_and_right_classifier_has_no_calibration_error():
    assert calibration_error(np.eye(3), np.arange(3)) == 0


def test_a_softmax_of_huge_logits_is_finite():
    assert np.array_equal(softmax(np.array([[1e5, 0.0], [-1e5, 0.0]])), [[1.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "N above 0"),
        (np.zeros((2, 3)), np.zeros(3, int), "must be"),
        (np.full((2, 3), np.nan), np.zeros(2, int), "not finite"),
        (np.zeros((2, 3)), np.array([0, 3]), "not all of 3 classes"),
    ],
)
def test_logits_that_cannot_be_calibrated_are_refused(logits, labels, said):
    for function in (temperature, calibration_error):
        with pytest.raises(DataError, match=said):
            function(logits, labels)
