"""Compressing from the command line: there and back, beside JPEG and WebP, and what goes wrong."""

import numpy as np
import pytest
from commands import limner
from PIL import Image


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for place in range(2):
        ramp = np.add.outer(np.arange(40) * 3, np.arange(50 + place) * 2).astype(np.uint8)
        Image.fromarray(np.stack([ramp, ramp[::-1], 255 - ramp], 2)).save(folder / f"{place}.png")
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    small = (
        "--set",
        "width=4",
        "--set",
        "numbers=4",
        "--set",
        "tensorboard=false",
        "--patch",
        "16",
        "--steps",
        "3",
        "-q",
    )
    made = limner("train", "codec", photos, "--out", out, *small)
    assert made.code == 0, made.err
    return out


def test_transparent_pictures_stand_beside_jpeg_on_white(photos, tmp_path):
    small = ("--set", "width=4", "--set", "numbers=4", "--set", "tensorboard=false", "--patch", "16", "--steps", "2")
    made = limner("train", "codec", photos, "--channels", "4", "--out", tmp_path / "run", *small, "-q")
    assert made.code == 0, made.err
    done = limner("compress", photos, "--model", tmp_path / "run", "--out", tmp_path / "small", "--json")
    assert done.code == 0, done.err
    assert all(row["jpeg"]["psnr"] > 20 for row in done.json["files"])


def test_there_and_back(run, photos, tmp_path):
    done = limner("compress", photos, "--model", run, "--out", tmp_path / "small", "--json")
    assert done.code == 0, done.err
    first = done.json["files"][0]
    file = tmp_path / "small" / "0.lim"
    assert first["bytes"] == file.stat().st_size and first["bits_per_pixel"] == pytest.approx(8 * first["bytes"] / 2000)
    assert first["jpeg"]["bytes"] >= first["bytes"] or first["jpeg"]["psnr"] > 30
    back = limner("decompress", file, "--model", run, "--out", tmp_path / "back")
    assert back.code == 0, back.err
    with Image.open(tmp_path / "back" / "0.png") as made:
        assert made.size == (50, 40)
    assert "exists" in limner("compress", photos, "--model", run, "--out", tmp_path / "small").err


def test_what_cannot_be_is_said(run, photos, tmp_path):
    bad = tmp_path / "bad.lim"
    bad.write_bytes(b"LIM1 nothing")
    for words, message in [
        (("compress", "--model", run), "say which images"),
        (("decompress", "--model", run), "say which files"),
        (("decompress", tmp_path / "gone.lim", "--model", run), "is not there"),
        (("decompress", bad, "--model", run), "no file of `limner compress`"),
        (("compress", tmp_path / "gone.png", "--model", run), "is not there"),
    ]:
        done = limner(*words)
        assert done.code != 0 and message in done.err, done.err


def test_one_bad_file_does_not_end_a_batch_and_is_named(run, photos, tmp_path):
    made = limner("compress", photos, "--model", run, "--out", tmp_path / "small", "--json")
    assert made.code == 0 and len(made.json["files"]) == 2, made.err
    (tmp_path / "small" / "0.lim").write_bytes(b"LIM1 and no more")
    files = sorted((tmp_path / "small").iterdir())
    back = limner("decompress", *files, "--model", run, "--out", tmp_path / "back", "--json")
    assert back.code == 4 and back.json["pictures"] == 1 and (tmp_path / "back" / "1.png").is_file()
    assert back.json["failed"][0]["image"].endswith("0.lim") and "0.lim" in back.json["failed"][0]["reason"]
    assert "is a folder" in limner("decompress", tmp_path / "small", "--model", run).err


def test_a_codec_has_its_own_step(run, photos):
    done = limner("compress", photos, "--model", run, "--step", "2")
    assert done.code == 2 and "has learned its own" in done.err


def test_a_picture_that_a_kind_of_file_has_no_room_for_is_not_held_against_it(run, tmp_path):
    """WebP ends at 16,383 pixels a side."""
    Image.fromarray(np.zeros((2, 16_384, 3), np.uint8)).save(tmp_path / "long.png")
    done = limner("compress", tmp_path / "long.png", "--model", run, "--out", tmp_path / "x", "--json")
    assert done.code == 0, done.err
    assert "jpeg" in done.json["files"][0] and "webp" not in done.json["files"][0]
    assert "jpeg" in limner("compress", tmp_path / "long.png", "--model", run, "--out", tmp_path / "y").out
