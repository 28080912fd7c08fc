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


SPRITE = 'background = "scene.png"\n[[layers]]\nimage = "sprite.png"\n'


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
        (("left.png", "--seamless", "--panorama"), "--seamless does not go with --panorama"),
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


@pytest.mark.parametrize("how", ["alpha", "pyramid", "poisson"])
def test_opacity_lies_between_the_layer_and_what_is_beneath(here, how):
    for name, opacity in (("none", 0.0), ("some", 0.4), ("all", 1.0)):
        layer = f'image = "other.png"\nmask = "mask.png"\nhow = "{how}"\nharmonise = 0.5\nopacity = {opacity}\n'
        Path(f"{name}.toml").write_text(f'background = "scene.png"\n[[layers]]\n{layer}')
        assert limner("compose", f"{name}.toml", "--out", f"{name}.png").code == 0
    none, some, full = (picture(f"{name}.png").astype(float) for name in ("none", "some", "all"))
    assert np.array_equal(none, here)
    if how != "alpha":
        assert np.abs(full - here).max() > 5
    whole = (full > 0) & (full < 255)  # the rest was clipped
    assert np.abs(some - (0.6 * none + 0.4 * full))[whole].max() <= 1


@pytest.mark.parametrize("how", ["alpha", "pyramid", "poisson"])
def test_what_is_transparent_in_the_upper_image_is_not_laid_over(here, how):
    upper = np.zeros((60, 160, 4), np.uint8)
    upper[25:35, 60:80] = [255, 0, 0, 255]
    Image.fromarray(upper).save("upper.png")
    Image.fromarray(np.full((60, 160), 255, np.uint8)).save("all.png")
    done = limner("compose", "scene.png", "upper.png", "--mask", "all.png", "--how", how, "--json")
    made = picture(done.json["out"])
    assert np.abs(made[:8].astype(int) - here[:8]).max() <= 4 and not np.array_equal(made[30, 70], here[30, 70])


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (f"{SPRITE}box = [0, 0, 100000, 100000]", "layer 1 (sprite.png): box"),
        (f"{SPRITE}box = [0, 0, 16000, 16000]", "30 million"),
        ('background = "red"\nsize = "90000x10"', "size='90000x10' is 90000x10, more than 16,384"),
        ('background = "red"\nsize = "16000x16000"', "30 million in all"),
        ('background = "red"\nsize = "0x10"', "size='0x10' is no size"),
        ('background = "red"\nsize = "big"', "size='big' is no size"),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused_before_it_is_made(here, layout, message):
    Path("large.toml").write_text(layout)
    done = limner("compose", "large.toml")
    assert done.code == 2 and message in done.err, done.err


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("flat.toml", "--mask", "mask.png"), "--mask"),
        (("flat.toml", "--columns", "2"), "--columns"),
        (("scene.png", "other.png", "--how", "alpha"), "--how"),
        (("scene.png", "--seamless", "--harmonise", "0.5"), "--harmonise"),
        (("scene.png", "other.png", "--mask", "mask.png", "--columns", "2"), "--columns"),
        (("left.png", "right.png", "--panorama", "--captions", "a"), "--captions"),
    ],
)
def test_flags_that_would_change_nothing_are_refused(here, words, flag):
    Path("flat.toml").write_text('background = "red"\nsize = "9x9"\n')
    done = limner("compose", *words)
    assert done.code == 2 and f"{flag} does not go with" in done.err
    assert limner("compose", "flat.toml").code == 0
