"""Restorers are judged on whole pictures by the protocols of the tables, and compared picture by picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import limner
from limner import models
from limner.errors import ConfigError, DataError, UnlikeProtocols
from limner.evaluation import compare
from limner.evaluation.evaluate import Evaluation
from limner.evaluation.restoring import evaluate_restorer
from limner.metrics.number import Interval, Number, Protocol
from limner.metrics.superresolution import bicubic_row
from limner.types import DataSpec


def untrained(name, spec, **config):
    torch.manual_seed(0)
    return models.build(name, models.configure(name, {"width": 4} | config), spec).eval()


def pictures(count=4, channels=3):
    rng = np.random.default_rng(0)
    sizes = [(40, 51), (33, 64), (48, 48), (60, 41)]
    return [rng.integers(0, 256, (*size, channels), np.uint8) for size in sizes[:count]]


def judged(model, given, chain, **more):
    names = [f"{place}.png" for place in range(len(given))]
    return evaluate_restorer(model, given, names, chain=chain, subject="x", about={}, **more)


@pytest.mark.parametrize("scale", [2, 3])
def test_an_untrained_enlarger_scores_the_bicubic_row(scale):
    model = untrained("srnet", DataSpec(1, 24, 24, source_channels=1, scale=scale, degrade=f"down:{scale}"))
    found = judged(model, pictures(), f"down:{scale}").evaluation
    published = bicubic_row(pictures(), scale)
    for numbers in (found.numbers, found.floors["degraded"]):
        assert numbers[0].value == pytest.approx(published.psnr, abs=0.01)
        assert numbers[1].value == pytest.approx(published.ssim, abs=1e-3)
    assert found.numbers[0].protocol.settings["border"] == scale


@pytest.mark.parametrize(("level", "theory"), [(15, 24.61), (25, 20.17), (50, 14.15)])
def test_noisy_pictures_score_what_theory_says(level, theory):
    """Of gray in the middle of the range, where clipping plays no part, but at 50."""
    model = untrained("denoiser", DataSpec(1, 24, 24, source_channels=1))
    found = judged(model, [np.full((300, 300, 1), 128, np.uint8)] * 2, f"noise:{level}").evaluation
    within = 0.1 if level == 50 else 0.05  # three standard errors; clipping takes some of the strongest noise away
    assert found.numbers[0].value == pytest.approx(theory, abs=within)


def test_the_same_seed_degrades_alike_and_pictures_are_shown():
    model = untrained("denoiser", DataSpec(3, 24, 24, source_channels=4, maps=("noise",)))
    first, again, other = (judged(model, pictures(), "noise:0-55", seed=seed) for seed in (1, 1, 2))
    assert first.evaluation.numbers == again.evaluation.numbers != other.evaluation.numbers
    assert first.crops.shape == (12, 128, 128, 3) and "degraded, restored, true" in first.page()


def test_a_chain_of_another_scale_is_refused():
    with pytest.raises(ConfigError, match="3 times smaller, srnet 2"):
        judged(untrained("srnet", DataSpec(1, 24, 24, source_channels=1, scale=2)), pictures(), "down:3")


def test_small_differences_on_the_same_pictures_are_seen():
    """Two models whose intervals overlap widely, one of which is a little better on every picture."""
    rng = np.random.default_rng(0)
    hard = rng.normal(30, 4, 40)  # how hard a picture is moves both
    better = hard + 0.3 + rng.normal(0, 0.1, 40)

    def evaluation(name, each, of="same"):
        number = Number(
            "PSNR",
            float(np.mean(each)),
            "higher",
            Protocol("restoration"),
            Interval(28, 33),
            details={"each": list(each), "of": of},
        )
        return Evaluation(name, {}, (number,))

    (seen,) = compare.differences([evaluation("a", better), evaluation("b", hard)])
    assert seen.verdict == "a" and seen.low > 0.2 and seen.p_value < 0.001
    (unseen,) = compare.differences([evaluation("a", better), evaluation("b", hard, of="others")])
    assert unseen.verdict == "no difference shown" and unseen.p_value is None


def test_runs_are_judged_and_compared_from_python(tmp_path):

    folder = tmp_path / "photos"
    folder.mkdir()
    for place, picture in enumerate(pictures()):
        Image.fromarray(picture).save(folder / f"{place}.png")
    reading = {"patch": 16, "channels": 1}
    quick = {"steps": 2, "preview_every": "0", "tensorboard": False, "precision": "fp32"}
    for name in ("one", "two"):
        limner.train(
            "srnet",
            folder,
            out=tmp_path / name,
            config={"width": 4, "depth": 3},
            data_config=reading,
            seed=len(name),
            **quick,
        )
    found = limner.evaluate(tmp_path / "one", out=tmp_path / "page")
    assert found.numbers[0].protocol.split == "train" and (tmp_path / "page" / "report.html").exists()
    _, differences = limner.compare([tmp_path / "one", tmp_path / "two"], folder)
    assert {each.name for each in differences} == {"PSNR", "SSIM"}
    with pytest.raises(DataError, match="no picture of split 'test'"):
        limner.evaluate(tmp_path / "one", folder, split="test")
    with pytest.raises(ConfigError, match="option degrade alone"):
        limner.evaluate(tmp_path / "one", folder, options={"preset": "sr-x2"})
    for asked in ({"metrics": ["kid"]}, {"features": "self"}, {"floors": False}, {"sampling": {"temperature": 0.5}}):
        with pytest.raises(ConfigError, match="for models that make pictures of their own"):
            limner.evaluate(tmp_path / "one", folder, **asked)
    other = limner.evaluate(tmp_path / "two", folder, options={"degrade": "down:2,noise:5"})
    with pytest.raises(UnlikeProtocols, match="degrade"):
        limner.compare([found, replace(other)], folder)
