"""Translation without pairs: what is peculiar to its models, beside what the whole catalogue keeps."""

import torch

from limner.models.contrastive_translation import drawn_places
from limner.rng import StepRng


def test_places_are_drawn_without_repetition():
    rng = StepRng(0, 0, start=0, stop=6, total=6)
    for available, count in ((64, 64), (100, 16), (16, 64)):
        places = drawn_places(rng, available, count)
        assert places.shape == (6, min(count, available)) and places.min() >= 0 and places.max() < available
        assert all(len(set(row)) == len(row) for row in places.tolist()), "a place is drawn twice"
    assert len(set(drawn_places(rng, 4, 1).flatten().tolist())) > 1, "pictures share their places"


def test_places_of_a_part_are_those_of_the_whole_batch():
    whole, part = StepRng(3, 5, start=0, stop=8, total=8), StepRng(3, 5, start=4, stop=8, total=8)
    assert torch.equal(drawn_places(whole, 49, 9)[4:], drawn_places(part, 49, 9))
