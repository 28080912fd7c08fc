"""NDB and Jensen–Shannon: by hand, against SciPy, under equal distributions, when a mode is missing, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from limner.errors import ConfigError, DataError
from limner.metrics.ndb import compare_counts, different_bins, jensen_shannon
from limner.rng import generator


def normal(count: int, dimension: int, purpose: str, index: int = 0) -> np.ndarray:
    return generator(5, purpose, index).standard_normal((count, dimension)).astype(np.float32)


def test_a_bin_differs_when_its_z_score_by_hand_is_above_1_96():
    """30 of 100 against 18 of 100: pooled 0.24, z = 0.12 / √(0.24 · 0.76 · 0.02) = 1.987; with 19 it is 1.815."""
    assert compare_counts(np.array([30, 70]), np.array([18, 82])).different.all()
    assert not compare_counts(np.array([30, 70]), np.array([19, 81])).different.any()


def test_bins_that_are_empty_or_hold_everything_do_not_differ():
    found = compare_counts(np.array([0, 50]), np.array([0, 70]))
    assert found.share.value == 0 and found.divergence.value == 0


def test_the_divergence_is_scipys():
    counts = generator(0, "counts").integers(0, 30, size=(2, 40))
    expected = jensenshannon(counts[0], counts[1]) ** 2
    assert compare_counts(*counts).divergence.value == pytest.approx(expected)


def test_the_divergence_of_histograms_that_share_nothing_is_log_2():
    found = compare_counts(np.array([9, 0]), np.array([0, 4]))
    assert found.divergence.value == pytest.approx(math.log(2))


def test_the_interval_of_the_divergence_leaves_each_image_out_once():
    generated, real = np.array([4, 1, 0, 7]), np.array([2, 2, 5, 1])

    def variance(counts, others):
        values = []
        for place, count in enumerate(counts):
            left = counts - np.eye(4, dtype=int)[place]
            values += [jensen_shannon(left / left.sum(), others / others.sum())] * count
        return (len(values) - 1) * np.var(values)

    error = (variance(generated, real) + variance(real, generated)) ** 0.5
    found = compare_counts(generated, real).divergence
    assert found.interval.high == pytest.approx(min(found.value + 1.959964 * error, math.log(2)), rel=1e-6)


def test_equal_distributions_differ_in_a_twentieth_of_the_bins_and_diverge_as_expected():
    shares, found = np.full(50, 1 / 50), []
    for draw in range(100):
        rng = generator(0, "multinomial", draw)
        found.append(compare_counts(rng.multinomial(2_000, shares), rng.multinomial(3_000, shares)))
    assert np.mean([one.share.value for one in found]) == pytest.approx(0.05, abs=0.01)
    assert np.mean([one.divergence.value for one in found]) == pytest.approx(found[0].expected, rel=0.03)
    assert np.mean([one.share.interval.low <= 0.05 <= one.share.interval.high for one in found]) >= 0.93


def test_the_interval_of_the_divergence_covers_what_is_measured_on_average():
    rng = generator(0, "shares")
    ours, theirs, found = rng.dirichlet(np.full(20, 2.0)), rng.dirichlet(np.full(20, 2.0)), []
    for draw in range(200):
        rng = generator(0, "multinomial", draw)
        found.append(compare_counts(rng.multinomial(500, ours), rng.multinomial(400, theirs)).divergence)
    mean = np.mean([one.value for one in found])
    assert 0.92 <= np.mean([one.interval.low <= mean <= one.interval.high for one in found]) <= 0.985


def test_a_missing_mode_is_found():
    """Ten clusters, two of which are never generated: 2 bins are empty and the others too full."""
    centres = 20 * normal(10, 4, "centres")
    real = np.concatenate([centre + normal(100, 4, "real", i) for i, centre in enumerate(centres)])
    generated = np.concatenate([centre + normal(125, 4, "generated", i) for i, centre in enumerate(centres[:8])])
    found = different_bins(generated, real, bins=10)
    assert (found.generated == 0).sum() == 2 and found.different[found.generated == 0].all()
    whole = different_bins(real + normal(1_000, 4, "noise") / 10, real, bins=10)
    assert whole.share.value <= 0.1 and whole.divergence.value < found.divergence.value / 10


def test_the_same_seed_gives_the_same_bins():
    generated, real = normal(60, 3, "generated"), normal(60, 3, "real")
    one, other = (different_bins(generated, real, bins=6, seed=2) for _ in range(2))
    assert (one.generated == other.generated).all() and one.real.sum() == 60
    assert different_bins(real, real, bins=6).divergence.value == 0


def test_what_cannot_be_compared_is_refused():
    rows = normal(20, 3, "rows")
    for bins in (1, 21):
        with pytest.raises(ConfigError, match=f"{bins} bins of 20 real images"):
            different_bins(rows, rows, bins=bins)
    with pytest.raises(ConfigError, match="one feature space"):
        different_bins(rows, rows[:, :2])
    broken = rows.copy()
    broken[4] = np.inf
    with pytest.raises(DataError, match="row 4 of generated values"):
        different_bins(broken, rows, bins=4)
    with pytest.raises(ConfigError, match="neither of them empty"):
        compare_counts(np.zeros(3, int), np.ones(3, int))
