"""Filling holes from the command line: by a model that was trained to, and by one that only denoises."""

import numpy as np
import pytest
from commands import limner
from PIL import Image


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    ramp = np.add.outer(np.arange(40) * 3, np.arange(50) * 2).astype(np.uint8)
    for place in range(2):
        Image.fromarray(np.stack([ramp, ramp[::-1], 255 - ramp], 2)).save(folder / f"{place}.png")
    hole = np.zeros((40, 50), np.uint8)
    hole[10:20, 10:30] = 255
    masks = tmp_path_factory.mktemp("masks")
    Image.fromarray(hole).save(masks / "mask.png")
    Image.fromarray(hole[:, :40]).save(masks / "narrow.png")
    return folder, masks


@pytest.fixture(scope="module", params=["inpainter", "flow-mlp"])
def run(request, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    small = ("--set", "width=8", "--set", "tensorboard=false", "--precision", "fp32", "--steps", "3")
    size = ("--patch", "16") if request.param == "inpainter" else ("--resolution", "16")
    made = limner("train", request.param, photos[0], "--out", out, *small, *size)
    assert made.code == 0, made.err
    if request.param == "inpainter":
        assert f"limner inpaint IMAGES --mask MASK --model {out}" in made.out
    return out


def test_a_mask_of_another_size_is_refused(run, photos, tmp_path):
    pictures, masks = photos
    asked = ("inpaint", pictures / "0.png", "--model", run, "--out", tmp_path / "x", "--mask")
    done = limner(*asked, masks / "narrow.png")
    assert done.code == 2 and "they must be of one size" in done.err and not (tmp_path / "x").exists()
    assert limner(*asked, masks / "mask.png").code == 0


def test_of_several_the_one_that_cannot_be_is_named(photos, run, tmp_path):
    pictures, masks = photos
    both = ("inpaint", pictures / "0.png", pictures / "1.png", "--model", run, "--out", tmp_path / "x")
    done = limner(*both, "--mask", masks / "mask.png", masks / "narrow.png", "--json")
    if "failed" in done.json:  # each at its own size, one after the other
        assert done.code == 2 and done.json["pictures"] == 1 and "1.png" in done.json["failed"][0]["image"]
    else:  # all at the model's size, at once
        assert done.code == 2 and "1.png" in done.json["error"]["message"] and not (tmp_path / "x").exists()


def test_one_that_draws_nothing_is_asked_for_nothing(photos, tmp_path):
    pictures, masks = photos
    small = ("--set", "width=8", "--set", "tensorboard=false", "--precision", "fp32", "--steps", "1", "--patch", "16")
    assert limner("train", "inpainter", pictures, "--out", tmp_path / "run", *small, "-q").code == 0
    asked = ("inpaint", pictures / "0.png", "--mask", masks / "mask.png", "--model", tmp_path / "run")
    for words in (("--seed", "3"), ("--grid", "x.png"), ("--text", "a cat"), ("--set", "steps=3")):
        done = limner(*asked, *words)
        assert done.code == 2 and f"{words[0]} is not for this model" in done.err
