"""`limner human make` and `human rank`: from runs and folders to a page, and from votes to a ranking."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from cyclopts import App
from voters import by_eye, by_taste, saved, write

from limner.cli import people
from limner.cli.output import Answer
from limner.errors import ConfigError, DataError
from limner.evaluation.people import read_key


def human(*words) -> Answer:
    """One command, through the same parser as the command line."""
    app = App(name="human", result_action="return_value")
    app.command(people.make, name="make")
    app.command(people.rank, name="rank")
    return app([str(word) for word in words], exit_on_error=False, print_error=False)


@pytest.fixture
def folders(elsewhere):
    """Two folders of pictures."""
    from demo_pages import pictures

    from limner.images.metadata import encode_png

    for index, name in enumerate(("first", "second")):
        (elsewhere / name).mkdir()
        for k, image in enumerate(pictures(12, side=16, index=index)):
            (elsewhere / name / f"{k:02d}.png").write_bytes(encode_png(image))
    return ["first", "second"]


def test_two_folders_become_a_page_and_a_key(folders, elsewhere):
    answer = human("make", *folders, "--out", "pages/blind.html", "--trials", 6, "--gold", 2, "--ties", "--quiet")
    key = read_key(elsewhere / "pages/blind.key.json")
    assert key.sources == ("first", "second") and len(key.trials) == 8 and key.ties
    assert key.page in (elsewhere / "pages/blind.html").read_text() and "first" not in _data(
        elsewhere / "pages/blind.html"
    )
    assert answer.values["key"] == "pages/blind.key.json" and "limner human rank pages/blind.key.json" in answer.text


def _data(path) -> str:
    return path.read_text().partition('id="page">')[2].partition("</script>")[0]


def test_a_run_meets_a_folder_at_the_size_of_the_run(run, folders, elsewhere):
    human("make", run, folders[0], "--trials", 4, "--gold", 0, "--question", "Better?", "--device", "cpu", "--quiet")
    key = read_key(elsewhere / "page.key.json")
    assert key.sources == (run.name, "first") and key.question == "Better?"
    assert "--ratio: 8 / 8" in (elsewhere / "page.html").read_text()


def test_real_pictures_are_one_more_source_of_pairs(folders, elsewhere):
    human("make", "first", "--real", "second", "--trials", 4, "--quiet")
    assert read_key(elsewhere / "page.key.json").sources == ("first", "second")


def test_made_pictures_hide_among_real_ones(folders, elsewhere):
    human("make", "first", "--real", "second", "--mode", "real-or-fake", "--trials", 8, "--limit", 0.5, "--quiet")
    key = read_key(elsewhere / "page.key.json")
    assert key.sources == ("first",) and key.limit_seconds == 0.5
    assert Counter(shown.source for shown in key.images.values()) == {-1: 5, 0: 4}


def test_descriptions_stand_over_the_pictures_of_their_line(folders, elsewhere):
    (elsewhere / "said.txt").write_text("\n".join(f"picture {k}" for k in range(12)), encoding="utf-8")
    human("make", *folders, "--trials", 12, "--gold", 0, "--descriptions", "said.txt", "--quiet")
    key = read_key(elsewhere / "page.key.json")
    rows = {name: shown.row for name, shown in key.images.items()}
    for trial in json.loads(_data(elsewhere / "page.html"))["trials"]:
        assert trial["text"] == f"picture {rows[trial['images'][0]]}" == f"picture {rows[trial['images'][1]]}"


def test_sources_of_one_name_are_told_apart_by_their_paths(folders, elsewhere):
    (elsewhere / "other").mkdir()
    (elsewhere / "first").rename(elsewhere / "other/second")
    human("make", "second", "other/second", "--trials", 4, "--quiet")
    assert read_key(elsewhere / "page.key.json").sources == ("second", "other/second")


def test_a_page_that_votes_may_belong_to_is_not_replaced(folders, elsewhere):
    human("make", *folders, "--trials", 4, "--quiet")
    before = (elsewhere / "page.key.json").read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        human("make", *folders, "--trials", 4, "--seed", 1, "--quiet")
    assert (elsewhere / "page.key.json").read_bytes() == before
    human("make", *folders, "--trials", 4, "--seed", 1, "--overwrite", "--quiet")
    assert (elsewhere / "page.key.json").read_bytes() != before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["first"], "two or more sources"),
        (["first", "first"], "given twice"),
        (["first", "second", "--out", "page.txt"], "HTML"),
        (["first", "second", "--limit", "1"], "real-or-fake"),
        (["first", "--mode", "real-or-fake"], "real ones"),
        (["first", "--real", "second", "--mode", "real-or-fake", "--ties"], "go with pairs"),
        (["first", "second", "--descriptions", "none.txt"], "cannot be read"),
        (["first", "second", "--trials", "500"], "fewer trials"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_writes_nothing(words, message, folders, elsewhere):
    with pytest.raises(ConfigError, match=message):
        human("make", *words, "--quiet")
    assert not list(elsewhere.glob("page*"))


@pytest.fixture
def voted(folders, elsewhere):
    """A key, and a folder with the votes of nine raters who like the first source better."""
    human("make", *folders, "--trials", 20, "--gold", 4, "--quiet")
    key = read_key(elsewhere / "page.key.json")
    (elsewhere / "votes").mkdir()
    write(elsewhere / "votes", {f"{k}.json": saved(key, by_taste(key, {0: 0.8, 1: -0.8}), rater=k) for k in range(9)})
    return key


def test_votes_of_a_folder_become_a_ranking_and_a_page(voted, elsewhere):
    answer = human("rank", "page.key.json", "votes", "--out", "ranking.html")
    numbers = answer.values["numbers"]
    assert numbers["first"]["interval"]["low"] > numbers["second"]["interval"]["high"]
    lines = answer.text.splitlines()
    assert lines[0].split() == ["human", "preference", "interval"] and lines[1].startswith("first")
    assert "180 of 9 raters" in answer.text and "Krippendorff" in answer.text
    assert "first" in (elsewhere / "ranking.html").read_text()
    assert json.loads(json.dumps(answer.values))["numbers"]["first"]["unit"] == "Elo"


def test_the_key_among_the_votes_is_no_vote(voted, elsewhere):
    (elsewhere / "votes/page.key.json").write_bytes((elsewhere / "page.key.json").read_bytes())
    assert len(human("rank", "votes/page.key.json", "votes").values["raters"]) == 9


def test_real_or_fake_tells_errors_and_skill(folders, elsewhere):
    human("make", "first", "--real", "second", "--mode", "real-or-fake", "--trials", 20, "--gold", 2, "--quiet")
    key = read_key(elsewhere / "page.key.json")
    write(elsewhere, {f"{k}.json": saved(key, by_eye(key, {-1: 0.9, 0: 0.2}), rater=k) for k in range(3)})
    answer = human("rank", "page.key.json", "0.json", "1.json", "2.json")
    assert answer.values["together"]["fooled"] < 0.5 and "d' of raters" in answer.text
    assert "real taken for made" in answer.text


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["page.key.json"], ConfigError, "say which votes"),
        (["page.key.json", "votes", "--min-gold", "2"], ConfigError, "shares"),
        (["page.key.json", "votes", "--out", "ranking.pdf"], ConfigError, "HTML"),
        (["page.key.json", "first"], DataError, "no votes in first"),
        (["votes/0.json", "votes"], DataError, "key"),
        (["page.key.json", "none.json"], DataError, "not a file"),
    ],
)
def test_votes_that_cannot_be_ranked_are_refused(words, error, message, voted):
    with pytest.raises(error, match=message):
        human("rank", *words)
