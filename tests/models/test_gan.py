"""The GAN's algorithm: every combination of parts takes a step, and each phase moves its own network alone."""

import math
from dataclasses import replace

import pytest
import torch

from limner.errors import ConfigError
from limner.losses.adversarial import OBJECTIVES
from limner.losses.penalties import zero_centred
from limner.model import Decodes, Samples, Step
from limner.models.gan import GAN, GANConfig, GANOptions, truncate
from limner.models.gan_presets import PRESETS
from limner.nn.discriminators import DISCRIMINATORS
from limner.nn.generators import GENERATORS
from limner.rng import ImageRng, StepRng
from limner.types import Attribute, Batch, Condition, DataSpec

ROWS = 4
TINY = GANConfig(width=2, latent=5)
DATA = DataSpec(3, 16, 16)
CLASSES = replace(DATA, classes=("cat", "dog", "fox"))
SMILE = replace(DATA, attributes=(Attribute("smile", "binary", ("no", "yes")),))


def build(config=TINY, data=DATA, seed=0):
    torch.manual_seed(seed)
    return GAN(config, data)


def a_batch(data=DATA, rows=ROWS):
    images = torch.rand(rows, *data.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1
    label = torch.arange(rows) % len(data.classes) if data.classes else None
    attributes = torch.ones(rows, data.attribute_width) if data.attributes else None
    return Batch(images, Condition(label=label, attributes=attributes))


def a_step(index=0, images=0, rows=ROWS):
    return Step(index, images, StepRng(0, index, start=0, stop=rows, total=rows))


def train(model, batch, step, lr=0.01):
    """What the training loop does, by hand: each loss moves the parameters of its own phase."""
    phases, losses = model.phases(), []
    for loss in model.losses(batch, step):
        parameters = phases[loss.phase]
        gradients = torch.autograd.grad(loss.value, parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter -= lr * gradient
        losses.append(loss)
    return losses


def snapshot(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def moved(module, before):
    return any(not torch.equal(was, now) for was, now in zip(before, module.parameters(), strict=True))


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 16), (4, 24, 32)])
def test_every_combination_takes_a_step_that_moves_each_network_in_its_own_phase(
    generator, discriminator, objective, shape
):
    config = replace(TINY, generator=generator, discriminator=discriminator, objective=objective)
    data = DataSpec(*shape)
    model, before, phases = build(config, data), None, []
    for loss in model.losses(a_batch(data), a_step()):
        mine = getattr(model, loss.phase)
        other = model.generator if mine is model.discriminator else model.discriminator
        before = snapshot(mine)
        loss.value.backward(inputs=model.phases()[loss.phase])
        assert loss.value.isfinite() and loss.value.ndim == 0
        assert all(parameter.grad is None for parameter in other.parameters())
        with torch.no_grad():
            for parameter in mine.parameters():
                if parameter.grad is not None:
                    parameter -= 0.01 * parameter.grad
                    parameter.grad = None
        assert moved(mine, before)
        phases.append(loss.phase)
    assert phases == ["discriminator", "generator"]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("data", [DATA, CLASSES, SMILE], ids=["plain", "classes", "attributes"])
def test_every_preset_trains_and_samples(name, data):
    config = GANConfig(**{**PRESETS[name][1], "width": 2, "latent": 5})
    model = build(config, data)
    losses = [loss for index in range(config.n_critic) for loss in train(model, a_batch(data), a_step(index))]
    assert [loss.phase for loss in losses] == ["discriminator"] * config.n_critic + ["generator"]
    assert all(loss.value.isfinite() for loss in losses)
    images = model.eval().sample(ImageRng(0, range(3)), Condition(), GANOptions())
    assert images.shape == (3, *data.shape) and images.abs().max() <= 1


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_in_bfloat16(name):
    """Penalties stay in float32 inside; losses come out in float32."""
    model = build(GANConfig(**{**PRESETS[name][1], "width": 2, "latent": 5, "n_critic": 1}))
    losses, phases = model.losses(a_batch(), a_step()), model.phases()
    for phase in ("discriminator", "generator"):
        with torch.autocast("cpu", torch.bfloat16):
            loss = next(losses)
        loss.value.backward(inputs=phases[phase])
        assert loss.value.dtype == torch.float32 and loss.value.isfinite()
        assert all(term.dtype == torch.float32 for term in loss.terms.values())


@pytest.mark.parametrize("bfloat16", [False, True])
def test_penalties_are_computed_in_float32(bfloat16):
    model, real = build(), a_batch().image.requires_grad_()
    expected = model.config.r1 * zero_centred(model.discriminator(real, torch.zeros(ROWS, 0)), real).item()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        loss = next(model.losses(a_batch(), a_step()))
    assert loss.terms["r1"].item() == pytest.approx(expected, rel=1e-5)


def test_the_discriminators_loss_does_not_reach_the_generator():
    model = build()
    loss = next(model.losses(a_batch(), a_step()))
    gradients = torch.autograd.grad(loss.value, model.phases()["generator"], allow_unused=True)
    assert all(gradient is None for gradient in gradients)


