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


def test_what_is_degraded_does_not_depend_on_what_cannot_be(photos, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    for place in range(3):
        data = (photos / f"{place}.png").read_bytes()
        (folder / f"{place}.png").write_bytes(data[:60] if place == 1 else data)
    for source, out in ((folder, "some-out"), (photos, "all-out")):
        done = limner("degrade", source, "--with", "noise:25", "--out", tmp_path / out, "--json")
        assert done.json["pictures"] == (2 if source == folder else 3) and done.code == (4 if source == folder else 0)
    assert (tmp_path / "some-out" / "2.png").read_bytes() == (tmp_path / "all-out" / "2.png").read_bytes()


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


def test_all_of_a_folder_is_restored_without_training(tmp_path):
    run, folder = tmp_path / "run", tmp_path / "many"
    assert limner("train", "flow-mlp", "builtin:digits", "--out", run, "--steps", 1, "--set", "width=8", "-q").code == 0
    folder.mkdir()
    for place in range(20):
        Image.fromarray(np.full((4, 4), place, np.uint8)).save(folder / f"{place}.png")
    done = limner("restore", folder, "--model", run, "--out", tmp_path / "out", "--as", "upscale:2", "--json")
    assert done.code == 0 and done.json["pictures"] == 20, done.err


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


def test_one_bad_picture_does_not_end_a_batch(enlarger, photos, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "a.png").write_bytes((photos / "0.png").read_bytes())
    (folder / "b.png").write_bytes((photos / "1.png").read_bytes()[:60])
    (folder / "c.png").write_bytes((photos / "2.png").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    done = limner("upscale", folder, "--model", enlarger, "--out", tmp_path / "large", "--json")
    assert done.code == 4 and done.json["pictures"] == 2
    assert [one["image"] for one in done.json["failed"]] == [str(folder / "b.png")]
    assert sorted(path.name for path in (tmp_path / "large").iterdir()) == ["a.png", "c.png"]
    told = limner("upscale", folder, "--model", enlarger, "--out", tmp_path / "again")
    assert "not made:" in told.out and "b.png" in told.out
    alone = limner("upscale", folder / "b.png", "--model", enlarger, "--out", tmp_path / "none")
    assert alone.code == 4 and "b.png" in alone.err and not (tmp_path / "none").exists()


@pytest.mark.parametrize("out", [".", "..", "here/.."])
def test_a_folder_without_a_name_has_its_sheet_in_it(out, enlarger, photos, tmp_path, monkeypatch):
    (tmp_path / "deep" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep")
    done = limner("upscale", photos / "0.png", "--model", enlarger, "--out", out, "--json")
    assert done.code == 0, done.err
    assert look(done.json["sheet"])[1] == "RGB" and done.json["sheet"].endswith("sheet.png")


def test_a_sheet_never_takes_the_place_of_a_picture(enlarger, photos, tmp_path):
    (tmp_path / "x.png").write_bytes(b"mine")
    done = limner("upscale", photos / "0.png", "--model", enlarger, "--out", tmp_path / "x", "--json")
    assert done.json["sheet"] == str(tmp_path / "x-2.png") and (tmp_path / "x.png").read_bytes() == b"mine"


def test_the_sheet_shows_the_middle_before_and_after(photos, enlarger, tmp_path):
    wide = Image.fromarray(np.tile(np.arange(0, 250, 1, np.uint8), (300, 2))[..., None].repeat(3, 2))
    wide.save(tmp_path / "wide.png")
    limner("upscale", tmp_path / "wide.png", "--model", enlarger, "--out", tmp_path / "x", "--tile", "64")
    sheet = np.asarray(Image.open(tmp_path / "x.png"))
    made = np.asarray(Image.open(tmp_path / "x" / "wide.png"))
    assert sheet.shape[0] >= 256 and sheet.shape[1] >= 512
    crop = made[172:428, 372:628]  # of 600 x 1000
    windows = np.lib.stride_tricks.sliding_window_view(sheet, crop.shape)
    assert any((windows[row, column, 0] == crop).all() for row in range(len(windows)) for column in range(250, 262))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("upscale", "ENLARGER", "--level", "5"), "--level is not for this model"),
        (("upscale", "ENLARGER", "--seed", "5"), "--seed is not for this model"),
        (("upscale", "ENLARGER", "--uncertainty"), "--uncertainty is not for this model"),
        (("denoise", "CLEANER", "--consistent"), "--consistent is not for this model"),
        (("denoise", "CLEANER", "--level", "nan"), "from 0 to 255"),
        (("denoise", "CLEANER", "--level", "-5"), "from 0 to 255"),
        (("denoise", "CLEANER", "--level", "1e9"), "from 0 to 255"),
        (("translate", "ENLARGER"), "use limner upscale"),
        (("translate", "CLEANER"), "use limner restore"),
    ],
)
def test_flags_that_would_change_nothing_and_numbers_out_of_range(enlarger, cleaner, photos, words, message, tmp_path):
    runs = {"ENLARGER": enlarger, "CLEANER": cleaner}
    command, model, *more = words
    done = limner(command, photos / "0.png", "--model", runs[model], "--out", tmp_path / "x", *more)
    assert done.code == 2 and message in done.err and not (tmp_path / "x").exists()


def test_an_uncertainty_map_never_takes_the_place_of_a_picture(cleaner, photos, tmp_path):
    for name in ("a.png", "a.error.png"):
        (tmp_path / name).write_bytes((photos / "0.png").read_bytes())
    asked = ("denoise", tmp_path / "a.png", tmp_path / "a.error.png", "--model", cleaner, "--out", tmp_path / "x")
    done = limner(*asked, "--uncertainty")
    assert done.code == 2 and "a.error.png would be made of two files" in done.err
    assert limner(*asked).code == 0
