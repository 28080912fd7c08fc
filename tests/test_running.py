"""Models that work on another one: both trained by one command, resumed as one run, and saved as one model."""

import json
import os
import re
import signal

import numpy as np
import pytest
import torch
from runs import few, result

import limner
from limner import api, running
from limner.data import open_data
from limner.errors import ConfigError, Interrupted
from limner.model import Precomputes
from limner.training.codes import precomputed
from limner.training.show import Show
from limner.types import Condition

QUIET = {"batch": 8, "precision": "fp32", "channels_last": False, "preview_every": "0", "tensorboard": False}
TINY = {"width": 16, "depth": 1, "first_config": {"width": 8}}


def train(out, model="latent-flow", data="builtin:digits", **given):
    config = {**TINY, **given.pop("config", {})}
    return api.train(model, data, out=out, config=config, **{**QUIET, "steps": 8, **given})


def test_one_command_trains_both_and_the_model_holds_both(tmp_path):
    trained = train(tmp_path / "run")
    inner = limner.load(tmp_path / "run" / "first")
    assert inner.name == "latent-ae" and inner.about["steps"] == 2 and trained.about["steps"] == 6
    held = trained.network.first.model.state_dict()
    assert all(torch.equal(held[name], tensor) for name, tensor in inner.network.state_dict().items())
    trained.save(tmp_path / "copy")
    again = limner.load(tmp_path / "copy")
    assert np.array_equal(again.sample(3, steps=2).images, trained.sample(3, steps=2).images)


def test_a_run_stopped_in_either_stage_goes_on_as_if_it_never_had(tmp_path, monkeypatch):
    train(tmp_path / "whole")
    stop_after(monkeypatch, "latent-ae")
    with pytest.raises(Stopped):
        train(tmp_path / "parts")
    assert not (tmp_path / "parts" / "model").exists()
    monkeypatch.undo()
    api.resume(tmp_path / "parts")
    assert result(tmp_path / "parts") == result(tmp_path / "whole")


class Stopped(Exception):
    pass


def stop_after(monkeypatch, name):
    """Let a run end when the model of that name is trained."""
    run = running.run

    def stopping(job, show):
        run(job, show)
        if job.run["model"] == name:
            raise Stopped

    monkeypatch.setattr(running, "run", stopping)


def test_a_finished_run_can_be_the_first_stage(tmp_path):
    api.train("latent-ae", "builtin:digits", out=tmp_path / "ae", config={"width": 8}, steps=3, **QUIET)
    trained = train(tmp_path / "run", config={"first": str(tmp_path / "ae")})
    assert not (tmp_path / "run" / "first").exists()
    assert trained.about["steps"] == 8 and trained.network.config.first == "latent-ae"
    wanted = limner.load(tmp_path / "ae").network.state_dict()
    assert all(torch.equal(trained.network.first.model.state_dict()[name], wanted[name]) for name in wanted)


def test_a_first_stage_that_fits_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="latents of height and width"):
        train(tmp_path / "run", config={"first": "vae", "first_config": {}})
    assert not (tmp_path / "run" / "first").exists()  # and none of the time is spent on training it
    with pytest.raises(ConfigError, match="first_share"):
        train(tmp_path / "other", first_share=1.5)


@pytest.mark.parametrize("flip", [False, True])
def test_codes_are_what_the_model_makes_of_each_image(tmp_path, flip):
    trained = train(tmp_path / "run")
    model, data = trained.network, few(open_data("builtin:digits"), 70)
    assert isinstance(model, Precomputes)
    codes = precomputed(model, data, flip=flip, device=torch.device("cpu"))
    rows = np.array([3, 69, 0])
    image = torch.from_numpy(data.images[rows]).permute(0, 3, 1, 2) / 127.5 - 1
    mirrored = np.array([False, True, True]) if flip else None
    if flip:
        image[1:] = image[1:].flip(3)
    with torch.no_grad():
        wanted = model.precompute(image.float())
    assert np.allclose(codes.gather(rows, mirrored), wanted.numpy(), atol=1e-4)


def test_a_model_of_pixels_has_no_codes():
    from limner import models

    data = few(open_data("builtin:digits"), 8)
    model = models.build("flow-mlp", models.configure("flow-mlp", {"width": 8, "depth": 1}), data.spec)
    assert precomputed(model, data, flip=False, device=torch.device("cpu")) is None


