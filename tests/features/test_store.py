"""Features on the disk: made once, made again when they are not whole, and made without a disk when there is none."""

import errno
from pathlib import Path

import numpy as np
import pytest
from counting_cases import Counting, pictures

from limner.errors import DataError
from limner.features import shelf, store
from limner.features.store import features_of, statistics_of
from limner.metrics.moments import Moments

IMAGES = pictures(50, 6, 6, 3)
EXPECTED = Counting()(IMAGES)


def chunks(images=IMAGES, size=8):
    return (images[start : start + size] for start in range(0, len(images), size))


def features(extractor, home, **changes):
    return features_of(extractor, chunks(), **{"count": 50, "key": "images", "home": home, **changes})


def same(found):
    return np.array_equal(found.pooled, EXPECTED.pooled) and np.array_equal(found.logits, EXPECTED.logits)


def test_features_are_made_once_and_then_mapped_from_the_disk(tmp_path):
    extractor = Counting()
    for _ in range(3):
        found = features(extractor, tmp_path)
        assert same(found) and isinstance(found.pooled, np.memmap)
    assert extractor.seen == 50


def test_what_is_there_needs_no_images(tmp_path):
    features(Counting(), tmp_path)
    untouched = (pytest.fail("an image was read") for _ in range(1))
    assert same(features_of(Counting(), untouched, count=50, key="images", home=tmp_path))


@pytest.mark.parametrize("part", ["sha256", "resize", "precision", "name"])
def test_other_weights_or_another_resize_or_precision_are_other_features(tmp_path, part):
    features(Counting(), tmp_path)
    other = Counting()
    setattr(other, part, "other")
    features(other, tmp_path)
    assert other.seen == 50


def test_other_images_are_other_features(tmp_path):
    extractor = Counting()
    features(extractor, tmp_path)
    features(extractor, tmp_path, key="other images")
    assert extractor.seen == 100


@pytest.mark.parametrize("file", ["pooled.npy", "logits.npy", "manifest.json"])
@pytest.mark.parametrize("damage", ["short", "flipped", "gone"])
def test_what_is_not_whole_is_made_again(tmp_path, file, damage):
    features(Counting(), tmp_path)
    (path,) = tmp_path.glob(f"features/*/{file}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    if damage != "gone":
        path.write_bytes(bytes(data[:-3]) if damage == "short" else bytes(data))
    extractor = Counting()
    assert same(features(extractor, tmp_path)) and extractor.seen == 50
    assert same(features(extractor, tmp_path)) and extractor.seen == 50  # and is whole again


def test_without_a_disk_to_write_to_features_are_in_memory(tmp_path):
    (tmp_path / "home").write_bytes(b"in the way")
    found = features(Counting(), tmp_path / "home")
    assert same(found) and not isinstance(found.pooled, np.memmap)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 8, 13])
def test_when_the_disk_is_full_what_it_took_is_not_lost(tmp_path, monkeypatch, after):
    write, left = shelf.append, [after]

    def full(file, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "no space left on device")
        left[0] -= 1
        write(file, data)

    monkeypatch.setattr(shelf, "append", full)
    extractor = Counting()
    assert same(features(extractor, tmp_path)) and extractor.seen == 50
    assert list(tmp_path.glob("features/*")) == []


def test_a_folder_that_cannot_get_its_name_is_no_loss(tmp_path, monkeypatch):
    def refuse(draft, folder):
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(shelf, "publish", refuse)
    assert same(features(Counting(), tmp_path)) and list(tmp_path.glob("features/*")) == []


def test_two_that_make_the_same_features_do_not_disturb_each_other(tmp_path):
    def meanwhile():
        yield IMAGES[:20]
        features(Counting(), tmp_path)
        yield IMAGES[20:]

    assert same(features_of(Counting(), meanwhile(), count=50, key="images", home=tmp_path))
    assert same(features(Counting(), tmp_path)) and len(list(tmp_path.glob("features/*"))) == 1


@pytest.mark.parametrize("count", [49, 51])
def test_another_number_of_images_than_was_said_is_refused(tmp_path, count):
    with pytest.raises(DataError, match="images were said to come|count the images"):
        features(Counting(), tmp_path, count=count)
    assert list(tmp_path.glob("features/*")) == []


def test_networks_without_classes_have_no_logits(tmp_path):
    extractor = Counting()
    extractor.classes = 0
    assert features(extractor, tmp_path).logits is None and features(extractor, tmp_path).logits is None
    assert extractor.seen == 50


def test_drafts_of_dead_processes_are_swept_away(tmp_path):
    import os

    old, new = tmp_path / "features" / "old.tmp", tmp_path / "features" / "new.tmp"
    for place in (old, new):
        place.mkdir(parents=True)
    os.utime(old, (0, 0))
    features(Counting(), tmp_path)
    assert not old.exists() and new.exists()


def test_features_stream_through_little_memory(tmp_path):
    """20,000 rows of 512 are 41 MB; what is held on the way is a few chunks."""
    import tracemalloc

    class Wide(Counting):
        dimension, classes = 512, 0

        def __call__(self, images):
            return store.Features(np.zeros((len(images), 512), np.float32))

    blank = np.zeros((100, 2, 2, 1), np.uint8)
    tracemalloc.start()
    found = features_of(Wide(), (blank for _ in range(200)), count=20_000, key="wide", home=tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.pooled.shape == (20_000, 512) and peak < 4 << 20


@pytest.mark.parametrize("size", [7, 50, 1000])
def test_blocks_are_the_rows_in_order_from_a_map_and_from_memory(tmp_path, size):
    found = features(Counting(), tmp_path)
    for matrix in (found.pooled, np.array(found.pooled)):
        parts = list(store.blocks(matrix, size))
        assert np.array_equal(np.concatenate(parts), EXPECTED.pooled) and len(parts) == -(-50 // size)
        assert not any(isinstance(part, np.memmap) for part in parts)


# --- statistics -------------------------------------------------------------------------------------------------------


def test_statistics_are_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return Moments.of(EXPECTED.pooled).state()

    for _ in range(2):
        state = statistics_of(Counting(), make, key="images", name="moments", home=tmp_path)
        assert np.array_equal(Moments.from_state(state).covariance, Moments.of(EXPECTED.pooled).covariance)
    statistics_of(Counting(), make, key="other images", name="moments", home=tmp_path)
    assert len(made) == 2


@pytest.mark.parametrize("damage", [b"", b"short"])
def test_damaged_statistics_are_made_again(tmp_path, damage):
    def given(value):
        return statistics_of(Counting(), lambda: {"x": np.array(value)}, key="images", name="x", home=tmp_path)["x"]

    given(1)
    assert given(2) == 1
    (path,) = tmp_path.glob("statistics/*/x.npy")
    path.write_bytes(damage)
    assert given(3) == 3 and given(4) == 3


def test_statistics_without_a_disk_are_made_each_time(tmp_path):
    (tmp_path / "home").write_bytes(b"in the way")
    for value in (1, 2):
        made = statistics_of(
            Counting(), lambda v=value: {"x": np.array(v)}, key="i", name="x", home=Path(tmp_path / "home")
        )
        assert made["x"] == value
