"""A headless Chromium for the pages that people look at. Without one installed these tests are skipped, and say so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOOKS = (Path(__file__).parent / "looks.js").read_text(encoding="utf-8").partition("\n")[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser with a profile of its own for the whole session."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'limner[dev]'")
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One browser window: opens a file, and gathers whatever the page complains of or tries to fetch."""

    def __init__(self, context) -> None:
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.fetched: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.fetched.append(request.url))

    def open(self, path):
        self.page.goto(path.as_uri())
        return self.page

    def wrong(self, what: str) -> list[str]:
        """What looks.js finds of that kind on the page."""
        return self.page.evaluate(f"() => ({LOOKS}).{what}()")

    def foreign(self) -> list[str]:
        """Addresses that are neither a file nor data."""
        return [url for url in self.fetched if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture
def visit(chromium):
    """Makes windows: visit(width=…, height=…, dark=…, phone=…)."""
    contexts = []

    def make(*, width: int = 1280, height: int = 800, dark: bool = False, phone: bool = False) -> Visit:
        if phone:
            width, height = 390, 844
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
            has_touch=phone,
            is_mobile=phone,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        return Visit(context)

    yield make
    for context in contexts:
        context.close()
