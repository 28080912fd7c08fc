"""Numbers are compared only when they were measured alike, and a difference counts only beyond chance."""

import math
from dataclasses import replace

import pytest

from limner.errors import DataError, UnlikeProtocols
from limner.evaluation import compare
from limner.evaluation.evaluate import Evaluation
from limner.metrics.number import Interval, Number, Protocol

PROTOCOL = Protocol("fd", "Lite0", "ab12", "squash to 128×128", "fp32", 500, 500, "test", "cd34", 0, {"k": 3})


def number(value, width=0.1, name="FD-Lite0", better="lower", protocol=PROTOCOL):
    return Number(name, value, better, protocol, Interval(value - width, value + width))


def evaluation(subject, *numbers):
    return Evaluation(subject, {}, tuple(numbers))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"features": "Inception"}, "features: Lite0 against Inception"),
        ({"features_sha256": "ff"}, "features_sha256"),
        ({"generated": 5_000}, "generated: 500 against 5,000"),
        ({"real": 499}, "real: 500 against 499"),
        ({"split": "train"}, "split: test against train"),
        ({"data_sha256": "00"}, "data_sha256"),
        ({"precision": "bf16"}, "precision"),
        ({"resize": "crop"}, "resize"),
        ({"settings": {"k": 5}}, "settings.k: 3 against 5"),
        ({"settings": {}}, "settings.k: 3 against None"),
    ],
)
def test_unlike_protocols_are_refused_and_the_difference_is_named(changed, named):
    other = number(1.0, protocol=replace(PROTOCOL, **changed))
    with pytest.raises(UnlikeProtocols, match=named):
        compare.differences([evaluation("a", number(1.0)), evaluation("b", other)])


def test_another_seed_is_no_other_protocol():
    other = number(1.0, protocol=replace(PROTOCOL, seed=7))
    assert compare.differences([evaluation("a", number(1.0)), evaluation("b", other)])


def test_an_unlike_pair_is_found_among_more_than_two():
    other = evaluation("c", number(1.0, protocol=replace(PROTOCOL, split="val")))
    with pytest.raises(UnlikeProtocols, match="of b and of c"):
        compare.check_alike([evaluation("a", number(1.0)), evaluation("b", number(1.0)), other])


def test_numbers_of_other_names_are_not_compared():
    assert not compare.differences([evaluation("a", number(1.0)), evaluation("b", number(2.0, name="KID-Lite0"))])


@pytest.mark.parametrize(
    ("ours", "theirs", "better", "verdict"),
    [
        (1.0, 2.0, "lower", "a"),
        (1.0, 2.0, "higher", "b"),
        (2.0, 1.0, "lower", "b"),
        (1.0, 1.1, "lower", "no difference shown"),
        (1.0, 9.0, "neither", "no difference shown"),
    ],
)
def test_a_difference_counts_when_its_interval_leaves_out_zero(ours, theirs, better, verdict):
    found = compare.difference(number(ours, better=better), number(theirs, better=better), "a", "b")
    assert found.verdict == verdict and found.value == pytest.approx(ours - theirs)
    assert found.low == pytest.approx(ours - theirs - math.hypot(0.1, 0.1))


def test_without_an_interval_nothing_is_claimed():
    bare = replace(number(1.0), interval=None)
    assert compare.difference(bare, number(9.0), "a", "b").verdict == "no interval"


def test_the_best_comes_first_whichever_end_is_good():
    low, high = evaluation("low", number(1.0)), evaluation("high", number(2.0))
    assert [each.subject for each in compare.ranking([high, low], "FD-Lite0")] == ["low", "high"]
    low, high = (evaluation(each.subject, replace(each.numbers[0], better="higher")) for each in (low, high))
    assert [each.subject for each in compare.ranking([low, high], "FD-Lite0")] == ["high", "low"]


def test_an_evaluation_survives_its_file(tmp_path):
    made = Evaluation(
        "a",
        {"model": "vae"},
        (number(1.0), replace(number(2.0), interval=None, notes=("few",), details={"k": [1]})),
        {"noise": (number(9.0),)},
        (("is", "no logits"),),
        1.5,
    )
    made.save(tmp_path / "evaluation.json")
    assert Evaluation.load(tmp_path / "evaluation.json") == made


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 1}', '{"format": 99}', '{"format": "x", "subject": 1}'])
def test_a_file_that_is_no_evaluation_is_refused(text, tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    with pytest.raises(DataError, match="evaluation|upgrade"):
        Evaluation.load(path)
