"""Writes docs/console: a newcomer's first minute and every screen, from a system made for it.

`python -m tests.console.walkthrough` (make screenshots).
"""

import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.console import browser, newcomer, pictures, places, screens
from tests.fixtures import sink, stack

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "console"
BYTES_MAX = 6_000_000
SIZES = {"wide": browser.WIDE, "narrow": browser.NARROW}
THEMES = ("light", "dark")


def main() -> int:
    """Replace docs/console by what is true now."""
    path = browser.find()
    if path is None:
        print(browser.MISSING, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, ExitStack() as cleanup:
        made = Path(folder) / "console"
        made.mkdir()
        playwright = cleanup.enter_context(sync_playwright())
        chromium = browser.launch(playwright, path)
        cleanup.callback(chromium.close)
        api = cleanup.enter_context(_system(Path(folder)))
        receiver = cleanup.enter_context(sink.Sink())
        _first_minute(chromium, api, made)
        filled = places.fill(api, receiver)
        _screens(chromium, api, filled, made)
        (made / "README.md").write_text(pictures.document(), encoding="utf-8")
        total = sum(file.stat().st_size for file in made.iterdir())
        if total > BYTES_MAX:
            print(f"{total} bytes are more than {BYTES_MAX}", file=sys.stderr)
            return 1
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(made, FOLDER)
        print(f"{FOLDER}: {len(list(made.iterdir()))} files, {total / 1e6:.1f} MB")
    return 0


@contextmanager
def _system(folder: Path) -> Generator[str]:
    """An empty system; yields the api's address."""
    with ExitStack() as cleanup:
        servers = stack.start_servers(folder / "servers")
        cleanup.callback(stack.stop_servers, servers)
        database = cleanup.enter_context(stack.fresh_database(servers.postgres))
        system = stack.System(database=database, topics=stack.fresh_topics(servers), log_dir=folder)
        cleanup.callback(system.stop)
        system.start("dispatcher", wait=False, FAULTS_ENABLED="1", **places.DISPATCHER)
        yield system.start_all(FAULTS_ENABLED="1").url


def _first_minute(chromium: Browser, api: str, folder: Path) -> None:
    context = browser.open_context(chromium, api)
    page = context.new_page()

    def look(name: str) -> None:
        _take(page, folder / pictures.step_file(name))

    newcomer.walk(page, look)
    context.close()


def _screens(chromium: Browser, api: str, filled: places.Places, folder: Path) -> None:
    for size_name, size in SIZES.items():
        for theme in THEMES:
            context = browser.open_context(chromium, api, size=size, dark=theme == "dark")
            page = context.new_page()
            addresses = pictures.addresses(filled)
            # Last: its charts have something to show after some seconds.
            addresses["overview"] = addresses.pop("overview")
            for name, address in addresses.items():
                page.goto(f"/console{address}")
                screens.wait_until_drawn(page)
                # Editors and charts come on demand.
                page.wait_for_load_state("networkidle")
                _take(page, folder / pictures.screen_file(name, size_name, theme))
            context.close()


def _take(page: Page, file: Path) -> None:
    # JPEG from the browser itself: a sixth of a PNG, and no further package.
    page.screenshot(path=file, type="jpeg", quality=60, animations="disabled", caret="hide")


if __name__ == "__main__":
    sys.exit(main())
