"""Reports and leaderboards: everything measured is on the page, nothing else can be, and equals are called equal."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import demo_pages
import numpy as np
import pytest

from limner.errors import ConfigError
from limner.evaluation.page import (
    Curve,
    Entrant,
    Gallery,
    Leaderboard,
    Pair,
    Report,
    Series,
    Table,
    figures,
    render_leaderboard,
    render_report,
    standing,
    words,
)
from limner.metrics.number import Interval, Number, Protocol

VOID = {"meta", "link", "img", "line", "circle", "path", "rect", "use", "br"}
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


class Reader(HTMLParser):
    """Checks that tags are closed in order, and gathers text and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open, self.text, self.attributes, self.tags = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)


def words_of(html: str) -> str:
    return " ".join(" ".join(Reader(html).text).split())


@pytest.fixture(scope="module")
def report_page():
    return render_report(demo_pages.report())


@pytest.fixture(scope="module")
def board_page():
    return render_leaderboard(demo_pages.leaderboard())


def plain(name: str, value: float, spread: float | None = None, better: str = "lower", **protocol) -> Number:
    interval = None if spread is None else Interval(value - spread, value + spread)
    return Number(name, value, better, Protocol(name, **protocol), interval)


def test_every_part_of_a_report_is_on_the_page(report_page):
    report, text = demo_pages.report(), words_of(report_page)
    for number in report.numbers:
        assert number.name in text and words.value_text(number.value, number.interval) in text
        assert words.interval_text(number.interval) in text
        assert all(note in text for note in number.notes)
    expected = [report.title, report.subtitle, report.verdict, *report.notes, *report.commands, *report.floors]
    expected += [one.reason for one in report.skipped] + [c.title for c in report.curves] + ["near copy", "lite0@128"]
    assert [part for part in expected if " ".join(part.split()) not in text] == []


def test_every_image_is_in_the_page_itself(report_page, board_page):
    for page, images in ((report_page, 24 + 8 + 8 + 6 * 5 + 9), (board_page, 5 * 8)):
        sources = [value for name, value in Reader(page).attributes if name == "src"]
        assert len(sources) == images and all(source.startswith("data:image/png;base64,") for source in sources)


def test_pages_hold_no_script_and_no_address_to_fetch(report_page, board_page):
    for page in (report_page, board_page):
        reader = Reader(page)
        assert "script" not in reader.tags and "iframe" not in reader.tags
        assert not [name for name, _ in reader.attributes if name.startswith("on")]
        assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"data:image/png;base64,[^\"]+", "", page))
        assert "default-src 'none'" in page


def test_text_from_anywhere_is_escaped():
    curve = Curve(HOSTILE, HOSTILE, HOSTILE, [Series(HOSTILE, [0, 1], [0, 1]), Series("b", [0, 1], [1, 0])])
    number = dataclasses.replace(plain(HOSTILE, 1.0, 0.1), notes=(HOSTILE,), details={HOSTILE: HOSTILE})
    report = Report(
        HOSTILE, [number], facts={HOSTILE: HOSTILE}, floors={HOSTILE: [plain(HOSTILE, 2.0)]}, curves=[curve],
        tables=[Table(HOSTILE, [HOSTILE, "b"], [[HOSTILE, 1]])], commands=[HOSTILE],
        galleries=[Gallery(HOSTILE, demo_pages.pictures(1), HOSTILE, [HOSTILE])],
    )  # fmt: skip
    board = Leaderboard(HOSTILE, [Entrant(HOSTILE, [number], HOSTILE, {HOSTILE: HOSTILE}, demo_pages.pictures(1))])
    for page in (render_report(report), render_leaderboard(board)):
        assert "script" not in Reader(page).tags
        assert HOSTILE in words_of(page) and "49" not in words_of(page)


def test_a_report_of_nothing_but_a_title_is_a_page():
    assert "only a title" in words_of(render_report(Report("only a title", [])))


