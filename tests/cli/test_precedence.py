"""Where a setting comes from: flag over --set over TOML file over default."""

from __future__ import annotations

import pytest
from commands import limner


def planned(*words):
    outcome = limner("train", "vae", "builtin:digits", "--dry-run", "--json", *words)
    assert outcome.code == 0, outcome.err
    return outcome.json


@pytest.fixture
def toml(elsewhere):
    path = elsewhere / "settings.toml"
    path.write_text('[model]\nlatent = 7\nwidth = 9\n[data]\nfit = "pad"\n[train]\nlr = 0.5\nsteps = 3\n')
    return path


def test_the_stronger_layer_wins(toml):
    plan = planned("--config", toml, "--set", "latent=5", "--set", "lr=0.25", "--lr", "0.125")
    assert (plan["model"]["width"], plan["model"]["latent"], plan["train"]["lr"]) == (9, 5, 0.125)
    assert plan["train"]["steps"] == 3


@pytest.mark.parametrize(
    ("words", "length"),
    [
        ((), {"steps": 3}),
        (("--budget", "5m"), {"budget": "5m"}),
        (("--set", "images=640"), {"images": 640}),
        (("--set", "images=640", "--steps", "9"), {"steps": 9}),
    ],
)
def test_the_length_of_a_run_comes_from_one_layer(toml, words, length):
    train = planned("--config", toml, *words)["train"]
    assert {name: train[name] for name in ("budget", "steps", "images") if train[name] is not None} == length


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nlatnet = 3\n", "did you mean model.latent?"),
        ("[modle]\nlatent = 3\n", "did you mean model?"),
        ("model = 3\n", "not a table"),
        ("[model\n", "not valid TOML"),
        ("[train]\nlr = 'fast'\n", "train.lr"),
    ],
)
def test_a_toml_file_is_checked_like_a_flag(elsewhere, text, message):
    (elsewhere / "bad.toml").write_text(text)
    outcome = limner("train", "vae", "builtin:digits", "--config", "bad.toml")
    assert outcome.code == 2 and message in outcome.err


def test_names_from_other_tools_are_understood():
    plan = planned("--train_batch_size=24", "--learning-rate", "0.25", "--max_train_steps", "5",
                   "--gradient_accumulation_steps", "3", "--mixed_precision", "bf16", "--random_flip")  # fmt: skip
    train = plan["train"]
    assert (train["batch"], train["lr"], train["steps"], train["accumulate"]) == (24, 0.25, 5, 3)
    assert train["precision"] == "bf16"


def test_a_dry_run_writes_no_run():
    planned("--steps", "1")
    from pathlib import Path

    assert not Path("runs").exists()


def test_models_tells_every_setting_with_its_default():
    """What is told is what --set takes, with the model's own defaults."""
    told = limner("models", "dae", "--json").json
    settings = {one["name"]: one for one in told["settings"]["model"]}
    assert settings["noise"]["default"] == 0.3 and all(one["help"] for one in settings.values())
    assert {"temperature", "density"} <= {one["name"] for one in told["options"]}
    assert "seed" in {one["name"] for one in told["settings"]["train"]}
    for word in (*settings, "temperature"):
        assert word in limner("models", "dae").out


def test_abilities_are_those_of_the_family():
    able = {model["name"]: model["abilities"] for model in limner("models", "--json").json["models"]}
    assert "encode" in able["vae"] and "encode" not in able["gan"] and "sample" in able["gan"]
