"""The VAE: its bounds against exact answers, its parts in every combination, and what its weights and schedules do."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import MultivariateNormal

from limner.errors import ConfigError, NotAble
from limner.model import Encodes, FitsDensity, Samples, Scores, Step
from limner.models import vae
from limner.models.vae import VAE, VAEConfig, VAEOptions
from limner.rng import ImageRng, StepRng
from limner.types import Attribute, Batch, Condition, DataSpec

ROWS = 8
TINY = VAEConfig(width=4, latent=6, kl_schedule="constant", condition_dropout=0.0)
MLP = replace(TINY, network="mlp", width=32)
DATA = DataSpec(1, 8, 8)
LABELLED = replace(DATA, classes=("cat", "dog"))
SMILE = replace(DATA, attributes=(Attribute("smile", "binary", ("no", "yes")),))
NOTHING = Condition()


def build(config=TINY, data=DATA):
    torch.manual_seed(0)
    return VAE(config, data)


def images(data=DATA, rows=ROWS):
    return torch.rand(rows, *data.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def loss(model, image, condition=NOTHING, *, index=0, seen=0, start=0, total=None, progress=0.0):
    total = len(image) if total is None else total
    rng = StepRng(0, index, start=start, stop=start + len(image), total=total)
    made = next(model.losses(Batch(image, condition), Step(index, seen, rng, progress)))
    return made._replace(terms=made.terms())


def train(model, image, steps, lr=3e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for index in range(steps):
        optimizer.zero_grad()
        loss(model, image, index=index, seen=index * len(image)).value.backward()
        optimizer.step()
    return model.eval()


# --- the bounds against exact answers ---------------------------------------------------------------------------------


def linear_vae():
    """A VAE whose p(x) is Gaussian and whose encoder is the exact posterior, with the function that gives log p(x).

    x = W z + b + noise. The columns of W are orthogonal, so the posterior's covariance is diagonal, as a VAE's is.
    """
    model = build(replace(TINY, network="mlp", depth=0, latent=3), DataSpec(1, 2, 3)).eval()
    torch.manual_seed(1)
    weight = torch.linalg.qr(torch.randn(6, 3)).Q * torch.tensor([2.0, 1.0, 0.5])
    bias, std = torch.randn(6), model.observation.std.item()
    variance = 1 / (1 + weight.square().sum(0) / std**2)  # (3,)
    gain = variance[:, None] * weight.T / std**2  # (3, 6)
    encoder, decoder = model.encoder.layers.last, model.decoder.layers.last
    with torch.no_grad():
        decoder.weight.copy_(weight)
        decoder.bias.copy_(bias)
        encoder.weight.copy_(torch.cat([gain, torch.zeros_like(gain)]))
        encoder.bias.copy_(torch.cat([-gain @ bias, variance.log()]))
    marginal = MultivariateNormal(bias.double(), weight.double() @ weight.double().T + std**2 * torch.eye(6))
    return model, lambda image: marginal.log_prob(image.flatten(1).double())


def test_the_bound_is_exact_when_the_encoder_is_the_posterior():
    model, exact = linear_vae()
    image = images(model.data)
    bound = model.log_likelihood(image, NOTHING, ImageRng(0, range(ROWS)), samples=1)
    torch.testing.assert_close(bound, exact(image), atol=1e-3, rtol=0)
    torch.testing.assert_close(-loss(model, image).value.double(), exact(image).mean(), atol=2.0, rtol=0)  # one sample


def test_the_bound_of_a_wrong_encoder_rises_to_the_truth_with_samples():
    model, exact = linear_vae()
    with torch.no_grad():
        model.encoder.layers.last.bias += 0.25  # means are off, and variances too wide
    image = images(model.data, rows=200)
    gaps = []
    for samples in (1, 10, 100, 4000):
        bound = model.log_likelihood(image, NOTHING, ImageRng(0, range(200)), samples)
        gaps.append(float((exact(image) - bound).mean()))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.3 and abs(gaps[-1]) < 0.02


def test_a_score_is_the_same_however_few_latents_are_decoded_at_once(monkeypatch):
    model, image = build(replace(MLP, likelihood="bernoulli", binarize="dynamic", prior="coupling")), images()
    whole = model.log_likelihood(image, NOTHING, ImageRng(5, range(ROWS)), samples=50)
    monkeypatch.setattr(vae, "SCORE_PIXELS", 7 * image.numel())
    torch.testing.assert_close(model.log_likelihood(image, NOTHING, ImageRng(5, range(ROWS)), samples=50), whole)


def test_an_image_scores_the_same_alone_and_in_a_batch():
    model, image = build(replace(MLP, likelihood="bernoulli", binarize="dynamic")), images()
    together = model.log_likelihood(image, NOTHING, ImageRng(5, range(ROWS)), samples=20)
    alone = [model.log_likelihood(image[k : k + 1], NOTHING, ImageRng(5, [k]), samples=20) for k in range(ROWS)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_more_importance_samples_train_a_tighter_bound():
    model = train(build(MLP), images(), 30)
    values = []
    for importance in (1, 5, 50):
        model.config = replace(model.config, importance=importance)
        values.append(sum(loss(model, images(), index=index).value.item() for index in range(40)) / 40)
    assert values == sorted(values, reverse=True)


def test_with_one_sample_both_bounds_are_the_same_but_for_the_kl_in_closed_form():
    """A coupling prior starts as the normal one; its KL is sampled, and agrees on average with the closed form."""
    closed, sampled = build(MLP), build(replace(MLP, prior="coupling"))
    sampled.load_state_dict(closed.state_dict(), strict=False)
    image = images(rows=2000)
    torch.testing.assert_close(loss(closed, image).terms["kl"], loss(sampled, image).terms["kl"], atol=0.02, rtol=0.02)


# --- every combination ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["conv", "mlp"])
@pytest.mark.parametrize("likelihood", ["gaussian", "optimal_gaussian", "bernoulli", "logistic"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("variant", [{}, {"importance": 3}, {"prior": "coupling"}])
def test_every_combination_takes_a_step_and_makes_pictures(network, likelihood, channels, variant):
    data = DataSpec(channels, 8, 12)
    model = build(replace(TINY, network=network, likelihood=likelihood, **variant), data)
    found = loss(model, images(data))
    found.value.backward()
    assert found.value.dtype == torch.float32
    assert all(torch.isfinite(value) for value in (found.value, *found.terms.values()))
    assert all(parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    picture = model.eval().sample(ImageRng(0, range(3)), NOTHING, VAEOptions())
    assert picture.shape == (3, *data.shape) and picture.abs().max() <= 1


@pytest.mark.parametrize("variant", [{}, {"importance": 3}, {"prior": "coupling"}, {"likelihood": "logistic"}])
def test_a_step_in_bfloat16_has_a_float32_loss_within_2_percent(variant):
    model, image = build(replace(MLP, **variant)), images()
    expected = loss(model, image).value
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(model, image).value
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


@pytest.mark.parametrize("variant", [{}, {"importance": 3}, {"binarize": "dynamic", "likelihood": "bernoulli"}])
def test_a_batch_in_parts_has_the_loss_of_the_whole(variant):
    model, image = build(replace(MLP, **variant)), images()
    parts = [loss(model, image[start : start + 4], start=start, total=ROWS).value for start in (0, 4)]
    torch.testing.assert_close(sum(parts) / 2, loss(model, image).value)


@pytest.mark.parametrize("network", ["conv", "mlp"])
def test_no_image_depends_on_its_neighbours(network):
    model, image = build(replace(TINY, network=network)), images()
    alone = torch.cat([model.encode(image[row : row + 1], NOTHING) for row in range(ROWS)])
    torch.testing.assert_close(model.encode(image, NOTHING), alone)
    samples = torch.cat([model.sample(ImageRng(4, [index]), NOTHING, VAEOptions()) for index in range(ROWS)])
    torch.testing.assert_close(model.sample(ImageRng(4, range(ROWS)), NOTHING, VAEOptions()), samples)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("network", ["conv", "mlp"])
def test_a_prepared_decoder_starts_near_the_mean_image(network, likelihood):
    model = build(replace(TINY, network=network, likelihood=likelihood))
    dark = images() * 0.1 - torch.linspace(0.1, 0.9, 8)
    mean = dark.mean(0)

    def error():
        return (model.decode(torch.zeros(1, 6), NOTHING) - mean).square().mean().item()

    before = error()
    model.prepare(dark)
    assert error() < (0.5 if network == "conv" else 0.1) * before


# --- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["conv", "mlp"])
@pytest.mark.parametrize(
    ("data", "one", "other"),
    [
        (LABELLED, Condition(label=torch.zeros(ROWS, dtype=torch.int64)), Condition(label=torch.ones(ROWS).long())),
        (SMILE, Condition(attributes=torch.ones(ROWS, 1)), Condition(attributes=-torch.ones(ROWS, 1))),
    ],
)
def test_what_is_conditioned_depends_on_its_condition_unless_told_not_to(network, data, one, other):
    config = replace(TINY, network=network)
    model, image = build(config, data), images()
    for use in (
        lambda model, condition: model.sample(ImageRng(0, range(ROWS)), condition, VAEOptions()),
        lambda model, condition: model.encode(image, condition),
        lambda model, condition: model.log_likelihood(image, condition, ImageRng(0, range(ROWS)), 2),
        lambda model, condition: loss(model, image, condition).value,
    ):
        assert not torch.allclose(use(model, one), use(model, other))
        blind = build(replace(config, conditional="none"), data)
        assert torch.equal(use(blind, one), use(blind, other))


@pytest.mark.parametrize("importance", [1, 3])
def test_the_decoder_of_a_bound_is_told_the_condition(importance):
    """With an encoder that is blind to the label, the bound and the score still depend on it."""
    model, image = build(replace(MLP, importance=importance), LABELLED), images()
    with torch.no_grad():
        model.encoder.layers[0].weight[:, -2:].zero_()
    one, other = (Condition(label=torch.full((ROWS,), label)) for label in (0, 1))
    assert torch.equal(model.encode(image, one), model.encode(image, other))
    assert not torch.allclose(loss(model, image, one).value, loss(model, image, other).value, rtol=1e-6)
    scores = [model.log_likelihood(image, condition, ImageRng(0, range(ROWS)), 3) for condition in (one, other)]
    assert not torch.allclose(*scores, rtol=1e-6)


def test_condition_dropout_hides_conditions_in_training_alone():
    condition = Condition(label=torch.zeros(ROWS, dtype=torch.int64))
    unknown = Condition(label=torch.full((ROWS,), -1))
    model = build(replace(TINY, condition_dropout=0.999), LABELLED)
    shown = build(TINY, LABELLED)
    assert torch.equal(model.encode(images(), condition), shown.encode(images(), condition))
    assert loss(model, images(), condition).terms["kl"] == loss(model, images(), unknown).terms["kl"]
    assert loss(shown, images(), condition).terms["kl"] != loss(shown, images(), unknown).terms["kl"]


# --- the KL term ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "seen", "weight"),
    [
        ({"kl_schedule": "constant", "beta": 3.0}, 0, 3.0),
        ({"kl_schedule": "warmup", "kl_warmup_images": 100}, 25, 0.25),
        ({"kl_schedule": "warmup", "kl_warmup_images": 100, "beta": 4.0}, 1000, 4.0),
        ({"kl_schedule": "cyclical", "kl_warmup_images": 100, "kl_cycles": 2}, 250, 0.5),
        ({"kl_schedule": "cyclical", "kl_warmup_images": 100, "kl_cycles": 2}, 10**15, 1.0),
    ],
)
def test_the_loss_is_reconstruction_and_weighted_kl(settings, seen, weight):
    found = loss(build(replace(MLP, **settings)), images(), seen=seen)
    expected = found.terms["reconstruction"] + weight * found.terms["kl"]
    torch.testing.assert_close(found.value.detach(), expected)


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 0.01), (0.125, 0.5), (0.25, 1.0), (0.9, 1.0)])
def test_a_short_run_warms_up_within_a_quarter_of_itself(progress, weight):
    """Else the prior is never reached, and samples of a model that reconstructs well are noise."""
    found = loss(
        build(replace(MLP, kl_schedule="warmup", kl_warmup_images=10_000)), images(), seen=100, progress=progress
    )
    expected = found.terms["reconstruction"] + weight * found.terms["kl"]
    torch.testing.assert_close(found.value.detach(), expected)


def test_the_capacity_schedule_pulls_the_kl_to_its_target():
    config = replace(MLP, kl_schedule="capacity", capacity=8.0, capacity_images=400, capacity_weight=100.0)
    model = train(build(config), images(), 400)
    assert loss(model, images(), seen=10**6).terms["kl"].item() == pytest.approx(8.0, abs=0.5)


def test_free_bits_are_held_by_every_dimension():
    free = train(build(replace(MLP, beta=20.0, free_bits=0.5)), images(), 300)
    pressed = train(build(replace(MLP, beta=20.0)), images(), 300)
    kl = [loss(model, images()).terms["kl"].item() for model in (free, pressed)]
    assert kl[0] == pytest.approx(6 * 0.5, abs=0.6) or kl[0] > 3.0
    assert kl[1] < kl[0]


def test_beta_trades_reconstruction_for_kl():
    """Blobs at random places: as beta rises the KL falls and the error rises, both at every step."""
    axis = torch.linspace(-1, 1, 8)
    places = torch.rand(128, 2, 1, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.7
    rows, columns = (torch.exp(-((axis - place) ** 2) / 0.1) for place in places.unbind(1))  # each (128, 8)
    image = (2 * rows[:, :, None] * columns[:, None, :] - 1)[:, None]
    errors, divergences = [], []
    for beta in (0.1, 0.5, 2.0):
        model = train(build(replace(MLP, beta=beta)), image, 400)
        divergences.append(loss(model, image).terms["kl"].item())
        decoded = model.decode(model.encode(image, NOTHING), NOTHING)
        errors.append((decoded - image).square().mean().item())
    assert divergences == sorted(divergences, reverse=True) and divergences[-1] < 0.5 * divergences[0]
    assert errors == sorted(errors) and errors[0] < 0.75 * errors[-1]


@pytest.mark.parametrize("network", ["conv", "mlp"])
def test_a_batch_can_be_learned_by_heart(network):
    model = train(build(replace(TINY, network=network, width=8 if network == "conv" else 64, beta=0.01)), images(), 300)
    decoded = model.decode(model.encode(images(), NOTHING), NOTHING)
    assert (decoded - images()).square().mean() < 0.02


def test_active_units_count_the_dimensions_that_tell_images_apart():
    model = build(replace(MLP, depth=0))
    with torch.no_grad():
        model.encoder.layers.last.weight[2:6].zero_()  # means of dimensions 2 to 5 are now the same for every image
    assert loss(model, images()).terms["active_units"] == 2


# --- sampling, settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["normal", "coupling"])
def test_temperature_0_is_one_picture_and_densities_can_stand_in_for_the_prior(prior):
    model = build(replace(TINY, prior=prior)).eval()
    cold = model.sample(ImageRng(0, range(3)), NOTHING, VAEOptions(temperature=0.0))
    assert torch.allclose(cold[0], cold[1]) and torch.allclose(cold[0], cold[2])
    with pytest.raises(NotAble, match="fit_density"):
        model.sample(ImageRng(0, [0]), NOTHING, VAEOptions(density="mixture"))
    model.fit_density(model.encode(images(), NOTHING).detach() + 3, seed=0)
    for density in ("gaussian", "mixture"):
        latent = model.draw_latent(ImageRng(0, range(200)), VAEOptions(density=density))
        expected = model.encode(images(), NOTHING).mean(0) + 3
        torch.testing.assert_close(latent.mean(0), expected, atol=0.3, rtol=0)


@pytest.mark.parametrize(("prior", "fitted"), [("normal", "mixture"), ("coupling", "prior")])
def test_unless_told_latents_come_from_what_fits_best(prior, fitted):
    """The prior where it was learned or nothing was fitted yet, else the mixture."""
    model = build(replace(TINY, prior=prior)).eval()
    draw = lambda density: model.draw_latent(ImageRng(0, range(5)), VAEOptions(density=density))  # noqa: E731
    assert torch.equal(draw("auto"), draw("prior"))
    model.fit_density(model.encode(images(), NOTHING).detach() + 3, seed=0)
    assert torch.equal(draw("auto"), draw(fitted)) and not torch.equal(draw("mixture"), draw("prior"))


def test_its_bits_per_dim_are_finite_for_the_likelihood_of_8_bit_images():
    """A logistic likelihood is a probability, so every bound is at most 0 nats."""
    model, image = build(replace(TINY, likelihood="logistic")), (images() * 127.5 + 127.5).round() / 127.5 - 1
    bound = model.log_likelihood(image, NOTHING, ImageRng(0, range(ROWS)), 3)
    assert bound.dtype == torch.float64 and (bound < 0).all() and (bound > -64 * 60).all()


def test_it_has_the_abilities_that_tasks_ask_for():
    assert all(isinstance(build(), ability) for ability in (Samples, Encodes, FitsDensity, Scores))


@pytest.mark.parametrize(
    "settings",
    [
        {"latent": 0},
        {"likelihood": "gausian"},
        {"binarize": "dynamic"},
        {"importance": 0},
        {"free_bits": 0.1, "importance": 5},
        {"kl_schedule": "capacity", "importance": 5},
        {"beta": -1.0},
        {"beta": math.nan},
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        VAEConfig(**settings)


def test_no_samples_give_no_bound():
    with pytest.raises(ConfigError, match="samples=0"):
        build().log_likelihood(images(), NOTHING, ImageRng(0, range(ROWS)), 0)


@pytest.mark.parametrize("changes", [{}, {"importance": 3}, {"prior": "coupling"}, {"likelihood": "bernoulli"}])
def test_a_posterior_that_runs_away_costs_much_and_does_not_explode(changes):
    """A VAE that did well for 4,500 steps took the log variance of an image for 25: 10^10 nats, and its end."""
    model, rows = build(replace(MLP, **changes)), images()
    with torch.no_grad():
        model.encoder.layers.last.bias[MLP.latent :] = 25.0
    made = loss(model, rows)
    made.value.backward()
    slope = torch.cat([each.grad.flatten() for each in model.encoder.parameters()]).norm()
    assert made.value < 1e5 and 0 < slope < 1e6
    assert torch.equal(model.encode(rows, NOTHING), model._posterior(rows, torch.zeros(ROWS, 0))[0])
