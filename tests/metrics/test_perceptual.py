import math

import numpy as np
import pytest
import torch

from limner.errors import ConfigError, DataError
from limner.metrics.perceptual import perceptual_distance


def maps(seed=0, rows=3):
    """Two layers of features for `rows` images."""
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, 5, 7, 6, generator=rng), torch.randn(rows, 9, 3, 3, generator=rng)]


def test_it_is_the_squared_distance_of_unit_vectors_averaged_over_places_and_summed_over_layers():
    expected = np.zeros(3)
    for a, b in zip(maps(0), maps(1), strict=True):
        cosine = torch.cosine_similarity(a.double(), b.double(), dim=1)  # |u - v|² = 2 - 2 cos
        expected += (2 - 2 * cosine).mean((1, 2)).numpy()
    np.testing.assert_allclose(perceptual_distance(maps(0), maps(1)), expected, atol=1e-8)


def test_equal_maps_are_at_0_and_opposite_ones_at_4_a_layer():
    assert perceptual_distance(maps(), maps()).tolist() == [0.0] * 3
    opposite = [-layer for layer in maps()]
    np.testing.assert_allclose(perceptual_distance(maps(), opposite), 8.0, atol=1e-8)


def test_features_at_right_angles_are_at_2_a_layer():
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0])
    layers = [vector.view(1, 2, 1, 1).expand(1, 2, 4, 4) for vector in (one, other)]
    assert perceptual_distance(layers[:1], layers[1:])[0] == pytest.approx(2, abs=1e-8)


def test_it_is_symmetric_and_blind_to_the_scale_of_features():
    there, back = perceptual_distance(maps(0), maps(1)), perceptual_distance(maps(1), maps(0))
    np.testing.assert_allclose(there, back, atol=1e-12)
    scaled = [layer * 100 for layer in maps(1)]
    np.testing.assert_allclose(perceptual_distance(maps(0), scaled), there, atol=1e-8)


def test_silent_features_are_at_0_from_each_other_and_at_1_from_any_other():
    silent = [torch.zeros(1, 4, 2, 2)]
    assert perceptual_distance(silent, silent).tolist() == [0.0]
    assert perceptual_distance(silent, [torch.ones(1, 4, 2, 2)])[0] == pytest.approx(1, abs=1e-8)


def test_a_pair_is_worth_the_same_alone_and_in_a_batch():
    together = perceptual_distance(maps(0), maps(1))
    for row in range(3):
        alone = perceptual_distance(*([layer[row : row + 1] for layer in maps(seed)] for seed in (0, 1)))
        assert alone[0] == together[row]


def test_it_grows_with_what_was_changed():
    changed = [[layer + std * noise for layer, noise in zip(maps(0), maps(1), strict=True)] for std in (0.1, 0.3, 1.0)]
    found = [perceptual_distance(maps(), layers).mean() for layers in changed]
    assert found == sorted(found) and found[0] > 0


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (maps(), maps()[:1], "2 and 1 layers"),
        ([], [], "0 and 0 layers"),
        (maps(), maps(rows=2), "make no pairs"),
        ([torch.zeros(2, 3)], [torch.zeros(2, 3)], "B, c, h, w"),
    ],
)
def test_maps_that_make_no_pairs_are_refused(left, right, message):
    with pytest.raises(ConfigError, match=message):
        perceptual_distance(left, right)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_features_that_are_not_finite_are_refused(value):
    broken = maps()
    broken[1][2, 0, 0, 0] = value
    with pytest.raises(DataError, match="maps of 1 pairs"):
        perceptual_distance(maps(), broken)
