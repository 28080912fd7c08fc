import math

import numpy as np
import pytest
from scipy.special import logsumexp

from limner.errors import ConfigError, DataError
from limner.losses.likelihood import bits_per_dim as bits_in_training
from limner.metrics.likelihood import as_probability, bits_per_dim, log_mean_exp, mean_nats, nats_per_image


def normal(seed=0):
    return np.random.default_rng(seed)


# --- units ------------------------------------------------------------------------------------------------------------


def test_pixels_that_are_all_equally_probable_take_8_bits():
    assert bits_per_dim(48 * math.log(256), 48) == pytest.approx(8, abs=1e-12)


def test_nats_and_bits_undo_each_other_and_agree_with_those_of_training():
    import torch

    nats = np.array([80.0, 1234.5])
    np.testing.assert_allclose(nats_per_image(bits_per_dim(nats, 784), 784), nats)
    np.testing.assert_allclose(bits_in_training(torch.from_numpy(-nats), 784).numpy(), bits_per_dim(nats, 784))


@pytest.mark.parametrize("value_range", [1.0, 2.0, 256.0])
def test_a_uniform_density_over_the_range_takes_8_bits_whatever_the_unit(value_range):
    nats = 48 * math.log(value_range)  # of a density of 1 / range in every dimension
    assert bits_per_dim(as_probability(nats, 48, value_range=value_range), 48) == pytest.approx(8, abs=1e-12)


def test_a_density_on_the_pixels_own_scale_is_not_corrected():
    assert as_probability(100.0, 784, value_range=256) == 100.0


def test_dequantised_pixels_cost_at_least_the_nats_of_their_probability():
    """A density that is flat over each level has exactly the levels' probability, and any other one pays for it."""
    rng = normal()
    probability = rng.dirichlet(np.ones(4))
    level = rng.choice(4, size=200_000, p=probability)
    value = (level + rng.random(len(level))) / 4  # dequantised, on [0, 1]
    exact = -np.log(probability[level])
    flat = -np.log(4 * probability[np.minimum((value * 4).astype(int), 3)])
    np.testing.assert_allclose(as_probability(flat, 1, value_range=1, levels=4), exact, atol=1e-12)
    mean, std = value.mean(), value.std()
    gaussian = 0.5 * ((value - mean) / std) ** 2 + math.log(std) + 0.5 * math.log(2 * math.pi)
    assert as_probability(gaussian.mean(), 1, value_range=1, levels=4) > exact.mean() + 0.01


@pytest.mark.parametrize("call", [bits_per_dim, nats_per_image, lambda n, d: as_probability(n, d, value_range=2)])
def test_dimensions_that_cannot_be_are_refused(call):
    with pytest.raises(ConfigError, match="dimensions=0"):
        call(1.0, 0)


@pytest.mark.parametrize(("value_range", "levels"), [(0.0, 256), (-1.0, 256), (math.nan, 256), (2.0, 1)])
def test_levels_that_cannot_be_are_refused(value_range, levels):
    with pytest.raises(ConfigError, match=f"{levels} levels over a range of {value_range}"):
        as_probability(1.0, 4, value_range=value_range, levels=levels)


# --- importance weights -----------------------------------------------------------------------------------------------


def test_the_log_of_a_mean_of_weights_agrees_with_scipy():
    weights = normal().normal(-90, 20, (3, 5, 40))
    np.testing.assert_allclose(log_mean_exp(weights), logsumexp(weights, axis=-1) - math.log(40), rtol=1e-12)


@pytest.mark.parametrize("offset", [-1e6, -800.0, 0.0, 800.0, 1e6])
def test_weights_far_beyond_what_exp_can_hold_keep_their_mean(offset):
    assert log_mean_exp(offset + np.log([1.0, 2.0, 3.0])) == pytest.approx(offset + math.log(2), abs=1e-9)


def test_single_precision_weights_are_averaged_in_double():
    """In float32 the million small weights would each vanish beside the large one."""
    weights = np.concatenate([[0.0], np.full(1_000_000, -18.0)]).astype(np.float32)
    expected = math.log((1 + 1_000_000 * math.exp(-18)) / 1_000_001)
    assert log_mean_exp(weights) == pytest.approx(expected, abs=1e-9)


def test_weights_of_0_count_and_nothing_but_them_is_minus_infinity():
    found = log_mean_exp(np.array([[-math.inf, 0.0], [-math.inf, -math.inf]]))
    assert found[0] == pytest.approx(-math.log(2)) and found[1] == -math.inf


def test_the_mean_of_more_weights_rises_to_the_true_evidence():
    """log E[w] = 0 for w = exp(N(-1/2, 1)), and the mean of k weights is below it by half their variance over k."""
    weights = normal().normal(-0.5, 1, (4000, 64))
    gaps = [-log_mean_exp(weights[:, :k]).mean() for k in (1, 4, 16, 64)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] == pytest.approx(0.5, abs=0.06) and gaps[-1] == pytest.approx((math.e - 1) / 2 / 64, abs=0.01)


@pytest.mark.parametrize("weights", [[math.nan, 0.0], [math.inf, 0.0], [], 0.0])
def test_weights_that_have_no_mean_are_refused(weights):
    with pytest.raises(DataError, match="weights"):
        log_mean_exp(np.array(weights))


# --- intervals --------------------------------------------------------------------------------------------------------


def test_the_interval_holds_the_truth_in_95_of_100_measurements():
    rng, inside = normal(), 0
    for _ in range(3000):
        _, interval = mean_nats(rng.gamma(20, 4, 20))  # skewed, with a mean of 80
        inside += interval.low <= 80 <= interval.high
    assert inside / 3000 == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("count", "deviations"), [(3, 4.302653), (10, 2.262157), (20_000, 1.959964)])
def test_the_interval_is_so_many_standard_errors_to_both_sides(count, deviations):
    values = np.linspace(79, 81, count)
    mean, interval = mean_nats(values)
    error = values.std(ddof=1) / math.sqrt(count)
    assert mean == pytest.approx(80) and interval.high - mean == pytest.approx(deviations * error, rel=1e-4)
    assert interval.low + interval.high == pytest.approx(160) and f"{count:,} images" in interval.method


def test_one_image_has_no_interval():
    assert mean_nats(np.array([81.5])) == (81.5, None)


@pytest.mark.parametrize("values", [[], [[1.0]], [1.0, math.nan], [1.0, math.inf]])
def test_likelihoods_that_have_no_mean_are_refused(values):
    with pytest.raises(DataError, match="likelihood"):
        mean_nats(np.array(values))


def test_a_level_that_is_no_share_is_refused():
    with pytest.raises(ConfigError, match="level=95"):
        mean_nats(np.array([1.0, 2.0]), level=95)