@pytest.mark.parametrize("name", PRESETS)
def test_phases_hold_every_parameter_once(name):
    model = build(GANConfig(**{**PRESETS[name][1], "width": 2}), CLASSES)
    held = [parameter for parameters in model.phases().values() for parameter in parameters]
    assert len(held) == len(set(held)) and set(held) == set(model.parameters())


def test_same_seed_same_losses():
    first, second = (train(build(replace(TINY, augment=("colour",))), a_batch(), a_step()) for _ in range(2))
    assert [loss.value.item() for loss in first] == [loss.value.item() for loss in second]


def test_the_generator_plays_every_n_critic_steps():
    model = build(replace(TINY, n_critic=3))
    phases = [[loss.phase for loss in train(model, a_batch(), a_step(index))] for index in range(6)]
    assert [step.count("generator") for step in phases] == [0, 0, 1, 0, 0, 1]
    assert all(step.count("discriminator") == 1 for step in phases)


def test_clipping_holds_after_the_discriminators_step():
    model = build(replace(TINY, objective="wasserstein", clip=0.01))
    losses = model.losses(a_batch(), a_step())
    next(losses)
    with torch.no_grad():
        for parameter in model.discriminator.parameters():
            parameter += 1.0
    assert next(losses).phase == "generator"
    largest = [max(part.abs().max().item() for part in snapshot(net)) for net in (model.discriminator, model.generator)]
    assert largest[0] == pytest.approx(0.01) and largest[1] > 0.01


def test_lazy_penalties_come_every_few_steps_and_weigh_as_much_more():
    model = build(replace(TINY, penalty_every=4, r1=1.0, r2=0.0))
    logged = [next(model.losses(a_batch(), a_step(index))) for index in range(8)]
    assert ["r1" in loss.terms for loss in logged] == [True, False, False, False] * 2
    eager = next(build(replace(TINY, penalty_every=1, r1=1.0, r2=0.0)).losses(a_batch(), a_step()))
    extra = logged[0].value - eager.value
    assert extra.item() == pytest.approx(3 * eager.terms["r1"].item(), rel=1e-4)


def test_penalties_of_zero_weight_cost_nothing():
    plain = replace(TINY, r1=0.0, r2=0.0)
    terms = next(build(plain).losses(a_batch(), a_step())).terms
    assert set(terms) == {"real", "fake", "accuracy"}


def test_the_relativistic_game_starts_at_ln_2():
    model = build(replace(TINY, r1=0.0, r2=0.0))
    torch.nn.init.zeros_(model.discriminator.head.weight)
    assert next(model.losses(a_batch(), a_step())).value.item() == pytest.approx(math.log(2))


def test_instance_noise_fades_with_the_images_seen():
    noisy = replace(TINY, instance_noise=1.0, instance_noise_images=100, r1=0.0, r2=0.0)

    def distance(images):
        """How far the noise moves the real logits, over sixteen draws of it."""
        moved = 0.0
        for index in range(16):
            step = a_step(index, images=images)
            with_noise = next(build(noisy).losses(a_batch(), step)).terms["real"]
            without = next(build(replace(noisy, instance_noise=0.0)).losses(a_batch(), step)).terms["real"]
            moved += (with_noise - without).abs().item()
        return moved

    assert distance(0) > distance(90) > 0 == distance(100) == distance(1000)


def test_the_discriminator_sees_augmented_images():
    plain, shown = (build(replace(TINY, augment=names)) for names in ((), ("cutout",)))
    values = [next(model.losses(a_batch(), a_step())).terms["real"].item() for model in (plain, shown)]
    assert values[0] != values[1]


# --- conditions ---------------------------------------------------------------------------------------------------


def test_the_picture_depends_on_the_label():
    model = build(data=CLASSES).eval()
    rows = [model.sample(ImageRng(0, [7]), Condition(label=torch.tensor([k])), GANOptions()) for k in range(3)]
    assert not torch.allclose(rows[0], rows[1]) and not torch.allclose(rows[1], rows[2])


def test_an_unknown_label_is_no_label():
    model = build(data=CLASSES).eval()
    unknown = model.sample(ImageRng(0, [7]), Condition(label=torch.tensor([-1])), GANOptions())
    assert torch.equal(unknown, model.sample(ImageRng(0, [7]), Condition(), GANOptions()))


def test_the_picture_depends_on_an_attribute_and_on_whether_it_is_known():
    model = build(data=SMILE).eval()

    def picture(value, known):
        condition = Condition(attributes=torch.tensor([[value]]), known=torch.tensor([[known]]))
        return model.sample(ImageRng(0, [7]), condition, GANOptions())

    assert not torch.allclose(picture(1.0, True), picture(-1.0, True))
    assert torch.equal(picture(1.0, False), model.sample(ImageRng(0, [7]), Condition(), GANOptions()))


def test_an_unconditional_model_ignores_labels():
    model = build(replace(TINY, conditional="none"), CLASSES).eval()
    one, other = (model.sample(ImageRng(0, [7]), Condition(label=torch.tensor([k])), GANOptions()) for k in range(2))
    assert torch.equal(one, other)


