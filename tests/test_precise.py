"""Devices without float64 are served too: whatever belongs to a batch of images is kept in their finest type."""

import sys

import pytest
import torch
from properties import trained
from torch.utils._python_dispatch import TorchDispatchMode

from limner.rng import ImageRng
from limner.tasks import generate
from limner.types import Condition

TILES = (8, 64)  # images that are sampled at a time; tables of times, made on the CPU, have other lengths


class NoFloat64(TorchDispatchMode):
    """Fails wherever a batch of images, or what belongs to it, becomes float64."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else [made]:
            if isinstance(each, torch.Tensor) and each.dtype == torch.float64 and each.ndim and len(each) in TILES:
                raise AssertionError(f"{func} made float64 {tuple(each.shape)}")
        return made


@pytest.fixture
def coarse(monkeypatch):
    """Every device as coarse as those that have float32 alone."""
    for name, module in list(sys.modules.items()):
        if name.startswith("limner.") and hasattr(module, "finest"):
            monkeypatch.setattr(module, "finest", lambda device: torch.float32)


@pytest.mark.parametrize("name", ["vae", "gan", "edm", "flow-mlp", "realnvp", "made", "rbm", "gmm", "token-lm"])
def test_nothing_of_a_batch_is_float64_where_the_device_has_none(name, digits, coarse):
    model = trained(name, digits, steps=1)
    with NoFloat64():
        ((_, images),) = list(generate.generate_tiles(model, range(8), seed=0, bank=Condition()))
        if hasattr(model, "log_likelihood"):
            rng = ImageRng(0, range(8), device=images.device)
            assert bool(model.log_likelihood(images.clamp(-1, 1), Condition(), rng, 1).isfinite().all())
    assert images.dtype == torch.float32 and bool(images.isfinite().all())


@pytest.mark.parametrize("solver", ["rk45", "heun", "dpm"])
def test_every_solver_steps_in_what_the_device_has(solver, digits, coarse):
    model = trained("flow-mlp", digits, steps=1)
    with NoFloat64():
        options = generate.options_of(model, {"solver": solver, **({} if solver == "rk45" else {"steps": 3})})
        list(generate.generate_tiles(model, range(8), seed=0, bank=Condition(), options=options))


def test_the_check_sees_float64(digits):
    model = trained("flow-mlp", digits, steps=1)
    with NoFloat64(), pytest.raises(AssertionError, match="made float64"):
        list(generate.generate_tiles(model, range(8), seed=0, bank=Condition()))
