"""The mixture of Bernoullis as a model: a probability that adds up to one, and members that learn."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import batch_of, stepper

from limner.data import open_data
from limner.errors import ConfigError
from limner.losses.likelihood import bernoulli_log_prob, binarize
from limner.model import Step
from limner.models.bernoulli_mixture import BernoulliMixture, BernoulliMixtureConfig
from limner.models.mixture import MixtureOptions
from limner.rng import ImageRng, StepRng
from limner.types import Attribute, Batch, Condition, DataSpec

SMALL = BernoulliMixtureConfig(components=6, conditional="none")
DATA = DataSpec(1, 2, 3)
STATES = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=6))).view(64, 1, 2, 3)
NOTHING = Condition()


def build(config=SMALL, data=DATA):
    torch.manual_seed(0)
    return BernoulliMixture(config, data)


def loss(model, batch, index=0):
    rng = StepRng(0, index, start=0, stop=len(batch), total=len(batch))
    return model.losses(batch, Step(index, index * len(batch), rng))


def learned(config=SMALL, data=DATA, steps=10):
    model = build(config, data)
    random = torch.Generator().manual_seed(1)
    image = 2 * torch.rand(40, *data.shape, generator=random) - 1
    model.prepare(image)
    label = torch.arange(40) % 2 if data.classes else None
    for index in range(steps):
        for _ in loss(model, Batch(image, Condition(label)), index):
            pass
    return model.eval()


@pytest.mark.parametrize("label", [None, 0, 1])
def test_the_probabilities_of_all_images_add_up_to_one(label):
    model = learned(replace(SMALL, conditional="auto"), replace(DATA, classes=("a", "b")))
    condition = Condition(None if label is None else torch.full((64,), label))
    found = model.log_likelihood(STATES, condition, ImageRng(0, range(64)), 1)
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_probabilities_given_an_attribute_add_up_to_one_too():
    data = replace(DATA, attributes=(Attribute("smile", "binary", ("no", "yes")),))
    model, image = build(replace(SMALL, conditional="auto"), data), STATES[::2]
    model.prepare(image)
    smile = image[:, :, 0, 0]  # (32, 1): the first pixel says it
    for index in range(30):
        condition = Condition(attributes=smile, known=torch.ones(32, 1, dtype=torch.bool))
        for _ in loss(model, Batch(image, condition), index):
            pass
    means = []
    for value in (-1.0, 1.0):
        asked = Condition(attributes=torch.full((64, 1), value), known=torch.ones(64, 1, dtype=torch.bool))
        probability = model.log_likelihood(STATES, asked, ImageRng(0, range(64)), 1).exp()
        assert float(probability.sum()) == pytest.approx(1, abs=1e-5)
        means.append(float((probability * STATES[:, 0, 0, 0]).sum()))
    assert means[0] < -0.3 and means[1] > 0.3


def test_the_likelihood_is_the_weighted_sum_of_the_members():
    model = learned()
    found = model.log_likelihood(STATES, NOTHING, ImageRng(0, range(64)), 1)
    logits = torch.logit(model.mixture.family.probability.double()).view(-1, 1, 1, 2, 3)
    members = torch.stack([bernoulli_log_prob(STATES.double(), logit.expand(64, -1, -1, -1)) for logit in logits], 1)
    exact = (members + model.mixture.weights.double().log()).logsumexp(1)
    torch.testing.assert_close(found, exact, atol=1e-4, rtol=1e-5)


def test_a_grey_image_is_drawn_in_black_and_white_first():
    model, image = learned(), torch.zeros(20, *DATA.shape)
    found = model.log_likelihood(image, NOTHING, ImageRng(3, range(20)), 1)
    drawn = binarize(image, ImageRng(3, range(20)).uniform(*DATA.shape))
    torch.testing.assert_close(found, model.log_likelihood(drawn, NOTHING, ImageRng(4, range(20)), 1))
    alone = [model.log_likelihood(image[:1], NOTHING, ImageRng(3, [k]), 1) for k in range(20)]
    torch.testing.assert_close(found, torch.cat(alone))
    with pytest.raises(ConfigError, match="samples=0"):
        model.log_likelihood(image, NOTHING, ImageRng(3, range(20)), 0)


def test_the_loss_of_full_rounds_never_rises(digits):
    config = replace(SMALL, learning="rounds", round_images=64, binarize="none", smoothing=0.0)
    model, batch = build(config, digits.spec), batch_of(digits, size=64)
    model.prepare(batch.image)
    values = [float(found.value) for _ in range(25) for found in loss(model, batch)]
    assert max(np.diff(values)) < 1e-4 and values[-1] < values[0] - 0.5


def test_steps_raise_the_likelihood_of_new_images():
    train, new = (open_data("builtin:digits", split=split) for split in ("train", "test"))
    model, image = build(replace(SMALL, components=20), train.spec), batch_of(new, size=300).image
    model.prepare(batch_of(train, size=500).image)
    before = model.log_likelihood(image, NOTHING, ImageRng(0, range(300)), 1).mean()
    steps = stepper(model)
    for index in range(30):
        steps.step(batch_of(train, index, size=100), index, 100 * index)
    assert model.log_likelihood(image, NOTHING, ImageRng(0, range(300)), 1).mean() > before + 0.5


def test_members_learn_from_brightness_without_the_noise_of_black_and_white():
    """One member alone ends at the mean image, which draws of 30 images would miss by a tenth."""
    config = replace(SMALL, components=1, learning="rounds", round_images=30, smoothing=0.0)
    model, image = build(config), 2 * torch.rand(30, *DATA.shape) - 1
    model.prepare(image)
    for _ in loss(model, Batch(image, NOTHING)):
        pass
    expected = ((image + 1) / 2).mean(0).view(1, -1)
    torch.testing.assert_close(model.mixture.family.probability, expected, atol=1e-5, rtol=1e-5)


def test_a_mean_picture_is_a_template_and_a_drawn_one_is_black_and_white():
    model = learned()
    mean = model.sample(ImageRng(0, range(50)), NOTHING, MixtureOptions())
    templates = 2 * model.mixture.family.probability - 1
    assert torch.cdist(mean.flatten(1), templates).min(1).values.max() < 1e-3
    drawn = model.sample(ImageRng(0, range(4000)), NOTHING, MixtureOptions(pixels="draw"))
    assert set(drawn.flatten().tolist()) == {-1.0, 1.0}
    expected = model.mixture.weights @ templates
    torch.testing.assert_close(drawn.flatten(1).mean(0), expected, atol=0.05, rtol=0)


def test_samples_are_as_frequent_as_the_likelihood_says():
    model = learned()
    drawn = model.sample(ImageRng(0, range(20_000)), NOTHING, MixtureOptions(pixels="draw"))
    places = (((drawn.flatten(1) + 1) / 2) @ (2.0 ** torch.arange(5, -1, -1))).long()
    expected = model.log_likelihood(STATES, NOTHING, ImageRng(0, range(64)), 1).exp()
    torch.testing.assert_close((places.bincount(minlength=64) / 20_000).double(), expected, atol=0.008, rtol=0)
