"""Completing from the command line: what is kept stays, another seed goes on another way, others are refused."""

import numpy as np
import pytest
from commands import limner
from PIL import Image

QUICK = ("--set", "width=8", "--set", "tensorboard=false", "--precision", "fp32", "--steps", "2", "-q")


@pytest.fixture(scope="module")
def pixels(tmp_path_factory, limner_home):
    folder = tmp_path_factory.mktemp("runs") / "made"
    done = limner("train", "made", "builtin:digits", *QUICK, "--out", folder)
    assert done.code == 0, done.err
    return folder


def completed(model, out, *more):
    done = limner("complete", "builtin:digits", "-n", 3, "--model", model, "--out", out, *more, "--json")
    assert done.code == 0, done.err
    return done.json, np.stack([np.asarray(Image.open(out / f"{k:06d}.png").convert("L")) for k in range(3)])


def test_the_upper_rows_stay_and_a_seed_is_a_way_to_go_on(pixels, tmp_path):
    values, once = completed(pixels, tmp_path / "a", "--rows", 5, "--grid", tmp_path / "grid.png")
    _, again = completed(pixels, tmp_path / "b", "--rows", 5)
    _, other = completed(pixels, tmp_path / "c", "--rows", 5, "--seed", 1)
    assert values["pictures"] == 3 and (tmp_path / "grid.png").is_file()
    assert (once == again).all() and (once[:, :5] == other[:, :5]).all() and (once[:, 5:] != other[:, 5:]).any()


def test_rows_and_models_that_do_not_fit_are_refused_before_anything_is_written(pixels, run, tmp_path):
    for model, rows, code, said in ((pixels, 9, 2, "within 0 to 8"), (run, 4, 5, "cannot go on from a part")):
        done = limner("complete", "builtin:digits", "--model", model, "--rows", rows, "--out", tmp_path / "out")
        assert done.code == code and said in done.err and not (tmp_path / "out").exists(), done.err
    assert "say which images" in limner("complete", "--model", pixels).err
