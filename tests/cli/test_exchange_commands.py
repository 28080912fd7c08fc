"""`limner import` and `limner export`, on a tiny random pipeline."""

import pytest
from commands import limner

from limner.errors import MissingExtra

diffusers = pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    sizes = {"sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4}
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    unet = diffusers.UNet2DModel(**sizes, **blocks)
    folder = tmp_path_factory.mktemp("source") / "tiny"
    diffusers.DDPMPipeline(unet=unet, scheduler=diffusers.DDPMScheduler()).save_pretrained(folder)
    return folder


def test_a_pipeline_becomes_a_model_folder_and_a_pipeline_again(pipeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = limner("import", str(pipeline), "--out", "model", "--json").json
    assert made["model"] == "diffusers" and made["image"] == [3, 8, 8] and made["text"] == "none"
    for run, out in [("model", "pictures"), (pipeline, "straight")]:
        assert limner("sample", run, "-n", "2", "--set", "steps=2", "--out", out).code == 0
    assert (tmp_path / "pictures/000001.png").read_bytes() == (tmp_path / "straight/000001.png").read_bytes()
    assert limner("export", "model", "--out", "again", "--json").json["model_sha256"] == made["model_sha256"]
    assert limner("import", "again", "--out", "twice", "--json").json["model_sha256"] == made["model_sha256"]
    assert limner("import", "again", "--out", "twice").code == 2
    assert limner("export", "model", "--out", "again").code == 2


def test_fine_tuning_starts_from_a_pipeline_and_resumes(pipeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = ("--steps", "2", "--batch", "4", "--resolution", "8", "--channels", "3", "--json")
    run = limner("train", "diffusers", "builtin:shapes", "--set", f"source={pipeline}", "--out", "run", *short)
    assert run.json["steps"] == 2
    assert limner("train", "--resume", "run", "--steps", "3", "--json").json["steps"] == 3
    assert limner("sample", "run", "-n", "1", "--set", "steps=2", "--out", "p", "--json").json["pictures"] == 1


def test_what_is_no_pipeline_is_refused(tmp_path):
    outcome = limner("import", str(tmp_path))
    assert outcome.code == 5 and "model_index.json" in outcome.err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert limner("import", str(tmp_path), "--out", str(tmp_path / "full")).code == 2


def test_without_the_package_it_says_what_brings_it(pipeline, monkeypatch):
    def missing(module, extra):
        raise MissingExtra(f"{module}: limner[{extra}]")

    monkeypatch.setattr("limner.models.pretrained_parts.require", missing)
    outcome = limner("import", pipeline)
    assert outcome.code == 3 and "limner[diffusers]" in outcome.err
    assert "not installed" in limner("models", "diffusers").out  # and the list of all models still comes