def test_what_numbers_share_of_their_protocols_is_said_once(report_page):
    text = words_of(report_page)
    assert text.count("antialiased bilinear") == 1
    assert words.shared_rows(demo_pages.numbers())["features"] == "lite0@128"


def test_hashes_are_cut_where_they_are_shown():
    assert words.word("ab" * 32) == "ab" * 8 + "…" and words.word("ab" * 31) == "ab" * 31


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (13.7123, 0.84, "13.7"), (13.7123, 0.24, "13.71"), (0.01213, 0.0016, "0.0121"), (1240.4, 35, "1,240"),
        (-3.14159, 0.2, "−3.14"), (0.0, 0.1, "0.00"), (-0.0004, 0.2, "0.00"), (99.05, None, "99.05"),
        (1240.4, None, "1,240"),
        (float("nan"), None, "not finite"), (float("inf"), None, "not finite"), (2.5e-9, None, "2.50×10⁻⁹"),
        (5.0, 0.0, "5.000"), (0, None, "0.00"),
    ],
)  # fmt: skip
def test_values_have_the_digits_that_their_interval_bears(value, half, text):
    interval = None if half is None else Interval(value - half, value + half)
    assert words.value_text(value, interval) == text


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("better", "rightmost"), [("lower", "good"), ("higher", "bad"), ("neither", "bad")])
def test_better_lies_to_the_right(better, rightmost):
    floors = {"good": plain("x", 1.0, better=better), "bad": plain("x", 9.0, better=better)}
    bar = figures.bar(plain("x", 4.0, 1.0, better), floors, {"good": 0, "bad": 1})
    assert max(bar.marks, key=lambda mark: mark.x).title.startswith(rightmost)
    assert bar.low < bar.x < bar.high


def test_distances_over_decades_have_a_logarithmic_axis_and_shares_do_not():
    ends = {
        better: {"a": plain("x", 0.01, better=better), "b": plain("x", 1, better=better)}
        for better in ("lower", "higher")
    }
    middle = {
        better: figures.bar(plain("x", 0.1, better=better), floors, {"a": 0, "b": 1}) for better, floors in ends.items()
    }
    assert middle["lower"].x == pytest.approx(figures.BAR_WIDTH / 2) and "log" in middle["lower"].middle
    assert middle["higher"].x < figures.BAR_WIDTH / 4 and not middle["higher"].middle


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 5.0])
def test_a_value_without_anything_to_set_it_against_has_no_bar(value):
    assert figures.bar(plain("x", value, 1.0), {}, {}, ends=[value - 1, value + 1]) is None
    assert (figures.bar(plain("x", value), {"a": plain("x", 9.0)}, {"a": 0}) is not None) == (value == 5)


def test_what_cannot_be_drawn_leaves_a_gap():
    curve = Curve("t", "x", "y", [Series("a", [0, 1, 2, 3, 4], [1, 2, float("nan"), 3, 4])])
    line = figures.plot(curve).lines[0]
    assert len(line.pieces) == 2 and len(line.points) == 4
    logarithmic = dataclasses.replace(curve, log_y=True, series=[Series("a", [0, 1, 2], [1, 0, 10])])
    assert len(figures.plot(logarithmic).lines[0].pieces) == 2
    assert figures.plot(dataclasses.replace(curve, series=[Series("a", [0], [float("nan")])])).lines[0].pieces == ()


@pytest.mark.parametrize("values", [[0, 1e-9], [3.0, 3.0], [-5, 1e6], [1e-30, 2e-30], [7, 7.0001]])
@pytest.mark.parametrize("log", [False, True])
def test_any_axis_has_a_few_ticks_within_it(values, log):
    plot = figures.plot(Curve("t", "x", "y", [Series("a", values, values)], log_x=log, log_y=log))
    assert 1 <= len(plot.x_ticks) <= 8 and 2 <= len(plot.y_ticks) <= 8
    assert all(plot.left - 0.1 <= x <= plot.right + 0.1 for x, _ in plot.x_ticks)
    assert all(plot.top - 0.1 <= y <= plot.bottom + 0.1 for y, _ in plot.y_ticks)


