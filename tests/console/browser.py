"""Chromium for the tests of the console: found on this machine, watched while it shows a page."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request

WIDE = (1440, 900)
NARROW = (390, 844)
DEADLINE_MS = 15_000
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = "no Chromium here: install one (apt-get install chromium) or name it in CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DEBIAN = "/usr/bin/chromium"


def find() -> str | None:
    """The Chromium of CHROMIUM, of the PATH, of Debian."""
    given = os.environ.get("CHROMIUM")
    if given:
        return given
    named = next(filter(None, map(shutil.which, _NAMES)), None)
    return named or (_DEBIAN if Path(_DEBIAN).exists() else None)


def launch(playwright: Playwright, path: str) -> Browser:
    return playwright.chromium.launch(executable_path=path, args=list(FLAGS))


class Witness:
    """Notes what a page does that no page may: errors, breaches of the CSP, requests elsewhere."""

    def __init__(self, origin: str) -> None:
        self.found: list[str] = []
        self._host = urlsplit(origin).netloc
        self._expected: list[re.Pattern[str]] = []

    def expect(self, *patterns: str) -> None:
        """Let errors pass that a test provokes, e.g. the browser's line about a 412."""
        self._expected += map(re.compile, patterns)

    def watch(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", self._ask)

    def unexpected(self) -> list[str]:
        return [
            line for line in self.found if not any(known.search(line) for known in self._expected)
        ]

    def _hear(self, said: ConsoleMessage) -> None:
        # A breach of the CSP is an error here too.
        if said.type == "error":
            self._note(f"{said.text} ({said.location['url']})")

    def _note(self, line: str) -> None:
        self.found.append(line)

    def _ask(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != self._host:
            self._note(f"asked another host: {request.url}")


def open_context(
    browser: Browser, origin: str, *, size: Sequence[int] = WIDE, dark: bool = False
) -> BrowserContext:
    """A new profile; addresses in tests begin with /console."""
    context = browser.new_context(
        base_url=origin,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    context.set_default_timeout(DEADLINE_MS)
    return context


def resize(page: Page, size: Sequence[int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
