"""Chunks shared among processes: the same features in the same order, and an end that says why."""

import numpy as np
import pytest
from counting_cases import Counting, Failing, pictures

from limner import features
from limner.errors import ConfigError, DataError, LimnerError
from limner.features.spread import spread
from limner.features.store import features_of


def gentle(count, size=4):
    """Chunks of pictures whose first pixel offends no extractor."""
    images = pictures(count, 5, 5, 3) // 2
    return images, [images[start : start + size] for start in range(0, count, size)]


def test_processes_give_what_one_gives_in_order(tmp_path):
    images, chunks = gentle(30)
    here = np.concatenate([part.pooled for part in spread(Counting(), chunks)])
    there = np.concatenate([part.pooled for part in spread(Counting(), chunks, processes=2)])
    assert np.array_equal(here, there) and len(there) == 30


def test_a_network_gives_the_same_features_in_two_processes(tmp_path):
    extractor, images = features.load("lite0", engine="torch"), pictures(20, 16, 16, 3)
    alone = extractor(images)
    shared = features_of(extractor, [images[:16], images[16:]], count=20, key="k", processes=2, home=tmp_path)
    assert np.array_equal(shared.pooled, alone.pooled) and np.array_equal(shared.logits, alone.logits)


def test_few_chunks_are_under_way_at_once():
    _, chunks = gentle(60, size=2)
    taken = []

    def watched():
        for chunk in chunks:
            taken.append(1)
            yield chunk

    stream = spread(Counting(), watched(), processes=2)
    next(stream)
    assert len(taken) == 4
    stream.close()


def test_what_an_extractor_raises_in_a_process_is_raised_here():
    images, chunks = gentle(12)
    images[6, 0, 0, 0] = 255
    with pytest.raises(DataError, match="begins with 255"):
        list(spread(Failing(), chunks, processes=2))


def test_a_process_that_dies_is_said_to_have_died():
    images, chunks = gentle(12)
    images[6, 0, 0, 0] = 254
    with pytest.raises(LimnerError, match="one of 2 processes died"):
        list(spread(Failing(), chunks, processes=2))


@pytest.mark.parametrize("processes", [0, -1])
def test_no_process_at_all_is_refused(processes):
    with pytest.raises(ConfigError, match="use 1 or more"):
        list(spread(Counting(), [], processes=processes))
