"""Sampling by another engine than torch: the same pictures, faster."""

import pytest
import torch
from properties import pictures, trained

from limner import models
from limner.errors import ConfigError
from limner.models import compiled
from limner.rng import ImageRng
from limner.types import Condition

ENGINES = ("onnxruntime", "openvino")


@pytest.mark.parametrize(
    ("name", "engine"),
    [("flow", "onnxruntime"), ("flow", "openvino"), ("dit", "onnxruntime"), ("flow-mlp", "openvino")],
)
def test_pictures_are_those_of_torch_and_do_not_depend_on_others(name, engine, digits):
    model = trained(name, digits)
    exact, found = (
        pictures(model, digits, range(8), options=model.Options(steps=3, engine=each)) for each in ("torch", engine)
    )
    assert (exact - found).abs().max() < 1e-3
    alone = pictures(model, digits, [5], options=model.Options(steps=3, engine=engine))
    assert torch.equal(alone[0], found[5])


def test_captions_guidance_and_what_is_not_wanted_are_heard(shapes):
    model = trained("flow", shapes, text="minilm")
    rng = ImageRng(0, range(3))
    condition = Condition(text=["a large red circle", "square", ""])
    x, sigma = rng.normal(*model.space_shape), torch.full((3,), 0.7)
    options = {"guidance": 2.0, "negative": "green"}
    with torch.inference_mode():
        exact, found = (
            model.denoiser(condition, model.Options(engine=each, **options), 3)(x, sigma)
            for each in ("torch", "onnxruntime")
        )
        plain = model.denoiser(Condition(), model.Options(engine="onnxruntime"), 3)(x, sigma)
    assert (exact - found).abs().max() < 1e-4 < (plain - found).abs().max()


def test_new_weights_are_compiled_anew_and_old_ones_once(digits, monkeypatch):
    model, made = trained("flow-mlp", digits), []
    build = compiled.compile_network
    monkeypatch.setattr(compiled, "compile_network", lambda *given, **about: made.append(1) or build(*given, **about))
    x, sigma = ImageRng(0, [0]).normal(*digits.spec.shape), torch.ones(1)
    see = lambda engine: model.denoiser(Condition(), model.Options(engine=engine), 1)(x, sigma)  # noqa: E731
    with torch.no_grad():
        first = see("onnxruntime")
        assert torch.equal(see("onnxruntime"), first) and len(made) == 1
        for parameter in model.parameters():
            parameter.mul_(1.5)
        second = see("onnxruntime")
        assert len(made) == 2 and torch.allclose(second, see("torch"), atol=1e-4)
        assert not torch.allclose(first, second, atol=1e-4)


def test_a_network_that_was_compiled_is_still_trained(digits):
    model = trained("flow-mlp", digits)
    pictures(model, digits, [0], options=model.Options(steps=1, engine="onnxruntime"))
    assert all(parameter.requires_grad for parameter in model.network.parameters())


def test_where_gradients_are_needed_it_is_refused(digits):
    model = trained("flow-mlp", digits)
    x = torch.zeros(1, *digits.spec.shape, requires_grad=True)
    see = model.denoiser(Condition(), model.Options(engine="openvino"), 1)
    with pytest.raises(ConfigError, match="gives no gradients.*use engine=torch"):
        see(x, torch.ones(1))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"engine": "tensorrt"}, "engine"),
        ({"engine": "onnxruntime", "precision": "bf16"}, "not possible with engine=onnxruntime"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, said):
    for name in ("flow", "latent-flow", "diffusers"):
        with pytest.raises(ConfigError, match=said):
            models.entry(name).load().Options(**settings)


@pytest.mark.parametrize("engine", ENGINES)
def test_networks_of_other_libraries_stay_in_torch(engine):
    with pytest.raises(ConfigError, match="Limner's own networks alone; use engine=torch"):
        models.entry("diffusers").load().Options(engine=engine)
