"""Boltzmann machines as models: gradients and likelihoods against sums over all states, chains, conditions, samples."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import batch_of, stepper

from limner.data import open_data
from limner.errors import ConfigError
from limner.model import Samples, Scores, Step
from limner.models import build as build_by_name
from limner.models import configure
from limner.models.rbm import RBM, RBMConfig, RBMOptions
from limner.rng import ImageRng, StepRng
from limner.types import Attribute, Batch, Condition, DataSpec

DATA = DataSpec(1, 2, 3)
LETTERS = replace(DATA, classes=("a", "b"))
SMALL = RBMConfig(hidden=4, chains=500, annealing_steps=500, condition_dropout=0.0)
STATES = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=6))).view(64, 1, 2, 3)
NOTHING = Condition()


def build(config=SMALL, data=DATA, *, scale=1.0):
    """A machine with weights large enough to matter."""
    torch.manual_seed(0)
    model = RBM(config, data)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * torch.randn_like(parameter))
    return model


def condition(label, rows=64):
    return Condition(torch.full((rows,), label))


def exact(model, label=-1):
    """(64,) log probabilities of all states."""
    encoded = model._encode(condition(label) if model.data.classes else NOTHING, 64)
    with torch.no_grad():
        energy = model._machine(encoded).to(torch.float64).free_energy((STATES.flatten(1).double() + 1) / 2)
    return -energy - (-energy).logsumexp(0)


def loss(model, batch, index=0):
    rng = StepRng(0, index, start=0, stop=len(batch), total=len(batch))
    return next(model.losses(batch, Step(index, index * len(batch), rng)))


def gradients(model, value):
    return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(model.parameters()))])


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


# --- likelihood -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [-1, 0, 1])
def test_the_likelihood_is_that_of_the_sum_over_all_states(label):
    model = build(replace(SMALL, conditional="auto"), LETTERS)
    found = model.log_likelihood(STATES, condition(label), ImageRng(0, range(64)), 1)
    partition = model.log_partition(condition(label, 1))
    torch.testing.assert_close(found, exact(model, label), atol=4 * partition.standard_error + 1e-4, rtol=0)
    assert found.dtype == torch.float64
    assert float(found.exp().sum()) == pytest.approx(1, abs=0.1)


def test_images_of_several_classes_are_scored_each_by_its_own_normaliser():
    model = build(replace(SMALL, conditional="auto"), LETTERS)
    label = torch.tensor([0, 1, -1] * 21 + [0])
    together = model.log_likelihood(STATES, Condition(label), ImageRng(0, range(64)), 1)
    for index in (0, 1, 2, 63):
        one = Condition(label[index : index + 1])
        alone = model.log_likelihood(STATES[index : index + 1], one, ImageRng(0, [index]), 1)
        torch.testing.assert_close(alone, together[index : index + 1])


def test_a_normaliser_is_estimated_once_and_again_when_the_weights_change(monkeypatch):
    from limner.models import rbm

    calls, whole = [], rbm.log_partition
    monkeypatch.setattr(rbm, "log_partition", lambda *given, **more: calls.append(1) or whole(*given, **more))
    model = build()
    before = model.log_partition(NOTHING)
    model.log_likelihood(STATES, NOTHING, ImageRng(0, range(64)), 1)
    assert model.log_partition(NOTHING) == before and len(calls) == 1
    with torch.no_grad():
        model.weight[0, 0] += 1
    assert model.log_partition(NOTHING) != before and len(calls) == 2


def test_attributes_are_left_out_of_a_score():
    """Each image has its own, and each would need a normaliser."""
    smile = replace(LETTERS, attributes=(Attribute("smile", "binary", ("no", "yes")),))
    model = build(replace(SMALL, conditional="auto"), smile)
    known = Condition(torch.zeros(64, dtype=torch.int64), torch.ones(64, 1), torch.ones(64, 1, dtype=torch.bool))
    found = model.log_likelihood(STATES, known, ImageRng(0, range(64)), 1)
    assert torch.equal(found, model.log_likelihood(STATES, NOTHING, ImageRng(0, range(64)), 1))


def test_the_eval_loss_is_minus_the_pseudo_likelihood_and_moves_no_chain():
    model = build(replace(SMALL, conditional="auto"), LETTERS).eval()
    chains, label = model.chains.clone(), torch.zeros(64, dtype=torch.int64)
    found = loss(model, Batch(STATES, Condition(label))).value
    states = (STATES.flatten(1).double() + 1) / 2
    expected = torch.zeros(64, dtype=torch.float64)
    cube = exact(model, 0).view([2] * 6)
    for pixel in range(6):
        expected += (cube - cube.logsumexp(pixel, keepdim=True)).flatten()
    assert len(states) == 64 and float(found) == pytest.approx(-float(expected.mean()), rel=1e-5)
    assert torch.equal(model.chains, chains)


# --- gradients --------------------------------------------------------------------------------------------------------


def test_with_exact_draws_the_loss_has_the_gradient_of_the_likelihood():
    model, data = build(), (STATES[::3].flatten(1) + 1) / 2
    machine, everything = model._machine(torch.zeros(1, 0)), (STATES.flatten(1) + 1) / 2
    energy = machine.free_energy(everything)
    likelihood = -(machine.free_energy(data).mean() + (-energy).logsumexp(0))
    exact_gradient = gradients(model, -likelihood)
    draws = (exact(model).exp().float() * machine.free_energy(everything)).sum()
    torch.testing.assert_close(gradients(model, machine.free_energy(data).mean() - draws), exact_gradient)


@pytest.mark.parametrize("negative", ["contrastive", "persistent"])
def test_many_gibbs_steps_give_the_exact_gradient(negative):
    model = build(replace(SMALL, negative=negative, gibbs_steps=100, chains=6400), scale=0.7)
    batch = Batch(STATES[::3].repeat(290, 1, 1, 1), NOTHING)
    machine = model._machine(torch.zeros(1, 0))
    energy = machine.free_energy((STATES.flatten(1) + 1) / 2)
    data = machine.free_energy((batch.image.flatten(1) + 1) / 2).mean()
    expected = gradients(model, data + (-energy).logsumexp(0))
    found = gradients(model, loss(model, batch).value)
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.05)


def test_one_step_of_contrastive_divergence_points_the_right_way_but_is_not_exact():
    model = build(replace(SMALL, negative="contrastive"), scale=1.5)
    batch = Batch(STATES[::3].repeat(290, 1, 1, 1), NOTHING)
    machine = model._machine(torch.zeros(1, 0))
    energy = machine.free_energy((STATES.flatten(1) + 1) / 2)
    expected = gradients(model, machine.free_energy((batch.image.flatten(1) + 1) / 2).mean() + (-energy).logsumexp(0))
    assert 0.3 < cosine(gradients(model, loss(model, batch).value), expected) < 0.98


def test_persistent_chains_go_on_from_step_to_step():
    """A machine that is not changed: after many steps of one Gibbs step the chains are draws from it."""
    model = build(scale=0.7)
    batch = Batch(STATES, NOTHING)
    total = torch.zeros(6)
    for index in range(200):
        loss(model, batch, index)
        total += model.chains.float().mean(0) if index >= 50 else 0
    expected = exact(model).exp() @ ((STATES.flatten(1).double() + 1) / 2)
    torch.testing.assert_close((total / 150).double(), expected, atol=0.02, rtol=0)


def test_chains_take_in_the_conditions_of_the_data():
    model = build(replace(SMALL, conditional="auto", chains=32), LETTERS, scale=0.5)
    batch = Batch(STATES, condition(1))
    for index in range(32):
        loss(model, batch, index)
    assert torch.equal(model.chain_conditions, torch.tensor([[0.0, 1.0]]).repeat(32, 1))


def test_a_chain_with_a_new_condition_goes_on_from_where_it_is():
    """Chains that began again at images of the batch stayed near the data. What the machine makes far from it was
    never unlearned, and the longer it trained, the fewer of its samples showed the class that was asked for."""
    model = build(replace(SMALL, conditional="auto", chains=32), LETTERS)
    before = model.chains.clone()
    model._renew(torch.tensor([[0.0, 1.0]]).repeat(64, 1), index=3)
    assert torch.equal(model.chains, before)
    assert model.chain_conditions.sum(1).nonzero().flatten().tolist() == [3]


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("negative", ["contrastive", "persistent"])
def test_training_comes_near_the_entropy_of_what_it_is_shown(negative):
    """Stripes, the eight patterns of 3x3 pixels whose rows are of one colour: log 8 nats, measured exactly."""
    rows = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3))).repeat_interleave(3, 1).view(8, 1, 3, 3)
    torch.manual_seed(0)
    model = RBM(RBMConfig(hidden=16, negative=negative, gibbs_steps=5), DataSpec(1, 3, 3))
    model.prepare(rows)
    steps, batch = stepper(model), Batch(rows.repeat(16, 1, 1, 1), NOTHING)
    for index in range(300):
        steps.set_lr(5 * (1 - index / 300))
        steps.step(batch, index, index * 128)
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9)))
    machine = model._machine(torch.zeros(1, 0))
    with torch.no_grad():
        nats = machine.free_energy((rows.flatten(1) + 1) / 2) + (-machine.free_energy(states)).logsumexp(0)
    assert math.log(8) - 1e-3 < float(nats.mean()) < math.log(8) + 0.5


def test_preparing_starts_from_the_mean_image():
    torch.manual_seed(0)
    model = RBM(replace(SMALL, annealing_steps=10), DATA)
    image = STATES[STATES[:, 0, 0, 0] > 0]
    model.prepare(image)
    assert model.centre[0] == 1 and torch.allclose(model.centre[1:], torch.tensor(0.5))
    picture = model.sample(ImageRng(0, range(8)), NOTHING, RBMOptions(gibbs_steps=5))
    torch.testing.assert_close(picture.mean(0).flatten(), image.mean(0).flatten(), atol=0.05, rtol=0)


def test_samples_of_a_conditional_machine_are_what_was_asked_for():
    """Trained for seconds on small digits; the nearest class mean of new digits tells classes of samples apart."""
    train, new = (open_data("builtin:digits", split=split) for split in ("train", "test"))
    torch.manual_seed(0)
    model = build_by_name("crbm", configure("crbm", {"hidden": 100}), train.spec)
    model.prepare(batch_of(train, size=500).image)
    steps = stepper(model)
    for index in range(400):
        steps.set_lr(1 - index / 400)
        steps.step(batch_of(train, index, size=128), index, index * 128)
    real = batch_of(new, size=360)
    means = torch.stack([real.image[real.condition.label == k].mean(0) for k in range(10)]).flatten(1)
    label = torch.arange(10).repeat(10)
    made = model.eval().sample(ImageRng(0, range(100)), Condition(label), RBMOptions(gibbs_steps=100))
    seen = torch.cdist(made.flatten(1), means).argmin(1)
    assert (seen == label).float().mean() > 0.5  # chance is 0.1


# --- samples ----------------------------------------------------------------------------------------------------------


def test_long_chains_sample_the_distribution():
    model = build(scale=0.7)
    made = model.sample(ImageRng(0, range(20_000)), NOTHING, RBMOptions(gibbs_steps=40, pixels="draw"))
    places = (((made.flatten(1) + 1) / 2) @ (2.0 ** torch.arange(5, -1, -1))).long()
    torch.testing.assert_close(
        (places.bincount(minlength=64) / 20_000).double(), exact(model).exp(), atol=0.008, rtol=0
    )


def test_mean_pixels_are_probabilities_and_drawn_ones_are_not():
    model = build()
    options = [RBMOptions(gibbs_steps=10, pixels=pixels) for pixels in ("mean", "draw")]
    mean, drawn = (model.sample(ImageRng(0, range(50)), NOTHING, option) for option in options)
    assert set(drawn.flatten().tolist()) == {-1.0, 1.0} and len(mean.unique()) > 20
    assert mean.abs().max() <= 1


def test_a_cold_machine_makes_its_most_likely_image():
    model = build()
    made = model.sample(ImageRng(0, range(30)), NOTHING, RBMOptions(gibbs_steps=400, temperature=0.05, pixels="draw"))
    best = STATES[exact(model).argmax()]
    assert (made == best).flatten(1).all(1).float().mean() > 0.5
    with pytest.raises(ConfigError, match="temperature=0"):
        RBMOptions(temperature=0.0)
    with pytest.raises(ConfigError, match="gibbs_steps=0"):
        RBMOptions(gibbs_steps=0)


def test_noise_drawn_in_other_blocks_gives_the_same_picture(monkeypatch):
    from limner.models import rbm

    model = build()
    whole = model.sample(ImageRng(0, range(4)), NOTHING, RBMOptions(gibbs_steps=50))
    monkeypatch.setattr(rbm, "NOISE_BLOCK", 7)
    assert torch.equal(whole, model.sample(ImageRng(0, range(4)), NOTHING, RBMOptions(gibbs_steps=50)))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("negative", ["contrastive", "persistent"])
@pytest.mark.parametrize("binarize", ["none", "dynamic"])
def test_every_combination_takes_a_step_and_makes_pictures(channels, negative, binarize):
    data = DataSpec(channels, 4, 6, classes=("a", "b"), attributes=(Attribute("size", "continuous"),))
    config = RBMConfig(hidden=8, chains=10, negative=negative, binarize=binarize, conditional="auto")
    torch.manual_seed(0)
    model = RBM(replace(config, annealing_steps=20), data)
    image = 2 * torch.rand(12, *data.shape) - 1
    model.prepare(image)
    told = Condition(torch.arange(12) % 3 - 1, torch.randn(12, 1), torch.ones(12, 1, dtype=torch.bool))
    found = loss(model, Batch(image, told))
    found.value.backward()
    assert found.value.dtype == torch.float32 and torch.isfinite(found.value)
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    picture = model.eval().sample(ImageRng(0, range(3)), told.rows(0, 3), RBMOptions(gibbs_steps=10))
    assert picture.shape == (3, *data.shape) and picture.abs().max() <= 1
    assert torch.isfinite(model.log_likelihood(image, told, ImageRng(0, range(12)), 1)).all()
    assert isinstance(model, Samples) and isinstance(model, Scores)


def test_bfloat16_is_not_let_in():
    values = []
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            values.append(loss(build(), Batch(STATES, NOTHING)).value)
    assert torch.equal(*values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": 0}, "hidden=0"),
        ({"gibbs_steps": 0}, "gibbs_steps=0"),
        ({"annealing_chains": 1}, "annealing_chains=1"),
        ({"negative": "exact"}, "negative"),
        ({"condition_dropout": 1.0}, "condition_dropout"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        replace(SMALL, **values)


def test_a_score_needs_a_sample():
    with pytest.raises(ConfigError, match="samples=0"):
        build().log_likelihood(STATES, NOTHING, ImageRng(0, range(64)), 0)


def test_a_step_in_parts_of_contrastive_divergence_is_the_step_at_once():
    model = build(replace(SMALL, negative="contrastive"))
    whole = loss(model, Batch(STATES, NOTHING)).value
    parts = []
    for start in (0, 32):
        rng = StepRng(0, 0, start=start, stop=start + 32, total=64)
        batch = Batch(STATES[start : start + 32], NOTHING)
        parts.append(next(model.losses(batch, Step(0, 0, rng))).value.item())
    assert np.mean(parts) == pytest.approx(whole.item(), abs=1e-5)
