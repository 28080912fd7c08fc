"""Normalizing flows: exact both ways, exact in their likelihood, and what their options do."""

import math
from dataclasses import replace

import pytest
import torch

from limner.errors import ConfigError
from limner.evaluation.measures.likelihood import pixels_of
from limner.images.grid import from_uint8, to_uint8
from limner.model import Encodes, SampleOptions, Samples, Scores, Step
from limner.models.normalizing_flow import NormalizingFlow, NormalizingFlowConfig
from limner.nn.bijections import ActNorm
from limner.rng import ImageRng, StepRng
from limner.types import Batch, Condition, DataSpec

TINY = NormalizingFlowConfig(width=8, couplings=2)
GLOW = replace(TINY, mixing="convolution")
MIXTURE = replace(TINY, logistics=3)
KINDS = pytest.mark.parametrize("config", [TINY, GLOW, MIXTURE], ids=["realnvp", "glow", "mixture"])
DATA = DataSpec(1, 8, 8)
LABELLED = replace(DATA, channels=3, classes=("cat", "dog"))
NOTHING = Condition()


def build(config=TINY, data=DATA, prepared=True):
    torch.manual_seed(0)
    model = NormalizingFlow(config, data)
    if prepared:
        model.prepare(images(data))
    return model


def images(data=DATA, rows=64, seed=3):
    """8-bit images of bars at random places: ink and paper, with grey edges."""
    draw = torch.Generator().manual_seed(seed)
    axis = torch.linspace(-1, 1, data.height)[None, None, :, None]
    place = torch.rand(rows, data.channels, 1, 1, generator=draw) * 1.4 - 0.7
    bars = torch.exp(-((axis - place) ** 2) / 0.1).expand(-1, -1, -1, data.width)
    grain = torch.rand(rows, *data.shape, generator=draw)
    return ((bars * 200 + grain * 10) * (bars > 0.1)).floor() / 127.5 - 1


def losses(model, image, condition=NOTHING, index=0):
    rng = StepRng(0, index, start=0, stop=len(image), total=len(image))
    return next(model.losses(Batch(image, condition), Step(index, 0, rng)))


def train(model, image, steps, condition=NOTHING, lr=3e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for index in range(steps):
        optimizer.zero_grad()
        losses(model, image, condition, index).value.backward()
        optimizer.step()
    return model.eval()


# --- exactness --------------------------------------------------------------------------------------------------------


@KINDS
def test_an_image_becomes_noise_and_comes_back_after_training_too(config):
    label = Condition(label=torch.arange(64) % 3 - 1)
    model, image = build(config, LABELLED), images(LABELLED)
    for _ in range(2):
        with torch.no_grad():
            latent = model.encode(image, label)
            torch.testing.assert_close(model.decode(latent, label), image, atol=1e-5, rtol=0)
            assert torch.equal(
                torch.from_numpy(to_uint8(model.decode(latent, label).numpy())),
                torch.from_numpy(to_uint8(image.numpy())),
            )
        assert latent.shape == (64, *model.latent_shape) == (64, 192)
        train(model, image, 40, label)


@KINDS
def test_its_density_is_that_of_the_noise_times_the_jacobian(config):
    """log p(x) = log N(z) + log |det dz/dx|, with the Jacobian of the whole map by autograd."""
    data = DataSpec(1, 4, 4, classes=("cat", "dog"))
    model = train(build(replace(config, depth=2), data), images(data), 20).double()
    image, condition = images(data, 3).double(), model._encode(Condition(label=torch.tensor([0, 1, -1])), 3).double()
    x = (image + 1) * (255 / 256) + 0.7 / 128 - 1
    with torch.no_grad():
        found, latent = model._log_density(x, condition), model._to_noise(x, condition)[0]
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda one, row=row: model._to_noise(one[None], condition[row : row + 1])[0][0], x[row]
        )
        volume = torch.linalg.slogdet(jacobian.reshape(16, 16)).logabsdet
        expected = -0.5 * (latent[row].square() + math.log(2 * math.pi)).sum() + volume
        torch.testing.assert_close(found[row], expected, atol=1e-7, rtol=0)


