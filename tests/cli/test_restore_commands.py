"""Restoring from the command line, as a user would: train, restore files and folders, and be told what is wrong."""

import re

import numpy as np
import pytest
from commands import limner
from PIL import Image


def look(path):
    """(width, height) and mode of a picture."""
    with Image.open(path) as picture:
        return picture.size, picture.mode


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for place in range(3):
        ramp = np.add.outer(np.arange(40) * 3, np.arange(50 + place) * 2).astype(np.uint8)
        Image.fromarray(np.stack([ramp, ramp[::-1], 255 - ramp], 2)).save(folder / f"{place}.png")
    return folder


@pytest.fixture(scope="module")
def enlarger(photos, tmp_path_factory):
    return trained("srnet", photos, tmp_path_factory, "--set", "depth=3")


@pytest.fixture(scope="module")
def cleaner(photos, tmp_path_factory):
    return trained("denoiser", photos, tmp_path_factory, "--set", "depth=1", "--set", "uncertainty=true")


def trained(name, photos, tmp_path_factory, *more):
    out = tmp_path_factory.mktemp("runs") / "run"
    small = ("--set", "width=4", "--set", "tensorboard=false", "--precision", "fp32", "--patch", "16", "--steps", "4")
    made = limner("train", name, photos, "--out", out, "--channels", "1", *small, *more, "-q")
    assert made.code == 0, made.err
    assert next((out / "previews").glob("*.png"))
    return out


def test_a_folder_is_enlarged_under_its_own_names(enlarger, photos, tmp_path):
    done = limner("upscale", photos, "--model", enlarger, "--out", tmp_path / "large", "--tile", "16", "--json")
    assert done.code == 0, done.err
    assert done.json["pictures"] == 3 and look(tmp_path / "large.png")[0][0] > 100
    for place in range(3):
        assert look(tmp_path / "large" / f"{place}.png") == ((2 * (50 + place), 80), "RGB")


def test_nothing_is_overwritten(enlarger, photos, tmp_path):
    asked = ("upscale", photos / "0.png", "--model", enlarger, "--out", tmp_path / "x")
    assert limner(*asked).code == 0
    again = limner(*asked)
    assert again.code == 2 and "exists" in again.err
    assert limner(*asked, "--overwrite", "--consistent", "--ensemble").code == 0


def test_expected_errors_come_beside_the_picture(cleaner, photos, tmp_path):
    asked = ("denoise", photos / "0.png", "--model", cleaner, "--out", tmp_path / "x", "--uncertainty", "--level", "10")
    assert limner(*asked).code == 0
    assert look(tmp_path / "x" / "0.error.png") == ((50, 40), "L")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_sources_of_every_mode(enlarger, tmp_path, mode):
    picture = Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30))
    if mode == "I;16":
        picture = Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100)
    file = tmp_path / ("in.tif" if mode == "CMYK" else "in.png")
    (picture if mode == "I;16" else picture.convert(mode)).save(file)
    assert limner("upscale", file, "--model", enlarger, "--out", tmp_path / "out").code == 0
    assert look(tmp_path / "out" / "in.png")[0] == (60, 40)


@pytest.mark.parametrize(
    ("chain", "size", "mode"),
    [
        ("noise:20,jpeg:40", (50, 40), "RGB"),
        ("down:3", (16, 13), "RGB"),
        ("gray", (50, 40), "L"),
        ("old", (50, 40), "RGB"),
    ],
)
def test_pictures_are_made_worse_alike_every_time(photos, tmp_path, chain, size, mode):
    for folder in ("once", "again"):
        done = limner("degrade", photos, "--with", chain, "--out", tmp_path / folder)
        assert done.code == 0, done.err
    assert look(tmp_path / "once" / "0.png") == (size, mode)
    assert (tmp_path / "once" / "2.png").read_bytes() == (tmp_path / "again" / "2.png").read_bytes()
    assert "exists" in limner("degrade", photos, "--with", chain, "--out", tmp_path / "once").err
    assert "unknown degradation" in limner("degrade", photos, "--with", "bluur:2").err


def test_a_diffusion_model_restores_without_training(tmp_path):
    run = tmp_path / "run"
    assert limner("train", "flow-mlp", "builtin:digits", "--out", run, "--steps", 3, "--set", "width=8", "-q").code == 0
    asked = ("restore", "builtin:digits", "--model", run, "--out", tmp_path / "out", "--as")
    done = limner(*asked, "upscale:2")
    assert done.code == 0, done.err
    assert look(tmp_path / "out" / "000003.png") == ((8, 8), "L") and (tmp_path / "out.png").exists()
    assert "exists" in limner(*asked, "upscale:2").err
    assert "have no colours" in limner(*asked, "colorize", "--overwrite").err
    assert "must be told what" in limner(*asked[:-1], "--overwrite").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("upscale",), "say which images"),
        (("upscale", "PHOTOS"), "say which model.*limner train srnet"),
        (("denoise", "PHOTOS", "--model", "ENLARGER"), "was trained on down:2, not to denoise"),
        (("upscale", "PHOTOS", "--model", "CLEANER"), "not to upscale; train one"),
        (("upscale", "nowhere.png", "--model", "ENLARGER"), "nowhere.png is not there"),
        (("restore", "PHOTOS", "--model", "ENLARGER", "--tile", "-1"), "tile=-1"),
    ],
)
def test_what_cannot_be_is_said(enlarger, cleaner, photos, words, message, elsewhere):
    known = {"PHOTOS": photos, "ENLARGER": enlarger, "CLEANER": cleaner}
    done = limner(*(known.get(word, word) for word in words))
    assert done.code in (2, 4) and re.search(message, done.err), done.err
