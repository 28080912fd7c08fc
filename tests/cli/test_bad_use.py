"""What is said, and with which exit code, when something cannot be done."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from commands import ENVIRONMENT, PROGRAM, TINY, limner

DIGITS = ("train", "vae", "builtin:digits")

# command -> exit code, and words that the message must have
BAD_USES = {
    ("trian",): (2, "train"),
    ("train",): (2, "limner train MODEL DATA"),
    ("train", "vea", "builtin:digits"): (2, "did you mean vae?"),
    (*DIGITS, "--stpes", "3"): (2, "--steps"),
    (*DIGITS, "--steps", "many"): (2, "many"),
    (*DIGITS, "--steps", "0"): (2, "steps=0 is not positive"),
    (*DIGITS, "--budget", "soon"): (2, "90s"),
    (*DIGITS, "--budget", "1m", "--steps", "3"): (2, "give one of them"),
    (*DIGITS, "--set", "latnet=3"): (2, "did you mean latent?"),
    (*DIGITS, "--set", "model.latnet=3"): (2, "did you mean model.latent?"),
    (*DIGITS, "--set", "latent"): (2, "key=value"),
    (*DIGITS, "--set", "latent=big"): (2, "model.latent='big'"),
    (*DIGITS, "--fit", "stretch"): (2, "squash"),
    (*DIGITS, "--resolution", "tall"): (2, "96x64"),
    (*DIGITS, "--device", "abacus", "--steps", "1"): (2, "abacus"),
    (*DIGITS, "--config", "absent.toml"): (2, "absent.toml"),
    (*DIGITS, "surplus"): (2, "surplus"),
    ("train", "vae", "absent"): (4, "there is no 'absent'"),
    ("train", "vae", "builtin:faces"): (2, "faces"),
    ("train", "--resume", "absent"): (2, "not a run folder"),
    ("train", "vae", "--resume", "absent"): (2, "leave out MODEL"),
    ("sample",): (2, "RUN"),
    ("sample", "absent"): (2, "limner train"),
    ("reconstruct", "RUN"): (2, "which images"),
    ("reconstruct", "RUN", "absent.png"): (4, "absent.png"),
    ("sample", "RUN", "-n", "0"): (2, "-n 0"),
    ("sample", "RUN", "--label", "eleven"): (2, "unknown label 'eleven'"),
    ("sample", "RUN", "--attribute", "hair=red"): (2, "unknown attribute 'hair'"),
    ("sample", "RUN", "--attribute", "hair"): (2, "name=value"),
    ("sample", "RUN", "--set", "temprature=1"): (2, "did you mean temperature?"),
    ("sample", "RUN", "--weights", "best"): (2, "ema_long"),
    ("sample", "RUN", "--grid", "grid.jpg"): (2, ".png"),
    ("sample", "RUN", "--from", "absent.png"): (4, "absent.png"),
    ("interpolate", "RUN", "-n", "1"): (2, "2 or more"),
    ("traverse", "RUN", "--dimensions", "4"): (2, "0 to 3"),
    ("traverse", "RUN", "--dimensions", "a,b"): (2, "0,1,2"),
    ("models", "gna"): (2, "did you mean gan?"),
    ("show", "absent"): (2, "neither a run nor a model"),
    ("verify", "absent"): (2, "neither a run nor a model"),
    ("data", "chekc", "x"): (2, "check"),
    ("data", "check", "absent"): (4, "absent"),
}


@pytest.mark.parametrize("words", BAD_USES, ids=" ".join)
def test_bad_use_gives_one_line_that_names_the_way_out(words, run, monkeypatch):
    monkeypatch.delenv("LIMNER_DEBUG", raising=False)
    code, message = BAD_USES[words]
    outcome = limner(*(run if word == "RUN" else word for word in words))
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert outcome.err.startswith("error: ") and outcome.err.count("\n") == 1
    assert message in outcome.err


@pytest.mark.parametrize(
    "words", [("trian",), ("train", "vae", "absent"), ("sample",), ("sample", "absent", "-n", "2")]
)
def test_json_gives_one_object_for_errors_too(words):
    outcome = limner(*words, "--json")
    error = outcome.json["error"]
    assert set(error) == {"type", "message", "exit_code"}
    assert error["exit_code"] == outcome.code and error["message"] in outcome.err.replace("error: ", "")


def test_a_failed_start_leaves_no_empty_run_behind():
    limner("train", "vae", "absent")
    limner("train", "vae", "builtin:digits", "--resolution", "7", "--set", "depth=3")
    assert not list(Path("runs").iterdir())


def test_a_run_is_never_trained_over(run):
    outcome = limner("train", "vae", "builtin:digits", "--out", run, "--steps", "1")
    assert outcome.code == 2 and "--resume" in outcome.err


@pytest.mark.parametrize("change", [("--seed", "4"), ("--set", "latent=5"), ("--flip",), ("--batch", "8")])
def test_a_resumed_run_keeps_its_settings(run, change):
    outcome = limner("train", "--resume", run, *change)
    assert outcome.code == 2 and "keeps" in outcome.err


def test_pictures_are_not_overwritten_unless_asked(run, elsewhere):
    precious = elsewhere / "out/000009.png"  # of the second tile: the first must not be written either
    precious.parent.mkdir()
    precious.write_bytes(b"precious")
    sample = ("sample", run, "-n", "10", "--out", "out")
    assert limner(*sample).code == 2
    assert os.listdir("out") == [precious.name] and precious.read_bytes() == b"precious"
    assert limner(*sample, "--overwrite").code == 0
    assert precious.read_bytes() != b"precious" and len(os.listdir("out")) == 10
    assert limner("sample", run, "--grid", precious).code == 2


def test_verbose_shows_where_an_error_came_from(monkeypatch):
    assert "Traceback" not in limner("models", "gna").err
    assert "Traceback" in limner("models", "gna", "-v").err
    monkeypatch.setenv("LIMNER_DEBUG", "1")
    assert "Traceback" in limner("models", "gna").err


def test_a_folder_in_the_place_of_a_file_is_an_error_of_the_disk(run, elsewhere):
    (elsewhere / "taken").write_text("")
    outcome = limner("sample", run, "-n", "1", "--out", "taken/out")
    assert outcome.code == 74 and "taken" in outcome.err


@pytest.mark.parametrize("name", ["wide 🎨 :art: [red]x", "two\nlines", os.fsdecode(b"caf\xe9")])
def test_any_name_can_be_printed(run, elsewhere, name):
    """In a process of its own, whose stdout takes ASCII only."""
    os.symlink(run, elsewhere / name)
    ascii_only = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*PROGRAM, "verify", name], capture_output=True, env=ascii_only, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(limner("verify", name, "--json").json["folders"])


def test_json_holds_a_name_that_is_not_utf_8(run, elsewhere):
    name = os.fsdecode(b"caf\xe9")
    os.symlink(run, elsewhere / name)
    assert json.loads(limner("show", name, "--json").out)["path"] == name


def test_a_reader_that_goes_away_is_no_error(run):
    command = f"{shlex.join(PROGRAM)} models --json | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=ENVIRONMENT, timeout=60)
    assert done.stderr == b""


def test_every_way_to_fail_has_a_documented_code():
    from limner import errors
    from limner.cli.app import build

    classes = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.LimnerError)]
    codes = {getattr(cls, "exit_code", 130) for cls in classes} | {0, 143}
    words = set(build().help_epilogue.split())
    assert {str(code) for code in codes} <= words


def test_tiny_is_a_valid_way_to_train(run):
    """Guards the tests above: what they change is what is wrong."""
    assert limner(*DIGITS, *TINY, "--steps", "1", "--dry-run").code == 0
