"""Stylising from the command line: by optimisation, by a learned style, and what goes wrong."""

from types import SimpleNamespace

import numpy as np
import pytest
from commands import limner
from PIL import Image

QUICK = ("--steps", "2", "--features", "random")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name, size in (
        ("photos/a.png", (48, 70)),
        ("photos/b.png", (64, 40)),
        ("style.png", (50, 50)),
        ("other.png", (40, 60)),
    ):
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(name)
    Image.fromarray(np.full((3, 3, 3), 9, np.uint8)).save("tiny.png")
    return tmp_path


def test_a_folder_in_the_manner_of_two(here):
    done = limner(
        "stylize", "photos", "--style", "style.png", "other.png", "--weights", "2", "1", "--out", "out", *QUICK
    )
    assert done.code == 0, done.err
    with Image.open("out/a.png") as a, Image.open("out/b.png") as b:
        assert a.size == (70, 48) and b.size == (40, 64)
    assert "exists" in limner("stylize", "photos", "--style", "style.png", "--out", "out", *QUICK).err


def test_a_learned_manner_at_any_size_and_strength(here):
    small = ("--set", "width=4", "--set", "blocks=1", "--set", "model.features=random", "--set", "tensorboard=false")
    made = limner(
        "train",
        "stylenet",
        "photos",
        "--set",
        "style=style.png",
        *small,
        "--patch",
        "32",
        "--steps",
        "3",
        "--out",
        "run",
        "-q",
    )
    assert made.code == 0, made.err
    assert limner("stylize", "photos/a.png", "--model", "run", "--out", "full").code == 0
    assert limner("stylize", "photos/a.png", "--model", "run", "--strength", "0", "--out", "none").code == 0
    with Image.open("none/a.png") as none, Image.open("photos/a.png") as given, Image.open("full/a.png") as full:
        assert np.array_equal(np.array(none), np.array(given)) and full.size == given.size


@pytest.mark.parametrize(("said", "level"), [((), 200), (("--strength", "0.7"), 140), (("--strength", "0.5"), 100)])
def test_a_learned_manner_is_as_strong_as_was_said(said, level, here, monkeypatch):
    """0.7, the optimiser's default, is a strength like any other."""
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save("black.png")
    trained = SimpleNamespace(name="stylenet", restore=lambda picture: np.full_like(picture, 200))
    monkeypatch.setattr("limner.cli.stylize.load", lambda *_: trained)
    assert limner("stylize", "black.png", "--model", "run", *said, "--out", "out").code == 0
    with Image.open("out/black.png") as made:
        assert (np.asarray(made) == level).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say which images"),
        (("photos",), "say either whose manner"),
        (("photos", "--style", "style.png", "--strength", "2"), "strength=2.0"),
        (("photos", "--style", "style.png", "--weights", "1", "2"), "no shares of 1 styles"),
        (("photos", "--style", "gone.png"), "gone.png"),
        (("photos", "--style", "style.png", "--features", "vgg19"), "needs its weights"),
        (("tiny.png", "--style", "style.png"), "3x3 is too small"),
        (("gone", "--style", "style.png"), "gone is not there"),
    ],
)
def test_what_cannot_be_is_said(here, words, message):
    done = limner("stylize", *words)
    assert done.code in (2, 4, 5) and message in done.err, done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", "-5"), "--size -5 is negative"),
        (("--weights", "nan"), "no shares of 1 styles"),
        (("--strength", "nan"), "strength=nan"),
        (("--steps", "0"), "steps=0"),
    ],
)
def test_numbers_out_of_range_are_refused(here, words, message):
    done = limner("stylize", "photos/a.png", "--style", "style.png", "--features", "random", "--out", "x", *words)
    assert done.code == 2 and message in done.err and not (here / "x").exists()
