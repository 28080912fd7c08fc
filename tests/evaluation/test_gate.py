"""The export gate: what passes, what does not, and that nothing passes for want of a measurement."""

import pytest

from limner.errors import ConfigError
from limner.evaluation.gate import Limit, Rules, decide
from limner.metrics.number import Interval, Number, Protocol


def number(name, value, *, low=None, high=None, **details):
    interval = None if low is None else Interval(low, high)
    return Number(name, value, "lower", Protocol(name), interval, details=details)


def copying(verdict, reason="so it is"):
    return number("copied share (pixels)", 0.1, verdict=verdict, reasons=[reason])


@pytest.mark.parametrize(
    ("verdict", "passes"), [("no sign", True), ("suspicious", False), ("cannot tell", False), ("copies", False)]
)
def test_only_a_verdict_of_no_sign_passes(verdict, passes):
    decision = decide([copying(verdict)])
    assert decision.may_export is passes
    told = decision.passed if passes else decision.refused
    assert told == (f"copied share (pixels): {verdict}; so it is",)


def test_what_was_not_measured_does_not_pass():
    assert "was not measured" in decide([]).refused[0]
    assert decide([], Rules(verdicts=())).may_export
    rules = Rules(limits=(Limit.parse("FD-Lite0<=40"),))
    assert "no number of that name was measured" in decide([copying("no sign")], rules).refused[0]


def test_one_verdict_of_two_spaces_is_enough_to_refuse():
    assert not decide([copying("no sign"), copying("copies")]).may_export


@pytest.mark.parametrize(("value", "low", "passes"), [(0.95, 0.9, False), (0.65, 0.58, True), (0.65, None, False)])
def test_membership_refuses_when_it_surely_succeeds(value, low, passes):
    """Without an interval the value itself counts."""
    attack = number("membership AUC (likelihood)", value, low=low, high=1.0)
    decision = decide([copying("no sign"), attack])
    assert decision.may_export is passes
    assert "the limit is 0.6" in (decision.passed if passes else decision.refused)[-1]


@pytest.mark.parametrize(
    ("text", "passes"),
    [("FD-Lite0<=40", True), ("FD-Lite0 <= 39.9", False), ("precision>=0.5", True), ("precision >= 0.7", False)],
)
def test_limits_hold_numbers_by_their_name_with_or_without_brackets(text, passes):
    numbers = [copying("no sign"), number("FD-Lite0", 40.0), number("precision (Lite0)", 0.6)]
    decision = decide(numbers, Rules(limits=(Limit.parse(text),)))
    assert decision.may_export is passes and decision.to_dict()["may_export"] is passes


@pytest.mark.parametrize("text", ["FD", "FD=40", "<=40", "FD<=forty", "FD<=nan", ""])
def test_limits_that_cannot_be_read_are_refused(text):
    with pytest.raises(ConfigError, match="write NAME<=VALUE"):
        Limit.parse(text)
