"""The optimiser of each phase, its schedule, and its state as named tensors."""

import math

import pytest
import torch
from runs import build, take_steps
from torch import nn

from limner.errors import BadCheckpoint
from limner.training import optimizers
from limner.training.settings import TrainConfig

NAMES = ["adam", "adamw", "sgd", "rmsprop"]


def made(config=None, suggested=None):
    phases = {"model": [nn.Parameter(torch.ones(2))]}
    optimizer = optimizers.build(phases, config or TrainConfig(), suggested or {})["model"]
    return type(optimizer).__name__.lower(), optimizer.param_groups[0]


def test_the_user_comes_before_the_model_and_the_model_before_the_default():
    suggested = {"model": {"optimizer": "adamw", "lr": 0.5, "betas": (0.0, 0.99), "weight_decay": 0.1}}
    assert made()[0] == "adam" and made()[1]["lr"] == 1e-3 and made()[1]["betas"] == (0.9, 0.999)
    name, group = made(suggested=suggested)
    assert (name, group["lr"], group["betas"], group["weight_decay"]) == ("adamw", 0.5, (0.0, 0.99), 0.1)
    _, group = made(TrainConfig(lr=0.25, betas=(0.5, 0.9), weight_decay=0.0), suggested)
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.25, (0.5, 0.9), 0.0)


def test_what_was_suggested_for_one_optimiser_is_not_given_to_another():
    suggested = {"model": {"optimizer": "adamw", "lr": 0.5, "betas": (0.0, 0.99), "weight_decay": 0.1}}
    name, group = made(TrainConfig(optimizer="sgd", momentum=0.9), suggested)
    assert (name, group["lr"], group["momentum"], group["weight_decay"]) == ("sgd", 0.5, 0.9, 0.0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("cosine", [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0]),
        (None, [1, 1, 1, 1, 1]),
    ],
)
def test_schedules_have_their_values(name, expected):
    config = TrainConfig(lr_schedule=name)
    values = [optimizers.schedule(config, progress=at / 4, images=10**9) for at in range(5)]
    assert values == pytest.approx(expected)


def test_warming_up_rises_in_a_line_over_its_images_and_scales_the_schedule():
    config = TrainConfig(warmup_images=100, lr_schedule="linear")
    values = [optimizers.schedule(config, progress=0.5, images=images) for images in (0, 49, 99, 1000)]
    assert values == pytest.approx([0.005, 0.25, 0.5, 0.5])
    assert optimizers.schedule(config, progress=0.0, images=0) > 0  # the first step is not lost


@pytest.mark.parametrize("name", NAMES)
def test_the_state_of_an_optimiser_comes_back_bit_by_bit(name):
    def network():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 1))
        return model, {"model": list(model.parameters())}

    def steps(model, optimizer, numbers):
        for number in numbers:
            optimizer.zero_grad()
            rng = torch.Generator().manual_seed(number)
            model(torch.randn(4, 1, 8, 8, generator=rng)).square().mean().backward()
            optimizer.step()

    def names(model):
        return {parameter: key for key, parameter in model.named_parameters()}

    config = TrainConfig(optimizer=name, momentum=0.9, lr=0.01)
    whole, phases = network()
    straight = optimizers.build(phases, config, {})
    steps(whole, straight["model"], range(6))

    first, phases = network()
    half = optimizers.build(phases, config, {})
    steps(first, half["model"], range(3))
    saved = {key: value.clone() for key, value in optimizers.state_tensors(half, names(first)).items()}
    second, phases = network()
    second.load_state_dict(first.state_dict())
    rest = optimizers.build(phases, config, {})
    optimizers.load_state_tensors(rest, names(second), saved)
    steps(second, rest["model"], range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("path", ["other/head.weight/exp_avg", "model/tail.weight/exp_avg"])
def test_the_state_of_another_model_is_refused(path, digits):
    model = take_steps(build("toys:Toy", digits), digits, 1)
    optims = optimizers.build(model.phases(), TrainConfig(), {})
    names = {parameter: name for name, parameter in model.named_parameters()}
    with pytest.raises(BadCheckpoint, match="belongs to no parameter"):
        optimizers.load_state_tensors(optims, names, {path: torch.zeros(1)})
