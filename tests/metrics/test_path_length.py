"""Path length against closed forms of linear decoders; why pictures must stay floats."""

import numpy as np
import pytest
import torch

from limner.errors import ConfigError, DataError
from limner.metrics.path_length import path_length, pixel_distance, slerp, speeds
from limner.rng import generator
from limner.tasks import interpolate

PIXELS = 3 * 4 * 4


def ends(count=200, size=6):
    random = generator(0, "test path length")
    first, last = (torch.from_numpy(random.standard_normal((count, size)).astype(np.float32)) for _ in range(2))
    return first, last, torch.from_numpy(random.random(count))


def linear(scale=1.0, size=6):
    """A decoder whose matrix keeps lengths, times `scale`: pictures move as fast as latents do."""
    columns = np.linalg.qr(generator(0, "decoder").standard_normal((PIXELS, size)))[0]
    matrix = torch.from_numpy(scale * columns).float()
    return lambda latent: (latent @ matrix.T).view(-1, 3, 4, 4)


def measured(decode, *paths, **given):
    return path_length(speeds(decode, *paths, **given))


def test_on_a_sphere_the_speed_of_a_linear_decoder_is_the_angle():
    """Of unit latents, |d slerp / dt| is the angle between the ends, whatever the place."""
    first, last, shares = ends()
    first, last = (part / part.norm(dim=1, keepdim=True) for part in (first, last))
    angle = torch.acos((first.double() * last).sum(1)).numpy()
    found = measured(linear(), first, last, shares)
    assert found.values == pytest.approx(angle**2 / PIXELS, rel=0.02)
    assert found.low < found.value < found.high and found.low < (angle**2).mean() / PIXELS < found.high


def test_twice_the_contrast_is_four_times_the_length():
    once, twice = (measured(linear(scale), *ends()).value for scale in (1.0, 2.0))
    assert twice == pytest.approx(4 * once, rel=0.01)


def test_a_decoder_that_ignores_its_latent_has_length_zero():
    found = measured(lambda latent: torch.ones(len(latent), 3, 4, 4), *ends())
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_rounding_to_256_levels_would_measure_the_rounding():
    """A step moves pixels by far less than a level: most do not move, and the few that do seem to leap."""

    def rounded(latent):
        return torch.round(linear()(latent) * 127.5) / 127.5

    assert measured(rounded, *ends(400)).value > 10 * measured(linear(), *ends(400)).value


def test_a_distance_can_be_handed_in():
    found = measured(linear(), *ends(), distance=lambda a, b: 3 * pixel_distance(a, b))
    assert found.value == pytest.approx(3 * measured(linear(), *ends()).value)


def test_a_few_leaps_do_not_decide_the_value():
    def leaping(latent):
        pictures = linear()(latent)
        pictures[0] *= 1e6
        return pictures

    first, last, shares = ends()
    assert measured(leaping, first, last, shares).value == pytest.approx(
        measured(linear(), first, last, shares).value, rel=0.05
    )


def test_the_way_is_that_of_interpolation():
    first, last, shares = ends(5)
    ours = slerp(first.double(), last.double(), shares)
    theirs = [interpolate.slerp(*way) for way in zip(first.double(), last.double(), shares, strict=True)]
    assert torch.allclose(ours, torch.stack(theirs), atol=1e-12)


def test_parallel_ends_are_joined_by_a_straight_line():
    first = torch.ones(3, 4, dtype=torch.float64)
    assert torch.allclose(
        slerp(first, 2 * first, torch.tensor([0.0, 0.5, 1.0]).double())[:, 0], torch.tensor([1, 1.5, 2]).double()
    )


def test_the_interval_covers_the_mean_of_all_paths():
    first, last, shares = ends(4000)
    truth = measured(linear(), first, last, shares).value
    parts = [measured(linear(), *(side[at : at + 100] for side in (first, last, shares))) for at in range(0, 4000, 100)]
    assert np.mean([part.low <= truth <= part.high for part in parts]) > 0.85


@pytest.mark.parametrize(
    ("decode", "count", "given", "error", "message"),
    [
        (linear(), 99, {}, ConfigError, "99 paths are too few"),
        (linear(), 100, {"epsilon": 0.0}, ConfigError, "epsilon=0.0"),
        (lambda z: (127 * linear()(z)).to(torch.int16), 100, {}, ConfigError, "decode to floats"),
        (lambda z: linear()(z) * torch.inf, 100, {}, DataError, "100 of 100 paths give pictures that are not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(decode, count, given, error, message):
    with pytest.raises(error, match=message):
        measured(decode, *ends(count), **given)


def test_ends_that_do_not_fit_are_refused():
    first, last, shares = ends()
    with pytest.raises(ConfigError, match="do not fit"):
        measured(linear(), first, last[:-1], shares)
