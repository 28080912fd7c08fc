"""The built-in data sets: the same on every machine, complete, and as described."""

from __future__ import annotations

import hashlib
import time
from collections import Counter

import numpy as np
import pytest

from limner.data import builtin
from limner.data.builtin import shapes
from limner.errors import ConfigError, MissingExtra


@pytest.fixture(scope="module")
def openmoji():
    return builtin.source("builtin:openmoji")


@pytest.fixture(scope="module")
def pictures(openmoji):
    return [openmoji.read(index) for index in range(len(openmoji.records))]


def digest(source, count: int) -> str:
    return hashlib.sha256(b"".join(source.read(index).tobytes() for index in range(count))).hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("builtin:openmojis", "did you mean openmoji"),
        ("builtin:", "known: digits, openmoji, shapes"),
        ("builtin:digits?n=5", "use builtin:digits"),
        ("builtin:shapes?n=0", "shapes\\?n=1000"),
        ("builtin:shapes?n=-3", "shapes\\?n=1000"),
        ("builtin:shapes?n=²", "shapes\\?n=1000"),
        ("builtin:shapes?m=10", "shapes\\?n=1000"),
        ("builtin:shapes?n=5&size=3", "shapes\\?n=1000"),
    ],
)
def test_a_wrong_name_is_told_the_right_one(name, way_out):
    with pytest.raises(ConfigError, match=way_out):
        builtin.source(name)


def test_openmoji_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(MissingExtra, match=r"limner\[demo\]"):
        builtin.source("builtin:openmoji")


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [("builtin:shapes", 64, "2e2dca60745e72fc"), ("builtin:digits", 1797, "b41ca9fd335466ee")],
)
def test_pictures_are_the_same_everywhere(name, count, expected):
    assert digest(builtin.source(name), count) == expected


@pytest.mark.parametrize("name", ["builtin:openmoji", "builtin:shapes", "builtin:digits"])
def test_records_are_complete_and_reading_is_repeatable(name):
    source, again = builtin.source(name), builtin.source(name)
    assert source.records == again.records
    assert source.fingerprint() == again.fingerprint()
    names = [record.name for record in source.records]
    assert len(set(names)) == len(names)
    assert len({record.split for record in source.records}) == 2
    for index in (7, 0, 7, len(names) - 1):
        assert np.array_equal(source.read(index), again.read(index))
        assert source.read(index).dtype == np.uint8


def test_builtins_open_at_once():
    start = time.perf_counter()
    for name in ("builtin:openmoji", "builtin:shapes", "builtin:digits"):
        builtin.source(name).read(0)
    assert time.perf_counter() - start < 5  # measured 0.25 s; the rest is room for a busy machine


def test_openmoji_has_captions_groups_and_an_attribution(openmoji):
    groups = Counter(record.label for record in openmoji.records)
    assert 1500 <= len(openmoji.records) <= 2500
    assert set(groups) == {
        "smileys", "people", "animals", "food", "travel", "activities", "objects", "symbols", "flags",
    }  # fmt: skip
    assert min(groups.values()) >= 80
    assert all(record.captions and record.captions[0].strip() for record in openmoji.records)
    known = {record.captions[0]: record.label for record in openmoji.records}
    for caption, group in {
        "grinning face": "smileys", "pizza": "food", "fox": "animals", "rocket": "travel", "red heart": "symbols",
        "flag of Japan": "flags", "guitar": "objects", "trophy": "activities", "waving hand": "people",
    }.items():  # fmt: skip
        assert known[caption] == group
    assert "CC BY-SA 4.0" in openmoji.attribution


def test_openmoji_keeps_a_tenth_of_every_group_for_validation(openmoji):
    held = Counter(record.label for record in openmoji.records if record.split == "val")
    for group, count in Counter(record.label for record in openmoji.records).items():
        assert held[group] / count == pytest.approx(0.1, abs=0.025)


def test_openmoji_pictures_are_centred_whole_coloured_and_all_different(pictures):
    assert {picture.shape for picture in pictures} == {(128, 128, 4)}
    for picture in pictures:
        rows, columns = (np.flatnonzero(picture[..., 3].any(axis)) for axis in (1, 0))
        assert abs(rows[0] - (127 - rows[-1])) <= 1 and abs(columns[0] - (127 - columns[-1])) <= 1
        assert rows[0] >= 2 and columns[0] >= 2  # nothing is cut off at the border
    coloured = [np.ptp(picture[..., :3].astype(int), axis=-1).max() > 60 for picture in pictures]
    assert np.mean(coloured) > 0.8  # the rest is black, white or grey on purpose
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_clear_pixels_of_openmoji_are_black_so_that_resizing_needs_no_guess(pictures):
    for picture in pictures[::50]:
        assert not picture[picture[..., 3] == 0].any()


