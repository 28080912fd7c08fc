"""Measures of copying on constructed generators: honest, copying, blending, smooth, collapsed."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from limner.errors import ConfigError, DataError
from limner.metrics.data_copying import data_copying
from limner.metrics.memorisation import (
    Estimate,
    authenticity,
    close_copies,
    copied_share,
    distance_ratio,
    exact_copies,
    near_duplicates,
    nearness,
)
from limner.metrics.neighbours import nearest
from limner.metrics.verdict import Verdict, combined, judge
from limner.rng import generator

SIZE = 10


def normal(count, seed=0, what="generated", *, shift=0.0):
    return shift + generator(seed, f"test memorisation {what}").standard_normal((count, SIZE))


def train(count=400, seed=0):
    return normal(count, seed, "train")


def held_out(count=300, seed=0, **given):
    return normal(count, seed, "held out", **given)


def copies(of, count, *, share=1.0, noise=1e-3, seed=0):
    """Fresh rows, of which a share is replaced by training rows with a little noise."""
    rows = normal(count, seed)
    chosen = generator(seed, "copied").integers(len(of), size=round(share * count))
    rows[: len(chosen)] = of[chosen] + noise * rows[: len(chosen)]
    return rows


def blends(of, count, seed=0):
    """Averages of three training rows each, spread out again to the length that training rows have."""
    random = generator(seed, "blends")
    return np.stack([of[random.choice(len(of), 3, replace=False)].mean(0) for _ in range(count)]) * np.sqrt(3)


# --- the copied share -------------------------------------------------------------------------------------------------


def test_a_generator_that_learned_the_distribution_is_seldom_accused():
    """By intervals of 99 %: of 100 honest generators about one may be."""
    words = [judge(nearness(normal(300, seed), train(seed=seed), held_out(seed=seed))).word for seed in range(100)]
    assert sum(word in ("copies", "suspicious") for word in words) <= 4
    assert words.count("no sign") > 60


def test_the_interval_of_the_copied_share_covers_zero_as_often_as_it_says():
    found = [copied_share(nearness(normal(200, seed), train(seed=seed), held_out(seed=seed))) for seed in range(120)]
    assert np.mean([share.low <= 0 <= share.high for share in found]) == pytest.approx(0.95, abs=0.04)
    assert np.mean([share.value for share in found]) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_the_copied_share_is_the_share_of_copies(share):
    near = nearness(copies(train(), 2000, share=share), train(), held_out())
    found = copied_share(near)
    assert found.low <= share <= found.high and found.value == pytest.approx(share, abs=0.08)
    assert judge(near).word == "copies"


def test_one_copy_in_fifty_is_found_by_its_closeness():
    """2 % of copies move the copied share by less than its interval; being close to one image gives them away."""
    near = nearness(copies(train(), 2000, share=0.02), train(), held_out())
    assert copied_share(near).low < 0.02 and close_copies(near, level=0.99).low > 0.001
    verdict = judge(near)
    assert verdict.word == "copies" and "three times nearer to one training image" in verdict.reasons[0]


def test_blends_of_training_images_are_found():
    verdict = judge(nearness(blends(train(60), 500), train(60), held_out()))
    assert verdict.word in ("copies", "suspicious") and "training images" in verdict.reasons[0]


def test_smooth_images_are_not_taken_for_copies_though_the_published_measures_do():
    smooth, near, others = 0.5 * normal(1000), train(1500), held_out(1500)
    found = nearness(smooth, near, others)
    assert data_copying(smooth, near, others).high < -3
    assert authenticity(found).value < authenticity(found).expected - 0.1 and distance_ratio(found).high < 0.9
    assert judge(found).word == "no sign"


@pytest.mark.parametrize("points", [1, 8])
def test_a_collapsed_generator_counts_as_few_images(points):
    """All samples lie around a few points, which real images are nearest to: chance, though many agree."""
    words = set()
    for seed in range(10):
        collapsed = np.resize(held_out(points, seed=90 + seed), (500, SIZE)) + 0.05 * normal(500, seed)
        near = nearness(collapsed, train(seed=seed), held_out(seed=seed))
        words.add(judge(near).word)
    assert words <= {"cannot tell", "no sign"}


def test_held_out_images_of_another_kind_accuse_no_one():
    """Training images are nearest to all that is like them; that they are so to each other as well says why."""
    near = nearness(normal(500), train(), held_out(shift=1.5))
    raw = (near.generated.distances[:, 0] < near.to_held_out.distances[:, 0]).mean()
    assert raw > 0.9 and judge(near).word in ("no sign", "cannot tell")


def test_repeated_images_in_the_data_accuse_no_one():
    near = nearness(normal(500), np.repeat(train(200), 2, axis=0), np.r_[held_out(200), train(200)[:100]])
    assert judge(near).word in ("no sign", "cannot tell")


# --- exact copies, and without held-out images ------------------------------------------------------------------------


def test_exact_copies_are_counted_and_named():
    rows = normal(500)
    rows[:25] = train()[:25]
    near = nearness(rows, train(), held_out())
    assert exact_copies(near).value == pytest.approx(0.05)
    assert judge(near).reasons[0] == "5.0% of the generated images equal a training image"


def test_exact_copies_are_found_without_held_out_images():
    verdict = judge(nearness(copies(train(), 500, share=0.1), train()))
    assert verdict.word == "copies" and "of real images it is 0." in verdict.reasons[0]


def test_without_held_out_images_smooth_ones_cannot_be_told_from_blends():
    verdict = judge(nearness(0.4 * normal(500), train()))
    assert verdict.word == "cannot tell" and "give held-out images" in verdict.reasons[-1]


def test_without_held_out_images_far_ones_show_no_sign():
    verdict = judge(nearness(1.3 * normal(500), train()))
    assert verdict.word == "no sign" and "training images are the baseline" in verdict.reasons[0]


def test_too_few_images_give_no_verdict():
    assert judge(nearness(normal(49), train(), held_out())).word == "cannot tell"
    assert judge(nearness(normal(500), train(), held_out(3))).word == "cannot tell"


@pytest.mark.parametrize(
    ("words", "held_out", "word"),
    [
        (("no sign", "copies"), True, "copies"),
        (("suspicious", "cannot tell"), True, "suspicious"),
        (("cannot tell", "no sign"), True, "no sign"),
        (("cannot tell", "no sign"), False, "cannot tell"),
        (("no sign", "no sign"), False, "no sign"),
    ],
)
def test_over_several_spaces_one_accusation_is_enough(words, held_out, word):
    share = Estimate(0.1, 0.0, 0.2)
    verdicts = {f"space {index}": Verdict(each, share, ("why",)) for index, each in enumerate(words)}
    found = combined(verdicts, held_out=held_out)
    assert found.word == word and sorted(found.reasons) == ["space 0: why", "space 1: why"]
    assert found.reasons[0] == f"space {words.index(word)}: why"


# --- the measures -----------------------------------------------------------------------------------------------------


def test_authenticity_compares_with_the_nearest_neighbour_of_the_nearest():
    """On a line: 0.4 is nearer to 0 than 1 is; -3 is farther; 10.1 is nearer to 10 than 1 is."""
    line, points = np.array([[0.0], [1.0], [10.0]]), np.array([[0.4], [-3.0], [10.1]])
    assert authenticity(nearness(points, line)).value == pytest.approx(1 / 3)


def test_authenticity_of_an_honest_generator_is_that_of_held_out_images():
    found = authenticity(nearness(normal(2000), train(500), held_out(2000)))
    assert found.value == pytest.approx(found.expected, abs=0.05) and found.low <= found.expected <= found.high


def test_near_duplicates_of_an_honest_generator_are_the_quantile():
    found = near_duplicates(nearness(normal(4000), train(), held_out(4000)), quantile=0.05)
    assert found.expected == 0.05 and found.low <= 0.05 <= found.high
    assert near_duplicates(nearness(copies(train(), 500), train(), held_out())).value == 1


def test_the_distance_ratio_is_the_ratio_of_medians_and_its_interval_holds_it():
    near = nearness(0.5 * normal(400), train(), held_out())
    ratio = distance_ratio(near)
    expected = np.median(near.generated.distances[:, 0]) / np.median(near.held_out.distances[:, 0])
    assert ratio.value == pytest.approx(expected) and ratio.low < ratio.value < ratio.high < 1
    assert ratio == distance_ratio(near)


def test_data_that_holds_many_copies_still_has_an_interval():
    """Of 41 held-out images 20 are training images: in half of the resamples the median distance is 0."""
    near = nearness(train()[:60], train(), np.r_[train()[:20], held_out(21)])
    ratio = distance_ratio(near)
    assert (ratio.value, ratio.low, ratio.high) == (0, 0, 0)


def test_data_that_consists_of_copies_has_no_distance_ratio():
    with pytest.raises(DataError, match="remove duplicates first"):
        distance_ratio(nearness(normal(50), train(), train()[:40]))


def test_a_quantile_that_the_baseline_is_too_small_for_is_refused():
    with pytest.raises(ConfigError, match="cannot be read off 20 distances; use 0.05 to 1"):
        near_duplicates(nearness(normal(50), train(), held_out(20)))


def test_the_copied_share_needs_held_out_images():
    with pytest.raises(ConfigError, match="without them use close_copies"):
        copied_share(nearness(normal(50), train()))


def test_two_training_images_are_too_few():
    with pytest.raises(DataError, match="2 training images"):
        nearness(normal(50), train(2))


def test_features_that_are_not_finite_are_refused():
    rows = normal(50)
    rows[7, 3] = np.inf
    with pytest.raises(DataError, match="row 7 of queries is not finite"):
        nearness(rows, train())


# --- C_T --------------------------------------------------------------------------------------------------------------


def test_with_one_cell_it_is_the_mann_whitney_score():
    ours, theirs, near = normal(40), held_out(45), train(60)
    distances = [nearest(side, near).distances[:, 0] for side in (ours, theirs)]
    u = mannwhitneyu(*distances).statistic
    expected = (u - 40 * 45 / 2) / np.sqrt(40 * 45 * 86 / 12)
    assert data_copying(ours, near, theirs).value == pytest.approx(expected)


def test_copies_score_far_below_and_distant_images_far_above():
    assert data_copying(copies(train(), 400), train(), held_out()).high < -5
    assert data_copying(2 * normal(400), train(), held_out()).low > 5


def test_the_interval_of_an_honest_generator_holds_zero():
    found = [data_copying(normal(300, seed), train(seed=seed), held_out(seed=seed)) for seed in range(40)]
    assert np.mean([score.low <= 0 <= score.high for score in found]) > 0.85


def test_copies_in_one_cell_show_there_alone():
    """Two groups far apart, one of which is copied: the weights are those of the held-out images."""
    near = np.r_[train(100), train(100, seed=1) + 100]
    ours = np.r_[copies(near[:100], 100), normal(100, 1) + 100]
    found = data_copying(ours, near, np.r_[held_out(150), held_out(50, seed=1) + 100])
    cells = found.cells[np.argsort(found.cells)]
    assert len(cells) >= 2 and cells[0] < -5 and cells[-1] > -3
    assert found.value == pytest.approx(found.cells @ found.weights) and found.weights.sum() == pytest.approx(1)


def test_without_held_out_images_training_images_do_not_count_as_their_own_neighbours():
    found = data_copying(normal(300), train(300))
    assert -4 < found.value < 4


def test_no_cell_with_enough_images_is_an_error():
    with pytest.raises(DataError, match="no cell holds 20 of 19 generated"):
        data_copying(normal(19), train(), held_out())
