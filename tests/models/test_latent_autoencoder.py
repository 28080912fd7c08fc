from dataclasses import replace

import pytest
import torch
from runs import build as tiny
from runs import take_steps

from limner.errors import ConfigError
from limner.model import Encodes, SampleOptions, Samples, Step
from limner.models.latent_autoencoder import LatentAutoencoder, LatentAutoencoderConfig
from limner.rng import ImageRng, StepRng
from limner.types import Batch, Condition, DataSpec

TINY = LatentAutoencoderConfig(width=8)
DATA = DataSpec(1, 16, 16)
NOTHING = Condition()


def build(config=TINY, data=DATA):
    torch.manual_seed(0)
    return LatentAutoencoder(config, data)


def images(rows=8, data=DATA):
    return torch.rand(rows, *data.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def loss(model, image, index=0):
    rng = StepRng(0, index, start=0, stop=len(image), total=len(image))
    return next(model.losses(Batch(image, NOTHING), Step(index, 0, rng)))


@pytest.mark.parametrize(
    ("shape", "latent"), [((1, 28, 28), (4, 7, 7)), ((3, 32, 32), (4, 8, 8)), ((4, 64, 48), (4, 8, 6))]
)
def test_the_latent_is_a_small_picture(shape, latent):
    model = build(data=DataSpec(*shape)).eval()
    found = model.encode(torch.zeros(2, *shape), NOTHING)
    assert model.latent_shape == latent and found.shape == (2, *latent)
    assert model.decode(found, NOTHING).shape == (2, *shape)
    assert model.draw_latent(ImageRng(0, [0, 1]), SampleOptions()).shape == (2, *latent)


def test_latents_of_training_images_have_mean_0_and_variance_1_before_and_after_training(digits):
    model = tiny("latent-ae", digits, width=8)
    image = torch.cat([torch.from_numpy(digits.images[:64]).permute(0, 3, 1, 2).float() / 127.5 - 1])
    for steps in (0, 60):
        model = take_steps(model, digits, steps).eval()
        latent = model.encode(image, NOTHING)
        assert latent.mean((0, 2, 3)).abs().max() < 0.2
        assert (latent.std((0, 2, 3)) - 1).abs().max() < 0.2


def test_noise_on_the_latent_is_what_was_asked_for_and_only_in_training():
    """A decoder that adds up its latent shows the noise: of variance noise^2 in each number."""
    quiet, loud = (build(replace(TINY, noise=noise)) for noise in (0.0, 0.5))
    seen = {}
    for model in (quiet, loud):
        model.decoder.register_forward_pre_hook(lambda _, args, key=model.config.noise: seen.update({key: args[0]}))
        loss(model, images(64))
    assert (seen[0.5] - seen[0.0]).std().item() == pytest.approx(0.5, rel=0.02)
    with torch.no_grad():
        encoded = loud.eval().encode(images(), NOTHING)
        loud.decode(encoded, NOTHING)
    assert torch.equal(seen[0.5], encoded)


def test_scaling_features_up_is_no_way_around_the_noise():
    """The loss of an encoder whose last layer is a hundred times as large is the same."""
    model = build()
    before = loss(model, images()).value
    model.encoder.features[-1].weight.data.mul_(100)
    model.encoder.features[-1].bias.data.mul_(100)
    torch.testing.assert_close(loss(model, images()).value, before, atol=1e-3, rtol=1e-3)


def test_a_batch_can_be_learned_by_heart():
    model = build(replace(TINY, noise=0.02)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for index in range(300):
        optimizer.zero_grad()
        loss(model, images(), index).value.backward()
        optimizer.step()
    model.eval()
    assert (model.decode(model.encode(images(), NOTHING), NOTHING) - images()).square().mean() < 0.1


def test_it_encodes_and_does_not_pretend_to_make_images():
    assert isinstance(build(), Encodes) and not isinstance(build(), Samples)


@pytest.mark.parametrize("settings", [{"latent": 0}, {"depth": 0}, {"noise": -0.1}, {"edges": -1.0}])
def test_settings_that_cannot_be_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        LatentAutoencoderConfig(**settings)
