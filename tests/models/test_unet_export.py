"""Limner's U-Net is the library's, weight by weight, and an exported flow model makes the same pictures there."""

import json

import numpy as np
import pytest
import torch
from runs import build, take_steps

import limner
from limner import bundle, models
from limner.diffusion import paths, solvers
from limner.errors import NotAble
from limner.models.unet_export import STEPS, renamed, settings
from limner.rng import ImageRng
from limner.tasks import exchange
from limner.types import Condition, DataSpec

diffusers = pytest.importorskip("diffusers")

SHAPES = {
    "one block, attention at the lowest": {"width": 8, "mults": (1, 2), "blocks": 1, "attention": (1,)},
    "two blocks, attention in the middle": {"width": 16, "mults": (1, 2, 2), "blocks": 2, "attention": (1, 2)},
    "no attention": {"width": 8, "mults": (1, 1), "blocks": 1, "attention": ()},
    "several heads": {"width": 16, "mults": (1, 2), "blocks": 1, "attention": (0, 1), "head_width": 8},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_is_the_librarys_network_weight_by_weight(shape):
    torch.manual_seed(0)
    data = DataSpec(3, 16, 8)
    model = models.build("flow", models.configure("flow", shape), data).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    theirs = diffusers.UNet2DModel(**settings(model.config, data.shape)).eval()
    theirs.load_state_dict(renamed(model.network))  # strict: as many weights, of the same shapes
    x, level = torch.randn(3, 3, 16, 8), torch.tensor([0.0, 0.3, 0.97])
    with torch.no_grad():
        ours = model.network(x, [level], torch.zeros(3, 0), None)
        assert ours.std() > 0.1 and torch.allclose(ours, theirs(x, level * STEPS).sample, atol=1e-5)


def test_an_exported_flow_model_makes_the_same_pictures(digits, tmp_path):
    model = take_steps(build("flow", digits, conditional="none"), digits, 5).eval()
    exchange.export(model, tmp_path / "out")
    unet = diffusers.UNet2DModel.from_pretrained(tmp_path / "out", subfolder="unet", low_cpu_mem_usage=False).eval()
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_pretrained(tmp_path / "out", subfolder="scheduler")
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 6, 6))
    noise = ImageRng(3, range(2)).normal(*model.data.shape)
    x = noise
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(unet(x, t).sample, t, x).prev_sample
        see = model.denoiser(Condition(), models.entry("flow").load().Options(), 2)
        ours = solvers.euler(see, noise, model.path, paths.times(model.path, 6))
    how = json.loads((tmp_path / "out" / "limner.json").read_text())
    pictures = how["scale"] * x + torch.tensor(how["centre"])[:, None, None]
    assert torch.allclose(x, ours, atol=1e-3) and torch.allclose(pictures.clamp(-1, 1), model.leave(ours), atol=1e-3)


UNLIKE = [
    ("flow", {}),  # knows classes
    ("flow", {"conditional": "none", "width": 6, "attention": (0, 1), "head_width": 8}),  # heads of 6 and of 12
    ("edm", {"conditional": "none"}),
    ("shortcut", {"conditional": "none", "backbone": "unet", "patch": 1}),
    ("vae", {}),
]


@pytest.mark.parametrize(("name", "config"), UNLIKE)
def test_what_has_no_counterpart_is_not_exported(digits, tmp_path, name, config):
    model = build(name, digits, **config)
    bundle.save(bundle.Bundle(model, {}, Condition(), ""), tmp_path / "m")
    with pytest.raises(NotAble, match="has no counterpart in diffusers"):
        limner.load(tmp_path / "m").export(tmp_path / "out")
    assert not (tmp_path / "out").exists()
