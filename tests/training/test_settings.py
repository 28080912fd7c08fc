"""How to train: what is left open is filled in, and what no run could use is refused."""

import math

import pytest

from limner.errors import ConfigError
from limner.training.settings import TrainConfig, interval, resolve


def test_the_model_fills_in_what_the_user_left_open_and_limner_the_rest():
    suggested = {"batch": 32, "lr_schedule": "cosine", "ema_halflife_images": [5, 50]}
    config = resolve(TrainConfig(lr_schedule="linear", steps=3), suggested)
    assert (config.batch, config.lr_schedule, config.ema_halflife_images) == (32, "linear", (5, 50))
    assert (config.warmup_images, config.clip, config.budget) == (0, None, None)


def test_a_run_of_no_stated_length_takes_ten_minutes():
    assert resolve(TrainConfig(), {}).budget == "10m"
    assert resolve(TrainConfig(images=640), {}).budget is None


@pytest.mark.parametrize(("images", "steps"), [(640, 10), (639, 9), (1, 1)])
def test_images_are_counted_in_whole_steps_and_at_least_one(images, steps):
    assert resolve(TrainConfig(images=images), {"batch": 64}).precise_length == steps


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps=0 is not positive"),
        ({"batch": -1}, "batch=-1 is not positive"),
        ({"keep": 0}, "keep=0 is not positive"),
        ({"steps": 5, "budget": "5m"}, "give one of them"),
        ({"budget": "soon"}, "budget='soon' is not a time"),
        ({"checkpoint_every": "x"}, "checkpoint_every='x' is not a time"),
        ({"lr": 0.0}, "lr=0.0 is not between"),
        ({"lr": math.nan}, "lr=nan is not between"),
        ({"clip": -1.0}, "clip=-1.0 is negative"),
        ({"clip": math.nan}, "clip=nan is negative"),
        ({"betas": (0.9, 1.0)}, r"betas=\(0.9, 1.0\) is not at least 0 and below 1"),
        ({"betas": (math.nan, 0.9)}, "is not at least 0 and below 1"),
        ({"momentum": -0.1}, "momentum=-0.1 is not at least 0 and below 1"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 is below 0"),
        ({"weight_decay": math.inf}, "not finite"),
        ({"warmup_images": -5}, "warmup_images=-5 is below 0"),
        ({"ema_halflife_images": (0, 5)}, "is below 1"),
    ],
)
def test_what_no_run_could_use_is_refused(values, message):
    """A NaN passes every comparison that is written the wrong way round, and torch's refusals are no ConfigError."""
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**values)


def test_a_batch_that_does_not_split_into_equal_parts_is_refused():
    with pytest.raises(ConfigError, match="batch=64 does not split into accumulate=5 equal parts"):
        resolve(TrainConfig(accumulate=5), {})


@pytest.mark.parametrize(("text", "expected"), [("500", (500, None)), ("2m", (None, 120.0)), ("0", (None, None))])
def test_an_interval_is_of_steps_or_of_time(text, expected):
    assert interval("preview_every", text) == expected
