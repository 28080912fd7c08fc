"""The likelihood of real images under a model: its units, its names, and what it may not depend on."""

import hashlib
import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from limner import models
from limner.errors import ConfigError, DataError
from limner.evaluation.material import ImageSet, Material, NotApplicable
from limner.evaluation.measures.likelihood import likelihood, score
from limner.models.vae import VAE, VAEConfig
from limner.tasks.tiles import TILE
from limner.types import DataSpec

SPEC = DataSpec(1, 6, 4)
DIMENSIONS = 24


@dataclass(frozen=True)
class Config:
    """Settings of a toy: what its likelihood is of."""

    likelihood: str = "logistic"
    binarize: str = "none"


class Toy(nn.Module):
    """Scores images by a function of them, and keeps what it was asked."""

    name = "toy"

    def __init__(self, function, config=None, data=SPEC):
        super().__init__()
        self.function, self.config, self.data = function, config or Config(), data
        self.gain = nn.Parameter(torch.ones(()))
        self.sizes, self.samples, self.labels = [], set(), []

    def log_likelihood(self, image, condition, rng, samples):
        assert rng.rows == len(image)
        self.sizes.append(len(image))
        self.samples.add(samples)
        self.labels += [] if condition.label is None else condition.label.tolist()
        return self.function(image.flatten(1), rng)


def side(count=20, **parts):
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 4, 1), dtype=np.uint8)
    return ImageSet("real", images, hashlib.sha256(images.tobytes()).hexdigest(), **parts)


def material(model, real=None, **options):
    real = real or side()
    return Material(real.take(np.arange(2)), real, SPEC, split="test", model=model, options=options)


def flat(low, high):
    """A density that is the same everywhere between two values, and 0 beyond them."""

    def log_density(rows, rng):
        inside = (rows >= low) & (rows <= high)
        return torch.where(inside, -math.log(high - low), -torch.inf).sum(1)

    return log_density


def levels(rows, rng):
    """All 256 levels are equally probable."""
    return torch.full((len(rows),), -DIMENSIONS * math.log(256))


def drawn(rows, rng):
    return rng.normal().double() - 80


# --- units ------------------------------------------------------------------------------------------------------------


def test_a_probability_of_8_bit_pixels_is_taken_as_it_is():
    nats, bits = likelihood(material(Toy(levels)))
    assert nats.value == pytest.approx(DIMENSIONS * math.log(256), rel=1e-6) and nats.unit == "nats"
    assert bits.value == pytest.approx(8, rel=1e-6) and "no dequantisation" in bits.notes[0]
    assert nats.protocol.settings["pixels"] == "8-bit"


@pytest.mark.parametrize("kind", ["gaussian", "optimal_gaussian"])
def test_a_density_is_of_images_with_the_noise_of_their_rounding(kind):
    """A density that is flat over exactly the width of 256 levels is their uniform distribution: 8 bits."""
    toy = Toy(flat(-1 - 1 / 255, 1 + 1 / 255), Config(kind))
    nats, bits = likelihood(material(toy))
    assert bits.value == pytest.approx(8, abs=1e-5) and nats.value == pytest.approx(DIMENSIONS * math.log(256))
    assert any("dequantised with uniform noise" in note for note in bits.notes)


def test_the_noise_fills_the_width_of_a_level_and_no_more():
    seen = []

    def keep(rows, rng):
        seen.append(rows)
        return torch.zeros(len(rows))

    real = side(40)
    likelihood(material(Toy(keep, Config("gaussian")), real))
    exact = torch.from_numpy(real.images.reshape(40, -1).astype(np.float32)) / 127.5 - 1
    noise = (torch.cat(seen) - exact) * 255  # in halves of a level
    assert noise.abs().max() <= 1.001 and noise.abs().max() > 0.99 and abs(float(noise.mean())) < 0.06


def test_a_model_that_dequantises_is_given_the_images_as_they_are():
    def at_levels(rows, rng):
        assert torch.equal(((rows + 1) * 127.5).round() / 127.5 - 1, rows)
        return flat(-1, 1)(rows, rng)

    toy = Toy(at_levels, Config("dequantised_gaussian"))
    toy.likelihood_is = "exact"
    nats, bits = likelihood(material(toy))
    assert bits.value == pytest.approx(8, abs=1e-5)
    assert nats.name == "NLL bound (dequantised)"


def test_a_fair_coin_for_each_pixel_is_a_bit_a_pixel():
    def coin(rows, rng):
        return torch.full((len(rows),), -DIMENSIONS * math.log(2))

    nats, bits = likelihood(material(Toy(coin, Config("bernoulli", "dynamic"))))
    assert bits.value == pytest.approx(1, rel=1e-6) and "binarised images only" in nats.notes[0]
    assert nats.protocol.differences(likelihood(material(Toy(levels)))[0].protocol)


def test_what_is_no_probability_has_no_bits():
    soft = likelihood(material(Toy(drawn, Config("bernoulli", "none"))))
    other = likelihood(material(Toy(drawn, Config("something else"))))
    assert [number.unit for number in (*soft, *other)] == ["nats", "nats"]
    assert "not the probability of an image" in soft[0].notes[0] and "not known" in other[0].notes[0]


# --- names and intervals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_", "names"),
    [
        (None, ["NLL bound (k=64)", "bits/dim bound (k=64)"]),
        ("exact", ["NLL", "bits/dim"]),
        ("estimate", ["NLL estimate", "bits/dim estimate"]),
    ],
)
def test_the_name_says_whether_the_value_is_a_bound_and_of_how_many_samples(is_, names):
    toy = Toy(drawn)
    if is_ is not None:
        toy.likelihood_is = is_
    found = likelihood(material(toy, importance=64))
    assert [number.name for number in found] == names
    assert toy.samples == {64} and all(number.better == "lower" for number in found)


