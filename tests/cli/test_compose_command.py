"""Composing from the command line: layouts, masks, panoramas, textures, mixtures, storyboards, and what goes wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import limner
from PIL import Image

from limner.images.bicubic import resize_to


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    scene = np.floor(resize_to(rng.random((8, 20, 3)), 60, 160) * 200 + 20).clip(0, 255).astype(np.uint8)
    Image.fromarray(scene).save("scene.png")
    Image.fromarray(scene[:, :100]).save("left.png")
    Image.fromarray(scene[:, 60:]).save("right.png")
    Image.fromarray(255 - scene).save("other.png")
    mask = np.zeros((60, 160), np.uint8)
    mask[20:40, 50:90] = 255
    Image.fromarray(mask).save("mask.png")
    sprite = np.zeros((10, 10, 4), np.uint8)
    sprite[2:8, 2:8] = [255, 0, 0, 255]
    Image.fromarray(sprite).save("sprite.png")
    return scene


def picture(path):
    with Image.open(path) as found:
        return np.array(found)


@pytest.mark.parametrize("how", ["alpha", "pyramid", "poisson"])
def test_two_images_and_a_mask(here, how):
    done = limner("compose", "scene.png", "other.png", "--mask", "mask.png", "--how", how, "--json")
    assert done.code == 0, done.err
    made = picture(done.json["out"])
    assert made.shape == here.shape and not np.array_equal(made[30, 70], here[30, 70])
    assert np.abs(made[2, 2].astype(int) - here[2, 2]).max() <= 3


def test_a_layout_of_layers(here):
    layout = """
    background = "scene.png"
    [[layers]]
    image = "sprite.png"
    box = [10, 20, 20, 20]
    [[layers]]
    image = "sprite.png"
    box = [-5, 150, 10, 20]
    opacity = 0.5
    """
    with open("layout.toml", "w") as file:
        file.write(layout)
    assert limner("compose", "layout.toml", "--out", "made.png").code == 0
    made = picture("made.png")
    assert made[20, 30].tolist() == [255, 0, 0] and np.array_equal(made[40:], here[40:])
    assert np.array_equal(made[10, 20], here[10, 20])  # transparent
    half = (here[0, 159].astype(int) + [255, 0, 0]) / 2
    assert np.abs(made[0, 159] - half).max() <= 1


def test_a_layout_in_json_on_a_colour_and_panels(here):
    Path("plain.json").write_text(json.dumps({"background": "#102030", "size": "8x9"}))
    assert limner("compose", "plain.json", "--out", "plain.png").code == 0
    assert (picture("plain.png") == [16, 32, 48]).all() and picture("plain.png").shape == (8, 9, 3)
    panels = [{"image": "left.png", "caption": "once"}, {"image": "sprite.png"}, {"image": "mask.png"}]
    Path("story.json").write_text(json.dumps({"panels": panels, "columns": 2}))
    assert limner("compose", "story.json", "--out", "story.png").code == 0
    assert picture("story.png").shape[0] > 2 * 100


def test_a_panorama_is_the_scene_and_a_texture_is_smaller(here):
    assert limner("compose", "left.png", "right.png", "--panorama", "--out", "whole.png").code == 0
    assert np.array_equal(picture("whole.png"), here)
    assert limner("compose", "scene.png", "--seamless", "--out", "tile.png").code == 0
    assert picture("tile.png").shape == (45, 120, 3)


def test_images_alone_are_a_storyboard_and_nothing_is_overwritten(here):
    assert limner("compose", "left.png", "sprite.png", "mask.png", "--captions", "a", "b").code == 0
    assert limner("compose", "left.png").code == 0
    assert {"composed-1.png", "composed-2.png"} <= {path.name for path in Path().iterdir()}
    assert "exists" in limner("compose", "left.png", "--out", "left.png").err


def test_a_mixture_lies_between(here, tmp_path):
    run = tmp_path / "run"
    made = limner(
        "train", "ae", "builtin:digits", "--out", run, "--steps", 3, "--set", "width=8", "--set", "latent=4", "-q"
    )
    assert made.code == 0, made.err
    assert limner("compose", "left.png", "right.png", "--mix", run, "--out", "mix.png").code == 0
    assert picture("mix.png").shape == (8, 8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say which images or which layout"),
        (("scene.png", "other.png", "--mask", "sprite.png"), "a mask of 10x10 cannot be joined"),
        (("scene.png", "--mask", "mask.png"), "joins two images"),
        (("scene.png", "sprite.png", "--panorama"), "one height"),
        (("scene.png", "--panorama"), "two pictures or more"),
        (("left.png", "right.png", "--seamless"), "takes one image"),
        (("left.png", "--seamless", "--panorama"), "give one of them"),
        (("nowhere.png",), "nowhere.png is not there"),
        (("bad.toml",), "layers 1"),
        (("outside.toml",), "layer 1 (sprite.png): box"),
        (("missing.toml",), "layer 1 (gone.png): gone.png is not there"),
        (("colour.toml",), "say how large it is"),
        (("scene.png", "--out", "x.jpg"), "end in .png"),
    ],
)
def test_what_cannot_be_is_said(here, words, message):
    texts = {
        "bad.toml": '[[layers]]\nimage = "sprite.png"\nhow = "glue"\n',
        "outside.toml": 'background = "scene.png"\n[[layers]]\nimage = "sprite.png"\nbox = [100, 0, 5, 5]\n',
        "missing.toml": 'background = "scene.png"\n[[layers]]\nimage = "gone.png"\n',
        "colour.toml": 'background = "red"\n',
    }
    for name, text in texts.items():
        with open(name, "w") as file:
            file.write(text)
    done = limner("compose", *words)
    assert done.code in (2, 4) and message in done.err, done.err


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_every_mode_and_of_one_pixel(here, mode):
    image = Image.fromarray(np.arange(1, dtype=np.uint16 if mode == "I;16" else np.uint8).reshape(1, 1))
    name = "one.tif" if mode == "CMYK" else "one.png"
    (image if mode == "I;16" else image.convert(mode)).save(name)
    Path("l.json").write_text(
        json.dumps({"background": "scene.png", "layers": [{"image": name, "box": [3, 4, 5, 6], "how": "alpha"}]})
    )
    assert limner("compose", "l.json", "--out", "made.png").code == 0