# --- captions -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    """Forty flat pictures, with what they show."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("captioned")
    colours = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
    rows = []
    for index in range(42):
        name = list(colours)[index % 3]
        Image.new("RGB", (8, 8), tuple(min(255, c + index) for c in colours[name])).save(folder / f"{index}.png")
        rows.append({"file_name": f"{index}.png", "text": f"a {name} square"})
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.mark.parametrize("text", ["own", "minilm"])
def test_a_model_learns_what_captions_mean(captioned, tmp_path, text):
    config = {"first": "none", "first_config": {}, "backbone": "mlp", "width": 64, "depth": 2, "text": text}
    settings = {**QUIET, "batch": 32, "steps": 250, "lr": 3e-3, "warmup_images": 500}
    trained = api.train("text-flow", captioned, out=tmp_path / "run", config=config, **settings)
    again = limner.load(tmp_path / "run")
    assert again.network.config.text == text
    for channel, name in enumerate(("red", "green", "blue")):
        made = again.sample(4, text=f"a {name} square", steps=8, guidance=1.5).images.reshape(-1, 3).mean(0)
        assert made.argmax() == channel, (name, made)
    assert trained.loaded.bank.text is not None and set(trained.loaded.bank.text) >= {"a red square"}
    again.save(tmp_path / "shared", captions=False)
    assert limner.load(tmp_path / "shared").loaded.bank.text is None
    recipe = again.sample(1, text="a (red:1.3) square", steps=4)
    assert recipe.settings[0]["text"] == "a (red:1.3) square"


@pytest.mark.parametrize("model", ["vae", "ae", "gan", "token-lm"])
@pytest.mark.parametrize("text", ["own", "minilm"])
def test_other_families_hear_captions_too(captioned, tmp_path, model, text):
    config = {"width": 8, "text": text} | ({"first_config": {"width": 8}} if model == "token-lm" else {})
    trained = api.train(model, captioned, out=tmp_path / "run", config=config, **{**QUIET, "steps": 12})
    red, blue, again = (trained.sample(8, text=f"a {name} square").images for name in ("red", "blue", "red"))
    assert np.array_equal(red, again) and not np.array_equal(red, blue)


def test_text_is_refused_where_it_means_nothing(captioned, tmp_path):
    with pytest.raises(ConfigError, match="captions"):
        train(tmp_path / "run", "text-flow", config={"first": "none", "backbone": "mlp"})
    trained = train(tmp_path / "other", config={"first": "none", "first_config": {}, "backbone": "mlp"})
    with pytest.raises(ConfigError, match="reads no text"):
        trained.sample(1, text="a cat")


def test_captions_go_with_a_model_only_where_it_reads_them(captioned, tmp_path):
    plain = {"first": "none", "first_config": {}, "backbone": "mlp"}
    trained = train(tmp_path / "run", data=captioned, config=plain)
    assert trained.loaded.bank.text is None and isinstance(trained.loaded.bank, Condition)


def test_a_signal_in_the_first_stage_names_the_whole_run(tmp_path):
    """Going on with the first stage alone would never make the model that was asked for."""

    class Stops(Show):
        def start(self, headline):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match=re.escape(f"limner train --resume {tmp_path / 'run'}") + "$"):
        train(tmp_path / "run", show=Stops())
    api.resume(tmp_path / "run")
    train(tmp_path / "whole")
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_a_model_without_conditions_is_tuned_from_one_without(tmp_path):
    config = {"first": "flow-mlp", "first_config": {"width": 16, "depth": 1}, "conditional": "none"}
    api.train("consistency", "builtin:digits", out=tmp_path / "run", config=config, steps=4, **QUIET)
    inner = limner.load(tmp_path / "run" / "first")
    assert inner.network.config.conditional == "none"


@pytest.mark.parametrize(
    ("model", "config", "named"),
    [
        ("consistency", {"first": "shortcut"}, "no diffusion model that can be tuned"),
        ("consistency", {"first_config": {"conditional": "auto"}, "conditional": "none"}, "listens to classes"),
        ("shortcut", {"coupling": "optimal"}, "leave out coupling and levels"),
        ("shortcut", {"levels": "uniform"}, "leave out coupling and levels"),
        ("dit", {"first": "latent-ae"}, "use latent-flow, with the same settings: --set backbone=dit"),
    ],
)
def test_settings_that_would_be_ignored_or_end_in_a_traceback_are_refused(model, config, named, tmp_path):
    with pytest.raises(ConfigError, match=named):
        api.train(model, "builtin:digits", out=tmp_path / "run", config=config, steps=4, **QUIET)
    assert not (tmp_path / "run" / "first").exists()


@pytest.mark.parametrize("width", [18, 50])
def test_a_unet_has_any_width(width, tmp_path):
    config = {"width": width, "mults": (1,), "attention": ()}
    api.train("flow", "builtin:digits", out=tmp_path / "run", config=config, steps=1, **QUIET)
