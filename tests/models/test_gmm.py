"""The Gaussian mixture as a model: its likelihood, its learning step by step, its classes, its limits."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import batch_of, stepper, take_steps
from torch.distributions import MultivariateNormal

from limner.data import open_data
from limner.errors import ConfigError
from limner.model import Samples, Scores, Step
from limner.models.gmm import GaussianMixture, GMMConfig, dequantise
from limner.models.mixture import MixtureOptions
from limner.rng import ImageRng, StepRng
from limner.types import Attribute, Batch, Condition, DataSpec

SMALL = GMMConfig(components=4, factors=3, conditional="none")
DATA = DataSpec(1, 4, 4)
LETTERS = replace(DATA, classes=("a", "b"))
NOTHING = Condition()


def build(config=SMALL, data=DATA):
    torch.manual_seed(0)
    return GaussianMixture(config, data)


def levels(rows, data=DATA, seed=0):
    """(rows, C, H, W) of random 8-bit levels in [-1, 1]."""
    whole = torch.randint(0, 256, (rows, *data.shape), generator=torch.Generator().manual_seed(seed))
    return whole / 127.5 - 1


def loss(model, batch, index=0):
    rng = StepRng(0, index, start=0, stop=len(batch), total=len(batch))
    return model.losses(batch, Step(index, index * len(batch), rng))


# --- likelihood -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["factors", "full"])
def test_the_likelihood_is_the_density_of_the_dequantised_image(covariance):
    model, image = build(replace(SMALL, covariance=covariance)), levels(20)
    model.prepare(levels(200, seed=1))
    found = model.log_likelihood(image, NOTHING, ImageRng(0, range(20)), 1)
    family, rows = model.mixture.family.double(), dequantise(image, ImageRng(0, range(20)).uniform(1, 4, 4))
    if covariance == "factors":
        covariances = family.loadings @ family.loadings.transpose(1, 2) + torch.diag_embed(family.noise)
    else:
        covariances = family.roots @ family.roots.transpose(1, 2)
    members = MultivariateNormal(family.means, covariances).log_prob(rows.flatten(1)[:, None].double())
    exact = (members + model.mixture.weights.double().log()).logsumexp(1)
    torch.testing.assert_close(found, exact, atol=1e-5, rtol=1e-6)
    assert found.dtype == torch.float64


def test_uniform_levels_have_the_bits_of_a_gaussian_on_a_uniform_density():
    """One Gaussian on values uniform over a range of 2: log2(2 pi e / 3) / 2 bits, and 7 for 256 levels in 2."""
    config = GMMConfig(components=1, covariance="full", learning="rounds", round_images=4000, conditional="none")
    model, image = build(config, DataSpec(1, 2, 2)), levels(4000, DataSpec(1, 2, 2))
    model.prepare(image)
    for _ in loss(model, Batch(image, NOTHING)):
        pass
    nats = -model.log_likelihood(image, NOTHING, ImageRng(0, range(4000)), 1).mean()
    bits = (float(nats) / 4 + math.log(128)) / math.log(2)
    assert bits == pytest.approx(math.log2(2 * math.pi * math.e / 3) / 2 + 7, abs=0.01)
    assert bits > 8  # no model can do better than 8 on what is uniform


def test_dequantised_levels_fill_the_range_evenly():
    image = torch.arange(256).view(256, 1, 1, 1) / 127.5 - 1
    low, high = dequantise(image, torch.zeros_like(image)), dequantise(image, torch.ones_like(image))
    torch.testing.assert_close(high - low, torch.full_like(low, 2 / 256))
    torch.testing.assert_close(low[1:], high[:-1])
    assert float(low[0]) == pytest.approx(-1) and float(high[-1]) == pytest.approx(1)
    middle = dequantise(image, torch.full_like(image, 0.5)).flatten(1)
    torch.testing.assert_close(build()._picture(middle), image.flatten(1))


def test_more_samples_are_more_draws_of_the_same_mean():
    model, image = build(), levels(50)
    model.prepare(levels(200, seed=1))
    one, many = (model.log_likelihood(image, NOTHING, ImageRng(seed, range(50)), n) for seed, n in ((0, 1), (1, 50)))
    assert float(one.mean()) == pytest.approx(float(many.mean()), abs=0.05)
    assert not torch.equal(one, many)
    with pytest.raises(ConfigError, match="samples=0"):
        model.log_likelihood(image, NOTHING, ImageRng(0, range(50)), 0)


def test_an_image_scores_the_same_alone_and_in_a_batch():
    model, image = build(), levels(6)
    model.prepare(levels(200, seed=1))
    together = model.log_likelihood(image, NOTHING, ImageRng(5, range(6)), 2)
    alone = [model.log_likelihood(image[k : k + 1], NOTHING, ImageRng(5, [k]), 2) for k in range(6)]
    torch.testing.assert_close(together, torch.cat(alone))


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["factors", "full"])
def test_the_loss_of_full_rounds_never_rises(covariance, digits):
    """The batch is the data, and its noise is the same each time; what rounding adds is below 1e-3 nats."""
    config = replace(SMALL, covariance=covariance, learning="rounds", round_images=64, smoothing=0.0, least_std=0.05)
    model, batch = build(config, digits.spec), batch_of(digits, size=64)
    model.prepare(batch.image)
    values = []
    for _ in range(25):
        for found in loss(model, batch):
            values.append(float(found.value))
    assert max(np.diff(values)) < 1e-3 and values[-1] < values[0] - 5


def test_steps_raise_the_likelihood_of_new_images():
    train, new = (open_data("builtin:digits", split=split) for split in ("train", "test"))
    model, image = build(replace(SMALL, components=10, least_std=0.1), train.spec), batch_of(new, size=300).image
    model.prepare(batch_of(train, size=500).image)
    before = model.log_likelihood(image, NOTHING, ImageRng(0, range(300)), 1).mean()
    steps = stepper(model)
    for index in range(30):
        steps.step(batch_of(train, index, size=100), index, 100 * index)
    assert model.log_likelihood(image, NOTHING, ImageRng(0, range(300)), 1).mean() > before + 5


def test_in_eval_mode_only_the_loop_makes_it_learn(digits):
    """A validation loss is the first yield and no more; nothing has changed by then."""
    model = build(replace(SMALL, conditional="auto"), digits.spec).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    next(loss(model, batch_of(digits)))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_bfloat16_is_not_let_in(digits):
    """Under autocast the loss and what is learned are the same, bit by bit."""
    results = []
    for bf16 in (False, True):
        model = build(SMALL, digits.spec)
        model.prepare(batch_of(digits, size=64).image)
        steps = loss(model, batch_of(digits))
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                next(steps, None)
        results.append(model.mixture.family.means)
    assert torch.equal(*results)


# --- conditions and sampling ------------------------------------------------------------------------------------------


def test_each_class_has_an_equal_number_of_members():
    assert build(replace(SMALL, components=5, conditional="auto"), LETTERS).mixture.owners.tolist() == [0, 1, 0, 1]
    assert len(build(replace(SMALL, components=1, conditional="auto"), LETTERS).mixture.weights) == 2
    assert len(build(replace(SMALL, components=5), LETTERS).mixture.weights) == 5


def test_samples_look_like_the_class_that_was_asked_for(digits):
    """The nearest class mean of the real digits says what a sample shows."""
    model = build(replace(SMALL, components=20, conditional="auto", smoothing=0.1), digits.spec)
    model.prepare(batch_of(digits, size=64).image)
    take_steps(model, digits, 40).eval()
    batch = batch_of(digits, size=64)
    means = torch.stack([batch.image[batch.condition.label == k].mean(0) for k in range(10)]).flatten(1)
    label = torch.arange(10).repeat(8)
    made = model.sample(ImageRng(0, range(80)), Condition(label=label), MixtureOptions())
    seen = torch.cdist(made.flatten(1), means).argmin(1)
    assert (seen == label).float().mean() > 0.7  # chance is 0.1


def test_drawn_pixels_have_the_members_covariance_and_mean_ones_do_not():
    model = build(replace(SMALL, components=1))
    model.prepare(levels(500))
    rng, many = ImageRng(0, range(3000)), Condition()
    drawn = model.sample(rng, many, MixtureOptions(pixels="draw", temperature=0.3)).flatten(1)
    expected = model.sample(ImageRng(0, range(3000)), many, MixtureOptions(temperature=0.3)).flatten(1)
    family = model.mixture.family
    shared = family.loadings[0].square().sum(1)
    torch.testing.assert_close(drawn.var(0), 0.09 * (shared + family.noise[0]), rtol=0.15, atol=0.002)
    torch.testing.assert_close(expected.var(0), 0.09 * shared, rtol=0.15, atol=0.002)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("covariance", ["factors", "full"])
@pytest.mark.parametrize("learning", ["stepwise", "rounds"])
def test_every_combination_takes_steps_and_makes_pictures(channels, covariance, learning):
    data = DataSpec(channels, 4, 6, classes=("a", "b"), attributes=(Attribute("smile", "binary", ("no", "yes")),))
    config = replace(SMALL, covariance=covariance, learning=learning, round_images=20, conditional="auto")
    model, image = build(config, data), levels(20, data)
    model.prepare(image)
    condition = Condition(torch.arange(20) % 3 - 1, torch.ones(20, 1), torch.ones(20, 1, dtype=torch.bool))
    for index in range(3):
        for found in loss(model, Batch(image, condition), index):
            assert torch.isfinite(found.value) and found.value.dtype == torch.float32
    picture = model.eval().sample(ImageRng(0, range(3)), condition.rows(0, 3), MixtureOptions())
    assert picture.shape == (3, *data.shape) and picture.abs().max() <= 1 and torch.isfinite(picture).all()
    assert torch.isfinite(model.log_likelihood(image, condition, ImageRng(0, range(20)), 1)).all()
    assert isinstance(model, Samples) and isinstance(model, Scores)


def test_flat_images_have_a_finite_density():
    model = build()
    flat = torch.zeros(30, *DATA.shape)
    model.prepare(flat)
    for index in range(5):
        for found in loss(model, Batch(flat, NOTHING), index):
            assert torch.isfinite(found.value)
    assert torch.isfinite(model.log_likelihood(flat, NOTHING, ImageRng(0, range(30)), 1)).all()


def test_more_members_than_images_is_no_harm():
    model = build(replace(SMALL, components=10))
    model.prepare(levels(3))
    for found in loss(model, Batch(levels(3), NOTHING)):
        assert torch.isfinite(found.value)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values() if value.is_floating_point())


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"components": 0}, "components=0"),
        ({"factors": 0}, "factors=0"),
        ({"decay": 0.5}, "decay=0.5"),
        ({"least_std": 0.0}, "least_std=0.0"),
        ({"smoothing": -1.0}, "smoothing"),
        ({"covariance": "diagonal"}, "covariance"),
        ({"learning": "rounds", "round_images": 0}, "round_images=0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        replace(SMALL, **values)


def test_full_covariances_of_large_images_are_refused_with_a_way_out():
    with pytest.raises(ConfigError, match="covariance=factors"):
        build(GMMConfig(covariance="full"), DataSpec(3, 64, 64))
