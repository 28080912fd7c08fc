"""How far along a run is: always forward, and a function of the step and of what was recorded, never of the clock."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import ConfigError
from limner.training.plan import Plan, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172_800), (" 5m ", 300), ("0.5s", 0.5)]
)
def test_durations_are_read(text, seconds):
    assert parse_duration("budget", text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "0s", "0.0h", "5 m", "1e3s", "10min", "1h30m", "nan", "٣x"])
def test_what_is_not_a_duration_is_refused_by_name(text):
    with pytest.raises(ConfigError, match=rf"budget={re.escape(repr(text))} is not a time; write for example 90s"):
        parse_duration("budget", text)


def test_a_run_of_fixed_length_goes_straight_from_0_to_1():
    plan = Plan.fixed(200)
    assert [plan.progress(step) for step in (0, 50, 100, 200, 300)] == [0, 0.25, 0.5, 1, 1]
    plan.observe(100, 1e6)
    assert plan == Plan.fixed(200)


def drive(plan, speeds, start=0, seconds=0.0):
    """Run to the plan's end by a fake clock; `speeds` gives the seconds of each step. Yields (step, seconds, state)."""
    step = start
    while plan.progress(step) < 1:
        step += 1
        seconds += speeds(step)
        plan.observe(step, seconds)
        yield step, seconds, json.loads(json.dumps(plan.state()))


SPEEDS = {
    "even": lambda step: 0.1,
    "slow start": lambda step: 2.0 if step < 5 else 0.05,
    "slower and slower": lambda step: 0.02 + step * 0.001,
    "hiccups": lambda step: 3.0 if step % 97 == 0 else 0.05,
    "slow first step": lambda step: 5.0 if step == 1 else 0.01,
    "ten times faster": lambda step: 0.3 if step <= 100 else 0.03,
    "ten times slower": lambda step: 0.03 if step <= 1000 else 0.3,
    "one step eats it all": lambda step: 100.0,
}


@pytest.mark.parametrize("speeds", SPEEDS.values(), ids=SPEEDS)
def test_a_timed_run_only_goes_forward_and_ends_near_its_budget(speeds):
    """A slow first step was once taken for the speed of them all, and a run of ten minutes ended after one."""
    plan, last = Plan.timed(60), 0.0
    for step, seconds, _ in drive(plan, speeds):  # noqa: B007
        assert last <= plan.progress(step) <= 1
        last = plan.progress(step)
    assert plan.progress(step) == 1
    longest = max(speeds(each) for each in range(1, step + 1))
    assert 0.95 * 60 - longest <= seconds <= 1.05 * 60 + 2 * longest


def test_at_even_speed_a_timed_run_ends_on_time():
    *_, (step, seconds, _) = drive(Plan.timed(60), SPEEDS["even"])
    assert seconds == pytest.approx(60, rel=0.02) and step == pytest.approx(600, rel=0.02)


@pytest.mark.parametrize("speeds", SPEEDS.values(), ids=SPEEDS)
def test_progress_is_a_function_of_the_recorded_knots(speeds):
    """A run that is resumed reads the plan back from JSON and must find the same progress at every step."""
    plan, seen = Plan.timed(60), {}
    for step, _, state in drive(plan, speeds):
        again = Plan.from_state(state)
        assert again == plan
        seen[step] = plan.progress(step)
        assert all(again.progress(each) == plan.progress(each) for each in (0, step // 2, step, step + 10))
    past = [plan.progress(step) for step in seen]
    assert past == pytest.approx(list(seen.values())), "planning again rewrote the past"


def test_a_resumed_plan_goes_on_as_the_one_that_never_stopped():
    whole = list(drive(Plan.timed(60), SPEEDS["hiccups"]))
    for stop in (1, 12, 13, 100, 400):
        step, seconds, state = whole[stop]
        rest = list(drive(Plan.from_state(state), SPEEDS["hiccups"], step, seconds))
        assert rest == whole[stop + 1 :]


@given(st.floats(0.1, 1e6), st.lists(st.floats(1e-4, 1e3), min_size=1, max_size=30))
def test_at_any_speeds_progress_never_falls_and_the_end_is_reached(budget, speeds):
    plan, last = Plan.timed(budget), 0.0
    seconds = 0.0
    for step in range(1, 200):
        seconds += speeds[step % len(speeds)]
        before = plan.progress(step)
        plan.observe(step, seconds)
        assert plan.progress(step) == before >= last, "planning again changed where the run stands"
        last = before
        if seconds > budget and plan.replanned:
            assert plan.steps <= step + 1 or plan.progress(plan.steps) == 1