# --- leaderboards -----------------------------------------------------------------------------------------------------


def board_of(values, better: str = "lower", spread: float = 1.0, **more) -> Leaderboard:
    return Leaderboard("b", [Entrant(name, [plain("x", v, spread, better)]) for name, v in values.items()], **more)


def placed(board: Leaderboard) -> list[tuple[str, str]]:
    by = standing.ranking_column(board, standing.columns(board))
    return [(board.entrants[k].name, place) for k, place in standing.places(by, len(board.entrants))]


def test_places_are_shared_where_intervals_meet():
    board = board_of({"c": 9.0, "a": 1.0, "b": 2.5, "d": 20.0})
    assert placed(board) == [("a", "1="), ("b", "1="), ("c", "3"), ("d", "4")]
    assert placed(board_of({"a": 1.0, "b": 9.0}, "higher")) == [("b", "1"), ("a", "2")]


def test_best_and_tied_are_marked(board_page):
    column = standing.columns(board_of({"a": 1.0, "b": 2.5, "c": 9.0}))[0]
    assert (column.best, column.tied) == ({0}, {1})
    assert words_of(board_page).count("best") > 4 and " tie " in words_of(board_page)


def test_a_number_with_no_better_end_ranks_nobody():
    board = board_of({"a": 1.0, "b": 9.0}, "neither")
    assert placed(board) == [("a", ""), ("b", "")]
    assert not standing.columns(board)[0].best
    render_leaderboard(board)


def test_entrants_without_the_number_or_with_one_that_is_not_finite_come_last():
    board = board_of({"bad": float("nan"), "good": 3.0})
    board = dataclasses.replace(board, entrants=[Entrant("none", []), *board.entrants])
    assert [name for name, _ in placed(board)] == ["good", "none", "bad"]
    assert "not measured" in words_of(render_leaderboard(board)) and "not finite" in words_of(render_leaderboard(board))


def test_unlike_protocols_are_shown_and_named():
    board = Leaderboard(
        "b", [Entrant(name, [plain("x", 1.0, generated=n)]) for name, n in {"a": 5000, "b": 1000}.items()]
    )
    assert "generated: 5,000 against 1,000" in words_of(render_leaderboard(board))
    assert "not measured alike" not in words_of(render_leaderboard(demo_pages.leaderboard()))


def test_ranking_by_what_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="did you mean xx"):
        render_leaderboard(Leaderboard("b", [Entrant("a", [plain("xx", 1.0)])], rank_by="xy"))
    with pytest.raises(ConfigError, match="without entrants"):
        render_leaderboard(Leaderboard("b", []))


@pytest.mark.parametrize(
    "call",
    [
        lambda: Gallery("g", np.zeros((2, 4, 4, 3), np.float32)),
        lambda: Gallery("g", np.zeros((4, 4, 3), np.uint8)),
        lambda: Gallery("g", np.zeros((2, 4, 4, 3), np.uint8), captions=["one"]),
        lambda: Pair(np.zeros((4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.uint8), [1.0]),
        lambda: Series("s", [1, 2], [1]),
        lambda: Series("s", [], []),
        lambda: Table("t", ["a", "b"], [["only one"]]),
        lambda: Table("t", ["a", "b"], [], better=["lower"]),
        lambda: Entrant("e", [], strip=np.zeros((0, 4, 4, 3), np.uint8)),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(call):
    with pytest.raises(ConfigError):
        call()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gray_colour_and_transparent_images_can_be_shown(channels):
    images = np.full((2, 4, 4, channels), 128, np.uint8)
    assert render_report(Report("t", [], samples=Gallery("g", images))).count("data:image/png") == 2