def test_shapes_show_their_factors():
    """Colour, position, size and shape are read off the picture alone and compared with what it claims."""
    source = builtin.source("builtin:shapes?n=300")
    ground = np.array(shapes.GROUND)
    area = {"square": 2, "ellipse": 0.6 * np.pi, "triangle": 3 * np.sqrt(3) / 4, "star": None, "heart": None}
    for index, record in enumerate(source.records):
        factors, picture = record.attributes, source.read(index).astype(int)
        colour = np.array(shapes.COLOURS[factors["colour"]])
        cover = ((picture - ground) @ (colour - ground)) / ((colour - ground) @ (colour - ground))
        assert np.abs(picture - ground - cover[..., None] * (colour - ground)).max() <= 1
        radius = factors["size"] / 2 * 64
        if area[record.label]:
            assert cover.sum() == pytest.approx(area[record.label] * radius**2, rel=0.06)
            centre = np.array([(cover.sum(axis) @ (np.arange(64) + 0.5)) / cover.sum() / 64 for axis in (0, 1)])
            assert centre == pytest.approx([factors["x"], factors["y"]], abs=0.01)
        assert record.label == factors["shape"] and factors["colour"] in record.captions[0]


def test_shapes_turn_anticlockwise_by_their_rotation():
    upright = shapes.Factors("ellipse", "red", 0.5, 0.5, 0.5, 0)
    for rotation in (-30, 10, 30):
        turned = shapes.draw(shapes.Factors("ellipse", "red", 0.5, 0.5, 0.5, rotation))
        rows, columns = np.nonzero(turned[..., 1] < 128)
        axis = np.linalg.eigh(np.cov(columns - 31.5, 31.5 - rows))[1][:, -1]  # the long axis, y up
        assert np.degrees(np.arctan(axis[1] / axis[0])) == pytest.approx(rotation, abs=3)
    assert not np.array_equal(shapes.draw(upright), turned)


def test_shapes_never_touch_the_border_and_factors_are_balanced():
    source = builtin.source("builtin:shapes?n=1000")
    ground = np.array(shapes.GROUND, dtype=np.uint8)
    for index in range(0, 1000, 10):
        picture = source.read(index)
        for side in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            assert (side == ground).all()
    for factor, values in (("shape", shapes.SHAPES), ("colour", shapes.COLOURS)):
        counts = Counter(record.attributes[factor] for record in source.records)
        assert set(counts) == set(values) and min(counts.values()) > 0.7 * 1000 / len(values)
    table = np.array(
        [[record.attributes[name] for name in ("size", "x", "y", "rotation")] for record in source.records]
    )
    assert np.abs(np.corrcoef(table.T) - np.eye(4)).max() < 0.1


def test_a_shape_does_not_depend_on_how_many_there_are():
    few, many = builtin.source("builtin:shapes?n=10"), builtin.source("builtin:shapes?n=20")
    assert few.records == many.records[:10]
    assert few.fingerprint() != many.fingerprint()


def test_blocks_are_the_pictures_in_order():
    source = builtin.source("builtin:shapes?n=300")
    blocks = list(source.blocks())
    assert [len(block) for block in blocks] == [256, 44]
    assert np.array_equal(np.concatenate(blocks), np.stack([source.read(index) for index in range(300)]))
    assert blocks[0].shape[1:] == source.shape


def test_digits_are_digits():
    source = builtin.source("builtin:digits")
    assert Counter(record.split for record in source.records) == {"train": 1437, "test": 360}
    assert {record.label for record in source.records} == set("0123456789")
    images = np.stack([source.read(index) for index in range(1797)]).reshape(1797, 64).astype(float)
    labels = np.array([int(record.label) for record in source.records])
    means = np.stack([images[:1437][labels[:1437] == digit].mean(0) for digit in range(10)])
    nearest = ((images[1437:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == labels[1437:]).mean() > 0.8  # nearest mean on unseen writers; measured 0.87
    assert images.min() == 0 and images.max() == 255
