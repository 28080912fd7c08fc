"""Several runs of one method are one subject: its numbers are means, its intervals are over the runs."""

import math
from dataclasses import replace

import pytest

from limner.errors import ConfigError, UnlikeProtocols
from limner.evaluation.compare import difference
from limner.evaluation.evaluate import Evaluation
from limner.evaluation.seeds import pooled
from limner.metrics.number import Interval, Number, Protocol

PROTOCOL = Protocol("fd", "Lite0", "ab12", "squash to 128×128", "fp32", 500, 500, "test", "cd34", 0)


def run(name, value, *more):
    number = Number("FD-Lite0", value, "lower", PROTOCOL, Interval(value - 0.01, value + 0.01), details={"each": [1.0]})
    return Evaluation(name, {"model": "vae"}, (number, *more), {"real": (replace(number, value=1.0),)}, (), 2.0)


def test_the_mean_stands_with_students_interval_over_the_runs():
    found = pooled([run("a", 9.0), run("b", 10.0), run("c", 11.0)], "vae")
    number = found.number("FD-Lite0")
    half = 4.30265 / math.sqrt(3)
    assert (found.subject, number.value, found.about["runs"], found.seconds) == ("vae", 10.0, 3, 6.0)
    assert (number.interval.low, number.interval.high) == pytest.approx((10 - half, 10 + half), rel=1e-5)
    assert number.details == {"runs": [9.0, 10.0, 11.0]} and number.notes[0] == "mean of 3 runs: 9, 10, 11"
    assert found.floors["real"][0].value == 1.0


def test_two_methods_that_overlap_by_seed_are_not_told_apart_though_single_runs_would_be():
    ours, theirs = [run("a", 9.0), run("b", 11.0)], [run("c", 10.0), run("d", 12.5)]
    single = difference(ours[0].numbers[0], theirs[0].numbers[0], "a", "c")
    both = difference(pooled(ours, "x").numbers[0], pooled(theirs, "y").numbers[0], "x", "y")
    assert single.verdict == "a" and both.verdict == "no difference shown"


def test_what_not_every_run_has_is_skipped_with_the_reason():
    extra = Number("KID", 1.0, "lower", PROTOCOL)
    found = pooled([run("a", 9.0, extra), run("b", 10.0)], "vae")
    assert [number.name for number in found.numbers] == ["FD-Lite0"] and (
        "KID",
        "not every run has it",
    ) in found.skipped


def test_a_value_that_is_not_finite_leaves_no_interval():
    number = pooled([run("a", 9.0), run("b", math.nan)], "vae").numbers[0]
    assert math.isnan(number.value) and number.interval is None


def test_unlike_or_repeated_runs_are_refused():
    other = run("b", 10.0)
    other = replace(other, numbers=(replace(other.numbers[0], protocol=replace(PROTOCOL, generated=20)),))
    with pytest.raises(UnlikeProtocols, match="generated: 500 against 20"):
        pooled([run("a", 9.0), other], "vae")
    for runs in ([run("a", 1.0)], [run("a", 1.0), run("a", 2.0)], []):
        with pytest.raises(ConfigError, match="two or more runs"):
            pooled(runs, "vae")
