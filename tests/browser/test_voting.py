"""Voting in a real browser: by mouse and keyboard, undone, resumed after a reload, saved, and read back."""

from __future__ import annotations

import json

import pytest
from demo_pages import pictures

from limner.evaluation.people import make_pairwise_page, make_real_or_fake_page, rank, read_votes

pytestmark = pytest.mark.heavy

SOON = 300  # ms: longer than the page takes an answer for a slip of the finger


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """(file, key) of a page of pairs, and of real-or-fake."""
    folder = tmp_path_factory.mktemp("people")
    sources = {name: pictures(12, index=k) for k, name in enumerate(("gan", "vae"))}
    made = {
        "pairs": make_pairwise_page(sources, trials=8, gold=2, seed=1, ties=True),
        "strict": make_pairwise_page(sources, trials=4, gold=0, seed=2),
        "single": make_real_or_fake_page(pictures(12, index=5), sources, trials=8, gold=1, seed=1, limit_seconds=0.3),
    }
    for name, (html, _) in made.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: (folder / f"{name}.html", key) for name, (_, key) in made.items()}


def press(page, *keys):
    for key in keys:
        page.wait_for_timeout(SOON)
        page.keyboard.press(key)


def answered(page) -> int:
    return int(page.get_attribute("#progress", "aria-valuenow"))


def download(page, folder):
    with page.expect_download() as waiting:
        page.click("#save")
    waiting.value.save_as(folder / waiting.value.suggested_filename)
    return folder / waiting.value.suggested_filename


def test_votes_by_mouse_and_keyboard_come_back_as_they_were_given(asked, visit, tmp_path):
    file, key = asked["pairs"]
    window = visit()
    page = window.open(file)
    page.fill("#rater", "Ada")
    page.click("#start")
    given, shown = [], []
    for step in [
        "#vote-left",
        "ArrowRight",
        " ",
        "#vote-right",
        "#vote-tie",
        "ArrowLeft",
        "ArrowLeft",
        " ",
        "ArrowRight",
        "#vote-left",
    ]:
        page.wait_for_timeout(SOON)
        shown.append([page.get_attribute(f"#{side}", "src") for side in ("left", "right")])
        page.click(step) if step.startswith("#") else page.keyboard.press(step)
        given.append({"#vote-left": "left", "ArrowLeft": "left", " ": "tie", "#vote-tie": "tie"}.get(step, "right"))
    assert page.inner_text("#done-title") == "Thank you"
    saved = download(page, tmp_path)
    (ballot,) = read_votes([saved], key)
    assert ballot.name == "Ada" and len(ballot.votes) == 10
    choices = [{None: "tie", True: "left", False: "right"}[vote.left] for vote in ballot.votes]
    assert choices == given
    assert all(SOON / 2 < vote.ms < 5000 for vote in ballot.votes)
    images = json.loads(page.evaluate("document.getElementById('page').textContent"))["images"]
    assert [[images[one] for one in vote.shown] for vote in ballot.votes] == shown
    assert rank([ballot], key, min_gold=0).ranking.votes == 8
    assert window.complaints == [] and window.foreign() == []


def test_an_answer_can_be_taken_back(asked, visit):
    page = visit().open(asked["pairs"][0])
    page.click("#start")
    assert page.is_disabled("#undo")
    before = page.get_attribute("#left", "src")
    press(page, "ArrowLeft")
    page.wait_for_timeout(SOON)
    assert answered(page) == 1
    press(page, "Backspace")
    assert answered(page) == 0 and page.get_attribute("#left", "src") == before
    press(page, "ArrowRight", "ArrowRight")
    page.click("#undo")
    page.click("#pause")
    votes = json.loads(page.input_value("#json"))["votes"]
    assert [vote["choice"] for vote in votes] == ["right"]


def test_a_reload_goes_on_where_it_stopped(asked, visit, tmp_path):
    file, key = asked["pairs"]
    page = visit().open(file)
    page.fill("#rater", "Grace")
    page.click("#start")
    press(page, "ArrowLeft", "ArrowRight", " ")
    page.wait_for_timeout(SOON)
    waiting = page.get_attribute("#left", "src")
    page.reload()
    assert page.is_visible("#resumed") and page.inner_text("#start") == "Go on at question 4"
    assert page.input_value("#rater") == "Grace"
    page.click("#start")
    assert page.get_attribute("#left", "src") == waiting and answered(page) == 3
    page.click("#pause")
    assert page.inner_text("#done-title") == "Paused"
    (ballot,) = read_votes([download(page, tmp_path)], key)
    assert len(ballot.votes) == 3
    page.click("#more")
    press(page, *["ArrowLeft"] * 7)
    page.wait_for_selector("#done:not([hidden])")
    page.reload()
    assert page.inner_text("#done-title") == "Thank you"


