"""MIG and DCI on constructed codes: perfect, copied, rotated, noisy; the trees against scikit-learn."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import mutual_info_score

from limner.errors import ConfigError, DataError
from limner.metrics.boosting import boost
from limner.metrics.disentanglement import Factor, dci, mutual_information_gap
from limner.rng import generator

COUNT = 1000


def draw(*shape, what="factors"):
    return generator(0, f"test disentanglement {what}").random(shape)


def mixed_factors(count=COUNT):
    """Two continuous factors and two discrete ones, all independent."""
    values = draw(count, 4)
    return [
        Factor("x", values[:, 0], discrete=False),
        Factor("y", values[:, 1], discrete=False),
        Factor("shape", np.floor(values[:, 2] * 5), discrete=True),
        Factor("flag", np.floor(values[:, 3] * 2), discrete=True),
    ]


def as_codes(factors):
    return np.stack([factor.values for factor in factors], axis=1)


def test_a_code_that_is_the_factors_scores_one_by_both():
    factors = mixed_factors()
    codes = as_codes(factors)
    assert mutual_information_gap(codes, factors).score.value > 0.95
    found = dci(codes, factors)
    assert found.disentanglement.value > 0.98 and found.completeness.value > 0.98
    assert found.informativeness == pytest.approx(1, abs=0.02)


def test_order_sign_and_scale_of_the_code_do_not_matter():
    factors = mixed_factors()
    codes = np.exp(-3 * as_codes(factors)[:, [2, 0, 3, 1]])
    assert mutual_information_gap(codes, factors).score.value > 0.95
    assert dci(codes, factors).disentanglement.value > 0.98


def test_two_binary_factors_have_a_gap_of_exactly_one_less_chance():
    """All four combinations equally often: the other dimension tells nothing at all, so the gap is 1."""
    first, second = np.arange(400) % 2, np.arange(400) // 2 % 2
    factors = [Factor("a", first, discrete=True), Factor("b", second, discrete=True)]
    found = mutual_information_gap(np.stack([first, second], 1).astype(float), factors)
    assert found.gaps == pytest.approx([1, 1], abs=1e-12) and found.score.value == pytest.approx(1, abs=1e-12)


def test_a_noisy_binary_code_has_the_gap_of_a_noisy_channel():
    """A bit that is flipped in 1 of 10 images keeps 1 - H(0.1) of it, in bits."""
    bit = np.arange(4000) % 2
    flipped = np.where(np.arange(4000) // 2 % 10 == 0, 1 - bit, bit)
    other = np.arange(4000) // 20 % 2
    found = mutual_information_gap(np.stack([flipped, other], 1).astype(float), [Factor("bit", bit, discrete=True)])
    lost = -(0.1 * np.log2(0.1) + 0.9 * np.log2(0.9))
    assert found.gaps[0] == pytest.approx(1 - lost, abs=1e-3)


def test_information_is_scikit_learns():
    codes, classes = draw(COUNT, 3, what="codes"), np.floor(4 * draw(COUNT))
    codes[:, 0] += classes / 3
    found = mutual_information_gap(codes, [Factor("class", classes, discrete=True)])
    entropy = mutual_info_score(classes, classes)
    for dimension in range(3):
        edges = np.quantile(codes[:, dimension], np.arange(1, 20) / 20)
        bins = np.searchsorted(edges, codes[:, dimension], side="right")
        expected = mutual_info_score(bins, classes) / entropy
        assert found.information[dimension, 0] == pytest.approx(expected, abs=1e-12)


def test_a_factor_that_two_dimensions_repeat_has_no_gap_and_is_not_complete():
    factors = mixed_factors()[:2]
    codes = np.stack([factors[0].values, factors[0].values + 1e-9 * draw(COUNT), factors[1].values], axis=1)
    assert mutual_information_gap(codes, factors).gaps[0] == pytest.approx(0, abs=0.01)
    assert dci(codes, factors).disentanglement.value > 0.98


def test_a_rotated_code_scores_low_by_both_though_it_tells_as_much():
    factors = [Factor(name, column, discrete=False) for name, column in zip("abc", draw(COUNT, 3).T, strict=True)]
    rotation = np.linalg.qr(generator(0, "rotation").standard_normal((3, 3)))[0]
    codes = as_codes(factors) @ rotation
    gap, found = mutual_information_gap(codes, factors), dci(codes, factors)
    assert gap.score.value < 0.25 and found.disentanglement.value < 0.5 and found.completeness.value < 0.5
    assert found.informativeness.min() > 0.8


def test_a_code_that_tells_nothing_is_not_informative():
    factors = mixed_factors()
    found = dci(draw(COUNT, 4, what="noise"), factors)
    assert found.informativeness[:2].max() < 0.1 and found.informativeness[3] == pytest.approx(0.5, abs=0.1)


def test_the_intervals_hold_the_values_and_narrow_with_more_images():
    widths = []
    for count in (200, 1600):
        factors = mixed_factors(count)
        codes = as_codes(factors) + 0.3 * draw(count, 4, what="blur")
        gap, found = mutual_information_gap(codes, factors).score, dci(codes, factors)
        for score in (gap, found.disentanglement, found.completeness):
            assert 0 <= score.low <= score.value <= score.high <= 1
        widths.append(gap.high - gap.low)
    assert widths[1] < 0.6 * widths[0]


@pytest.mark.parametrize(
    ("codes", "factor", "error", "message"),
    [
        (np.zeros((300, 1)), Factor("a", np.arange(300) % 2, True), ConfigError, "200 images and 2 dimensions"),
        (np.zeros((100, 2)), Factor("a", np.arange(100) % 2, True), ConfigError, "200 images"),
        (np.zeros((300, 2)), Factor("a", np.arange(299) % 2, True), ConfigError, "factor 'a' has"),
        (np.zeros((300, 2)), Factor("a", np.ones(300), True), DataError, "the same in all images"),
        (np.zeros((300, 2)), Factor("a", np.full(300, np.nan), False), DataError, "not finite everywhere"),
        (np.full((300, 2), np.inf), Factor("a", np.arange(300) % 2, True), DataError, "row 0 of codes"),
    ],
)
def test_what_cannot_be_scored_is_refused(codes, factor, error, message):
    with pytest.raises(error, match=message):
        mutual_information_gap(codes, [factor])


def test_dci_needs_two_factors():
    with pytest.raises(ConfigError, match="there is only one"):
        dci(draw(300, 2), mixed_factors(300)[:1])


# --- trees ------------------------------------------------------------------------------------------------------------


def test_trees_fit_and_weigh_inputs_as_scikit_learns_do():
    inputs = draw(1500, 4, what="inputs")
    target = np.sin(6 * inputs[:, 0]) + inputs[:, 1] * inputs[:, 2]
    ours = boost(inputs[:1000], target[:1000, None])
    theirs = GradientBoostingRegressor(n_estimators=40, max_depth=3, learning_rate=0.25, random_state=0)
    theirs.fit(inputs[:1000], target[:1000])
    assert ours.importance == pytest.approx(theirs.feature_importances_, abs=0.03)
    errors = [
        np.square(told - target[1000:]).mean()
        for told in (ours.predict(inputs[1000:])[:, 0], theirs.predict(inputs[1000:]))
    ]
    assert errors[0] < 1.3 * errors[1]


def test_one_tree_of_one_split_is_the_best_split():
    inputs = np.arange(40.0)[:, None]
    found = boost(inputs, (inputs >= 20).astype(float), rounds=1, depth=1, rate=1.0)
    assert np.array_equal(found.predict(inputs), (inputs >= 20).astype(float))


def test_a_constant_target_has_no_importance():
    found = boost(draw(100, 3), np.ones((100, 1)))
    assert found.importance.tolist() == [0, 0, 0] and np.all(found.predict(draw(5, 3)) == 1)


def test_unlike_lengths_and_values_not_finite_are_refused():
    with pytest.raises(ConfigError, match="do not fit"):
        boost(np.zeros((3, 2)), np.zeros((4, 1)))
    with pytest.raises(DataError, match="not finite"):
        boost(np.full((3, 2), np.nan), np.zeros((3, 1)))
