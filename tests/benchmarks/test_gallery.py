"""The gallery is made a pair at a time, goes on where it was, and shows what failed with the reason."""

import json

import numpy as np
import pytest
from benchmarks import gallery
from PIL import Image

QUICK = ("--data", "digits=builtin:digits", "--budget", "1s", "--resolution", "8", "-n", "60")


@pytest.fixture(scope="module")
def made(tmp_path_factory, limner_home):
    """The folder of a small gallery, and its cache."""
    out, cache = (tmp_path_factory.mktemp("gallery") / name for name in ("out", "cache"))
    gallery.main([*QUICK, "--models", "gmm,text-flow", "--out", str(out), "--cache", str(cache)])
    return out, cache


def test_the_page_has_a_row_for_each_and_the_sheet_their_samples(made):
    out, _ = made
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "| `gmm` |" in text and "real images" in text and "(digits.png)" in text
    assert "text=auto needs captions" in text  # what cannot be trained on these data is listed
    with Image.open(out / "digits.png") as sheet:
        assert sheet.size == (gallery.ACROSS * gallery.TILE * 2, 2 * (40 + gallery.TILE) + 40)
        assert np.asarray(sheet).std() > 10


def test_what_is_there_is_not_made_again(made, monkeypatch):
    out, cache = made
    monkeypatch.setattr(gallery.subprocess, "run", lambda *_, **__: pytest.fail("made again"))
    gallery.main([*QUICK, "--models", "gmm,text-flow", "--out", str(out), "--cache", str(cache)])
    gallery.main([*QUICK, "--models", "gmm,vae", "--only-draw", "--out", str(out), "--cache", str(cache)])
    assert "`vae`" not in (out / "README.md").read_text(encoding="utf-8")


def test_a_pair_that_breaks_off_is_shown_as_such(tmp_path, monkeypatch):
    class Broken:
        stdout, stderr, returncode = "", "something\nKilled", -9

    monkeypatch.setattr(gallery.subprocess, "run", lambda *_, **__: Broken())
    gallery.main([*QUICK, "--models", "gmm", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")])
    (kept,) = (tmp_path / "cache").glob("*.json")
    assert json.loads(kept.read_text())["failure"] == "broke off: Killed"


def test_a_verdict_names_the_best_floor_that_is_not_beaten():
    asked = gallery.Asked("vae", "x", "1s", 8, 60, 0)
    floors = {"real": 5.0, "Gaussian": 100.0, "mean image": 300.0, "noise": 400.0}
    words = [gallery.verdict(gallery.Shown(asked, distance=value, floors=floors)) for value in (50.0, 200.0, 500.0)]
    assert words == ["better than every floor", "worse than a Gaussian of their pixels", "worse than noise"]
    assert "gmm" in gallery.families() and "pix2pix" not in gallery.families() and "diffusers" not in gallery.families()
