"""The two averages of the weights against the same sum in a plain loop."""

import pytest
import torch
from torch import nn

from limner.training.ema import _DENSE as DENSE
from limner.training.ema import Averages


def walk(averages, model, steps, start=0):
    """Random steps of the weights; returns the weights after each."""
    rng = torch.Generator().manual_seed(start)
    history = []
    for step in range(start, start + steps):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=rng))
        averages.update(step)
        history.append([parameter.detach().clone() for parameter in model.parameters()])
    return history


@pytest.mark.parametrize(
    ("halflives", "intervals"), [((8, 80), (2, 16)), ((1, 10_000), (1, 32)), ((10_000, 600), (32, 32))]
)
def test_averages_are_those_of_a_plain_loop(halflives, intervals):
    model, batch = nn.Linear(3, 2), 4
    expected = [[parameter.detach().clone() for parameter in model.parameters()] for _ in halflives]
    averages = Averages(model, halflife_images=halflives, batch=batch)
    for step, weights in enumerate(walk(averages, model, 100)):
        for halflife, interval, average in zip(halflives, intervals, expected, strict=True):
            every = 1 if step < DENSE else interval
            if (step + 1) % every:
                continue
            kept = 0.5 ** (every * batch / max(1, min(halflife, (step + 1) * batch / 10)))
            average[:] = [kept * old + (1 - kept) * new for old, new in zip(average, weights, strict=True)]
    for name, average in zip(("ema_short", "ema_long"), expected, strict=True):
        for made, by_hand in zip(averages.tensors()[name].values(), average, strict=True):
            assert torch.allclose(made, by_hand, atol=1e-5)


def test_after_a_halflife_a_step_away_has_come_half_way():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    averages = Averages(model, halflife_images=(512, 512), batch=8)
    nn.init.ones_(model.weight)
    far = 800_000  # steps in, where the half-life is no longer held to a tenth of the images
    for step in range(far, far + 64):
        averages.update(step)
    assert averages.tensors()["ema_long"]["weight"].item() == pytest.approx(0.5)


def test_the_random_start_is_soon_forgotten():
    """A half-life never exceeds a tenth of the images seen, however long it was asked to be."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 100.0)
    averages = Averages(model, halflife_images=(10**9, 10**9), batch=8)
    nn.init.zeros_(model.weight)
    for step in range(100):
        averages.update(step)
    assert abs(averages.tensors()["ema_long"]["weight"].item()) < 0.1


def test_averages_come_back_as_they_were_saved():
    model = nn.Linear(3, 2)
    averages = Averages(model, halflife_images=(8, 80), batch=4)
    walk(averages, model, 10)
    saved = {name: {key: value.clone() for key, value in part.items()} for name, part in averages.tensors().items()}
    other = Averages(nn.Linear(3, 2), halflife_images=(8, 80), batch=4)
    other.load(saved)
    for name, part in saved.items():
        assert all(torch.equal(other.tensors()[name][key], value) for key, value in part.items())


def test_averages_follow_weights_that_were_loaded():
    """Loading a checkpoint writes into the parameters; an average that kept the old ones would stand still."""
    model = nn.Linear(1, 1, bias=False)
    averages = Averages(model, halflife_images=(1, 1), batch=8)
    model.load_state_dict({"weight": torch.full((1, 1), 7.0)})
    for step in range(DENSE, DENSE + 3):
        averages.update(step)
    assert averages.tensors()["ema_short"]["weight"].item() == pytest.approx(7.0, abs=1e-3)
