"""The two averages of the weights against the same sum in a plain loop."""

import pytest
import torch
from torch import nn

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


@pytest.mark.parametrize("halflives", [(8, 80), (1, 10_000), (10_000, 600)])
def test_averages_are_those_of_a_plain_loop(halflives):
    """Wherever a run ends: steps since the last update are taken in, by the weights of now."""
    model, batch = nn.Linear(3, 2), 4
    expected = [[parameter.detach().clone() for parameter in model.parameters()] for _ in halflives]
    averages, taken = Averages(model, halflife_images=halflives, batch=batch), [0, 0]
    for count in range(1, 500):
        (weights,) = walk(averages, model, 1, start=count - 1)
        for place, (name, halflife) in enumerate(zip(("ema_short", "ema_long"), halflives, strict=True)):
            held = min(halflife, count * batch / 10)
            kept = 0.5 ** ((count - taken[place]) * batch / max(1, held))
            now = [kept * old + (1 - kept) * new for old, new in zip(expected[place], weights, strict=True)]
            assert all(
                torch.allclose(made, by_hand, atol=1e-4)
                for made, by_hand in zip(averages.at(name, count).values(), now, strict=True)
            )
            if count % max(1, min(32, int(held // batch))) == 0:
                expected[place], taken[place] = now, count


def test_a_short_average_is_never_older_than_its_halflife():
    """Every 32nd step was once all that an average of eight steps saw: up to 31 steps were missing in the end."""
    model = nn.Linear(1, 1, bias=False)
    averages = Averages(model, halflife_images=(64, 64), batch=8)
    for step in range(1, 1_000):
        nn.init.constant_(model.weight, float(step))
        averages.update(step - 1)
        if step > 200:
            behind = step - averages.at("ema_short", step)["weight"].item()
            assert 0 <= behind < 12  # an average of that half-life over every step is 11 steps behind


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
    for step in range(64, 67):
        averages.update(step)
    assert averages.tensors()["ema_short"]["weight"].item() == pytest.approx(7.0, abs=1e-3)
