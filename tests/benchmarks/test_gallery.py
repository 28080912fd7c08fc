"""The gallery: a page and a sheet from one command, going on from what is kept, and a crash that ends only itself."""

import io
import json
import os

import numpy as np
import pytest
from benchmarks import gallery
from benchmarks.gallery_page import LARGEST, Section, encoded, standing
from benchmarks.gallery_worker import Ask, Result
from PIL import Image

DIGITS = ["--data", "digits=builtin:digits", "--quick"]
CRASHING = """
import os
from limner.models.gmm import GaussianMixture

class Crashes(GaussianMixture):
    def losses(self, batch, step):
        print("out of luck", file=__import__("sys").stderr, flush=True)
        os._exit(9)
"""


def make(out, *arguments) -> str:
    """The page that a call makes."""
    assert gallery.main([*DIGITS, "--out", str(out), *arguments]) == 0
    return (out / "README.md").read_text("utf-8")


def test_a_gallery_goes_on_from_what_is_kept_and_survives_a_crash(tmp_path, monkeypatch):
    """One call makes half of it, another the rest with a model that crashes, and a third only draws."""
    (tmp_path / "unlucky.py").write_text(CRASHING)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "gallery"
    assert "`gmm`" in make(out, "--models", "gmm")
    kept = out / "cache" / "digits-gmm.json"
    made = kept.stat().st_mtime_ns
    page = make(out, "--models", "unlucky:Crashes,gmm,mlp-vae")
    assert kept.stat().st_mtime_ns == made
    assert "| `mlp-vae` | VAE |" in page and "*noise*" in page and "*plain gray*" in page and "(digits.png)" in page
    assert "`unlucky:Crashes` has no pictures: its process ended with code 9" in page and "out of luck" in page
    with Image.open(out / "digits.png") as sheet:
        assert sheet.width > 3 * 8 * 64 and (out / "digits.png").stat().st_size < 1_500_000
    assert "out of luck" in (out / "cache" / "digits-unlucky_Crashes.log").read_text("utf-8")
    (out / "digits.png").unlink()
    assert make(out, "--draw") == page
    assert (out / "digits.png").exists()


def test_results_of_another_protocol_are_not_shown_with_these(tmp_path):
    ask = Ask("digits", "builtin:digits", "gmm", seed=1)
    Result(ask, fd=3.0).save(tmp_path)
    assert gallery.kept(ask, tmp_path).fd == 3.0
    assert gallery.kept(Ask("digits", "builtin:digits", "gmm", seed=2), tmp_path) is None
    (tmp_path / "digits-gmm.json").write_text(json.dumps({"fd": "of an older bench"}))
    assert gallery.kept(ask, tmp_path) is None


@pytest.mark.parametrize(
    ("fd", "words"),
    [
        (10.0, "100% on the way from a Gaussian of the pixels to real images"),
        (28.0, "80% on the way from a Gaussian of the pixels to real images"),
        (60.0, "worse than gmm"),
        (250.0, "worse than a Gaussian of the pixels, noise and gmm"),
        (None, "not measured: 16 of 32 samples in 300 s"),
    ],
)
def test_what_is_said_of_a_model_follows_from_the_numbers(tmp_path, fd, words):
    real = Result(Ask("a", "b"), fd=10.0, floors={"real": 10.0, "Gaussian": 100.0, "noise": 200.0})
    mixture, model = Result(Ask("a", "b", "gmm"), fd=50.0), Result(Ask("a", "b", "vae"), fd=fd, samples=16, n=32)
    assert standing(Section(real, [mixture, model], tmp_path), model) == words


def test_a_sheet_of_noise_stays_small():
    noise = np.random.default_rng(0).integers(0, 256, (700, 800, 3), dtype=np.uint8)
    made = encoded(noise)
    assert noise.size > LARGEST >= len(made)
    with Image.open(io.BytesIO(made)) as picture:
        assert picture.size == (800, 700)


def test_models_that_need_something_beside_noise_are_left_out():
    names = gallery.generators()
    assert {"vae", "gan", "gmm", "latent-flow", "next-scale", "consistency"} <= set(names)
    assert not {"text-flow", "diffusers", "latent-ae", "srnet", "cyclegan", "codec"} & set(names)


@pytest.mark.parametrize("arguments", [["--data", "builtin:digits"], ["--models", "vea"], ["--budget", "soon"]])
def test_what_cannot_be_used_is_refused_before_anything_is_trained(tmp_path, arguments, capsys):
    with pytest.raises(SystemExit):
        gallery.main(["--out", str(tmp_path), *arguments])
    assert arguments[-1] in capsys.readouterr().err
