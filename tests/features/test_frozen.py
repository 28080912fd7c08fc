"""Frozen networks: images go through in tiles of one size, and what comes out is checked."""

import pickle

import numpy as np
import pytest
import torch
from counting_cases import pictures
from feature_cases import Tiny
from torch import nn

from limner import features
from limner.engine import How
from limner.errors import ConfigError, ModelError
from limner.features.frozen import Frozen, Traits
from limner.features.preparation import Preparation


def frozen(network: nn.Module, *, tile: int = 4, classes: int = 5) -> Frozen:
    return Frozen(network, Traits("Tiny", "0" * 64, 8, classes), Preparation(12), How("torch", tile=tile))


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_the_network_sees_whole_tiles_alone(count):
    class Watched(Tiny):
        seen: list[int] = []

        def forward(self, x):
            self.seen.append(len(x))
            return super().forward(x)

    network = Watched()
    found = frozen(network)(pictures(count, 6, 6, 3))
    assert found.pooled.shape == (count, 8) and found.logits.shape == (count, 5)
    assert set(network.seen) == {4} and len(network.seen) == -(-count // 4)


def test_features_are_the_same_in_any_batch_and_at_any_place():
    extractor, images = frozen(Tiny()), pictures(11, 9, 7, 3)
    together = extractor(images)
    for rows in (slice(0, 1), slice(3, 10), slice(10, 11), slice(5, 6)):
        found = extractor(images[rows])
        assert np.abs(found.pooled - together.pooled[rows]).max() < 1e-6
        assert np.abs(found.logits - together.logits[rows]).max() < 1e-6


def test_pictures_of_several_sizes_may_follow_each_other():
    extractor = frozen(Tiny())
    first = extractor(pictures(2, 12, 12, 3)).pooled
    extractor(pictures(2, 30, 20, 1))
    assert np.array_equal(extractor(pictures(2, 12, 12, 3)).pooled, first)


def test_a_network_without_classes_has_no_logits():
    class Plain(Tiny):
        def forward(self, x):
            return super().forward(x)[:1]

    found = frozen(Plain(), classes=0)(pictures(3, 6, 6, 3))
    assert found.pooled.shape == (3, 8) and found.logits is None


def test_features_are_ready_for_anyone():
    """Plain float32 arrays that can be written to, not views of a tensor that forbids it."""
    found = frozen(Tiny())(pictures(2, 6, 6, 3))
    assert found.pooled.dtype == found.logits.dtype == np.float32
    found.pooled[0] = 1
    assert (found.pooled[0] == 1).all()


def test_features_that_are_not_finite_are_refused():
    network = Tiny()
    with torch.no_grad():
        network.filter.weight[0] = torch.inf
    with pytest.raises(ModelError, match="not finite"):
        frozen(network)(pictures(2, 6, 6, 3))


def test_features_of_another_width_are_refused():
    with pytest.raises(ModelError, match=r"gave \(2, 5\) for 2 images"):
        frozen(Tiny(), classes=7)(pictures(2, 6, 6, 3))


@pytest.mark.parametrize(
    "images", [np.zeros((2, 6, 6, 3)), np.zeros((0, 6, 6, 2), np.uint8), np.zeros((6, 6, 3), np.uint8)]
)
def test_other_arrays_than_images_are_refused(images):
    with pytest.raises(ConfigError, match="features are of uint8"):
        frozen(Tiny())(images)


def test_a_loaded_extractor_travels_as_the_words_that_made_it():
    extractor = features.load("lite0", engine="torch")
    sent = pickle.dumps(extractor)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent)(pictures(1, 8, 8, 3)).pooled, extractor(pictures(1, 8, 8, 3)).pooled)


def test_one_that_was_made_by_hand_says_that_it_cannot_travel():
    with pytest.raises(ModelError, match=r"not made by features\.load"):
        pickle.dumps(frozen(Tiny()))
