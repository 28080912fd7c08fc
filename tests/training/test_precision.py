"""The arithmetic that is chosen is the fastest of those that are allowed and agree with plain float32."""

import pytest
import torch
from runs import CPU, batch_of, build

from limner.training import precision
from limner.training.precision import Arithmetic
from limner.training.settings import TrainConfig

PLAIN, LAST = Arithmetic(), Arithmetic(channels_last=True)
HALF, HALF_LAST = Arithmetic(bf16=True), Arithmetic(bf16=True, channels_last=True)


@pytest.fixture
def choose(digits, monkeypatch):
    """Choose with made-up measurements: arithmetic -> (seconds, losses)."""

    def choose(trials, **config):
        monkeypatch.setattr(precision, "_trial", lambda model, batch, arithmetic, device: trials[arithmetic])
        return precision.choose(build("toys:Toy", digits), batch_of(digits), TrainConfig(**config), CPU)

    return choose


def seconds(plain, last, half, half_last, half_loss=1.0):
    return {PLAIN: (plain, [1.0]), LAST: (last, [1.0]), HALF: (half, [half_loss]), HALF_LAST: (half_last, [half_loss])}


@pytest.mark.parametrize(
    ("times", "best"),
    [
        ((1.0, 0.5, 0.6, 0.7), LAST),
        ((1.0, 0.9, 0.6, 0.4), HALF_LAST),
        ((1.0, 1.1, 0.8, 1.2), HALF),
        ((1.0, 0.95, 0.93, 0.96), PLAIN),  # within a tenth: not worth leaving plain arithmetic for
    ],
)
def test_the_fastest_wins_when_it_wins_clearly(choose, times, best):
    assert choose(seconds(*times)) == best


def test_a_fast_arithmetic_that_gives_other_losses_is_not_taken(choose):
    assert choose(seconds(1.0, 0.8, 0.1, 0.1, half_loss=1.1)) == LAST
    assert choose(seconds(1.0, 0.8, 0.1, 0.1, half_loss=float("nan"))) == LAST


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        ({"precision": "fp32", "channels_last": False}, PLAIN),
        ({"precision": "bf16", "channels_last": True}, HALF_LAST),
        ({"precision": "fp32"}, LAST),
        ({"channels_last": False}, HALF),
    ],
)
def test_what_the_user_settled_is_not_measured_away(choose, config, allowed):
    assert choose(seconds(1.0, 0.5, 0.4, 0.3), **config) == allowed


@pytest.mark.parametrize("name", ["ae", "vae", "gan"])
def test_measuring_leaves_the_model_as_it_was(name, digits):
    model = build(name, digits)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert isinstance(precision.choose(model, batch_of(digits), TrainConfig(), CPU), Arithmetic)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_autocast_computes_in_bfloat16_only_where_it_was_chosen():
    layer, rows = torch.nn.Linear(4, 4), torch.randn(2, 4)
    for arithmetic, dtype in ((PLAIN, torch.float32), (HALF, torch.bfloat16)):
        with arithmetic.autocast(CPU):
            assert layer(rows).dtype == dtype