def test_its_density_integrates_to_1():
    """Over the four pixels of a 2x2 image, at the middles of a grid finer than its peaks: a model of random weights."""
    model = build(MIXTURE, DataSpec(1, 2, 2), prepared=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    axis = (torch.arange(24) + 0.5) / 12 - 1
    grid = torch.cartesian_prod(axis, axis, axis, axis).view(-1, 1, 2, 2)
    with torch.no_grad():
        density = torch.cat([model._log_density(part, torch.zeros(len(part), 0)) for part in grid.split(2**16)]).exp()
    assert density.std() > 0.02  # not the even density of a new model
    assert float(density.double().sum()) / 12**4 == pytest.approx(1, abs=0.02)


def test_a_new_model_that_saw_no_image_finds_all_levels_equally_probable():
    model = build(prepared=False)
    for samples in (1, 5):
        score = model.log_likelihood(images(), NOTHING, ImageRng(0, range(64)), samples)
        torch.testing.assert_close(score, torch.full_like(score, -64 * math.log(2.0)), atol=2e-3, rtol=0)
    assert losses(model, images()).terms()["bits_per_dim"].item() == pytest.approx(8, abs=1e-4)


def test_a_prepared_model_starts_at_the_entropy_of_the_levels():
    """Bits of the histogram; what actnorm and dequantisation change is little."""
    image = images(rows=256)
    counts = ((image + 1) * 127.5).round().long().flatten().bincount(minlength=256)
    entropy = torch.special.entr(counts / counts.sum()).sum() / math.log(2)
    model = build()
    model.prepare(image)
    assert losses(model, image).terms()["bits_per_dim"].item() == pytest.approx(float(entropy), abs=0.25)


# --- likelihood -------------------------------------------------------------------------------------------------------


def test_a_prepared_model_gives_noise_of_mean_0_and_deviation_1_at_once():
    image = images(rows=256)
    for config in (TINY, GLOW, MIXTURE):
        model = build(config)
        model.prepare(image)
        latent, _ = model._to_noise(model._observed(image, ImageRng(0, range(256))), torch.zeros(256, 0))
        assert latent.mean().abs() < 0.1 and abs(latent.std() - 1) < 0.1
        first = next(layer for layer in model.modules() if isinstance(layer, ActNorm))
        assert first.log_scale.abs().min() > 0


@KINDS
def test_it_learns_what_images_have_in_common(config):
    model, image = build(config), images(rows=256)
    before = losses(model, image).value.item()
    after = losses(train(model, image, 100, lr=5e-3), images(rows=64, seed=9)).value.item()
    assert after < 0.8 * before


def test_more_draws_of_the_noise_tighten_the_bound():
    model, image = train(build(), images(), 30), images()
    one, many = (model.log_likelihood(image, NOTHING, ImageRng(0, range(64)), samples).mean() for samples in (1, 16))
    assert many > one + 0.5


def test_an_image_scores_the_same_alone_and_among_others():
    model, image = train(build(), images(), 10), images()
    together = model.log_likelihood(image, NOTHING, ImageRng(0, range(64)), 2)
    alone = model.log_likelihood(image[5:6], NOTHING, ImageRng(0, [5]), 2)
    torch.testing.assert_close(together[5:6], alone, atol=1e-3, rtol=0)
    assert together.dtype == torch.float64


def test_no_samples_give_no_density():
    with pytest.raises(ConfigError, match="samples=0"):
        build().log_likelihood(images(), NOTHING, ImageRng(0, range(64)), 0)


def test_evaluation_knows_what_its_likelihood_is_of():
    pixels = pixels_of(build())
    assert pixels.comparable and pixels.value_range == 2 and not pixels.noise


# --- sampling and settings --------------------------------------------------------------------------------------------


@KINDS
def test_temperature_scales_the_noise_and_0_makes_one_picture(config):
    model = train(build(config), images(), 20)
    drawn, colder = (model.draw_latent(ImageRng(0, range(4)), SampleOptions(temperature=t)) for t in (1.0, 0.5))
    assert torch.equal(colder, 0.5 * drawn)
    cold = model.sample(ImageRng(0, range(4)), NOTHING, SampleOptions(temperature=0.0))
    torch.testing.assert_close(cold, cold[:1].expand_as(cold), atol=1e-5, rtol=0)
    assert cold.abs().max() <= 1


def test_samples_of_a_trained_model_have_the_levels_of_its_images():
    model, image = train(build(MIXTURE), images(), 120), images()
    made = model.sample(ImageRng(0, range(64)), NOTHING, SampleOptions())
    assert (made.mean() - image.mean()).abs() < 0.2 and (made.std() - image.std()).abs() < 0.2


def test_the_label_makes_likelihoods_and_pictures_differ():
    data = replace(DATA, classes=("light", "dark"))
    label = torch.arange(64) % 2
    image = from_uint8(to_uint8((images() * (1 - label)[:, None, None, None] - label[:, None, None, None]).numpy()))
    model = train(build(TINY, data), torch.from_numpy(image), 60, Condition(label=label))
    score = [
        model.log_likelihood(torch.from_numpy(image), Condition(label=asked), ImageRng(0, range(64)), 1).mean()
        for asked in (label, 1 - label)
    ]
    assert score[0] > score[1] + 5


def test_a_hidden_condition_is_not_heard():
    data = replace(DATA, classes=("light", "dark"))
    light, dark = (Condition(label=torch.full((64,), index)) for index in range(2))
    model = train(build(replace(TINY, condition_dropout=0.0), data), images(data), 20, dark)
    assert losses(model, images(data), light).value != losses(model, images(data), dark).value
    model.config = replace(model.config, condition_dropout=1 - 1e-9)  # in practice of all
    assert losses(model, images(data), light).value == losses(model, images(data), dark).value


@pytest.mark.parametrize(("side", "depth", "sizes"), [(30, 2, "28 or 32"), (15, None, "14 or 16"), (28, 3, "24 or 32")])
def test_a_size_that_cannot_be_halved_is_refused_with_the_nearest_that_can(side, depth, sizes):
    with pytest.raises(ConfigError, match=f"use {sizes}"):
        build(replace(TINY, depth=depth), DataSpec(1, side, side), prepared=False)


@pytest.mark.parametrize(("side", "depth"), [(28, 2), (32, 3), (30, 1), (8, 1), (4, 1)])
def test_an_open_depth_goes_as_far_as_the_size_allows(side, depth):
    assert len(build(TINY, DataSpec(2, side, side), prepared=False).multiscale.scales) == depth


def test_it_has_the_abilities_that_tasks_ask_for():
    assert all(isinstance(build(), ability) for ability in (Samples, Encodes, Scores))


@pytest.mark.parametrize("settings", [{"couplings": 0}, {"mixing": "shuffle"}, {"logistics": -1}, {"depth": 0}])
def test_settings_that_cannot_be_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        NormalizingFlowConfig(**settings)
