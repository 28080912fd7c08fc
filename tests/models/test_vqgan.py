from dataclasses import replace

import pytest
import torch

from limner.errors import ConfigError
from limner.losses.reconstruction import reconstruction_cost
from limner.model import Step, Tokenizes
from limner.models.vqgan import VQGAN, VQGANConfig
from limner.rng import StepRng
from limner.types import Batch, Condition, DataSpec

TINY = VQGANConfig(width=8, quantizer="codebook", codes=32, discriminator_width=8, adversarial_from=0.5)
DATA = DataSpec(1, 16, 16)


def build(config=TINY):
    torch.manual_seed(0)
    return VQGAN(config, DATA)


def images(rows=8):
    return torch.rand(rows, *DATA.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def losses(model, progress):
    step = Step(0, 0, StepRng(0, 0, start=0, stop=8, total=8), progress)
    return list(model.losses(Batch(images(), Condition()), step))


def test_the_discriminator_joins_at_its_share_of_the_run():
    assert [loss.phase for loss in losses(build(), 0.49)] == ["model"]
    assert [loss.phase for loss in losses(build(), 0.5)] == ["model", "discriminator"]


@pytest.mark.parametrize("config", [TINY, replace(TINY, quantizer="levels")])
def test_its_loss_is_the_tokenizer_s_and_the_weighted_verdict(config):
    before, after = losses(build(config), 0.49)[0], losses(build(config), 0.5)[0]
    terms = after.terms()
    torch.testing.assert_close(after.value, before.value + terms["weight"] * terms["verdict"])
    assert terms["weight"] > 0


def test_the_weight_makes_the_gradients_at_the_last_layer_alike():
    """Equation 7: the verdict's weighted gradient is `adversarial` times the reconstruction's."""
    model = build(replace(TINY, adversarial=0.8))
    _, output = model._reconstructed(images(), Step(0, 0, StepRng(0, 0, start=0, stop=8, total=8)))
    cost, verdict = reconstruction_cost(output, images(), model.config.edges), -model.discriminator(output).mean()
    weight, last = model._weight(cost, verdict), model.decoder.last.weight
    sizes = [torch.autograd.grad(value, last, retain_graph=True)[0].norm() for value in (weight * verdict, cost)]
    assert (sizes[0] / sizes[1]).item() == pytest.approx(0.8, rel=0.01)


def test_a_validation_loss_is_that_of_the_reconstruction():
    model = build().eval()
    with torch.no_grad():
        loss = next(model.losses(Batch(images(), Condition()), Step(0, 0, StepRng(0, 0, start=0, stop=8, total=8))))
    assert loss.terms()["weight"] == 0


def test_phases_part_the_parameters():
    phases = build().phases()
    assert set(phases) == set(build().training_defaults()["phases"])
    assert sum(map(len, phases.values())) == len(list(build().parameters())) and isinstance(build(), Tokenizes)


@pytest.mark.parametrize("settings", [{"adversarial": -1.0}, {"adversarial_from": 1.0}, {"discriminator_width": 0}])
def test_settings_that_cannot_be_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        VQGANConfig(**settings)