def test_some_conditions_are_hidden_in_training():
    """The discriminator's logits of real images then depend on which rows were hidden."""
    never, always = replace(TINY, condition_dropout=0.0, r1=0.0, r2=0.0), replace(TINY, r1=0.0, r2=0.0)
    hidden = build(replace(always, condition_dropout=0.999999), CLASSES)
    shown = build(never, CLASSES)
    without = Batch(a_batch(CLASSES).image, Condition())
    assert torch.equal(next(hidden.losses(a_batch(CLASSES), a_step())).terms["real"], _real(hidden, without))
    assert not torch.equal(next(shown.losses(a_batch(CLASSES), a_step())).terms["real"], _real(shown, without))


def _real(model, batch):
    return next(model.losses(batch, a_step())).terms["real"]


# --- sampling -----------------------------------------------------------------------------------------------------


def test_a_gan_samples_and_decodes_and_says_so():
    assert isinstance(build(), Samples) and isinstance(build(), Decodes)


@pytest.mark.parametrize("name", PRESETS)
def test_eight_at_once_are_eight_singly(name):
    model = build(GANConfig(**{**PRESETS[name][1], "width": 2}), CLASSES)
    train(model, a_batch(CLASSES), a_step(model.config.n_critic - 1))  # running statistics have moved
    model.eval()
    label = torch.arange(8) % 3
    together = model.sample(ImageRng(0, range(8)), Condition(label=label), GANOptions())
    singly = [model.sample(ImageRng(0, [k]), Condition(label=label[k : k + 1]), GANOptions()) for k in range(8)]
    torch.testing.assert_close(together, torch.cat(singly), atol=1e-5, rtol=1e-5)


def test_sampling_is_decoding_a_drawn_latent():
    model, options = build().eval(), GANOptions(temperature=0.7)
    latent = model.draw_latent(ImageRng(0, range(3)), options)
    assert latent.shape == (3, *model.latent_shape)
    sampled = model.sample(ImageRng(0, range(3)), Condition(), options)
    torch.testing.assert_close(sampled, model.decode(latent, Condition()))


def test_temperature_scales_the_latent():
    model = build()
    cold, warm = (model.draw_latent(ImageRng(0, [0]), GANOptions(temperature=t)) for t in (0.5, 1.0))
    torch.testing.assert_close(cold, 0.5 * warm)


def test_truncated_latents_keep_their_order_and_their_distribution_is_the_truncated_normal():
    """Variance of the normal truncated to [-1, 1]: 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.2912."""
    latent = torch.randn(200_000, generator=torch.Generator().manual_seed(0)).sort().values
    tame = truncate(latent, 1.0)
    assert tame.abs().max() <= 1 and (tame.diff() >= 0).all()
    assert tame.var().item() == pytest.approx(0.2912, abs=0.003)
    torch.testing.assert_close(truncate(latent, 30.0), latent, atol=1e-4, rtol=1e-4)


def test_latents_can_be_optimised():
    """Decoding is differentiable: what projection and editing need."""
    model = build().eval()
    latent = torch.ones(1, *model.latent_shape, requires_grad=True)
    model.decode(latent, Condition()).sum().backward()
    assert latent.grad.abs().sum() > 0


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"generator": "dcgn"}, "did you mean dcgan"),
        ({"objective": "hing"}, "did you mean hinge"),
        ({"augment": ("color",)}, "did you mean colour"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"r1": -1.0}, "r1=-1.0 is less than 0"),
        ({"n_critic": 0}, "n_critic=0 is less than 1"),
        ({"clip": 0.0}, "clip=0.0"),
    ],
)
def test_settings_that_break_a_rule_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        GANConfig(**wrong)


def test_a_resolution_that_cannot_be_halved_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="30x30 is not divisible by 4 .*use 28 or 32, or depth=1"):
        build(data=DataSpec(3, 30, 30))
    assert build(replace(TINY, depth=1), DataSpec(3, 30, 30)).generator.latent_shape == (5,)
    assert build(replace(TINY, generator="mlp", discriminator="mlp"), DataSpec(3, 7, 5)).data.shape == (3, 7, 5)
    with pytest.raises(ConfigError, match="truncation=0"):
        build().draw_latent(ImageRng(0, [0]), GANOptions(truncation=0.0))


def test_training_defaults_are_the_published_settings():
    def settings(name):
        return GAN(GANConfig(**{**PRESETS[name][1], "width": 2}), DATA).training_defaults()["phases"]["discriminator"]

    assert settings("dcgan") == {"optimizer": "adam", "lr": 2e-4, "betas": (0.5, 0.999)}
    assert settings("wgan") == {"optimizer": "rmsprop", "lr": 5e-5}
    assert settings("wgan-gp") == {"optimizer": "adam", "lr": 1e-4, "betas": (0.0, 0.9)}
    assert settings("hinge") == {"optimizer": "adam", "lr": 4e-4, "betas": (0.0, 0.9)}
    assert settings("r3gan") == {"optimizer": "adam", "lr": 2e-4, "betas": (0.0, 0.99)}
