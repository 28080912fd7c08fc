"""From data to pictures, by the commands that people type."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import TINY, limner

from limner.images.read import decode, read_text


def test_train_makes_a_numbered_run_and_says_what_to_try_next(elsewhere):
    for number in (1, 2):
        outcome = limner("train", "gan", "builtin:digits", "--steps", "2", *TINY)
        assert outcome.code == 0, outcome.err
        assert outcome.out.splitlines()[0] == f"runs/gan-digits-{number}"
    following = outcome.out.split("next:\n")[1].splitlines()
    assert len(following) == 3
    for line in following:
        program, *words = line.split()
        assert program == "limner"
        assert limner(*words).code == 0, line


def test_sample_writes_numbered_pictures_beside_their_grid(run):
    outcome = limner("sample", run, "-n", "3", "--json")
    assert outcome.json["out"] == "samples/vae-1" and outcome.json["pictures"] == 3
    assert sorted(os.listdir("samples/vae-1")) == ["000000.png", "000001.png", "000002.png"]
    assert decode(Path("samples/vae-1.png")).shape[:2] == (134, 134)  # 2 x 2 of 64, enlarged from 8, and the gaps


def test_the_batch_changes_no_picture(run, elsewhere):
    for batch in (1, 7, 64):
        assert limner("sample", run, "-n", "10", "--seed", "3", "--batch", batch, "--out", f"by{batch}").code == 0
    for name in sorted(os.listdir("by64")):
        bytes_of = {(elsewhere / f"by{batch}" / name).read_bytes() for batch in (1, 7, 64)}
        assert len(bytes_of) == 1, name


def test_first_goes_on_with_a_seed(run, elsewhere):
    limner("sample", run, "-n", "6", "--out", "whole")
    limner("sample", run, "-n", "2", "--out", "parts")
    limner("sample", run, "-n", "4", "--first", "2", "--out", "parts")
    assert os.listdir("whole") and sorted(os.listdir("whole")) == sorted(os.listdir("parts"))
    for name in os.listdir("whole"):
        assert (elsewhere / "whole" / name).read_bytes() == (elsewhere / "parts" / name).read_bytes()


def test_what_to_try_next_goes_on_with_the_same_series(run, elsewhere):
    asked = ("--seed", "5", "--label", "3", "--set", "temperature=0.5", "--weights", "raw")
    limner("sample", run, "-n", "6", *asked, "--out", "whole")
    outcome = limner("sample", run, "-n", "3", *asked, "--out", "parts")
    (following,) = outcome.out.split("next:\n")[1].splitlines()
    assert limner(*shlex.split(following)[1:], "--out", "parts").code == 0
    for name in sorted(os.listdir("whole")):
        assert (elsewhere / "whole" / name).read_bytes() == (elsewhere / "parts" / name).read_bytes()
    refused = limner("sample", run, "--from", "whole/000001.png", "--label", "4")
    assert refused.code == 2 and "as it was" in refused.err


@pytest.mark.parametrize(
    "asked", [(), ("--label", "3", "--set", "temperature=0.5"), ("--weights", "raw"), ("--set", "density=mixture")]
)
def test_a_picture_is_made_again_from_what_it_carries(run, elsewhere, asked):
    assert limner("sample", run, "-n", "3", "--seed", "11", "--first", "5", *asked, "--out", "first").code == 0
    assert limner("sample", run, "--from", "first/000006.png", "--out", "again").code == 0
    assert (elsewhere / "again/000006.png").read_bytes() == (elsewhere / "first/000006.png").read_bytes()


def test_a_picture_carries_the_line_that_other_tools_read(run, elsewhere):
    limner("sample", run, "-n", "1", "--seed", "7", "--label", "3", "--out", "out")
    text = read_text(elsewhere / "out/000000.png")
    assert "Seed: 7" in text["parameters"] and "Size: 8x8" in text["parameters"] and "Model: vae" in text["parameters"]
    assert json.loads(text["limner"])["label"] == "3"


def test_a_picture_of_another_model_is_refused(run, elsewhere):
    limner("train", "vae", "builtin:digits", "--out", "other", "--steps", "1", *TINY, "-q")
    limner("sample", "other", "-n", "1", "--out", "out")
    outcome = limner("sample", run, "--from", "out/000000.png")
    assert outcome.code == 2 and "load the model that made it" in outcome.err


def test_reconstruct_shows_images_above_what_the_model_keeps_of_them(run, elsewhere):
    limner("sample", run, "-n", "2", "--out", "in")
    outcome = limner("reconstruct", run, "in/000000.png", "in/000001.png", "--json")
    assert outcome.json["pictures"] == len(outcome.json["psnr"]) == 2
    grid = decode(elsewhere / outcome.json["grid"])
    original = decode(elsewhere / "in/000000.png")
    rebuilt = decode(elsewhere / outcome.json["out"] / "000000.png")
    enlarged = grid[2:66:8, 2:66:8, :1], grid[68:132:8, 2:66:8, :1]
    np.testing.assert_array_equal(enlarged[0], original)
    np.testing.assert_array_equal(enlarged[1], rebuilt)


def test_reconstruct_takes_folders_and_built_in_data(run):
    assert limner("reconstruct", run, "builtin:digits", "-n", "5", "--json").json["pictures"] == 5


def test_an_image_of_another_size_and_mode_is_brought_to_the_models_shape(run, elsewhere):
    from PIL import Image

    Image.new("RGB", (50, 31), (200, 30, 30)).save("big.jpg")
    assert limner("reconstruct", run, "big.jpg", "--out", "out").code == 0
    assert decode(elsewhere / "out/000000.png").shape == (8, 8, 1)


def test_interpolate_and_traverse_write_one_row_a_leg_and_a_dimension(run, elsewhere):
    walk = limner("interpolate", run, "-n", "3", "--steps", "4", "--json").json
    assert walk["pictures"] == 9  # two legs of four steps, and the end
    assert decode(elsewhere / walk["grid"]).shape[:2] == (2 * 66 + 2, 5 * 66 + 2)
    moves = limner("traverse", run, "--dimensions", "0,2-3", "--steps", "5", "--grid", "t.png", "--json").json
    assert moves["pictures"] == 15 and moves["out"] is None
    assert decode(elsewhere / "t.png").shape[:2] == (3 * 66 + 2, 5 * 66 + 2)


def test_interpolate_takes_images(run, elsewhere):
    limner("sample", run, "-n", "2", "--out", "in")
    outcome = limner("interpolate", run, "--images", "in/000000.png", "in/000001.png", "--steps", "3", "--json")
    assert outcome.json["pictures"] == 4


def test_resume_goes_on_to_the_new_length(run, elsewhere):
    shutil.copytree(run, "copy")
    outcome = limner("train", "--resume", "copy", "--steps", "7", "--json", "-q")
    assert outcome.code == 0 and outcome.json["steps"] == 7 and outcome.err == ""


def test_show_and_verify_tell_a_damaged_checkpoint(run, elsewhere):
    shutil.copytree(run, "copy")
    assert limner("verify", "copy", "--json").json["ok"] is True
    weights = next((elsewhere / "copy/checkpoints").glob("*5/model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    outcome = limner("verify", "copy", "--json")
    assert outcome.code == 5 and outcome.json["ok"] is False
    found = limner("show", "copy", "--json").json
    damaged = [part["path"] for part in found["folders"] if part["problem"]]
    assert damaged == ["copy/checkpoints/00000005"]
    assert found["model"] == "vae" and found["about"]["steps"] == 5 and found["weights"][0] == "raw"


def test_a_model_folder_is_shown_sampled_and_left_whole(run, elsewhere):
    shutil.copytree(run / "model", "moved")
    assert limner("show", "moved", "--json").json["kind"] == "model"
    assert limner("sample", "moved", "-n", "1").code == 0
    assert limner("verify", "moved").code == 0