def test_one_sample_is_the_default_and_the_notes_say_so():
    toy = Toy(drawn)
    found = likelihood(material(toy))
    assert toy.samples == {1} and found[0].name == "NLL bound (k=1)"
    assert any("with 1 importance sample an image" in note for note in found[0].notes)


def test_the_interval_is_of_the_mean_over_images_in_both_units():
    nats, bits = likelihood(material(Toy(drawn), side(200)))
    assert nats.interval.low < 80 < nats.interval.high
    assert nats.interval.high - nats.interval.low == pytest.approx(2 * 1.97 / math.sqrt(200), rel=0.2)
    for end in ("low", "high"):
        assert getattr(bits.interval, end) == pytest.approx(getattr(nats.interval, end) / DIMENSIONS / math.log(2))
    json.dumps([number.to_dict() for number in (nats, bits)], allow_nan=False)


# --- what a value may not depend on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [Config(), Config("gaussian")])
def test_an_image_scores_the_same_among_any_others(config):
    def function(rows, rng):
        return rows.sum(1) + rng.normal()

    judged = material(Toy(function, config))
    together = score(judged, np.arange(20), samples=1, noise=config.likelihood == "gaussian")
    for row in (0, 7, 19):
        alone = score(judged, np.array([row]), samples=1, noise=config.likelihood == "gaussian")
        assert alone[0] == together[row]
    other = score(replace(judged, seed=1), np.arange(20), samples=1, noise=False)
    assert not np.isclose(other, together).any()


def test_a_model_always_sees_whole_tiles_and_is_told_what_is_known_of_the_images():
    toy = Toy(drawn)
    likelihood(material(toy, side(20, labels=np.arange(20))))
    assert toy.sizes == [TILE] * 3
    assert toy.labels == [*range(20), 19, 19, 19, 19]


def test_as_many_images_as_asked_for_are_scored_and_the_same_ones_for_every_seed():
    toy = Toy(drawn)
    judged = material(toy, side(50, labels=np.arange(50)), likelihood_images=TILE)
    found = likelihood(judged)
    assert found[0].protocol.real == TILE and found[0].protocol.generated == 0
    first = toy.labels.copy()
    likelihood(replace(judged, seed=9))
    assert toy.labels == first * 2 and first == sorted(first) and first != [*range(TILE)]


def test_more_samples_tighten_the_bound_of_a_vae():
    torch.manual_seed(0)
    model = VAE(VAEConfig(network="mlp", latent=4, width=16, likelihood="bernoulli", binarize="dynamic"), SPEC).eval()
    with torch.no_grad():
        model.decoder.layers.last.weight *= 8  # so that the latent matters, and the encoder is far from right
    values = [likelihood(material(model, importance=k))[0].value for k in (1, 8, 64, 512)]
    assert values == sorted(values, reverse=True) and values[0] > values[-1] + 1


# --- what does not fit ------------------------------------------------------------------------------------------------


def test_folders_and_models_that_cannot_score_have_no_likelihood():
    class Sampler(nn.Module):
        name = "sampler"

    with pytest.raises(NotApplicable, match="a folder of images has no likelihood"):
        likelihood(material(None))
    with pytest.raises(NotApplicable, match="'sampler' cannot score images"):
        likelihood(material(Sampler()))
    with pytest.raises(NotApplicable, match="do not fit a model"):
        likelihood(material(Toy(drawn, data=DataSpec(3, 6, 4))))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_an_error_and_no_number(value):
    def broken(rows, rng):
        return torch.full((len(rows),), value)

    with pytest.raises(DataError, match="of 20 of 20 images is not finite"):
        likelihood(material(Toy(broken)))


@pytest.mark.parametrize("option", ["importance", "likelihood_images"])
@pytest.mark.parametrize("value", [0, -5, 1.5, True, "all"])
def test_options_that_cannot_be_are_refused(option, value):
    with pytest.raises(ConfigError, match=f"{option}="):
        likelihood(material(Toy(drawn), **{option: value}))


@pytest.mark.parametrize("name", ["flow-mlp", "edm"])
def test_models_whose_density_takes_gradients_are_scored(name):
    small = {"width": 8, "depth": 1} if name == "flow-mlp" else {"width": 8, "mults": (1,), "attention": ()}
    model = models.build(name, models.configure(name, small), SPEC).eval()
    model.prepare(torch.randn(64, *SPEC.shape, generator=torch.Generator().manual_seed(0)).clamp(-1, 1))
    given = material(model, side(TILE + 1))
    nats = score(given, np.arange(TILE + 1), samples=1, noise=True)
    assert np.isfinite(nats).all() and nats.std() > 0
    assert np.array_equal(score(given, np.array([3]), samples=1, noise=True), nats[3:4])


def test_a_model_that_takes_long_for_each_image_is_scored_when_one_says_how_many():
    settings = {"width": 8, "depth": 1}
    model = models.build("flow-mlp", models.configure("flow-mlp", settings), SPEC).eval()
    with pytest.raises(NotApplicable, match="--set likelihood_images=100"):
        likelihood(material(model))
    nats, bits = likelihood(material(model, likelihood_images=3))
    assert nats.protocol.real == 3 and (nats.name, bits.name) == ("NLL estimate", "bits/dim estimate")
    assert bits.value == pytest.approx(nats.value / DIMENSIONS / math.log(2))
    assert nats.protocol.settings["pixels"] == "8-bit, uniformly dequantised"
