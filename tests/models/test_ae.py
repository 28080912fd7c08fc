from dataclasses import replace

import pytest
import torch

from limner.errors import ConfigError, NotAble
from limner.model import Encodes, FitsDensity, Samples, Step
from limner.models.ae import Autoencoder, AutoencoderConfig, AutoencoderOptions
from limner.rng import ImageRng, StepRng
from limner.types import Attribute, Batch, Condition, DataSpec

ROWS = 8
TINY = AutoencoderConfig(width=4, latent=6, condition_dropout=0.0)
DATA = DataSpec(1, 8, 8)
LABELLED = replace(DATA, classes=("cat", "dog"))
SMILE = replace(DATA, attributes=(Attribute("smile", "binary", ("no", "yes")),))


def build(config=TINY, data=DATA):
    torch.manual_seed(0)
    return Autoencoder(config, data)


def images(data=DATA, rows=ROWS):
    return torch.rand(rows, *data.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def step(index=0, rows=ROWS):
    return Step(index, index * rows, StepRng(0, index, start=0, stop=rows, total=rows))


def loss(model, image, condition=None, index=0):
    return next(model.losses(Batch(image, condition or Condition()), step(index, len(image)))).value


@pytest.mark.parametrize("network", ["conv", "mlp"])
@pytest.mark.parametrize("cost", ["mse", "l1", "bernoulli"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_combination_takes_a_step(network, cost, channels):
    data = DataSpec(channels, 8, 12)
    model = build(replace(TINY, network=network, loss=cost, noise=0.1, mask=0.2), data)
    value = loss(model, images(data))
    value.backward()
    assert torch.isfinite(value)
    assert all(parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    picture = model.decode(model.encode(images(data), Condition()), Condition())
    assert picture.shape == (ROWS, *data.shape) and picture.abs().max() <= 1


def test_a_batch_can_be_learned_by_heart():
    model, image = build(replace(TINY, network="mlp", width=64, latent=16)), images()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for index in range(300):
        optimizer.zero_grad()
        loss(model, image, index=index).backward()
        optimizer.step()
    assert (model.decode(model.encode(image, Condition()), Condition()) - image).square().mean() < 1e-3


@pytest.mark.parametrize("corruption", [{"noise": 0.5}, {"mask": 0.5}])
def test_a_denoising_autoencoder_is_shown_corrupted_images_and_asked_for_clean_ones(corruption):
    """Its encoder sees other noise at each step, and use is without noise."""
    clean, denoising = build(), build(replace(TINY, **corruption))
    image = images()
    assert loss(denoising, image) != loss(clean, image)
    assert loss(denoising, image, index=1) != loss(denoising, image, index=2)
    assert torch.equal(denoising.encode(image, Condition()), clean.encode(image, Condition()))


def test_denoising_learns_to_denoise():
    """Two flat images under heavy noise: what is decoded is nearer to the clean image than what was shown."""
    model = build(replace(TINY, network="mlp", width=32, noise=0.5))
    image = torch.tensor([-0.5, 0.5] * 4).view(ROWS, 1, 1, 1).expand(ROWS, *DATA.shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for index in range(200):
        optimizer.zero_grad()
        loss(model, image, index=index).backward()
        optimizer.step()
    noisy = image + 0.5 * torch.randn(image.shape, generator=torch.Generator().manual_seed(9))
    decoded = model.decode(model.encode(noisy, Condition()), Condition())
    assert (decoded - image).square().mean() < 0.1 * (noisy - image).square().mean()


@pytest.mark.parametrize("cost", ["mse", "bernoulli"])
def test_a_prepared_decoder_starts_near_the_mean_image(cost):
    model, dark = build(replace(TINY, network="mlp", loss=cost)), images() * 0.1 - 0.6
    model.prepare(dark)
    assert (model.decode(torch.zeros(1, 6), Condition()) - dark.mean(0)).square().mean() < 0.05


def test_it_samples_from_the_density_fitted_to_its_latents():
    model = build()
    with pytest.raises(NotAble, match="fit_density"):
        model.sample(ImageRng(0, [0]), Condition(), AutoencoderOptions())
    model.fit_density(model.encode(images(rows=50), Condition()).detach(), seed=0)
    for density in ("gaussian", "mixture"):
        options = AutoencoderOptions(density=density)
        together = model.sample(ImageRng(0, range(4)), Condition(), options)
        assert together.shape == (4, 1, 8, 8) and together.abs().max() <= 1
        alone = model.sample(ImageRng(0, [2]), Condition(), options)
        torch.testing.assert_close(together[2:3], alone)


@pytest.mark.parametrize(
    ("data", "one", "other"),
    [
        (LABELLED, Condition(label=torch.zeros(ROWS, dtype=torch.int64)), Condition(label=torch.ones(ROWS).long())),
        (SMILE, Condition(attributes=torch.ones(ROWS, 1)), Condition(attributes=-torch.ones(ROWS, 1))),
    ],
)
def test_a_conditioned_picture_depends_on_its_condition_unless_told_not_to(data, one, other):
    model, latent = build(data=data), torch.randn(ROWS, 6)
    assert not torch.allclose(model.decode(latent, one), model.decode(latent, other))
    assert not torch.allclose(model.encode(images(), one), model.encode(images(), other))
    blind = build(replace(TINY, conditional="none"), data)
    assert torch.equal(blind.decode(latent, one), blind.decode(latent, other))


def test_a_batch_in_parts_has_the_loss_of_the_whole():
    model, image = build(replace(TINY, noise=0.3, mask=0.3)), images()
    parts = [
        next(
            model.losses(
                Batch(image[start : start + 4], Condition()),
                Step(0, 0, StepRng(0, 0, start=start, stop=start + 4, total=ROWS)),
            )
        ).value
        for start in (0, 4)
    ]
    torch.testing.assert_close(sum(parts) / 2, loss(model, image))


def test_it_has_the_abilities_that_tasks_ask_for():
    assert all(isinstance(build(), ability) for ability in (Samples, Encodes, FitsDensity))


@pytest.mark.parametrize(
    "setting", [{"latent": 0}, {"mask": 1.0}, {"noise": -1.0}, {"loss": "mes"}, {"network": "cnn"}, {"width": 0}]
)
def test_settings_that_cannot_be_are_refused_by_name(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        AutoencoderConfig(**setting)
