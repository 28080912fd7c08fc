"""One style, learned and kept inside of the model."""

import numpy as np
import pytest
import torch
from PIL import Image

import limner
from limner.errors import ConfigError
from limner.tasks import apply
from limner.types import Condition

ARITHMETIC = {"precision": "fp32", "channels_last": False}  # else a stopwatch chooses, and bits may differ
QUICK = {"steps": 30, "preview_every": "0", "tensorboard": False, "batch": 2, **ARITHMETIC}
SMALL = {"width": 4, "blocks": 1, "features": "random"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for place in range(3):
        Image.fromarray(rng.integers(0, 256, (80, 70, 3), np.uint8)).save(path / f"{place}.png")
    return path


@pytest.fixture(scope="module")
def painter(folder, tmp_path_factory):
    style = tmp_path_factory.mktemp("style") / "red.png"
    Image.fromarray(np.full((60, 90, 3), [200, 30, 10], np.uint8)).save(style)
    out = tmp_path_factory.mktemp("runs") / "red"
    made = limner.train(
        "stylenet", folder, out=out, config={**SMALL, "style": str(style)}, data_config={"patch": 64}, **QUICK
    )
    style.unlink()
    return made


def test_the_style_is_kept_inside_and_pictures_move_toward_it(painter, folder):
    loaded = limner.load(painter.run.path)  # the style's file is gone
    picture = np.random.default_rng(1).integers(0, 256, (70, 90, 3), np.uint8)
    made = loaded.restore(picture)
    assert made.shape == picture.shape
    red = np.array([200, 30, 10])
    assert np.abs(made.mean((0, 1)) - red).sum() < np.abs(picture.mean((0, 1)) - red).sum()


def test_tiles_leave_no_seams(painter):
    model, source = painter.network, torch.rand(1, 3, 190, 161) * 2 - 1
    whole = apply.apply(model, source, Condition(), apply.WHOLE)
    torch.testing.assert_close(apply.apply(model, source, Condition(), apply.How(64)), whole, atol=1e-5, rtol=0)


def test_what_cannot_be_is_said(folder, tmp_path):
    with pytest.raises(ConfigError, match="say which manner"):
        limner.train("stylenet", folder, out=tmp_path / "a", config=SMALL, **QUICK)
    with pytest.raises(ConfigError, match="is not there"):
        limner.train("stylenet", folder, out=tmp_path / "b", config={**SMALL, "style": "gone.png"}, **QUICK)
    with pytest.raises(ConfigError, match="colour pictures alone"):
        limner.train("stylenet", folder, out=tmp_path / "c", config=SMALL, data_config={"channels": 1}, **QUICK)


def test_the_same_seed_gives_the_same_bits_and_a_resumed_run_is_one_that_never_stopped(folder, tmp_path):
    style = tmp_path / "style.png"
    Image.fromarray(np.full((40, 40, 3), [20, 90, 200], np.uint8)).save(style)
    asked = {"config": {**SMALL, "style": str(style)}, "data_config": {"patch": 64}}
    whole, again, other = (
        limner.train("stylenet", folder, out=tmp_path / name, **asked, **{**QUICK, "steps": 4, "seed": seed})
        for name, seed in (("whole", 0), ("again", 0), ("other", 1))
    )
    assert whole.sha256 == again.sha256 != other.sha256
    limner.train("stylenet", folder, out=tmp_path / "parts", **asked, **{**QUICK, "steps": 2})
    style.unlink()  # it lies in the checkpoint
    assert limner.resume(tmp_path / "parts", steps=4).network.state_dict().keys() == whole.network.state_dict().keys()


def test_the_network_that_looks_is_no_part_of_the_model(painter):
    assert sum(parameter.numel() for parameter in painter.network.parameters()) < 20_000
    assert not any("filters" in name for name in painter.network.state_dict())
