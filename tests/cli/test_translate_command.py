"""Translating from the command line, with every model that does."""

import numpy as np
import pytest
from commands import limner
from PIL import Image

SMALL = (
    "--set",
    "width=4",
    "--set",
    "tensorboard=false",
    "--precision",
    "fp32",
    "--resolution",
    "8",
    "--steps",
    "2",
    "-q",
)
UNPAIRED = ("--sources", "builtin:digits", "--set", "paired=false", "--set", "only=1", "--set", "sources_only=7")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    asked = {
        "pix2pix": ("builtin:shapes", "--degrade", "edges"),
        "cyclegan": ("builtin:digits", *UNPAIRED, "--set", "blocks=2"),
        "cut": ("builtin:digits", *UNPAIRED, "--set", "blocks=2"),
        "stargan": ("builtin:shapes", "--set", "blocks=2"),
    }
    for name, words in asked.items():
        done = limner("train", name, *words, *SMALL, "--out", folder / name)
        assert done.code == 0, done.err
    return folder


@pytest.mark.parametrize(
    ("name", "data", "more"),
    [
        ("pix2pix", "builtin:shapes", ("--degrade",)),
        ("pix2pix", "builtin:digits", ()),
        ("cyclegan", "builtin:digits", ()),
        ("cyclegan", "builtin:digits", ("--back",)),
        ("cut", "builtin:digits", ()),
        ("stargan", "builtin:shapes", ("--to", "heart")),
        ("stargan", "builtin:shapes", ("--attribute", "colour=red")),
    ],
)
def test_pictures_are_translated_beside_their_sources(runs, tmp_path, name, data, more):
    done = limner(
        "translate",
        data,
        "-n",
        5,
        "--model",
        runs / name,
        "--out",
        tmp_path / "out",
        "--grid",
        tmp_path / "grid.png",
        *more,
    )
    assert done.code == 0, done.err
    assert len(list((tmp_path / "out").glob("*.png"))) == 5
    with Image.open(tmp_path / "grid.png") as sheet:
        assert sheet.size[0] > 5 * 8


def test_there_and_back_are_two_networks_and_classes_differ(runs):
    import limner as package

    digits = package.open_data("builtin:digits").images[:3]
    both = package.load(runs / "cyclegan")
    assert not np.array_equal(both.translate(digits).images, both.translate(digits, back=True).images)
    changes = package.load(runs / "stargan")
    shapes = package.open_data("builtin:shapes", package.DataConfig(resolution=8)).images[:3]
    first, second = (changes.translate(shapes, label=label).images for label in changes.data.classes[:2])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "pix2pix", "builtin:shapes", "--sources", "nowhere"), "nowhere"),
        (("train", "cyclegan", "builtin:digits"), "say where they lie, with sources="),
        (("train", "stargan", "builtin:digits", "--resolution", "6"), "cannot be halved twice"),
        (("translate", "--model", "pix2pix"), "say which images"),
        (("translate", "builtin:digits", "--model", "cut", "--back"), "goes one way only"),
        (("translate", "builtin:digits", "--model", "cut", "--degrade"), "were not made of its images"),
        (("translate", "builtin:digits", "--model", "pix2pix", "--to", "heart"), "cannot be told"),
    ],
)
def test_what_cannot_be_is_said(runs, words, message):
    known = {name: runs / name for name in ("pix2pix", "cut")} if words[0] == "translate" else {}
    done = limner(*(known.get(word, word) for word in words))
    assert done.code in (2, 4) and message in done.err, done.err
