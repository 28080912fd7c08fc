"""Reports and leaderboards in a real browser: nothing overlaps or is cut off, on a desk or a phone, by day or night."""

from __future__ import annotations

import demo_pages
import pytest

from limner.evaluation.page import render_leaderboard, render_report

pytestmark = pytest.mark.heavy

PAGES = {
    "report": lambda: render_report(demo_pages.report()),
    "leaderboard": lambda: render_leaderboard(demo_pages.leaderboard()),
}
SCREENS = {
    "desk": {},
    "dark": {"dark": True},
    "phone": {"phone": True},
    "tablet": {"width": 800},
    "narrow": {"width": 320},
}


@pytest.fixture(scope="module", params=PAGES)
def file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / f"{request.param}.html"
    path.write_text(PAGES[request.param](), encoding="utf-8")
    return path


@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_fits_its_screen(screen, file, visit):
    window = visit(**SCREENS[screen])
    page = window.open(file)
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    assert window.wrong("cutOff") == [] and window.wrong("overlapping") == []
    assert window.complaints == [] and window.foreign() == []


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read(dark, file, visit):
    window = visit(dark=dark)
    window.open(file)
    assert window.wrong("faint") == []


def test_every_image_is_drawn(file, visit):
    page = visit().open(file)
    sizes = page.evaluate("[...document.images].map((i) => i.complete && i.naturalWidth * i.clientWidth)")
    assert len(sizes) >= 40 and all(sizes)


def test_protocols_open_by_keyboard(file, visit):
    window = visit()
    page = window.open(file)
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    opened = page.locator("details").first
    assert opened.evaluate("(e) => e.open") and opened.locator("dl").first.is_visible()
    assert window.wrong("cutOff") == []


def test_what_is_folded_away_is_printed(file, visit):
    page = visit(width=800).open(file)
    page.emulate_media(media="print")
    assert page.locator("details dl").first.evaluate("(e) => e.checkVisibility({ contentVisibilityAuto: true })")
    assert len(page.pdf()) > 10_000
