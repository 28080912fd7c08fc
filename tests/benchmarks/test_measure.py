"""The benches' arithmetic: what a ratio says, and what turns take out of it."""

from contextlib import nullcontext

import pytest
import torch
from benchmarks.figures import Goal, added, speedup
from benchmarks.measure import Ratio, Timing, Turns, alternate
from benchmarks.quality_bf16 import Simulated


def test_twice_as_much_work_in_the_same_time_is_twice_as_fast():
    ratio = Ratio.of(Timing("ours", (1.0, 2.0, 3.0), work=20), Timing("theirs", (1.0, 2.0, 3.0), work=10))
    assert ratio == Ratio(median=2.0, low=2.0, high=2.0, best=2.0)


def test_added_time_is_the_inverse_of_a_speedup():
    slow, fast = Timing("slow", (1.1,) * 5), Timing("fast", (1.0,) * 5)
    assert added("", slow, fast).value == pytest.approx(10.0)
    assert speedup("", fast, slow).value == pytest.approx(1.1)


def test_turns_take_out_a_machine_that_slows_down_steadily(monkeypatch):
    """Guest and host do equal work on a clock that every round finds slower; the ratio must not see it."""
    clock = [0.0]
    monkeypatch.setattr("benchmarks.measure.time.perf_counter", lambda: clock[0])
    pace = iter(range(100, 200))

    def work():
        clock[0] += next(pace)

    turns = Turns({"guest": work})
    turns.pause()
    for _ in range(4):
        work()
        turns.pause()
    host, guests = turns.seconds()
    assert len(host) == 3  # the first round warms up
    assert host == guests["guest"]


def test_a_contender_with_its_own_clock_is_believed():
    assert alternate({"own": lambda: 0.25}, rounds=3) == {"own": (0.25,) * 3}


@pytest.mark.parametrize(("value", "met"), [(2.9, True), (3.0, True), (3.1, False)])
def test_a_limit_belongs_to_what_is_allowed(value, met):
    assert Goal(3.0, at_most=True).met(value) is met
    assert Goal(3.0).met(value) is (value >= 3.0)


def test_simulated_bf16_is_as_far_from_fp32_as_bf16_itself():
    """Forward and backward through a convolution and a linear layer; torch's own rounds its sums elsewhere."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 5))
    image = torch.randn(4, 3, 8, 8)
    outcomes = []
    for context in (Simulated(), torch.autocast("cpu", torch.bfloat16), nullcontext()):
        layers.zero_grad()
        with context:
            output = layers(image)
        output.float().square().sum().backward()
        outcomes.append((output.detach().float(), layers[0].weight.grad.clone()))
    simulated, true, plain = outcomes
    for ours, theirs, fp32 in zip(simulated, true, plain, strict=True):
        assert 0.5 < (ours - fp32).norm() / (theirs - fp32).norm() < 2
        assert (ours - theirs).norm() < (ours - fp32).norm()
