"""Pages that ask are balanced and blind, votes are believed only where they hold together, and the truth comes out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from demo_pages import pictures
from voters import by_eye, by_taste, saved, write

from limner.errors import ConfigError, DataError
from limner.evaluation.page import render_leaderboard
from limner.evaluation.people import (
    board,
    deception_numbers,
    facts,
    make_pairwise_page,
    make_real_or_fake_page,
    plan,
    preference_numbers,
    rank,
    read_key,
    read_votes,
    unmask,
)

NAMES = ["secret-gan", "secret-vae", "secret-crbm"]
TASTE = {0: 1.1, 1: 0.1, 2: -1.2}


@pytest.fixture(scope="module")
def sources():
    return {name: pictures(30, side=8, index=k) for k, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def pairwise(sources):
    return make_pairwise_page(sources, trials=60, gold=6, seed=3, ties=True)


@pytest.fixture(scope="module")
def single(sources):
    made = {name: sources[name] for name in NAMES[:2]}
    return make_real_or_fake_page(pictures(60, side=8, index=9), made, trials=80, gold=5, seed=3)


def plain_trials(key):
    return [trial for trial in key.trials.values() if trial.gold is None]


# --- plan -------------------------------------------------------------------------------------------------------------


def test_pairs_and_sides_are_balanced(pairwise):
    key = pairwise[1]
    sides = Counter(tuple(key.images[one].source for one in trial.images) for trial in plain_trials(key))
    assert sides == {(a, b): 10 for a in range(3) for b in range(3) if a != b}


@pytest.mark.parametrize(("trials", "sources"), [(7, 3), (10, 4), (2, 2), (5, 2)])
def test_trials_that_do_not_divide_differ_by_one(trials, sources):
    asked = plan.pairwise([20] * sources, trials=trials, gold=0, seed=1)
    pairs = Counter(frozenset(one.source for one in question.shown) for question in asked)
    counts = [pairs[frozenset((a, b))] for a in range(sources) for b in range(a)]
    assert sum(counts) == trials and max(counts) - min(counts) <= 1


def test_pictures_are_used_again_only_when_all_were_used(pairwise):
    key = pairwise[1]
    for pair in ((0, 1), (0, 2), (1, 2)):
        shown = [t.images for t in plain_trials(key) if {key.images[i].source for i in t.images} == set(pair)]
        assert len({image for images in shown for image in images}) == 2 * len(shown)


@pytest.mark.parametrize(("first", "second"), [(3, 4), (4, 4), (4, 6), (1, 5), (6, 4)])
def test_all_meetings_can_be_asked_for_and_none_comes_twice(first, second):
    asked = plan.pairwise([first, second], trials=first * second, gold=0, seed=2)
    assert len({frozenset(question.shown) for question in asked}) == first * second
    with pytest.raises(ConfigError, match="ask for fewer trials"):
        plan.pairwise([first, second], trials=first * second + 1, gold=0, seed=2)


def test_gold_trials_show_a_picture_beside_itself_scrambled(pairwise):
    html, key = pairwise
    gold = [trial for trial in key.trials.values() if trial.gold]
    assert len(gold) == 6
    sides = Counter()
    for trial in gold:
        left, right = (key.images[one] for one in trial.images)
        assert (left.source, left.row) == (right.source, right.row) and left.scrambled != right.scrambled
        assert not key.images[trial.gold].scrambled
        sides[left.scrambled] += 1
    assert sides[True] == sides[False]


def test_scrambling_keeps_the_colours_and_nothing_else():
    image = pictures(1, side=16)[0]
    mixed = plan.scramble(image, seed=0, index=0)
    assert sorted(map(tuple, mixed.reshape(-1, 3))) == sorted(map(tuple, image.reshape(-1, 3)))
    assert (mixed != image).any(axis=2).mean() > 0.5


def test_half_the_pictures_are_real_and_none_is_shown_twice(single):
    key = single[1]
    shown = [key.images[trial.images[0]] for trial in plain_trials(key)]
    assert Counter(one.source for one in shown) == {-1: 40, 0: 20, 1: 20}
    every = [key.images[trial.images[0]] for trial in key.trials.values()]
    assert len({(one.source, one.row) for one in every}) == len(every) == 85


def test_with_descriptions_equal_rows_meet(sources):
    texts = [f"picture {k}" for k in range(30)]
    html, key = make_pairwise_page(sources, trials=30, gold=3, seed=1, descriptions=texts)
    for trial in _data(html)["trials"]:
        rows = {key.images[one].row for one in trial["images"]}
        assert len(rows) == 1 and trial["text"] == f"picture {rows.pop()}"


def test_a_page_is_the_same_for_a_seed_and_another_for_another(sources):
    first, again, other = (make_pairwise_page(sources, trials=12, gold=2, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again and first != other


# --- page -------------------------------------------------------------------------------------------------------------


def _data(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="page">(.*?)</script>', html, re.DOTALL)[1])


def test_the_page_tells_nothing_of_where_pictures_come_from(pairwise, single):
    for html, key in (pairwise, single):
        data = _data(html)
        assert not [name for name in NAMES if name in html]
        assert set(data) == {"page", "mode", "ties", "limit", "trials", "images"}
        assert all(set(trial) == {"id", "images", "text"} for trial in data["trials"])  # gold looks like the rest
        assert list(data["images"]) == sorted(data["images"]) == list(key.images)
        assert [trial["id"] for trial in data["trials"]] == sorted(key.trials)
        heads = {base64.b64decode(image.split(",")[1])[:33] for image in data["images"].values()}
        assert len(heads) == 1  # one size, one kind of PNG


def test_the_order_of_ids_tells_nothing_of_sources_or_gold(pairwise):
    key = pairwise[1]
    by_source = [shown.source for shown in key.images.values() if not shown.scrambled]
    changes = sum(a != b for a, b in zip(by_source, by_source[1:], strict=False))
    assert changes > len(by_source) / 2
    places = [k for k, trial in enumerate(key.trials.values()) if trial.gold]
    assert max(places) - min(places) > len(key.trials) / 3


def test_gray_and_colour_sources_are_written_alike():
    gray = np.repeat(pictures(6, side=8)[..., :1], 1, axis=3)
    html, _ = make_pairwise_page({"a": gray, "b": pictures(6, side=8, index=1)}, trials=4, gold=0)
    assert len({base64.b64decode(image.split(",")[1])[:33] for image in _data(html)["images"].values()}) == 1


def test_the_policy_lets_one_script_run_and_nothing_be_fetched(pairwise):
    html = pairwise[0]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1
    allowed = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'" in html
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", html)


def test_questions_and_descriptions_are_escaped(sources):
    hostile = "</script><script>alert(1)</script><!--"
    html, _ = make_pairwise_page(sources, trials=3, gold=1, question=hostile, descriptions=[hostile] * 30)
    assert html.count("<script") == 2 and "<!--" not in html
    assert _data(html)["trials"][0]["text"] == hostile


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: make_pairwise_page({"a": s["secret-gan"]}), "two or more"),
        (lambda s: make_pairwise_page({**s, "b": pictures(30, side=9)}), "differ in size"),
        (lambda s: make_pairwise_page({**s, "b": s["secret-gan"] / 255}), "uint8"),
        (lambda s: make_pairwise_page({**s, "b": s["secret-gan"][:0]}), "uint8"),
        (lambda s: make_pairwise_page(s, trials=1), "at least 2"),
        (lambda s: make_pairwise_page(s, gold=-1), "gold=-1"),
        (lambda s: make_pairwise_page(s, descriptions=["one"]), "too few"),
        (lambda s: make_pairwise_page(s, trials=100, descriptions=["x"] * 30), "fewer trials"),
        (lambda s: make_real_or_fake_page(s["secret-gan"], {}), "at least one source"),
        (lambda s: make_real_or_fake_page(s["secret-gan"], s, trials=80), "40 real images|45 real images"),
        (lambda s: make_real_or_fake_page(s["secret-gan"], s, trials=8, limit_seconds=0), "limit_seconds"),
    ],
)
def test_pages_that_could_not_be_judged_are_refused(make, message, sources):
    with pytest.raises(ConfigError, match=message):
        make(sources)


# --- key and votes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["pairwise", "single"])
def test_a_key_is_read_back_as_it_was(which, request, tmp_path):
    key = request.getfixturevalue(which)[1]
    (tmp_path / "key.json").write_text(key.to_json(), encoding="utf-8")
    assert read_key(tmp_path / "key.json") == key


KEY_FAULTS = {
    "another format": lambda k: k.update(format="x"),
    "a field more": lambda k: k.update(more=1),
    "a field less": lambda k: k.pop("seed"),
    "a trial of unknown images": lambda k: next(iter(k["trials"].values())).update(images=["00000000", "11111111"]),
    "a trial of one image twice": lambda k: next(iter(k["trials"].values()))["images"].__setitem__(
        0, next(iter(k["trials"].values()))["images"][1]
    ),
    "an unknown source": lambda k: next(iter(k["images"].values())).update(source=7),
    "gold that is not shown": lambda k: next(iter(k["trials"].values())).update(gold="abcdefab"),
    "no list": lambda k: k.update(sources="abc"),
}


@pytest.mark.parametrize("fault", KEY_FAULTS)
def test_a_key_that_does_not_hold_together_is_refused(fault, pairwise, tmp_path):
    values = json.loads(pairwise[1].to_json())
    KEY_FAULTS[fault](values)
    (tmp_path / "key.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "key.json"))):
        read_key(tmp_path / "key.json")


def test_votes_are_read_as_they_were_given(pairwise, tmp_path):
    key = pairwise[1]
    given = saved(key, by_taste(key, TASTE, 0.5), rater=1)
    (ballot,) = read_votes(write(tmp_path, {"a.json": given}), key)
    assert (ballot.rater_id, ballot.name, ballot.order_seed) == (f"{1:016x}", "rater 1", 1)
    for vote, one in zip(ballot.votes, given["votes"], strict=True):
        chosen = None if one["choice"] == "tie" else one["shown"][one["choice"] == "right"]
        assert (vote.trial, vote.shown, vote.chosen, vote.ms) == (one["trial"], tuple(one["shown"]), chosen, one["ms"])


def _first(values):
    return values["votes"][0]


VOTE_FAULTS = {
    "another page": lambda v: v.update(page="00000000"),
    "another mode": lambda v: v.update(mode="real-or-fake"),
    "another format": lambda v: v.update(format="limner-votes"),
    "another version": lambda v: v.update(version=2),
    "a version that is a bool": lambda v: v.update(version=True),
    "a field more": lambda v: v.update(admin=True),
    "a field less": lambda v: v.pop("rater"),
    "a rater that is no text": lambda v: v.update(rater=["x"]),
    "a rater of control characters": lambda v: v.update(rater="\x1b[2J"),
    "a rater of lone surrogates": lambda v: v.update(rater="\ud800"),
    "a very long rater": lambda v: v.update(rater="x" * 101),
    "a rater id that is a path": lambda v: v.update(rater_id="../../etc/passwd"),
    "a negative order": lambda v: v.update(order_seed=-1),
    "a fractional order": lambda v: v.update(order_seed=0.5),
    "votes that are no list": lambda v: v.update(votes={"0": _first(v)}),
    "a vote that is no object": lambda v: v.update(votes=[7]),
    "a vote too many": lambda v: v["votes"].append(dict(_first(v))),
    "a trial twice": lambda v: v["votes"].__setitem__(1, dict(_first(v))),
    "an unknown trial": lambda v: _first(v).update(trial="abcdefabcdef"),
    "a trial that is no text": lambda v: _first(v).update(trial=None),
    "images of another trial": lambda v: _first(v).update(shown=v["votes"][1]["shown"]),
    "one image": lambda v: _first(v).update(shown=_first(v)["shown"][:1]),
    "one image twice": lambda v: _first(v).update(shown=_first(v)["shown"][:1] * 2),
    "an unknown answer": lambda v: _first(v).update(choice="both"),
    "an answer that is no text": lambda v: _first(v).update(choice=["left"]),
    "the answer of another mode": lambda v: _first(v).update(choice="real"),
    "a negative time": lambda v: _first(v).update(ms=-1),
    "a huge time": lambda v: _first(v).update(ms=10**12),
    "a fractional time": lambda v: _first(v).update(ms=1.5),
    "a time that is a bool": lambda v: _first(v).update(ms=True),
    "complete, but not all": lambda v: v["votes"].pop(),
    "a field more in a vote": lambda v: _first(v).update(weight=100),
}


@pytest.mark.parametrize("fault", VOTE_FAULTS)
def test_votes_that_the_page_would_not_have_saved_are_refused(fault, pairwise, tmp_path):
    key = pairwise[1]
    values = saved(key, by_taste(key, TASTE))
    VOTE_FAULTS[fault](values)
    with pytest.raises(DataError, match="votes.json") as caught:
        read_votes(write(tmp_path, {"votes.json": values}), key)
    assert len(str(caught.value)) < 400 + len(str(tmp_path)) and str(caught.value).isprintable()


RAW_FAULTS = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "not UTF-8": b'{"page": "\xff"}',
    "NaN": b'{"version": NaN}',
    "a name twice": b'{"page": 1, "page": 2}',
    "nested deeply": b"[" * 200_000,
    "a number of 10,000 digits": b'{"version": ' + b"9" * 10_000 + b"}",
    "too large": b" " * ((16 << 20) + 1),
}


@pytest.mark.parametrize("fault", RAW_FAULTS)
def test_files_that_are_no_votes_are_refused(fault, pairwise, tmp_path):
    (tmp_path / "votes.json").write_bytes(RAW_FAULTS[fault])
    with pytest.raises(DataError, match="votes.json"):
        read_votes([tmp_path / "votes.json"], pairwise[1])


def test_missing_files_folders_and_no_files_at_all_are_refused(pairwise, tmp_path):
    for paths in ([tmp_path / "none.json"], [tmp_path], ["a\0b"], []):
        with pytest.raises(DataError):
            read_votes(paths, pairwise[1])


def test_a_tie_where_none_was_offered_is_refused(sources, tmp_path):
    key = make_pairwise_page(sources, trials=6, gold=0)[1]
    with pytest.raises(DataError, match="a tie was no answer"):
        read_votes(write(tmp_path, {"a.json": saved(key, lambda shown, rng: "tie")}), key)


def test_the_same_rater_twice_is_refused(pairwise, tmp_path):
    key = pairwise[1]
    early, late = saved(key, by_taste(key, TASTE), trials=10), saved(key, by_taste(key, TASTE))
    with pytest.raises(DataError, match="give only the later one"):
        read_votes(write(tmp_path, {"early.json": early, "late.json": late}), key)


# --- results ----------------------------------------------------------------------------------------------------------


def ballots(key, folder, choosers):
    return read_votes(write(folder, {f"{k}.json": saved(key, c, rater=k) for k, c in enumerate(choosers)}), key)


@pytest.mark.parametrize("ties", [0.0, 0.8])
def test_the_taste_of_raters_comes_out(ties, pairwise, tmp_path):
    key = pairwise[1]
    result = rank(ballots(key, tmp_path, [by_taste(key, TASTE, ties)] * 10), key)
    assert result.ranking.order() == [0, 1, 2] and result.ranking.places() == [(1, 1), (2, 2), (3, 3)]
    for k, interval in enumerate(result.ranking.intervals):
        assert interval.low < TASTE[k] < interval.high
    assert result.wins.sum() == 10 * 60
    assert result.left.low < 0.5 < result.left.high
    assert result.agreement.value > 0.05 and result.agreement.units == 60
    numbers = preference_numbers(result, key)
    assert list(numbers) == NAMES and numbers[NAMES[0]].value > 1000 > numbers[NAMES[2]].value
    assert numbers[NAMES[0]].protocol.settings["votes"] == 600


def test_sides_do_not_decide_who_wins(pairwise, tmp_path):
    """Raters who always press left say nothing: the sides are balanced, and turned for every other rater."""
    key = pairwise[1]
    always = rank(ballots(key, tmp_path, [lambda shown, rng: "left"] * 8), key, min_gold=0)
    assert np.abs(always.ranking.strengths.theta).max() < 1e-9
    assert always.left_share == 1


def test_raters_who_fail_the_gold_trials_do_not_count(pairwise, tmp_path):
    key = pairwise[1]
    backwards = by_taste(key, {k: -v for k, v in TASTE.items()})

    def careless(shown, rng):
        choice = backwards(shown, rng)
        scrambled = any(key.images[one].scrambled for one in shown)
        return {"left": "right", "right": "left"}[choice] if scrambled else choice

    result = rank(ballots(key, tmp_path, [by_taste(key, TASTE)] * 5 + [careless] * 5), key)
    assert [rater.counted for rater in result.raters] == [True] * 5 + [False] * 5
    assert result.ranking.order() == [0, 1, 2] and result.ranking.raters == 5
    assert "rater 7 (0 of 6 gold questions right)" in facts(result)["left out"]
    assert "5 of 10 raters failed" in preference_numbers(result, key)[NAMES[0]].notes[1]
    with pytest.raises(DataError, match="no votes are left"):
        rank(ballots(key, tmp_path, [careless]), key)


def test_a_rater_who_stopped_early_counts_as_far_as_it_goes(pairwise, tmp_path):
    key = pairwise[1]
    given = {"a": saved(key, by_taste(key, TASTE)), "b": saved(key, by_taste(key, TASTE), rater=1, trials=20)}
    assert rank(read_votes(write(tmp_path, given), key), key).ranking.votes == 60 + len(
        [t for t in list(key.trials.values())[:20] if t.gold is None]
    )
    empty = {"c": saved(key, by_taste(key, TASTE), rater=2, trials=0)}
    assert len(rank(read_votes(write(tmp_path, given | empty), key), key).raters) == 3


def test_one_rater_alone_has_no_agreement(pairwise, tmp_path):
    assert rank(ballots(pairwise[1], tmp_path, [by_taste(pairwise[1], TASTE)]), pairwise[1]).agreement is None


def test_how_often_each_source_passes_for_real_comes_out(single, tmp_path):
    key = single[1]
    result = unmask(ballots(key, tmp_path, [by_eye(key, {-1: 0.8, 0: 0.7, 1: 0.1})] * 12), key)
    assert [one.fooled for one in result.each] == [pytest.approx(0.7, abs=0.08), pytest.approx(0.1, abs=0.06)]
    assert result.together.missed == pytest.approx(0.2, abs=0.05)
    assert len(result.together.raters) == 12 and result.together.votes == 12 * 80
    numbers = deception_numbers(result, key)
    assert numbers[NAMES[0]].value == pytest.approx((0.7 + 0.2) / 2, abs=0.06)
    assert numbers[NAMES[0]].interval.low > numbers[NAMES[1]].interval.high


def test_results_become_a_page(pairwise, single, tmp_path):
    for (_, key), judge, choose in (
        (pairwise, rank, by_taste(pairwise[1], TASTE, 0.4)),
        (single, unmask, by_eye(single[1], {-1: 0.8, 0: 0.7, 1: 0.1})),
    ):
        page = render_leaderboard(board(judge(ballots(key, tmp_path, [choose] * 9), key), key, commands=["limner …"]))
        assert all(name in page for name in key.sources) and "of 9 raters" in page


def test_a_key_of_another_page_does_not_fit(pairwise, tmp_path):
    other = replace(pairwise[1], page="0" * 16)
    with pytest.raises(DataError, match="another page"):
        read_votes(write(tmp_path, {"a.json": saved(pairwise[1], by_taste(pairwise[1], TASTE))}), other)