def test_another_rater_in_the_same_browser_starts_afresh(asked, visit):
    page = visit().open(asked["pairs"][0])
    page.click("#start")
    press(page, "ArrowLeft")
    page.click("#pause")
    first = json.loads(page.input_value("#json"))
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.click("#again")
    assert page.is_visible("#done")  # not confirmed: nothing is lost
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#again")
    assert page.is_visible("#intro") and page.is_hidden("#resumed")
    page.click("#start")
    page.click("#pause")
    second = json.loads(page.input_value("#json"))
    assert second["votes"] == [] and second["rater_id"] != first["rater_id"]


def test_votes_can_be_copied(asked, visit):
    page = visit().open(asked["pairs"][0])
    page.click("#start")
    press(page, "ArrowLeft")
    page.click("#pause")
    page.click("#copy")
    page.wait_for_function("document.getElementById('said').textContent === 'Copied.'")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert len(copied["votes"]) == 1


def test_a_double_click_and_a_held_key_answer_one_question(asked, visit):
    page = visit().open(asked["pairs"][0])
    page.click("#start")
    page.wait_for_timeout(SOON)
    page.dblclick("#vote-left")
    page.wait_for_timeout(SOON)
    assert answered(page) == 1
    page.keyboard.down("ArrowRight")
    page.wait_for_timeout(SOON)
    page.keyboard.down("ArrowRight")  # sent as a repetition, as the key is still down
    page.wait_for_timeout(SOON)
    page.keyboard.up("ArrowRight")
    assert answered(page) == 2


def test_space_is_no_answer_where_there_are_no_ties(asked, visit):
    page = visit().open(asked["strict"][0])
    page.click("#start")
    press(page, " ")
    assert answered(page) == 0 and page.locator("#vote-tie").count() == 0


def test_everything_can_be_reached_with_tab(asked, visit):
    page = visit().open(asked["pairs"][0])
    page.keyboard.press("Enter")  # Begin has the focus
    page.wait_for_timeout(SOON)
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached[:4] == ["vote-left", "vote-right", "vote-tie", "pause"]  # undo is disabled yet
    page.focus("#vote-right")
    page.keyboard.press(" ")  # of the focused button, not the tie
    page.wait_for_timeout(SOON)
    page.click("#pause")
    assert json.loads(page.input_value("#json"))["votes"][0]["choice"] == "right"


def test_raters_see_different_orders_and_both_sides(asked, visit):
    data = []
    for _ in range(6):
        page = visit().open(asked["strict"][0])
        page.click("#start")
        press(page, "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft")
        page.wait_for_selector("#done:not([hidden])")
        data.append(json.loads(page.input_value("#json")))
    orders = {tuple(vote["trial"] for vote in one["votes"]) for one in data}
    assert len(orders) > 1
    seen = {(vote["trial"], vote["shown"][0], one["order_seed"] % 2) for one in data for vote in one["votes"]}
    by_parity = [{(trial, left) for trial, left, parity in seen if parity == p} for p in (0, 1)]
    assert all(len(one) in (0, 4) for one in by_parity) and not by_parity[0] & by_parity[1]


def test_a_picture_of_real_or_fake_is_hidden_after_its_time(asked, visit, tmp_path):
    file, key = asked["single"]
    window = visit()
    page = window.open(file)
    page.click("#start")
    page.wait_for_timeout(50)
    assert page.is_visible("#single") and page.is_hidden("#gone")
    page.wait_for_selector("#gone:not([hidden])")
    assert page.is_hidden("#single")
    given = ["real", "fake", "real", "fake", "fake", "real", "real", "fake", "real"]
    for k, choice in enumerate(given):
        page.wait_for_timeout(SOON)
        page.click(f"#vote-{choice}") if k % 2 else page.keyboard.press(
            {"real": "ArrowLeft", "fake": "ArrowRight"}[choice]
        )
    page.wait_for_selector("#done:not([hidden])")
    (ballot,) = read_votes([download(page, tmp_path)], key)
    assert [vote.chosen for vote in ballot.votes] == given
    assert window.complaints == [] and window.foreign() == []


@pytest.mark.parametrize("which", ["pairs", "single"])
@pytest.mark.parametrize("screen", [{}, {"phone": True}, {"width": 1000, "height": 500}, {"width": 320, "height": 568}])
def test_a_question_fits_on_the_screen_without_scrolling(which, screen, asked, visit):
    window = visit(**screen)
    page = window.open(asked[which][0])
    for click in ("#start", "#pause"):
        page.wait_for_timeout(SOON)
        wide, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room and window.wrong("overlapping") == [] and window.wrong("faint") == []
        page.click(click)
        if click == "#start":
            page.wait_for_timeout(SOON)
            high, room = page.evaluate("[document.documentElement.scrollHeight, innerHeight]")
            assert high <= room + 1


def test_what_this_browser_kept_of_something_else_is_not_believed(asked, visit):
    file, key = asked["pairs"]
    page = visit().open(file)
    for kept in ("{", "null", '{"votes": [{"trial": "nonsense"}], "order_seed": 1, "rater_id": "00000000"}'):
        page.evaluate("([name, kept]) => localStorage.setItem(name, kept)", [f"limner-people-{key.page}", kept])
        page.reload()
        assert page.is_visible("#intro") and page.is_hidden("#resumed")
